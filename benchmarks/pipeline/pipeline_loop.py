"""A whole run as a plain loop, for pipeline.py: one frame after the other through every stage.

What differs between trackers is handed in; reader, drawing and writer are ours for all, so that they cancel
out. Imports nothing that a peer's environment would lack.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import Detections, Tracks, TrackWriter, VideoWriter, open_source
from deepsort_paddle.output.writers import TrackPainter
from deepsort_paddle.pipeline.stages import prepare_detections
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

__all__ = ["PARTS", "Run", "run_loop"]

PARTS = ("read", "detect", "encode", "track", "draw", "write")
# Embeds and tracks one frame: the tracks, and the seconds that the embedder took of it.
Follow = Callable[["NDArray[np.uint8]", Detections], tuple[Tracks, float]]


@dataclass
class Run:
    """What one run took: seconds by the wall, of the CPU, by the wall in each part."""

    wall: float = 0.0
    cpu: float = 0.0
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    crops: int = 0
    encoded: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_loop(
    video: Path,
    frames: int,
    detect: Callable[[int, NDArray[np.uint8]], Detections],
    follow: Follow,
    min_confidence: float,
    folder: Path,
) -> Run:
    """Decode, detect, encode, track, draw and write the first ``frames`` frames, in this order."""
    run = Run()
    start, cpu = time.perf_counter(), time.process_time()
    with (
        open_source(video) as source,
        TrackWriter(folder / "loop.txt") as text,
        VideoWriter(folder / "loop.mp4", fps=25) as out,
    ):
        painter = TrackPainter(source.height or 1, source.width or 1)
        ended = start
        for frame in islice(source, frames):
            assert frame.image is not None
            read = time.perf_counter()
            found = prepare_detections(detect(frame.number, frame.image), min_confidence=min_confidence)
            detected = time.perf_counter()
            tracks, encode = follow(frame.image, found)
            followed = time.perf_counter()
            image = painter.paint(TrackedFrame(frame, found, tracks, StageSeconds(0, 0, 0, 0)))
            drawn = time.perf_counter()
            text.write(frame.number, tracks)
            out.write(image, frame.timestamp)
            written = time.perf_counter()
            track = followed - detected - encode
            spent = (read - ended, detected - read, encode, track, drawn - followed, written - drawn)
            for part, seconds in zip(PARTS, spent, strict=True):
                run.parts[part] += seconds
            run.crops += len(found)
            ended = written
    run.parts["write"] += time.perf_counter() - ended
    run.encoded = run.crops
    run.wall, run.cpu = time.perf_counter() - start, time.process_time() - cpu
    return run
