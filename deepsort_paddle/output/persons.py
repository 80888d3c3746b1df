"""Which person each track is, for the outputs of a run."""

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
        of_track: person by track id; a person is called by the id of its first track.
        names: by person; those that were given one.

    Example:
        >>> persons = Persons({3: 3, 29: 3, 4: 4}, names={4: "Anna"})
        >>> persons.of(29), persons.label(29), persons.label(3), persons.label(4)
        (3, '3 (29)', '3', 'Anna (4)')
    """

    of_track: Mapping[int, int]
    names: Mapping[int, str] = field(default_factory=dict)

    def of(self, track: int) -> int:
        """Person of a track; one that is unknown is a person of its own."""
        return self.of_track.get(track, track)

    def label(self, track: int) -> str:
        """Person and, where it says more, the track."""
        person = self.of(track)
        name = self.names.get(person, str(person))
        return name if name == str(track) else f"{name} ({track})"

    def relabelled(self, tracks: Tracks) -> Tracks:
        """The tracks of a frame under the ids of their persons."""
        return replace(tracks, ids=np.array([self.of(track) for track in tracks.ids.tolist()], np.int64))
