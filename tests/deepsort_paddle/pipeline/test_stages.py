import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding
from deepsort_paddle.pipeline.stages import prepare_detections, skip_broken, track_frames
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracking.tracker import DeepSort


class MeanColor:
    """An encoder whose embedding is the crop's mean colour; counts its calls."""

    def __init__(self) -> None:
        self.single = self.batches = 0

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        self.single += 1
        rows = [frame[int(t) : int(b), int(x) : int(r)].reshape(-1, 3).mean(0) for x, t, r, b in boxes]
        array = np.array(rows, np.float32).reshape(-1, 3)
        return array / np.linalg.norm(array, axis=1, keepdims=True)

    def encode_batch(
        self, frames: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        self.batches += 1
        return [self(frame, box) for frame, box in zip(frames, boxes, strict=True)]


class Recorder:
    """A tracker that keeps what it is given."""

    def __init__(self) -> None:
        self.seen: list[Detections] = []

    def update(self, detections: Detections) -> Tracks:
        self.seen.append(detections)
        return Tracks.empty()


COLORS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]], np.uint8)


def walk(number: int) -> Detections:
    """Three people who walk to the right; nobody in frame 4."""
    if number == 4:
        return Detections.empty()
    boxes = [[10.0 + 3 * number, 10 + 40 * k, 30.0 + 3 * number, 45 + 40 * k] for k in range(3)]
    return Detections.of(boxes, [0.5, 0.9, 0.7])


def clip(count: int, broken: tuple[int, ...] = ()) -> Iterator[Frame]:
    for number in range(1, count + 1):
        image = np.full((140, 160, 3), 128, np.uint8)
        for color, (left, top, right, bottom) in zip(COLORS, walk(number).boxes.astype(int), strict=False):
            image[top:bottom, left:right] = color
        yield Frame(number, None if number in broken else image, (number - 1) / 10)


def test_detections_are_sorted_by_falling_score_equal_ones_as_they_came() -> None:
    boxes = np.arange(5)[:, None] + np.array([0, 0, 5, 10])
    given = Detections.of(boxes, [0.3, 0.9, 0.3, 0.1, 0.9], [0, 1, 2, 3, 4], np.eye(5))
    ready = prepare_detections(given, min_confidence=0.3)
    assert ready.class_id.tolist() == [1, 4, 0, 2]
    np.testing.assert_array_equal(ready.boxes[:, 0], [1, 4, 0, 2])
    np.testing.assert_array_equal(ready.embeddings, np.eye(5, dtype=np.float32)[[1, 4, 0, 2]])
    assert given.class_id.tolist() == [0, 1, 2, 3, 4]


def test_low_and_flat_boxes_are_dropped() -> None:
    boxes = [[0, 0, 5, 50], [0, 0, 5, 49], [0, 0, 0, 60], [0, 0, 5, 0], [5, 0, 0, 60]]
    assert prepare_detections(Detections.of(boxes)).boxes.tolist() == boxes[:2]
    assert prepare_detections(Detections.of(boxes), min_height=50).boxes.tolist() == boxes[:1]
    assert len(prepare_detections(Detections.empty(), min_confidence=0.5)) == 0


def test_every_frame_reaches_the_tracker_in_order() -> None:
    tracker = Recorder()
    results = list(track_frames(clip(6), lambda number, image: walk(number), None, tracker))
    assert [result.frame.number for result in results] == [1, 2, 3, 4, 5, 6]
    assert [len(seen) for seen in tracker.seen] == [3, 3, 3, 0, 3, 3]
    assert all(result.detections is seen for result, seen in zip(results, tracker.seen, strict=True))
    seconds = results[0].seconds
    assert min(seconds.read, seconds.detect, seconds.encode, seconds.track) >= 0


def test_thresholds_are_applied_before_encoding() -> None:
    tracker = Recorder()
    list(
        track_frames(
            clip(1),
            lambda number, image: walk(number),
            MeanColor(),
            tracker,
            min_confidence=0.6,
            min_height=5,
        )
    )
    assert tracker.seen[0].confidence.tolist() == pytest.approx([0.9, 0.7])
    assert tracker.seen[0].embeddings is not None
    # Rows and embeddings still belong together: 0.9 is the green one, 0.7 the red one (BGR).
    assert tracker.seen[0].embeddings.argmax(axis=1).tolist() == [1, 2]


def test_detections_of_ones_own_have_thresholds_by_class() -> None:
    found = Detections.of(np.tile([0.0, 0.0, 9.0, 9.0], (5, 1)), np.linspace(0.1, 0.5, 5), [0, 1, 0, 1, 2])
    kept = prepare_detections(found, min_confidence=0.5, class_confidence={0: 0.2, 1: 0.4})
    assert kept.class_id.tolist() == [2, 1, 0]


@pytest.mark.parametrize("size", [2, 3, 9, 10, 11, 100])  # of 10 frames
def test_batches_of_frames_give_the_same_tracks(size: int) -> None:
    def run(frames_per_batch: int) -> tuple[MeanColor, list[tuple[int, list[int], list[list[float]]]]]:
        encoder = MeanColor()
        results = track_frames(
            clip(10, broken=(7,)),
            lambda number, image: walk(number),
            encoder,
            DeepSort(),
            frames_per_batch=frames_per_batch,
        )
        return encoder, [
            (result.frame.number, result.tracks.ids.tolist(), result.tracks.boxes.tolist())
            for result in results
        ]

    alone, expected = run(1)
    together, got = run(size)
    assert got == expected
    assert expected[-1][1] == [1, 2, 3]
    assert alone.batches == 0
    assert together.batches > 0


def test_frames_are_read_lazily() -> None:
    read = []

    def frames() -> Iterator[Frame]:
        for frame in clip(100):
            read.append(frame.number)
            yield frame

    results = track_frames(frames(), lambda number, image: walk(number), None, Recorder(), frames_per_batch=4)
    next(results)
    assert read == [1, 2, 3, 4]


def test_a_broken_frame_has_detections_but_no_embeddings() -> None:
    tracker = Recorder()
    list(track_frames(clip(2, broken=(2,)), lambda number, image: walk(number), MeanColor(), tracker))
    assert tracker.seen[0].embeddings is not None
    assert len(tracker.seen[1]) == 3
    assert tracker.seen[1].embeddings is None


def test_a_detector_that_needs_images_is_spared_broken_frames() -> None:
    asked = []

    def detect(number: int, image: NDArray[np.uint8] | None) -> Detections:
        assert image is not None
        asked.append(number)
        return walk(number)

    tracker = Recorder()
    list(track_frames(clip(3, broken=(2,)), skip_broken(detect), None, tracker))
    assert asked == [1, 3]
    assert [len(seen) for seen in tracker.seen] == [3, 0, 3]


def test_embeddings_of_the_detector_are_kept_without_an_encoder() -> None:
    tracker = Recorder()
    given = Detections.of([[0, 0, 5, 9]], embeddings=[[0, 1]])
    list(track_frames(clip(1), lambda number, image: given, None, tracker))
    np.testing.assert_array_equal(tracker.seen[0].embeddings, [[0, 1]])


def test_frames_per_batch_below_one_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="frames_per_batch must be 1 or more, got 0"):
        track_frames(clip(1), lambda number, image: walk(number), None, Recorder(), frames_per_batch=0)


def test_no_frames_no_results() -> None:
    assert list(track_frames([], lambda number, image: walk(number), None, Recorder())) == []


@pytest.mark.parametrize("frames_per_batch", [1, 4])
def test_reading_ahead_gives_the_same(frames_per_batch: int) -> None:
    outcomes = []
    for read_ahead in (0, 1, 3):
        results = track_frames(
            clip(11, broken=(3,)),
            lambda number, image: walk(number),
            MeanColor(),
            DeepSort(coast=2),
            frames_per_batch=frames_per_batch,
            read_ahead=read_ahead,
            min_confidence=0.6,
        )
        outcomes.append(
            [
                (result.frame.number, result.tracks.ids.tolist(), result.tracks.boxes.tolist())
                for result in results
            ]
        )
    assert len(outcomes[0]) == 11
    assert outcomes[0][-1][1] == [1, 2]
    assert outcomes[1] == outcomes[0]
    assert outcomes[2] == outcomes[0]


@pytest.mark.parametrize("read_ahead", [0, 2])
@pytest.mark.parametrize("stage", ["read", "detect", "encode"])
def test_an_error_comes_after_the_frames_before_it(stage: str, read_ahead: int) -> None:
    def fail_at_5(number: int, at: str) -> None:
        if number == 5 and at == stage:
            raise OSError(f"{stage} failed")

    def frames() -> Iterator[Frame]:
        for frame in clip(9):
            fail_at_5(frame.number, "read")
            if frame.image is not None:
                frame.image[0, 0] = frame.number
            yield frame

    def detect(number: int, image: NDArray[np.uint8] | None) -> Detections:
        fail_at_5(number, "detect")
        return Detections.of([[0, 0, 9, 9]])

    class Encode(MeanColor):
        def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
            fail_at_5(int(frame[0, 0, 0]), "encode")
            return super().__call__(frame, boxes)

    tracker, threads = Recorder(), threading.active_count()
    with pytest.raises(OSError, match=f"{stage} failed"):
        list(track_frames(frames(), detect, Encode(), tracker, read_ahead=read_ahead))
    assert len(tracker.seen) == 4
    assert threading.active_count() == threads


def test_closing_ends_the_threads_before_the_end_of_the_frames() -> None:
    threads, read = threading.active_count(), []

    def frames() -> Iterator[Frame]:
        for frame in clip(1000):
            read.append(frame.number)
            yield frame

    results = track_frames(
        frames(), lambda number, image: walk(number), MeanColor(), Recorder(), read_ahead=2
    )
    assert next(results).frame.number == 1
    assert threading.active_count() == threads + 3
    results.close()
    assert threading.active_count() == threads
    assert len(read) <= 10


def test_a_negative_read_ahead_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="read_ahead must be 0 or more, got -1"):
        track_frames(clip(1), lambda number, image: walk(number), None, Recorder(), read_ahead=-1)


def every_other(detections: Detections) -> NDArray[np.int64]:
    return np.arange(0, len(detections), 2)


def test_rows_that_are_not_needed_get_zero_embeddings() -> None:
    tracker, encoder = Recorder(), MeanColor()
    list(track_frames(clip(3), lambda number, image: walk(number), encoder, tracker, select=every_other))
    for seen in tracker.seen:
        assert seen.embeddings is not None
        # By falling confidence: green, blue (not needed), red.
        assert seen.embeddings.argmax(axis=1).tolist() == [1, 0, 0]
        assert seen.embeddings.any(axis=1).tolist() == [True, False, True]


def test_a_frame_in_which_nothing_is_needed_has_no_embeddings() -> None:
    tracker, encoder = Recorder(), MeanColor()
    none = np.zeros(0, np.int64)
    frames = clip(4, broken=(2,))
    list(track_frames(frames, lambda number, image: walk(number), encoder, tracker, select=lambda _: none))
    assert [seen.embeddings for seen in tracker.seen] == [None] * 4
    assert encoder.single == 0


def test_what_is_needed_is_asked_between_two_updates() -> None:
    asked: list[int] = []

    class Tracker(Recorder):
        def update(self, detections: Detections) -> Tracks:
            asked.append(-len(detections))
            return super().update(detections)

    def needed(detections: Detections) -> NDArray[np.int64]:
        assert detections.embeddings is None
        asked.append(len(detections))
        return every_other(detections)

    frames = clip(6, broken=(5,))
    results = track_frames(
        frames, lambda number, image: walk(number), MeanColor(), Tracker(), select=needed, read_ahead=2
    )
    assert len(list(results)) == 6
    assert asked == [3, -3] * 3 + [0] + [-3] + [3, -3]  # nobody in frame 4, no image of frame 5


def test_the_motion_of_the_camera_reaches_tracker_and_choice_of_what_to_encode() -> None:
    moves = {number: np.array([[1.0, 0, number], [0, 1, 0]]) for number in range(1, 7)}
    seen: list[int] = []
    calls: list[tuple[bool, int]] = []

    def camera_motion(image: NDArray[np.uint8] | None, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        calls.append((image is not None, len(boxes)))
        return moves[len(calls)]

    class Tracker(Recorder):
        def update(  # type: ignore[override]
            self, detections: Detections, *, camera_motion: NDArray[np.float64]
        ) -> Tracks:
            seen.append(int(camera_motion[0, 2]))
            return super().update(detections)

    def needed(detections: Detections, *, camera_motion: NDArray[np.float64]) -> NDArray[np.int64]:
        seen.append(-int(camera_motion[0, 2]))
        return every_other(detections)

    results = track_frames(
        clip(6, broken=(5,)),
        lambda number, image: walk(number),
        MeanColor(),
        Tracker(),  # type: ignore[arg-type]
        select=needed,
        camera_motion=camera_motion,
        read_ahead=2,
    )
    assert len(list(results)) == 6
    assert seen == [-1, 1, -2, 2, -3, 3, 4, 5, -6, 6]
    assert calls == [(True, 3)] * 3 + [(True, 0), (False, 3), (True, 3)]


@pytest.mark.parametrize("preset", ["deepsort", "strong"])
def test_encoding_what_is_needed_gives_the_same_side_by_side(preset: str) -> None:
    outcomes = []
    for read_ahead in (0, 2):
        tracker = DeepSort.from_preset(preset)
        results = track_frames(
            clip(25, broken=(9,)),
            lambda number, image: walk(number),
            MeanColor(),
            tracker,
            read_ahead=read_ahead,
            select=SelectiveEncoding(tracker),
        )
        outcomes.append(
            [
                (one.tracks.ids.tolist(), one.tracks.boxes.tolist(), str(one.detections.embeddings))
                for one in results
            ]
        )
    assert outcomes[0] == outcomes[1]
    # `strong` starts no track at a score of 0.5.
    assert outcomes[0][-1][0] == [1, 2, 3][: 2 if preset == "strong" else 3]


def test_what_is_needed_is_encoded_while_the_frame_before_is_drawn() -> None:
    second, threads = threading.Event(), threading.active_count()

    class Encode(MeanColor):
        def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
            if self.single == 1:
                second.set()
            return super().__call__(frame, boxes)

    results = track_frames(
        clip(9), lambda number, image: walk(number), Encode(), Recorder(), select=every_other, read_ahead=1
    )
    assert next(results).frame.number == 1
    assert second.wait(30)  # nobody has asked for the second frame
    results.close()
    assert threading.active_count() == threads


def test_frames_per_batch_does_not_go_with_needed() -> None:
    with pytest.raises(ValueError, match="frames_per_batch must be 1 with select, got 2: "):
        track_frames(
            clip(1),
            lambda number, image: walk(number),
            MeanColor(),
            Recorder(),
            select=every_other,
            frames_per_batch=2,
        )
