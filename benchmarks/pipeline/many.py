"""Many videos: one command for each, against one command with worker processes.

    python benchmarks/pipeline/many.py                       # 6 videos of 40 frames, 1080p, 10 people
    python benchmarks/pipeline/many.py --ray                 # also on Ray, where it is installed

Each way is measured from the start of the first process to the end of the last, start-up included, in
turns. CPU seconds are those of all processes; Ray's workers belong to its own server, so theirs are unknown.
The results must be equal to the byte, or the script ends with an error.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pipeline import make_scene

COMMAND = [sys.executable, "-c", "import sys; from deepsort_paddle.cli import track; sys.exit(track())"]


@dataclass
class Way:
    """One way to track all videos."""

    name: str
    together: list[str] | None  # options of the one command; None: a command for each video
    alone: list[str] = field(default_factory=list)
    same: bool = True  # to the byte as the first way
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def run(way: Way, videos: list[Path], more: list[str], out: Path) -> None:
    """Track all videos one way; adds what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    if way.together is not None:
        words = [*map(str, videos), "--detections", str(videos[0].parent), *way.together, *more]
        subprocess.run([*COMMAND, *words, "--save-dir", str(out), "--quiet"], check=True)
    else:
        for video in videos:
            words = [str(video), "--detections", str(video.with_suffix(".txt")), *way.alone, *more]
            subprocess.run([*COMMAND, *words, "--save-dir", str(out), "--quiet"], check=True)
    way.wall.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    way.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Make the videos, track them in every way and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--reid", default=None, help="as deepsort-track --reid [the model that comes along]")
    parser.add_argument("--ray", action="store_true", help="also on Ray")
    options = parser.parse_args()
    more = [] if options.reid is None else ["--reid", options.reid]
    workers = ["--workers", str(options.workers)]
    ways = [
        Way("one command a video, 1 thread", None, ["--threads", "1", "--read-ahead", "0"]),
        Way("one command a video, all cores", None, same=False),
        Way("one command, 1 worker", ["--workers", "1"]),
        Way(f"one command, {options.workers} workers", workers),
    ]
    if options.ray:
        ways.append(Way(f"one command, Ray, {options.workers} tasks", [*workers, "--engine", "ray"]))
    with tempfile.TemporaryDirectory() as folder:
        videos = []
        for number in range(options.videos):
            video = Path(folder) / "videos" / f"v{number}.mp4"
            video.parent.mkdir(exist_ok=True)
            known = make_scene(options.people, options.frames, video)
            rows = [
                f"{frame},-1,{left + 1:.2f},{top + 1:.2f},{right - left:.2f},{bottom - top:.2f},1"
                for frame in range(1, options.frames + 1)
                for left, top, right, bottom in known(frame, None).boxes.tolist()
            ]
            video.with_suffix(".txt").write_text("\n".join(rows))
            videos.append(video)
        for turn in range(options.rounds):
            for row, way in enumerate(ways):
                run(way, videos, more, Path(folder) / f"{turn}_{row}")
                for video in videos:
                    name = f"{video.stem}.txt"
                    first = (Path(folder) / "0_0" / name).read_bytes()
                    assert not way.same or (Path(folder) / f"{turn}_{row}" / name).read_bytes() == first, name
    cores = len(os.sched_getaffinity(0))
    load = " ".join(f"{value:.0f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {load}")
    print(f"{options.videos} videos of {options.frames} frames, {options.people} people, 1080p")
    print("| way | wall s | frames a second | CPU s | wall, one thread = 1 | CPU, one thread = 1 |")
    print("|---|---|---|---|---|---|")
    wall0, cpu0 = float(np.median(ways[0].wall)), float(np.median(ways[0].cpu))
    for way in ways:
        wall, cpu = float(np.median(way.wall)), float(np.median(way.cpu))
        hidden = "ray" in " ".join(way.together or [])
        used = ["-", "-"] if hidden else [f"{cpu:.1f}", f"{cpu / cpu0:.2f}"]
        fps = options.videos * options.frames / wall
        print(f"| {way.name} | {wall:.1f} | {fps:.1f} | {used[0]} | {wall / wall0:.2f} | {used[1]} |")


if __name__ == "__main__":
    main()
