"""Writes the track index of one run: an output of `track_frames`, as text or video are.

Only tracks seen lately are held in memory. The others are in the file, which grows as ``NAME.part`` and
takes its name when it is closed; a track that comes back is read again from it. So a camera may run for
days.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.appearance.crop_quality import (
    Quality,
    measure_boxes,
    sharp_factor,
    sharpness,
    thumbnail,
)
from deepsort_paddle.part_files import commit, real_path, temporary_path
from deepsort_paddle.people.frame_rows import frame_rows
from deepsort_paddle.people.index_file import APPLICATION_ID, FORMAT, SCHEMA, IndexMeta
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.moments import Moment, MomentGallery
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["TrackIndexWriter"]

# Crops closer in time are nearly the same.
_STEP_SECONDS = 0.2
# Crops of a track farther apart, in calibrated thresholds, are different enough: quality decides.
_ENOUGH = 0.25
_COMMIT_FRAMES = 250
_UNKNOWN_FPS = 25.0


@dataclass(slots=True)
class _Track:
    """A track in the making; ``runs`` is first and last frame of each run, end to end."""

    class_id: int
    runs: array[int]
    seconds: list[float]
    end_boxes: list[NDArray[np.float64]]
    gallery: MomentGallery
    frames: int = 0
    looked: float = -np.inf


class TrackIndexWriter:
    """Write a `TrackIndex` while a video is tracked.

    Moments only come from detected boxes. Frames in which a track was reported without a detection still
    count as frames of the track, so that two tracks of one frame never become one person.

    Example:
        >>> import tempfile
        >>> from deepsort_paddle import DeepSort, Detections, Frame, TrackIndex, track_frames
        >>> from deepsort_paddle.people.model import ReidModel
        >>> found = Detections.of([[10, 20, 40, 100]], embeddings=np.eye(1, 4))
        >>> frames = [Frame(number, None, number / 10) for number in range(1, 6)]
        >>> tracked_frames = track_frames(frames, lambda number, image: found, None, DeepSort())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "camera1.sqlite"
        ...     with TrackIndexWriter(path, model=ReidModel("toy", "", 0.3), name="camera1") as writer:
        ...         for tracked in tracked_frames:
        ...             writer.write(tracked)
        ...     TrackIndex.read(path).ids.tolist()
        [1]
    """

    def __init__(
        self,
        path: str | Path,
        *,
        model: ReidModel,
        name: str,
        fps: float | None = None,
        width: int | None = None,
        height: int | None = None,
        live: bool = False,
        start_time: str | None = None,
        run: Mapping[str, Any] | None = None,
        moments_per_track: int = 8,
        thumbnail_size: tuple[int, int] = (128, 96),
        tracks_in_memory: int = 512,
        camera_shift: float = 0.0,
        keep_seconds: float | None = None,
    ) -> None:
        """Start the file.

        Args:
            path: of the index; an older file is replaced when this one is complete.
            model: where the embeddings come from.
            name: of the video or camera.
            fps: frames a second, for frames without a timestamp; None when unknown.
            width: of the frames, pixels, where the run has no images; None when unknown.
            height: likewise.
            live: the source is a camera. It has no end, so a run that is stopped is finished. Its images
                can't be read again, so the boxes of its frames are not kept.
            start_time: ISO 8601 time of the first frame.
            run: what writes the outputs of the run once more; see `IndexMeta`.
            moments_per_track: most crops kept of each track.
            thumbnail_size: largest height and width of thumbnails, pixels.
            tracks_in_memory: tracks held at once; those not seen for longest go to the file.
            keep_seconds: tracks not seen for longer are forgotten; None keeps all.
            camera_shift: what corrections of an earlier video of this camera have taught; see `IndexMeta`.

        Raises:
            OSError: the file can't be written.
            ValueError: ``path`` is a device or a pipe, or a number is below 1.
        """
        if real_path(path).exists() and not real_path(path).is_file():
            raise ValueError(f"{path}: a track index must be a file")
        for label, count in (
            ("moments_per_track", moments_per_track),
            ("tracks_in_memory", tracks_in_memory),
        ):
            if count < 1:
                raise ValueError(f"{label} must be 1 or more, got {count}")
        self.path = Path(path)
        self._meta = IndexMeta(
            name,
            model,
            fps=fps,
            width=width,
            height=height,
            start_time=start_time,
            run=run or {},
            link_shift=camera_shift,
            camera_shift=camera_shift,
        )
        self._live, self._size, self._thumbnail_size = live, moments_per_track, thumbnail_size
        self._most = tracks_in_memory
        self._keep_seconds, self._now = keep_seconds, 0.0
        self._tracks: OrderedDict[int, _Track] = OrderedDict()
        self._stored: set[int] = set()
        part = temporary_path(path)
        part.with_name(part.name + "-journal").unlink(missing_ok=True)  # of a run that was killed
        with part.open("wb"):  # emptied, not removed: this run may hold its lock
            pass
        self._database: sqlite3.Connection | None = sqlite3.connect(part, check_same_thread=False)
        self._database.execute("PRAGMA synchronous = OFF")  # a crash of the machine leaves NAME.part only
        self._database.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA}"
        )

    def write(self, tracked: TrackedFrame) -> None:
        """Take in one frame.

        Raises:
            OSError: the file can't be written.
        """
        frame = tracked.frame
        meta = replace(self._meta, frames=self._meta.frames + 1)
        if frame.image is not None:
            meta = replace(meta, height=frame.image.shape[0], width=frame.image.shape[1])
        embeddings = tracked.detections.embeddings
        if embeddings is not None and embeddings.shape[1]:
            meta = replace(meta, embedding_size=embeddings.shape[1])
        self._meta = meta
        now = frame.timestamp
        if now is None:
            now = (frame.number - 1) / (meta.fps or _UNKNOWN_FPS)
        self._now = now
        tracks, detections = tracked.tracks, tracked.detections
        detected = tracks.detection_index >= 0
        boxes = tracks.boxes.copy()
        boxes[detected] = detections.boxes[tracks.detection_index[detected]]
        quality = measure_boxes(boxes, tracks.confidence, meta.height or np.inf, meta.width or np.inf)
        scores = quality.score()
        for row, (track_id, index) in enumerate(
            zip(tracks.ids.tolist(), tracks.detection_index.tolist(), strict=True)
        ):
            track = self._track(track_id, int(tracks.class_id[row]), now, boxes[row])
            _extend(track.runs, frame.number)
            track.seconds[1], track.end_boxes[1] = now, boxes[row]
            track.frames += index >= 0
            embedding = None if embeddings is None or index < 0 else embeddings[index]
            if embedding is None or not embedding.any() or now - track.looked < _STEP_SECONDS - 1e-6:
                continue
            track.looked = now
            self._offer(track, tracked, now, boxes[row], embedding, quality, scores, row)
        if not self._live:
            self._keep_frame(tracked)
        if meta.frames % _COMMIT_FRAMES == 0:
            self._commit()

    def _keep_frame(self, tracked: TrackedFrame) -> None:
        """Write down the boxes of a frame."""
        values = (tracked.frame.number, tracked.frame.timestamp, frame_rows(tracked))
        try:
            self._open().execute("INSERT INTO frames (number, seconds, rows) VALUES (?, ?, ?)", values)
        except sqlite3.Error as error:
            raise OSError(f"cannot write {self.path}: {error}") from None

    def _offer(
        self,
        track: _Track,
        tracked: TrackedFrame,
        now: float,
        box: NDArray[np.float64],
        embedding: NDArray[np.float32],
        quality: Quality,
        scores: NDArray[np.float64],
        row: int,
    ) -> None:
        """Keep one crop of a track if it is better than what is kept."""
        image, score = tracked.frame.image, float(scores[row])
        if track.gallery.place(embedding, score) is None:  # sharpness can only lower it
            return
        sharp = np.nan
        if image is not None:
            sharp = sharpness(image, box)
            score *= sharp_factor(sharp)
        place = track.gallery.place(embedding, score)
        if place is None:
            return
        moment = Moment(
            frame=tracked.frame.number,
            seconds=now,
            box=box,
            confidence=float(quality.confidence[row]),
            sharpness=float(sharp),
            inside=float(quality.inside[row]),
            occlusion=float(quality.occlusion[row]),
            quality=score,
            embedding=embedding,
            thumbnail=b"" if image is None else thumbnail(image, box, self._thumbnail_size),
        )
        track.gallery.put(place, moment)

    def _track(self, track_id: int, class_id: int, now: float, box: NDArray[np.float64]) -> _Track:
        """The track of an id: in memory, read back from the file, or new."""
        track = self._tracks.pop(track_id, None)
        if track is None and track_id in self._stored:
            track = self._load(track_id)
        if track is None:
            track = _Track(class_id, array("i"), [now, now], [box, box], self._gallery())
        self._tracks[track_id] = track  # at the end: seen last
        if len(self._tracks) > self._most:
            self._store(*self._tracks.popitem(last=False))
        return track

    def _gallery(self) -> MomentGallery:
        return MomentGallery(self._size, _ENOUGH * self._meta.model.max_cosine_distance)

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise ValueError(f"{self.path} is closed")
        return self._database

    def _store(self, track_id: int, track: _Track) -> None:
        """Write a track to the file."""
        runs = np.array(track.runs, "<i4")
        times = (int(runs[0]), int(runs[-1]), *track.seconds, track.frames)
        ends = np.array(track.end_boxes, "<f4").tobytes()
        database = self._open()
        try:
            database.execute(
                "INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (track_id, track.class_id, *times, runs.tobytes(), ends),
            )
            database.execute("DELETE FROM moments WHERE track = ?", (track_id,))
            database.execute("DELETE FROM thumbnails WHERE track = ?", (track_id,))
            for one in track.gallery.moments:
                values = (one.confidence, one.sharpness, one.inside, one.occlusion, one.quality)
                database.execute(
                    f"INSERT INTO moments VALUES ({'?, ' * 12}?)",
                    (
                        track_id,
                        one.frame,
                        one.seconds,
                        *one.box.tolist(),
                        *values,
                        one.embedding.astype("<f2").tobytes(),
                    ),
                )
                if one.thumbnail:
                    database.execute(
                        "INSERT INTO thumbnails VALUES (?, ?, ?)", (track_id, one.frame, one.thumbnail)
                    )
        except sqlite3.Error as error:
            raise OSError(f"cannot write {self.path}: {error}") from None
        self._stored.add(track_id)

    def _load(self, track_id: int) -> _Track:
        """Read a track back from the file."""
        database = self._open()
        class_id, begin, end, frames, runs, ends = database.execute(
            "SELECT class_id, first_seconds, last_seconds, frames, runs, end_boxes FROM tracks WHERE id = ?",
            (track_id,),
        ).fetchone()
        boxes = np.frombuffer(ends, "<f4").reshape(2, 4).astype(np.float64)
        track = _Track(class_id, array("i"), [begin, end], list(boxes), self._gallery(), frames)
        track.runs.extend(np.frombuffer(runs, "<i4").tolist())
        rows = database.execute(
            "SELECT frame, seconds, x1, y1, x2, y2, confidence, sharpness, inside, occlusion, quality, "
            "embedding, jpeg FROM moments LEFT JOIN thumbnails USING (track, frame) WHERE track = ?",
            (track_id,),
        )
        for frame, seconds, x1, y1, x2, y2, confidence, sharp, inside, occlusion, quality, blob, jpeg in rows:
            embedding = np.frombuffer(blob, "<f2").astype(np.float32)
            moment = Moment(
                frame=frame,
                seconds=seconds,
                box=np.array([x1, y1, x2, y2]),
                confidence=confidence,
                sharpness=np.nan if sharp is None else sharp,
                inside=inside,
                occlusion=occlusion,
                quality=quality,
                embedding=embedding,
                thumbnail=jpeg or b"",
            )
            track.gallery.put(len(track.gallery.moments), moment)
            track.looked = max(track.looked, seconds)
        return track

    def _forget(self, before: float) -> None:
        """Delete the tracks that were last seen before a time, in seconds; the file reuses their space."""
        database = self._open()
        try:
            gone = database.execute("SELECT id FROM tracks WHERE last_seconds < ?", (before,)).fetchall()
            for table, column in (("moments", "track"), ("thumbnails", "track"), ("tracks", "id")):
                database.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)
        except sqlite3.Error as error:
            raise OSError(f"cannot write {self.path}: {error}") from None
        for (track_id,) in gone:
            self._tracks.pop(track_id, None)
            self._stored.discard(track_id)

    def _commit(self, *, finished: bool = False) -> None:
        """Bring the file up to date: after ``kill -9`` ``NAME.part`` holds everything until here."""
        for track_id, track in self._tracks.items():
            self._store(track_id, track)
        if self._keep_seconds is not None:
            self._forget(self._now - self._keep_seconds)
        database = self._open()
        try:
            rows = replace(self._meta, finished=finished).rows()
            database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
            database.commit()
        except sqlite3.Error as error:
            raise OSError(f"cannot write {self.path}: {error}") from None

    def close(self, *, finished: bool = True, broken: int = 0, start_time: str | None = None) -> None:
        """Complete the file and give it its name; closing twice is fine.

        Args:
            finished: False when the run was stopped before the end of its source.
            broken: frames that could not be read.
            start_time: ISO 8601 time of the first frame; None: as it was given.

        Raises:
            OSError: it can't be written.
        """
        if self._database is None:
            return
        start_time = start_time or self._meta.start_time
        self._meta = replace(self._meta, broken=broken, start_time=start_time)
        self._commit(finished=finished or self._live)
        self._database.close()
        self._database = None
        commit(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close(finished=kind is None)
        elif self._database is not None:
            self._database.close()
            self._database = None


def _extend(runs: array[int], frame: int) -> None:
    """Add a frame to runs of frames that follow one another."""
    if runs and frame == runs[-1] + 1:
        runs[-1] = frame
    else:
        runs.extend((frame, frame))
