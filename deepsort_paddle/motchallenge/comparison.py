"""Several trackers on the same sequences: differences to the first, and how far they may be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.motchallenge.frame_sums import FrameSums, count_frames, interval
from deepsort_paddle.motchallenge.metrics import (
    ClearSource,
    Evaluation,
    PreparedSequence,
    Scores,
    evaluate,
)

__all__ = ["COMPARED", "Compared", "Comparison", "common_sequences", "compare"]

# Fields of Scores that are compared, in the order of frame_sums.FIGURES.
COMPARED = ("hota", "assa", "deta", "idf1", "mota", "id_switches")
# frame_sums has ratios in per cent.
_SCALE = np.array([0.01] * 5 + [1.0])


@dataclass(frozen=True, slots=True)
class Compared:
    """One tracker beside the first, on one sequence or on all.

    Attributes:
        scores: its own.
        difference: its score minus the first tracker's, by field of `Scores`; empty for the first.
        interval: lower and upper bound of the difference, likewise.
    """

    scores: Scores
    difference: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several trackers on the same sequences.

    Attributes:
        trackers: for each tracker by name, its sequences and, last, all of them together.
        block: frames in a block of the bootstrap.
        draws: number of its draws.
        level: part of the draws inside an interval.
    """

    trackers: Mapping[str, tuple[Compared, ...]]
    block: int
    draws: int
    level: float


def common_sequences(
    trackers: Mapping[str, Sequence[PreparedSequence]],
) -> tuple[dict[str, list[PreparedSequence]], list[str]]:
    """The sequences that all trackers have, and the names of the others.

    Raises:
        ValueError: there is none.
    """
    names = [{one.name for one in sequences} for sequences in trackers.values()]
    common = set.intersection(*names)
    if not common:
        raise ValueError("no sequence has results of all trackers")
    kept = {
        tracker: [one for one in sequences if one.name in common] for tracker, sequences in trackers.items()
    }
    return kept, sorted(set.union(*names) - common)


def compare(
    trackers: Mapping[str, Sequence[PreparedSequence]],
    *,
    clear: ClearSource = "motmetrics",
    block: int = 50,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Evaluate each tracker and compare it with the first.

    Intervals are of a bootstrap: whole sequences and, in them, blocks of successive frames are drawn with
    replacement, the same for both trackers. A single sequence is drawn by blocks only. They count MOTA and
    switches by TrackEval's rules, whatever ``clear``.

    Args:
        trackers: by name, all with the same sequences in the same order and of the same frames.
        clear: see `evaluate`.
        block: frames in a block.
        draws: number of draws.
        level: part of the draws inside an interval.
        seed: of the random generator.

    Raises:
        ValueError: the sequences differ.

    Example:
        >>> comparison = compare({"a": sequences_of_a, "b": sequences_of_b})  # doctest: +SKIP
        >>> comparison.trackers["b"][-1].difference["hota"]  # doctest: +SKIP
        0.021
    """
    shapes = [[(one.name, len(one.iou)) for one in sequences] for sequences in trackers.values()]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("trackers must have the same sequences, of the same frames")
    sums = {name: [count_frames(one) for one in sequences] for name, sequences in trackers.items()}
    evaluations = {name: evaluate(sequences, clear=clear) for name, sequences in trackers.items()}
    first = next(iter(trackers))

    def bounds(counts: Sequence[FrameSums], others: Sequence[FrameSums]) -> NDArray[np.float64]:
        found = interval(counts, others, block=block, draws=draws, level=level, seed=seed)
        scaled: NDArray[np.float64] = found * _SCALE
        return scaled

    rows = {}
    for name in trackers:
        limits = [bounds([one], [other]) for one, other in zip(sums[name], sums[first], strict=True)]
        limits.append(bounds(sums[name], sums[first]))
        pairs = zip(_all(evaluations[name]), _all(evaluations[first]), limits, strict=True)
        rows[name] = tuple(
            Compared(one, {}, {}) if name == first else _compared(one, other, limit)
            for one, other, limit in pairs
        )
    return Comparison(rows, block, draws, level)


def _all(evaluation: Evaluation) -> list[Scores]:
    return [*evaluation.sequences, evaluation.overall]


def _compared(scores: Scores, first: Scores, limits: NDArray[np.float64]) -> Compared:
    """A tracker's scores beside the first tracker's."""
    return Compared(
        scores,
        {name: float(getattr(scores, name) - getattr(first, name)) for name in COMPARED},
        {name: (float(low), float(high)) for name, low, high in zip(COMPARED, *limits, strict=True)},
    )
