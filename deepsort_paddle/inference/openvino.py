"""Run ONNX networks with OpenVINO on a CPU; small networks are compiled for a few batch sizes.

A network compiled for any batch size infers every operator's shapes in every call and fuses less. Compiled
for one size, OSNet x0.25 in bfloat16 is 1.3 to 1.7 times faster (AMD Zen 4, one thread),
MobileNetV3_large_x1_0 and GhostNet_x1_0 1.1 to 1.5 times. A ResNet18 gains only 2 to 10 %, and needs another
copy of its weights for each size. So networks up to `FIXED_SIZES_LIMIT` are compiled for each of
`FIXED_SIZES` on first use, which takes about 0.3 s, and batches are split to fit. Larger networks are
compiled once, for any size.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.inference.libraries import import_openvino
from deepsort_paddle.inference.pool import Feeds, Pool

__all__ = [
    "FIXED_SIZES",
    "FIXED_SIZES_LIMIT",
    "ImageInput",
    "OpenVinoNetwork",
    "computes_bfloat16",
    "fixed_chunks",
]

# Each size costs compile time and 20 MB. Without 8, batches of 7 and 8 lose a sixth to a quarter of their
# speed; without 64, batches of 64 lose a tenth. 2 and 32 brought no measurable gain.
FIXED_SIZES = (1, 4, 8, 16, 64)
# Bytes of the file. MobileNetV3_large_x1_0 (12.5 MB) gains, ResNet18 (45 MB) does not.
FIXED_SIZES_LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The conversion of an image to an input ``(1, 3, H, W)``, compiled into the network.

    Attributes:
        name: name of the input.
        height: H.
        width: W.
        rgb: whether the network takes RGB; the image is BGR.
        mean: subtracted from the pixels, in the network's channel order.
        scale: the pixels are then multiplied by it.
    """

    name: str
    height: int
    width: int
    rgb: bool
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


@lru_cache(maxsize=1)
def _core() -> Any:
    """Return OpenVINO's runtime, one per process.

    The CPU plugin installs an alternate signal stack in the thread that opens it, and frees it with the last
    runtime: Ctrl-C after that caused a segmentation fault.
    """
    return import_openvino().Core()


def computes_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this CPU.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoNetwork:
    """A network that OpenVINO compiled for the CPU; safe to share between threads.

    Attributes:
        input_names: the network's inputs, in its order.
        input_shapes: their shapes, -1 for any size.
        input_dtypes: ``float32``, ``uint8``...
        output_names: the network's outputs, in its order.
        bfloat16: whether it computes in bfloat16.
        sizes: the batch sizes that run fast, ascending; empty if all do.
    """

    def __init__(self, path: Path, *, threads: int, bfloat16: bool, image: ImageInput | None = None) -> None:
        """Read the network and compile it once, so that errors are raised here.

        Args:
            path: the ``.onnx`` file.
            threads: CPU threads.
            bfloat16: compute in bfloat16 if the CPU supports it.
            image: compile the conversion of this input into the network, which then takes ``(1, H, W, 3)``
                uint8 BGR.

        Raises:
            ImportError: OpenVINO is not installed.
            RuntimeError: OpenVINO cannot open or compile the file.
        """
        openvino = import_openvino()
        self._core = _core()
        self.bfloat16 = bfloat16 and computes_bfloat16()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Pinned threads wait for anything else that runs on their core. On two busy cores, two pinned
            # threads took two to four times longer.
            "ENABLE_CPU_PINNING": False,
            # Set in both cases: by default OpenVINO computes in bfloat16 on CPUs that support it.
            "INFERENCE_PRECISION_HINT": "bf16" if self.bfloat16 else "f32",
        }
        self._model = self._core.read_model(str(path))
        if image is not None:
            self._model = _taking_images(openvino, self._model, image)
        inputs = self._model.inputs
        self.input_names = tuple(str(port.any_name) for port in inputs)
        self.input_shapes = tuple(
            tuple(-1 if side.is_dynamic else side.get_length() for side in port.partial_shape)
            for port in inputs
        )
        self.input_dtypes = tuple(port.element_type.to_dtype().name for port in inputs)
        self.output_names = tuple(str(one.any_name) for one in self._model.outputs)
        shape = self.input_shapes[0] if len(inputs) == 1 else ()
        only_batch_is_free = shape[:1] == (-1,) and -1 not in shape[1:]
        small = path.stat().st_size <= FIXED_SIZES_LIMIT
        self.sizes = FIXED_SIZES if small and only_batch_is_free else ()
        self._pools: dict[int, Pool] = {}
        self._lock = threading.Lock()
        self._compiled_for(self.sizes[0] if self.sizes else 0)

    def __call__(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Run the network on named inputs of any batch size and return its outputs."""
        size = len(feeds[self.input_names[0]])
        return self._compiled_for(size if size in self.sizes else 0)(feeds)

    def _compiled_for(self, size: int) -> Pool:
        """Return the network compiled for one batch size; 0 is any size."""
        with self._lock:
            if size not in self._pools:
                self._pools[size] = self._compile(size)
            return self._pools[size]

    def _compile(self, size: int) -> Pool:
        model = self._model.clone()
        if size:
            model.reshape({self.input_names[0]: [size, *self.input_shapes[0][1:]]})
        network = self._core.compile_model(model, "CPU", self._settings)
        if size:
            return Pool(_Bound(network), lambda: _Bound(network), _Bound.run)
        return Pool(network.create_infer_request(), network.create_infer_request, _run)


def _taking_images(openvino: Any, model: Any, image: ImageInput) -> Any:
    """Return the network with the conversion of an image in front."""
    from openvino import preprocess

    model.reshape({image.name: [1, 3, image.height, image.width]})
    dtype = model.input(image.name).element_type
    steps = preprocess.PrePostProcessor(model)
    entry = steps.input(image.name)
    entry.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    entry.model().set_layout(openvino.Layout("NCHW"))
    convert = entry.preprocess().convert_element_type(openvino.Type.f32)
    if image.rgb:
        convert = convert.reverse_channels()
    convert.mean(list(image.mean)).scale([1 / scale for scale in image.scale]).convert_element_type(dtype)
    return steps.build()


class _Bound:
    """A request that reuses its arrays: an eighth faster than ``infer`` on small networks."""

    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._input = self._request.get_input_tensor(0).data
        self._outputs = [tensor.data for tensor in self._request.output_tensors]

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        (batch,) = feeds.values()
        if batch.shape != self._input.shape or batch.dtype != self._input.dtype:
            raise ValueError(f"expected {self._input.dtype} {self._input.shape}")
        self._input[...] = batch
        self._request.start_async()
        self._request.wait()
        return [output.copy() for output in self._outputs]


def _run(request: Any, feeds: Feeds) -> list[NDArray[Any]]:
    outputs = request.infer(dict(feeds), share_inputs=True, share_outputs=True)
    return [np.array(output) for output in outputs.values()]  # copies, as the request reuses its memory


def fixed_chunks(count: int, sizes: Sequence[int]) -> list[int]:
    """Split ``count`` rows into batches of the given sizes; only the last batch may need padding.

    Each batch has the largest size that the rows fill, or the next larger size if they fill seven eighths of
    it: in a larger batch, a row costs about an eighth less.

    Args:
        count: number of rows, 1 or more.
        sizes: the possible sizes, ascending; must contain 1.

    Returns:
        The sizes of the batches, in order.
    """
    chunks = []
    while count > 0:
        larger = next((size for size in sizes if size >= count), None)
        if larger is not None and 8 * count >= 7 * larger:
            size = larger
        else:
            size = max(size for size in sizes if size <= count)
        chunks.append(size)
        count -= size
    return chunks
