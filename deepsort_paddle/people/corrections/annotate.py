"""Replace the tracks of a run by annotated boxes in its track index, and undo that.

Every annotated box inherits from the track box that it overlaps most: confidence, detection and, if the box
was not moved, exact coordinates. A track belongs to the annotated person who has most of its boxes; so a
person keeps the ids of its tracks, and only a person without tracks gets a new id. The original tables stay
in the file as ``run_tracks`` and so on.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deepsort_paddle import boxes as box_ops
from deepsort_paddle.annotations.annotation import Annotation
from deepsort_paddle.annotations.keyframes import tolerance
from deepsort_paddle.detection.labels import is_person
from deepsort_paddle.people.corrections.splits import describe_tracks, undo_splits
from deepsort_paddle.people.frame_rows import ROW
from deepsort_paddle.people.index_file import IndexMeta

__all__ = ["annotate", "restore_run"]

_TABLES = ("tracks", "moments", "thumbnails", "frames")
# Smallest IoU of an annotated box and a track box that are the same.
_LEAST_IOU = 0.3
# Annotation tools round coordinates.
_ROUNDING = 0.5


def restore_run(database: sqlite3.Connection) -> None:
    """Undo annotations: restore the original tables.

    Args:
        database: an index, open for writing.
    """
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'run_tracks'").fetchone():
        for table in _TABLES:
            database.execute(f"DROP TABLE {table}")
            database.execute(f"ALTER TABLE run_{table} RENAME TO {table}")


def annotate(
    database: sqlite3.Connection, annotation: Annotation, meta: IndexMeta, labels: Sequence[str]
) -> tuple[tuple[tuple[int, ...], ...], dict[int, str]]:
    """Replace the tracks by annotated persons.

    Args:
        database: an index, open for writing.
        annotation: annotation of the frames of the index.
        meta: description of the index.
        labels: class names of the run, by number.

    Returns:
        The track ids of each annotated person, and earlier names by track.

    Raises:
        ValueError: the frames have another size, or a label is unknown.
    """
    classes = _classes(annotation, meta, labels)
    frames = database.execute("SELECT place, number, seconds, rows FROM frames ORDER BY place").fetchall()
    matched = _Matched(
        annotation, [(number, np.frombuffer(rows, ROW)) for _, number, _, rows in frames], meta
    )
    ids = matched.track_ids()
    blobs = matched.blobs(ids, classes)
    names = matched.names(ids, _names(database))
    _move_moments(database, matched.moved(ids))
    undo_splits(database, meta.fps)
    restore_run(database)
    made = [database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (one,)) for one in _TABLES]
    statements = [one.fetchone()[0] for one in made]
    for table, statement in zip(_TABLES, statements, strict=True):
        database.execute(f"ALTER TABLE {table} RENAME TO run_{table}")
        database.execute(statement)
    database.executemany(
        "INSERT INTO frames VALUES (?, ?, ?, ?)",
        [(*frame[:3], blob) for frame, blob in zip(frames, blobs, strict=True)],
    )
    for table in ("moments", "thumbnails"):
        database.execute(f"INSERT INTO {table} SELECT * FROM temp.next_{table}")
        database.execute(f"DROP TABLE temp.next_{table}")
    describe_tracks(database, {int(track) for track in ids}, meta.fps)
    groups: dict[int, set[int]] = {}
    for person, track in zip(annotation.ids.tolist(), ids.tolist(), strict=True):
        groups.setdefault(person, set()).add(track)
    return tuple(tuple(sorted(tracks)) for tracks in sorted(groups.values(), key=min)), names


def _classes(annotation: Annotation, meta: IndexMeta, labels: Sequence[str]) -> dict[int, int]:
    """Return the class of each annotated person with a label."""
    size = (meta.width, meta.height)
    if annotation.size is not None and all(size) and annotation.size != size:
        got = " x ".join(map(str, annotation.size))
        raise ValueError(f"{annotation.path}: expected frames of {size[0]} x {size[1]} pixels, got {got}")
    labels = labels or ("person",)  # a detector without names
    known = {label.casefold(): number for number, label in enumerate(labels)}
    people = [number for number, label in enumerate(labels) if is_person(label)]
    classes = {}
    for person, label in annotation.labels.items():
        number = known.get(label.casefold(), people[0] if is_person(label) and people else None)
        if number is None:
            words = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
            raise ValueError(f"{annotation.path}: unknown label {label[:60]!r}, expected {words}")
        classes[person] = number
    return classes


def _names(database: sqlite3.Connection) -> dict[int, str]:
    """Return the names before the annotation, by track."""
    return dict(database.execute("SELECT track, name FROM people JOIN names USING (person)"))


def _move_moments(database: sqlite3.Connection, moved: Sequence[tuple[int, int, int]]) -> None:
    """Collect the moments of the annotated persons in temporary tables.

    Args:
        database: an index.
        moved: frame, old and new track of each box that had a track.
    """
    database.execute("CREATE TEMP TABLE moved (frame INTEGER, old INTEGER, new INTEGER)")
    database.executemany("INSERT INTO moved VALUES (?, ?, ?)", moved)
    for table in ("moments", "thumbnails"):
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        others = ", ".join(f"main.{table}.{name}" for name in columns[1:])
        database.execute(
            f"CREATE TEMP TABLE next_{table} AS SELECT new AS track, {others} FROM main.{table} "
            f"JOIN moved ON old = main.{table}.track AND moved.frame = main.{table}.frame"
        )
    database.execute("DROP TABLE temp.moved")


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame: its rows in the index, and its annotated boxes.

    Attributes:
        number: of the frame.
        rows: its tracks, as in `frame_rows`.
        own: ``(A,)`` rows of the annotation.
        source: ``(A,)`` row of the index that each inherits from; -1: none.
    """

    number: int
    rows: NDArray[np.void]
    own: NDArray[np.int64]
    source: NDArray[np.int64]


class _Matched:
    """The row of the index that each annotated box inherits from."""

    def __init__(
        self, annotation: Annotation, frames: Sequence[tuple[int, NDArray[np.void]]], meta: IndexMeta
    ) -> None:
        self._annotation = annotation
        height, width = meta.height or np.inf, meta.width or np.inf

        def clip(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
            return box_ops.clip(boxes, height, width)

        self._clip: Callable[[NDArray[np.float64]], NDArray[np.float64]] = clip
        begins = np.searchsorted(annotation.frame, [number for number, _ in frames])
        ends = np.searchsorted(annotation.frame, [number for number, _ in frames], side="right")
        self._frames = [
            _Frame(number, rows, own, self._sources(rows, annotation.boxes[own]))
            for (number, rows), own in zip(frames, map(np.arange, begins, ends), strict=True)
        ]
        self.former = np.zeros(len(annotation.ids), np.int64)  # track of each annotated box before; 0: none
        for frame in self._frames:
            taken = frame.source >= 0
            self.former[frame.own[taken]] = frame.rows["id"][frame.source[taken]]

    def _sources(self, rows: NDArray[np.void], boxes: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the row of each box, ``(A,)``; -1 if no track of the frame overlaps enough."""
        source = np.full(len(boxes), -1)
        tracked = np.flatnonzero(rows["id"] > 0)
        if len(boxes) and len(tracked):
            overlap = box_ops.iou(self._clip(boxes), self._clip(rows["box"][tracked]))
            one, other = linear_sum_assignment(overlap, maximize=True)
            near = overlap[one, other] >= _LEAST_IOU
            source[one[near]] = tracked[other[near]]
        return source

    def track_ids(self) -> NDArray[np.int64]:
        """Return the track of each annotated box, ``(N,)``."""
        persons = self._annotation.ids
        counts = Counter(zip(self.former.tolist(), persons.tolist(), strict=True))
        owner: dict[int, int] = {}
        for (track, person), _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if track:
                owner.setdefault(track, person)
        free = 1 + max((int(frame.rows["id"].max(initial=0)) for frame in self._frames), default=0)
        ids = np.zeros(len(persons), np.int64)
        for person in np.unique(persons).tolist():
            rows = np.flatnonzero(persons == person)  # by frame
            own = np.array([owner.get(track) == person for track in self.former[rows].tolist()], bool)
            if not own.any():
                ids[rows] = free
                free += 1
                continue
            # Boxes without a track belong to the person's previous track, or else to the next one.
            place = np.maximum.accumulate(np.where(own, np.arange(len(rows)), -1))
            place = np.where(place < 0, int(np.argmax(own)), place)
            ids[rows] = self.former[rows][place]
        return ids

    def blobs(self, ids: NDArray[np.int64], classes: dict[int, int]) -> list[bytes]:
        """Yield the rows of each frame as bytes.

        Args:
            ids: ``(N,)`` track of each annotated box.
            classes: class by annotated person.
        """
        return [self._blob(frame, ids, classes) for frame in self._frames]

    def _blob(self, frame: _Frame, ids: NDArray[np.int64], classes: dict[int, int]) -> bytes:
        persons, boxes = self._annotation.ids[frame.own], self._annotation.boxes[frame.own]
        rows = np.zeros(len(frame.own), ROW)
        rows["confidence"] = rows["detection_confidence"] = 1.0
        rows["box"] = rows["detection"] = boxes
        taken = np.flatnonzero(frame.source >= 0)
        before = frame.rows[frame.source[taken]]
        same = self._unmoved(boxes[taken], before["box"])
        detected = ~np.isnan(before["detection"][:, 0])
        rows[taken] = before
        rows["box"][taken[~same]] = boxes[taken[~same]]
        moved = taken[~same & detected]
        rows["detection"][moved] = rows["box"][moved]
        rows["id"] = ids[frame.own]
        known = [classes.get(person) for person in persons.tolist()]
        rows["class_id"] = [
            one if label is None else label
            for one, label in zip(rows["class_id"].tolist(), known, strict=True)
        ]
        # Detections without a track stay, as --blur also hides them.
        others = np.setdiff1d(np.arange(len(frame.rows)), frame.source)
        alone = frame.rows[others]
        alone = alone[~np.isnan(alone["detection"][:, 0])].copy()
        alone["id"] = 0
        order = np.lexsort((rows["id"], np.where(frame.source < 0, len(frame.rows), frame.source)))
        content: bytes = rows[order].tobytes() + alone.tobytes()
        return content

    def _unmoved(self, boxes: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether a box was not moved: it differs only by key frames and rounding."""
        off = np.abs(self._clip(boxes) - self._clip(before)).max(axis=1, initial=0.0)
        unmoved: NDArray[np.bool_] = off <= tolerance(before) + _ROUNDING
        return unmoved

    def moved(self, ids: NDArray[np.int64]) -> list[tuple[int, int, int]]:
        """Yield frame, old and new track of each annotated box that had a track."""
        rows = np.flatnonzero(self.former)
        columns = self._annotation.frame[rows], self.former[rows], ids[rows]
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def names(self, ids: NDArray[np.int64], before: dict[int, str]) -> dict[int, str]:
        """Return names by track: each goes to the annotated person who has most boxes of its tracks.

        Args:
            ids: ``(N,)`` track of each annotated box.
            before: names by old track.
        """
        persons = self._annotation.ids
        counts = Counter(
            (before[track], person)
            for track, person in zip(self.former.tolist(), persons.tolist(), strict=True)
            if track in before
        )
        names: dict[int, str] = {}
        given: set[str] = set()
        for (name, person), _ in counts.most_common():
            if name not in given:
                track = int(ids[persons == person].min())
                if track not in names:
                    names[track] = name
                    given.add(name)
        return names
