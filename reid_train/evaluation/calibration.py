"""Calibrate the matching threshold and compute ROC figures from distances of image pairs.

A tracker assigns two images to one person if their cosine distance is at most ``max_cosine_distance``. The
right value depends on the network: a better network separates persons differently, and an old threshold
would waste its gain.

Same-person pairs come from different cameras, the hard case. Different-person pairs come from one camera:
they share light and background, so they are closer than pairs across cameras, and a tracker sees exactly
these. The false accept rate is bounded on them in every development set, unchanged and under a colour cast.
If cameras are unknown, same-person pairs include pairs of one camera, which makes matching look easier than
it is in tracking.

Pairs are counted block by block on a grid of 1/1000: 20,000 images have 200 million pairs.
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

# Thresholds are multiples of 1/1000 of a cosine distance, from 0 to 2.
STEPS = 1000
BINS = 40  # of the histogram
BLOCK = 1024  # rows whose similarities are computed at a time
# No threshold needs to accept more than this share of same-person pairs across cameras.
ENOUGH = 0.6


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Cumulative counts of image pairs by cosine distance.

    Attributes:
        same: ``(2001,)`` same-person pairs with a cosine distance of at most i / 1000.
        different: ``(2001,)`` different-person pairs, counted alike.
        across_cameras: whether ``same`` only counts pairs from different cameras.
        same_in_camera: ``(2001,)`` same-person pairs in one known camera; None if no camera is known.
        different_in_camera: ``(2001,)`` different-person pairs in one known camera; None if none is known.
    """

    same: NDArray[np.int64]
    different: NDArray[np.int64]
    across_cameras: bool = True
    same_in_camera: NDArray[np.int64] | None = None
    different_in_camera: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class RocFigures:
    """Two points of the receiver operating characteristic (ROC) of image pairs.

    Attributes:
        tar_at_far_0_001: true accept rate (share of same-person pairs accepted) at a false accept rate of
            at most 0.1 % of the different-person pairs.
        tar_at_far_0_01: true accept rate at a false accept rate of at most 1 %.
        same_pairs, different_pairs: number of pairs.

    Example:
        >>> RocFigures(0.8, 0.95, same_pairs=200, different_pairs=10_000).tar_at_far_0_01
        0.95
    """

    tar_at_far_0_001: float
    tar_at_far_0_01: float
    same_pairs: int
    different_pairs: int


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Pair counts of one development set.

    Attributes:
        name: name of the set.
        counts: its pair counts.
        cast: strength of the colour cast per camera, see `colour_cast`; 0 for unchanged images.
    """

    name: str
    counts: PairCounts
    cast: float = 0.0


@dataclass(frozen=True)
class Condition:
    """Rates of the calibrated threshold on one development set, unchanged or under a colour cast.

    Attributes:
        name: name of the set.
        cast: strength of the colour cast; 0 for unchanged images.
        limit: the largest threshold that this set alone allows.
        false_accept_rate: share of different-person pairs in one camera that the threshold accepts; of all
            different-person pairs if cameras are unknown or there are too few pairs in one camera.
        accept_rate: share of same-person pairs across cameras that it accepts.
        accept_rate_in_camera: share of same-person pairs in one camera that it accepts; None if unknown.
        same_pairs, different_pairs, same_pairs_in_camera: number of pairs of each kind.
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
    """A matching threshold with its error rates on each development set.

    Attributes:
        max_cosine_distance: the threshold.
        false_accept_rate: share of different-person pairs within the threshold.
        false_reject_rate: share of same-person pairs across cameras beyond the threshold.
        equal_error_rate: the value at which both rates are equal.
        same_pairs, different_pairs: number of pairs.
        histogram_edges: ``(B + 1,)`` cosine distances.
        same, different: ``(B,)`` shares of pairs in each bin.
        across_cameras: whether same-person pairs only come from different cameras. False if cameras are
            unknown; the threshold is then tighter than a tracker needs.
        conditions: the rates on each set, unchanged and under a cast. All other fields describe the first.

    Example:
        >>> same, different = np.zeros((2, 2001), np.int64)
        >>> same[200:], different[600:] = 50, 1000  # all same-person pairs at 0.2, all others at 0.6
        >>> calibrate(PairCounts(same, different)).max_cosine_distance
        0.2
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
        """Return plain values for ``encoder.json``."""
        return asdict(self)


def count_pairs(
    embeddings: NDArray[np.float32], pids: NDArray[np.int64], camids: NDArray[np.int64]
) -> PairCounts:
    """Count pairs of images by their cosine distance.

    Args:
        embeddings: ``(N, D)`` unit rows.
        pids: ``(N,)`` person ids.
        camids: ``(N,)`` camera ids, 0 if unknown. If no person is in two known cameras, all pairs of a person
            count as same; otherwise only pairs from two known cameras.

    Returns:
        The cumulative counts.
    """
    known = camids > 0
    counts = np.zeros((4, 2 * STEPS + 1), np.int64)
    keys = np.unique(np.stack([pids, camids], axis=1)[known], axis=0)
    across = len(np.unique(keys[:, 0])) < len(keys)
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        steps = _steps(embeddings[block] @ embeddings[start:].T)  # (b, N - start)
        # Count each pair once: only columns after the row.
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
    """Count the query-gallery pairs that a protocol ranks.

    Args:
        query_embeddings: ``(Q, D)`` unit rows.
        gallery_embeddings: ``(G, D)`` unit rows.
        rules: the rules for these queries and this gallery.
        across_cameras: whether all cameras are known, so that the rules exclude the query's camera.

    Returns:
        The cumulative counts.
    """
    every, same = np.zeros((2, 2 * STEPS + 1), np.int64)

    def scores(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return query_embeddings[rows] @ gallery_embeddings.T

    for _, row_scores, right in score_blocks(scores, rules, len(gallery_embeddings)):
        every += np.bincount(_steps(row_scores[np.isfinite(row_scores)]), minlength=2 * STEPS + 1)
        same += np.bincount(_steps(row_scores[right]), minlength=2 * STEPS + 1)
    return PairCounts(np.cumsum(same), np.cumsum(every - same), across_cameras)


def _steps(similarity: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the smallest threshold that accepts each pair, in steps of 1/1000."""
    steps = np.clip(np.ceil((1.0 - similarity) * STEPS), 0, 2 * STEPS)
    return steps.astype(np.int32)


def roc_figures(counts: PairCounts) -> RocFigures | None:
    """Return the true accept rates at 0.1 % and 1 % false accepts; None without pairs of both kinds.

    Thresholds are multiples of 1/1000. If even 0 accepts too many different-person pairs, the rate is 0.
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
    """Return the largest threshold whose false accept rate is within the bound on every set.

    The rate is measured on different-person pairs in one camera. The threshold is also capped where it
    accepts `ENOUGH` of the same-person pairs: a track is matched by the nearest of many stored embeddings, so
    the person is found anyway, and a larger threshold would only add false matches.

    If even 0 exceeds the bound, the threshold is 0.001 with its true rates: the tracker accepts no threshold
    of 0, and 0.001 matches almost nothing by appearance.

    Args:
        counts: pair counts of one set or of several; histogram and rates of the result describe the first.
        false_accept_rate: largest share of different-person pairs to accept, in (0, 1).

    Returns:
        The threshold, a multiple of 1/1000, with its rates.

    Raises:
        ValueError: a set lacks one of the two kinds of pairs, or the rate is not in (0, 1).
    """
    sets = [CalibrationSet("", counts)] if isinstance(counts, PairCounts) else list(counts)
    if not sets:
        raise ValueError("calibration needs a set of images, got none")
    if not 0 < false_accept_rate < 1:
        raise ValueError(f"false_accept_rate must be in (0, 1), got {false_accept_rate}")
    for pairs in sets:
        same_pairs, different_pairs = int(pairs.counts.same[-1]), int(pairs.counts.different[-1])
        if same_pairs == 0 or different_pairs == 0:
            raise ValueError(
                f"calibration needs pairs of one person and pairs of different persons{_in_set(pairs)}, "
                f"got {same_pairs} and {different_pairs}"
            )
    limits = [_limit(pairs.counts, false_accept_rate) for pairs in sets]
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
            _condition(pairs, step, limit, false_accept_rate)
            for pairs, limit in zip(sets, limits, strict=True)
        ),
    )


def _in_set(pairs: CalibrationSet) -> str:
    return f" in {pairs.name}" if pairs.name else ""


def _limit(counts: PairCounts, false_accept_rate: float) -> int:
    """Return the largest threshold that one set allows, in steps of 1/1000."""
    accepts = _shares(_different_persons(counts, false_accept_rate))
    allowed = int(np.count_nonzero(accepts <= false_accept_rate)) - 1
    return min(allowed, int(np.count_nonzero(_shares(counts.same) < ENOUGH)))


def _different_persons(counts: PairCounts, false_accept_rate: float) -> NDArray[np.int64]:
    """Return different-person pairs in one camera, or all of them if those are too few for the rate."""
    inside = counts.different_in_camera
    return counts.different if inside is None or inside[-1] < 10 / false_accept_rate else inside


def _condition(pairs: CalibrationSet, step: int, limit: int, false_accept_rate: float) -> Condition:
    counts, different = pairs.counts, _different_persons(pairs.counts, false_accept_rate)
    inside = counts.same_in_camera
    inner_pairs = 0 if inside is None else int(inside[-1])
    return Condition(
        name=pairs.name,
        cast=pairs.cast,
        limit=max(limit, 0) / STEPS,
        false_accept_rate=float(_shares(different)[step]),
        accept_rate=float(_shares(counts.same)[step]),
        accept_rate_in_camera=float(_shares(inside)[step]) if inside is not None and inner_pairs else None,
        same_pairs=int(counts.same[-1]),
        different_pairs=int(different[-1]),
        same_pairs_in_camera=inner_pairs,
    )


def _shares(cumulative: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of pairs that each threshold accepts."""
    shares: NDArray[np.float64] = cumulative / cumulative[-1]
    return shares


def _histogram(cumulative: NDArray[np.int64]) -> tuple[float, ...]:
    # The first bin includes distances of exactly 0, which can result from rounding.
    bins = np.diff(cumulative[:: 2 * STEPS // BINS], prepend=0)
    bins[1] += bins[0]
    return tuple(np.round(bins[1:] / cumulative[-1], 6).tolist())
