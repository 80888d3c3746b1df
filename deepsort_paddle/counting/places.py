"""Lines and zones to count at, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from typing_extensions import Self

__all__ = ["ClassFlow", "CountEvent", "Counts", "Direction", "Line", "LineCount", "Zone", "ZoneCount"]

Point = tuple[float, float]
Direction = Literal["to_right", "to_left", "entry", "exit"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line to cross, from ``start`` to ``end`` (x, y pixels).

    Its right is the right hand of somebody who walks on the screen from ``start`` to ``end``.

    Raises:
        ValueError: no name, a coordinate that is not finite, or no length.
    """

    name: str
    start: Point
    end: Point

    def __post_init__(self) -> None:
        start, end = _checked("line", self.name, (self.start, self.end))
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)
        if self.start == self.end:
            raise ValueError(f"line {self.name!r} has no length: both ends are {self.start}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A line written ``NAME:x1,y1,x2,y2``.

        Raises:
            ValueError: it is written otherwise.
        """
        name, points = _parse("line", text, "NAME:x1,y1,x2,y2")
        if len(points) != 2:
            raise ValueError(f"a line is NAME:x1,y1,x2,y2, got {2 * len(points)} coordinates in {text!r}")
        return cls(name, points[0], points[1])


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon, three corners or more (x, y pixels), concave too; where edges cross, the even-odd rule.

    Raises:
        ValueError: no name, a coordinate that is not finite, or too few different corners.
    """

    name: str
    polygon: tuple[Point, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "polygon", _checked("zone", self.name, self.polygon))
        if len(self.polygon) < 3 or np.linalg.matrix_rank(np.subtract(self.polygon, self.polygon[0])) < 2:
            raise ValueError(f"zone {self.name!r} wants three corners or more that are not in one line")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A zone written ``NAME:x1,y1,x2,y2,x3,y3,...``.

        Raises:
            ValueError: it is written otherwise.
        """
        name, points = _parse("zone", text, "NAME:x1,y1,x2,y2,x3,y3,...")
        return cls(name, points)


@dataclass(frozen=True, slots=True)
class CountEvent:
    """Something that counted, in the frame of one `TrackCounter.update`.

    Attributes:
        kind: what was crossed.
        name: of the line or zone.
        direction: to_right, to_left (lines), entry, exit (zones).
        track_id: who.
        class_id: of the track at that moment.
    """

    kind: Literal["line", "zone"]
    name: str
    direction: Direction
    track_id: int
    class_id: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        place = {self.kind: self.name, "direction": self.direction}
        return {**place, "id": self.track_id, "class_id": self.class_id}


@dataclass(frozen=True, slots=True)
class ClassFlow:
    """Crossings of one class: to the right and to the left of a line, or into and out of a zone."""

    forward: int
    backward: int


@dataclass(frozen=True, slots=True)
class LineCount:
    """Crossings of a line up to now; ``by_class`` has right and left for each class number."""

    line: Line
    to_right: int
    to_left: int
    by_class: Mapping[int, ClassFlow]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.line.name,
            "start": list(self.line.start),
            "end": list(self.line.end),
            "to_right": self.to_right,
            "to_left": self.to_left,
            "by_class": {
                str(class_id): {"to_right": flow.forward, "to_left": flow.backward}
                for class_id, flow in self.by_class.items()
            },
        }


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """What a zone has seen up to now.

    Attributes:
        zone: which.
        entries: walks in; those who appear inside are not among them.
        exits: walks out; those who vanish inside are not among them.
        occupancy: tracks inside in the latest frame.
        peak: the largest occupancy.
        dwell: seconds inside by track id, all its visits together, from the frame that entered to the
            one that left (or the last one seen).
        by_class: entries and exits for each class number.
    """

    zone: Zone
    entries: int
    exits: int
    occupancy: int
    peak: int
    dwell: Mapping[int, float]
    by_class: Mapping[int, ClassFlow]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
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
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """All lines and zones of a `TrackCounter`, in the order they were given."""

    lines: tuple[LineCount, ...] = ()
    zones: tuple[ZoneCount, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "lines": [line.as_dict() for line in self.lines],
            "zones": [zone.as_dict() for zone in self.zones],
        }


def _checked(kind: str, name: str, points: tuple[Point, ...]) -> tuple[Point, ...]:
    """The points as tuples of Python's numbers, whatever sequences or arrays they are.

    Raises:
        ValueError: no name, or something else than points of finite numbers.
    """
    if not isinstance(name, str):
        raise ValueError(f"a {kind} begins with its name, got {name!r}")
    if not name.strip():
        raise ValueError(f"a {kind} needs a name")
    try:
        rows = [np.asarray(point).tolist() for point in points]
        fits = all(np.shape(row) == (2,) for row in rows) and np.isfinite(np.array(rows, float)).all()
    except (TypeError, ValueError):  # no points, texts, rows of several lengths
        fits = False
    if not fits:
        got = " ".join(str(points).split())
        raise ValueError(f"{kind} {name!r} must have x, y points of finite numbers, got {got}")
    return tuple((x, y) for x, y in rows)


def _parse(kind: str, text: str, wanted: str) -> tuple[str, tuple[Point, ...]]:
    name, colon, numbers = text.rpartition(":")
    try:
        values = [float(part) for part in numbers.split(",")]
    except ValueError:
        values = []
    if not colon or not values or len(values) % 2:
        raise ValueError(f"a {kind} is {wanted} in pixels, got {text!r}")
    return name.strip(), tuple(zip(values[::2], values[1::2], strict=True))
