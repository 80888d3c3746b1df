"""Calls of the public API as a newcomer may get them wrong: each is told what was wanted and what came."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deepsort_paddle as package
from deepsort_paddle import (
    AppearanceEncoder,
    DeepSort,
    Detections,
    Frame,
    Line,
    TrackCounter,
    Tracks,
    Zone,
    draw_tracks,
    make_detector,
    track_frames,
    track_many,
    track_video,
    track_videos,
)
from deepsort_paddle.appearance.preprocess import crop_boxes
from deepsort_paddle.boxes import xyxy_from_tlwh
from deepsort_paddle.detection.candidates import class_ids, has_pixels

IMAGE = np.zeros((60, 80, 3), np.uint8)
BOXES = np.array([[40.0, 20.0, 60.0, 50.0], [10.0, 5.0, 30.0, 45.0]])
FRAMES = [Frame(number, IMAGE, None) for number in (1, 2)]

NAMES = """
AppearanceEncoder DeepSort Detections Frame Line Output PRESETS PersonIndex RunPlan RunResult SequenceInfo
StopTracking TrackCounter TrackIndex TrackIndexWriter TrackWriter TrackedFrame Tracks Trails VideoResult
VideoWriter Zone __version__ draw_tracks find_identities make_detector open_detector open_source
read_detections read_ground_truth read_tracks skip_broken track_frames track_many track_video track_videos
"""


def detect(number: int, image: Any) -> Detections:
    return Detections.of(BOXES)


def run(frames: Any, finder: Any = detect) -> list[Any]:
    return list(track_frames(frames, finder, None, DeepSort()))


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "array to update": (
        lambda: DeepSort().update(BOXES),  # type: ignore[arg-type]
        "detections must be Detections (as Detections.of(boxes, confidence) makes them), got ndarray",
    ),
    "nothing to update": (
        lambda: DeepSort().update(None),  # type: ignore[arg-type]
        "detections must be Detections (as Detections.of(boxes, confidence) makes them), got NoneType",
    ),
    "names as classes": (
        lambda: Detections.of(BOXES, [0.9, 0.8], ["person", "car"]),
        "class_id must be numbers, got ['person', 'car']",
    ),
    "scores as classes": (
        lambda: Detections.of(BOXES, [0, 2], [0.9, 1.0]),
        "class_id must be whole numbers, got 0.9",
    ),
    "text as scores": (
        lambda: Detections.of(BOXES, ["a", "b"]),
        "confidence must be numbers, got ['a', 'b']",
    ),
    "numbers in text as scores": (
        lambda: Detections.of(BOXES, ["0.9", "0.8"]),
        "confidence must be numbers, got ['0.9', '0.8']",
    ),
    "many names as classes": (
        lambda: Detections.of(np.zeros((300, 4)), class_id=np.full(300, "person")),
        "class_id must be numbers, got array(['person', 'person', ",
    ),
    "a class that is none": (
        lambda: Detections.of(BOXES, class_id=[np.nan, 1]),
        "class_id must be whole numbers, got nan",
    ),
    "a score beyond all numbers": (
        lambda: Detections.of(BOXES, [1e300, 1]),
        "confidence must be finite, row 0 is not",
    ),
    "detections as boxes": (
        lambda: crop_boxes(IMAGE, Detections.of(BOXES), 8, 4),  # type: ignore[arg-type]
        "boxes must be (N, 4) numbers, got Detections",
    ),
    "a detector called the wrong way round": (
        lambda: has_pixels(1),  # type: ignore[arg-type]
        "frame must be uint8 (H, W, 3) in BGR order, got int",
    ),
    "one class name": (
        lambda: class_ids("person", ["person", "car"]),
        "classes must be a list of names or numbers, got 'person'",
    ),
    "one class number": (
        lambda: class_ids(0, ["person", "car"]),  # type: ignore[arg-type]
        "classes must be a list of names or numbers, got 0",
    ),
    "images as frames": (
        lambda: run([IMAGE]),
        "each of frames must be Frame (as open_source gives them), got ndarray",
    ),
    "a file name as frames": (
        lambda: run("video.mp4"),
        "each of frames must be Frame (as open_source gives them), got str",
    ),
    "a file name as detector": (
        lambda: run(FRAMES, "yolox_nano.onnx"),
        "detect must be callable, as open_detector gives it, got str",
    ),
    "a detector that returns arrays": (
        lambda: run(FRAMES, lambda number, image: BOXES),
        "what detect returns must be Detections (as Detections.of makes them), got ndarray",
    ),
    "detections to draw": (
        lambda: draw_tracks(IMAGE, Detections.of(BOXES)),  # type: ignore[arg-type]
        "tracks must be Tracks (as a tracker's update returns them), got Detections",
    ),
    "a grey image to draw on": (
        lambda: draw_tracks(IMAGE[..., 0], Tracks.empty()),
        "frame must be uint8 (H, W, 3) in BGR order, got uint8 (60, 80)",
    ),
    "a line with its name behind": (
        lambda: Line((0, 0), (1, 1), "door"),  # type: ignore[arg-type]
        "the first argument of a line must be its name, got (0, 0)",
    ),
    "a zone of loose numbers": (
        lambda: Zone("yard", (0, 0, 9, 0, 9, 9)),  # type: ignore[arg-type]
        "zone 'yard' must have x, y points",
    ),
    "a zone of one number": (lambda: Zone("yard", 5), "zone 'yard' must have x, y points"),  # type: ignore[arg-type]
    "a zone with a corner of text": (
        lambda: Zone("yard", ((0, 0), ("a", "b"), (1, 1))),  # type: ignore[arg-type]
        "zone 'yard' must have x, y points of finite numbers, got ((0, 0), ('a', 'b'), (1, 1))",
    ),
    "one line": (
        lambda: TrackCounter(Line("door", (0, 0), (1, 1))),  # type: ignore[arg-type]
        "lines and zones must be lists, got a single one",
    ),
    "lines as text": (
        lambda: TrackCounter(["door:1,2,3,4"]),  # type: ignore[list-item]
        "each of lines must be Line (its name, start and end; Line.parse reads text), got str",
    ),
    "one video": (lambda: track_many("video.mp4"), "sources must be a list, got 'video.mp4'"),
    "one video in a call for many": (
        lambda: track_videos("video.mp4"),
        "sources must be a list, got 'video.mp4'",
    ),
    "a detector object for workers": (
        lambda: track_videos(["video.mp4"], detector=detect),  # type: ignore[arg-type]
        "detector: expected a name or a path, since workers are processes; got an object",
    ),
    "an option that is not there": (
        lambda: track_video("video.mp4", max_agee=3),
        "there is no option 'max_agee' (did you mean max_age?)",
    ),
    "a preset that is not there": (
        lambda: track_video("video.mp4", preset="best"),
        "preset: expected deepsort, motion or strong, got 'best'",
    ),
    "a detector that is a number": (
        lambda: track_video("video.mp4", detector=3),  # type: ignore[arg-type]
        "detector: expected a name, a path or a callable, got 3",
    ),
    "an age of no frames": (
        lambda: track_video("video.mp4", max_age=0),
        "max_age: expected a whole number from 1, got 0",
    ),
    "a line without its name": (
        lambda: track_video("video.mp4", lines=["1,2,3,4"]),
        "lines: expected a line NAME:x1,y1,x2,y2 or NAME:x1,y1,x2,y2:RIGHT/LEFT, got '1,2,3,4'",
    ),
    "one line as text": (
        lambda: track_video("video.mp4", lines="door:1,2,3,4"),
        "lines: expected a list, got 'door:1,2,3,4'",
    ),
    "a video that is not there": (lambda: track_video("absent.mp4"), "no such file or folder: absent.mp4"),
    "options in one text": (
        lambda: track_many(["video.mp4"], "--detector yolox_nano.onnx"),
        "arguments must be a list, got '--detector yolox_nano.onnx'",
    ),
    "a text file as encoder": (
        lambda: AppearanceEncoder(__file__),
        "expected an appearance model (a folder or an .onnx file), got a file",
    ),
    "a name as encoder": (
        lambda: AppearanceEncoder("osnet"),
        "osnet: no such folder or .onnx file (osnet_ain_x0_5 is installed; larger models ",
    ),
    "a network that is not there": (lambda: make_detector("absent.onnx"), "absent.onnx: no such file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_call_says_what_was_wanted_and_what_came(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, message = MISTAKES[name]
    with pytest.raises((ValueError, OSError)) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_a_training_run_as_encoder_is_told_to_be_exported(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint_0000600.safetensors"
    checkpoint.touch()
    for path in (checkpoint, tmp_path):
        with pytest.raises(ValueError, match="belongs to a training run; .* with reid-train export"):
            AppearanceEncoder(path)


def test_a_wrong_call_leaves_the_tracker_as_it_was() -> None:
    tracker = DeepSort(n_init=1)
    tracker.update(Detections.of(BOXES))
    with pytest.raises(ValueError, match="detections must be Detections"):
        tracker.update(BOXES)  # type: ignore[arg-type]
    assert tracker.update(Detections.of(BOXES)).ids.tolist() == [1, 2]


def test_widths_in_place_of_corners_are_warned_of() -> None:
    boxes_tlwh = np.concatenate([BOXES[:, :2], BOXES[:, 2:] - BOXES[:, :2]], axis=1)
    crowd = np.vstack([boxes_tlwh, boxes_tlwh + np.array([30, 30, 0, 0])])
    with pytest.warns(UserWarning, match="most boxes end left of or above where they begin and are ignored"):
        DeepSort().update(Detections.of(crowd))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepSort().update(Detections.of(xyxy_from_tlwh(crowd)))


def test_parts_of_the_image_in_place_of_pixels_are_warned_of() -> None:
    encoder = AppearanceEncoder()
    with pytest.warns(UserWarning, match="all boxes lie outside the frame or are empty"):
        assert not encoder(IMAGE, BOXES / 80 * 0.4).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encoder(IMAGE, [*BOXES, [0, 0, 0.4, 0.4]])[:2].any(axis=1).all()
        assert len(encoder(IMAGE, np.zeros((0, 4)))) == 0


def test_class_numbers_may_be_floats_that_are_whole() -> None:
    assert Detections.of(BOXES, [0.9, 0.8], np.array([0.0, 2.0], np.float32)).class_id.tolist() == [0, 2]


def test_the_model_that_comes_along_has_a_name() -> None:
    assert AppearanceEncoder("osnet_ain_x0_5").spec == AppearanceEncoder().spec


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(package.__all__) == sorted(NAMES.split())
    for name in package.__all__:
        assert getattr(package, name) is not None
    page = Path(__file__).resolve().parents[2] / "docs" / "api.md"
    documented = set(re.findall(r"\w+", page.read_text("utf-8")))
    assert set(NAMES.split()) - {"__version__"} <= documented
