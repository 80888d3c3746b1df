"""The track index: one SQLite file for each video, with the tracks and their best moments.

Why SQLite: the library is part of Python; one file holds columns, embeddings and thumbnails; a write is
complete or did not happen; single thumbnails are read without the rest; and every language, and the command
``sqlite3``, can look inside. Parquet would need a wheel of 40 MB and is read in whole columns. A vector
search inside the database (sqlite-vec, hnswlib, faiss) is not needed: all embeddings of a search fit into
memory as one matrix, and one matrix product compares a query with 100,000 tracks of 8 embeddings in a
fraction of a second, exactly (``benchmarks/people/index_speed.py``). Nothing in it is executed when it is
read: no pickle.

Embeddings are float16, which changes a cosine distance by less than 0.001. Thumbnails have a table of their
own, so that a search reads over none of them; so have the tracked boxes of every frame,
from which all outputs are written once more (`frame_rows`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.structures import unit_rows

__all__ = ["APPLICATION_ID", "FORMAT", "SCHEMA", "IndexMeta", "TrackIndex", "connect", "save_people"]

APPLICATION_ID = 0x44535449  # "DSTI", in the file's header
FORMAT = 2
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY, class_id INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    last_frame INTEGER NOT NULL, first_seconds REAL NOT NULL, last_seconds REAL NOT NULL,
    frames INTEGER NOT NULL, runs BLOB NOT NULL, end_boxes BLOB NOT NULL
);
CREATE TABLE moments (
    track INTEGER NOT NULL REFERENCES tracks, frame INTEGER NOT NULL, seconds REAL NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL, confidence REAL NOT NULL,
    sharpness REAL, inside REAL NOT NULL, occlusion REAL NOT NULL, quality REAL NOT NULL,
    embedding BLOB NOT NULL, PRIMARY KEY (track, frame)
) WITHOUT ROWID;
CREATE TABLE thumbnails (
    track INTEGER NOT NULL, frame INTEGER NOT NULL, jpeg BLOB NOT NULL, PRIMARY KEY (track, frame)
);
CREATE TABLE people (
    track INTEGER PRIMARY KEY REFERENCES tracks, person INTEGER NOT NULL, probability REAL
);
CREATE TABLE names (person INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE splits (
    place INTEGER PRIMARY KEY, track INTEGER NOT NULL, frame INTEGER NOT NULL, piece INTEGER NOT NULL
);
CREATE TABLE frames (place INTEGER PRIMARY KEY, number INTEGER NOT NULL, seconds REAL, rows BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class IndexMeta:
    """What an index says of its run.

    Attributes:
        name: of the video or camera.
        model: where the embeddings come from.
        embedding_size: D; 0 while there is no track.
        fps: frames a second; None when unknown.
        width: width of the frames in pixels; None if unknown.
        height: height of the frames in pixels; None if unknown.
        frames: number of frames seen.
        start_time: ISO 8601 time of the first frame; None when unknown.
        finished: False when the run was stopped before the end of its source.
        broken: frames that could not be read.
        run: ``plan``, the fields of the `RunPlan`; and ``about``, what the JSON output says of the run. Both
            are what writes the outputs once more; empty for a live source.
        tracks: of the run, before any was split; 0 until it was corrected.
        link_shift: added to the log odds of all links inside the video, as corrections have taught.
        camera_shift: the part of it that an earlier video of the same camera has taught.
        corrections: those that were applied, as in their file; None: none.
        annotated: ids of the tracks of each annotated person, where annotations replaced the run's tracks.
        people_file: who is who in all videos that were tracked together, seen from the folder of the index;
            None: the video was tracked alone.
    """

    name: str
    model: ReidModel
    embedding_size: int = 0
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    frames: int = 0
    start_time: str | None = None
    finished: bool = False
    broken: int = 0
    run: Mapping[str, Any] = field(default_factory=dict)
    tracks: int = 0
    link_shift: float = 0.0
    camera_shift: float = 0.0
    corrections: Mapping[str, Any] | None = None
    annotated: Sequence[Sequence[int]] | None = None
    people_file: str | None = None

    @classmethod
    def read(cls, path: str | Path, *, unfinished: bool = False) -> Self:
        """What the index of a path says of its run; raises as `TrackIndex.read`."""
        with closing(connect(Path(path))) as database:
            return cls._read(database, Path(path), unfinished=unfinished)

    @classmethod
    def _read(cls, database: sqlite3.Connection, path: Path, *, unfinished: bool) -> Self:
        try:
            meta = cls.of(database.execute("SELECT key, value FROM meta"))
        except (sqlite3.Error, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: damaged track index ({error})") from None
        if not (meta.finished or unfinished):
            raise ValueError(
                f"{path}: the run was stopped before the end of its video (--unfinished takes it as it is)"
            )
        return meta

    def rows(self) -> list[tuple[str, str]]:
        """The rows of the table ``meta``; values are JSON."""
        known = {name: getattr(self, name) for name in self.__slots__}
        known["model"] = self.model.as_dict()
        return [(key, json.dumps(value)) for key, value in known.items()]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> Self:
        """The opposite of `rows`."""
        known: dict[str, Any] = {key: json.loads(value) for key, value in rows}
        known["model"] = ReidModel.from_dict(known["model"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class TrackIndex:
    """The tracks of one video with their embeddings, in memory; thumbnails stay in the file.

    Tracks are sorted by id, moments by track and frame; ``owner`` connects them.

    Attributes:
        path: of the file.
        meta: of the run.
        ids: ``(T,)`` int64 track ids.
        class_id: ``(T,)`` int64.
        frames: ``(T, 2)`` int64 first and last frame.
        seconds: ``(T, 2)`` float64 likewise, in seconds since the first frame.
        frame_count: ``(T,)`` int64 frames in which it was detected.
        runs: for each track ``(R, 2)`` int32: first and last of frames that follow one another.
        end_boxes: ``(T, 2, 4)`` float64 first and last box.
        persons: ``(T,)`` int64 person of each track; the track's own id where nothing was joined.
        probability: ``(T,)`` float64 of the weakest link that joins a track to its person; NaN for one alone.
        owner: ``(M,)`` int64 row of the track of each moment.
        moment_frames: ``(M,)`` int64.
        moment_seconds: ``(M,)`` float64.
        boxes: ``(M, 4)`` float64 xyxy pixels.
        quality: ``(M,)`` float64 in [0, 1].
        embeddings: ``(M, D)`` float32 unit rows.
        names: by person; those that corrections gave.

    Example:
        >>> import tempfile
        >>> from deepsort_paddle import TrackIndexWriter
        >>> from deepsort_paddle.people.model import ReidModel
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "camera1.sqlite"
        ...     with TrackIndexWriter(path, model=ReidModel("toy", "", 0.3), name="camera1"):
        ...         pass  # a run without frames
        ...     index = TrackIndex.read(path)
        >>> len(index), str(index.meta.model)
        (0, 'toy (no checksum)')
    """

    path: Path
    meta: IndexMeta
    ids: NDArray[np.int64]
    class_id: NDArray[np.int64]
    frames: NDArray[np.int64]
    seconds: NDArray[np.float64]
    frame_count: NDArray[np.int64]
    runs: tuple[NDArray[np.int32], ...]
    end_boxes: NDArray[np.float64]
    persons: NDArray[np.int64]
    probability: NDArray[np.float64]
    owner: NDArray[np.int64]
    moment_frames: NDArray[np.int64]
    moment_seconds: NDArray[np.float64]
    boxes: NDArray[np.float64]
    quality: NDArray[np.float64]
    embeddings: NDArray[np.float32] = field(repr=False)
    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path, *, unfinished: bool = False) -> Self:
        """Read an index.

        Args:
            path: of the file.
            unfinished: take the index of a run that was stopped, too.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no track index, or one of an unfinished run.
        """
        path = Path(path)
        with closing(connect(path)) as database:
            meta = IndexMeta._read(database, path, unfinished=unfinished)
            try:
                tracks = database.execute(
                    "SELECT id, class_id, first_frame, last_frame, first_seconds, last_seconds, frames, "
                    "runs, end_boxes, coalesce(person, id), probability FROM tracks "
                    "LEFT JOIN people ON track = id ORDER BY id"
                ).fetchall()
                moments = database.execute(
                    "SELECT track, frame, seconds, x1, y1, x2, y2, quality, embedding FROM moments "
                    "ORDER BY track, frame"
                ).fetchall()
                names = dict(database.execute("SELECT person, name FROM names ORDER BY person"))
            except sqlite3.Error as error:
                raise ValueError(f"{path}: damaged track index ({error})") from None
        return cls._of(path, meta, tracks, moments, names)

    @classmethod
    def _of(
        cls, path: Path, meta: IndexMeta, tracks: list[Any], moments: list[Any], names: dict[int, str]
    ) -> Self:
        ids, class_id, first, last, begin, end, count, runs, ends, persons, links = _columns(tracks, 11)
        owner, frame, seconds, x1, y1, x2, y2, quality, blobs = _columns(moments, 9)
        try:
            embeddings = np.frombuffer(b"".join(blobs), "<f2").reshape(len(moments), meta.embedding_size)
            spans = tuple(np.frombuffer(run, "<i4").reshape(-1, 2) for run in runs)
            end_boxes = np.frombuffer(b"".join(ends), "<f4").reshape(len(tracks), 2, 4)
        except (ValueError, TypeError):
            raise ValueError(f"{path}: damaged track index (a column has the wrong size)") from None
        known = np.array(ids, np.int64)
        return cls(
            path=path,
            meta=meta,
            ids=known,
            class_id=np.array(class_id, np.int64),
            frames=np.array([first, last], np.int64).reshape(2, -1).T,
            seconds=np.array([begin, end], np.float64).reshape(2, -1).T,
            frame_count=np.array(count, np.int64),
            runs=spans,
            end_boxes=end_boxes.astype(np.float64),
            persons=np.array(persons, np.int64),
            probability=np.array(links, np.float64),
            owner=np.searchsorted(known, np.array(owner, np.int64)),
            moment_frames=np.array(frame, np.int64),
            moment_seconds=np.array(seconds, np.float64),
            boxes=np.array([x1, y1, x2, y2], np.float64).T,
            quality=np.array(quality, np.float64),
            embeddings=unit_rows(embeddings, len(moments)),
            names=names,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, track: int) -> int:
        """Row of a track.

        Raises:
            ValueError: there is no such track.
        """
        row = int(np.searchsorted(self.ids, track))
        if row == len(self) or self.ids[row] != track:
            raise ValueError(f"{self.path}: no track {track}{_nearby(self.ids)}")
        return row

    def moments(self, row: int) -> slice:
        """The moments of a track, as a slice of the columns of moments."""
        begin, end = np.searchsorted(self.owner, [row, row + 1]).tolist()
        return slice(begin, end)

    def thumbnails(self, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """JPEGs by (track, frame); those that the index does not have are left out."""
        found = {}
        with closing(connect(self.path)) as database:
            for key in wanted:
                query = "SELECT jpeg FROM thumbnails WHERE track = ? AND frame = ?"
                if (row := database.execute(query, key).fetchone()) is not None:
                    found[key] = bytes(row[0])
        return found


def save_people(
    path: str | Path,
    ids: NDArray[np.int64],
    persons: NDArray[np.int64],
    probability: NDArray[np.float64],
    names: Mapping[int, str] | None = None,
    *,
    people_file: str | None = None,
) -> None:
    """Write into a finished index which person each track is, in place of what it said before.

    Args:
        path: of the index.
        ids: ``(T,)`` track ids.
        persons: ``(T,)`` person of each.
        probability: ``(T,)`` of the weakest link that joins it to its person; NaN for one alone.
        names: by person.
        people_file: who is who in all videos that were tracked together; None: as the index has it.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it can't be written.
        ValueError: it is no track index.
    """
    links = [None if np.isnan(one) else one for one in probability.tolist()]
    with closing(connect(Path(path), write=True)) as database:
        try:
            with database:
                database.execute("DELETE FROM people")
                rows = zip(ids.tolist(), persons.tolist(), links, strict=True)
                database.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
                database.execute("DELETE FROM names")
                database.executemany("INSERT INTO names VALUES (?, ?)", (names or {}).items())
                if people_file is not None:
                    value = "people_file", json.dumps(people_file)
                    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", value)
        except sqlite3.OperationalError as error:
            raise OSError(f"cannot write {path}: {error}") from None


def connect(path: Path, *, write: bool = False) -> sqlite3.Connection:
    """Open an index.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no track index.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    # immutable: a finished file is never changed while it is read, and its folder may be read-only.
    mode = "mode=rw" if write else "mode=ro&immutable=1"
    database = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
    try:
        kind = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        kind, version = 0, 0
    if kind == APPLICATION_ID and version == FORMAT:
        return database
    database.close()
    if kind == APPLICATION_ID:
        raise ValueError(f"{path}: format {version} of the track index, expected {FORMAT}")
    raise ValueError(f"{path}: not a track index (deepsort-track --index FILE writes one)")


def _columns(rows: list[Any], count: int) -> list[Any]:
    """Rows to columns, also when there are none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(count)]


def _nearby(ids: NDArray[np.int64]) -> str:
    """Which tracks there are, for an error."""
    return f", it has tracks {ids[0]} to {ids[-1]}" if len(ids) else ", it has no tracks"
