"""From distances of same and different persons to a matching threshold, and to the ROC.

A tracker takes two images for one person when their cosine distance is at most
``max_cosine_distance``. The right value belongs to the network: a better network spreads persons
differently, and an old threshold would throw its gain away.

Pairs of one person are of different cameras (the hard case: a person who comes back looks different). The
strangers whom a tracker may confuse are in one camera, where light and background are the same, so they are
nearer to each other than strangers in different cameras: the false accepts are limited for them, in every
development set, as it is and under a colour cast. Where cameras are unknown, images of one camera are among
the pairs of a person, which makes the person look easier to match than a tracker finds it.

Pairs are counted on a grid of thousandths, block by block: 20,000 images have 200 million pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_train.evaluation.ranking import GalleryRules, score_blocks

__all__ = [
    "Calibration",
    "CalibrationSet",
    "Condition",
    "PairCounts",
    "RocFigures",
    "calibrate",
    "count_pairs",
    "count_ranked_pairs",
    "roc_figures",
]

# Thresholds are thousandths of a cosine distance, from 0 to 2.
STEPS = 1000
# Of the histogram.
BINS = 40
BLOCK = 1024
# Largest share of pairs of one person in different cameras that a threshold needs to accept.
ENOUGH = 0.6


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How many pairs of images are how far apart.

    Attributes:
        same: ``(2001,)`` pairs of one person with a cosine distance of at most i / 1000.
        different: ``(2001,)`` pairs of different persons, likewise.
        across_cameras: whether pairs of one person are of different cameras only.
        same_in_camera: ``(2001,)`` pairs of one person in one known camera; None where no camera is known.
        different_in_camera: the same of different persons.
    """

    same: NDArray[np.int64]
    different: NDArray[np.int64]
    across_cameras: bool = True
    same_in_camera: NDArray[np.int64] | None = None
    different_in_camera: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class RocFigures:
    """Two points of the ROC (receiver operating characteristic) of pairs of images.

    Attributes:
        tar_at_far_0_001: true accept rate, the share of pairs of one person that a threshold accepts which
            accepts at most 0.1 % of pairs of different persons.
        tar_at_far_0_01: the same at 1 %.
        same_pairs, different_pairs: number of pairs that the rates are shares of.
    """

    tar_at_far_0_001: float
    tar_at_far_0_01: float
    same_pairs: int
    different_pairs: int


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Pairs of one development set.

    Attributes:
        name: of the set.
        counts: its pairs.
        cast: strength of the colour cast that each camera had, see `colour_cast`; 0 for images as they are.
    """

    name: str
    counts: PairCounts
    cast: float = 0.0


@dataclass(frozen=True)
class Condition:
    """What the calibrated threshold does in one development set, as it is or under a colour cast.

    Attributes:
        name: of the set.
        cast: strength of the colour cast; 0 for images as they are.
        limit: the largest threshold that keeps the false accepts in bounds here.
        false_accept_rate: share of pairs of different persons in one camera that the threshold accepts; of
            all pairs of different persons where cameras are unknown or such pairs are few.
        accept_rate: share of pairs of one person that it accepts, in different cameras.
        accept_rate_in_camera: the same in one camera; None where that is unknown.
        same_pairs, different_pairs, same_pairs_in_camera: number of pairs that the rates are shares of.
    """

    name: str
    cast: float
    limit: float
    false_accept_rate: float
    accept_rate: float
    accept_rate_in_camera: float | None
    same_pairs: int
    different_pairs: int
    same_pairs_in_camera: int


@dataclass(frozen=True)
class Calibration:
    """A threshold and what it stands for, in the first development set and in the others.

    Attributes:
        max_cosine_distance: the threshold.
        false_accept_rate: share of pairs of different persons at most that far apart.
        false_reject_rate: share of pairs of the same person in different cameras farther apart.
        equal_error_rate: both rates where they meet.
        same_pairs, different_pairs: number of pairs that the rates are shares of.
        histogram_edges: ``(B + 1,)`` cosine distances.
        same, different: ``(B,)`` shares of pairs in each bin.
        across_cameras: whether pairs of the same person are of different cameras only; False where cameras
            are unknown, and the threshold then is tighter than a tracker needs.
        conditions: each set, as it is and under a cast; the first is the one that all other fields are of.
    """

    max_cosine_distance: float
    false_accept_rate: float
    false_reject_rate: float
    equal_error_rate: float
    same_pairs: int
    different_pairs: int
    histogram_edges: tuple[float, ...]
    same: tuple[float, ...]
    different: tuple[float, ...]
    across_cameras: bool = True
    conditions: tuple[Condition, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For ``encoder.json``."""
        return asdict(self)


def count_pairs(
    embeddings: NDArray[np.float32], pids: NDArray[np.int64], camids: NDArray[np.int64]
) -> PairCounts:
    """Count pairs of images by their cosine distance.

    Args:
        embeddings: ``(N, D)`` unit rows.
        pids: ``(N,)`` persons.
        camids: ``(N,)`` cameras, 0 where unknown. Where nobody is in two known cameras, all pairs of a person
            count as same; else only those of two known cameras.
    """
    known = camids > 0
    counts = np.zeros((4, 2 * STEPS + 1), np.int64)
    keys = np.unique(np.stack([pids, camids], axis=1)[known], axis=0)
    across = len(np.unique(keys[:, 0])) < len(keys)
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        steps = _steps(embeddings[block] @ embeddings[start:].T)  # (b, N - start)
        # Each pair once: columns after the row.
        once = np.arange(len(steps))[:, None] < np.arange(steps.shape[1])
        one_person = pids[block, None] == pids[None, start:]
        both_known = known[block, None] & known[None, start:]
        inside = both_known & (camids[block, None] == camids[None, start:])
        apart = one_person & both_known & ~inside if across else one_person
        kinds = (apart, ~one_person, one_person & inside, ~one_person & inside)
        for total, kind in zip(counts, kinds, strict=True):
            total += np.bincount(steps[once & kind], minlength=2 * STEPS + 1)
    cumulative = np.cumsum(counts, axis=1)
    inner = (cumulative[2], cumulative[3]) if known.any() else (None, None)
    return PairCounts(cumulative[0], cumulative[1], across, *inner)


def count_ranked_pairs(
    query_embeddings: NDArray[np.float32],
    gallery_embeddings: NDArray[np.float32],
    rules: GalleryRules,
    *,
    across_cameras: bool = True,
) -> PairCounts:
    """Count the pairs of query and gallery image that a protocol ranks.

    Args:
        query_embeddings: ``(Q, D)`` unit rows.
        gallery_embeddings: ``(G, D)`` unit rows.
        rules: of these queries and gallery.
        across_cameras: whether all cameras are known, so that the rules remove images of the query's own.
    """
    every, same = np.zeros((2, 2 * STEPS + 1), np.int64)

    def scores(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return query_embeddings[rows] @ gallery_embeddings.T

    for _, row_scores, right in score_blocks(scores, rules, len(gallery_embeddings)):
        every += np.bincount(_steps(row_scores[np.isfinite(row_scores)]), minlength=2 * STEPS + 1)
        same += np.bincount(_steps(row_scores[right]), minlength=2 * STEPS + 1)
    return PairCounts(np.cumsum(same), np.cumsum(every - same), across_cameras)


def _steps(similarity: NDArray[np.float32]) -> NDArray[np.int32]:
    """The smallest threshold, in thousandths, that takes each pair for one person."""
    steps = np.clip(np.ceil((1.0 - similarity) * STEPS), 0, 2 * STEPS)
    return steps.astype(np.int32)


def roc_figures(counts: PairCounts) -> RocFigures | None:
    """True accept rates at 0.1 % and 1 % false accepts; None without pairs of both kinds.

    The threshold is in thousandths; where even 0 accepts more different pairs, nothing is accepted.
    """
    same_pairs, different_pairs = int(counts.same[-1]), int(counts.different[-1])
    if same_pairs == 0 or different_pairs == 0:
        return None
    accepts = counts.different / different_pairs
    rates = []
    for allowed in (0.001, 0.01):
        step = int(np.count_nonzero(accepts <= allowed)) - 1
        rates.append(float(counts.same[step] / same_pairs) if step >= 0 else 0.0)
    return RocFigures(rates[0], rates[1], same_pairs, different_pairs)


def calibrate(
    counts: PairCounts | Sequence[CalibrationSet], *, false_accept_rate: float = 0.01
) -> Calibration:
    """The largest threshold, in thousandths, that accepts at most this share of different persons anywhere.

    The share is of strangers in one camera, and holds in each set. The threshold accepts no more than
    `ENOUGH` of the pairs of one person, though: a track is compared by the nearest of many stored images, so
    a person whose pairs match that often is found all the same, and what a good network's false accepts would
    still allow beyond that only lets strangers in.

    A network so bad that even 0 accepts more gets 0.001, with the rates that this really stands for: the
    tracker takes no threshold of 0, and matches next to nothing by appearance at this one.

    Args:
        counts: pairs of one set, or of several; histograms and rates of the result are of the first.
        false_accept_rate: largest share of pairs of different persons to accept, in (0, 1).

    Raises:
        ValueError: one of the two kinds of pairs is missing, or the rate is not in (0, 1).
    """
    sets = [CalibrationSet("", counts)] if isinstance(counts, PairCounts) else list(counts)
    if not sets:
        raise ValueError("calibration needs a set of images, got none")
    if not 0 < false_accept_rate < 1:
        raise ValueError(f"false_accept_rate must be in (0, 1), got {false_accept_rate}")
    for one in sets:
        same_pairs, different_pairs = int(one.counts.same[-1]), int(one.counts.different[-1])
        if same_pairs == 0 or different_pairs == 0:
            raise ValueError(
                f"calibration needs pairs of one person and pairs of different persons{_of(one)}, "
                f"got {same_pairs} and {different_pairs}"
            )
    limits = [_limit(one.counts, false_accept_rate) for one in sets]
    step = max(min(limits), 1)
    first = sets[0].counts
    accepts, rejects = _shares(first.different), 1.0 - _shares(first.same)
    meeting = int(np.argmin(np.abs(accepts - rejects)))
    return Calibration(
        max_cosine_distance=step / STEPS,
        false_accept_rate=float(accepts[step]),
        false_reject_rate=float(rejects[step]),
        equal_error_rate=float((accepts[meeting] + rejects[meeting]) / 2),
        same_pairs=int(first.same[-1]),
        different_pairs=int(first.different[-1]),
        histogram_edges=tuple(np.round(np.linspace(0.0, 2.0, BINS + 1), 6).tolist()),
        same=_histogram(first.same),
        different=_histogram(first.different),
        across_cameras=first.across_cameras,
        conditions=tuple(
            _condition(one, step, limit, false_accept_rate) for one, limit in zip(sets, limits, strict=True)
        ),
    )


def _of(one: CalibrationSet) -> str:
    return f" in {one.name}" if one.name else ""


def _limit(counts: PairCounts, false_accept_rate: float) -> int:
    """The largest threshold that one set allows, in steps."""
    accepts = _shares(_strangers(counts, false_accept_rate))
    allowed = int(np.count_nonzero(accepts <= false_accept_rate)) - 1
    return min(allowed, int(np.count_nonzero(_shares(counts.same) < ENOUGH)))


def _strangers(counts: PairCounts, false_accept_rate: float) -> NDArray[np.int64]:
    """Pairs of different persons in one camera; all where those are too few for the rate."""
    inside = counts.different_in_camera
    return counts.different if inside is None or inside[-1] < 10 / false_accept_rate else inside


def _condition(one: CalibrationSet, step: int, limit: int, false_accept_rate: float) -> Condition:
    counts, strangers = one.counts, _strangers(one.counts, false_accept_rate)
    inside = counts.same_in_camera
    inner_pairs = 0 if inside is None else int(inside[-1])
    return Condition(
        name=one.name,
        cast=one.cast,
        limit=max(limit, 0) / STEPS,
        false_accept_rate=float(_shares(strangers)[step]),
        accept_rate=float(_shares(counts.same)[step]),
        accept_rate_in_camera=float(_shares(inside)[step]) if inside is not None and inner_pairs else None,
        same_pairs=int(counts.same[-1]),
        different_pairs=int(strangers[-1]),
        same_pairs_in_camera=inner_pairs,
    )


def _shares(cumulative: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the pairs that each threshold accepts."""
    shares: NDArray[np.float64] = cumulative / cumulative[-1]
    return shares


def _histogram(cumulative: NDArray[np.int64]) -> tuple[float, ...]:
    # The first bin takes distances of exactly 0, which rounding may have brought there.
    bins = np.diff(cumulative[:: 2 * STEPS // BINS], prepend=0)
    bins[1] += bins[0]
    return tuple(np.round(bins[1:] / cumulative[-1], 6).tolist())
