import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsort_paddle.frames import Frame
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.writers import CropWriter, CsvWriter, JsonWriter, TrackPainter
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame
from deepsort_paddle.wall_clock import WallClock


def tracked(
    number: int = 1, *, image: bool = True, count: int = 2, timestamp: float | None = 0.5
) -> TrackedFrame:
    """Track 5 took detection 1, track 9 took none; the image is blue left and red right."""
    pixels = np.full((40, 60, 3), (200, 30, 30), np.uint8)
    pixels[:, 30:] = (30, 30, 200)
    tracks = Tracks(
        np.array([5, 9]),
        np.array([[31.25, 2, 39, 20], [2, 2, 20, 30]]),
        np.array([0.75, 0.5], np.float32),
        np.array([0, 2]),
        np.array([1, -1]),
        np.array([0, 3]),
    )
    detections = Detections.of([[0, 0, 5, 5], [32, -5, 38.5, 20]], [0.25, 0.75])
    frame = Frame(number, pixels if image else None, timestamp)
    return TrackedFrame(frame, detections, tracks[:count], StageSeconds(0, 0, 0, 0))


def test_json_is_one_document_also_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    with JsonWriter(path, {"source": "ä"}, lambda: {"frames": 0}):
        pass
    document = {"format": 1, "meta": {"source": "ä"}, "frames": [], "summary": {"frames": 0}}
    assert json.loads(path.read_text()) == document
    with JsonWriter(path, {}, dict) as writer:
        writer.write(tracked(1))
        writer.write(tracked(2, count=0, timestamp=None))
    frames = json.loads(path.read_text())["frames"]
    assert frames[1] == {"frame": 2, "timestamp": None, "tracks": []}
    assert frames[0]["tracks"] == [
        {
            "id": 5,
            "box": [31.25, 2, 39, 20],
            "confidence": 0.75,
            "class_id": 0,
            "detection": {"box": [32, -5, 38.5, 20], "confidence": 0.75},
        },
        {"id": 9, "box": [2, 2, 20, 30], "confidence": 0.5, "class_id": 2, "detection": None},
    ]


def test_csv_leaves_the_detection_of_a_coasting_track_empty(tmp_path: Path) -> None:
    with CsvWriter(tmp_path / "o.csv") as writer:
        writer.write(tracked())
    with (tmp_path / "o.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["5", "9"]
    assert rows[0]["detection_confidence"] == "0.75"
    assert rows[1]["detection_x1"] == rows[1]["detection_confidence"] == ""


def test_csv_has_the_time_of_day_where_it_is_known(tmp_path: Path) -> None:
    clock = WallClock.parse("2026-05-01T23:59:59+02:00")
    timed = tracked(timestamp=1.5)
    for name, ask in (("known", lambda: clock), ("unknown", lambda: None)):
        with CsvWriter(tmp_path / name, Persons({}), clock=ask) as writer:
            writer.write(timed)
    with (tmp_path / "known").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["frame", "timestamp", "time", "id", "person"]
    assert (rows[0]["timestamp"], rows[0]["time"]) == ("1.5", "2026-05-02T00:00:00.500+02:00")
    assert (tmp_path / "unknown").read_text().splitlines()[1].split(",")[1:3] == ["1.5", ""]


def test_a_writer_can_be_closed_without_with_and_closed_twice(tmp_path: Path) -> None:
    for writer in (CsvWriter(tmp_path / "o.csv"), JsonWriter(tmp_path / "o.json", {}, dict)):
        writer.write(tracked())
        writer.close()
        writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.csv", "o.json"]
    assert len(json.loads((tmp_path / "o.json").read_text())["frames"]) == 1


def test_an_error_leaves_the_part_file(tmp_path: Path) -> None:
    def run() -> None:
        with CsvWriter(tmp_path / "o.csv") as writer:
            writer.write(tracked())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert [path.name for path in tmp_path.iterdir()] == ["o.csv.part"]
    assert len((tmp_path / "o.csv.part").read_text().splitlines()) == 3


def test_crops_are_cut_at_the_clipped_detection(tmp_path: Path) -> None:
    writer = CropWriter(tmp_path / "crops")
    writer.write(tracked(7))
    writer.write(tracked(8, image=False))
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("crops/*/*")] == [
        "crops/5/000007.jpg"
    ]
    crop = cv2.imread(str(tmp_path / "crops" / "5" / "000007.jpg"))
    assert crop.shape == (20, 7, 3)
    np.testing.assert_allclose(crop.mean(axis=(0, 1)), [30, 30, 200], atol=6)


def test_a_broken_frame_shows_the_last_image(tmp_path: Path) -> None:
    painter = TrackPainter(40, 60)
    assert (painter.paint(tracked(1, image=False, count=0)) == 0).all()
    drawn = painter.paint(tracked(2, count=0))
    np.testing.assert_array_equal(painter.paint(tracked(3, image=False, count=0)), drawn)


def test_class_names_are_shown_when_given() -> None:
    plain = TrackPainter(40, 60).paint(tracked())
    named = TrackPainter(40, 60, ("person", "bicycle")).paint(tracked())  # class 2 has no name
    assert (plain != named).any()
