"""Find the people of videos that were tracked together, from their track indexes.

A person has one number in all videos, counted from 1 in the order of the videos and of the first tracks.
``people.json`` lists the indexes and persons; each index names that file, so that corrections of one video
reach the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.part_files import real_path, replacing
from deepsort_paddle.people.corrections.collected import collect_answers, kept_corrections
from deepsort_paddle.people.head_count import people_words
from deepsort_paddle.people.identities import find_identities
from deepsort_paddle.people.index_file import TrackIndex, save_people
from deepsort_paddle.people.person_index import PersonIndex

__all__ = ["JoinedPeople", "VideoPeople", "indexes_of", "join_videos"]


@dataclass(frozen=True, slots=True)
class VideoPeople:
    """The people of one of several videos.

    Attributes:
        index: path of its track index.
        tracks: ``(T,)`` track ids.
        persons: ``(T,)`` person of each, numbered alike in all videos.
        probability: ``(T,)`` probability of the weakest link to its person; NaN for a single track.
        known: whether the index already has these persons.
        names: names of the persons of this video, by person.
        people_file: the file that the index names; None if it names none.
    """

    index: Path
    tracks: NDArray[np.int64]
    persons: NDArray[np.int64]
    probability: NDArray[np.float64]
    known: bool
    names: Mapping[int, str] = field(default_factory=dict)
    people_file: str | None = None

    def of_track(self) -> dict[int, int]:
        """The person of each track."""
        return dict(zip(self.tracks.tolist(), self.persons.tolist(), strict=True))

    def names_file(self, people_file: Path) -> bool:
        """Return whether the index names this ``people.json``."""
        return self.people_file == _from(self.index, people_file)

    def save(self, people_file: Path, path: Path | None = None) -> None:
        """Write the persons into the index.

        Args:
            people_file: path of ``people.json``.
            path: copy of the index to write instead.

        Raises:
            OSError: it cannot be written.
        """
        beside = _from(self.index, people_file)
        save_people(
            path or self.index, self.tracks, self.persons, self.probability, self.names, people_file=beside
        )


@dataclass(frozen=True, slots=True)
class JoinedPeople:
    """The people of all videos.

    Attributes:
        videos: results by name.
        people: number of people.
        interval: smallest and largest number, with a probability of 0.9.
    """

    videos: Mapping[str, VideoPeople]
    people: int
    interval: tuple[int, int]

    def __str__(self) -> str:
        tracks = sum(len(video.tracks) for video in self.videos.values())
        count = len(self.videos)
        words = people_words(self.people, self.interval)
        return f"{tracks} tracks, {words} in {count} video{'' if count == 1 else 's'}"

    def write(self, path: Path) -> None:
        """Write the persons of all videos as JSON.

        Raises:
            OSError: the file cannot be written.
        """
        persons: dict[int, list[dict[str, Any]]] = {}
        names: dict[int, str] = {}
        for name, video in self.videos.items():
            names |= video.names
            for track, person in video.of_track().items():
                persons.setdefault(person, []).append({"video": name, "track": track})
        document = {
            "people": self.people,
            "interval": list(self.interval),
            "tracks": sum(len(video.tracks) for video in self.videos.values()),
            "videos": list(self.videos),
            "indexes": {name: _from(path, video.index) for name, video in self.videos.items()},
            "persons": [
                {"person": person, **({"name": names[person]} if person in names else {}), "tracks": tracks}
                for person, tracks in sorted(persons.items())
            ],
        }
        with replacing(path) as file:
            file.write((json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def join_videos(indexes: Mapping[str, Path], corrected: TrackIndex | None = None) -> JoinedPeople:
    """Find the people of several videos, including all corrections.

    Args:
        indexes: path of the track index of each video, by name.
        corrected: an index in memory that replaces its file.

    Returns:
        The people.

    Raises:
        OSError: an index is missing.
        ValueError: an index is damaged, two are of different models, or corrections contradict each other.
    """
    read = [
        corrected if corrected is not None and corrected.path == path else TrackIndex.read(path)
        for path in indexes.values()
    ]
    answers, named = collect_answers(read, [kept_corrections(index) for index in read])
    found = find_identities(*PersonIndex(read).indexes, answers=answers)
    numbers = np.unique(found.labels, return_inverse=True)[1].reshape(-1) + 1
    names = {int(numbers[row]): name for row, name in named.items()}
    videos, begin = {}, 0
    for name, index in zip(indexes, read, strict=True):
        own = slice(begin, begin + len(index))
        persons = numbers[own].astype(np.int64)
        here = {person: names[person] for person in sorted(set(persons.tolist()) & set(names))}
        known = bool((index.persons == persons).all()) and here == dict(index.names)
        videos[name] = VideoPeople(
            index.path, index.ids, persons, found.probability[own], known, here, index.meta.people_file
        )
        begin += len(index)
    return JoinedPeople(videos, len(found), found.interval)


def indexes_of(people_file: Path) -> dict[str, Path]:
    """Return the paths of the track indexes of all videos by name, from ``people.json``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another kind of file.
    """
    if not people_file.is_file():
        raise FileNotFoundError(f"{people_file}: no such file")
    try:
        known = json.loads(people_file.read_text(encoding="utf-8"))["indexes"]
        return {str(name): people_file.parent / path for name, path in known.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{people_file}: expected the people of several videos") from None


def _from(path: Path, target: Path) -> str:
    """Return a path relative to the folder of a file; unchanged on another drive."""
    try:
        return os.path.relpath(real_path(target), real_path(path).parent)
    except ValueError:
        return str(real_path(target))
