"""Counting: who crosses a line in which direction, who enters, leaves and stays in a zone.

A person stands where the box ends below, so the middle of its lower edge, the foot point, is looked at.
A crossing is a step from one foot point to the next that cuts the line; it counts when the person has
then moved a small way off on the other side. Who lingers on a line, and a box that trembles there, so
counts once or not at all. Zones work likewise: one is inside or outside until plainly the other. A track
that was lost on the way and found again is taken to have gone straight; places predicted without
detection do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.arguments import check_type
from deepsort_paddle.counting.places import (
    ClassFlow,
    CountEvent,
    Counts,
    Direction,
    Line,
    LineCount,
    Zone,
    ZoneCount,
)
from deepsort_paddle.structures import Tracks

__all__ = ["ClassFlow", "CountEvent", "Counts", "Line", "LineCount", "TrackCounter", "Zone", "ZoneCount"]


@dataclass(slots=True)
class _Place:
    """The state of one line or zone: columns have a row for each id seen so far.

    ``side`` is 1 (right, inside) or -1, where an id was last plainly; ``passed`` counts the signed steps
    through a line since then.
    """

    side: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    passed: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    flows: dict[int, list[int]] = field(default_factory=dict)
    dwell: dict[int, float] = field(default_factory=dict)
    occupancy: int = 0
    peak: int = 0

    def total(self, index: int) -> int:
        return sum(flow[index] for flow in self.flows.values())

    def by_class(self) -> dict[int, ClassFlow]:
        return {class_id: ClassFlow(*flow) for class_id, flow in sorted(self.flows.items())}


class TrackCounter:
    """Counts tracks at lines and in zones; to be called on every frame."""

    def __init__(
        self,
        lines: Iterable[Line] = (),
        zones: Iterable[Zone] = (),
        *,
        anchor: Literal["foot", "center"] = "foot",
        hysteresis: float = 0.05,
        fps: float = 25.0,
    ) -> None:
        """Start with all counts at zero.

        Args:
            lines: names must differ, also from those of the zones.
            zones: likewise.
            anchor: the point of a box that counts: the middle of its lower edge, or its centre.
            hysteresis: how far from a line or edge one must be to be plainly on one side, in heights of the
                track's box: 0.05 are about 9 cm of a person. 0 counts each change of side.
            fps: frames a second where `update` gets no timestamps; dwell times need it.

        Raises:
            ValueError: a name comes twice, or an option is out of range.
        """
        if isinstance(lines, Line) or isinstance(zones, Zone):
            raise ValueError("lines and zones must be lists: put the one between brackets")
        self.lines, self.zones = tuple(lines), tuple(zones)
        for one in self.lines:
            check_type("each of lines", one, Line, "its name, start and end; Line.parse reads text")
        for other in self.zones:
            check_type("each of zones", other, Zone, "its name and polygon; Zone.parse reads text")
        names = [line.name for line in self.lines] + [zone.name for zone in self.zones]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"lines and zones need different names, {min(twice)!r} comes twice")
        if anchor not in ("foot", "center"):
            raise ValueError(f"anchor must be foot or center, got {anchor!r}")
        if not 0 <= hysteresis < np.inf:
            raise ValueError(f"hysteresis must be 0 or more, got {hysteresis}")
        if not 0 < fps < np.inf:
            raise ValueError(f"fps must be positive, got {fps}")
        self._anchor, self._hysteresis, self._step = anchor, hysteresis, 1 / fps
        self._places = {name: _Place() for name in names}
        self._rows: dict[int, int] = {}
        self._points = np.zeros((0, 2))
        self._seen = np.zeros(0)
        self._now: float | None = None

    def update(self, tracks: Tracks, timestamp: float | None = None) -> tuple[CountEvent, ...]:
        """Take in one frame; returns what counted in it, lines first.

        Args:
            tracks: of this frame; those without detection in it keep their last known place.
            timestamp: seconds; None: one frame's time after the last.
        """
        if timestamp is None:
            timestamp = 0.0 if self._now is None else self._now + self._step
        self._now = timestamp if self._now is None else max(self._now, timestamp)
        # A track is taken at its detections only: a prediction may run over a line and be called back.
        matched = tracks[tracks.detection_index >= 0]
        boxes = matched.boxes
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        height = boxes[:, 1] + boxes[:, 3] if self._anchor == "center" else 2 * boxes[:, 3]
        points = np.column_stack([middle, height / 2])  # (M, 2)
        margin = self._hysteresis * (boxes[:, 3] - boxes[:, 1])
        known = np.array([track_id in self._rows for track_id in matched.ids.tolist()], bool)
        rows = self._rows_of(matched.ids)
        before = np.where(known[:, None], self._points[rows], points)
        elapsed = np.where(known, self._now - self._seen[rows], 0.0)
        events: list[CountEvent] = []
        for line in self.lines:
            events += self._cross(line, matched, rows, before, points, margin)
        for zone in self.zones:
            events += self._visit(zone, matched, rows, points, margin, elapsed)
            place = self._places[zone.name]
            shown = [self._rows[track_id] for track_id in tracks.ids.tolist() if track_id in self._rows]
            place.occupancy = int((place.side[shown] > 0).sum())
            place.peak = max(place.peak, place.occupancy)
        self._points[rows] = points
        self._seen[rows] = self._now
        return tuple(events)

    def counts(self) -> Counts:
        """The counts up to now; a copy."""
        lines, zones = [], []
        for line in self.lines:
            place = self._places[line.name]
            lines.append(LineCount(line, place.total(0), place.total(1), place.by_class()))
        for zone in self.zones:
            place = self._places[zone.name]
            flows = (place.total(0), place.total(1), place.occupancy, place.peak)
            zones.append(ZoneCount(zone, *flows, dict(place.dwell), place.by_class()))
        return Counts(tuple(lines), tuple(zones))

    def _rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each id, new ones made at the end."""
        rows = [self._rows.setdefault(track_id, len(self._rows)) for track_id in ids.tolist()]
        missing = len(self._rows) - len(self._seen)
        if missing > 0:
            grown = max(missing, len(self._seen), 64)  # doubling keeps a long run linear
            self._points = np.concatenate([self._points, np.zeros((grown, 2))])
            self._seen = np.concatenate([self._seen, np.zeros(grown)])
            for place in self._places.values():
                place.side = np.concatenate([place.side, np.zeros(grown, np.int8)])
                place.passed = np.concatenate([place.passed, np.zeros(grown, np.int32)])
        return np.array(rows, np.int64)

    def _cross(
        self,
        line: Line,
        tracks: Tracks,
        rows: NDArray[np.int64],
        before: NDArray[np.float64],
        points: NDArray[np.float64],
        margin: NDArray[np.float64],
    ) -> list[CountEvent]:
        place = self._places[line.name]
        start, end = np.array(line.start, float), np.array(line.end, float)
        along = (end - start) / np.hypot(*(end - start))
        right = np.array([-along[1], along[0]])  # y points down
        was, now = (before - start) @ right, (points - start) @ right
        step = (now > 0).astype(np.int32) - (was > 0)  # 1, 0, -1; on the line itself is left of it
        share = np.divide(was, was - now, out=np.zeros_like(was), where=step != 0)
        at = ((before + share[:, None] * (points - before)) - start) @ along
        step[(at < 0) | (at > np.hypot(*(end - start)))] = 0  # past an end of the line
        side = np.where(now > 0, 1, -1).astype(np.int8)
        first = place.side[rows] == 0
        place.side[rows[first]] = side[first]
        place.passed[rows] += step
        plain = np.abs(now) >= margin
        other = side != place.side[rows]
        counted = plain & other & (np.sign(place.passed[rows]) == side)
        place.side[rows[plain]] = side[plain]
        place.passed[rows[plain]] = 0
        return _count(place, "line", line.name, tracks[counted], side[counted])

    def _visit(
        self,
        zone: Zone,
        tracks: Tracks,
        rows: NDArray[np.int64],
        points: NDArray[np.float64],
        margin: NDArray[np.float64],
        elapsed: NDArray[np.float64],
    ) -> list[CountEvent]:
        place = self._places[zone.name]
        inside, distance = _inside(points, np.array(zone.polygon, float))
        side = np.where(inside, 1, -1).astype(np.int8)
        first = place.side[rows] == 0
        place.side[rows[first]] = side[first]
        stayed = place.side[rows] > 0
        changed = (side != place.side[rows]) & (distance >= margin)
        place.side[rows[changed]] = side[changed]
        for track_id, seconds in zip(
            tracks.ids[stayed | (place.side[rows] > 0)].tolist(),
            np.where(stayed, elapsed, 0.0)[stayed | (place.side[rows] > 0)].tolist(),
            strict=True,
        ):
            place.dwell[track_id] = place.dwell.get(track_id, 0.0) + seconds
        return _count(place, "zone", zone.name, tracks[changed], side[changed])


def _count(
    place: _Place, kind: Literal["line", "zone"], name: str, tracks: Tracks, side: NDArray[np.int8]
) -> list[CountEvent]:
    """Add one crossing for each of ``tracks`` to ``place``."""
    directions: tuple[Direction, Direction] = ("to_right", "to_left") if kind == "line" else ("entry", "exit")
    events = []
    for track_id, class_id, sign in zip(
        tracks.ids.tolist(), tracks.class_id.tolist(), side.tolist(), strict=True
    ):
        index = 0 if sign > 0 else 1
        place.flows.setdefault(class_id, [0, 0])[index] += 1
        events.append(CountEvent(kind, name, directions[index], track_id, class_id))
    return events


def _inside(
    points: NDArray[np.float64], polygon: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether ``(M, 2)`` points are in a ``(C, 2)`` polygon (even-odd rule), and how far from its edge."""
    inside = np.zeros(len(points), bool)
    distance = np.full(len(points), np.inf)
    x, y = points.T
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
        length = (bx - ax) ** 2 + (by - ay) ** 2
        share = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / (length or 1.0), 0, 1)
        distance = np.minimum(distance, np.hypot(ax + share * (bx - ax) - x, ay + share * (by - ay) - y))
    return inside, distance
