"""Annotated persons in place of a run's tracks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.annotations.annotation import Annotation
from deepsort_paddle.people.corrections.apply import Corrected, apply_corrections, corrected_copy
from deepsort_paddle.people.corrections.file import KIND, Corrections
from deepsort_paddle.people.frame_rows import replay
from deepsort_paddle.people.index_file import TrackIndex

Write = Callable[..., TrackIndex]
# Tracks 1 and 2 are one person; track 3 is somebody else all the time.
RUN = {
    1: dict.fromkeys(range(1, 21), (10.0, 0)),
    2: dict.fromkeys(range(30, 41), (10.0, 0)),
    3: dict.fromkeys(range(1, 41), (150.0, 2)),
}


@pytest.fixture
def index(tmp_path: Path, write_run: Write) -> TrackIndex:
    return write_run(tmp_path / "a.sqlite", RUN)


def annotation(*rows: tuple[int, int, float], width: float = 30, top: float = 20) -> Annotation:
    """Rows of person, frame and left edge."""
    person, frame, left = np.array(sorted(rows, key=lambda row: (row[1], row[0]))).T
    boxes = np.column_stack([left, 0 * left + top, left + width, 0 * left + 100])
    return Annotation("a.xml", frame.astype(int), person.astype(int), boxes)


def as_it_is() -> Annotation:
    """What the run found, as an annotation tool gives it back: other numbers, rounded coordinates."""
    one = [(8, frame, 10.01) for track in (1, 2) for frame in RUN[track]]
    return annotation(*one, *((9, frame, 149.99) for frame in RUN[3]))


def correct(index: TrackIndex, known: Annotation) -> Corrected:
    with corrected_copy(index.path, Corrections(known.path), known) as corrected:
        return corrected


def tracks_of(path: Path) -> list[tuple[list[int], NDArray[np.float64]]]:
    """Ids and boxes of each frame."""
    return [(tracked.tracks.ids.tolist(), tracked.tracks.boxes) for tracked in replay(path)]


def test_what_nobody_changed_stays_as_it_was(index: TrackIndex) -> None:
    before = tracks_of(index.path)
    corrected = correct(index, as_it_is())
    assert corrected.persons == {1: 1, 2: 1, 3: 3}
    assert corrected.identities.interval == (2, 2)
    for (ids, boxes), (former, exact) in zip(tracks_of(index.path), before, strict=True):
        assert ids == former
        assert np.array_equal(boxes, exact)
    again = TrackIndex.read(index.path)
    for name in ("ids", "frames", "frame_count", "moment_frames", "embeddings", "end_boxes"):
        assert np.array_equal(getattr(again, name), getattr(index, name)), name
    assert again.meta.annotated == [[1, 2], [3]]


def test_persons_who_were_exchanged_are_put_right(index: TrackIndex) -> None:
    rows = [(8, frame, 10.0 if frame < 15 else 150.0) for frame in range(1, 41)]
    rows += [(9, frame, 150.0 if frame < 15 else 10.0) for frame in (*range(1, 21), *range(30, 41))]
    corrected = correct(index, annotation(*rows))
    # Person 8 has most of track 3, person 9 all of track 2; track 1 is mostly person 8.
    assert sorted(corrected.identities.labels.tolist()) == [0, 0, 1]
    assert corrected.persons == {1: 1, 2: 2, 3: 1}
    for tracked in replay(index.path):
        number = tracked.frame.number
        left = {
            corrected.persons[track]: box[0]
            for track, box in zip(tracked.tracks.ids.tolist(), tracked.tracks.boxes.tolist(), strict=True)
        }
        assert left.get(1) == (10 if number < 15 else 150)
    moments = {
        int(frame) for frame in corrected.index.moment_frames[corrected.index.moments(corrected.index.row(2))]
    }
    assert all(np.isfinite(list(moments)))


def test_moved_new_and_deleted_boxes(index: TrackIndex) -> None:
    moved = annotation(*((8, frame, 16.0) for frame in RUN[1]), top=30)
    new = annotation(*((7, frame, 80.0) for frame in range(5, 9)))
    both = Annotation(
        "a.xml",
        np.concatenate([moved.frame, new.frame]),
        np.concatenate([moved.ids, new.ids]),
        np.concatenate([moved.boxes, new.boxes]),
    )
    order = np.argsort(both.frame, kind="stable")
    both = replace(both, frame=both.frame[order], ids=both.ids[order], boxes=both.boxes[order])
    corrected = correct(index, both)
    assert corrected.index.ids.tolist() == [1, 4]  # a new id for who had no track
    assert corrected.index.frames.tolist() == [[1, 20], [5, 8]]
    assert len(corrected.index.embeddings[corrected.index.moments(1)]) == 0
    frames = list(replay(index.path))
    assert frames[5].tracks.ids.tolist() == [1, 4]
    assert frames[5].tracks.boxes.tolist() == [[16, 30, 46, 100], [80, 20, 110, 100]]
    assert frames[5].tracks.confidence.tolist() == pytest.approx([0.9, 1.0])
    assert len(frames[5].detections) == 3  # the deleted person's is still known, for --blur
    assert len(frames[35].tracks) == 0


def test_annotations_are_taken_back_by_corrections_of_the_run(index: TrackIndex) -> None:
    apply_corrections(index.path, Corrections.of({"kind": KIND, "format": 1, "names": {"3": "Bob"}}))
    correct(index, annotation((8, 5, 80.0)))
    again = correct(index, annotation((8, 6, 80.0)))  # a second one replaces the first
    assert again.index.ids.tolist() == [5]
    restored = apply_corrections(index.path, Corrections.of({"kind": KIND, "format": 1})).index
    for name in ("ids", "frames", "frame_count", "moment_frames", "embeddings", "end_boxes"):
        assert np.array_equal(getattr(restored, name), getattr(index, name)), name
    assert restored.persons.tolist() == [1, 1, 3]  # joined by their looks
    assert restored.meta.annotated is None
    wanted = [(track, int(frame)) for track, frame in [(3, restored.moment_frames[-1])]]
    assert restored.thumbnails(wanted) == index.thumbnails(wanted)


def test_names_stay_with_their_persons_and_the_page_adds_to_annotations(index: TrackIndex) -> None:
    apply_corrections(index.path, Corrections.of({"kind": KIND, "format": 1, "names": {"3": "Bob"}}))
    corrected = correct(index, as_it_is())
    assert corrected.names == {3: "Bob"}
    said = {"kind": KIND, "format": 1, "annotated": True, "tracks": 3}
    later = apply_corrections(index.path, Corrections.of({**said, "names": {"1": "Anna"}}))
    assert later.persons == {1: 1, 2: 1, 3: 3}
    assert later.names == {1: "Anna"}
    split = {"splits": [{"track": 3, "frame": 20, "new": 4}], "links": [{"tracks": [2, 4], "same": False}]}
    assert apply_corrections(index.path, Corrections.of({**said, **split})).index.ids.tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="tracks 1 and 2 can't be one person: they are two people"):
        apply_corrections(index.path, Corrections.of({**said, "links": [{"tracks": [1, 2], "same": False}]}))


def test_corrections_of_annotations_need_them(index: TrackIndex) -> None:
    content = index.path.read_bytes()
    with pytest.raises(ValueError, match="for annotations, but .* has the run's own tracks"):
        apply_corrections(index.path, Corrections.of({"kind": KIND, "format": 1, "annotated": True}))
    assert index.path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": (640, 480)}, "a.xml: expected frames of 200 x 120 pixels, got 640 x 480"),
        ({"labels": {8: "giraffe"}}, "a.xml: unknown label 'giraffe', expected"),
    ],
)
def test_annotations_of_other_frames_or_labels_are_refused(
    index: TrackIndex, change: dict[str, object], expected: str
) -> None:
    content = index.path.read_bytes()
    with pytest.raises(ValueError, match=expected):
        correct(index, replace(as_it_is(), **change))
    assert index.path.read_bytes() == content
    assert [path.name for path in index.path.parent.iterdir()] == ["a.sqlite"]


def test_nobody_annotated_is_nobody(index: TrackIndex) -> None:
    none = np.zeros(0, np.int64)
    corrected = correct(index, Annotation("a.xml", none, none, np.zeros((0, 4))))
    assert len(corrected.index) == 0
    assert corrected.identities.interval == (0, 0)
    assert all(not len(tracked.tracks) for tracked in replay(index.path))
