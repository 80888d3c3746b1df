"""The boxes of every frame in an index: what goes in comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.frames import Frame
from deepsort_paddle.people.frame_rows import replay
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracked_frame import TrackedFrame

from .conftest import person_embedding


def write(path: Path, model: ReidModel, frames: list[TrackedFrame], *, live: bool = False) -> None:
    with TrackIndexWriter(path, model=model, name="cam", live=live) as writer:
        for tracked in frames:
            writer.write(tracked)


def test_frames_come_back_as_they_were(
    tmp_path: Path, model: ReidModel, tracked_frame: Callable[..., TrackedFrame]
) -> None:
    first = tracked_frame(4, [2, 7], [10.1, 60.7], np.stack([person_embedding(0), person_embedding(1)]))
    missed = replace(
        first.tracks,
        detection_index=np.array([-1, 1]),
        frames_since_update=np.array([3, 0]),
        boxes=first.tracks.boxes / 3,
    )
    empty = TrackedFrame(Frame(6, None, 0.25), Detections.empty(), first.tracks[:0], first.seconds)
    write(tmp_path / "a.sqlite", model, [first, replace(first, tracks=missed), empty])
    found = list(replay(tmp_path / "a.sqlite"))
    assert [one.frame.number for one in found] == [4, 4, 6]
    assert [one.frame.timestamp for one in found] == [None, None, 0.25]
    for one, tracks in zip(found, (first.tracks, missed, empty.tracks), strict=True):
        for name in ("ids", "boxes", "confidence", "class_id", "frames_since_update"):
            assert np.array_equal(getattr(one.tracks, name), getattr(tracks, name))
            assert getattr(one.tracks, name).dtype == getattr(tracks, name).dtype
    assert found[1].tracks.detection_index.tolist() == [-1, 0]
    assert np.array_equal(found[1].detections.boxes, first.detections.boxes[::-1])  # without a track: last


def test_images_of_another_video_are_refused(
    tmp_path: Path, model: ReidModel, tracked_frame: Callable[..., TrackedFrame]
) -> None:
    write(tmp_path / "a.sqlite", model, [tracked_frame(number, [], [], None) for number in (1, 2)])
    image = np.zeros((4, 4, 3), np.uint8)
    (first, _) = replay(tmp_path / "a.sqlite", [Frame(1, image, 0.0), Frame(2, image, 0.1)])
    assert first.frame.image is image
    with pytest.raises(ValueError, match="expected frame 2 of its video, got the end"):
        list(replay(tmp_path / "a.sqlite", [Frame(1, image, 0.0)]))
    with pytest.raises(ValueError, match="expected frame 1 of its video, got frame 5"):
        list(replay(tmp_path / "a.sqlite", [Frame(5, image, 0.0)]))


def test_a_camera_keeps_no_frames(
    tmp_path: Path, model: ReidModel, tracked_frame: Callable[..., TrackedFrame]
) -> None:
    write(tmp_path / "a.sqlite", model, [tracked_frame(1, [], [], None)], live=True)
    assert list(replay(tmp_path / "a.sqlite")) == []
