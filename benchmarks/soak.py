"""Track one video in a loop for a long time: memory must stay flat, ids unique, outputs complete.

    python benchmarks/soak.py video.mp4 --detections det.txt --minutes 120

The video is played over and over as one endless source into one tracker, with text, CSV and JSON
outputs, as a camera would be. Memory is read every ten seconds; its growth is the slope of a line through
the readings behind the first fifth, in which galleries fill.
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
from deepsort_paddle.outputs import CsvWriter, JsonWriter
from deepsort_paddle.pipeline import skip_broken, track_frames
from deepsort_paddle.video import open_source


def resident() -> float:
    """Megabytes of this process in memory; the most so far where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def endless(path: Path, deadline: float, lengths: list[int]) -> Iterator[Frame]:
    """The frames of a video over and over, numbered on; ``lengths`` takes the length of each round."""
    number = 0
    while time.monotonic() < deadline:
        with open_source(path) as source:
            first = number
            for frame in source:
                number += 1
                yield replace(frame, number=number, timestamp=None)
                if time.monotonic() >= deadline:
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
    parser.add_argument("--minutes", type=float, default=120.0, help="[%(default)s]")
    options = parser.parse_args()
    find = make_detector(options.detections)
    encode = None
    if options.reid is not None:
        from deepsort_paddle import AppearanceEncoder

        encode = AppearanceEncoder(options.reid, threads=1)
    rounds: list[int] = []

    def detect(number: int, image: object) -> object:
        return find(number - sum(rounds), None)

    began = time.monotonic()
    readings: list[tuple[float, float]] = []
    count = rows = 0
    seen: set[int] = set()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        text = stack.enter_context(TrackWriter(folder / "o.txt"))
        table = stack.enter_context(CsvWriter(folder / "o.csv"))
        document = stack.enter_context(JsonWriter(folder / "o.json", {}, lambda: {"frames": count}))
        frames = endless(options.video, began + 60 * options.minutes, rounds)
        for tracked in track_frames(frames, skip_broken(detect), encode, DeepSort(iou_max_age=15)):
            text.write(tracked.frame.number, tracked.tracks)
            table.write(tracked)
            document.write(tracked)
            ids = tracked.tracks.ids.tolist()
            if len(set(ids)) != len(ids):
                raise AssertionError(f"frame {tracked.frame.number} has an id twice")
            count, rows = count + 1, rows + len(ids)
            seen.update(ids)
            now = time.monotonic() - began
            if not readings or now - readings[-1][0] >= 10:
                readings.append((now, resident()))
        stack.close()
        complete = len(read_tracks(folder / "o.txt")) == rows
        complete &= sum(1 for _ in (folder / "o.csv").open()) == rows + 1
    late = np.array(readings[len(readings) // 5 :])
    slope = float(np.polyfit(late[:, 0] / 3600, late[:, 1], 1)[0]) if len(late) > 2 else float("nan")
    print(
        f"{now / 60:.1f} minutes, {count} frames in {len(rounds)} rounds, {len(seen)} ids, {rows} rows; "
        f"memory {late[0, 1]:.1f} to {late[-1, 1]:.1f} MB, slope {slope:+.1f} MB an hour; "
        f"outputs {'complete' if complete else 'INCOMPLETE'}"
    )
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
