"""From distances of same and different persons to a matching threshold.

A tracker takes two pictures for one person when their cosine distance is at most
``max_cosine_distance``. The right value belongs to the network: a better network spreads persons
differently, and an old threshold would throw its gain away. The distances here are between images
of different cameras for the same person (the hard case: a person who comes back looks different)
and between all images of different persons.

Pairs are counted on a grid of thousandths, block by block: 20,000 images have 200 million pairs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "PairCounts", "calibrate", "count_pairs"]

# Thresholds are thousandths of a cosine distance, from 0 to 2.
STEPS = 1000
# Of the histogram.
BINS = 40
BLOCK = 1024


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How many pairs of images are how far apart.

    Attributes:
        same: ``(2001,)`` pairs of one person with a cosine distance of at most i / 1000.
        different: ``(2001,)`` pairs of different persons, likewise.
    """

    same: NDArray[np.int64]
    different: NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """A threshold and what it stands for.

    Attributes:
        max_cosine_distance: the threshold.
        false_accept_rate: share of pairs of different persons at most that far apart.
        false_reject_rate: share of pairs of the same person in different cameras farther apart.
        equal_error_rate: both rates where they meet.
        same_pairs, different_pairs: number of pairs that the rates are shares of.
        histogram_edges: ``(B + 1,)`` cosine distances.
        same, different: ``(B,)`` shares of pairs in each bin.
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
        camids: ``(N,)`` cameras. Where nobody is in two of them, all pairs of a person count as same.
    """
    keys = np.unique(np.stack([pids, camids], axis=1), axis=0)
    across = len(np.unique(keys[:, 0])) < len(keys)
    same, different = np.zeros((2, 2 * STEPS + 1), np.int64)
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        distances = 1.0 - embeddings[block] @ embeddings[start:].T  # (b, N - start)
        steps = np.clip(np.ceil(distances * STEPS), 0, 2 * STEPS).astype(np.int32)
        # Each pair once: columns behind the row.
        once = np.arange(len(steps))[:, None] < np.arange(steps.shape[1])
        one_person = pids[block, None] == pids[None, start:]
        compared = one_person & (camids[block, None] != camids[None, start:]) if across else one_person
        same += np.bincount(steps[once & compared], minlength=2 * STEPS + 1)
        different += np.bincount(steps[once & ~one_person], minlength=2 * STEPS + 1)
    return PairCounts(np.cumsum(same), np.cumsum(different))


def calibrate(counts: PairCounts, *, false_accept_rate: float = 0.01) -> Calibration:
    """The largest threshold, in thousandths, that accepts at most this share of different persons.

    It is no larger than the median distance of the same person, though: a track is compared by the nearest
    of many stored pictures, so a person whose pairs match half of the time is found all the same, and
    what a good network's false accepts would still allow beyond that only lets strangers in.

    A network so bad that even 0 accepts more gets 0.001, with the rates that this really stands for: the
    tracker takes no threshold of 0, and matches next to nothing by appearance at this one.

    Raises:
        ValueError: one of the two kinds of pairs is missing, or the rate is not in (0, 1).
    """
    same_pairs, different_pairs = int(counts.same[-1]), int(counts.different[-1])
    if same_pairs == 0 or different_pairs == 0:
        raise ValueError(
            "calibration needs pairs of one person and pairs of different persons, "
            f"got {same_pairs} and {different_pairs}"
        )
    if not 0 < false_accept_rate < 1:
        raise ValueError(f"false_accept_rate must be in (0, 1), got {false_accept_rate}")
    accepts = counts.different / different_pairs
    rejects = 1.0 - counts.same / same_pairs
    allowed = int(np.count_nonzero(accepts <= false_accept_rate)) - 1
    needed = int(np.count_nonzero(rejects > 0.5))
    step = max(min(allowed, needed), 1)
    meeting = int(np.argmin(np.abs(accepts - rejects)))
    width = 2 * STEPS // BINS

    def shares(cumulative: NDArray[np.int64]) -> tuple[float, ...]:
        # The first bin takes distances of exactly 0, which rounding may have brought there.
        bins = np.diff(cumulative[::width], prepend=0)
        bins[1] += bins[0]
        return tuple(np.round(bins[1:] / cumulative[-1], 6).tolist())

    return Calibration(
        max_cosine_distance=step / STEPS,
        false_accept_rate=float(accepts[step]),
        false_reject_rate=float(rejects[step]),
        equal_error_rate=float((accepts[meeting] + rejects[meeting]) / 2),
        same_pairs=same_pairs,
        different_pairs=different_pairs,
        histogram_edges=tuple(np.round(np.linspace(0.0, 2.0, BINS + 1), 6).tolist()),
        same=shares(counts.same),
        different=shares(counts.different),
    )
