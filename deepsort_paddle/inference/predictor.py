"""Runs an exported network on arrays.

Paddle Inference runs a Paddle export (``.json`` of the new IR or ``.pdmodel``, with its ``.pdiparams``), ONNX
Runtime or OpenVINO runs an ``.onnx`` file. Each library is imported when its first network is opened.

This module works around three problems of Paddle Inference. A predictor shared by threads silently returns
another caller's rows, so each running call uses its own predictor, cloned if none is free and returned
afterwards (one clone per thread would cost memory in programs with many short-lived threads). oneDNN caches
its primitives for each input shape, so batches are padded to a few sizes. And an export of Paddle 3 crashes
Paddle 2, so versions are compared first.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.inference.libraries import import_onnxruntime, import_paddle
from deepsort_paddle.inference.openvino import ImageInput, OpenVinoNetwork, fixed_chunks
from deepsort_paddle.inference.pool import Feeds, Pool

__all__ = ["Predictor"]

# On a CPU, batches are padded to these sizes for Paddle, and larger ones are split. From 32 up, the new IR of
# Paddle 3.3 loses up to half its speed to page faults, and the other libraries lose a little to cache misses.
# ResNet50 keeps about 80 MB of primitives for each size.
CPU_BATCH_SIZES = (1, 2, 4, 8, 12, 16)
GPU_BATCH_MULTIPLE = 8
# Number of shapes whose primitives oneDNN caches for one predictor (least recently used).
ONEDNN_CACHED_SHAPES = 8

Run = Callable[[Feeds], "list[NDArray[Any]]"]


class Predictor:
    """An exported network, ready to run; safe to share between threads.

    Attributes:
        path: the network's file.
        input_names: the network's inputs, in its order.
        input_shapes: their shapes, -1 for any size; empty tuples if the export does not say.
        input_dtypes: ``float32``, ``uint8``...; empty strings if the export does not say.
        output_names: the network's outputs, in its order; empty if the export does not say.
        metadata: metadata properties of an ONNX file; empty for others.
        on_gpu: whether it runs on a GPU.
        bfloat16: whether it computes in bfloat16.

    Example:
        >>> import numpy as np
        >>> from deepsort_paddle.appearance.default_model import default_model
        >>> predictor = Predictor(default_model() / "inference.onnx", device="cpu")
        >>> _, height, width, channels = predictor.input_shapes[0]
        >>> predictor.run(np.zeros((3, height, width, channels), np.uint8)).shape
        (3, 256)
    """

    def __init__(
        self,
        model: str | Path,
        params: str | Path | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        bfloat16: bool = False,
        exported_with: str | None = None,
        openvino: bool = False,
        image: ImageInput | None = None,
    ) -> None:
        """Open an exported network.

        Args:
            model: ``.json``, ``.pdmodel`` or ``.onnx`` file; one without suffix comes from an older Paddle.
            params: the weights of a Paddle export; None for the ``.pdiparams`` file next to the model.
            device: ``auto`` (a GPU if there is one), ``cpu``, ``gpu`` or ``gpu:N``.
            threads: CPU threads per running call; None for all cores available to this process.
            bfloat16: compute in bfloat16 if CPU and library support it (ONNX Runtime does not), else in
                float32.
            exported_with: version of Paddle that wrote the export, if known.
            openvino: run an ``.onnx`` file with OpenVINO on a CPU instead of ONNX Runtime.
            image: the input whose conversion OpenVINO compiles into the network.

        Raises:
            FileNotFoundError: a file is missing.
            ImportError: Paddle or OpenVINO is needed but not installed.
            OSError: the installed library cannot open the file.
            ValueError: an argument is invalid, or the device does not exist.
        """
        self.path = Path(model)
        kind, index = _parse_device(device)
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}")
        _check_file(self.path)
        count = threads or _available_cores()
        self.input_shapes: tuple[tuple[int, ...], ...]
        self.output_names: tuple[str, ...]
        self.metadata: dict[str, str]
        self._run: Run
        self._any_size = False  # whether a new batch size costs nothing
        self._sizes: tuple[int, ...] = ()  # the batch sizes to use, if the library prescribes them
        if self.path.suffix == ".onnx" and openvino:
            if kind == "gpu":
                raise ValueError(
                    f"device {device} is not available for {self.path.name}: OpenVINO runs on the CPU"
                )
            network = _open_openvino(self.path, count, bfloat16, image)
            self.bfloat16 = network.bfloat16
            self.on_gpu = False
            self.input_names = network.input_names
            self.input_shapes = network.input_shapes
            self.input_dtypes = network.input_dtypes
            self.output_names = network.output_names
            self.metadata = {}
            self._any_size = True
            self._sizes = network.sizes
            self._run = network
        elif self.path.suffix == ".onnx":
            session, self.on_gpu = _open_onnx(self.path, kind, index, count)
            self.bfloat16 = False
            inputs = session.get_inputs()
            self.input_names = tuple(str(port.name) for port in inputs)
            self.input_shapes = tuple(
                tuple(side if isinstance(side, int) else -1 for side in port.shape) for port in inputs
            )
            types = [str(port.type).removeprefix("tensor(").removesuffix(")") for port in inputs]
            self.input_dtypes = tuple("float32" if dtype == "float" else dtype for dtype in types)
            self.output_names = tuple(str(port.name) for port in session.get_outputs())
            self.metadata = dict(session.get_modelmeta().custom_metadata_map)
            self._any_size = not self.on_gpu
            self._run = lambda feeds: list(session.run(None, dict(feeds)))
        elif self.path.suffix in (".json", ".pdmodel", ""):
            weights = self.path.with_suffix(".pdiparams") if params is None else Path(params)
            _check_file(weights)
            paddle = import_paddle()
            _check_version(self.path, exported_with, paddle.__version__)
            root, self.on_gpu, self.bfloat16 = _open_paddle(
                paddle, self.path, weights, kind=kind, index=index, threads=count, bfloat16=bfloat16
            )
            self.input_names = tuple(root.get_input_names())
            self.input_shapes = tuple(() for _ in self.input_names)
            self.input_dtypes = tuple("" for _ in self.input_names)
            self.output_names = ()
            self.metadata = {}
            self._run = Pool(root, root.clone, _run_paddle)
        else:
            raise ValueError(f"{self.path}: expected a network that ends in .json, .pdmodel or .onnx")

    def run_feeds(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Run the network once on named inputs, without changing the batch.

        Args:
            feeds: an array for each of `input_names`, of the network's dtype: Paddle misreads other dtypes
                without an error.

        Returns:
            The network's outputs, in its order.

        Raises:
            ValueError: an input is missing, or the network rejects the arrays.
        """
        missing = [name for name in self.input_names if name not in feeds]
        if missing:
            raise ValueError(f"{self.path}: no array for the network's input {missing[0]!r}")
        try:
            return self._run({name: np.ascontiguousarray(feeds[name]) for name in self.input_names})
        except Exception as error:
            shapes = ", ".join(f"{name} {feeds[name].dtype} {feeds[name].shape}" for name in self.input_names)
            raise ValueError(f"{self.path}: the network rejects {shapes}: {_first_line(error)}") from error

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Run a network with one input on a batch of any size.

        The batch is split and padded to sizes that suit the device. This does not change the result.

        Args:
            batch: ``(N, ...)``, N >= 1, of the network's dtype.

        Returns:
            ``(N, ...)``, the first output.

        Raises:
            ValueError: N is 0, or the network rejects the batch or returns another number of rows.
        """
        if len(self.input_names) != 1:
            raise ValueError(
                f"{self.path}: expected a network with one input, got {', '.join(self.input_names)}"
            )
        if len(batch) == 0:
            raise ValueError("batch must have at least one row, got none")
        rows = []
        start = 0
        for size in self._chunks(len(batch)):
            chunk = batch[start : start + size]
            start += len(chunk)
            padded = chunk
            if len(chunk) < size:
                padded = np.zeros((size, *batch.shape[1:]), batch.dtype)
                padded[: len(chunk)] = chunk
            output = self.run_feeds({self.input_names[0]: padded})[0]
            if output.ndim == 0 or len(output) != size:
                raise ValueError(f"{self.path}: expected {size} rows from the network, got {output.shape}")
            rows.append(output[: len(chunk)])
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _chunks(self, count: int) -> Sequence[int]:
        """Split ``count`` rows into batch sizes; only the last batch is padded."""
        fixed = self.input_shapes[0][0] if self.input_shapes[0] else -1
        if fixed > 0:
            return [fixed] * -(-count // fixed)
        if self._sizes:
            return fixed_chunks(count, self._sizes)
        if self.on_gpu:
            return [-(-count // GPU_BATCH_MULTIPLE) * GPU_BATCH_MULTIPLE]
        largest = CPU_BATCH_SIZES[-1]
        rest = count % largest
        sizes = [largest] * (count // largest)
        if rest:
            sizes.append(rest if self._any_size else next(size for size in CPU_BATCH_SIZES if size >= rest))
        return sizes


def _run_paddle(predictor: Any, feeds: Feeds) -> list[NDArray[Any]]:
    for name, array in feeds.items():
        predictor.get_input_handle(name).copy_from_cpu(array)
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]


def _open_paddle(
    paddle: Any, model: Path, params: Path, *, kind: str, index: int, threads: int, bfloat16: bool
) -> tuple[Any, bool, bool]:
    """Open a Paddle predictor; also return whether it runs on a GPU and whether it computes in bfloat16."""
    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    if kind == "gpu" and index >= gpus:
        build = "a CUDA build" if paddle.is_compiled_with_cuda() else "a CPU build"
        raise ValueError(
            f"device gpu:{index} is not available: Paddle {paddle.__version__} is {build} with {gpus} GPUs"
        )
    on_gpu = kind == "gpu" or (kind == "auto" and gpus > 0)
    config = paddle.inference.Config(str(model), str(params))
    config.disable_glog_info()
    # In 3.3 the new IR fails on enable_memory_optim without the new executor.
    config.enable_new_ir(model.suffix == ".json")
    config.enable_new_executor()
    config.enable_memory_optim()
    if on_gpu:
        config.enable_use_gpu(256, index)
    else:
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(threads)
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(ONEDNN_CACHED_SHAPES)
        # Without AVX512-BF16 or AMX, bfloat16 is emulated and slower than float32.
        bfloat16 = bfloat16 and bool(paddle.base.core.supports_bfloat16_fast_performance())
        if bfloat16:
            config.enable_mkldnn_bfloat16()
    try:
        return paddle.inference.create_predictor(config), on_gpu, bfloat16 and not on_gpu
    except Exception as error:
        raise OSError(f"{model}: Paddle {paddle.__version__} cannot open it: {_first_line(error)}") from error


def _open_onnx(model: Path, kind: str, index: int, threads: int) -> tuple[Any, bool]:
    """Open an ONNX Runtime session; also return whether it runs on a GPU."""
    onnxruntime = import_onnxruntime()
    has_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "gpu" and not has_gpu:
        raise ValueError(
            f"device gpu:{index} is not available for {model.name}: ONNX Runtime is a CPU build "
            "(pip install onnxruntime-gpu)"
        )
    on_gpu = has_gpu and kind != "cpu"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while waiting take CPU time from other stages: a run with YOLOX-nano on two busy cores
    # took 6.9 s of CPU time with spinning and 4.8 s without, in the same wall-clock time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if on_gpu:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": index}))
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=providers), on_gpu
    except Exception as error:
        raise OSError(f"{model}: ONNX Runtime cannot open it: {_first_line(error)}") from error


def _open_openvino(model: Path, threads: int, bfloat16: bool, image: ImageInput | None) -> OpenVinoNetwork:
    """Compile a network with OpenVINO for the CPU."""
    try:
        return OpenVinoNetwork(model, threads=threads, bfloat16=bfloat16, image=image)
    except ImportError:
        raise
    except Exception as error:
        raise OSError(f"{model}: OpenVINO cannot open it: {_first_line(error)}") from error


def _check_version(model: Path, exported_with: str | None, installed: str) -> None:
    """Raise OSError if the installed Paddle is too old for the export: it would crash the process."""
    required = 3 if model.suffix == ".json" else 0
    if exported_with is not None:
        # Older minor versions pass: they open most newer exports, and report those that they cannot open.
        required = max(required, int(exported_with.split(".")[0]))
    major = int(installed.split(".")[0])
    # 0.0.0 is a nightly build, newer than any release.
    if 0 < major < required:
        origin = f"Paddle {exported_with}" if exported_with else f"Paddle {required} or later"
        raise OSError(f"{model}: exported by {origin}, cannot be opened by the installed Paddle {installed}")


def _parse_device(device: str) -> tuple[str, int]:
    """Split ``auto``, ``cpu``, ``gpu`` or ``gpu:N`` into kind and index."""
    match = re.fullmatch(r"(auto|cpu|gpu)(?:(?<=gpu):(\d+))?", device)
    if match is None:
        raise ValueError(f"device must be auto, cpu, gpu or gpu:N, got {device!r}")
    return match[1], int(match[2] or 0)


def _available_cores() -> int:
    """Return the number of cores available to the process."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")


def _first_line(error: Exception) -> str:
    """Return the first informative line of an error, without its C++ stack trace."""
    lines = (line.strip(" -\t") for line in str(error).splitlines())
    return next((line for line in lines if line and "Traceback" not in line), type(error).__name__)[:300]
