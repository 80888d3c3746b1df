"""People across the videos of a run: who is who in all of them, from their track indexes.

A person has one number in all videos, counted from 1 in the order of the videos and of the first tracks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.command.summary import people_words
from deepsort_paddle.part_files import replacing
from deepsort_paddle.people.index_file import TrackIndex, save_people
from deepsort_paddle.people.person_index import PersonIndex

__all__ = ["JoinedPeople", "VideoPeople", "join_videos"]


@dataclass(frozen=True, slots=True)
class VideoPeople:
    """The people of one of several videos.

    Attributes:
        index: path of its track index.
        tracks: ``(T,)`` ids.
        persons: ``(T,)`` person of each, the same in all videos.
        probability: ``(T,)`` of the weakest link that joins it to its person; NaN for one alone.
        known: whether the index says the same already.
    """

    index: Path
    tracks: NDArray[np.int64]
    persons: NDArray[np.int64]
    probability: NDArray[np.float64]
    known: bool

    def of_track(self) -> dict[int, int]:
        """Person by track."""
        return dict(zip(self.tracks.tolist(), self.persons.tolist(), strict=True))

    def save(self) -> None:
        """Write the persons into the index.

        Raises:
            OSError: it can't be written.
        """
        save_people(self.index, self.tracks, self.persons, self.probability)


@dataclass(frozen=True, slots=True)
class JoinedPeople:
    """The people of all videos.

    Attributes:
        videos: by name.
        people: how many.
        interval: fewest and most, with a probability of 0.9.
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
        """Write who is who in all videos as JSON.

        Raises:
            OSError: the file can't be written.
        """
        persons: dict[int, list[dict[str, Any]]] = {}
        for name, video in self.videos.items():
            for track, person in video.of_track().items():
                persons.setdefault(person, []).append({"video": name, "track": track})
        document = {
            "people": self.people,
            "interval": list(self.interval),
            "tracks": sum(len(video.tracks) for video in self.videos.values()),
            "videos": list(self.videos),
            "persons": [{"person": person, "tracks": tracks} for person, tracks in sorted(persons.items())],
        }
        with replacing(path) as file:
            file.write((json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def join_videos(indexes: Mapping[str, Path]) -> JoinedPeople:
    """Find the people of several videos.

    Args:
        indexes: path of the track index of each video, by the video's name.

    Raises:
        OSError: an index is missing.
        ValueError: an index is damaged, or two are of different models.
    """
    read = [TrackIndex.read(path) for path in indexes.values()]
    found = PersonIndex(read).join()
    numbers = np.unique(found.labels, return_inverse=True)[1].reshape(-1) + 1
    videos, begin = {}, 0
    for name, index in zip(indexes, read, strict=True):
        own = slice(begin, begin + len(index))
        persons = numbers[own].astype(np.int64)
        known = bool((index.persons == persons).all())
        videos[name] = VideoPeople(index.path, index.ids, persons, found.probability[own], known)
        begin += len(index)
    return JoinedPeople(videos, len(found), found.interval)
