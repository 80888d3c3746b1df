"""Track hours of video in one run, as fast as it goes: memory must stay flat, ids unique, outputs complete.

    python benchmarks/soak.py video.mp4 --detections det.txt --minutes 120
    python benchmarks/soak.py video.mp4 --detections det.txt --minutes 10 --reid weights/osnet_x0_25 --paint

The video is played over and over as one endless source into one tracker, as a camera would be, with text, CSV
and JSON outputs, and with an annotated video where ``--paint`` says so. Memory is read a hundred times;
its growth is the slope of a line through the readings behind the first fifth, in which galleries fill.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from deepsort_paddle import DeepSort
from deepsort_paddle.detector import make_detector
from deepsort_paddle.frames import Frame
from deepsort_paddle.mot import TrackWriter, read_tracks
from deepsort_paddle.outputs import CsvWriter, JsonWriter, TrackPainter
from deepsort_paddle.pipeline import skip_broken, track_frames
from deepsort_paddle.video import open_source
from deepsort_paddle.video_writer import VideoWriter

MAX_AGE = 70


def resident() -> float:
    """Megabytes of this process in memory; the most so far where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def endless(path: Path, count: int, lengths: list[int]) -> Iterator[Frame]:
    """``count`` frames of a video over and over, numbered on; ``lengths`` takes the length of each round."""
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
    """Soak and print the figures; returns 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--detections", type=Path, required=True, help="of the video, MOTChallenge text")
    parser.add_argument("--reid", type=Path, help="appearance model [motion only]")
    parser.add_argument("--minutes", type=float, default=120.0, help="of video [%(default)s]")
    parser.add_argument("--paint", action="store_true", help="write an annotated video too")
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
    readings: list[tuple[float, float]] = []
    count = rows = 0
    last_seen: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        text = stack.enter_context(TrackWriter(folder / "o.txt"))
        table = stack.enter_context(CsvWriter(folder / "o.csv"))
        document = stack.enter_context(JsonWriter(folder / "o.json", {}, lambda: {"frames": count}))
        painter = TrackPainter(height, width)
        film = stack.enter_context(VideoWriter(folder / "o.mp4", fps=fps)) if options.paint else None
        frames = endless(options.video, total, rounds)
        for tracked in track_frames(frames, skip_broken(detect), encode, tracker):
            text.write(tracked.frame.number, tracked.tracks)
            table.write(tracked)
            document.write(tracked)
            if film is not None:
                film.write(painter.paint(tracked))
            ids = tracked.tracks.ids.tolist()
            if len(set(ids)) != len(ids):
                raise AssertionError(f"frame {tracked.frame.number} has an id twice")
            count, rows = count + 1, rows + len(ids)
            if any(count - last_seen.get(one, count) > MAX_AGE for one in ids):
                raise AssertionError(f"frame {count} gives an id anew")
            last_seen.update(dict.fromkeys(ids, count))
            if count % max(1, total // 100) == 0:
                readings.append((count / fps / 3600, resident()))
        stack.close()
        took, cpu = time.monotonic() - began, time.process_time()
        complete = count == total and len(read_tracks(folder / "o.txt")) == rows
        complete &= sum(1 for _ in (folder / "o.csv").open()) == rows + 1
        if film is not None:
            with open_source(folder / "o.mp4") as source:
                complete &= sum(frame.image is not None for frame in source) == count
    late = np.array(readings[len(readings) // 5 :])
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) if len(late) > 2 else float("nan")
    print(
        f"{count / fps / 60:.1f} minutes of video, {count} frames in {len(rounds)} rounds, "
        f"{len(last_seen)} ids, {rows} rows; {took / 60:.1f} minutes, "
        f"{1000 * cpu / count:.1f} CPU ms a frame; "
        f"memory {late[0, 1]:.1f} to {late[-1, 1]:.1f} MB, slope {slope:+.1f} MB an hour of video; "
        f"outputs {'complete' if complete else 'INCOMPLETE'}"
    )
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
