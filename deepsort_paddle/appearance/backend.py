"""Choose the file, library and precision of an encoder.

Measured on an AMD EPYC with AVX512-BF16 (benchmarks/encoder): OpenVINO in bfloat16 is the fastest for every
network at every batch size. Without OpenVINO, small networks run 2 to 10 times as fast in ONNX Runtime as in
Paddle, whose operators have more overhead, and a ResNet50 runs twice as fast in Paddle in bfloat16 as in ONNX
Runtime, which has no bfloat16 on CPUs. int8 is up to four times as fast as float32 for a ResNet50, but its
embeddings differ visibly. So int8 is never chosen automatically.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from typing_extensions import Self

from deepsort_paddle.appearance.spec import EncoderSpec

__all__ = ["BACKENDS", "PRECISIONS", "Choice", "Machine", "choose", "gains_from_onnx"]

BACKENDS = ("auto", "paddle", "onnxruntime", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
# In ONNX, MobileNetV3_large_x1_0 has 12.5 MB and ResNet18 has 45 MB.
_LARGE_BYTES = 16 * 2**20
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The file, library, device and precision chosen for an encoder.

    Attributes:
        file: name of the network's file in the folder.
        backend: paddle, onnxruntime or openvino.
        device: auto, cpu, gpu or gpu:N.
        bfloat16: whether to compute in bfloat16 if the processor supports it.

    Example:
        >>> Choice("model.onnx", "openvino", "cpu", bfloat16=True).backend
        'openvino'
    """

    file: str
    backend: str
    device: str
    bfloat16: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine offers to run a network.

    Attributes:
        libraries: which of paddle and openvino are installed.
        gpu: whether Paddle's GPU build is installed.
        bfloat16: whether the CPU has bfloat16 instructions.

    Example:
        >>> Machine(frozenset({"openvino"}), gpu=False, bfloat16=True).libraries
        frozenset({'openvino'})
    """

    libraries: frozenset[str]
    gpu: bool
    bfloat16: bool

    @classmethod
    def detect(cls) -> Self:
        """Return a description of this machine, without importing a library."""
        libraries = frozenset(name for name in ("openvino", "paddle") if _is_installed(name))
        return cls(libraries, _has_paddle_for_gpus(), _cpu_computes_bfloat16())


def choose(
    folder: Path,
    spec: EncoderSpec,
    *,
    backend: str,
    precision: str,
    device: str,
    machine: Machine | None = None,
) -> Choice:
    """Choose what runs; ``auto`` is the fastest choice whose embeddings equal float32's within rounding.

    Args:
        folder: the encoder's folder.
        spec: its description.
        backend: one of `BACKENDS`.
        precision: one of `PRECISIONS`.
        device: auto, cpu, gpu or gpu:N.
        machine: the machine to choose for; None detects this one.

    Returns:
        The choice. Its backend is never ``auto``.

    Raises:
        ValueError: an argument is unknown, or the folder has no file for it.
    """
    for name, value, known in (("backend", backend, BACKENDS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    machine = machine or Machine.detect()
    if precision == "int8":
        return _int8(folder, spec, backend, device, machine)
    onnx = spec.model if spec.model.endswith(".onnx") else spec.onnx
    on_cpu = device == "cpu" or (device == "auto" and not machine.gpu)
    if precision == "bfloat16":
        if not on_cpu or backend == "onnxruntime":
            raise ValueError(
                f"precision bfloat16 is for backends paddle and openvino on a CPU, got {backend} on {device}"
            )
        if backend == "auto":
            backend = "openvino" if onnx and "openvino" in machine.libraries else "paddle"
    bfloat16 = precision == "bfloat16" or (precision == "auto" and spec.bfloat16_allowed)
    if backend == "auto":
        backend = _fastest(folder, spec, onnx, machine, on_cpu=on_cpu, bfloat16=bfloat16)
    if backend == "paddle":
        if onnx == spec.model:
            raise ValueError(f"{folder / spec.model}: Paddle cannot run it; choose another backend")
        return Choice(spec.model, backend, device, bfloat16)
    if onnx is None:
        raise ValueError(
            f"{folder}: backend {backend} needs an ONNX copy of the network, named by files.onnx "
            "(reid-train onnx writes it)"
        )
    return Choice(onnx, backend, device, bfloat16)


def gains_from_onnx(
    folder: Path,
    spec: EncoderSpec,
    *,
    backend: str,
    precision: str,
    device: str,
    machine: Machine | None = None,
) -> bool:
    """Whether an ONNX copy of a large Paddle export would be chosen: by OpenVINO in bfloat16.

    Args:
        folder: the encoder's folder.
        spec: its description.
        backend: as for `choose`.
        precision: as for `choose`.
        device: as for `choose`.
        machine: as for `choose`.
    """
    if backend != "auto" or spec.onnx or not spec.params or not _is_large(folder / spec.params):
        return False
    machine = machine or Machine.detect()
    on_cpu = device == "cpu" or (device == "auto" and not machine.gpu)
    bfloat16 = precision == "bfloat16" or (precision == "auto" and spec.bfloat16_allowed)
    return on_cpu and bfloat16 and machine.bfloat16 and {"openvino", "paddle"} <= machine.libraries


def _fastest(
    folder: Path, spec: EncoderSpec, onnx: str | None, machine: Machine, *, on_cpu: bool, bfloat16: bool
) -> str:
    """Return the fastest backend that can run the network."""
    if onnx is None:
        return "paddle"
    if on_cpu and bfloat16 and machine.bfloat16:
        if "openvino" in machine.libraries:
            return "openvino"
        # ONNX Runtime computes in float32; for a large network that costs more than Paddle's overhead.
        if onnx != spec.model and _is_large(folder / onnx) and "paddle" in machine.libraries:
            return "paddle"
    return "onnxruntime" if onnx == spec.model or on_cpu else "paddle"


def _int8(folder: Path, spec: EncoderSpec, backend: str, device: str, machine: Machine) -> Choice:
    """Choose the int8 copy; it runs on the CPU, for which ONNX Runtime has the kernels."""
    if spec.int8 is None:
        raise ValueError(
            f"{folder}: precision int8 needs an int8 copy of the network, named by files.int8 "
            "(reid-train quantize writes it)"
        )
    if backend == "paddle" or device not in ("auto", "cpu"):
        raise ValueError(
            f"precision int8 is for backends onnxruntime and openvino on a CPU, got {backend} on {device}"
        )
    if backend == "auto":
        backend = "openvino" if "openvino" in machine.libraries else "onnxruntime"
    return Choice(spec.int8, backend, "cpu", bfloat16=False)


def _has_paddle_for_gpus() -> bool:
    """Return whether Paddle's GPU build is installed, from the metadata, as importing takes seconds."""
    try:
        version("paddlepaddle-gpu")
    except PackageNotFoundError:
        return False
    return True


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported without a spec
        return False


def _is_large(network: Path) -> bool:
    """Return whether arithmetic, not the overhead of operators, dominates the running time."""
    return network.is_file() and network.stat().st_size > _LARGE_BYTES


def _cpu_computes_bfloat16() -> bool:
    """Return whether this CPU has bfloat16 instructions; False outside Linux, where that needs a library."""
    if not sys.platform.startswith("linux"):
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    return not _BFLOAT16_FLAGS.isdisjoint(flags)
