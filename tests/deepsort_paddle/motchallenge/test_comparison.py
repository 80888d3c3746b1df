"""Differences between trackers and their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepsort_paddle.motchallenge.comparison import COMPARED, common_sequences, compare
from deepsort_paddle.motchallenge.metrics import PreparedSequence, evaluate


def made_up(name: str, quality: float, seed: int = 0, frames: int = 300) -> PreparedSequence:
    """Four people, each found in a part ``quality`` of the frames."""
    rng = np.random.default_rng(seed)
    people = np.arange(4)
    found = [people[rng.random(4) < quality] for _ in range(frames)]
    ious = tuple((people[:, None] == result) * 0.8 for result in found)
    return PreparedSequence(name, "MOT15", 1, (people,) * frames, tuple(found), ious, 4, 4)


def test_a_clearly_better_tracker_differs_by_more_than_chance() -> None:
    trackers = {
        "poor": [made_up("a", 0.5), made_up("b", 0.6, 1)],
        "good": [made_up("a", 0.9), made_up("b", 0.9, 1)],
    }
    comparison = compare(trackers, draws=200)
    rows = comparison.trackers["good"]
    expected = [evaluate(sequences) for sequences in trackers.values()]
    assert [row.scores.name for row in rows] == ["a", "b", "overall"]
    for name in COMPARED:
        difference = getattr(expected[1].overall, name) - getattr(expected[0].overall, name)
        assert rows[-1].difference[name] == difference
    low, high = rows[-1].interval["hota"]
    assert 0 < low < rows[-1].difference["hota"] < high
    assert not comparison.trackers["poor"][-1].difference


def test_the_same_seed_gives_the_same_intervals() -> None:
    trackers = {"x": [made_up("a", 0.7)], "y": [made_up("a", 0.8, 3)]}
    one, other = (compare(trackers, draws=50).trackers["y"][-1].interval for _ in range(2))
    assert one == other
    assert compare(trackers, draws=50, seed=1).trackers["y"][-1].interval != one


def test_only_sequences_that_all_have_are_kept() -> None:
    a, b = made_up("a", 0.9), made_up("b", 0.9)
    kept, left_out = common_sequences({"x": [a, b], "y": [b]})
    assert [one.name for one in kept["x"]] == ["b"]
    assert left_out == ["a"]
    with pytest.raises(ValueError, match="no sequence has results of all"):
        common_sequences({"x": [a], "y": [b]})


def test_trackers_on_other_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="of the same frames"):
        compare({"x": [made_up("a", 0.9)], "y": [made_up("a", 0.9, frames=200)]})
    with pytest.raises(ValueError, match="the same sequences"):
        compare({"x": [made_up("a", 0.9)], "y": [replace(made_up("a", 0.9), name="b")]})
