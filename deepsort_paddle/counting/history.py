"""The course of a count: events with their times, counts of each interval, and people counted once.

A `TrackCounter` counts tracks. `CountHistory` keeps which track crossed when, so that the same crossings can
be counted for each interval of time, and by person once it is known which tracks are one person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from deepsort_paddle.counting.counter import TrackCounter
from deepsort_paddle.counting.intervals import IntervalCounts, PlaceCounts
from deepsort_paddle.counting.places import CountEvent, Counts, Direction
from deepsort_paddle.structures import Tracks

__all__ = ["CountHistory"]

_ZONE: tuple[Direction, ...] = ("entry", "exit", "loiter")


@dataclass(slots=True)
class _Span:
    """What happened in one interval.

    Attributes:
        start: seconds of its first frame, or of its begin.
        end: seconds of its last frame.
        crossed: tracks by place and direction, one for each event.
        seconds: of it that were seen.
        inside: of each zone, tracks times seconds.
        peak: of each zone, the most at once.
    """

    start: float
    end: float
    seconds: float = 0.0
    crossed: dict[tuple[str, Direction], list[int]] = field(default_factory=dict)
    inside: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)


class CountHistory:
    """Counts with a `TrackCounter`, and remembers what happened when.

    Attributes:
        counter: the counter; `update` here calls its ``update``.
        latest: the events of the latest frame.
        every: length of an interval in seconds; None: the whole run is one.

    Example:
        >>> from deepsort_paddle import DeepSort, Detections, Line
        >>> history = CountHistory(TrackCounter([Line.parse("door:100,0,100,200:in/out")]), every=60)
        >>> tracker = DeepSort(n_init=1)
        >>> for second, x in enumerate(range(40, 160, 10)):
        ...     events = history.update(tracker.update(Detections.of([[x, 50, x + 30, 150]])), 10.0 * second)
        >>> [interval.places[0].counts for interval in history.counts().intervals]
        [{'in': 0, 'out': 0}, {'in': 0, 'out': 1}]
    """

    def __init__(
        self,
        counter: TrackCounter,
        *,
        every: float | None = None,
        phase: Callable[[], float] = float,
    ) -> None:
        """Start with nothing.

        Args:
            counter: counts.
            every: length of an interval in seconds; None: the whole run is one.
            phase: seconds from the begin of an interval to timestamp 0; asked at the first frame, as the
                wall clock of a live source is known then.

        Raises:
            ValueError: ``every`` is not positive.
        """
        if every is not None and not 0 < every < float("inf"):
            raise ValueError(f"every must be positive, got {every}")
        self.counter = counter
        self.latest: tuple[CountEvent, ...] = ()
        self.every, self._phase_of = every, phase
        self._phase = 0.0
        self._spans: dict[int, _Span] = {}
        self._now: float | None = None
        self._inside: dict[str, int] = {}  # since the latest frame

    def update(self, tracks: Tracks, timestamp: float | None = None) -> tuple[CountEvent, ...]:
        """Count the tracks of one frame; see `TrackCounter.update`."""
        self.latest = self.counter.update(tracks, timestamp)
        now = self.counter.seconds
        if self._now is None:
            self._phase = self._phase_of()
            self._now = now
        span = self._span(now)
        span.end = now
        self._stay(span, now)
        for event in self.latest:
            span.crossed.setdefault((event.name, event.direction), []).append(event.track_id)
        self._inside = self.counter.occupancy()
        for name, inside in self._inside.items():
            span.peak[name] = max(span.peak.get(name, 0), inside)
        return self.latest

    def _stay(self, span: _Span, until: float) -> None:
        """Whoever was inside in the latest frame stays until this time of an interval."""
        assert self._now is not None
        step = max(until - self._now, 0.0)
        span.seconds += step
        for name, inside in self._inside.items():
            span.inside[name] = span.inside.get(name, 0.0) + inside * step
        self._now = max(self._now, until)

    def counts(self, persons: Mapping[int, int] | None = None) -> Counts:
        """Return the counts so far.

        Args:
            persons: person of each track; None: nobody knows who is who.
        """
        counts = self.counter.counts()
        if persons is not None:
            people = {place.name: place.people for place in self._places([*self._spans.values()], persons)}
            lines = tuple(replace(line, people=people[line.line.name]) for line in counts.lines)
            zones = tuple(replace(zone, people=people[zone.zone.name]) for zone in counts.zones)
            counts = replace(counts, lines=lines, zones=zones)
        return counts if self.every is None else replace(counts, intervals=self.intervals(persons))

    def intervals(self, persons: Mapping[int, int] | None = None) -> tuple[IntervalCounts, ...]:
        """Return the counts of each interval that was seen; without ``every`` the whole run is one.

        Args:
            persons: person of each track; None: nobody knows who is who.
        """
        return tuple(
            IntervalCounts(span.start, span.end, self._places([span], persons))
            for _, span in sorted(self._spans.items())
        )

    def direction_name(self, event: CountEvent) -> str:
        """Return the name that the event's line gives to its direction."""
        for line in self.counter.lines if event.kind == "line" else ():
            if line.name == event.name:
                return line.directions[0 if event.direction == "to_right" else 1]
        return event.direction

    def _span(self, now: float) -> _Span:
        """The interval of a time; the one before it ends where it begins."""
        every = self.every
        number = 0 if every is None else int((now + self._phase) // every)
        if number not in self._spans:
            start = now
            if self._spans and every is not None:
                start = number * every - self._phase
                before = self._spans[max(self._spans)]
                before.end = (max(self._spans) + 1) * every - self._phase
                self._stay(before, before.end)
                self._now = max(start, before.end)  # nobody saw the intervals between
            self._spans[number] = _Span(start, now, peak=dict(self._inside))
        return self._spans[number]

    def _places(self, spans: list[_Span], persons: Mapping[int, int] | None) -> tuple[PlaceCounts, ...]:
        """The counts of all lines and zones in some intervals together."""
        named: list[tuple[Literal["line", "zone"], str, dict[str, Direction]]] = []
        for line in self.counter.lines:
            right, left = line.directions
            named.append(("line", line.name, {right: "to_right", left: "to_left"}))
        kinds = _ZONE if self.counter.loiter is not None else _ZONE[:2]
        named += [("zone", zone.name, {kind: kind for kind in kinds}) for zone in self.counter.zones]
        found = []
        for kind, name, directions in named:
            crossed = {
                word: [track for span in spans for track in span.crossed.get((name, direction), ())]
                for word, direction in directions.items()
            }
            people = None
            if persons is not None:
                people = {
                    word: len({persons.get(track, track) for track in tracks})
                    for word, tracks in crossed.items()
                }
            place = PlaceCounts(kind, name, {word: len(ids) for word, ids in crossed.items()}, people)
            if kind == "zone":
                seconds = sum(span.seconds for span in spans)
                inside = sum(span.inside.get(name, 0.0) for span in spans)
                peak = max((span.peak.get(name, 0) for span in spans), default=0)
                place = replace(
                    place, mean_inside=inside / seconds if seconds > 0 else float(peak), peak_inside=peak
                )
            found.append(place)
        return tuple(found)
