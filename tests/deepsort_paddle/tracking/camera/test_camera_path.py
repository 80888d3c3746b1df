"""Boxes mapped to the first frame of a moving camera and back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.tracking.camera.camera_path import CameraPath, magnification


@pytest.fixture
def motions() -> NDArray[np.float64]:
    """The camera pans, then zooms in by 2 and turns by a right angle."""
    return np.array(
        [np.eye(2, 3), [[1.0, 0, 30], [0, 1, -10]], [[0.0, -2, 500], [2, 0, 0]], [[1.0, 0, 1], [0, 1, 1]]]
    )


def test_a_centre_follows_the_motions_one_after_another(motions: NDArray[np.float64]) -> None:
    path = CameraPath(motions)
    # Centre 20, 30: panned to 50, 20; zoomed and turned to 460, 100; moved to 461, 101.
    boxes = path.as_seen(np.array([[10.0, 10, 30, 50]]).repeat(4, axis=0), np.arange(1, 5))
    expected = [[10, 10, 30, 50], [40, 0, 60, 40], [440, 60, 480, 140], [441, 61, 481, 141]]
    assert boxes == pytest.approx(np.array(expected, float))


def test_stabilized_boxes_are_seen_again_as_they_were(motions: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 500, (20, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 100, (20, 2))])
    frame = rng.integers(1, 5, 20)
    path = CameraPath(motions)
    assert path.as_seen(path.stabilized(boxes, frame), frame) == pytest.approx(boxes)


def test_no_boxes_pass_through(motions: NDArray[np.float64]) -> None:
    none = CameraPath(motions).stabilized(np.zeros((0, 4)), np.zeros(0, np.int64))
    assert none.shape == (0, 4)


def test_the_magnification_is_that_of_the_whole_path() -> None:
    forward = np.array([1.002 * np.eye(2, 3)] * 1001)
    assert magnification(forward) == pytest.approx(1.002**1000)
    there_and_back = np.concatenate([forward, np.array([np.eye(2, 3) / 1.002] * 1000)])
    assert magnification(there_and_back) == pytest.approx(1.002**1000)
    assert magnification(np.eye(2, 3)[None]) == 1
    assert magnification(np.array([2.0 * np.eye(2, 3)] * 5000)) > 1e300
