"""Counts of lines and zones in one interval of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["IntervalCounts", "PlaceCounts"]


@dataclass(frozen=True, slots=True)
class PlaceCounts:
    """The counts of one line or zone in an interval.

    Attributes:
        kind: line or zone.
        name: of the line or zone.
        counts: number of events by direction: the two names of a line; entry, exit and optionally loiter of a
            zone.
        people: number of different people by direction; None if persons are unknown.
        mean_inside: mean number of tracks in a zone; None for a line.
        peak_inside: the largest number; None for a line.
    """

    kind: Literal["line", "zone"]
    name: str
    counts: Mapping[str, int]
    people: Mapping[str, int] | None = None
    mean_inside: float | None = None
    peak_inside: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        known: dict[str, Any] = {self.kind: self.name, "counts": dict(self.counts)}
        if self.people is not None:
            known["people"] = dict(self.people)
        if self.mean_inside is not None:
            known |= {"mean_inside": round(self.mean_inside, 3), "peak_inside": self.peak_inside}
        return known


@dataclass(frozen=True, slots=True)
class IntervalCounts:
    """The counts of all lines and zones from ``start`` to ``end``.

    Attributes:
        start: seconds of the video; in the first interval the time of the first frame.
        end: seconds of the video; in the last interval the time of the last frame.
        places: lines first, in the given order.

    Example:
        >>> door = PlaceCounts("line", "door", {"in": 3, "out": 1})
        >>> IntervalCounts(0.0, 900.0, (door,)).as_dict()
        {'start': 0.0, 'end': 900.0, 'places': [{'line': 'door', 'counts': {'in': 3, 'out': 1}}]}
    """

    start: float
    end: float
    places: tuple[PlaceCounts, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {**times, "places": [place.as_dict() for place in self.places]}
