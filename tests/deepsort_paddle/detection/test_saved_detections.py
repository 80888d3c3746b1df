"""Files of saved detections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle import Detections, Frame, TrackedFrame, Tracks
from deepsort_paddle.detection.saved_detections import AboutDetections, SavedDetections, SavedMotion
from deepsort_paddle.output.detection_writer import DetectionWriter
from deepsort_paddle.tracked_frame import StageSeconds

ABOUT = AboutDetections(source="street", fps=25.0, class_confidence={2: 0.4}, every=(2, 3))


def write(path: Path, detections: list[Detections], about: AboutDetections = ABOUT) -> Path:
    with DetectionWriter(path, lambda: about) as writer:
        for number, found in enumerate(detections, 1):
            frame = Frame(number, None, None if number == 2 else number / 25)
            writer.write(TrackedFrame(frame, found, Tracks.empty(), StageSeconds(0, 0, 0, 0)))
    return path


def some(count: int, size: int | None = 4) -> Detections:
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 100, (count, 2))
    rows = None if size is None else rng.normal(size=(count, size))
    return Detections.of(np.hstack([corner, corner + 10]), rng.uniform(size=count), embeddings=rows)


def test_what_was_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    given = [some(2, None), Detections.empty(), some(1), some(3, None), some(5)]
    saved = SavedDetections.read(write(tmp_path / "a.npz", given))
    assert saved.about == ABOUT
    assert saved.frame_number.tolist() == [1, 2, 3, 4, 5]
    assert np.isnan(saved.timestamp[1])
    for number, expected in enumerate(given, 1):
        found = saved(number, None)
        for column in ("boxes", "confidence", "class_id", "embeddings"):
            one, other = getattr(found, column), getattr(expected, column)
            assert (one is None) == (other is None), (number, column)
            assert one is None or (one == other).all()


@pytest.mark.parametrize("given", [[], [Detections.empty()], [some(2, None)]], ids=["none", "empty", "plain"])
def test_a_run_without_embeddings_is_read_too(tmp_path: Path, given: list[Detections]) -> None:
    saved = SavedDetections.read(write(tmp_path / "a.npz", given))
    assert not saved.has_embeddings
    assert sum(len(found) for found in saved.by_frame().values()) == sum(map(len, given))


def test_the_source_has_the_frames_of_the_run(tmp_path: Path) -> None:
    saved = SavedDetections.read(write(tmp_path / "a.npz", [some(1), some(2), some(1)]))
    with saved.source() as source:
        frames = list(source)
    assert [frame.number for frame in frames] == [1, 2, 3]
    assert [frame.timestamp for frame in frames] == [1 / 25, None, 3 / 25]
    assert (source.name, source.fps, source.frame_count) == ("street", 25, 3)


def write_moving(path: Path, shifts: list[float | None]) -> Path:
    with DetectionWriter(path, lambda: ABOUT) as writer:
        for number, shift in enumerate(shifts, 1):
            motion = None if shift is None else np.array([[1.0, 0, shift], [0, 1, 0]])
            frame, seconds = Frame(number, None, None), StageSeconds(0, 0, 0, 0)
            writer.write(TrackedFrame(frame, some(1), Tracks.empty(), seconds, motion))
    return path


def test_the_camera_motion_is_read_to_the_last_bit(tmp_path: Path) -> None:
    saved = SavedDetections.read(write_moving(tmp_path / "a.npz", [0.0, 1.1, None, 2.3]))
    assert saved.camera_motion is not None
    assert saved.camera_motion[:, 0, 2].tolist() == [0, 1.1, 0, 2.3]


def test_a_file_without_camera_motion_has_none(tmp_path: Path) -> None:
    saved = SavedDetections.read(write(tmp_path / "a.npz", [some(1)]))
    assert saved.camera_motion is None
    with pytest.raises(ValueError, match="holds no camera motion"):
        SavedMotion(saved, [1])


def test_the_camera_motion_of_frames_left_out_adds_up(tmp_path: Path) -> None:
    saved = SavedDetections.read(write_moving(tmp_path / "a.npz", [0.0, 1.0, 2.0, 4.0, 8.0]))
    motion = SavedMotion(saved, [2, 4, 5])
    shifts = [motion(None, np.zeros((0, 4)))[0, 2] for _ in range(4)]
    assert shifts == [0, 6, 8, 0]


def test_an_older_file_is_kept_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", [some(1)])
    before = path.read_bytes()
    with pytest.raises(RuntimeError), DetectionWriter(path, lambda: ABOUT):
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((1, 4), np.float32)}, "boxes must be float64"),
        ({"boxes": np.zeros((2, 4))}, "boxes must have 1 for N"),
        ({"frame": np.array([9])}, "frame must hold numbers of frame_number"),
        ({"frame_number": np.array([1, 1])}, "timestamp must have 2 for F"),
        ({"boxes": np.full((1, 4), np.nan)}, "boxes must be finite"),
        ({"about": np.array("{}")}, "expected format 1"),
        ({"camera_motion": np.zeros((2, 2, 3))}, "camera_motion must have 1 for F"),
        ({"camera_motion": np.full((1, 2, 3), np.inf)}, "camera_motion must be finite"),
        ({"about": np.array("x")}, "Expecting value"),
        ({"about": np.array([{}], object)}, "allow_pickle"),
    ],
    ids=str,
)
def test_a_file_that_does_not_fit_together_is_one_clear_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "a.npz", [some(1)])
    with np.load(path) as arrays:
        columns = dict(arrays)
    np.savez(path, **{**columns, **change})
    with pytest.raises(ValueError, match=f"no file of --save-detections: .*{message}"):
        SavedDetections.read(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_a_file_that_is_no_npz_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no file of --save-detections"):
        SavedDetections.read(path)


def test_columns_of_another_file_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="frame"):
        SavedDetections.read(tmp_path / "a.npz")
