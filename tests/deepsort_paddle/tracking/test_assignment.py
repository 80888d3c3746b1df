"""One stage against all permutations, the cascade against one stage an age."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.tracking.assignment import Assignment, assign, cascade


def pairs(stage: Assignment) -> dict[int, int]:
    return dict(zip(stage.rows.tolist(), stage.columns.tolist(), strict=True))


def gain(cost: NDArray[np.float64], matched: dict[int, int], max_cost: float) -> float:
    return sum(max_cost + 1e-5 - cost[pair] for pair in matched.items())


def best_gain(cost: NDArray[np.float64], max_cost: float) -> float:
    """The largest total saving below the threshold, over all ways to pair."""
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    ways = permutations(range(cost.shape[1]), cost.shape[0])
    return max(
        sum(max_cost + 1e-5 - cost[r, c] for r, c in enumerate(way) if cost[r, c] <= max_cost) for way in ways
    )


def test_assign_equals_the_best_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        cost = rng.random(rng.integers(1, 6, 2))
        max_cost = float(rng.uniform(0.1, 0.9))
        stage = assign(cost, max_cost)
        matched = pairs(stage)
        assert all(cost[pair] <= max_cost for pair in matched.items())
        assert gain(cost, matched, max_cost) == pytest.approx(best_gain(cost, max_cost))
        assert sorted([*matched.values(), *stage.unmatched_columns]) == list(range(cost.shape[1]))


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(120, 120), (120, 125), (60, 200), (200, 60)])
def test_both_solvers_save_the_same(share: float, shape: tuple[int, int]) -> None:
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(1)
    cost = np.where(rng.random(shape) < share, rng.random(shape), 2.0)
    reference = np.where(cost <= 0.5, cost, 0.5 + 1e-5)
    rows, columns = linear_sum_assignment(reference)
    expected = {(r, c) for r, c in zip(rows, columns, strict=True) if cost[r, c] <= 0.5}
    assert set(pairs(assign(cost, 0.5)).items()) == expected


def test_a_cost_equal_to_the_threshold_is_accepted() -> None:
    assert pairs(assign(np.array([[0.7]]), 0.7)) == {0: 0}
    assert pairs(assign(np.array([[np.nextafter(0.7, 1)]]), 0.7)) == {}


def test_unmatched_columns_are_those_never_assigned_then_those_undone() -> None:
    # The rows have to take two columns; only row 0 with column 2 is possible.
    cost = np.full((2, 5), 1.0)
    cost[0, 2] = 0.1
    stage = assign(cost, 0.5)
    assert pairs(stage) == {0: 2}
    undone = stage.unmatched_columns[-1]
    assert stage.unmatched_columns.tolist() == [c for c in (0, 1, 3, 4) if c != undone] + [undone]


def test_infinite_and_nan_costs_never_match() -> None:
    cost = np.array([[np.inf, np.nan], [np.nan, 0.2]])
    stage = assign(cost, 0.5)
    assert pairs(stage) == {1: 1}
    assert stage.unmatched_columns.tolist() == [0]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_assign_of_nothing_leaves_every_column(shape: tuple[int, int]) -> None:
    stage = assign(np.zeros(shape), 0.5)
    assert pairs(stage) == {}
    assert stage.unmatched_columns.tolist() == list(range(shape[1]))


def test_the_cost_of_a_possible_pair_without_rivals_changes_nothing() -> None:
    # What lets the appearance stage take any embedding that is near enough for such a pair.
    rng = np.random.default_rng(6)
    for _ in range(300):
        shape = tuple(rng.integers(1, 40, 2))
        possible = rng.random(shape) < rng.choice([0.5, 1, 2, 4]) / max(shape)
        cost = np.where(possible, 0.3 * rng.random(shape), np.inf)
        rival = (possible.sum(axis=1) > 1)[:, None] | (possible.sum(axis=0) > 1)
        lone = possible & ~rival & (cost <= 0.2)
        one, other = assign(cost, 0.2), assign(np.where(lone, 0.2 * rng.random(shape), cost), 0.2)
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.columns, other.columns)
        np.testing.assert_array_equal(one.unmatched_columns, other.unmatched_columns)


def loop_cascade(
    cost: NDArray[np.float64],
    rows: NDArray[np.int64],
    ages: NDArray[np.int64],
    columns: list[int],
    max_cost: float,
) -> tuple[dict[int, int], list[int]]:
    """One stage an age from 1 up, on lists of indices."""
    matched: dict[int, int] = {}
    free = list(columns)
    for age in range(1, int(max(ages, default=0)) + 1):
        level = [int(row) for row, its in zip(rows, ages, strict=True) if its == age]
        if not level or not free:
            continue
        stage = assign(cost[np.ix_(level, free)], max_cost)
        matched |= {level[r]: free[c] for r, c in pairs(stage).items()}
        free = [free[c] for c in stage.unmatched_columns]
    return matched, free


@pytest.mark.parametrize(("share", "most"), [(0.1, 6), (0.6, 6), (0.03, 40), (0.0, 9)])
def test_cascade_equals_one_stage_an_age_and_asks_for_no_pair_twice(share: float, most: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        tracks, detections = rng.integers(0, 25, 2)
        cost = np.where(rng.random((tracks, detections)) < share, rng.random((tracks, detections)), np.inf)
        rows = np.flatnonzero(rng.random(tracks) < 0.8)
        ages = rng.integers(1, most, len(rows))
        columns = rng.permutation(detections)[: detections // 2 + 1]
        asked: list[tuple[int, int]] = []

        def cost_of(
            some: NDArray[np.int64],
            of: NDArray[np.int64],
            cost: NDArray[np.float64] = cost,
            asked: list[tuple[int, int]] = asked,
        ) -> NDArray[np.float64]:
            asked += [(int(r), int(c)) for r in some for c in of]
            return cost[np.ix_(some, of)]

        stage = cascade(cost_of, rows, ages, columns, 0.5)
        matched, free = loop_cascade(cost, rows, ages, columns.tolist(), 0.5)
        assert pairs(stage) == matched
        assert stage.unmatched_columns.tolist() == free
        assert len(asked) == len(set(asked))


def test_a_track_seen_later_chooses_first() -> None:
    cost = np.array([[0.0], [0.4]])  # the old track is nearer
    stage = cascade(
        lambda rows, columns: cost[np.ix_(rows, columns)], np.arange(2), np.array([5, 1]), np.arange(1), 0.5
    )
    assert pairs(stage) == {1: 0}
