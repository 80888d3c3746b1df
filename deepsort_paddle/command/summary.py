"""What ``deepsort-track`` prints about a run: frames, tracks, speed of each stage, counts."""

from __future__ import annotations

from deepsort_paddle.command.result import RunResult, rates
from deepsort_paddle.counting.counter import Counts

__all__ = ["counted", "summary"]


def summary(result: RunResult) -> str:
    """Frames, tracks, and how fast each stage was, in one line."""
    speed = ", ".join(f"{stage} {rate:.1f}" for stage, rate in rates(result.frames, result.seconds).items())
    people = "" if result.people is None else f", {result.people} people"
    return (
        f"{result.frames} frames, {len(result.ids)} tracks{people}, {result.broken_frames} broken frames; "
        f"{result.fps:.1f} fps ({speed})"
        + _live(result)
        + (f"; reconnected {result.reconnects} times" if result.reconnects else "")
    )


def _live(result: RunResult) -> str:
    """How a live source was followed; empty for others."""
    if result.lag is None or result.max_lag is None:
        return ""
    return (
        f"; {result.skipped_frames} frames skipped, {result.lag:.2f} s late, at most {result.max_lag:.2f} s"
    )


def counted(counts: Counts) -> str:
    """What each line and zone counted, a line each."""
    lines = [
        f"{line.line.name}: {line.to_right} to the right, {line.to_left} to the left" for line in counts.lines
    ]
    zones = [
        f"{zone.zone.name}: {zone.entries} in, {zone.exits} out, {zone.occupancy} inside, at most {zone.peak}"
        for zone in counts.zones
    ]
    return "\n".join([*lines, *zones])
