"""Geometry of axis-aligned boxes.

A box array is ``(N, 4)`` float64 ``x1, y1, x2, y2`` in absolute pixels, continuous:
width is ``x2 - x1``, without the ``+ 1`` of integer pixel grids. Two other layouts
exist at the edges and say so in their names: ``tlwh`` (left, top, width, height) in
MOTChallenge text and ``xyah`` (centre x, centre y, width / height, height) inside the
Kalman filter. Every function takes and returns whole arrays and never modifies them.
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
    """Return a C-contiguous ``(N, 4)`` float64 array; an empty sequence becomes ``(0, 4)``.

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
    """Corners of ``(N, 4)`` left, top, width, height boxes."""
    return np.concatenate([boxes_tlwh[:, :2], boxes_tlwh[:, :2] + boxes_tlwh[:, 2:]], axis=1)


def tlwh_from_xyxy(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left, top, width, height of ``(N, 4)`` boxes."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xyah_from_xyxy(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre x, centre y, width / height, height of ``(N, 4)`` boxes; heights must be positive."""
    size = boxes[:, 2:] - boxes[:, :2]
    boxes_xyah = np.empty((len(boxes), 4))
    np.add(boxes[:, :2], 0.5 * size, out=boxes_xyah[:, :2])
    np.divide(size[:, 0], size[:, 1], out=boxes_xyah[:, 2])
    boxes_xyah[:, 3] = size[:, 1]
    return boxes_xyah


def xyxy_from_xyah(boxes_xyah: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of ``(N, 4)`` centre x, centre y, width / height, height boxes."""
    half = 0.5 * boxes_xyah[:, 3:]  # (N, 1), of the height; in front of it goes that of the width
    half = np.concatenate([boxes_xyah[:, 2:3] * half, half], axis=1)
    return np.concatenate([boxes_xyah[:, :2] - half, boxes_xyah[:, :2] + half], axis=1)


def area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas in square pixels, ``(N,)``; a box with a negative side has area 0."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(size[:, 0] * size[:, 1])


def clip(boxes: NDArray[np.float64], height: float, width: float) -> NDArray[np.float64]:
    """Boxes cut to a frame of ``height`` x ``width`` pixels; one wholly outside becomes empty."""
    limits = np.array([width, height, width, height], dtype=np.float64)
    return np.clip(boxes, 0.0, limits)


def shared_area(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area that every pair has in common, ``(N, 4)`` and ``(M, 4)`` to ``(N, M)``."""
    # Two passes over the axes keep every temporary (N, M) instead of (N, M, 2).
    sides = []
    for low, high in ((0, 2), (1, 3)):
        side = np.minimum(boxes[:, high, None], others[None, :, high])  # (N, M)
        side -= np.maximum(boxes[:, low, None], others[None, :, low])
        sides.append(np.maximum(side, 0.0, out=side))
    return sides[0] * sides[1]


def iou(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every pair, ``(N, 4)`` and ``(M, 4)`` to ``(N, M)`` in [0, 1].

    A pair whose union is empty (two degenerate boxes) has IoU 0.
    """
    intersection = shared_area(boxes, others)
    union = area(boxes)[:, None] + area(others)[None, :] - intersection
    np.divide(intersection, union, out=intersection, where=union > 0)
    return intersection


def expanded(boxes: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Boxes grown on every side by ``margin`` times their own width and height."""
    grow = margin * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - grow, boxes[:, 2:] + grow], axis=1)
