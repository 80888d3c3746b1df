"""Linking, filling and smoothing on tracks whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.tracking.smooth import link, refine, smooth

RED, GREEN = np.eye(2, dtype=np.float32)


def rows(
    track_id: int, frames: list[int], x: NDArray[np.float64] | list[float], height: float = 100.0
) -> TrackRecords:
    """A track with its left sides at ``x``."""
    left = np.asarray(x, float)
    boxes = np.column_stack(
        [left, np.full(len(left), 50.0), left + 0.4 * height, np.full(len(left), 50.0 + height)]
    )
    one = np.ones(len(left))
    return TrackRecords(np.array(frames), np.full(len(left), track_id), boxes, one, one.astype(int), one)


def joined(*tables: TrackRecords) -> TrackRecords:
    names = ("frame", "ids", "boxes", "confidence", "class_id", "visibility")
    whole = TrackRecords(*(np.concatenate([getattr(table, name) for table in tables]) for name in names))
    return whole[np.argsort(whole.frame, kind="stable")]


def test_a_short_gap_is_filled_on_the_way_and_a_long_one_stays_open() -> None:
    frames = [1, 2, 3, 4, 8, 9, 10, 11, 20, 21, 22, 23]
    refined = smooth(rows(5, frames, [10.0 * frame for frame in frames]), max_fill=3)
    assert refined.table.frame.tolist() == [*range(1, 12), 20, 21, 22, 23]
    assert refined.row.tolist() == [0, 1, 2, 3, -1, -1, -1, 4, 5, 6, 7, 8, 9, 10, 11]
    assert refined.missed.tolist() == [0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    assert set(refined.table.ids.tolist()) == {5}
    assert refined.table.boxes[:, 0] == pytest.approx(10.0 * refined.table.frame, abs=0.5)
    assert refined.table.boxes[:, 2] - refined.table.boxes[:, 0] == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("before", "after", "filled"), [(4, 4, 8), (3, 9, 0), (9, 3, 0)], ids=["long runs", "before", "after"]
)
def test_a_gap_beside_a_short_run_stays_open(before: int, after: int, filled: int) -> None:
    frames = [*range(10 - before, 10), *range(18, 18 + after)]
    refined = smooth(rows(1, frames, [100.0] * len(frames)), max_fill=20)
    assert (refined.row < 0).sum() == filled
    assert len(refined.table) == len(frames) + filled


def test_smoothing_brings_noisy_boxes_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    frames = list(range(1, 101))
    truth = 3.0 * np.arange(100)
    noisy = rows(1, frames, truth + rng.normal(0, 5, 100))
    boxes = smooth(noisy, max_fill=0).table.boxes
    assert np.abs(boxes[:, 0] - truth).mean() < 0.6 * np.abs(noisy.boxes[:, 0] - truth).mean()


@pytest.mark.parametrize(("shake", "part"), [(6.0, 0.6), (0.0, 1.01)])
def test_a_camera_that_shakes_is_not_smoothed_away_and_a_still_one_makes_no_difference(
    shake: float, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    count, frames = 8, list(range(1, 61))
    jerk = rng.normal(0, shake, len(frames))
    truth = [200.0 * one + 2.0 * np.arange(len(frames)) + jerk for one in range(count)]
    kept = np.sort(rng.choice(len(frames), 50, replace=False))
    noisy = [x + rng.normal(0, 2, len(frames)) for x in truth]
    table = joined(
        *(rows(one + 1, [frames[place] for place in kept], noisy[one][kept]) for one in range(7)),
        rows(8, frames, noisy[7]),
    )
    wrong = []
    for witnesses in (5, 99):  # 99: the camera's motion is not looked for
        monkeypatch.setattr("deepsort_paddle.tracking.smooth._MIN_CAMERA_BOXES", witnesses)
        found = smooth(table, max_fill=0).table
        wrong.append(np.abs(found.boxes[:, 0] - np.array(truth)[found.ids - 1, found.frame - 1]).mean())
    assert wrong[0] < part * wrong[1]


def test_a_known_camera_motion_keeps_a_lone_person_on_the_shaken_way() -> None:
    rng = np.random.default_rng(3)
    shake = np.vstack([np.zeros(2), rng.normal(0, 8, (40, 2))]).cumsum(axis=0)
    frames = [*range(1, 21), *range(26, 42)]
    still = rows(1, frames, 2.0 * np.array(frames))
    whole = rows(1, list(range(1, 42)), 2.0 * np.arange(1, 42)).boxes + np.tile(shake, 2)
    motions = np.tile(np.eye(2, 3), (41, 1, 1))
    motions[1:, :, 2] = np.diff(shake, axis=0)
    table = replace(still, boxes=still.boxes + np.tile(shake[still.frame - 1], 2))
    refined = refine(table, camera_motion=motions)
    assert refined.table.frame.tolist() == list(range(1, 42))
    assert refined.table.boxes == pytest.approx(whole, abs=0.5)
    assert np.abs(refine(table).table.boxes - whole).max() > 5  # one person shows no camera motion


def test_a_camera_that_keeps_moving_forward_does_not_ruin_boxes() -> None:
    table = rows(1, list(range(19_951, 20_001)), 100.0 + np.arange(50))
    forward = np.array([1.002 * np.eye(2, 3)] * 20_000)  # magnifies 2e17 times in all
    boxes = refine(table, camera_motion=forward).table.boxes
    assert boxes == pytest.approx(refine(table).table.boxes, abs=0.01)


def test_the_smoother_is_the_least_squares_solution() -> None:
    # The same model solved as one linear system: measurements, and the change of velocity between frames.
    x = np.array([0.0, 4.0, 5.0, 9.0, 20.0])
    height, count = 100.0, 5
    design, wanted, weight = [], [], []
    accelerated = (height / 160) ** 2 * np.array([[0.25, 0.5], [0.5, 1.0]])
    prior = (height / 2) ** 2 * np.eye(2)
    state = np.eye(2 * count)
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    # filterpy predicts before the first measurement, too.
    before = step @ prior @ step.T + accelerated
    design.append(state[:2])
    wanted.append(np.array([x[0], 0.0]))
    weight.append(np.linalg.inv(before))
    loose = np.linalg.pinv(accelerated) + 1e9 * (np.eye(2) - np.linalg.pinv(accelerated) @ accelerated)
    for place in range(count):
        if place:
            design.append(state[2 * place : 2 * place + 2] - step @ state[2 * place - 2 : 2 * place])
            wanted.append(np.zeros(2))
            weight.append(loose)
        design.append(state[2 * place : 2 * place + 1])
        wanted.append(x[place : place + 1])
        weight.append(np.array([[1 / (height / 20) ** 2]]))
    normal = sum(a.T @ w @ a for a, w in zip(design, weight, strict=True))
    right = sum(a.T @ w @ b for a, w, b in zip(design, weight, wanted, strict=True))
    solved = np.linalg.solve(normal, right)[::2]
    boxes = smooth(rows(1, [1, 2, 3, 4, 5], x), max_fill=0).table.boxes
    assert boxes[:, 0] == pytest.approx(solved, abs=1e-3)


def test_tracks_that_look_alike_and_follow_one_another_get_the_first_id() -> None:
    table = joined(
        rows(1, [1, 2, 3], [0, 1, 2]),
        rows(2, [1, 2, 3], [200, 201, 202]),
        rows(4, [10, 11], [6, 7]),
        rows(6, [30, 31], [12, 13]),
    )
    looks = {1: RED, 2: GREEN, 4: RED, 6: RED}
    ids = link(table, looks, max_cosine_distance=0.2, max_gap=50, fps=10)
    assert dict(zip(table.ids.tolist(), ids.tolist(), strict=True)) == {1: 1, 2: 2, 4: 1, 6: 1}


@pytest.mark.parametrize(
    ("frame", "x", "looks"),
    [
        (3, 6.0, RED),  # both are there in frame 3
        (60, 6.0, RED),  # longer ago than max_gap
        (10, 900.0, RED),  # too far to walk
        (10, 6.0, GREEN),  # looks different
    ],
)
def test_tracks_that_can_not_be_one_person_are_not_linked(
    frame: int, x: float, looks: NDArray[np.float32]
) -> None:
    table = joined(rows(1, [1, 2, 3], [0, 1, 2]), rows(2, [frame, frame + 1], [x, x]))
    ids = link(table, {1: RED, 2: looks}, max_cosine_distance=0.2, max_gap=50, fps=10)
    assert set(ids.tolist()) == {1, 2}


def test_a_person_is_not_linked_to_another_class_nor_without_appearance() -> None:
    other = rows(2, [10, 11], [3, 4])
    other = TrackRecords(
        other.frame, other.ids, other.boxes, other.confidence, other.class_id + 1, other.visibility
    )
    table = joined(rows(1, [1, 2, 3], [0, 1, 2]), other)
    assert set(link(table, {1: RED, 2: RED}, max_cosine_distance=0.2, max_gap=50, fps=10).tolist()) == {1, 2}
    table = joined(rows(1, [1, 2, 3], [0, 1, 2]), rows(2, [10, 11], [3, 4]))
    assert set(refine(table, {1: RED}).table.ids.tolist()) == {1, 2}
    assert set(refine(table).table.ids.tolist()) == {1, 2}
    assert set(refine(table, {1: RED, 2: RED}).table.ids.tolist()) == {1}


def test_no_tracks_and_a_single_box_pass_through() -> None:
    assert len(refine(rows(1, [], [])).table) == 0
    single = refine(rows(3, [7], [42.0]))
    assert single.table.boxes == pytest.approx(np.array([[42.0, 50.0, 82.0, 150.0]]))
    assert single.row.tolist() == [0]
