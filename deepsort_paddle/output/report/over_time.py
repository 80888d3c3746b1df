"""Counts over time, as charts and a table: people in view, crossings of lines, visits of zones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepsort_paddle.counting.places import Counts, LineCount, ZoneCount
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.report.page_clock import PageClock
from deepsort_paddle.output.report.track_path import TrackPath

__all__ = ["PageEvent", "count_section", "direction_words", "split_time"]

_MOST_INTERVALS = 30
_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_WORDS = {"to_right": "to the right", "to_left": "to the left"}

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PageEvent:
    """A crossing, entry, exit or loiterer.

    Attributes:
        seconds: of the page's video.
        frame: number of the frame.
        name: of the line or zone.
        direction: as results name it, such as ``to_right``, ``in`` or ``entry``.
        track: id of the track.
        stay: seconds of the visit; None where that means nothing.
    """

    seconds: float
    frame: int
    name: str
    direction: str
    track: int
    stay: float | None = None


@dataclass(frozen=True, slots=True)
class _Series:
    """How often something happened, in all and in each interval."""

    name: str
    total: int
    people: int | None = None
    values: list[int] = field(default_factory=list)
    persons: list[int] = field(default_factory=list)


def direction_words(direction: str) -> str:
    """A direction as the page names it."""
    return _WORDS.get(direction, direction)


def split_time(duration: float, every: float | None, phase: float = 0.0) -> list[Interval]:
    """The intervals of a video.

    Args:
        duration: of the video, seconds.
        every: length of an interval, seconds; None: a round length that gives at most 30.
        phase: seconds from the begin of an interval to the begin of the video.

    Returns:
        begin and end of each in seconds of the video; the first and the last one may be shorter.

    Example:
        >>> split_time(50.0, 30.0, phase=10.0)
        [(0.0, 20.0), (20.0, 50.0)]
    """
    if every is None:
        wanted = duration / _MOST_INTERVALS
        every = next((float(step) for step in _NICE if step >= wanted), wanted)
    first, last = int(phase // every), int(np.ceil((duration + phase) / every))
    edges = [min(max(number * every - phase, 0.0), duration) for number in range(first, last + 1)]
    return [(start, end) for start, end in itertools.pairwise(edges) if end > start]


def count_section(
    paths: Mapping[int, TrackPath],
    persons: Persons | None,
    counts: Counts,
    events: Sequence[PageEvent],
    intervals: Sequence[Interval],
    clock: PageClock,
) -> dict[str, Any]:
    """What the template shows of the counts.

    Args:
        paths: by track id.
        persons: who is who; None when unknown.
        counts: of the whole run.
        events: in order.
        intervals: to count in.
        clock: writes times.

    Returns:
        ``charts``, each with its name, series, remark and bars; ``header`` and ``rows`` of a table of all
        intervals.
    """
    seen, at_once = _in_view(paths, persons, intervals)
    word = "tracks" if persons is None else "people"
    total = len(paths) if persons is None else len({persons.of(track) for track in paths})
    series = [_Series(word, total, None, seen)]
    remark = f"{max(at_once, default=0)} at most at once"
    charts = [_chart(f"{word.capitalize()} in view", series, remark, intervals, clock)]
    header, columns = ["Time", word.capitalize(), "At once"], [seen, at_once]
    places: list[LineCount | ZoneCount] = [*counts.lines, *counts.zones]
    for place in places:
        name, found, remark = _place(place, events, intervals, persons)
        charts.append(_chart(name, found, remark, intervals, clock))
        for one in found:
            header.append(f"{name}: {one.name}")
            columns.append(one.values)
            if persons is not None:
                header.append(f"{name}: {one.name}, people")
                columns.append(one.persons)
    rows = [
        {"at": f"{start:.3f}", "time": clock.span(start, end), "values": values}
        for (start, end), *values in zip(intervals, *columns, strict=True)
    ]
    return {"charts": charts, "header": header, "rows": rows}


def _place(
    place: LineCount | ZoneCount,
    events: Sequence[PageEvent],
    intervals: Sequence[Interval],
    persons: Persons | None,
) -> tuple[str, list[_Series], str]:
    """Name, series and remark of a line or zone."""
    people = place.people or {}
    if isinstance(place, LineCount):
        name, remark = place.line.name, ""
        totals = dict(zip(place.line.directions, (place.to_right, place.to_left), strict=True))
    else:
        name, totals = place.zone.name, {"entry": place.entries, "exit": place.exits}
        remark = f"{place.occupancy} inside at the end, {place.peak} at most"
        if place.dwell:
            remark += f", mean stay {sum(place.dwell.values()) / len(place.dwell):.1f} s"
        if place.loiters is not None:
            totals["loiter"] = place.loiters
    found = []
    starts = np.array([start for start, _ in intervals])
    for direction, total in totals.items():
        own = [event for event in events if event.name == name and event.direction == direction]
        rows = np.searchsorted(starts, [event.seconds for event in own], side="right") - 1
        values = np.bincount(rows, minlength=len(starts)).tolist() if own else [0] * len(starts)
        who: list[set[int]] = [set() for _ in starts]
        for row, event in zip(rows.tolist(), own, strict=True):
            who[row].add(event.track if persons is None else persons.of(event.track))
        count = people.get(direction)
        found.append(_Series(direction_words(direction), total, count, values, list(map(len, who))))
    return name, found, remark


def _in_view(
    paths: Mapping[int, TrackPath], persons: Persons | None, intervals: Sequence[Interval]
) -> tuple[list[int], list[int]]:
    """How many different people were seen in each interval, and the most at once."""
    who: list[set[int]] = [set() for _ in intervals]
    starts = [start for start, _ in intervals]
    changes: list[tuple[float, int]] = []
    for track, path in paths.items():
        person = track if persons is None else persons.of(track)
        for run, end in zip(path.runs, path.run_ends, strict=True):
            first, last = np.searchsorted(starts, [run[0], end], side="right").tolist()
            for row in range(max(first - 1, 0), last):
                who[row].add(person)
            # An end comes after a begin at the same time; begins are rounded to milliseconds.
            changes += [(run[0], -1), (max(run[0], round(end, 3)), 1)]
    peaks = [0] * len(intervals)
    inside = row = 0
    for seconds, change in sorted(changes):
        while row + 1 < len(starts) and starts[row + 1] <= seconds:
            row += 1
            peaks[row] = inside
        inside -= change
        if peaks:
            peaks[row] = max(peaks[row], inside)
    return list(map(len, who)), peaks


def _chart(
    name: str, series: list[_Series], remark: str, intervals: Sequence[Interval], clock: PageClock
) -> dict[str, Any]:
    """A chart of one or two series: the first one's bars point up, the second one's down."""
    up, down = series[0], series[1] if len(series) > 1 else None
    most = max([1, *up.values, *(down.values if down else ())])
    whole = max(clock.duration, 1e-9)
    bars = []
    for row, (start, end) in enumerate(intervals):
        words = ", ".join(f"{one.name}: {one.values[row]}" for one in series)
        bars.append(
            {
                "x": f"{100 * start / whole:.3f}",
                "width": f"{100 * (end - start) / whole:.3f}",
                "at": f"{start:.3f}",
                "title": f"{clock.span(start, end)}, {words}",
                "up": round(100 * up.values[row] / most, 1),
                "down": round(100 * down.values[row] / most, 1) if down else 0,
            }
        )
    return {
        "name": name,
        "series": series,
        "remark": remark,
        "bars": bars,
        "most": most,
        "two": down is not None,
    }
