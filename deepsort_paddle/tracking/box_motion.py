"""How the picture moved from one frame to the next, as a ``(2, 3)`` affine map of pixels.

`motion_from_boxes` needs no picture: what most tracks did alike against their own prediction, the camera did.
It costs a fraction of a millisecond, while methods on pictures cost milliseconds to tens of them, and works
where only detections are left of a video. A tracker feeds it the tracks seen in the frame before, whose
prediction fails by little else than a jerk of the camera; steady motion is in their velocities already.

A few people who stop or turn have something in common by chance where the camera stands still. A shift is
therefore believed only as far as it stands out from the scatter of the boxes around it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import expanded, iou

__all__ = ["believed_part", "common_shift", "motion_from_boxes"]

# Pairs are the mutual best overlaps. The first round looks farther and finds the rough shift,
# the next ones pair the boxes anew after it.
_ROUNDS = 3
_FIRST_MARGIN = 0.3
_MIN_IOU = 0.3
# Of normal errors: standard deviations in a median absolute deviation, and of a median in those of a mean,
# sqrt(pi / 2). The former is too small by about (N - 0.8) / N for N values (Croux and Rousseeuw,
# "Time-efficient algorithms for two highly robust estimators of scale", 1992, for N above 9).
_DEVIATION = 1.4826
_MEDIAN = 1.2533
_FEW = 0.8


def motion_from_boxes(
    predicted: NDArray[np.float64], boxes: NDArray[np.float64], *, min_pairs: int
) -> NDArray[np.float64]:
    """The shift that most boxes have in common against their prediction.

    Args:
        predicted: ``(T, 4)`` xyxy where tracks should be in this frame.
        boxes: ``(N, 4)`` xyxy detections of this frame.
        min_pairs: the smallest number of pairs that is believed.

    Returns:
        ``(2, 3)``: a translation by the believed part of the pairs' common shift; the identity where they are
        too few.
    """
    shift = np.zeros(2)
    for step in range(_ROUNDS):
        margin = _FIRST_MARGIN if step == 0 else 0.0
        rows, columns = mutual_best(
            expanded(predicted + np.tile(shift, 2), margin), expanded(boxes, margin), _MIN_IOU
        )
        if len(rows) < max(min_pairs, 1):
            return np.eye(2, 3)
        residual = boxes[columns] - predicted[rows]
        steps = 0.5 * (residual[:, :2] + residual[:, 2:])
        shift = np.median(steps, axis=0)
    shift, chance = common_shift(steps)
    return np.column_stack([np.eye(2), believed_part((shift**2).sum(), chance) * shift])


def common_shift(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """What ``(N, 2)`` steps have in common, N at least 1.

    Returns:
        ``(2,)`` their median, and the square of its length to be expected by chance where they have nothing
        in common: one squared standard error, by the scatter of the steps, in x and one in y.
    """
    count = len(steps)
    shift: NDArray[np.float64] = np.median(steps, axis=0)
    deviation = _DEVIATION * count / (count - _FEW) * np.median(np.abs(steps - shift), axis=0)
    return shift, float(((_MEDIAN * deviation) ** 2).sum()) / count


def believed_part(energy: float, chance: float) -> float:
    """The part of a shift of squared length ``energy`` that is no chance, as the gain of a Wiener filter."""
    return max(0.0, 1.0 - chance / energy) if energy > 0 else 0.0


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
