"""Which file of an encoder's folder runs, by which library and in which precision.

Measured on an AMD EPYC with AVX512-BF16 (benchmarks/encoder): OpenVINO in bfloat16 is the fastest for
every network at every batch size. Without it small networks run 2 to 10 times as fast in ONNX Runtime as in
Paddle, each of whose many small operators costs more, and a ResNet50 twice as fast in Paddle, in bfloat16, as
in ONNX Runtime, which has none on CPUs. int8 is up to four times as fast as float32 for a ResNet50, at
embeddings that differ visibly. So int8 is never taken unasked.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from deepsort_paddle.appearance.spec import EncoderSpec

__all__ = ["BACKENDS", "PRECISIONS", "Choice", "choose"]

BACKENDS = ("auto", "paddle", "onnxruntime", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
# MobileNetV3_large_x1_0 has 12.5 MB in ONNX, ResNet18 45 MB.
_LARGE_BYTES = 16 * 2**20
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs.

    Attributes:
        file: name of the network's file in the folder.
        backend: paddle, onnxruntime or openvino.
        device: where it runs: auto, cpu, gpu or gpu:N.
        bfloat16: whether to compute in bfloat16 where the processor does.
    """

    file: str
    backend: str
    device: str
    bfloat16: bool


def choose(folder: Path, spec: EncoderSpec, *, backend: str, precision: str, device: str) -> Choice:
    """What runs for these wishes; ``auto`` takes the fastest whose embeddings are float32's but for rounding.

    Raises:
        ValueError: a wish is unknown, or the folder has no file for it.
    """
    for name, value, known in (("backend", backend, BACKENDS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if precision == "int8":
        return _int8(folder, spec, backend, device)
    onnx = spec.model if spec.model.endswith(".onnx") else spec.onnx
    on_cpu = device == "cpu" or (device == "auto" and not _has_paddle_for_gpus())
    if precision == "bfloat16":
        if not on_cpu or backend == "onnxruntime":
            raise ValueError(
                f"precision bfloat16 is for backends paddle and openvino on a CPU, got {backend} on {device}"
            )
        if backend == "auto":
            backend = "openvino" if onnx and _is_installed("openvino") else "paddle"
    bfloat16 = precision == "bfloat16" or (precision == "auto" and spec.bfloat16_allowed)
    if backend == "auto":
        backend = _fastest(folder, spec, onnx, on_cpu=on_cpu, bfloat16=bfloat16)
    if backend == "paddle":
        if onnx == spec.model:
            raise ValueError(f"{folder / spec.model}: Paddle cannot run it: choose another backend")
        return Choice(spec.model, backend, device, bfloat16)
    if onnx is None:
        raise ValueError(
            f"{folder}: backend {backend} wants a copy of the network in ONNX, named by files.onnx "
            "(reid-train onnx writes it)"
        )
    return Choice(onnx, backend, device, bfloat16)


def _fastest(folder: Path, spec: EncoderSpec, onnx: str | None, *, on_cpu: bool, bfloat16: bool) -> str:
    """The backend that runs the network fastest, of those that can."""
    if onnx is None:
        return "paddle"
    if on_cpu and bfloat16 and _cpu_computes_bfloat16():
        if _is_installed("openvino"):
            return "openvino"
        # ONNX Runtime computes in float32, which a large network loses more by than a small one by Paddle.
        if onnx != spec.model and _is_large(folder / onnx) and _is_installed("paddle"):
            return "paddle"
    return "onnxruntime" if onnx == spec.model or on_cpu else "paddle"


def _int8(folder: Path, spec: EncoderSpec, backend: str, device: str) -> Choice:
    """The int8 form; ONNX Runtime's kernels for it are those of CPUs, so that it runs there."""
    if spec.int8 is None:
        raise ValueError(
            f"{folder}: precision int8 wants an int8 form of the network, named by files.int8 "
            "(reid-train quantize writes it)"
        )
    if backend == "paddle" or device not in ("auto", "cpu"):
        raise ValueError(
            f"precision int8 is for backends onnxruntime and openvino on a CPU, got {backend} on {device}"
        )
    if backend == "auto":
        backend = "openvino" if _is_installed("openvino") else "onnxruntime"
    return Choice(spec.int8, backend, "cpu", bfloat16=False)


def _has_paddle_for_gpus() -> bool:
    """Whether Paddle's build for GPUs is installed, found out without the seconds that importing it takes."""
    try:
        version("paddlepaddle-gpu")
    except PackageNotFoundError:
        return False
    return True


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported, and without a spec
        return False


def _is_large(network: Path) -> bool:
    """Whether arithmetic is what running it takes, not the many small operators of a small one."""
    return network.is_file() and network.stat().st_size > _LARGE_BYTES


def _cpu_computes_bfloat16() -> bool:
    """Whether this CPU has instructions for it; only Linux tells without loading a library."""
    if not sys.platform.startswith("linux"):
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    return not _BFLOAT16_FLAGS.isdisjoint(flags)
