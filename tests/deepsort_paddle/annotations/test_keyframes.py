"""Key frames of a track."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle.annotations.cvat import CvatTrack
from deepsort_paddle.annotations.keyframes import key_frames, tolerance


@pytest.mark.parametrize("count", [1, 2, 3, 400])
def test_the_line_between_key_frames_is_within_the_tolerance(count: int) -> None:
    generator = np.random.default_rng(count)
    frames = np.cumsum(generator.integers(1, 4, count))
    centre = (
        np.cumsum(generator.normal(0, 2, (count, 2)), axis=0) + 20 * np.sin(np.arange(count) / 9)[:, None]
    )
    boxes = np.column_stack([centre, centre + np.array([40, 100])]) + generator.normal(0, 0.5, (count, 4))
    rows = key_frames(frames, boxes)
    assert rows[0] == 0
    assert rows[-1] == count - 1
    off = np.zeros(len(rows), bool)
    track = CvatTrack("1", "person", frames[rows], boxes[rows], off, off)
    places, between = track.at(frames)
    assert len(places) == count
    assert (np.abs(between - boxes).max(axis=1) <= tolerance(boxes) + 1e-9).all()
    assert count < 10 or len(rows) < 0.7 * count


def test_a_straight_walk_needs_two_key_frames() -> None:
    x = np.arange(50.0)
    assert key_frames(np.arange(50), np.column_stack([x, 0 * x, x + 40, 0 * x + 100])).tolist() == [0, 49]
