"""Which tracks are reported, and with which boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections, Tracks
from deepsort_paddle.tracking.report import hidden_share


def person(x: float, bottom: float, height: float = 100.0) -> list[float]:
    """A box, 0.4 as wide as high, centred at x, that ends at ``bottom``."""
    return [x - 0.2 * height, bottom - height, x + 0.2 * height, bottom]


def pass_by(tracker: DeepSort, *, front: float, missed: int = 6) -> list[Tracks]:
    """One person stands at 200; a second one, whose box ends at ``front``, stays before or beside the first.

    The first is seen in five frames, then no longer.
    """
    reported = []
    for number in range(5 + missed):
        boxes = [person(200, 200)] * (number < 5) + [person(205, front, 120)]
        reported.append(tracker.update(Detections.of(boxes, [0.9] * len(boxes))))
    return reported


def test_a_hidden_person_is_reported_for_some_frames() -> None:
    tracks = pass_by(DeepSort(hidden_coast=4), front=215)
    assert [len(one) for one in tracks[5:]] == [2, 2, 2, 2, 1, 1]
    assert tracks[6].detection_index.tolist() == [-1, 0]
    assert tracks[6].frames_since_update.tolist() == [2, 0]


@pytest.mark.parametrize("front", [190, 400], ids=["behind", "elsewhere"])
def test_a_person_whom_nobody_hides_is_not(front: float) -> None:
    assert [len(one) for one in pass_by(DeepSort(hidden_coast=4), front=front)[5:]] == [1] * 6


def test_who_was_once_in_sight_and_not_found_is_gone_until_found_again() -> None:
    tracker = DeepSort(hidden_coast=9, iou_max_age=30)
    pass_by(tracker, front=215, missed=2)
    places = [213, 221, 229, 237, 229, 221, 213, 205]
    seen = [tracker.update(Detections.of([person(x, 215, 120)], [0.9])) for x in places]
    assert [len(one) for one in seen] == [2, 2, 1, 1, 1, 1, 1, 1]
    again = tracker.update(Detections.of([person(200, 200), person(205, 215, 120)], [0.9, 0.9]))
    assert again.ids.tolist() == [1, 2]


def test_coast_holds_for_everybody() -> None:
    tracks = pass_by(DeepSort(coast=1, hidden_coast=3), front=190)
    assert [len(one) for one in tracks[5:]] == [2, 1, 1, 1, 1, 1]
    assert [len(one) for one in pass_by(DeepSort(coast=1, hidden_coast=3), front=215)[5:]] == [2] * 3 + [
        1
    ] * 3


@pytest.mark.parametrize("coast", [{"coast": 1}, {"hidden_coast": 2}], ids=["coast", "hidden_coast"])
def test_a_track_coasts_only_after_a_streak_of_matches(coast: dict[str, int]) -> None:
    tracker = DeepSort(n_init=2, coast_after=3, iou_max_age=30, **coast)
    reported = []
    for seen in (1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0):
        boxes = [person(205, 215, 120)] + [person(200, 200)] * seen
        tracks = tracker.update(Detections.of(boxes, [0.9] * len(boxes)))
        reported.append(int((tracks.ids == 2).sum()))
    assert reported == [0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1]


def test_a_person_who_leaves_the_area_of_the_boxes_does_not_coast(tmp_path: Path) -> None:
    for inside, coasted in ((False, [1, 1, 1]), (True, [1, 1, 0])):
        tracker = DeepSort(n_init=2, coast=3, coast_inside=inside)
        for x in (100, 96, 92, 88, 84):
            tracker.update(Detections.of([person(x, 200)], [0.9]))
        tracker.save(tmp_path / "tracker.npz")
        for continued in (tracker, DeepSort.load(tmp_path / "tracker.npz")):
            assert [len(continued.update(Detections.empty())) for _ in range(3)] == coasted


def test_naming_no_coast_turns_both_off() -> None:
    assert DeepSort.from_preset("strong", coast=0).options.hidden_coast == 0
    assert DeepSort.from_preset("strong", coast=3).options.hidden_coast == 10


def test_the_share_is_that_of_the_one_in_front_that_covers_most() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 20]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 12], [2, 5, 10, 11]])
    assert hidden_share(boxes, others).tolist() == pytest.approx([0.5, 0.0])
    assert hidden_share(boxes, others[:0]).tolist() == [0, 0]


def test_a_running_mean_steadies_the_reported_size_and_not_the_place() -> None:
    sizes = []
    for momentum in (0.0, 0.7):
        tracker = DeepSort(size_momentum=momentum, detection_weight=1.0, coast=1)
        for _ in range(20):
            tracker.update(Detections.of([person(200, 200)], [0.9]))
        tracks = tracker.update(Detections.of([person(200, 200, 80)], [0.9]))
        sizes.append(tracks.boxes[0, 2:] - tracks.boxes[0, :2])
        np.testing.assert_allclose(0.5 * (tracks.boxes[0, :2] + tracks.boxes[0, 2:]), [200, 160])
    assert sizes[0] == pytest.approx([32, 80])
    assert sizes[1] == pytest.approx(sizes[0] + 0.5 * (1 - 0.3 * 0.9) * np.array([8, 20]))


def test_an_unsure_detection_changes_the_size_less() -> None:
    heights = []
    for confidence in (0.9, 0.3):
        tracker = DeepSort(size_momentum=0.7)
        for _ in range(20):
            tracker.update(Detections.of([person(200, 200)], [0.9]))
        tracker.update(Detections.of([person(200, 200, 90)], [confidence]))
        heights.append(tracker._state.sizes[0, 1])
    assert 90 < heights[0] < heights[1] < 100


def test_a_missed_track_has_its_mean_size() -> None:
    tracker = DeepSort(size_momentum=0.7, coast=3)
    for number in range(10):
        tracker.update(Detections.of([person(200, 200, 100 + 5 * (number % 2))], [0.9]))
    missed = [tracker.update(Detections.empty()) for _ in range(3)]
    heights = [tracks.boxes[0, 3] - tracks.boxes[0, 1] for tracks in missed]
    assert heights == pytest.approx([tracker._state.sizes[0, 1]] * 3)


def test_the_options_change_no_id(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trackers = [DeepSort(coast=0), DeepSort(hidden_coast=9, size_momentum=0.7)]
    for number in range(60):
        x = np.array([100, 130, 300 - 2 * number, 200 + 3 * number]) + rng.normal(0, 2, 4)
        boxes = np.array([person(one, 200 + 9 * row) for row, one in enumerate(x)])[rng.random(4) < 0.8]
        given = Detections.of(boxes, rng.uniform(0.3, 1, len(boxes)))
        plain, other = (tracker.update(given) for tracker in trackers)
        seen = other[other.detection_index >= 0]
        assert plain.ids.tolist() == seen.ids.tolist()
        if number == 30:
            trackers[1].save(tmp_path / "half.npz")
            trackers[1] = DeepSort.load(tmp_path / "half.npz")
