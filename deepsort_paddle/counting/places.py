"""Lines and zones, and their counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from typing_extensions import Self

from deepsort_paddle.counting.intervals import IntervalCounts

__all__ = [
    "ClassFlow",
    "CountEvent",
    "Counts",
    "Direction",
    "Line",
    "LineCount",
    "Zone",
    "ZoneCount",
    "in_pixels",
]

Point = tuple[float, float]
Direction = Literal["to_right", "to_left", "entry", "exit", "loiter"]
_DIRECTIONS = ("to_right", "to_left")


@dataclass(frozen=True, slots=True)
class Line:
    """A line to cross, from ``start`` to ``end`` (x, y pixels).

    Its right side is on the right of a person who walks across the image from ``start`` to ``end``.

    Attributes:
        name: of the line.
        start: its first end.
        end: its second end.
        directions: names of crossings to the right and to the left.

    Raises:
        ValueError: the name is empty, a coordinate is not finite, the length is 0, or the directions are not
            two different names.

    Example:
        >>> Line.parse("door:100,0,100,200:in/out").directions
        ('in', 'out')
    """

    name: str
    start: Point
    end: Point
    directions: tuple[str, str] = _DIRECTIONS

    def __post_init__(self) -> None:
        start, end = _check_points("line", self.name, (self.start, self.end))
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)
        if self.start == self.end:
            raise ValueError(f"line {self.name!r} must have two different ends, got {self.start} twice")
        names = tuple(self.directions)
        if len(set(names)) != 2 or len(names) != 2 or not all(map(str.strip, names)):
            raise ValueError(f"line {self.name!r} must have two different directions, got {self.directions}")
        object.__setattr__(self, "directions", names)

    @property
    def is_named(self) -> bool:
        """Whether its directions were named."""
        return self.directions != _DIRECTIONS

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``NAME:x1,y1,x2,y2``, or ``NAME:x1,y1,x2,y2:RIGHT/LEFT`` with names of the directions.

        Raises:
            ValueError: the text has another form.
        """
        form = "NAME:x1,y1,x2,y2 or NAME:x1,y1,x2,y2:RIGHT/LEFT"
        place, _, last = text.rpartition(":")
        names = [word.strip() for word in last.split("/")]
        has_names = len(names) == 2 and "," not in last
        name, points = _parse("line", place if has_names else text, form)
        if len(points) != 2:
            raise ValueError(f"expected a line {form}, got {2 * len(points)} coordinates in {text!r}")
        if has_names:
            return cls(name, points[0], points[1], (names[0], names[1]))
        return cls(name, points[0], points[1])


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon of three or more corners (x, y pixels).

    It may be concave. If edges cross, the even-odd rule defines the inside.

    Raises:
        ValueError: the name is empty, a coordinate is not finite, or the polygon has no area.

    Example:
        >>> Zone.parse("yard:0,0,100,0,100,50")
        Zone(name='yard', polygon=((0.0, 0.0), (100.0, 0.0), (100.0, 50.0)))
    """

    name: str
    polygon: tuple[Point, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "polygon", _check_points("zone", self.name, self.polygon))
        if len(self.polygon) < 3 or np.linalg.matrix_rank(np.subtract(self.polygon, self.polygon[0])) < 2:
            raise ValueError(f"zone {self.name!r} must have three or more corners that are not on one line")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``NAME:x1,y1,x2,y2,x3,y3,...``.

        Raises:
            ValueError: the text has another form.
        """
        name, points = _parse("zone", text, "NAME:x1,y1,x2,y2,x3,y3,...")
        return cls(name, points)


@dataclass(frozen=True, slots=True)
class CountEvent:
    """A crossing, entry or exit that one `TrackCounter.update` counted.

    Attributes:
        kind: line or zone.
        name: of the line or zone.
        direction: to_right or to_left for a line; entry, exit or loiter for a zone.
        track_id: id of the track.
        class_id: class of the track in this frame.
        stay: of an exit or a loiterer, seconds of this visit so far; else None.

    Example:
        >>> CountEvent("line", "door", "to_left", track_id=7, class_id=0).as_dict()
        {'line': 'door', 'direction': 'to_left', 'id': 7, 'class_id': 0}
    """

    kind: Literal["line", "zone"]
    name: str
    direction: Direction
    track_id: int
    class_id: int
    stay: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        place = {self.kind: self.name, "direction": self.direction}
        stay = {} if self.stay is None else {"stay_seconds": round(self.stay, 3)}
        return {**place, "id": self.track_id, "class_id": self.class_id, **stay}


@dataclass(frozen=True, slots=True)
class ClassFlow:
    """Crossings of one class.

    Attributes:
        forward: to the right of a line, or into a zone.
        backward: to the left of a line, or out of a zone.
    """

    forward: int
    backward: int


@dataclass(frozen=True, slots=True)
class LineCount:
    """Crossings of a line so far.

    Attributes:
        line: the line.
        to_right: crossings to its right.
        to_left: crossings to its left.
        by_class: both by class id.
        people: different people in each direction; None if persons are unknown.
    """

    line: Line
    to_right: int
    to_left: int
    by_class: Mapping[int, ClassFlow]
    people: Mapping[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        named = {"directions": list(self.line.directions)} if self.line.is_named else {}
        return {
            "name": self.line.name,
            "start": list(self.line.start),
            "end": list(self.line.end),
            **named,
            "to_right": self.to_right,
            "to_left": self.to_left,
            "by_class": {
                str(class_id): {"to_right": flow.forward, "to_left": flow.backward}
                for class_id, flow in self.by_class.items()
            },
            **({} if self.people is None else {"people": dict(self.people)}),
        }


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """Counts of a zone so far.

    Attributes:
        zone: the zone.
        entries: tracks that moved in; a track that first appears inside is not counted.
        exits: tracks that moved out; a track that ends inside is not counted.
        occupancy: tracks inside in the latest frame.
        peak: the largest occupancy so far.
        dwell: seconds inside by track id, the sum of all visits. A visit lasts from the frame of entry to the
            frame of exit (or the track's last frame).
        by_class: entries and exits by class id.
        loiters: visits that lasted longer than the counter's ``loiter``; None without.
        people: different people by direction; None if persons are unknown.
    """

    zone: Zone
    entries: int
    exits: int
    occupancy: int
    peak: int
    dwell: Mapping[int, float]
    by_class: Mapping[int, ClassFlow]
    loiters: int | None = None
    people: Mapping[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "name": self.zone.name,
            "polygon": [list(point) for point in self.zone.polygon],
            "entries": self.entries,
            "exits": self.exits,
            "occupancy": self.occupancy,
            "peak": self.peak,
            "dwell_seconds": {str(track_id): round(value, 3) for track_id, value in self.dwell.items()},
            "by_class": {
                str(class_id): {"entries": flow.forward, "exits": flow.backward}
                for class_id, flow in self.by_class.items()
            },
            **({} if self.loiters is None else {"loiters": self.loiters}),
            **({} if self.people is None else {"people": dict(self.people)}),
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of all lines and zones of a `TrackCounter`, in the given order.

    Attributes:
        lines: counts of the whole run.
        zones: counts of the whole run.
        intervals: counts of each interval; empty without intervals.
    """

    lines: tuple[LineCount, ...] = ()
    zones: tuple[ZoneCount, ...] = ()
    intervals: tuple[IntervalCounts, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        intervals = {"intervals": [one.as_dict() for one in self.intervals]} if self.intervals else {}
        return {
            "lines": [line.as_dict() for line in self.lines],
            "zones": [zone.as_dict() for zone in self.zones],
            **intervals,
        }


def in_pixels(points: tuple[Point, ...], width: int, height: int) -> tuple[Point, ...]:
    """Convert points to pixels of a frame: if all are between 0 and 1, they are fractions of its sides."""
    if any(not 0 <= value <= 1 for point in points for value in point):
        return points
    return tuple((x * width, y * height) for x, y in points)


def _check_points(kind: str, name: str, points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Convert points (sequences or arrays) to tuples of Python numbers.

    Raises:
        ValueError: the name is empty, or the points are not pairs of finite numbers.
    """
    if not isinstance(name, str):
        raise ValueError(f"the first argument of a {kind} must be its name, got {name!r}")
    if not name.strip():
        raise ValueError(f"a {kind} must have a name, got {name!r}")
    try:
        rows = [np.asarray(point).tolist() for point in points]
        fits = all(np.shape(row) == (2,) for row in rows) and np.isfinite(np.array(rows, float)).all()
    except (TypeError, ValueError):  # not points, text, or rows of different lengths
        fits = False
    if not fits:
        got = " ".join(str(points).split())
        raise ValueError(f"{kind} {name!r} must have x, y points of finite numbers, got {got}")
    return tuple((x, y) for x, y in rows)


def _parse(kind: str, text: str, form: str) -> tuple[str, tuple[Point, ...]]:
    """Split text into name and points; ``form`` is the expected form, for the error."""
    name, colon, numbers = text.rpartition(":")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if not colon or not values or len(values) % 2:
        raise ValueError(f"expected a {kind} {form}, got {text!r}")
    return name.strip(), tuple(zip(values[::2], values[1::2], strict=True))
