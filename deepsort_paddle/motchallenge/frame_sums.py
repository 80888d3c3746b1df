"""Accuracy from sums over frames, so that it can be resampled: HOTA, AssA, DetA, IDF1, MOTA, id switches.

Every measure is a ratio of sums over frames once the matching of tracks and people over the whole sequence
is known. `count_frames` solves that matching once, as TrackEval does, and keeps the sums of each frame;
`figures` makes ratios of them for any selection of frames; `interval` draws blocks of frames and whole
sequences again and again to see how far a difference between two trackers may be chance.

Sources: Luiten et al., "HOTA", IJCV 2021; Ristani et al., ECCV workshops 2016 (IDF1); Bernardin and
Stiefelhagen, 2008 (MOTA); Künsch, "The jackknife and the bootstrap for general stationary observations",
Annals of Statistics 17 (3), 1989 (blocks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deepsort_paddle.motchallenge.clear import MIN_IOU
from deepsort_paddle.motchallenge.hota import THRESHOLDS
from deepsort_paddle.motchallenge.metrics import PreparedSequence

__all__ = ["FIGURES", "FrameSums", "count_frames", "figures", "interval", "total"]

FIGURES = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "switches")
_EPS = np.finfo(np.float64).eps
_COUNTS = 5  # columns of FrameSums.sums after the two blocks of thresholds


@dataclass(frozen=True, slots=True)
class FrameSums:
    """What the frames of one sequence add to the measures.

    Attributes:
        sums: ``(F, 43)`` float64: matches at each of the 19 thresholds, their association scores, then
            people, tracks, identity matches, CLEAR matches and switches.
    """

    sums: NDArray[np.float64]


def count_frames(sequence: PreparedSequence) -> FrameSums:
    """Match a sequence as TrackEval does, and sum up each frame.

    Args:
        sequence: ids and IoU of each frame, F frames.

    Returns:
        The sums of the F frames.
    """
    people, tracks = sequence.num_truth_ids, sequence.num_result_ids
    length, width = len(sequence.iou), len(THRESHOLDS)
    seen, shown = np.zeros(people), np.zeros(tracks)
    potential, overlaps = np.zeros((people, tracks)), np.zeros((people, tracks))
    frames = list(zip(sequence.truth_ids, sequence.result_ids, sequence.iou, strict=True))
    for truth, result, iou in frames:
        seen[truth] += 1
        shown[result] += 1
        union = iou.sum(axis=0) + iou.sum(axis=1)[:, None] - iou
        potential[np.ix_(truth, result)] += np.divide(iou, union, out=np.zeros_like(iou), where=union > _EPS)
        overlaps[np.ix_(truth, result)] += iou >= MIN_IOU
    alignment = potential / np.maximum(seen[:, None] + shown - potential, _EPS)
    partner = _identity_partners(overlaps, seen, shown)

    sums = np.zeros((length, 2 * width + _COUNTS))
    matches: list[NDArray[np.float64]] = []  # rows of frame, person, track, IoU
    last, before = np.full(people, -1), np.full(people, -1)
    for frame, (truth, result, iou) in enumerate(frames):
        same = (result == partner[truth][:, None]) & (iou >= MIN_IOU)
        row, column = linear_sum_assignment(alignment[np.ix_(truth, result)] * iou, maximize=True)
        matches.append(
            np.column_stack([np.full(len(row), frame), truth[row], result[column], iou[row, column]])
        )
        score = np.where(iou >= MIN_IOU - _EPS, 1000.0 * (result == before[truth][:, None]) + iou, 0.0)
        row, column = linear_sum_assignment(score, maximize=True)
        kept = score[row, column] > _EPS
        person, track = truth[row[kept]], result[column[kept]]
        switches = ((last[person] >= 0) & (last[person] != track)).sum()
        last[person] = track
        before[:] = -1
        before[person] = track
        sums[frame, 2 * width :] = len(truth), len(result), same.sum(), len(person), switches
    joined = np.concatenate(matches)
    place, person, track = joined[:, :3].astype(np.int64).T
    for column, threshold in enumerate(THRESHOLDS):
        hit = joined[:, 3] >= threshold - _EPS
        together = np.zeros((people, tracks))
        np.add.at(together, (person[hit], track[hit]), 1)
        score = together / np.maximum(1, seen[:, None] + shown - together)
        sums[:, column] = np.bincount(place[hit], minlength=length)
        sums[:, width + column] = np.bincount(place[hit], score[person[hit], track[hit]], minlength=length)
    return FrameSums(sums)


def _identity_partners(
    overlaps: NDArray[np.float64], seen: NDArray[np.float64], shown: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the track of each person, ``(G,)``, -1 for none, in the matching that IDF1 counts."""
    people, tracks = overlaps.shape
    # Each unmatched person or track is matched with a dummy.
    cost = np.full((people + tracks, people + tracks), 1e10)
    cost[:people, :tracks] = seen[:, None] + shown - 2 * overlaps
    cost[np.arange(people), tracks + np.arange(people)] = seen
    cost[people + np.arange(tracks), np.arange(tracks)] = shown
    cost[people:, tracks:] = 0.0
    row, column = linear_sum_assignment(cost)
    partner = np.full(people, -1)
    real = (row < people) & (column < tracks)
    partner[row[real]] = column[real]
    return partner


def figures(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measures of summed frames.

    Args:
        sums: ``(..., 43)``, sums over frames and sequences.

    Returns:
        ``(..., 6)`` in the order of `FIGURES`; the ratios in per cent.
    """
    width = len(THRESHOLDS)
    matched, association = sums[..., :width], sums[..., width : 2 * width]
    people, tracks, identity, clear, switches = np.moveaxis(sums[..., 2 * width :], -1, 0)
    both = (people + tracks)[..., None]
    assa = association / np.maximum(matched, 1)
    deta = matched / np.maximum(both - matched, 1)
    ratios = [
        np.sqrt(assa * deta).mean(axis=-1),
        assa.mean(axis=-1),
        deta.mean(axis=-1),
        2 * identity / np.maximum(people + tracks, 1),
        (2 * clear - tracks - switches) / np.maximum(people, 1),
    ]
    return np.stack([*(100 * ratio for ratio in ratios), switches], axis=-1)


def total(counts: Sequence[FrameSums]) -> NDArray[np.float64]:
    """Measures of several sequences together, ``(6,)``."""
    return figures(np.sum([count.sums.sum(axis=0) for count in counts], axis=0))


def interval(
    counts: Sequence[FrameSums],
    others: Sequence[FrameSums] | None = None,
    *,
    block: int = 50,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap interval of the figures, or of the difference to another tracker on the same frames.

    A draw takes as many sequences as there are, with replacement, and from each as many blocks of successive
    frames as it has. Both trackers get the same draws. With one sequence only blocks are drawn.

    Args:
        counts: sums of each sequence.
        others: those of the other tracker, in the same order; the interval is of ``counts`` minus these.
        block: frames in a block.
        draws: number of draws.
        level: part of the draws inside the interval.
        seed: of the random generator.

    Returns:
        ``(2, 6)`` lower and upper bounds, in the order of `FIGURES`.
    """
    rng = np.random.default_rng(seed)
    starts = [np.arange(0, len(count.sums), block) for count in counts]
    weights = []  # how often each block is drawn, (draws, blocks of the sequence)
    chosen = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
    for index, start in enumerate(starts):
        even = np.full(len(start), 1 / len(start))
        weights.append(rng.multinomial(len(start) * chosen[:, index], even))
    weight = np.concatenate(weights, axis=1)

    def drawn(tracker: Sequence[FrameSums]) -> NDArray[np.float64]:
        pairs = zip(tracker, starts, strict=True)
        return figures(weight @ np.concatenate([np.add.reduceat(one.sums, start) for one, start in pairs]))

    values = drawn(counts) if others is None else drawn(counts) - drawn(others)
    bounds: NDArray[np.float64] = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return bounds
