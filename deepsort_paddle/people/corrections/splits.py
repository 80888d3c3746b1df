"""Split tracks of a track index, and undo splits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.people.corrections.file import Split
from deepsort_paddle.people.frame_rows import ROW

__all__ = ["describe_tracks", "make_splits", "undo_splits"]

_UNKNOWN_FPS = 25.0


def undo_splits(database: sqlite3.Connection, fps: float | None) -> None:
    """Undo all splits.

    Args:
        database: an index, open for writing.
        fps: frames per second, for frames without a timestamp; None if unknown.
    """
    made = database.execute("SELECT track, frame, piece FROM splits ORDER BY place DESC").fetchall()
    for track, frame, piece in made:
        _rename(database, piece, track, frame)
        database.execute("DELETE FROM tracks WHERE id = ?", (piece,))
    pieces = {piece for _, _, piece in made}
    describe_tracks(database, {track for track, _, _ in made} - pieces, fps)
    database.execute("DELETE FROM splits")


def make_splits(
    database: sqlite3.Connection, splits: Sequence[Split], fps: float | None, *, where: str = "corrections"
) -> None:
    """Split tracks, in order.

    Args:
        database: an index without splits, open for writing.
        splits: the splits; a later one may split a part of an earlier one.
        fps: see `undo_splits`.
        where: source of the splits, for errors.

    Raises:
        ValueError: a track does not exist, is not seen both before and from the frame on, or an id is taken.
    """
    for place, split in enumerate(splits):
        found = database.execute(
            "SELECT first_frame, last_frame FROM tracks WHERE id = ?", (split.track,)
        ).fetchone()
        text = f"{where}: split of track {split.track} at frame {split.frame}"
        if found is None:
            raise ValueError(f"{text}: there is no such track")
        if not found[0] < split.frame <= found[1]:
            raise ValueError(f"{text}: the track is seen in the frames {found[0]} to {found[1]}")
        if database.execute("SELECT 1 FROM tracks WHERE id = ?", (split.new,)).fetchone():
            raise ValueError(f"{text}: there is a track {split.new} already")
        _rename(database, split.track, split.new, split.frame)
        describe_tracks(database, (split.track, split.new), fps)
        values = (place, split.track, split.frame, split.new)
        database.execute("INSERT INTO splits VALUES (?, ?, ?, ?)", values)


def _rename(database: sqlite3.Connection, old: int, new: int, frame: int) -> None:
    """Change the id of a track from a frame on."""
    for table in ("moments", "thumbnails"):
        database.execute(f"UPDATE {table} SET track = ? WHERE track = ? AND frame >= ?", (new, old, frame))
    changed = []
    for place, blob in database.execute("SELECT place, rows FROM frames WHERE number >= ?", (frame,)):
        rows = np.frombuffer(blob, ROW)
        if (rows["id"] == old).any():
            rows = rows.copy()
            rows["id"][rows["id"] == old] = new
            changed.append((rows.tobytes(), place))
    database.executemany("UPDATE frames SET rows = ? WHERE place = ?", changed)


def describe_tracks(database: sqlite3.Connection, tracks: Iterable[int], fps: float | None) -> None:
    """Recompute rows of the table ``tracks`` from the frames.

    Args:
        database: an index, open for writing.
        tracks: ids of the tracks.
        fps: see `undo_splits`.
    """
    runs: dict[int, list[int]] = {track: [] for track in tracks}
    if not runs:
        return
    seconds: dict[int, list[float]] = {}
    ends: dict[int, list[NDArray[np.float64]]] = {}
    counts = dict.fromkeys(runs, 0)
    classes: dict[int, int] = {}
    for number, timestamp, blob in database.execute(
        "SELECT number, seconds, rows FROM frames ORDER BY place"
    ):
        rows = np.frombuffer(blob, ROW)
        now = (number - 1) / (fps or _UNKNOWN_FPS) if timestamp is None else timestamp
        for row in rows[np.isin(rows["id"], list(runs))]:
            track = int(row["id"])
            detected = not np.isnan(row["detection"][0])
            box = row["detection"] if detected else row["box"]
            own = runs[track]
            if own and number == own[-1] + 1:
                own[-1] = number
            else:
                own += [number, number]
            seconds.setdefault(track, [now, now])[1] = now
            ends.setdefault(track, [box, box])[1] = box
            counts[track] += detected
            classes.setdefault(track, int(row["class_id"]))
    database.executemany(
        "INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(track, classes[track], own[0], own[-1], *seconds[track], counts[track]),
                np.array(own, "<i4").tobytes(),
                np.array(ends[track], "<f4").tobytes(),
            )
            for track, own in runs.items()
        ],
    )
