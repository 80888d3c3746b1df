"""Count tracks that cross lines, and that enter, leave and stay in zones.

The anchor of a track is the bottom centre of its box, where the person stands. A crossing is a step from one
anchor to the next that intersects the line. It counts once the track has moved a small distance away from the
line (hysteresis), so a track that lingers on the line, or a box that jitters there, counts at most once.
Zones work the same way: a track changes sides only when it is a small distance past the edge. The path of a
track that was lost and found again is a straight line; predicted boxes without a detection do not count.
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
    """The state of one line or zone; arrays have a row for each id seen so far.

    Attributes:
        side: the last certain side, 1 (right, inside) or -1 (left, outside); 0 before the first one.
        passed: signed number of steps across the line since then.
        flows: crossings in both directions by class id.
        dwell: seconds inside by track id.
        visit: seconds inside since the latest entry.
        loitered: whether the current visit was reported as too long.
        loiters: number of such visits.
        occupancy: tracks inside.
        peak: the largest occupancy.
    """

    side: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    passed: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    flows: dict[int, list[int]] = field(default_factory=dict)
    dwell: dict[int, float] = field(default_factory=dict)
    visit: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    loitered: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    loiters: int = 0
    occupancy: int = 0
    peak: int = 0

    def total(self, index: int) -> int:
        return sum(flow[index] for flow in self.flows.values())

    def by_class(self) -> dict[int, ClassFlow]:
        return {class_id: ClassFlow(*flow) for class_id, flow in sorted(self.flows.items())}

    def grow(self, rows: int) -> None:
        """Add rows for new ids."""
        self.side = np.concatenate([self.side, np.zeros(rows, np.int8)])
        self.passed = np.concatenate([self.passed, np.zeros(rows, np.int32)])
        self.visit = np.concatenate([self.visit, np.zeros(rows)])
        self.loitered = np.concatenate([self.loitered, np.zeros(rows, bool)])


class TrackCounter:
    """Count tracks at lines and in zones; call `update` on every frame.

    Example:
        >>> from deepsort_paddle import Detections, DeepSort
        >>> counter = TrackCounter([Line.parse("door:100,0,100,200")])
        >>> tracker = DeepSort(n_init=1)
        >>> for x in range(40, 160, 10):
        ...     tracks = tracker.update(Detections.of([[x, 50, x + 30, 150]]))
        ...     for event in counter.update(tracks):
        ...         print(event.name, event.direction)
        door to_left
    """

    def __init__(
        self,
        lines: Iterable[Line] = (),
        zones: Iterable[Zone] = (),
        *,
        anchor: Literal["foot", "center"] = "foot",
        hysteresis: float = 0.05,
        fps: float = 25.0,
        loiter: float | None = None,
    ) -> None:
        """Start with all counts at zero.

        Args:
            lines: the lines; names of lines and zones must be unique.
            zones: the zones.
            anchor: the point of a box that counts: its bottom centre (foot), or its centre.
            hysteresis: distance from a line or edge at which a side is certain, as a fraction of the box's
                height: 0.05 is about 9 cm for a person. 0 counts every change of side.
            fps: frames per second if `update` gets no timestamps, for dwell times.
            loiter: seconds in a zone after which a visit is reported as loitering; None: never.

        Raises:
            ValueError: a name is used twice, or an option is out of range.
        """
        if isinstance(lines, Line) or isinstance(zones, Zone):
            raise ValueError("lines and zones must be lists, got a single one: put it in brackets")
        self.lines, self.zones = tuple(lines), tuple(zones)
        for line in self.lines:
            check_type("each of lines", line, Line, "its name, start and end; Line.parse reads text")
        for zone in self.zones:
            check_type("each of zones", zone, Zone, "its name and polygon; Zone.parse reads text")
        names = [line.name for line in self.lines] + [zone.name for zone in self.zones]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ValueError(f"lines and zones must have different names, got {min(repeated)!r} twice")
        if anchor not in ("foot", "center"):
            raise ValueError(f"anchor must be foot or center, got {anchor!r}")
        if not 0 <= hysteresis < np.inf:
            raise ValueError(f"hysteresis must be 0 or more, got {hysteresis}")
        if not 0 < fps < np.inf:
            raise ValueError(f"fps must be positive, got {fps}")
        if loiter is not None and not 0 < loiter < np.inf:
            raise ValueError(f"loiter must be positive, got {loiter}")
        self.loiter = loiter
        self._anchor, self._hysteresis, self._step = anchor, hysteresis, 1 / fps
        self._places = {name: _Place() for name in names}
        self._rows: dict[int, int] = {}
        self._points = np.zeros((0, 2))
        self._seen = np.zeros(0)
        self._now: float | None = None

    def update(self, tracks: Tracks, timestamp: float | None = None) -> tuple[CountEvent, ...]:
        """Count the tracks of one frame.

        Args:
            tracks: of this frame; tracks without a detection in it keep their last position.
            timestamp: seconds; None: one frame (1 / fps) after the previous one.

        Returns:
            The crossings, entries and exits in this frame, lines first.
        """
        if timestamp is None:
            timestamp = 0.0 if self._now is None else self._now + self._step
        self._now = timestamp if self._now is None else max(self._now, timestamp)
        # Only detections count: a prediction may cross a line and be corrected later.
        matched = tracks[tracks.detection_index >= 0]
        boxes = matched.boxes
        x = (boxes[:, 0] + boxes[:, 2]) / 2
        y = (boxes[:, 1] + boxes[:, 3]) / 2 if self._anchor == "center" else boxes[:, 3]
        points = np.column_stack([x, y])  # (M, 2)
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
            present = [self._rows[track_id] for track_id in tracks.ids.tolist() if track_id in self._rows]
            place.occupancy = int((place.side[present] > 0).sum())
            place.peak = max(place.peak, place.occupancy)
        self._points[rows] = points
        self._seen[rows] = self._now
        return tuple(events)

    @property
    def seconds(self) -> float:
        """Timestamp of the latest frame."""
        return self._now or 0.0

    def occupancy(self) -> dict[str, int]:
        """Return the number of tracks in each zone in the latest frame, by name."""
        return {zone.name: self._places[zone.name].occupancy for zone in self.zones}

    def counts(self) -> Counts:
        """Return a copy of the counts so far."""
        lines, zones = [], []
        for line in self.lines:
            place = self._places[line.name]
            lines.append(LineCount(line, place.total(0), place.total(1), place.by_class()))
        for zone in self.zones:
            place = self._places[zone.name]
            flows = (place.total(0), place.total(1), place.occupancy, place.peak)
            loiters = None if self.loiter is None else place.loiters
            zones.append(ZoneCount(zone, *flows, dict(place.dwell), place.by_class(), loiters))
        return Counts(tuple(lines), tuple(zones))

    def _rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each id, ``(M,)``; new ids get rows at the end."""
        rows = [self._rows.setdefault(track_id, len(self._rows)) for track_id in ids.tolist()]
        missing = len(self._rows) - len(self._seen)
        if missing > 0:
            grown = max(missing, len(self._seen), 64)  # doubling keeps a long run linear
            self._points = np.concatenate([self._points, np.zeros((grown, 2))])
            self._seen = np.concatenate([self._seen, np.zeros(grown)])
            for place in self._places.values():
                place.grow(grown)
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
        """Update a line with steps from ``before`` to ``points``, ``(M, 2)``, and return the crossings."""
        place = self._places[line.name]
        start, end = np.array(line.start, float), np.array(line.end, float)
        along = (end - start) / np.hypot(*(end - start))
        right = np.array([-along[1], along[0]])  # y points down
        was, now = (before - start) @ right, (points - start) @ right  # signed distances to the line
        step = (now > 0).astype(np.int32) - (was > 0)  # 1, 0, -1; a point on the line is left of it
        share = np.divide(was, was - now, out=np.zeros_like(was), where=step != 0)
        at = ((before + share[:, None] * (points - before)) - start) @ along  # of the intersection
        step[(at < 0) | (at > np.hypot(*(end - start)))] = 0  # beyond an end of the line
        side = np.where(now > 0, 1, -1).astype(np.int8)
        first = place.side[rows] == 0
        place.side[rows[first]] = side[first]
        place.passed[rows] += step
        certain = np.abs(now) >= margin
        changed = side != place.side[rows]
        counted = certain & changed & (np.sign(place.passed[rows]) == side)
        place.side[rows[certain]] = side[certain]
        place.passed[rows[certain]] = 0
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
        """Update a zone with the anchors ``points``, ``(M, 2)``, and return its events."""
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
        place.visit[rows[stayed]] += elapsed[stayed]
        stays = place.visit[rows]
        events = _count(place, "zone", zone.name, tracks[changed], side[changed], stays[changed])
        if self.loiter is not None:
            long = (place.side[rows] > 0) & (stays >= self.loiter - 1e-9) & ~place.loitered[rows]
            for row in np.flatnonzero(long).tolist():
                track_id, class_id = int(tracks.ids[row]), int(tracks.class_id[row])
                events.append(CountEvent("zone", zone.name, "loiter", track_id, class_id, float(stays[row])))
            place.loitered[rows[long]] = True
            place.loiters += int(long.sum())
        outside = rows[place.side[rows] < 0]
        place.visit[outside], place.loitered[outside] = 0.0, False
        return events


def _count(
    place: _Place,
    kind: Literal["line", "zone"],
    name: str,
    tracks: Tracks,
    side: NDArray[np.int8],
    stays: NDArray[np.float64] | None = None,
) -> list[CountEvent]:
    """Add one crossing for each of ``tracks`` to ``place`` and return the events.

    Args:
        place: the line or zone.
        kind: line or zone.
        name: its name.
        tracks: the tracks that cross.
        side: ``(M,)`` the side they cross to.
        stays: ``(M,)`` seconds inside a zone before; only for exits.
    """
    directions: tuple[Direction, Direction] = ("to_right", "to_left") if kind == "line" else ("entry", "exit")
    events = []
    for row, (track_id, class_id, sign) in enumerate(
        zip(tracks.ids.tolist(), tracks.class_id.tolist(), side.tolist(), strict=True)
    ):
        index = 0 if sign > 0 else 1
        place.flows.setdefault(class_id, [0, 0])[index] += 1
        stay = float(stays[row]) if stays is not None and index else None
        events.append(CountEvent(kind, name, directions[index], track_id, class_id, stay))
    return events


def _inside(
    points: NDArray[np.float64], polygon: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Test points against a polygon.

    Args:
        points: ``(M, 2)``.
        polygon: ``(C, 2)``.

    Returns:
        ``(M,)`` bool: inside by the even-odd rule; ``(M,)`` distance to the nearest edge, pixels.
    """
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
