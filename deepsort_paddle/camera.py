"""How the picture moved from one frame to the next, as a ``(2, 3)`` affine map of pixels.

`motion_from_boxes` needs no picture: what most tracks did alike against their own prediction, the camera did.
It costs a fraction of a millisecond, while methods on pictures cost milliseconds to tens of them, and works
where only detections are left of a video. A tracker feeds it the tracks seen in the frame before, whose
prediction fails by little else than a jerk of the camera; steady motion is in their velocities already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import expanded, iou

__all__ = ["motion_from_boxes"]

# Pairs are the mutual best overlaps. The first round looks farther and finds the rough shift,
# the next ones pair the boxes anew after it.
_ROUNDS = 3
_FIRST_MARGIN = 0.3
_MIN_IOU = 0.3


def motion_from_boxes(
    predicted: NDArray[np.float64], boxes: NDArray[np.float64], *, min_pairs: int
) -> NDArray[np.float64]:
    """The shift that most boxes have in common against their prediction.

    Args:
        predicted: ``(T, 4)`` xyxy where tracks should be in this frame.
        boxes: ``(N, 4)`` xyxy detections of this frame.
        min_pairs: the smallest number of pairs that is believed.

    Returns:
        ``(2, 3)``: a translation by the median over the pairs; the identity where there are too few.
    """
    shift = np.zeros(2)
    for step in range(_ROUNDS):
        margin = _FIRST_MARGIN if step == 0 else 0.0
        rows, columns = mutual_best(
            expanded(predicted + np.tile(shift, 2), margin), expanded(boxes, margin), _MIN_IOU
        )
        if len(rows) < max(min_pairs, 1):
            shift = np.zeros(2)
            break
        residual = boxes[columns] - predicted[rows]
        shift = np.median(0.5 * (residual[:, :2] + residual[:, 2:]), axis=0)
    return np.column_stack([np.eye(2), shift])


def mutual_best(
    boxes: NDArray[np.float64], others: NDArray[np.float64], min_iou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs in which each box is the other's best overlap, of at least ``min_iou``: rows and columns."""
    overlap = iou(boxes, others)
    if 0 in overlap.shape:
        none = np.zeros(0, np.int64)
        return none, none
    best = overlap.argmax(axis=1)
    rows = np.arange(len(boxes))
    mutual = np.flatnonzero((overlap.argmax(axis=0)[best] == rows) & (overlap[rows, best] >= min_iou))
    return mutual, best[mutual]
