"""What a run of ``deepsort-track`` says about itself: frames, ids, speed of each stage, counts."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.counting.counter import Counts
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.output.draw_counts import shown_name
from deepsort_paddle.pipeline.stages import TrackedFrame

__all__ = ["Finished", "Progress", "box_doubts", "counted", "option_doubts", "summary"]

# Boxes of people at the edge reach beyond it, by less or in smaller numbers.
_BEYOND, _MANY_BEYOND = 1.1, 0.25


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


def option_doubts(options: argparse.Namespace, source: FrameSource) -> list[str]:
    """What the options, outputs chosen, ask for and this source can't give."""
    doubts = []
    if options.fps is not None and not Path(options.source).is_dir():
        rate = "" if source.fps is None else f" {source.fps:g}"
        doubts.append(f"--fps is for folders of pictures: {source.name} keeps its own rate{rate}")
    size = (source.width, source.height)
    shapes = [("line", line.name, (line.start, line.end)) for line in options.lines]
    shapes += [("zone", zone.name, zone.polygon) for zone in options.zones]
    for kind, name, points in shapes if all(size) else ():
        corners = np.array(points, float)
        if (corners < 0).all(axis=0).any() or (corners > np.array(size, float)).all(axis=0).any():
            doubts.append(f"{kind} {name!r} lies outside the picture of {size[0]} x {size[1]} pixels")
    numbered = [("line", line.name, number) for number, line in enumerate(options.lines, 1)]
    numbered += [("zone", zone.name, number) for number, zone in enumerate(options.zones, 1)]
    if options.save_video or options.show:
        for kind, name, number in numbered:
            if (shown := shown_name(name, number)) != name:
                doubts.append(f"{kind} {name!r} shows as {shown} on the video, which has ASCII letters only")
    return doubts


def box_doubts(boxes: NDArray[np.float64], least: float, width: int | None, height: int | None) -> list[str]:
    """What looks wrong about the boxes of a detection file.

    Args:
        boxes: ``(N, 4)`` those that reach the threshold.
        least: the threshold.
        width: of the picture; None when unknown.
        height: likewise.
    """
    if not len(boxes):
        return [f"no detection reaches the threshold of {least:g} (--min-confidence)"]
    wanted = "left, top, width, height in pixels are wanted"
    if boxes.max() <= 1:
        return [f"all detections lie in the picture's first pixel: {wanted}, not parts of the picture"]
    if not (width and height):
        return []
    outside = int((boxes[:, 2:] > _BEYOND * np.array([width, height])).any(axis=1).sum())
    if outside <= _MANY_BEYOND * len(boxes):
        return []
    return [
        f"{outside} of {len(boxes)} detections reach far beyond the picture of {width} x {height}: {wanted}, "
        "not two corners, and of a picture of this size"
    ]


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
