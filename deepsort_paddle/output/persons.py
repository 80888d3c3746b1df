"""The person of each track, for the outputs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from deepsort_paddle.structures import Tracks

__all__ = ["Persons"]


@dataclass(frozen=True, slots=True)
class Persons:
    """The persons of a run.

    Attributes:
        of_track: person by track id; the id of a person is that of its first track.
        names: names by person.

    Example:
        >>> persons = Persons({3: 3, 29: 3, 4: 4}, names={4: "Anna"})
        >>> persons.of(29), persons.label(29), persons.label(3), persons.label(4)
        (3, '3 (29)', '3', 'Anna (4)')
    """

    of_track: Mapping[int, int]
    names: Mapping[int, str] = field(default_factory=dict)

    def of(self, track: int) -> int:
        """Return the person of a track; an unknown track is a separate person."""
        return self.of_track.get(track, track)

    def label(self, track: int) -> str:
        """Return the label of a track: person and, if different, track."""
        person = self.of(track)
        name = self.names.get(person, str(person))
        return name if name == str(track) else f"{name} ({track})"

    def relabelled(self, tracks: Tracks) -> Tracks:
        """Return the tracks of a frame with the ids of their persons."""
        return replace(tracks, ids=np.array([self.of(track) for track in tracks.ids.tolist()], np.int64))
