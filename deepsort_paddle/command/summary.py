"""The summary that ``deepsort-track`` prints: frames, tracks, speed of each stage, counts."""

from __future__ import annotations

from collections.abc import Mapping

from deepsort_paddle.command.result import RunResult, rates
from deepsort_paddle.counting.intervals import PlaceCounts
from deepsort_paddle.counting.places import Counts
from deepsort_paddle.people.head_count import people_words
from deepsort_paddle.wall_clock import WallClock, interval_words

__all__ = ["counted", "summary"]


def summary(result: RunResult) -> str:
    """Return frames, tracks and the speed of each stage as one line."""
    speed = ", ".join(f"{stage} {rate:.1f}" for stage, rate in rates(result.frames, result.seconds).items())
    people = "" if result.people is None else f", {people_words(result.people, result.people_interval)}"
    return (
        f"{result.frames} frames, {len(result.ids)} tracks{people}, {result.broken_frames} broken frames; "
        f"{result.fps:.1f} fps ({speed})"
        + _live(result)
        + (f"; reconnected {result.reconnects} times" if result.reconnects else "")
    )


def _live(result: RunResult) -> str:
    """Return skipped frames and lag of a live source; empty for other sources."""
    if result.lag is None or result.max_lag is None:
        return ""
    return (
        f"; {result.skipped_frames} frames skipped, {result.lag:.2f} s late, at most {result.max_lag:.2f} s"
    )


def counted(counts: Counts, start_time: str | None = None) -> str:
    """What each line and zone counted, a line each, then a line for each interval.

    Args:
        counts: of a run.
        start_time: date and time of timestamp 0; None when unknown.
    """
    lines = []
    for line in counts.lines:
        right, left = line.line.directions if line.line.is_named else ("to the right", "to the left")
        people = "" if line.people is None else _people(line.people)
        lines.append(f"{line.line.name}: {line.to_right} {right}, {line.to_left} {left}{people}")
    for zone in counts.zones:
        loiters = "" if zone.loiters is None else f", {zone.loiters} loitered"
        people = "" if zone.people is None else _people(zone.people)
        lines.append(
            f"{zone.zone.name}: {zone.entries} in, {zone.exits} out, {zone.occupancy} inside, "
            f"at most {zone.peak}{loiters}{people}"
        )
    clock = None if start_time is None else WallClock.parse(start_time)
    for interval in counts.intervals:
        places = "; ".join(map(_place, interval.places))
        lines.append(f"{interval_words(clock, interval.start, interval.end)}: {places}")
    return "\n".join(lines)


def _people(people: Mapping[str, int]) -> str:
    """How many different people went each way."""
    return f"; {' and '.join(str(count) for count in people.values())} different people"


def _place(place: PlaceCounts) -> str:
    """What a line or zone counted in an interval."""
    words = {"entry": "in", "exit": "out", "loiter": "loitered"}
    words |= {"to_right": "to the right", "to_left": "to the left"}
    flows = ", ".join(f"{count} {words.get(name, name)}" for name, count in place.counts.items())
    peak = "" if place.peak_inside is None else f", at most {place.peak_inside}"
    return f"{place.name} {flows}{peak}"
