"""CLEAR MOT and identity measures, with the figures of motmetrics.

CLEAR (Bernardin and Stiefelhagen, 2008): a person keeps the track that it last had while the two overlap; the
others are matched so that most pairs overlap, and these most. Identity (Ristani et al., 2016): one track for
each person, so that most boxes agree. motmetrics builds a table of events for this, in three times the CPU
time; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["MIN_IOU", "ClearCounts", "count_clear"]

# A pair below this overlap is never a match, in all of MOTChallenge's measures but HOTA.
MIN_IOU = 0.5
_TRACKED, _LOST = 0.8, 0.2  # share of a person's boxes: mostly tracked from, mostly lost below


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearCounts:
    """Counts over the frames of one sequence, or of several together."""

    frames: int
    truth_ids: int
    truth_boxes: int
    result_boxes: int
    id_switches: int
    fragmentations: int
    false_positives: int
    false_negatives: int
    mostly_tracked: int
    mostly_lost: int
    matches: int = field(metadata={"shown": False})
    distance: float = field(metadata={"shown": False})  # sum of 1 - IoU of the matches
    identity_matches: int = field(metadata={"shown": False})

    @classmethod
    def total(cls, counts: Sequence[ClearCounts]) -> ClearCounts:
        """The sums over several sequences."""
        names = [column.name for column in fields(cls)]
        return cls(**{name: sum(getattr(count, name) for count in counts) for name in names})

    def scores(self) -> dict[str, float]:
        """Return the counts and their ratios; a ratio with the divisor 0 is NaN."""
        shown = [column.name for column in fields(self) if column.metadata.get("shown", True)]
        missed = self.false_negatives + self.id_switches + self.false_positives
        both = self.truth_boxes + self.result_boxes
        return {name: getattr(self, name) for name in shown} | {
            "mota": 1.0 - _ratio(missed, self.truth_boxes),
            "motp": 1.0 - _ratio(self.distance, self.matches),
            "idf1": _ratio(2 * self.identity_matches, both),
            "idp": _ratio(self.identity_matches, self.result_boxes),
            "idr": _ratio(self.identity_matches, self.truth_boxes),
            "recall": _ratio(self.matches, self.truth_boxes),
            "precision": _ratio(self.matches, self.result_boxes),
        }


def count_clear(
    truth_ids: Sequence[NDArray[np.int64]],
    result_ids: Sequence[NDArray[np.int64]],
    ious: Sequence[NDArray[np.float64]],
) -> ClearCounts:
    """Match and count the boxes of a sequence.

    Args:
        truth_ids: ``(G,)`` a frame, numbered from 0.
        result_ids: ``(R,)`` a frame, numbered from 0.
        ious: ``(G, R)`` a frame.
    """
    persons = 1 + max((int(ids.max()) for ids in truth_ids if len(ids)), default=-1)
    tracks = 1 + max((int(ids.max()) for ids in result_ids if len(ids)), default=-1)
    last = np.full(persons, -1)  # track that a person last had
    column_of = np.full(tracks + 1, -1)  # of this frame, by track; the last entry is no track's
    agreed = np.zeros((persons, tracks), np.int64)  # frames in which a person and a track overlap
    found_flags: list[NDArray[np.bool_]] = []
    switches = matches = 0
    distance = 0.0
    for truth, result, overlap in zip(truth_ids, result_ids, ious, strict=True):
        found = np.zeros(len(truth), bool)
        found_flags.append(found)
        if not overlap.size:
            continue
        costs = 1.0 - overlap
        possible = costs <= 1.0 - MIN_IOU
        agreed[truth[:, None], result[None, :]] += possible
        column_of[result] = np.arange(len(result))
        kept = column_of[last[truth]]
        column_of[result] = -1
        rows = np.flatnonzero(kept >= 0)
        rows = rows[possible[rows, kept[rows]]]
        rows = rows[np.sort(np.unique(kept[rows], return_index=True)[1])]  # of two persons the first keeps it
        columns = kept[rows]
        free_rows = np.setdiff1d(np.arange(len(truth)), rows)
        free_columns = np.setdiff1d(np.arange(len(result)), columns)
        new_rows, new_columns = _cheapest(costs, possible, free_rows, free_columns)
        before = last[truth[new_rows]]
        switches += int(((before >= 0) & (before != result[new_columns])).sum())
        last[truth[new_rows]] = result[new_columns]
        found[rows] = found[new_rows] = True
        matches += len(rows) + len(new_rows)
        distance += float(costs[rows, columns].sum() + costs[new_rows, new_columns].sum())
    truth_all = np.concatenate([np.zeros(0, np.int64), *truth_ids])
    found_all = np.concatenate([np.zeros(0, bool), *found_flags])
    boxes = np.bincount(truth_all, minlength=persons)
    share = np.bincount(truth_all, found_all, minlength=persons)[boxes > 0] / boxes[boxes > 0]
    result_boxes = sum(map(len, result_ids))
    return ClearCounts(
        frames=len(ious),
        truth_ids=int((boxes > 0).sum()),
        truth_boxes=len(truth_all),
        result_boxes=result_boxes,
        id_switches=switches,
        fragmentations=_fragmentations(truth_all, found_all),
        false_positives=result_boxes - matches,
        false_negatives=len(truth_all) - matches,
        mostly_tracked=int((share >= _TRACKED).sum()),
        mostly_lost=int((share < _LOST).sum()),
        matches=matches,
        distance=distance,
        identity_matches=int(agreed[linear_sum_assignment(agreed, maximize=True)].sum()),
    )


def _cheapest(
    costs: NDArray[np.float64],
    possible: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As many possible pairs of ``rows`` and ``columns`` as there are, at the smallest sum of costs."""
    part = possible[np.ix_(rows, columns)]
    if not part.any():
        return rows[:0], columns[:0]
    never = 2.0 * min(part.shape) + 1.0  # more than all possible pairs together
    left, right = linear_sum_assignment(np.where(part, costs[np.ix_(rows, columns)], never))
    fine = part[left, right]
    return rows[left[fine]], columns[right[fine]]


def _fragmentations(persons: NDArray[np.int64], found: NDArray[np.bool_]) -> int:
    """How often a person goes from found to missed and is found again later.

    Args:
        persons: of each true box, frame by frame.
        found: whether the box was matched.
    """
    order = np.argsort(persons, kind="stable")
    persons, rows = persons[order], np.flatnonzero(found[order])
    # One for each step from found to found that skips rows of the same person.
    return int(((np.diff(rows) > 1) & (persons[rows[1:]] == persons[rows[:-1]])).sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
