"""What a run of ``deepsort-track`` says about itself: frames, ids, speed of each stage, counts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from deepsort_paddle.counting import Counts
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.pipeline import TrackedFrame

__all__ = ["Finished", "Progress", "counted", "summary"]


@dataclass(frozen=True, slots=True)
class Finished:
    """How tracking one source ended.

    Attributes:
        code: the exit code: 0, or 128 and the number of the signal that stopped it.
        frames: how many were tracked.
        ids: how many were reported.
        broken: frames that could not be read.
        counts: of lines and zones; None without any.
    """

    code: int
    frames: int
    ids: int
    broken: int
    counts: Counts | None = None


@dataclass
class Progress:
    """Counts what the summary says."""

    frames: int = 0
    ids: set[int] = field(default_factory=set)
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("read", "detect", "encode", "track", "write"), 0.0)
    )
    began: float = field(default_factory=time.perf_counter)

    def add(self, tracked: TrackedFrame, write: float) -> None:
        """Take in one frame and the seconds its outputs took."""
        self.frames += 1
        self.ids.update(tracked.tracks.ids.tolist())
        for stage in ("read", "detect", "encode", "track"):
            self.seconds[stage] += getattr(tracked.seconds, stage)
        self.seconds["write"] += write

    def rates(self) -> dict[str, float]:
        """Frames a second of each stage that took any time."""
        return {
            stage: self.frames / seconds
            for stage, seconds in self.seconds.items()
            if seconds > 1e-6 * self.frames
        }

    @property
    def fps(self) -> float:
        """Frames a second over all."""
        return self.frames / max(time.perf_counter() - self.began, 1e-9)


def summary(progress: Progress, source: FrameSource) -> str:
    """Frames, tracks, and how fast each stage was, in one line."""
    rates = ", ".join(f"{stage} {rate:.1f}" for stage, rate in progress.rates().items())
    return (
        f"{progress.frames} frames, {len(progress.ids)} tracks, {source.broken} broken frames; "
        f"{progress.fps:.1f} fps ({rates})"
        + (f"; reconnected {source.reconnects} times" if source.reconnects else "")
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
