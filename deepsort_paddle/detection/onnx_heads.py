"""What the heads of common ONNX detectors mean: input conventions and box decoding.

A detector's file doesn't say how it was trained, but the shapes of its outputs give it away: the number
of grid cells of an input of known size is a fingerprint, and the other axis tells boxes
from classes. Each head is written here from the paper or the exporting project's documented format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidates", "Head", "recognise"]

Outputs = Sequence[NDArray[np.float32]]
Candidates = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64]]
STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class Head:
    """How one family of detectors wants its picture and how its outputs are read.

    Attributes:
        name: the family.
        class_count: its number of classes.
        confidence: the threshold that suits its scores: near the best F1 of YOLOX-nano (0.32) and NanoDet-m
            (0.33) on PETS09 frames 1 to 50 and MOT17-mini together.
        keep_ratio: whether the picture keeps its aspect ratio; the rest of the input is then padding.
        centred: whether padding goes to both sides instead of right and bottom.
        padding: its grey value.
        rgb: whether the network takes RGB; else BGR.
        mean: subtracted from the pixels, in the network's channel order.
        scale: the pixels are multiplied by it then.
        decode: candidates of the raw outputs: ``(N, 4)`` xyxy pixels of the network's input,
            ``(N,)`` confidence, ``(N,)`` class.
    """

    name: str
    class_count: int
    confidence: float
    keep_ratio: bool
    centred: bool
    padding: int
    rgb: bool
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    decode: Callable[[Outputs], Candidates]


def recognise(outputs: Outputs, height: int, width: int) -> Head:
    """The head to which a network's outputs belong.

    Args:
        outputs: what the network returned for one picture.
        height: of its input.
        width: of its input.

    Raises:
        ValueError: no head that this package knows returns such shapes.
    """
    cells = [-(-height // stride) * -(-width // stride) for stride in STRIDES]
    shapes = [output.shape for output in outputs]
    # Extra outputs (masks, prototypes) of a network with boxes first are no hindrance.
    if len(shapes[0]) == 3 and shapes[0][0] == 1:
        _, rows, columns = shapes[0]
        if rows == sum(cells) and columns > 5:
            return yolox(height, width, columns - 5)
        if columns == sum(cells) and rows > 4 and len(outputs) == 1:
            return yolov8(rows - 4)
    flat = [shape[1:] if len(shape) == 3 and shape[0] == 1 else shape for shape in shapes]
    if len(flat) == 6 and all(len(shape) == 2 for shape in flat):
        classes, sides = [shape[1] for shape in flat[:3]], [shape[1] for shape in flat[3:]]
        in_order = [shape[0] for shape in flat] == cells * 2
        if in_order and len(set(classes)) == 1 and len(set(sides)) == 1 and sides[0] % 4 == 0:
            return nanodet(height, width, classes[0])
    raise ValueError(
        f"outputs {', '.join(str(shape) for shape in shapes)} of an input of {height} x {width} belong to "
        "none of the known heads: YOLOX (1, cells, 5 + classes), YOLOv8 (1, 4 + classes, cells), "
        "NanoDet (three of (cells, classes), then three of (cells, 4 * bins))"
    )


def yolox(height: int, width: int, class_count: int) -> Head:
    """YOLOX (Ge et al., arXiv 2107.08430), exported without decoding in the graph.

    A row is x, y offset from its cell in strides, log of width, height in strides, objectness, classes.
    """
    corner, stride = _cells(height, width, offset=0.0)

    def decode(outputs: Outputs) -> Candidates:
        rows = outputs[0][0]  # (cells, 5 + classes)
        centre = (rows[:, :2] + corner) * stride
        # A log size over 20 is no box: exp would overflow.
        half = 0.5 * np.exp(np.minimum(rows[:, 2:4], 20)) * stride
        scores = rows[:, 4:5] * rows[:, 5:]
        return np.concatenate([centre - half, centre + half], axis=1), *_best(scores)

    return Head(
        name="YOLOX",
        class_count=class_count,
        confidence=0.35,
        keep_ratio=True,
        centred=False,
        padding=114,
        rgb=False,
        mean=(0.0, 0.0, 0.0),
        scale=(1.0, 1.0, 1.0),
        decode=decode,
    )


def yolov8(class_count: int) -> Head:
    """YOLOv8 and its successors with the same output: columns of centre x, y, width, height, classes."""

    def decode(outputs: Outputs) -> Candidates:
        rows = outputs[0][0].T  # (cells, 4 + classes)
        centre, half = rows[:, :2], 0.5 * rows[:, 2:4]
        return np.concatenate([centre - half, centre + half], axis=1), *_best(rows[:, 4:])

    return Head(
        name="YOLOv8",
        class_count=class_count,
        confidence=0.35,
        keep_ratio=True,
        centred=True,
        padding=114,
        rgb=True,
        mean=(0.0, 0.0, 0.0),
        scale=(1 / 255, 1 / 255, 1 / 255),
        decode=decode,
    )


def nanodet(height: int, width: int, class_count: int) -> Head:
    """NanoDet-m: class scores at three strides, then distributions of the four sides' distances.

    A side's distance in strides is the expectation over bins 0, 1, 2... (Generalized Focal Loss, Li et
    al., arXiv 2006.04388, section 3).
    """
    centre, stride = _cells(height, width, offset=0.5)

    def decode(outputs: Outputs) -> Candidates:
        flat = [output.reshape(-1, output.shape[-1]) for output in outputs]
        scores, sides = np.concatenate(flat[:3]), np.concatenate(flat[3:])
        bins = sides.reshape(len(sides), 4, -1)  # (cells, 4, bins)
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        distance = (weights @ np.arange(bins.shape[2])) * stride  # (cells, 4): left, top, right, bottom
        boxes = np.concatenate([centre * stride - distance[:, :2], centre * stride + distance[:, 2:]], axis=1)
        return boxes, *_best(scores)

    return Head(
        name="NanoDet",
        class_count=class_count,
        confidence=0.35,
        # Average precision on PETS09 0.82, against 0.77 when the picture is stretched to the input.
        keep_ratio=True,
        centred=True,
        padding=0,
        rgb=False,
        # ImageNet's, in the order BGR.
        mean=(103.53, 116.28, 123.675),
        scale=(1 / 57.375, 1 / 57.12, 1 / 58.395),
        decode=decode,
    )


def _cells(height: int, width: int, offset: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of every grid cell, stride by stride and row by row: ``(cells, 2)`` x, y and ``(cells, 1)`` stride."""
    points, strides = [], []
    for stride in STRIDES:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[:rows, :columns]
        points.append(np.stack([x, y], axis=2).reshape(-1, 2) + offset)
        strides.append(np.full((rows * columns, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _best(scores: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """The best class of each row of ``(N, classes)`` and its score."""
    best = scores.argmax(axis=1).astype(np.int64)
    return scores[np.arange(len(scores)), best], best
