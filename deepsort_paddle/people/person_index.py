"""Search for a person in the track indexes of many videos, and people across them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from deepsort_paddle.people.identities import (
    MIN_PROBABILITY,
    Identities,
    find_identities,
    seen_together,
    stacked,
)
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.similarity import LinkModel, pair_distances, query_distances
from deepsort_paddle.structures import unit_rows

__all__ = ["Hit", "Hits", "PersonIndex"]

SUFFIXES = (".sqlite", ".db")
_ENOUGH_PAIRS = 10_000


@dataclass(frozen=True, slots=True)
class Hit:
    """A track that may be the person of a query.

    Attributes:
        video: name of the video or camera.
        index: path of the index file.
        track: id in that video.
        person: that the track was joined to: of videos that were tracked together, the same number in all of
            them; else the id of a track of that video.
        distance: cosine distance, the lower quartile over all crops of the query and of the track.
        probability: that it is the same person, where each track is as likely as any other.
        frames: first and last.
        seconds: first and last, since the start of the video.
        moments: frames of its crops that are most like the query, nearest first.
        start_time: ISO 8601 time of the video's first frame; None when unknown.
        name: of the person, as corrections gave it; None when it has none.
    """

    video: str
    index: Path
    track: int
    person: int
    distance: float
    probability: float
    frames: tuple[int, int]
    seconds: tuple[float, float]
    moments: tuple[int, ...]
    start_time: str | None = None
    name: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "video": self.video,
            "index": str(self.index),
            "track": self.track,
            "person": self.person,
            "name": self.name,
            "distance": round(self.distance, 4),
            "probability": round(self.probability, 4),
            "frames": list(self.frames),
            "seconds": [round(one, 3) for one in self.seconds],
            "moments": list(self.moments),
            "start_time": self.start_time,
        }


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found.

    Attributes:
        hits: nearest first.
        beyond: tracks that were left out because they are farther than ``max_distance``.
        max_distance: the largest distance of a hit.
        cut: hits within ``max_distance`` that were left out because there were more than asked for.
    """

    hits: tuple[Hit, ...]
    beyond: int
    max_distance: float
    cut: int = 0


class PersonIndex:
    """Track indexes that are searched together.

    Attributes:
        indexes: of the videos, sorted by path.
        model: that all embeddings come from.

    Example:
        >>> import tempfile
        >>> from deepsort_paddle import DeepSort, Detections, Frame, TrackIndexWriter, track_frames
        >>> from deepsort_paddle.people.model import ReidModel
        >>> found = Detections.of([[10, 20, 40, 100]], embeddings=np.eye(1, 4))
        >>> frames = [Frame(number, None, number / 10) for number in range(1, 6)]
        >>> tracked_frames = track_frames(frames, lambda number, image: found, None, DeepSort())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "door.sqlite"
        ...     with TrackIndexWriter(path, model=ReidModel("toy", "", 0.3), name="door") as writer:
        ...         for tracked in tracked_frames:
        ...             writer.write(tracked)
        ...     people = PersonIndex.open([folder])
        >>> for hit in people.search(np.eye(1, 4, dtype=np.float32)).hits:
        ...     print(hit.video, hit.track, round(hit.distance, 2))
        door 1 0.0
    """

    def __init__(self, indexes: Sequence[TrackIndex]) -> None:
        """Put indexes together.

        Raises:
            ValueError: there is none, or two are of different models.
        """
        if not indexes:
            raise ValueError("indexes must be one or more, got none")
        self.indexes = tuple(indexes)
        self.model: ReidModel = indexes[0].meta.model
        for index in indexes:
            if not index.meta.model.fits(self.model):
                raise ValueError(
                    f"{index.path}: made with the model {index.meta.model}, but {indexes[0].path} with "
                    f"{self.model}: their embeddings can't be compared"
                )
        self._embeddings, self._owner = stacked(self.indexes)
        self._begins = np.cumsum([0, *map(len, self.indexes)])
        self._pairs: dict[int, list[tuple[int, int]]] = {}
        self._models: dict[int, LinkModel] = {}

    @classmethod
    def open(cls, where: Iterable[str | Path], *, unfinished: bool = False) -> Self:
        """Open index files, and all those in folders.

        Args:
            where: files, or folders that hold ``.sqlite`` or ``.db`` files, at any depth.
            unfinished: take the indexes of runs that were stopped, too.

        Raises:
            FileNotFoundError: a path is missing, or a folder has no index in it.
            ValueError: a file is no track index, of an unfinished run, or of another model than the others.
        """
        files: dict[Path, Path] = {}
        for path in map(Path, where):
            found = [path]
            if path.is_dir():
                found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
                if not found:
                    raise FileNotFoundError(f"{path}: no track index in this folder (*.sqlite)")
            files.update({file.resolve(): file for file in found})
        return cls([TrackIndex.read(file, unfinished=unfinished) for file in files.values()])

    def __len__(self) -> int:
        """Number of tracks."""
        return int(self._begins[-1])

    def __repr__(self) -> str:
        return f"<PersonIndex: {len(self.indexes)} videos, {len(self)} tracks, {self.model.name}>"

    def embeddings_of(self, path: str | Path, track: int) -> NDArray[np.float32]:
        """The embeddings of one track, as a query, ``(k, D)``.

        Raises:
            ValueError: the index is not one of these, or has no such track, or the track no embedding.
        """
        index = self.indexes[self._place(path)]
        rows = index.embeddings[index.moments(index.row(track))]
        if not len(rows):
            raise ValueError(f"{path}: track {track} has no embedding")
        return rows

    def thumbnails_of(self, path: str | Path, track: int) -> list[bytes]:
        """The thumbnails of one track, by time.

        Raises:
            ValueError: the index is not one of these, or has no such track.
        """
        index = self.indexes[self._place(path)]
        frames = index.moment_frames[index.moments(index.row(track))].tolist()
        return list(index.thumbnails([(track, frame) for frame in frames]).values())

    def search(
        self,
        query: ArrayLike,
        *,
        max_distance: float | None = None,
        top: int | None = None,
        tracks: Iterable[tuple[str | Path, int]] = (),
    ) -> Hits:
        """The tracks that may be the person of a query, nearest first.

        Args:
            query: ``(k, D)`` embeddings of one person, of the same model; several sides find more than one.
            max_distance: largest distance of a hit; None is the model's calibrated threshold.
            top: most hits; None gives all.
            tracks: index file and track that the query was taken from: they are no hits, nor are those seen
                together with them, who are other people.

        Raises:
            ValueError: the query has the wrong shape, or a zero row only.
        """
        rows = np.atleast_2d(np.asarray(query, np.float32))
        rows = unit_rows(rows[rows.any(axis=1)], int(rows.any(axis=1).sum()))
        if not len(rows):
            raise ValueError("query must have one embedding or more, got none")
        limit = self.model.max_cosine_distance if max_distance is None else max_distance
        if not len(self._embeddings):
            return Hits((), len(self), limit)
        if rows.shape[1] != self._embeddings.shape[1]:
            raise ValueError(f"query must be (k, {self._embeddings.shape[1]}), got {rows.shape}")
        distances = query_distances(rows, self._embeddings, self._owner, len(self))
        own, others = self._ruled_out(tracks)
        distances[[*own, *others]] = np.inf
        near = np.flatnonzero(distances <= limit)
        order = near[np.argsort(distances[near], kind="stable")][:top]
        hits = tuple(self._hit(row, float(distances[row]), rows) for row in order.tolist())
        return Hits(hits, len(self) - len(own) - len(near), limit, len(near) - len(order))

    def _place(self, path: str | Path) -> int:
        """Which of the indexes a file is.

        Raises:
            ValueError: it is none of them.
        """
        wanted = Path(path).resolve()
        for video, index in enumerate(self.indexes):
            if index.path.resolve() == wanted:
                return video
        raise ValueError(f"{path}: not one of the indexes that are searched")

    def _ruled_out(self, tracks: Iterable[tuple[str | Path, int]]) -> tuple[set[int], set[int]]:
        """Rows of these tracks, and of those seen together with any of them."""
        own: set[int] = set()
        others: set[int] = set()
        for path, track in tracks:
            video = self._place(path)
            row, begin = self.indexes[video].row(track), int(self._begins[video])
            own.add(begin + row)
            others |= {begin + sum(pair) - row for pair in self._together(video) if row in pair}
        return own, others - own

    def _together(self, video: int) -> list[tuple[int, int]]:
        """The pairs of tracks of an index that were seen together."""
        if video not in self._pairs:
            self._pairs[video] = seen_together(self.indexes[video])
        return self._pairs[video]

    def _links(self, video: int) -> LinkModel:
        """The distributions of distances in an index, with what its own people look like."""
        if video not in self._models:
            index = self.indexes[video]
            pairs = np.array(self._together(video), np.int64).reshape(-1, 2)
            pairs = pairs[:: max(1, len(pairs) // _ENOUGH_PAIRS)]
            known = pair_distances(index.embeddings, index.owner, len(index), pairs)
            self._models[video] = LinkModel.of(self.model).adapted(known)
        return self._models[video]

    def _hit(self, row: int, distance: float, query: NDArray[np.float32]) -> Hit:
        video = int(np.searchsorted(self._begins, row, side="right")) - 1
        index, own = self.indexes[video], row - int(self._begins[video])
        probability = self._links(video).probability(np.array([distance]), tracks=len(self))
        moments = index.moments(own)
        nearest = np.argsort((1.0 - index.embeddings[moments] @ query.T).min(axis=1), kind="stable")
        first, last = index.frames[own].tolist()
        begin, end = index.seconds[own].tolist()
        return Hit(
            video=index.meta.name,
            index=index.path,
            track=int(index.ids[own]),
            person=int(index.persons[own]),
            distance=distance,
            probability=float(probability[0]),
            frames=(first, last),
            seconds=(begin, end),
            moments=tuple(index.moment_frames[moments][nearest].tolist()),
            start_time=index.meta.start_time,
            name=index.names.get(int(index.persons[own])),
        )

    def join(self, *, min_probability: float = MIN_PROBABILITY) -> Identities:
        """The people of all videos: two tracks seen together in one video are never one person.

        Args:
            min_probability: of a join, in (0, 1).
        """
        return find_identities(*self.indexes, min_probability=min_probability)
