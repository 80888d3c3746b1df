"""Measure time, memory and disk of track indexes with 1,000 and 100,000 tracks.

    python benchmarks/people/index_speed.py [--tracks 1000 100000] [--dimensions 128]

Each track has 8 random embeddings and no thumbnails. Searches use 1 and 8 crops and are exact over all
tracks.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from deepsort_paddle.people.index_file import APPLICATION_ID, FORMAT, SCHEMA, IndexMeta
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.person_index import PersonIndex

PER_TRACK = 8


def write(path: Path, tracks: int, dimensions: int) -> None:
    """Write an index of random tracks, each 10 seconds long, 20 at a time."""
    generator = np.random.default_rng(0)
    with sqlite3.connect(path) as database:
        database.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA}"
        )
        meta = IndexMeta("random", ReidModel.read(), embedding_size=dimensions, fps=25.0, finished=True)
        database.executemany("INSERT INTO meta VALUES (?, ?)", meta.rows())
        for track in range(1, tracks + 1):
            first = 1 + 250 * (track // 20)
            runs = np.array([[first, first + 249]], "<i4").tobytes()
            row = (track, 0, first, first + 249, first / 25, first / 25 + 10, 250, runs, bytes(32))
            database.execute("INSERT INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            center = generator.normal(size=dimensions)
            rows = center + 0.5 * generator.normal(size=(PER_TRACK, dimensions))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            for number, one in enumerate(rows.astype("<f2")):
                values = (track, first + number, first / 25, 0, 0, 50, 100, 0.9, 100.0, 1.0, 0.0, 0.8)
                database.execute(f"INSERT INTO moments VALUES ({'?, ' * 12}?)", (*values, one.tobytes()))
    database.close()


def main() -> None:
    """Print a line for each number of tracks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--dimensions", type=int, default=128)
    options = parser.parse_args()
    print("| tracks | file, MB | open, s | search by 1 crop, ms | by 8 crops, ms | peak memory, MB |")
    print("|---|---|---|---|---|---|")
    for tracks in options.tracks:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index.sqlite"
            write(path, tracks, options.dimensions)
            began = time.process_time()
            people = PersonIndex.open([path])
            opened = time.process_time() - began
            query = people.embeddings_of(path, 1)
            spent = []
            people.search(query, top=20)  # the first one also looks at who was seen together
            for rows in (query[:1], query):
                each = []
                for _ in range(5):
                    began = time.process_time()
                    people.search(rows, top=20)
                    each.append(1000 * (time.process_time() - began))
                spent.append(np.median(each))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            size = path.stat().st_size / 1e6
            print(f"| {tracks} | {size:.1f} | {opened:.2f} | {spent[0]:.1f} | {spent[1]:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
