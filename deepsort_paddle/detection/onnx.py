"""Detectors in ONNX files: YOLOX, YOLOv8-style and NanoDet heads, by ONNX Runtime."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.candidates import (
    class_confidences,
    class_ids,
    expect_confidence,
    expect_picture,
    select,
)
from deepsort_paddle.detection.onnx_heads import Head, recognise
from deepsort_paddle.inference.predictor import Predictor
from deepsort_paddle.structures import Detections

__all__ = ["COCO_LABELS", "OnnxDetector"]

# For an input of any size; what YOLOX and YOLOv8 are trained at.
DEFAULT_SIDE = 640
# YOLOX-nano's best F1 on PETS09 and MOT17-mini is the same at 0.5 and at the 0.65 of COCO's evaluation (0.84,
# 0.45), and a tracker wants one box a person.
MAX_IOU = 0.5

# The 80 classes of the COCO detection task (Lin et al., arXiv 1405.0312) in the usual order.
_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock,
vase, scissors, teddy bear, hair drier, toothbrush
"""
COCO_LABELS = tuple(name.strip() for name in _COCO.replace("\n", " ").split(","))


class OnnxDetector:
    """A detector from an ``.onnx`` file, its head recognised from its outputs; safe to share by threads.

    Attributes:
        head: the `Head` that was recognised.
        labels: class names by number.
        classes: the class numbers that it reports.
        confidence: its threshold.
        class_confidence: thresholds of single classes, by number, instead of it.
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
    ) -> None:
        """Open the file and run it once, on a grey picture, to see what it returns.

        Args:
            path: the ``.onnx`` file.
            confidence: boxes below it are dropped; None takes what suits the head.
            classes: numbers or names to report; None takes class 0, the person of COCO.
            class_confidence: thresholds of single classes, by number or name, instead of ``confidence``.
            device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
            threads: CPU threads; None takes every core this process may use.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: ONNX Runtime can't open it.
            ValueError: it is no detector of a known head, or an argument is wrong.
        """
        self._predictor = Predictor(path, device=device, threads=threads)
        shapes = self._predictor.input_shapes
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (3, -1) or shapes[0][0] > 1:
            raise ValueError(f"{path}: wanted a detector with one input (1, 3, H, W), got {shapes}")
        self._height, self._width = (side if side > 0 else DEFAULT_SIDE for side in shapes[0][2:])
        grey = np.full((self._height, self._width, 3), 114, np.uint8)
        try:
            self.head: Head = recognise(self._forward(grey), self._height, self._width)
        except ValueError as error:
            message = str(error)
            raise ValueError(message if str(path) in message else f"{path}: {message}") from error
        self.labels = _labels(self._predictor.metadata, self.head.class_count)
        self.classes = class_ids(classes, self.labels)
        self.confidence = expect_confidence(self.head.confidence if confidence is None else confidence)
        self.class_confidence = class_confidences(class_confidence, self.labels, self.classes)

    def __call__(self, frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        """Detections of one frame, in falling order of confidence.

        Args:
            frame_number: for the error when there is no picture.
            image: ``(H, W, 3)`` uint8 BGR.

        Raises:
            ValueError: there is no picture, or it has another shape or dtype.
        """
        picture = expect_picture(image, frame_number)
        canvas, scale, offset = fit(picture, self._height, self._width, self.head)
        outputs = self._forward(canvas, self.head)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite rows are dropped
            boxes, confidence, class_id = self.head.decode(outputs)
            return select(
                (boxes - np.tile(offset, 2)) / np.tile(scale, 2),
                confidence,
                class_id,
                frame_shape=picture.shape,
                min_confidence=self.confidence,
                classes=self.classes,
                max_iou=MAX_IOU,
                class_confidence=self.class_confidence,
            )

    def _forward(self, canvas: NDArray[np.uint8], head: Head | None = None) -> list[NDArray[Any]]:
        """The network's outputs for a picture of its input size."""
        pixels = canvas.astype(np.float32)
        if head is not None:
            pixels = pixels[..., ::-1] if head.rgb else pixels
            pixels = (pixels - np.array(head.mean, np.float32)) * np.array(head.scale, np.float32)
        return self._predictor.run_feeds({self._predictor.input_names[0]: pixels.transpose(2, 0, 1)[None]})


def fit(
    picture: NDArray[np.uint8], height: int, width: int, head: Head
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """A picture resized to a network's input, and how: input = scale * picture + offset, each x, y."""
    if not head.keep_ratio:
        scale = np.array([width / picture.shape[1], height / picture.shape[0]])
        return cv2.resize(picture, (width, height)), scale, np.zeros(2)  # type: ignore[return-value]
    ratio = min(height / picture.shape[0], width / picture.shape[1])
    # At least a pixel is left of a picture that is nothing but wide or high.
    inner_height = max(1, round(picture.shape[0] * ratio))
    inner_width = max(1, round(picture.shape[1] * ratio))
    top, left = ((height - inner_height) // 2, (width - inner_width) // 2) if head.centred else (0, 0)
    canvas = np.full((height, width, 3), head.padding, np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = cv2.resize(
        picture, (inner_width, inner_height)
    )
    scale = np.array([inner_width / picture.shape[1], inner_height / picture.shape[0]])
    return canvas, scale, np.array([left, top], dtype=np.float64)


def _labels(metadata: dict[str, str], count: int) -> tuple[str, ...]:
    """Class names: those in the export's metadata, COCO's where the number of classes fits, or numbers."""
    try:
        names = ast.literal_eval(metadata.get("names", ""))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # MemoryError: nested deeply
        names = None
    if isinstance(names, dict) and set(names) == set(range(count)):
        return tuple(str(names[number]) for number in range(count))
    if isinstance(names, list) and len(names) == count:
        return tuple(str(name) for name in names)
    return COCO_LABELS if count == len(COCO_LABELS) else tuple(f"class {number}" for number in range(count))
