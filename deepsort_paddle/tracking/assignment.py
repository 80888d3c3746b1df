"""Assign detections to tracks: a single assignment, and the matching cascade.

An assignment takes a cost matrix, sets every cost over the threshold to the same value just above it, solves
the rectangular assignment problem and removes the pairs over the threshold. The cascade first assigns the
tracks seen one frame ago, then those seen two frames ago and so on, so that a long-lost track with its wide
gate cannot take the detection of a recently seen one.

Source: Wojke et al. 2017 (arXiv 1703.07402), section 2.3 and listing 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["Assignment", "assign", "cascade"]

# Costs over the threshold become threshold + this, as in the published code.
_ABOVE = 1e-5
# lap's Jonker-Volgenant solver is faster than scipy's only on large, nearly square problems with many
# possible pairs. For 500 x 500, lap and scipy take 4.6 and 11 ms with a tenth of the pairs, 16 and 3.2 ms
# with three pairs per row (benchmarks/tracker/tracker_core.py --solvers).
_LAP_FROM = 100
_LAP_PAIRS_A_ROW = 8
_LAP_SQUARENESS = 0.9


@dataclass(frozen=True, slots=True)
class Assignment:
    """Pairs of tracks and detections, and the unmatched detections.

    Attributes:
        rows: ``(K,)`` int64 matched rows (tracks).
        columns: ``(K,)`` int64 matched columns (detections); ``columns[i]`` belongs to ``rows[i]``.
        unmatched_columns: ``(R,)`` int64. First the columns that the solver did not assign, in order, then
            those whose pair was removed. New ids follow this order.

    Example:
        >>> import numpy as np
        >>> result = assign(np.array([[0.1, 0.9], [0.8, 0.9]]), max_cost=0.5)
        >>> result.rows, result.columns, result.unmatched_columns
        (array([0]), array([0]), array([1]))
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    unmatched_columns: NDArray[np.int64]


def assign(cost: NDArray[np.float64], max_cost: float) -> Assignment:
    """Match rows with columns at the smallest total cost, without pairs over ``max_cost``.

    Args:
        cost: ``(T, N)``; infinity or NaN for an impossible pair.
        max_cost: finite; a cost equal to it is accepted.

    Returns:
        Indices into ``cost``; without rows, every column is unmatched.
    """
    columns = np.arange(cost.shape[1], dtype=np.int64)
    if 0 in cost.shape:
        none = columns[:0]
        return Assignment(none, none, columns)
    possible = cost <= max_cost
    rows, assigned = _solve(np.where(possible, cost, max_cost + _ABOVE), int(np.count_nonzero(possible)))
    left = np.ones(len(columns), dtype=bool)
    left[assigned] = False
    kept = possible[rows, assigned]
    if kept.all():
        return Assignment(rows, assigned, columns[left])
    return Assignment(rows[kept], assigned[kept], np.concatenate([columns[left], assigned[~kept]]))


def cascade(
    cost_of: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]],
    rows: NDArray[np.int64],
    ages: NDArray[np.int64],
    columns: NDArray[np.int64],
    max_cost: float,
) -> Assignment:
    """Match in order of age: the most recently seen rows first.

    Args:
        cost_of: returns the ``(T, N)`` costs of the given rows and columns. It is called at most twice, never
            for the same pair: for the youngest rows, then for all older rows and the columns that are still
            unmatched (few in most frames).
        rows: ``(T,)`` indices of tracks.
        ages: ``(T,)`` frames since each track was last seen.
        columns: ``(N,)`` indices of detections, in order.
        max_cost: see `assign`.

    Returns:
        Indices as in ``rows`` and ``columns``.
    """
    if len(rows) == 0 or len(columns) == 0:
        return Assignment(rows[:0], columns[:0], columns)
    youngest = ages == ages.min()
    young, old = rows[youngest], rows[~youngest]
    first = assign(cost_of(young, columns), max_cost)
    matched_rows, matched_columns = [young[first.rows]], [columns[first.columns]]
    free = columns[first.unmatched_columns]
    if len(old) and len(free):
        cost = cost_of(old, free)
        old_ages = ages[~youngest]
        remaining = np.arange(len(free), dtype=np.int64)  # unmatched columns of `cost`, in order
        levels, sizes = np.unique(old_ages, return_counts=True)
        ages_with_pairs = np.unique(old_ages[(cost <= max_cost).any(axis=1)]).tolist()
        done = 0
        for age in ages_with_pairs:
            if len(remaining) == 0:
                break
            index = int(levels.searchsorted(age))
            remaining = _reorder_after_empty_levels(remaining, sizes[done:index])
            done = index + 1
            level = (old_ages == age).nonzero()[0]
            stage = assign(cost[level[:, None], remaining], max_cost)
            matched_rows.append(old[level[stage.rows]])
            matched_columns.append(free[remaining[stage.columns]])
            remaining = remaining[stage.unmatched_columns]
        remaining = _reorder_after_empty_levels(remaining, sizes[done:])
        free = free[remaining]
    return Assignment(np.concatenate(matched_rows), np.concatenate(matched_columns), free)


def _reorder_after_empty_levels(columns: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return unmatched columns in the order they have after levels without a possible pair.

    If all costs are equal, scipy assigns column i to row i. These pairs are removed, which moves the first
    columns to the end. The order determines ids, so these levels count, but they need not be solved.

    Args:
        columns: ``(N,)`` unmatched columns.
        sizes: ``(L,)`` number of rows of each level.

    Returns:
        ``(N,)``.
    """
    count = len(columns)
    return np.roll(columns, -int(sizes[sizes < count].sum()) % count) if count else columns


def _solve(cost: NDArray[np.float64], pairs: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows (ascending) and columns of an optimal assignment; ``pairs`` counts the possible pairs."""
    small, large = sorted(cost.shape)
    if small >= max(_LAP_FROM, _LAP_SQUARENESS * large) and pairs >= _LAP_PAIRS_A_ROW * cost.shape[0]:
        _, column_of_row, _ = lap.lapjv(cost, extend_cost=True)
        rows = np.flatnonzero(column_of_row >= 0)
        return rows, column_of_row[rows].astype(np.int64)
    rows, columns = linear_sum_assignment(cost)
    return rows.astype(np.int64, copy=False), columns.astype(np.int64, copy=False)
