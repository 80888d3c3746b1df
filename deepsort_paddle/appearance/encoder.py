"""Computes appearance embeddings of boxes by an exported re-ID network.

The network is a folder: ``encoder.json`` describes it, ``SHA256SUMS`` seals it, and the graph contains
colour order and normalisation (uint8 NHWC BGR in, one row of floats out). Only crop and resize remain
outside the graph (`preprocess`); they write into one uint8 batch. For third-party networks, layout and
normalisation are applied once per batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from deepsort_paddle.appearance.backend import choose, gains_from_onnx
from deepsort_paddle.appearance.default_model import locate
from deepsort_paddle.appearance.onnx_copy import cached_copy
from deepsort_paddle.appearance.preprocess import crop_into, network_input, pixel_regions
from deepsort_paddle.appearance.spec import EncoderSpec, model_checksum, verify_checksums
from deepsort_paddle.appearance.third_party import describe, fit_to_graph
from deepsort_paddle.arguments import check_frame
from deepsort_paddle.inference.predictor import Predictor
from deepsort_paddle.structures import unit_rows

__all__ = ["AppearanceEncoder", "EncoderSpec"]

_NO_PIXEL = "all boxes lie outside the frame or are empty: expected boxes x1, y1, x2, y2 in pixels"


class AppearanceEncoder:
    """Computes the embeddings of boxes in frames; safe to share between threads.

    Attributes:
        spec: the network's `EncoderSpec`.
        folder: the folder of its files.
        embedding_size: D of the embeddings.
        max_cosine_distance: the appearance threshold calibrated for this network.

    Example:
        >>> import numpy as np
        >>> encoder = AppearanceEncoder(device="cpu")
        >>> frame = np.full((240, 320, 3), 128, np.uint8)
        >>> embeddings = encoder(frame, [[10, 20, 60, 170], [100, 20, 150, 170]])
        >>> embeddings.shape == (2, encoder.embedding_size)
        True
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        device: str = "auto",
        batch_size: int = 64,
        threads: int | None = None,
        verify: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        """Open an exported network and run it once, on a black crop, to check that it matches its spec.

        Args:
            directory: a folder with ``encoder.json``, ``SHA256SUMS`` and the files that they name; or a
                network exported elsewhere (docs/third_party_reid.md), which may lack both, or an ``.onnx``
                file. None, or ``osnet_ain_x0_5``, is the packaged model; in a checkout, any folder of
                ``weights/`` can be named, such as ``resnet50vd``.
            device: ``auto`` (a GPU if there is one), ``cpu``, ``gpu`` or ``gpu:N``.
            batch_size: largest number of crops per call of the network.
            threads: CPU threads; None for all cores available to this process.
            verify: compare the files with ``SHA256SUMS``; a network exported elsewhere may have none.
            backend: ``paddle``, ``onnxruntime`` or ``openvino``; the latter two run the folder's ONNX copy
                (``files.onnx``), with the same embeddings up to rounding. ``auto`` is the fastest one
                installed (table in docs/encoder.md): with an ONNX copy and on a CPU, OpenVINO for bfloat16 or
                int8, else ONNX Runtime; without a copy, or on a GPU, Paddle. Large exports get a copy in
                the user's cache where OpenVINO would run it in bfloat16.
            precision: ``float32``, ``bfloat16``, or ``int8``, the folder's int8 form (``files.int8``), whose
                embeddings differ visibly. ``auto`` is bfloat16 if library and CPU support it and
                ``bfloat16.allowed`` says that the embeddings are the same up to rounding, else float32.

        Raises:
            FileNotFoundError: the folder or a file in it is missing.
            OSError: a file differs from its checksum, or cannot be opened as a network.
            ImportError: the network needs Paddle, which is not installed.
            ValueError: ``encoder.json`` or an argument is invalid, or the folder or the processor does not
                support the `precision` or `backend`.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        self._location = locate(directory)
        folder, spec = describe(self._location)
        own = (folder / "encoder.json").is_file() and not spec.third_party
        copy = None
        if own and gains_from_onnx(folder, spec, backend=backend, precision=precision, device=device):
            copy = cached_copy(folder, spec)
        choice = choose(
            folder,
            spec if copy is None else replace(spec, onnx=str(copy)),
            backend=backend,
            precision=precision,
            device=device,
        )
        onnx = choice.backend != "paddle"
        made_from = [spec.model] if copy else [choice.file]
        files = made_from if not spec.params or (onnx and not copy) else [*made_from, spec.params]
        for name in files:
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name}: no such file, but encoder.json names it")
        if verify and (own or (folder / "SHA256SUMS").is_file()):
            described = ["encoder.json"] if (folder / "encoder.json").is_file() else []
            verify_checksums(folder, [*described, *files])
        self._batch_size = batch_size
        self._choice = choice
        self._predictor = Predictor(
            folder / choice.file,
            None if onnx or not spec.params else folder / spec.params,
            device=choice.device,
            threads=threads,
            bfloat16=choice.bfloat16,
            exported_with=spec.paddle,
            openvino=choice.backend == "openvino",
        )
        if precision == "bfloat16" and not self._predictor.bfloat16:
            raise ValueError("precision bfloat16 is not available: this processor has no instructions for it")
        if spec.height == 0:
            graph = self._predictor
            spec = fit_to_graph(spec, graph.path, graph.input_shapes[0], graph.input_dtypes[0])
        black = np.zeros((1, spec.height, spec.width, 3), np.uint8)
        shape = self._predictor.run(network_input(black, spec)).shape
        if spec.embedding_size == 0 and len(shape) == 2:
            spec = replace(spec, embedding_size=shape[1])
        if shape != (1, spec.embedding_size):
            where = f"{folder / 'encoder.json'}: output.embedding_size" if own else f"{folder / spec.model}"
            size = spec.embedding_size or "D"
            raise ValueError(f"{where}: expected (1, {size}) from the network for one crop, got {shape}")
        self.spec, self.folder = spec, folder

    @property
    def checksum(self) -> str | None:
        """SHA-256 of the ``.onnx`` file or of the folder's ``SHA256SUMS``; None if there is none."""
        return model_checksum(self._location)

    @classmethod
    def load(
        cls,
        directory: str | Path | None = None,
        *,
        device: str = "auto",
        batch_size: int = 64,
        threads: int | None = None,
        verify: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> Self:
        """Open a network; the same as ``AppearanceEncoder(directory, ...)``."""
        return cls(
            directory,
            device=device,
            batch_size=batch_size,
            threads=threads,
            verify=verify,
            backend=backend,
            precision=precision,
        )

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"<AppearanceEncoder {spec.name!r}: crops of {spec.height} x {spec.width}, {spec.embedding_size} "
            f"values, max_cosine_distance {spec.max_cosine_distance:g}>"
        )

    @property
    def embedding_size(self) -> int:
        """D of the embeddings."""
        return self.spec.embedding_size

    @property
    def max_cosine_distance(self) -> float:
        """The appearance threshold calibrated for this network."""
        return self.spec.max_cosine_distance

    def __call__(self, frame: NDArray[np.uint8], boxes: ArrayLike) -> NDArray[np.float32]:
        """Embed the boxes of one frame.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            boxes: ``(N, 4)`` xyxy pixels, N >= 0; clipped to the frame.

        Returns:
            ``(N, D)`` float32 unit rows; a zero row for a box without a pixel in the frame.

        Raises:
            ValueError: the frame or the boxes have the wrong shape or dtype, or boxes hold NaN.
        """
        return self.encode_batch([frame], [boxes])[0]

    def encode_batch(
        self, frames: Sequence[NDArray[np.uint8]], boxes: Sequence[ArrayLike]
    ) -> list[NDArray[np.float32]]:
        """Embed the boxes of several frames, batched together across the frames.

        Args:
            frames: ``(H, W, 3)`` uint8 BGR each; sizes may differ.
            boxes: for each frame its ``(N, 4)`` xyxy pixels.

        Returns:
            ``(N, D)`` unit rows for each frame, the same as for each frame alone. Warns if all of several
            boxes lie outside their frame.

        Raises:
            ValueError: as for one frame, or the numbers of frames and box arrays differ.
        """
        if len(frames) != len(boxes):
            raise ValueError(
                f"expected one array of boxes per frame, got {len(boxes)} for {len(frames)} frames"
            )
        for frame in frames:
            check_frame(frame)
        regions = [
            pixel_regions(frame_boxes, *frame.shape[:2])
            for frame_boxes, frame in zip(boxes, frames, strict=True)
        ]
        for region in regions:
            if len(region) > 1 and (region[:, 2:] <= region[:, :2]).any(axis=1).all():
                warnings.warn(_NO_PIXEL, stacklevel=2)
        rows = [np.zeros((len(region), self.embedding_size), np.float32) for region in regions]
        todo = [
            (at, int(row))
            for at, region in enumerate(regions)
            for row in np.flatnonzero((region[:, 2:] > region[:, :2]).all(axis=1))
        ]
        for start in range(0, len(todo), self._batch_size):
            part = todo[start : start + self._batch_size]
            batch = np.empty((len(part), self.spec.height, self.spec.width, 3), np.uint8)
            for crop, (at, row) in zip(batch, part, strict=True):
                crop_into(crop, frames[at], regions[at][row], self.spec.resize_mode, self.spec.interpolation)
            for (at, row), embedding in zip(part, self._embed(batch), strict=True):
                rows[at][row] = embedding
        return rows

    def embed_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed crops that already have the network's input size.

        Args:
            crops: ``(N, height, width, 3)`` uint8 BGR, as from `crop_boxes`.

        Returns:
            ``(N, D)`` unit rows.

        Raises:
            ValueError: the crops have another shape or dtype.
        """
        wanted = (self.spec.height, self.spec.width, 3)
        if crops.shape[1:] != wanted or crops.dtype != np.uint8:
            raise ValueError(
                f"crops must be (N, {wanted[0]}, {wanted[1]}, 3) uint8, got {crops.shape} {crops.dtype}"
            )
        rows = [
            self._embed(crops[start : start + self._batch_size])
            for start in range(0, len(crops), self._batch_size)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.embedding_size), np.float32)

    @property
    def computed_by(self) -> str:
        """Library and precision that compute the embeddings, such as ``openvino in bfloat16``."""
        precision = "int8" if self._choice.file == self.spec.int8 else "float32"
        return f"{self._choice.backend} in {'bfloat16' if self._predictor.bfloat16 else precision}"

    def _embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the unit rows of a batch of crops."""
        output: NDArray[np.float32] = self._predictor.run(network_input(batch, self.spec)).astype(
            np.float32, copy=False
        )
        if not np.isfinite(output).all():
            raise ValueError(f"{self._predictor.path}: the network returned NaN or infinity")
        return output if self.spec.normalized else unit_rows(output, len(batch))
