"""A network in ONNX run by OpenVINO on a CPU: small ones compiled for a few batch sizes.

Compiled for batches of any size, OpenVINO asks every operator for its shapes in every call and fuses less.
Compiled for one size, OSNet x0.25 in bfloat16 is 1.3 to 1.7 times as fast (AMD Zen 4, one thread),
MobileNetV3_large_x1_0 and GhostNet_x1_0 1.1 to 1.5 times; a ResNet18 gains 2 to 10 % and holds its weights
once more for each size. So networks up to `FIXED_SIZES_LIMIT` are compiled for `FIXED_SIZES`, each when the
first batch of it comes, which takes about 0.3 s, and batches are cut to fit; larger ones are compiled once,
for any size.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.inference.libraries import import_openvino
from deepsort_paddle.inference.pool import Feeds, Pool

__all__ = ["FIXED_SIZES", "FIXED_SIZES_LIMIT", "ImageInput", "OpenVinoNetwork", "fixed_chunks"]

# Each takes its time and 20 MB when it first comes. Without 8, batches of 7 and 8 lose a sixth to a quarter,
# without 64 those lose a tenth; 2 and 32 would gain nothing that could be measured.
FIXED_SIZES = (1, 4, 8, 16, 64)
# Bytes of the file: MobileNetV3_large_x1_0 has 12.5 MB and gains, ResNet18 has 45 MB and does not.
FIXED_SIZES_LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How an input ``(1, 3, H, W)`` is made from an image inside the compiled network.

    Attributes:
        name: the input.
        height: H.
        width: W.
        rgb: whether the network takes RGB; the image is BGR.
        mean: subtracted from the pixels, in the network's channel order.
        scale: the pixels are multiplied by it then.
    """

    name: str
    height: int
    width: int
    rgb: bool
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


class OpenVinoNetwork:
    """A network that OpenVINO compiled for the CPU; safe to share between threads.

    Attributes:
        input_names: the network's inputs, in its order.
        input_shapes: their shapes, -1 where any size fits.
        input_dtypes: ``float32``, ``uint8``...
        output_names: the network's outputs, in its order.
        bfloat16: whether it computes in bfloat16.
        sizes: the batch sizes that run fast, ascending; empty where all do.
    """

    def __init__(self, path: Path, *, threads: int, bfloat16: bool, image: ImageInput | None = None) -> None:
        """Read the network and compile it once, to see that it can be.

        Args:
            path: the ``.onnx`` file.
            threads: CPU threads.
            bfloat16: compute in bfloat16 where the CPU has instructions for it.
            image: compile the conversion of this input into the network, which then takes ``(1, H, W, 3)``
                uint8 BGR.

        Raises:
            ImportError: OpenVINO is not installed.
            RuntimeError: it cannot open or compile the file.
        """
        openvino = import_openvino()
        self._core = openvino.Core()
        self.bfloat16 = bfloat16 and "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Tied to cores, its threads wait there for whatever else runs: a video's other stages, other
            # processes. On two busy cores two threads took two to four times as long.
            "ENABLE_CPU_PINNING": False,
            # Always said: by itself OpenVINO computes in bfloat16 on CPUs that have it.
            "INFERENCE_PRECISION_HINT": "bf16" if self.bfloat16 else "f32",
        }
        self._model = self._core.read_model(str(path))
        if image is not None:
            self._model = _taking_images(openvino, self._model, image)
        inputs = self._model.inputs
        self.input_names = tuple(str(one.any_name) for one in inputs)
        self.input_shapes = tuple(
            tuple(-1 if side.is_dynamic else side.get_length() for side in one.partial_shape)
            for one in inputs
        )
        self.input_dtypes = tuple(one.element_type.to_dtype().name for one in inputs)
        self.output_names = tuple(str(one.any_name) for one in self._model.outputs)
        shape = self.input_shapes[0] if len(inputs) == 1 else ()
        only_batch_is_free = shape[:1] == (-1,) and -1 not in shape[1:]
        small = path.stat().st_size <= FIXED_SIZES_LIMIT
        self.sizes = FIXED_SIZES if small and only_batch_is_free else ()
        self._pools: dict[int, Pool] = {}
        self._lock = threading.Lock()
        self._compiled_for(self.sizes[0] if self.sizes else 0)

    def __call__(self, feeds: Feeds) -> list[NDArray[Any]]:
        """The network's outputs for named inputs of any batch size."""
        size = len(feeds[self.input_names[0]])
        return self._compiled_for(size if size in self.sizes else 0)(feeds)

    def _compiled_for(self, size: int) -> Pool:
        """The network compiled for one batch size, 0 for any."""
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
    """The network with the conversion of an image in front."""
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
    """A request whose input and output are arrays: an eighth faster than ``infer`` on small networks."""

    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._input = self._request.get_input_tensor(0).data
        self._outputs = [tensor.data for tensor in self._request.output_tensors]

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        (batch,) = feeds.values()
        if batch.shape != self._input.shape or batch.dtype != self._input.dtype:
            raise ValueError(f"wanted {self._input.dtype} {self._input.shape}")
        self._input[...] = batch
        self._request.start_async()
        self._request.wait()
        return [output.copy() for output in self._outputs]


def _run(request: Any, feeds: Feeds) -> list[NDArray[Any]]:
    outputs = request.infer(dict(feeds), share_inputs=True, share_outputs=True)
    return [np.array(output) for output in outputs.values()]  # copies: the request uses its memory again


def fixed_chunks(count: int, sizes: Sequence[int]) -> list[int]:
    """Sizes of the batches to run for ``count`` rows; only the last one may have to be padded.

    The largest that fits comes next, or the one above where seven eighths of it are filled: that is how much
    less a row costs in a larger batch.

    Args:
        count: 1 or more.
        sizes: the sizes there are, ascending, 1 among them.
    """
    chunks = []
    while count > 0:
        above = next((size for size in sizes if size >= count), None)
        if above is not None and 8 * count >= 7 * above:
            size = above
        else:
            size = max(size for size in sizes if size <= count)
        chunks.append(size)
        count -= size
    return chunks
