"""The camera's motion, known because the scene is made up."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.camera import motion_from_boxes, mutual_best


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
