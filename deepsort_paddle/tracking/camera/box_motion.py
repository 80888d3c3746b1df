"""Estimate the camera motion between two frames from boxes, as a ``(2, 3)`` affine map of pixels.

`motion_from_boxes` takes the shift that most tracks share, relative to their predictions, as the camera
motion. It needs no image, takes a fraction of a millisecond (methods on images take milliseconds to tens of
milliseconds), and works if only the detections of a video exist. The tracker passes the tracks of the
previous frame: their velocities contain steady motion, so a common error of their predictions is a jerk of
the camera.

With a still camera, a few people who stop or turn share a shift by chance. So the shift is shrunk according
to the scatter of the boxes around it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import expanded, iou

__all__ = ["common_shift", "motion_from_boxes", "shrinkage"]

# Pairs are mutual best overlaps. The first round uses larger boxes and finds a rough shift; the next rounds
# apply the shift and pair the boxes again.
_ROUNDS = 3
_FIRST_MARGIN = 0.3
_MIN_IOU = 0.3
# For normal errors: standard deviation / median absolute deviation, and standard error of a median / that of
# a mean, sqrt(pi / 2). For N values the former is biased by about (N - 0.8) / N (Croux and Rousseeuw,
# "Time-efficient algorithms for two highly robust estimators of scale", 1992, for N above 9).
_DEVIATION_PER_MAD = 1.4826
_MEDIAN_ERROR = 1.2533
_SMALL_SAMPLE = 0.8


def motion_from_boxes(
    predicted: NDArray[np.float64], boxes: NDArray[np.float64], *, min_pairs: int
) -> NDArray[np.float64]:
    """Estimate the shift that most boxes share, relative to their predictions.

    Args:
        predicted: ``(T, 4)`` xyxy, predicted boxes of the tracks in this frame.
        boxes: ``(N, 4)`` xyxy, detections of this frame.
        min_pairs: smallest number of pairs for an estimate.

    Returns:
        ``(2, 3)``: a translation by the common shift times its `shrinkage`; the identity for too few pairs.
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
    return np.column_stack([np.eye(2), shrinkage((shift**2).sum(), chance) * shift])


def common_shift(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Compute the median of steps and the squared length that it has by chance.

    Args:
        steps: ``(N, 2)`` pixels, N at least 1.

    Returns:
        The median, ``(2,)``, and the expected square of its length if the steps share nothing: the sum of the
        squared standard errors in x and y, from the scatter of the steps.
    """
    count = len(steps)
    shift: NDArray[np.float64] = np.median(steps, axis=0)
    scale = _DEVIATION_PER_MAD * count / (count - _SMALL_SAMPLE)
    deviation = scale * np.median(np.abs(steps - shift), axis=0)
    return shift, float(((_MEDIAN_ERROR * deviation) ** 2).sum()) / count


def shrinkage(energy: float, chance: float) -> float:
    """Compute the shrinkage factor of a shift, the gain of a Wiener filter.

    Args:
        energy: squared length of the shift.
        chance: squared length expected by chance.

    Returns:
        The factor, in [0, 1].
    """
    return max(0.0, 1.0 - chance / energy) if energy > 0 else 0.0


def mutual_best(
    boxes: NDArray[np.float64], others: NDArray[np.float64], min_iou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find pairs in which each box is the other's best overlap.

    Args:
        boxes: ``(N, 4)`` xyxy.
        others: ``(M, 4)`` xyxy.
        min_iou: smallest IoU of a pair.

    Returns:
        ``(K,)`` rows of ``boxes`` and ``(K,)`` rows of ``others``.
    """
    overlap = iou(boxes, others)
    if 0 in overlap.shape:
        none = np.zeros(0, np.int64)
        return none, none
    best = overlap.argmax(axis=1)
    rows = np.arange(len(boxes))
    mutual = np.flatnonzero((overlap.argmax(axis=0)[best] == rows) & (overlap[rows, best] >= min_iou))
    return mutual, best[mutual]
