"""The camera's motion, known because the scene is made up."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.tracking.camera.box_motion import common_shift, motion_from_boxes, mutual_best, shrinkage


def people(count: int, seed: int = 0) -> np.ndarray:
    """Boxes on a grid, no two touching."""
    rng = np.random.default_rng(seed)
    corner = np.stack(np.divmod(np.arange(count), 5), axis=1) * [130.0, 210.0] + rng.uniform(0, 9, (count, 2))
    return np.hstack([corner, corner + np.array([40.0, 100.0])])


def test_the_common_shift_is_found_beside_people_who_walk_on_their_own() -> None:
    predicted = people(15)
    boxes = predicted + np.array([12.0, -7.0, 12.0, -7.0])
    boxes[:4] += [9.0, 0.0, 9.0, 0.0]
    motion = motion_from_boxes(predicted, boxes[::-1], min_pairs=5)
    np.testing.assert_allclose(motion, [[1, 0, 12], [0, 1, -7]])


def test_a_common_shift_comes_with_what_chance_makes_of_it() -> None:
    # Medians 4 and 0; both times the median of the deviations (0, 1, 1, 3, 3 and 0, 1, 1, 1, 1) is 1.
    steps = np.array([[1.0, 1.0], [3.0, -1.0], [4.0, 0.0], [5.0, 1.0], [7.0, -1.0]])
    shift, error = common_shift(steps)
    assert shift.tolist() == [4.0, 0.0]
    assert error == pytest.approx(2 * (1.2533 * 1.4826 * 5 / 4.2) ** 2 / 5)
    rng = np.random.default_rng(3)
    found = [common_shift(rng.normal(0, 2, (9, 2))) for _ in range(2000)]
    # Squares of a scatter seen in nine steps are a little too large.
    expected = np.mean([(shift**2).sum() for shift, _ in found])
    assert expected < np.mean([chance for _, chance in found]) < 1.25 * expected


def test_only_what_stands_out_from_chance_is_believed() -> None:
    assert shrinkage(16.0, 4.0) == 0.75
    assert shrinkage(3.0, 4.0) == 0.0
    assert shrinkage(0.0, 0.0) == 0.0


def test_people_who_move_on_their_own_before_a_still_camera_shift_little() -> None:
    rng = np.random.default_rng(3)
    predicted = people(6)
    ways = [np.tile(rng.normal(0, 2, (6, 2)), 2) for _ in range(200)]
    found = [motion_from_boxes(predicted, predicted + way, min_pairs=5)[:, 2] for way in ways]
    chance = [np.median(way[:, :2], axis=0) for way in ways]
    assert np.mean(np.square(found)) < 0.4 * np.mean(np.square(chance))
    assert np.mean(~np.any(found, axis=1)) > 0.5


def test_too_few_pairs_mean_no_motion() -> None:
    none = np.zeros((0, 4))
    for predicted, boxes in ((none, none), (none, people(9)), (people(9), none), (people(4), people(4) + 5)):
        np.testing.assert_array_equal(motion_from_boxes(predicted, boxes, min_pairs=5), np.eye(2, 3))


def test_mutual_best_pairs_are_one_to_one() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 100, (40, 2))
    boxes = np.hstack([corner, corner + 40])
    rows, columns = mutual_best(boxes[:20], boxes[20:], 0.1)
    assert len(rows) > 3
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))


@pytest.mark.parametrize("centred", [False, True])
def test_tracks_live_through_a_jerk_of_the_camera(centred: bool) -> None:
    kept = {}
    for pairs in (0, 5):
        tracker = DeepSort(min_camera_pairs=pairs, observation_centred=centred, max_iou_distance=0.5)
        for jerk in (0.0, 0.0, 0.0, 0.0, 18.0):
            tracks = tracker.update(Detections.of(people(15) + np.array([jerk, 0.0, jerk, 0.0])))
        kept[pairs] = len(tracks)
    assert kept == {0: 0, 5: 15}
