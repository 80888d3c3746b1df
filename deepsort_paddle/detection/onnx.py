"""Detectors in ONNX files: YOLO, NanoDet and detection-transformer heads, by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.detection.candidates import (
    NO_BFLOAT16,
    check_precision,
    class_confidences,
    class_ids,
    expect_confidence,
    has_pixels,
    select,
)
from deepsort_paddle.detection.frame_networks import FrameNetworks, SizedNetwork
from deepsort_paddle.detection.heads.export_metadata import ExportMetadata
from deepsort_paddle.detection.heads.head import CandidateFilter, Head, ImageFormat
from deepsort_paddle.detection.heads.recognition import HOW_TO_EXPORT, recognise
from deepsort_paddle.detection.image_input import fit, planes
from deepsort_paddle.detection.labels import label_classes, person_classes
from deepsort_paddle.inference.openvino import ImageInput, computes_bfloat16
from deepsort_paddle.inference.predictor import Predictor
from deepsort_paddle.structures import Detections

__all__ = ["OnnxDetector"]

# For an input of any size; what YOLOX and YOLOv8 are trained at.
DEFAULT_SIDE = 640
# YOLOX-nano's best F1 on PETS09 and MOT17-mini is the same at 0.5 and at the 0.65 of COCO's evaluation (0.84,
# 0.45), and a tracker needs one box per person.
MAX_IOU = 0.5
# RT-DETR and D-FINE ask for the size, width first, in whose pixels they report boxes.
_SIZE_INPUT = "orig_target_sizes"
_GREY = 114  # as of padding


class OnnxDetector:
    """A detector from an ``.onnx`` file, its head recognised from its outputs; safe to share by threads.

    Attributes:
        path: the file.
        head: the `Head` that was recognised.
        computed_by: library and precision, such as ``onnxruntime in float32``.
        metadata: what the file says about itself.
        labels: class names by number.
        classes: the class numbers that it reports.
        confidence: its threshold.
        class_confidence: thresholds of single classes, by number, instead of it.

    Example:
        >>> detector = OnnxDetector("yolox_nano.onnx", confidence=0.4)  # doctest: +SKIP
        >>> detector(1, image).boxes.shape  # doctest: +SKIP
        (7, 4)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        confidence: float | None = None,
        classes: Sequence[int | str] | None = None,
        class_confidence: Mapping[int | str, float] | None = None,
        device: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
    ) -> None:
        """Open the file and run it once, on a grey image, to see what it returns.

        Args:
            path: the ``.onnx`` file.
            confidence: boxes below it are dropped; None takes what suits the head.
            classes: numbers or names to report; None takes the classes that the file calls people.
            class_confidence: thresholds of single classes, by number or name, instead of ``confidence``.
            device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
            threads: CPU threads; None takes every core this process may use.
            precision: ``float32``, by ONNX Runtime, or ``bfloat16``, by OpenVINO on a CPU with instructions
                for it: faster, with boxes that differ a little (figures: benchmarks/pipeline). ``auto``
                is float32 here; `deepsort_paddle.detection.agreement.fastest` compares the two.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: ONNX Runtime or OpenVINO can't open it.
            ImportError: `precision` needs OpenVINO, which is not installed.
            ValueError: it is no detector of a known head, has no class of people, or an argument is wrong.
        """
        check_precision(precision)
        self.path = Path(path)
        self._predictor = Predictor(path, device=device, threads=threads)
        self._threads = threads
        self.metadata = ExportMetadata.parse(self._predictor.metadata)
        self._image_input, self._height, self._width, self._dtype = self._check_inputs(path)
        grey = np.full((self._height, self._width, 3), _GREY, np.uint8)
        try:
            self.head = self._recognised(self._run(grey, ImageFormat()), self._height, self._width)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        names = self.metadata.names
        self.labels = label_classes(names, self.head.class_count)
        people = person_classes(self.labels, str(path), named=bool(names)) if classes is None else ()
        self.classes = class_ids(classes, self.labels, default=people)
        self.default_confidence = self.head.confidence
        self.confidence = expect_confidence(self.head.confidence if confidence is None else confidence)
        self.class_confidence = class_confidences(class_confidence, self.labels, self.classes)
        lowest = min([self.confidence, *self.class_confidence.values()])
        self._filter = CandidateFilter(tuple(self.classes), lowest)
        self._networks = FrameNetworks(self._in_float32, self._height, self._width, may_fit=False)
        self.computed_by = "onnxruntime in float32"
        if precision == "bfloat16":
            self._compute_in_bfloat16()

    @property
    def on_gpu(self) -> bool:
        """Whether the network runs on a GPU."""
        return self._predictor.on_gpu

    def in_bfloat16(self) -> Self:
        """Return the same detector in bfloat16, by OpenVINO, compiled for the shape of the frames.

        Raises:
            ImportError: OpenVINO is not installed.
            ValueError: the processor has no instructions for bfloat16.
        """
        other = copy.copy(self)
        other._compute_in_bfloat16()
        return other

    def __call__(self, frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        """Detections of one frame, in falling order of confidence.

        Args:
            frame_number: for error messages.
            image: ``(H, W, 3)`` uint8 BGR; without one, or without pixels, nothing is detected.

        Raises:
            ValueError: the image has another shape or dtype, or the network's numbers are no scores.
        """
        if not has_pixels(image):
            return Detections.empty()
        network = self._networks.fitting(*image.shape[:2])
        canvas, scale, offset = fit(image, network.height, network.width, network.head.image)
        outputs = network.run(canvas)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite rows are dropped
            try:
                boxes, confidence, class_id = network.head.decode(outputs, self._filter)
            except ValueError as error:
                raise ValueError(f"{self._predictor.path}, frame {frame_number}: {error}") from error
            return select(
                (boxes - np.tile(offset, 2)) / np.tile(scale, 2),
                confidence,
                class_id,
                frame_shape=image.shape,
                min_confidence=self.confidence,
                classes=self.classes,
                max_iou=MAX_IOU if self.head.suppress else 1.0,
                class_confidence=self.class_confidence,
            )

    def _check_inputs(self, path: str | Path) -> tuple[str, int, int, str]:
        """Name, height, width and dtype of the input for the image.

        Raises:
            ValueError: the network takes something else.
        """
        inputs = dict(
            zip(
                self._predictor.input_names,
                zip(self._predictor.input_shapes, self._predictor.input_dtypes, strict=True),
                strict=True,
            )
        )
        if {"scale_factor", "im_shape"} & inputs.keys():
            raise ValueError(
                f"{path}: an export of PaddleDetection, converted to ONNX: give the folder with infer_cfg.yml"
            )
        name = next((name for name in inputs if name != _SIZE_INPUT), "")
        shape, dtype = inputs.get(name, ((), ""))
        if set(inputs) - {name, _SIZE_INPUT} or len(shape) != 4 or shape[1] not in (3, -1) or shape[0] > 1:
            got = ", ".join(f"{name} {shape}" for name, (shape, _) in inputs.items())
            raise ValueError(
                f"{path}: expected a detector with one input (1, 3, H, W), got {got}: {HOW_TO_EXPORT}"
            )
        if dtype not in ("float32", "float16"):
            raise ValueError(f"{path}: expected an input of float32 or float16, got {dtype}: {HOW_TO_EXPORT}")
        sizes = self.metadata.image_size or (DEFAULT_SIDE, DEFAULT_SIDE)
        height, width = (side if side > 0 else size for side, size in zip(shape[2:], sizes, strict=True))
        return name, height, width, dtype

    def _recognised(self, outputs: Sequence[NDArray[Any]], height: int, width: int) -> Head:
        """Return the head of the outputs for a grey image; raise ValueError if there is none."""
        named = dict(zip(self._predictor.output_names, outputs, strict=True))
        return recognise(named, height, width, self.metadata)

    def _compute_in_bfloat16(self) -> None:
        """Run the network by OpenVINO from now on."""
        if not computes_bfloat16():
            raise ValueError(NO_BFLOAT16)
        grid = self.head.suppress and self.head.image.keep_ratio
        self._networks = FrameNetworks(self._in_bfloat16, self._height, self._width, may_fit=grid)
        self.computed_by = "openvino in bfloat16"

    def _in_float32(self, height: int, width: int) -> SizedNetwork:
        """Return the network as ONNX Runtime runs it."""
        return SizedNetwork(height, width, self.head, lambda canvas: self._run(canvas, self.head.image))

    def _in_bfloat16(self, height: int, width: int) -> SizedNetwork:
        """Return the network compiled by OpenVINO, with the conversion of the image.

        Raises:
            OSError: OpenVINO cannot compile it for this size.
            ValueError: its outputs for this size belong to another head.
        """
        image = self.head.image
        predictor = Predictor(
            self.path,
            threads=self._threads,
            bfloat16=True,
            openvino=True,
            image=ImageInput(self._image_input, height, width, image.rgb, image.mean, image.scale),
        )
        size = {_SIZE_INPUT: np.array([[width, height]], np.int64)}
        size = {name: value for name, value in size.items() if name in predictor.input_names}

        def run(canvas: NDArray[np.uint8]) -> list[NDArray[Any]]:
            return predictor.run_feeds({self._image_input: canvas[None], **size})

        head = self.head
        if (height, width) != (self._height, self._width):
            head = self._recognised(run(np.full((height, width, 3), _GREY, np.uint8)), height, width)
            if head.name != self.head.name:
                raise ValueError(f"{self.path}: expected {self.head.name}, got {head.name}")
        return SizedNetwork(height, width, head, run)

    def _run(self, canvas: NDArray[np.uint8], image: ImageFormat) -> list[NDArray[Any]]:
        """Return the outputs of ONNX Runtime for an image of the network's own size."""
        feeds: dict[str, NDArray[Any]] = {
            self._image_input: planes(canvas, image).astype(self._dtype, copy=False),
            _SIZE_INPUT: np.array([[self._width, self._height]], np.int64),
        }
        return self._predictor.run_feeds({name: feeds[name] for name in self._predictor.input_names})
