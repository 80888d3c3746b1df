"""The interval of the number of people."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle.people import head_count
from deepsort_paddle.people.head_count import people_interval


def test_certain_joins_leave_no_doubt() -> None:
    assert people_interval([20.0, 20.0, -20.0], tracks=6, people=4) == (4, 4)


def test_no_joins_are_no_doubt() -> None:
    assert people_interval([], tracks=6, people=6) == (6, 6)


def test_an_even_chance_can_go_both_ways() -> None:
    assert people_interval([0.1], tracks=2, people=1) == (1, 2)


def test_the_interval_holds_the_number_found() -> None:
    low, high = people_interval([0.1] * 10, tracks=20, people=10)
    assert low <= 10 <= high


def test_many_joins_are_counted_as_a_normal_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    odds = np.random.default_rng(0).uniform(-4, 8, 200).tolist()
    exact = people_interval(odds, tracks=300, people=150)
    monkeypatch.setattr(head_count, "_EXACT", 10)
    assert np.abs(np.array(people_interval(odds, tracks=300, people=150)) - exact).max() <= 1


def test_a_larger_level_gives_a_wider_interval() -> None:
    odds = [2.0, 1.0, 0.5, -1.0, -2.0]
    narrow = people_interval(odds, tracks=9, people=6, level=0.5)
    wide = people_interval(odds, tracks=9, people=6, level=0.95)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


def test_people_who_were_hardly_seen_make_fewer_possible_not_more() -> None:
    assert people_interval([], tracks=6, people=6, brief=4) == (2, 6)
