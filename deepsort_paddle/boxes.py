"""Geometry of axis-aligned boxes.

A box array is ``(N, 4)`` float64 ``x1, y1, x2, y2`` in absolute pixels. Coordinates are continuous: the width
is ``x2 - x1``, without the ``+ 1`` of integer pixel grids. Arrays in two other layouts have them in their
names: ``tlwh`` (left, top, width, height) in MOTChallenge text and ``xyah`` (centre x, centre y, width /
height, height) in the Kalman filter. The functions take and return whole arrays and never modify them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "area",
    "as_boxes",
    "clip",
    "expanded",
    "iou",
    "shared_area",
    "tlwh_from_xyxy",
    "xyah_from_xyxy",
    "xyxy_from_tlwh",
    "xyxy_from_xyah",
]


def as_boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    """Convert to a box array.

    Args:
        boxes: ``(N, 4)`` numbers, or an empty sequence.

    Returns:
        ``(N, 4)`` float64, C-contiguous; ``(0, 4)`` for an empty sequence.

    Raises:
        ValueError: the shape is not ``(N, 4)``.
    """
    try:
        array = np.ascontiguousarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"boxes must be (N, 4) numbers, got {type(boxes).__name__}") from None
    if array.size == 0 and array.ndim <= 2:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4), got {array.shape}")
    return array


def xyxy_from_tlwh(boxes_tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert ``(N, 4)`` left, top, width, height to ``(N, 4)`` x1, y1, x2, y2."""
    return np.concatenate([boxes_tlwh[:, :2], boxes_tlwh[:, :2] + boxes_tlwh[:, 2:]], axis=1)


def tlwh_from_xyxy(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert ``(N, 4)`` x1, y1, x2, y2 to ``(N, 4)`` left, top, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xyah_from_xyxy(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert ``(N, 4)`` x1, y1, x2, y2 to ``(N, 4)`` centre x, centre y, width / height, height.

    Heights must be positive.
    """
    size = boxes[:, 2:] - boxes[:, :2]
    boxes_xyah = np.empty((len(boxes), 4))
    np.add(boxes[:, :2], 0.5 * size, out=boxes_xyah[:, :2])
    np.divide(size[:, 0], size[:, 1], out=boxes_xyah[:, 2])
    boxes_xyah[:, 3] = size[:, 1]
    return boxes_xyah


def xyxy_from_xyah(boxes_xyah: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert ``(N, 4)`` centre x, centre y, width / height, height to ``(N, 4)`` x1, y1, x2, y2."""
    half_height = 0.5 * boxes_xyah[:, 3:]  # (N, 1)
    half = np.concatenate([boxes_xyah[:, 2:3] * half_height, half_height], axis=1)  # (N, 2)
    return np.concatenate([boxes_xyah[:, :2] - half, boxes_xyah[:, :2] + half], axis=1)


def area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas of ``(N, 4)`` boxes in square pixels, ``(N,)``; 0 for a negative width or height."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(size[:, 0] * size[:, 1])


def clip(boxes: NDArray[np.float64], height: float, width: float) -> NDArray[np.float64]:
    """Clip boxes to a frame.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        height: of the frame, pixels.
        width: of the frame, pixels.

    Returns:
        ``(N, 4)``; a box completely outside the frame becomes empty.
    """
    limits = np.array([width, height, width, height], dtype=np.float64)
    return np.clip(boxes, 0.0, limits)


def shared_area(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the intersection area of every pair.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        others: ``(M, 4)`` xyxy pixels.

    Returns:
        ``(N, M)`` square pixels.
    """
    # Two passes over the axes keep every temporary (N, M) instead of (N, M, 2).
    sides = []
    for low, high in ((0, 2), (1, 3)):
        side = np.minimum(boxes[:, high, None], others[None, :, high])  # (N, M)
        side -= np.maximum(boxes[:, low, None], others[None, :, low])
        sides.append(np.maximum(side, 0.0, out=side))
    return sides[0] * sides[1]


def iou(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the intersection over union of every pair.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        others: ``(M, 4)`` xyxy pixels.

    Returns:
        ``(N, M)`` in [0, 1]; 0 for two degenerate boxes, whose union is empty.
    """
    intersection = shared_area(boxes, others)
    union = area(boxes)[:, None] + area(others)[None, :] - intersection
    np.divide(intersection, union, out=intersection, where=union > 0)
    return intersection


def expanded(boxes: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Grow boxes on every side by ``margin`` times their own width and height.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        margin: fraction of the box's width (left and right) and height (top and bottom).

    Returns:
        ``(N, 4)`` xyxy pixels.
    """
    grow = margin * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - grow, boxes[:, 2:] + grow], axis=1)
