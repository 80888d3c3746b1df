"""Assignment of detections to tracks: one stage, and the cascade of stages.

A stage takes a cost matrix, lifts every cost over the threshold to the same value just above it,
solves the rectangular assignment problem and undoes the pairs that are still over the threshold.
The cascade runs a stage for the tracks seen one frame ago, then two frames ago and so on, so
that a long-lost track with its wide gate can't take the detection of one seen just now.

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
# lap's Jonker-Volgenant beats scipy's only on large, nearly square problems in which many pairs
# are possible: 500 x 500 with a tenth of the pairs 4.6 against 11 ms, gated to three
# a row 16 against 3.2 ms (benchmarks/tracker/tracker_core.py --solvers).
_LAP_FROM = 100
_LAP_PAIRS_A_ROW = 8
_LAP_SQUARENESS = 0.9


@dataclass(frozen=True, slots=True)
class Assignment:
    """Pairs of tracks and detections, and the detections left over.

    Attributes:
        rows: ``(K,)`` int64 rows (tracks) that got a column.
        columns: ``(K,)`` int64 columns (detections), ``columns[i]`` belongs to ``rows[i]``.
        unmatched_columns: ``(R,)`` int64. Those that the solver never assigned come first, in
            their order, then those whose pair was undone: new ids follow this order.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    unmatched_columns: NDArray[np.int64]


def assign(cost: NDArray[np.float64], max_cost: float) -> Assignment:
    """Pair rows with columns at the smallest total cost, none over ``max_cost``.

    Args:
        cost: ``(T, N)``; infinity and NaN mean 'never'.
        max_cost: finite; a cost equal to it is still accepted.

    Returns:
        An ``Assignment`` in indices of ``cost``; with no rows, every column is unmatched.
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
    """Assign in order of age: the rows seen most recently choose first.

    Args:
        cost_of: gives the ``(T, N)`` costs of some rows and columns. It is asked at most twice
            and never for the same pair again: for the youngest rows, then for all older ones
            and the columns that are still free, which are few in most frames.
        rows: ``(T,)`` indices of tracks.
        ages: ``(T,)`` frames since each was last seen.
        columns: ``(N,)`` indices of detections, in order.
        max_cost: as in ``assign``.

    Returns:
        An ``Assignment`` in the indices given.
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
        places = np.arange(len(free), dtype=np.int64)  # columns of `cost` that are still free, in order
        levels, sizes = np.unique(old_ages, return_counts=True)
        busy = np.unique(old_ages[(cost <= max_cost).any(axis=1)]).tolist()
        done = 0
        for age in busy:
            if len(places) == 0:
                break
            at = int(levels.searchsorted(age))
            places = _passed_by(places, sizes[done:at])
            done = at + 1
            level = (old_ages == age).nonzero()[0]
            stage = assign(cost[level[:, None], places], max_cost)
            matched_rows.append(old[level[stage.rows]])
            matched_columns.append(free[places[stage.columns]])
            places = places[stage.unmatched_columns]
        places = _passed_by(places, sizes[done:])
        free = free[places]
    return Assignment(np.concatenate(matched_rows), np.concatenate(matched_columns), free)


def _passed_by(places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Free columns after stages of so many rows in which no pair was possible, in their new order.

    Between equal costs scipy gives row i column i: the first columns are assigned and undone, so they
    go behind the others. The order sets ids, so these stages count, but need not be solved.
    """
    count = len(places)
    return np.roll(places, -int(sizes[sizes < count].sum()) % count) if count else places


def _solve(cost: NDArray[np.float64], pairs: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows, ascending, and columns of an optimal rectangular assignment; ``pairs`` are possible."""
    small, large = sorted(cost.shape)
    if small >= max(_LAP_FROM, _LAP_SQUARENESS * large) and pairs >= _LAP_PAIRS_A_ROW * cost.shape[0]:
        _, column_of_row, _ = lap.lapjv(cost, extend_cost=True)
        rows = np.flatnonzero(column_of_row >= 0)
        return rows, column_of_row[rows].astype(np.int64)
    rows, columns = linear_sum_assignment(cost)
    return rows.astype(np.int64, copy=False), columns.astype(np.int64, copy=False)
