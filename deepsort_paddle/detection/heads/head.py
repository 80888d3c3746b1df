"""A detector head: which image the network takes, and how its outputs become candidate boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KEEP_ALL",
    "NO_SCORES",
    "CandidateFilter",
    "Candidates",
    "Decode",
    "Head",
    "ImageFormat",
    "Outputs",
    "best_classes",
    "check_highest",
    "corners",
    "grid_cells",
]

Outputs = Sequence[NDArray[Any]]
# (N, 4) boxes xyxy in pixels of the network's input, (N,) confidence, (N,) class.
Candidates = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64]]
# float16 scores may pass 1 by a rounding error.
_HIGHEST_SCORE = 1.01
NO_SCORES = (
    "the outputs hold more than boxes and scores, as those of pose and oriented-box models do; export the "
    "detection model, or keep the exporter's metadata (task, names) in the file"
)


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """The image that a network takes.

    Attributes:
        keep_ratio: whether the image keeps its aspect ratio; the rest of the input is then padding.
        centred: whether padding goes to both sides instead of right and bottom.
        padding: its grey value.
        rgb: whether the network takes RGB; else BGR.
        mean: subtracted from the pixels, in the network's channel order.
        scale: the pixels are multiplied by it then.
    """

    keep_ratio: bool = True
    centred: bool = True
    padding: int = 114
    rgb: bool = True
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)


@dataclass(frozen=True, slots=True)
class CandidateFilter:
    """Which candidates a caller needs: a head may leave out the others, which saves most of the decoding.

    Attributes:
        classes: a candidate's score for one of them reaches `min_confidence`; None stands for all classes.
        min_confidence: the lowest threshold of any class.
    """

    classes: tuple[int, ...] | None = None
    min_confidence: float = -np.inf


KEEP_ALL = CandidateFilter()


class Decode(Protocol):
    """Reads the raw outputs for one image."""

    def __call__(self, outputs: Outputs, keep: CandidateFilter = KEEP_ALL, /) -> Candidates:
        """Return candidates of the outputs, at least those that pass the filter."""


@dataclass(frozen=True, slots=True)
class Head:
    """How one family of detectors takes its image and how its outputs are read.

    Attributes:
        name: the family.
        class_count: its number of classes; 0 where the outputs do not show it.
        confidence: the default threshold.
        image: the image that it takes.
        decode: candidates of the raw outputs, at least those that pass the filter.
        suppress: whether overlapping boxes are left for non-maximum suppression.
    """

    name: str
    class_count: int
    confidence: float
    image: ImageFormat
    decode: Decode
    suppress: bool = True


def best_classes(
    scores: NDArray[np.floating], keep: CandidateFilter
) -> tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.int64]]:
    """Return the rows of ``(N, classes)`` scores that pass the filter: indices, best score and its class.

    Raises:
        ValueError: a score is above 1, so the numbers are not scores.
    """
    if keep.classes is not None and len(keep.classes) == 1:
        asked = scores[:, keep.classes[0]]
    else:
        asked = (scores if keep.classes is None else scores[:, list(keep.classes)]).max(axis=1)
    rows = np.flatnonzero(asked >= keep.min_confidence)
    few = scores[rows]
    best = few.argmax(axis=1).astype(np.int64)
    confidence = few[np.arange(len(rows)), best]
    check_highest(confidence)
    return rows, confidence, best


def check_highest(confidence: NDArray[np.floating]) -> None:
    """Raise ValueError where a score is above 1, so that the numbers are no scores."""
    if len(confidence) and not confidence.max() <= _HIGHEST_SCORE:
        raise ValueError(f"expected scores from 0 to 1, got {float(confidence.max()):g}: {NO_SCORES}")


def corners(
    boxes_cxcywh: NDArray[np.floating], angle: NDArray[np.floating] | None = None
) -> NDArray[np.floating]:
    """``(N, 4)`` corners of boxes, or of the upright boxes around oriented ones.

    Args:
        boxes_cxcywh: ``(N, 4)`` centre x, y, width, height; what follows is left out.
        angle: ``(N,)`` radians.
    """
    centre, half = boxes_cxcywh[:, :2], 0.5 * boxes_cxcywh[:, 2:4]
    if angle is not None:
        cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
        half = np.stack([half[:, 0] * cos + half[:, 1] * sin, half[:, 0] * sin + half[:, 1] * cos], axis=1)
    return np.concatenate([centre - half, centre + half], axis=1)


def grid_cells(
    height: int, width: int, strides: Sequence[int], offset: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of every grid cell, stride by stride and row by row: ``(cells, 2)`` x, y and ``(cells, 1)`` stride."""
    points, sizes = [], []
    for stride in strides:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[:rows, :columns]
        points.append(np.stack([x, y], axis=2).reshape(-1, 2) + offset)
        sizes.append(np.full((rows * columns, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(sizes).astype(np.float32)
