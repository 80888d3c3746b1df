"""Time and memory for joining 1,000 and 100,000 tracks to people, in one video and across cameras.

    python benchmarks/people/join_speed.py [--tracks 1000 100000] [--cameras 1 10] [--output FILE.md]

People are random directions, four tracks each, with noise as in a re-ID network's embeddings: tracks of one
person are about 0.3 apart, of two people about 1. About 20 people are in a frame at once. Each case runs in a
process of its own, so that memory is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np

from deepsort_paddle.people.identities import find_identities
from deepsort_paddle.people.index_file import IndexMeta, TrackIndex
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.structures import unit_rows

PER_TRACK, PER_PERSON, DIMENSIONS, FRAMES, AT_ONCE = 4, 4, 256, 250, 20


def camera(tracks: int, people: np.ndarray, generator: np.random.Generator, name: str) -> TrackIndex:
    """An index in memory.

    Args:
        tracks: number of tracks.
        people: ``(P, D)`` directions; each track is of a random one.
        generator: of all randomness.
        name: of the camera.
    """
    person = generator.integers(len(people), size=tracks)
    noise = 0.55 / np.sqrt(DIMENSIONS)
    own = people[person] + noise * generator.standard_normal((tracks, DIMENSIONS), np.float32)
    rows = np.repeat(own, PER_TRACK, axis=0)
    rows += noise * generator.standard_normal(rows.shape, np.float32)
    first = 1 + FRAMES * (np.arange(tracks) // AT_ONCE)
    frames = np.column_stack([first, first + FRAMES - 1])
    left = generator.uniform(0, 1800, (tracks, 2))
    ends = np.stack([left, np.full((tracks, 2), 300.0), left + 80, np.full((tracks, 2), 500.0)], axis=2)
    ids = np.arange(1, tracks + 1)
    owner = np.repeat(np.arange(tracks), PER_TRACK)
    return TrackIndex(
        path=Path(f"{name}.sqlite"),
        meta=IndexMeta(name, ReidModel.read(), embedding_size=DIMENSIONS, fps=25.0, width=1920, height=1080),
        ids=ids,
        class_id=np.zeros(tracks, np.int64),
        frames=frames,
        seconds=frames / 25.0,
        frame_count=np.full(tracks, FRAMES),
        runs=tuple(frames.astype(np.int32)[:, None]),
        end_boxes=ends,
        persons=ids,
        probability=np.full(tracks, np.nan),
        owner=owner,
        moment_frames=frames[owner, 0],
        moment_seconds=frames[owner, 0] / 25.0,
        boxes=np.zeros((len(owner), 4)),
        quality=np.ones(len(owner)),
        embeddings=unit_rows(rows, len(rows)),
    )


def measure(tracks: int, cameras: int) -> str:
    """A row of the table."""
    generator = np.random.default_rng(0)
    people = generator.standard_normal((max(tracks // PER_PERSON, 1), DIMENSIONS), np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    indexes = [camera(tracks // cameras, people, generator, f"cam{number}") for number in range(cameras)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    found = find_identities(*indexes)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    low, high = found.interval
    figures = f"{spent:.1f} | {before:.0f} | {peak:.0f}"
    return f"| {tracks} | {cameras} | {len(found)} ({low} to {high}) | {figures} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--output", type=Path, help="file for the table, beside standard output")
    options = parser.parse_args()
    lines = [
        "| tracks | cameras | people | CPU, s | memory before, MB | peak, MB |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for tracks in options.tracks:
        for cameras in options.cameras:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                lines.append(pool.apply(measure, (tracks, cameras)))
            print(lines[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
