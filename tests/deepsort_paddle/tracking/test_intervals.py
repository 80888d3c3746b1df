"""Real time between frames, where a live source skips some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections, Frame, track_frames
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding


def person(x: float) -> Detections:
    return Detections.of([[x, 50.0, x + 40.0, 150.0]], [0.9])


def test_a_track_moves_as_far_as_its_time() -> None:
    every, skipping = DeepSort(n_init=2), DeepSort(n_init=2)
    for frame in range(41):
        every.update(person(3.0 * frame))
        if frame % 4 == 0:
            tracks = skipping.update(person(3.0 * frame), intervals=1 if frame == 0 else 4)
    assert tracks.ids.tolist() == [1]
    ahead = skipping.prepare_association(Detections.empty(), intervals=4).tracks.states[0, 0, 0]
    assert ahead == pytest.approx(3.0 * 44 + 20, abs=1.0)
    assert every.prepare_association(Detections.empty()).tracks.states[0, 0, 0] == pytest.approx(
        3.0 * 41 + 20, abs=1.0
    )


@pytest.mark.parametrize(("intervals", "updates"), [(1, 10), (5, 2), (10, 1)])
def test_a_lost_track_dies_after_the_same_time(intervals: int, updates: int) -> None:
    tracker = DeepSort(max_seconds=1.0, frame_rate=10.0, n_init=2)
    for _ in range(3):
        tracker.update(person(100.0))
    tracker.update(Detections.empty())  # missed once
    for _ in range(updates - 1):
        tracker.update(Detections.empty(), intervals=intervals)
    assert len(tracker.prepare_association(Detections.empty()).tracks) == 1
    tracker.update(Detections.empty(), intervals=max(intervals, 2))
    assert len(tracker.prepare_association(Detections.empty()).tracks) == 0


def test_the_frame_before_stays_the_frame_before_up_to_a_second() -> None:
    tracker = DeepSort(frame_rate=25.0, n_init=2)
    for _ in range(3):
        tracker.update(person(100.0))

    def age(intervals: int) -> int:
        state = tracker.prepare_association(Detections.empty(), intervals=intervals).tracks
        return int(state.frames_since_update[0])

    assert [age(intervals) for intervals in (1, 2, 25, 26, 1000)] == [1, 1, 1, 26, 1000]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2"])
def test_wrong_intervals_are_one_line_and_change_nothing(wrong: Any) -> None:
    tracker = DeepSort()
    with pytest.raises(ValueError, match="intervals must be a whole number of at least 1"):
        tracker.update(person(1.0), intervals=wrong)
    assert tracker.update(person(1.0)).ids.tolist() == []


class Watcher:
    """A tracker that writes down the time it is given."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []
        self.tracker = DeepSort()

    def update(self, detections: Detections, **known: Any) -> Any:
        self.given.append(known)
        return self.tracker.update(detections, **known)


def frames() -> Iterator[Frame]:
    for number, seconds in enumerate((0.0, 0.04, 0.2, 0.21, 5.2), 1):
        yield Frame(number, np.zeros((200, 400, 3), np.uint8), seconds)


@pytest.mark.parametrize("read_ahead", [0, 2])
def test_track_frames_gives_the_tracker_the_time_between_frames(read_ahead: int) -> None:
    for rate, wanted in ((None, [{}] * 5), (25.0, [{"intervals": count} for count in (1, 1, 4, 1, 125)])):
        watcher = Watcher()
        done = list(
            track_frames(
                frames(), lambda *_: person(5.0), None, watcher, clock_rate=rate, read_ahead=read_ahead
            )
        )
        assert len(done) == 5
        assert watcher.given == wanted


def test_the_choice_of_what_to_encode_is_asked_with_the_same_time() -> None:
    tracker = DeepSort()
    asked: list[dict[str, Any]] = []
    needed = SelectiveEncoding(tracker)

    def watched(detections: Detections, **known: Any) -> Any:
        asked.append(known)
        return needed(detections, **known)

    class Encoder:
        def __call__(self, frame: object, boxes: Any) -> Any:
            return np.tile(np.float32([1, 0]), (len(boxes), 1))

        encode_batch = None

    encoder: Any = Encoder()
    list(track_frames(frames(), lambda *_: person(5.0), encoder, tracker, select=watched, clock_rate=25.0))
    assert [known["intervals"] for known in asked] == [1, 1, 4, 1, 125]
