"""HOTA (Luiten et al., IJCV 2021) and its parts, over all frames at once.

At each of 19 IoU thresholds, true boxes and results are matched and counted. The matching of a frame does not
depend on the threshold, except that pairs below it do not count (section 4.2 of the paper, as its authors'
TrackEval does it). So it is solved once, and the thresholds only count. A test compares with TrackEval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["THRESHOLDS", "HotaCounts", "count_hota"]

THRESHOLDS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True)
class HotaCounts:
    """Sums over the frames of one sequence or of several; arrays have a value for each threshold.

    Attributes:
        truth_boxes: number of true boxes.
        result_boxes: number of result boxes.
        matches: ``(19,)`` matched pairs.
        association: ``(19,)`` sum over the matched pairs of their association accuracy (equation 12).
        location: ``(19,)`` sum over the matched pairs of their IoU.
    """

    truth_boxes: int
    result_boxes: int
    matches: NDArray[np.float64]
    association: NDArray[np.float64]
    location: NDArray[np.float64]

    @classmethod
    def total(cls, counts: Sequence[HotaCounts]) -> HotaCounts:
        """The sums over several sequences."""
        return cls(
            truth_boxes=sum(count.truth_boxes for count in counts),
            result_boxes=sum(count.result_boxes for count in counts),
            matches=np.sum([count.matches for count in counts], axis=0),
            association=np.sum([count.association for count in counts], axis=0),
            location=np.sum([count.location for count in counts], axis=0),
        )

    def scores(self) -> dict[str, float]:
        """HOTA, DetA, AssA and LocA: means over the thresholds; LocA is NaN without any match."""
        detection = self.matches / np.maximum(1, self.truth_boxes + self.result_boxes - self.matches)
        association = self.association / np.maximum(1, self.matches)
        # As in TrackEval, a threshold that no match reaches counts as 1.
        location = np.divide(
            self.location, self.matches, out=np.ones(len(THRESHOLDS)), where=self.matches > 0
        )
        return {
            "hota": float(np.sqrt(detection * association).mean()),
            "deta": float(detection.mean()),
            "assa": float(association.mean()),
            "loca": float(location.mean()) if self.matches.any() else float("nan"),
        }


def count_hota(
    truth_ids: Sequence[NDArray[np.int64]],
    result_ids: Sequence[NDArray[np.int64]],
    ious: Sequence[NDArray[np.float64]],
) -> HotaCounts:
    """Match and count the boxes of a sequence.

    Args:
        truth_ids: ``(G,)`` a frame, numbered from 0.
        result_ids: ``(R,)`` a frame, numbered from 0.
        ious: ``(G, R)`` a frame.
    """
    truth_all, result_all = _joined(truth_ids), _joined(result_ids)
    truth_count, result_count = np.bincount(truth_all), np.bincount(result_all)
    shape = len(truth_count), len(result_count)
    frames = [frame for frame in zip(truth_ids, result_ids, ious, strict=True) if frame[2].size]

    together = np.zeros(shape)  # how far each person and each track share their frames, in IoU
    for truth, result, overlap in frames:
        union = overlap.sum(axis=1)[:, None] + overlap.sum(axis=0)[None, :] - overlap
        share = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > _EPSILON)
        together[truth[:, None], result[None, :]] += share
    either = truth_count[:, None] + result_count[None, :] - together
    alignment = np.divide(together, either, out=np.zeros(shape), where=either > 0)

    pairs: list[NDArray[np.int64]] = []
    overlaps: list[NDArray[np.float64]] = []
    for truth, result, overlap in frames:
        score = alignment[truth[:, None], result[None, :]] * overlap
        rows, columns = linear_sum_assignment(score, maximize=True)
        pairs.append(truth[rows] * shape[1] + result[columns])
        overlaps.append(overlap[rows, columns])
    return _counted(_joined(pairs), np.concatenate([np.zeros(0), *overlaps]), truth_count, result_count)


def _counted(
    pairs: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    truth_count: NDArray[np.int64],
    result_count: NDArray[np.int64],
) -> HotaCounts:
    """Count matched pairs of person and track, each as one number, at every threshold."""
    distinct, which = np.unique(pairs, return_inverse=True)
    persons, tracks = np.divmod(distinct, max(1, len(result_count)))
    boxes = truth_count[persons] + result_count[tracks]  # of the two
    reached = overlaps[None, :] >= THRESHOLDS[:, None] - _EPSILON  # (19, matches)
    matches = reached.sum(axis=1).astype(np.float64)
    location = (reached * overlaps).sum(axis=1)
    association = np.zeros(len(THRESHOLDS))
    for place, row in enumerate(reached):
        common = np.bincount(which[row], minlength=len(distinct))
        association[place] = (common * (common / np.maximum(1, boxes - common))).sum()
    return HotaCounts(int(truth_count.sum()), int(result_count.sum()), matches, association, location)


def _joined(arrays: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All arrays end to end; none are an empty one."""
    return np.concatenate([np.zeros(0, np.int64), *arrays])
