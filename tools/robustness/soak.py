"""Track hours of video in one run at full speed: memory must be constant, ids unique, outputs complete.

    python tools/robustness/soak.py video.mp4 --detections det.txt --minutes 120
    python tools/robustness/soak.py video.mp4 --detections det.txt --minutes 9 --reid osnet_ain_x0_5 --paint

The video is repeated as one endless source for one tracker, like a camera, with text, CSV and JSON outputs;
``--paint`` adds an annotated video, ``--report`` the page. Memory is read a hundred times; its growth is the
slope of a line through the readings after the first fifth, in which galleries fill. With glibc, allocated
memory is distinguished from free memory between allocations; with ``PYTHONMALLOC=malloc`` this includes
Python's objects. ``--readings`` saves all readings.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import DeepSort
from deepsort_paddle.detection.detector import make_detector
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import TrackWriter, read_tracks
from deepsort_paddle.output.html_report import HtmlReport
from deepsort_paddle.output.writers import CsvWriter, JsonWriter, TrackPainter
from deepsort_paddle.pipeline.stages import skip_broken, track_frames

MAX_AGE = 70


def resident() -> float:
    """Return the megabytes of this process in memory; the peak if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class _MallInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``, summed over all arenas."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


def allocated() -> tuple[float, float]:
    """Return the megabytes that are allocated and that glibc keeps free; NaN on other systems."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, TypeError):
        return float("nan"), float("nan")
    ask.restype = _MallInfo
    info = ask()
    return (info.uordblks + info.hblkhd) / 1e6, info.fordblks / 1e6


def slope(readings: NDArray[np.float64], column: int) -> float:
    """Return the growth in megabytes per hour of video, by a line through all readings."""
    if len(readings) < 3:
        return float("nan")
    return float(np.polyfit(readings[:, 0], readings[:, column], 1)[0])


def endless(path: Path, count: int, lengths: list[int]) -> Iterator[Frame]:
    """Yield ``count`` frames of a repeated video; append the length of each round to ``lengths``."""
    number = 0
    while number < count:
        with open_source(path) as source:
            first = number
            for frame in source:
                number += 1
                yield replace(frame, number=number, timestamp=None)
                if number == count:
                    break
            lengths.append(number - first)


def main() -> int:
    """Run and print the figures; return 1 if something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--detections", type=Path, required=True, help="of the video, MOTChallenge text")
    parser.add_argument("--reid", type=Path, help="appearance model [motion only]")
    parser.add_argument("--minutes", type=float, default=120.0, help="of video [%(default)s]")
    parser.add_argument("--paint", action="store_true", help="write an annotated video too")
    parser.add_argument("--report", action="store_true", help="write the page of --report too")
    parser.add_argument("--readings", type=Path, metavar="FILE.csv", help="write every reading of memory")
    options = parser.parse_args()
    find = make_detector(options.detections)
    encode = None
    if options.reid is not None:
        from deepsort_paddle import AppearanceEncoder

        encode = AppearanceEncoder(options.reid, threads=1)
    with open_source(options.video) as source:
        fps, height, width = source.fps or 25.0, source.height or 1, source.width or 1
    total = max(1, round(60 * options.minutes * fps))
    rounds: list[int] = []
    tracker = DeepSort(max_age=MAX_AGE, iou_max_age=15)

    def detect(number: int, image: object) -> object:
        return find(number - sum(rounds), None)

    began = time.monotonic()
    readings: list[tuple[float, float, float, float]] = []
    count = rows = 0
    last_seen: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        text = stack.enter_context(TrackWriter(folder / "o.txt"))
        table = stack.enter_context(CsvWriter(folder / "o.csv"))
        document = stack.enter_context(JsonWriter(folder / "o.json", {}, lambda: {"frames": count}))
        painter = TrackPainter(height, width)
        film = stack.enter_context(VideoWriter(folder / "o.mp4", fps=fps)) if options.paint else None
        page = stack.enter_context(HtmlReport(folder / "o.html", {"fps": fps})) if options.report else None
        frames = endless(options.video, total, rounds)
        for tracked in track_frames(frames, skip_broken(detect), encode, tracker):
            text.write(tracked.frame.number, tracked.tracks)
            table.write(tracked)
            document.write(tracked)
            if film is not None:
                film.write(painter.paint(tracked))
            if page is not None:
                page.write(tracked)
            ids = tracked.tracks.ids.tolist()
            if len(set(ids)) != len(ids):
                raise AssertionError(f"frame {tracked.frame.number} has an id twice")
            count, rows = count + 1, rows + len(ids)
            if any(count - last_seen.get(one, count) > MAX_AGE for one in ids):
                raise AssertionError(f"frame {count} gives an id anew")
            last_seen.update(dict.fromkeys(ids, count))
            if count % max(1, total // 100) == 0:
                readings.append((count / fps / 3600, resident(), *allocated()))
        stack.close()
        took, cpu = time.monotonic() - began, time.process_time()
        complete = count == total and len(read_tracks(folder / "o.txt")) == rows
        complete &= sum(1 for _ in (folder / "o.csv").open()) == rows + 1
        if film is not None:
            with open_source(folder / "o.mp4") as source:
                complete &= sum(frame.image is not None for frame in source) == count
    if options.readings is not None:
        with options.readings.open("w", newline="") as file:
            csv.writer(file).writerows([("hours", "resident", "allocated", "free"), *readings])
    late = np.array(readings[len(readings) // 5 :]).reshape(-1, 4)
    halves = [late[: len(late) // 2], late[len(late) // 2 :]]
    print(
        f"{count / fps / 60:.1f} minutes of video, {count} frames in {len(rounds)} rounds, "
        f"{len(last_seen)} ids, {rows} rows; {took / 60:.1f} minutes, "
        f"{1000 * cpu / count:.1f} CPU ms a frame; outputs {'complete' if complete else 'INCOMPLETE'}"
    )
    for column, name in enumerate(("resident", "allocated", "free in the allocator"), start=1):
        parts = ", ".join(f"{slope(half, column):+.1f}" for half in halves)
        values = late[:, column]
        print(
            f"{name}: {values[0]:.1f} to {values[-1]:.1f} MB, {values.min():.1f} to {values.max():.1f}, "
            f"slope {slope(late, column):+.1f} MB an hour of video ({parts} by half)"
        )
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
