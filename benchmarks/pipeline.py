"""Frames a second from a video file to an annotated video and text, and where the time goes.

Each way is a whole run: decode, detect, encode, track, draw, write. The ways take turns, so that a busy
machine slows all; the figures are medians over the rounds. The parts are wall-clock time; their sum over the
whole is 1 where they run one after the other, and above it where they overlap.

    python benchmarks/pipeline.py --weights weights/resnet50vd
    python benchmarks/pipeline.py --weights weights/resnet50vd --video vtest.avi --detector yolox_nano.onnx

Without --video the scene is made up: coloured people on a noisy 1920 x 1080 frame, with known boxes.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tracker_core import crowd

from deepsort_paddle import AppearanceEncoder, DeepSort, Detections, VideoWriter, make_detector, open_source
from deepsort_paddle.frames import Frame
from deepsort_paddle.mot import TrackWriter
from deepsort_paddle.outputs import TrackPainter
from deepsort_paddle.pipeline import Detect, skip_broken, track_frames

HEIGHT, WIDTH = 1080, 1920
PARTS = ("read", "detect", "encode", "track", "draw", "write")


@dataclass
class Way:
    """One way to run, and what its runs took."""

    name: str
    encoder: AppearanceEncoder | None
    read_ahead: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)


def make_scene(people: int, frames: int, path: Path) -> Detect:
    """Write a video of a crowd; returns a detector that knows it."""
    rng = np.random.default_rng(0)
    ground = rng.integers(90, 140, (HEIGHT, WIDTH, 3), np.uint8)
    coats = rng.integers(0, 256, (people, 6, 3, 3), np.uint8)
    known: list[Detections] = []
    with VideoWriter(path, fps=25) as writer:
        for found in islice(crowd(people, 1), frames):
            boxes = np.clip(found.boxes, 0, [WIDTH, HEIGHT] * 2)
            boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= 8).all(axis=1)]
            known.append(Detections.of(boxes))
            image = ground.copy()
            for person, (left, top, right, bottom) in enumerate(boxes.astype(int).tolist()):
                coat = coats[person % people].repeat(-(-(bottom - top) // 6), 0)[: bottom - top]
                image[top:bottom, left:right] = coat.repeat(-(-(right - left) // 3), 1)[:, : right - left]
            writer.write(image)
    return lambda number, _: known[number - 1]


def run_once(way: Way, video: Path, frames: int, detect: Detect, folder: Path) -> None:
    """Track the first ``frames`` frames and add what it took to ``way``."""
    parts = dict.fromkeys(PARTS, 0.0)
    tracker = DeepSort(max_age=30, iou_max_age=1 if way.encoder else 15)
    start, cpu = time.perf_counter(), time.process_time()
    with (
        open_source(video) as source,
        TrackWriter(folder / "tracks.txt") as text,
        VideoWriter(folder / "tracked.mp4", fps=25) as out,
    ):
        parts["read"] += time.perf_counter() - start
        painter = TrackPainter(source.height or 1, source.width or 1)
        first: Iterator[Frame] = islice(source, frames)
        results = track_frames(first, skip_broken(detect), way.encoder, tracker, read_ahead=way.read_ahead)
        with closing(results):
            for tracked in results:
                for part in PARTS[:4]:
                    parts[part] += getattr(tracked.seconds, part)
                began = time.perf_counter()
                image: NDArray[np.uint8] = painter.paint(tracked)
                drawn = time.perf_counter()
                text.write(tracked.frame.number, tracked.tracks)
                out.write(image, tracked.frame.timestamp)
                parts["draw"] += drawn - began
                parts["write"] += time.perf_counter() - drawn
        ended = time.perf_counter()
    parts["write"] += time.perf_counter() - ended
    way.wall.append(time.perf_counter() - start)
    way.cpu.append(time.process_time() - cpu)
    way.parts.append(parts)


def compare(name: str, ways: list[Way], video: Path, frames: int, detect: Detect, rounds: int) -> None:
    """Print a row for each way."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for way in ways:
                run_once(way, video, frames, detect, Path(folder))
    for way in ways:
        wall, cpu = float(np.median(way.wall)), float(np.median(way.cpu))
        cells = " | ".join(
            f"{1e3 * float(np.median([parts[part] for parts in way.parts])) / frames:.1f}" for part in PARTS
        )
        whole = sum(float(np.median([parts[part] for parts in way.parts])) for part in PARTS)
        speed = f"{frames / wall:.1f} | {1e3 * cpu / frames:.0f}"
        print(f"| {name} | {way.name} | {speed} | {cells} | {whole / wall:.2f} |", flush=True)


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", help="an encoder's folder [motion only]")
    parser.add_argument("--backends", nargs="+", default=["auto"], help="libraries that run it")
    parser.add_argument("--video", type=Path, help="instead of the crowd")
    parser.add_argument("--detector", default="hog", help="for --video, as deepsort-track --detector")
    parser.add_argument("--people", type=int, nargs="+", default=[10, 50, 100])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()

    def ways() -> list[Way]:
        encoders = {"": None} if options.weights is None else {}
        for backend in options.backends if options.weights else ():
            encoders[f"{backend}, "] = AppearanceEncoder(
                options.weights, device="cpu", threads=options.threads, backend=backend
            )
        return [
            Way(f"{library}{'side by side' if ahead else 'one after the other'}", encoder, ahead)
            for library, encoder in encoders.items()
            for ahead in (0, 2)
        ]

    print(f"{platform.machine()}, Python {platform.python_version()}, {options.threads} threads a network")
    print(f"| scene | way | fps | CPU ms a frame | {' ms | '.join(PARTS)} ms | parts / whole |")
    print("|---" * (5 + len(PARTS)) + "|", flush=True)
    if options.video is not None:
        detect = make_detector(options.detector, device="cpu", threads=options.threads)
        compare(options.video.name, ways(), options.video, options.frames, detect, options.rounds)
        return
    for people in options.people:
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "crowd.mp4"
            known = make_scene(people, options.frames, video)
            compare(f"{people} people, 1080p", ways(), video, options.frames, known, options.rounds)


if __name__ == "__main__":
    main()
