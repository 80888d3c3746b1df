from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepsort_paddle.converters import (
    from_boxmot,
    from_deep_sort_realtime,
    from_norfair,
    from_supervision,
    from_ultralytics,
    to_boxmot,
    to_deep_sort_realtime,
    to_norfair,
    to_supervision,
)
from deepsort_paddle.structures import Detections, Tracks


def some_detections() -> Detections:
    return Detections.of([[10, 20, 40, 90], [5.5, 6.25, 30, 60]], [0.75, 0.5], [0, 2], [[3, 4, 0], [0, 0, 0]])


def some_tracks() -> Tracks:
    return Tracks(
        ids=np.array([7, 3]),
        boxes=some_detections().boxes,
        confidence=np.array([0.75, 0.5], np.float32),
        class_id=np.array([0, 2]),
        detection_index=np.array([1, -1]),
        frames_since_update=np.array([0, 4]),
    )


def test_detections_survive_the_way_through_supervision() -> None:
    pytest.importorskip("supervision", reason="pip install supervision")
    want = some_detections()
    got = from_supervision(to_supervision(want))
    for name in ("boxes", "confidence", "class_id", "embeddings"):
        assert_array_equal(getattr(got, name), getattr(want, name))


def test_tracks_reach_supervision_with_their_ids() -> None:
    pytest.importorskip("supervision", reason="pip install supervision")
    got = to_supervision(some_tracks())
    assert_array_equal(got.tracker_id, [7, 3])
    assert_array_equal(got.class_id, [0, 2])
    assert_array_equal(got[got.tracker_id == 3].xyxy, [[5.5, 6.25, 30, 60]])


def test_supervision_without_confidence_class_and_objects_is_read() -> None:
    sv = pytest.importorskip("supervision", reason="pip install supervision")
    bare = from_supervision(sv.Detections(xyxy=np.array([[1.0, 2, 3, 4]])))
    assert_array_equal(bare.confidence, [1])
    assert_array_equal(bare.class_id, [0])
    assert bare.embeddings is None
    assert len(from_supervision(sv.Detections.empty())) == 0
    assert len(to_supervision(Detections.empty())) == len(to_supervision(Tracks.empty())) == 0


def test_deep_sort_realtime_gets_left_top_width_height_and_embeddings() -> None:
    raw, embeds = to_deep_sort_realtime(some_detections())
    assert raw == [([10, 20, 30, 70], 0.75, 0), ([5.5, 6.25, 24.5, 53.75], 0.5, 2)]
    assert_allclose(embeds, [[0.6, 0.8, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="must have embeddings for deep-sort-realtime"):
        to_deep_sort_realtime(Detections.of([[0, 0, 1, 1]]))


@dataclass
class RealtimeTrack:
    """What the converter reads of deep-sort-realtime's Track."""

    track_id: str
    confirmed: bool = True
    time_since_update: int = 0
    conf: float | None = 0.5

    def is_confirmed(self) -> bool:
        return self.confirmed

    def to_ltrb(self) -> list[float]:
        return [1, 2, 30, 40]

    def get_det_conf(self) -> float | None:
        return self.conf

    def get_det_class(self) -> int:
        return 2


def test_only_confirmed_tracks_of_deep_sort_realtime_are_taken() -> None:
    got = from_deep_sort_realtime(
        [RealtimeTrack("4"), RealtimeTrack("5", confirmed=False), RealtimeTrack("6", True, 3, None)]
    )
    assert_array_equal(got.ids, [4, 6])
    assert_array_equal(got.boxes, [[1, 2, 30, 40]] * 2)
    assert_array_equal(got.confidence, [0.5, 0])
    assert_array_equal(got.class_id, [2, 2])
    assert_array_equal(got.frames_since_update, [0, 3])
    assert from_deep_sort_realtime([]).boxes.shape == (0, 4)
    with pytest.raises(ValueError, match="track ids and classes must be whole numbers"):
        from_deep_sort_realtime([RealtimeTrack("2026-01-01_4")])


@dataclass
class Seen:
    age: int
    label: Any = 2
    scores: Any = None


@dataclass
class NorfairObject:
    """What the converter reads of norfair's TrackedObject."""

    id: int | None
    age: int = 9
    estimate: Any = field(default_factory=lambda: np.array([[1.0, 2], [30, 40]]))
    last_detection: Seen = field(default_factory=lambda: Seen(7, 2, np.array([0.5, 0.5])))


def test_objects_of_norfair_become_tracks() -> None:
    got = from_norfair(
        [NorfairObject(4), NorfairObject(None), NorfairObject(5, 7, last_detection=Seen(7, None))]
    )
    assert_array_equal(got.ids, [4, 5])
    assert_array_equal(got.boxes, [[1, 2, 30, 40]] * 2)
    assert_array_equal(got.confidence, [0.5, 1])
    assert_array_equal(got.class_id, [2, 0])
    assert_array_equal(got.frames_since_update, [2, 0])
    assert len(from_norfair([])) == 0
    turned = from_norfair([NorfairObject(4, estimate=np.array([[30.0, 2], [20, 40]]))])
    assert_array_equal(turned.boxes, [[30, 2, 30, 40]])  # as deepsort-eval can read it
    with pytest.raises(ValueError, match=r"object 4: expected two corner points \(2, 2\), got \(1, 2\)"):
        from_norfair([NorfairObject(4, estimate=np.zeros((1, 2)))])


def test_norfair_tells_which_detections_were_taken_however_long_a_track_lives() -> None:
    norfair = pytest.importorskip("norfair", reason="pip install --no-deps norfair rich")
    tracker = norfair.Tracker("iou", 0.7, initialization_delay=2, past_detections_length=4)
    seen = []
    for number in range(40):
        boxes = [[100, 20, 140, 90], [10 + number, 20, 40 + number, 90]]
        given = to_norfair(Detections.of(boxes[: 1 if number == 37 else 2]))
        objects = tracker.update(given)
        assert len(from_norfair(objects)) == len(objects)  # norfair keeps no age of most detections
        seen.append(from_norfair(objects, given))
    assert [tracks.detection_index.tolist() for tracks in seen[-4:]] == [[0, 1], [0, -1], [0, 1], [0, 1]]
    assert [tracks.frames_since_update.tolist() for tracks in seen[-4:]] == [[0, 0], [0, 1], [0, 0], [0, 0]]
    assert len({tuple(tracks.ids.tolist()) for tracks in seen[-4:]}) == 1


def test_norfair_gets_corners_and_embeddings() -> None:
    pytest.importorskip("norfair", reason="pip install --no-deps norfair rich")
    first, second = to_norfair(some_detections())
    assert_array_equal(first.points, [[10, 20], [40, 90]])
    assert_array_equal(first.scores, [0.75, 0.75])
    assert_allclose(first.embedding, [0.6, 0.8, 0])
    assert second.embedding is None
    assert second.label == 2


def test_boxmot_rows_go_there_and_back() -> None:
    found = Detections.of([[1, 2, 3, 4], [5, 6, 7, 9]], [0.5, 0.25], [0, 2])
    rows = to_boxmot(found)
    np.testing.assert_array_equal(rows, [[1, 2, 3, 4, 0.5, 0], [5, 6, 7, 9, 0.25, 2]])
    assert to_boxmot(Detections.empty()).shape == (0, 6)
    tracks = from_boxmot(np.column_stack([rows[:, :4], [0, 3], rows[:, 4:], [0, 1]]))
    assert tracks.ids.tolist() == [1, 4]
    assert tracks.class_id.tolist() == [0, 2]
    assert tracks.detection_index.tolist() == [0, 1]
    np.testing.assert_array_equal(tracks.boxes, found.boxes)
    assert len(from_boxmot(np.zeros((0, 0)))) == 0
    with pytest.raises(ValueError, match=r"must be \(M, 8\), got \(1, 5\)"):
        from_boxmot(np.zeros((1, 5)))


def test_ultralytics_results_without_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="got one without boxes"):
        from_ultralytics(SimpleNamespace(boxes=None))
