"""Measure the memory of a long run: a changing crowd is tracked, drawn as trails and written as text.

Resident memory is read after frame 1,000 and then ten times up to the end; it must not grow. Then the memory
that a number of live tracks takes, in a process of its own.

    python benchmarks/tracker/memory.py                      # 100,000 frames, a few minutes
    python benchmarks/tracker/memory.py --frames 10000       # the quick form
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tracker_core import crowd

from deepsort_paddle import DeepSort
from deepsort_paddle.motchallenge.text import TrackWriter
from deepsort_paddle.output.draw import Trails

MIB = 1 << 20
DIMENSION = 128
# Larger growth, as a share of the memory at frame 1,000, is an error; the allocator varies by less.
ALLOWED = 0.05


def resident() -> float:
    """Return the memory of this process in MiB; systems other than Linux only report the peak."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)


def long_run(frames: int, people: int) -> int:
    """Print the memory during the run; return 1 if it grew."""
    tracker, trails = DeepSort(max_age=30), Trails()
    scene = crowd(people, DIMENSION, leave=0.02)
    first = last = 0.0
    seen: set[int] = set()
    marks = {1000, *(frames * part // 10 for part in range(1, 11))}
    print(f"{'frame':>8} {'tracks so far':>14} {'MiB':>8} {'CPU s':>7}")
    with tempfile.TemporaryDirectory() as folder, TrackWriter(Path(folder) / "tracks.txt") as writer:
        for number in range(1, frames + 1):
            tracks = tracker.update(next(scene))
            trails.update(tracks)
            writer.write(number, tracks)
            seen.update(tracks.ids.tolist())
            if number in marks:
                last = resident()
                first = last if number == 1000 else first
                print(f"{number:8d} {len(seen):14d} {last:8.1f} {time.process_time():7.0f}", flush=True)
    print(f"from frame 1,000 to the end: {last - first:+.1f} MiB ({100 * (last / first - 1):+.1f} %)")
    return int(last > first * (1 + ALLOWED))


def live_tracks(count: int) -> None:
    """Print the memory of ``count`` live tracks with full galleries, and the share of the galleries."""
    tracker = DeepSort(max_age=30)
    scene = crowd(count, DIMENSION)
    next(scene)
    before = resident()
    for _ in range(130):
        tracker.update(next(scene))
    galleries = count * tracker.options.gallery_size * DIMENSION * 4 / MIB
    print(f"{count} live tracks: {resident() - before:.1f} MiB, of which embeddings {galleries:.1f} MiB")


def main() -> int:
    """Parse the command line and print the tables; return 1 if memory grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100_000, help="at least 10,000")
    parser.add_argument("--people", type=int, default=10, help="in each frame; one in fifty leaves in each")
    parser.add_argument("--live", type=int, nargs="*", default=[100, 500], metavar="N")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        live_tracks(options.one)
        return 0
    if options.frames < 10_000:
        parser.error(f"--frames must be 10,000 or more, got {options.frames}")
    print(f"{platform.machine()}, Python {platform.python_version()}, {options.people} people")
    grown = long_run(options.frames, options.people)
    for count in options.live:
        subprocess.run([sys.executable, __file__, "--one", str(count)], check=True)
    return grown


if __name__ == "__main__":
    sys.exit(main())
