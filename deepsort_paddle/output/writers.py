"""Writers of CSV, JSON, annotated frames and crops.

Each is an `Output`: it writes one `TrackedFrame` at a time, so a long video is never held in memory. Text
files are also context managers: they are written as ``NAME.part`` and renamed when closed, even after Ctrl-C
(see `part_files`). MOTChallenge text is written by `TrackWriter` in ``motchallenge/text.py``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import boxes as box_ops
from deepsort_paddle.output.draw import Trails, draw_tracks
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.part_files import CompletedOnExit, commit, temporary_path
from deepsort_paddle.structures import Tracks
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.wall_clock import WallClock

__all__ = ["CropWriter", "CsvWriter", "JsonWriter", "TextFile", "TrackPainter"]

CSV_COLUMNS = [
    *("frame", "timestamp", "id", "x1", "y1", "x2", "y2", "confidence", "class_id"),
    *("detection_x1", "detection_y1", "detection_x2", "detection_y2", "detection_confidence"),
]


class TextFile(CompletedOnExit):
    """A text file that gets its final name when closed."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: TextIO = temporary_path(path).open("w", encoding="utf-8", newline="")

    def _finish(self) -> None:
        """Write the end of the file."""

    def close(self) -> None:
        """Finish and rename the file; closing twice is allowed."""
        if self._file.closed:
            return
        with self._file:
            self._finish()
        commit(self.path)

    def abandon(self) -> None:
        """Close the temporary file without renaming it."""
        self._file.close()


class CsvWriter(TextFile):
    """Writes a header, then a row per track and frame; detection columns are empty without a detection."""

    def __init__(
        self,
        path: str | Path,
        persons: Persons | None = None,
        *,
        clock: Callable[[], WallClock | None] | None = None,
    ) -> None:
        """Write the header.

        Args:
            path: of the table.
            persons: of the run; adds the column ``person`` after ``id``.
            clock: the wall clock, asked in each frame; adds the column ``time`` after ``timestamp``. A frame
                without a timestamp, or of an unknown time, leaves it empty.
        """
        super().__init__(path)
        self._persons, self._clock = persons, clock
        self._rows = csv.writer(self._file, lineterminator="\n")
        time = [] if clock is None else ["time"]
        person = [] if persons is None else ["person"]
        self._rows.writerow([*CSV_COLUMNS[:2], *time, CSV_COLUMNS[2], *person, *CSV_COLUMNS[3:]])

    def write(self, tracked: TrackedFrame) -> None:
        """Append one frame."""
        times = self._times(tracked.frame.timestamp)
        for track in track_records(tracked, self._persons):
            detection = track["detection"]
            own = ["", "", "", "", ""] if detection is None else [*detection["box"], detection["confidence"]]
            who = [track["id"]] if self._persons is None else [track["id"], track["person"]]
            place = [tracked.frame.number, *times, *who, *track["box"]]
            self._rows.writerow([*place, track["confidence"], track["class_id"], *own])
        self._file.flush()

    def _times(self, timestamp: float | None) -> list[float | str]:
        """Seconds and, where asked for, time of day of a frame."""
        seconds = "" if timestamp is None else round(timestamp, 6)
        if self._clock is None:
            return [seconds]
        clock = self._clock()
        return [seconds, "" if clock is None or timestamp is None else clock.iso(timestamp)]


class JsonWriter(TextFile):
    """Writes one document: ``meta``, then ``frames`` with their tracks, then ``summary``."""

    def __init__(
        self,
        path: str | Path,
        meta: dict[str, Any],
        summarise: Callable[[], dict[str, Any]],
        persons: Persons | None = None,
    ) -> None:
        """Start the document.

        Args:
            path: of the document.
            meta: of the run.
            summarise: called when it is closed.
            persons: of the run; adds the field ``person`` to each track.
        """
        super().__init__(path)
        self._summarise, self._persons = summarise, persons
        self._separator = "\n"
        self._file.write(f'{{"format": 1,\n"meta": {json.dumps(meta)},\n"frames": [')

    def write(self, tracked: TrackedFrame) -> None:
        """Append one frame as one line, even without tracks."""
        stamp = tracked.frame.timestamp
        record = {
            "frame": tracked.frame.number,
            "timestamp": None if stamp is None else round(stamp, 6),
            "tracks": track_records(tracked, self._persons),
        }
        self._file.write(self._separator + json.dumps(record))
        self._file.flush()
        self._separator = ",\n"

    def _finish(self) -> None:
        self._file.write(f'\n],\n"summary": {json.dumps(self._summarise())}}}\n')


def track_records(tracked: TrackedFrame, persons: Persons | None = None) -> list[dict[str, Any]]:
    """Return the tracks of a frame as plain values; boxes are x1, y1, x2, y2 in pixels, 0-based."""
    tracks, detections = tracked.tracks, tracked.detections
    records = []
    for row, index in enumerate(tracks.detection_index.tolist()):
        detection = None
        if index >= 0:
            detection = {
                "box": _rounded(detections.boxes[index], 3),
                "confidence": round(float(detections.confidence[index]), 6),
            }
        track_id = int(tracks.ids[row])
        person = {} if persons is None else {"person": persons.of(track_id)}
        records.append(
            {
                "id": track_id,
                **person,
                "box": _rounded(tracks.boxes[row], 3),
                "confidence": round(float(tracks.confidence[row]), 6),
                "class_id": int(tracks.class_id[row]),
                "detection": detection,
            }
        )
    return records


def _rounded(values: NDArray[np.float64], digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]


class TrackPainter:
    """Draws the tracks on each frame; a broken frame repeats the last image."""

    def __init__(
        self,
        height: int,
        width: int,
        class_names: Sequence[str] = (),
        persons: Persons | None = None,
    ) -> None:
        """Create it for frames of one size; they are black until the first image.

        Args:
            height: height of the frames in pixels.
            width: width of the frames in pixels.
            class_names: names by class number, shown next to the id; empty to show only ids.
            persons: of the run; they give colours, trails and labels.
        """
        self._trails = Trails()
        self._class_names, self._persons = class_names, persons
        self._image = np.zeros((height, width, 3), np.uint8)

    def paint(self, tracked: TrackedFrame) -> NDArray[np.uint8]:
        """Return the annotated frame, ``(H, W, 3)`` BGR; call it for every frame."""
        if tracked.frame.image is not None:
            self._image = tracked.frame.image
        tracks = tracked.tracks
        labels = [self._label(tracks, row) for row in range(len(tracks))]
        shown = tracks if self._persons is None else self._persons.relabelled(tracks)
        trails = self._trails.update(shown)
        return draw_tracks(self._image, shown, trails=trails, label=lambda _, row: labels[row])

    def _label(self, tracks: Tracks, row: int) -> str:
        track_id, class_id = int(tracks.ids[row]), int(tracks.class_id[row])
        who = str(track_id) if self._persons is None else _drawable(self._persons, track_id)
        if not self._class_names:
            return who
        known = 0 <= class_id < len(self._class_names)
        return f"{who} {self._class_names[class_id] if known else class_id}"


def _drawable(persons: Persons, track_id: int) -> str:
    """The label of a track; OpenCV's font has ASCII letters only, so other names give way to the number."""
    label = persons.label(track_id)
    return label if label.isascii() else Persons(persons.of_track).label(track_id)


class CropWriter:
    """Crops of the tracked people: ``DIRECTORY/ID/FRAME.jpg``, cut out at the detection's own box.

    With persons it is ``DIRECTORY/PERSON/ID/FRAME.jpg``.
    """

    def __init__(self, directory: str | Path, persons: Persons | None = None) -> None:
        """Make the folder.

        Args:
            directory: to write to.
            persons: of the run.
        """
        self.directory, self._persons = Path(directory), persons
        self.directory.mkdir(parents=True, exist_ok=True)

    def write(self, tracked: TrackedFrame) -> None:
        """Write the crops of one frame, except of tracks without detection or outside the frame.

        Raises:
            OSError: an image cannot be written.
        """
        image, tracks = tracked.frame.image, tracked.tracks
        if image is None:
            return
        matched = tracks[tracks.detection_index >= 0]
        found = box_ops.clip(tracked.detections.boxes[matched.detection_index], *image.shape[:2])
        corners = np.column_stack([np.floor(found[:, :2]), np.ceil(found[:, 2:])]).astype(int)
        for track_id, (left, top, right, bottom) in zip(matched.ids.tolist(), corners.tolist(), strict=True):
            crop = image[top:bottom, left:right]
            if crop.size:
                folder = self.directory
                if self._persons is not None:
                    folder /= str(self._persons.of(track_id))
                folder /= str(track_id)
                folder.mkdir(exist_ok=True, parents=True)
                _, content = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])
                (folder / f"{tracked.frame.number:06d}.jpg").write_bytes(content.tobytes())

    def close(self) -> None:
        """Do nothing: every crop is already written."""
