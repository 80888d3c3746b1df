"""Compare own code with libraries that could replace it: results and time.

    python benchmarks/tracker/libraries.py                      # the table of README.md

Both get the same random input in turns; times are medians of CPU time on one thread. A difference over the
tolerance ends the script.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepsort_paddle import boxes as box_ops
from deepsort_paddle.motchallenge.text import read_detections
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.gallery import Gallery

Pair = tuple[str, str, Callable[[], Any], Callable[[], Any], float]


def pairs(rng: np.random.Generator, count: int, folder: Path) -> Iterator[Pair]:
    """Yield piece, library, our function, the library's, and the largest allowed difference."""
    corner = rng.uniform(0, 1800, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(30, 200, (count, 2))], axis=1)
    others = boxes + rng.normal(0, 5, boxes.shape)
    yield f"Kalman filter, a frame of {count} tracks", "filterpy", *_filters(boxes, others), 1e-6

    import supervision

    yield (
        f"IoU of {count} x {count} boxes",
        "supervision",
        lambda: box_ops.iou(boxes, others),
        lambda: supervision.box_iou_batch(boxes, others),
        1e-5,
    )
    yield f"appearance of {count} tracks, 100 each", "scipy cdist", *_galleries(rng, count), 1e-5
    yield "detections, 10,000 lines of text", "motmetrics", *_texts(rng, folder), 1e-2


def _filters(boxes: Any, others: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Predict and update all tracks in the third frame."""
    from filterpy.kalman import KalmanFilter

    first, second = box_ops.xyah_from_xyxy(boxes), box_ops.xyah_from_xyxy(others)
    states = kalman.initiate(first)
    theirs = []
    motion = np.eye(8) + np.eye(8, k=4)
    for row in first:
        one = KalmanFilter(dim_x=8, dim_z=4)
        one.F, one.H = motion, np.eye(4, 8)
        one.x[:4, 0] = row
        height = row[3]
        sides = [height / 10, height / 10, 1e-2, height / 10]
        speeds = [height / 16, height / 16, 1e-5, height / 16]
        one.P = np.diag(np.square([*sides, *speeds]))
        theirs.append((one, one.x.copy(), one.P.copy()))

    def ours() -> Any:
        return kalman.update(kalman.predict(states), second)[0]

    def library() -> Any:
        rows = []
        for (one, start, covariance), measured in zip(theirs, second, strict=True):
            one.x, one.P = start, covariance
            height = start[3, 0]
            place, speed = height / 20, height / 160
            one.Q = np.diag(np.square([place, place, 1e-2, place, speed, speed, 1e-5, speed]))
            one.predict()
            side = one.x[3, 0] / 20
            one.R = np.diag(np.square([side, side, 1e-1, side]))
            one.update(measured)
            rows.append(one.x[:4, 0])
        return np.array(rows)

    return ours, library


def _galleries(rng: np.random.Generator, count: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Compare three candidates per track with its 100 embeddings."""
    from scipy.spatial.distance import cdist

    size, dimension, few = 100, 128, min(3, count)
    gallery = Gallery(size, dimension)
    slots = gallery.allocate(count)
    samples = _unit(rng, (count, size, dimension))
    for place in range(size):
        gallery.add(slots, samples[:, place])
    looks = _unit(rng, (count, dimension))
    rows = np.arange(count).repeat(few)
    columns = np.concatenate([np.sort(rng.choice(count, few, replace=False)) for _ in range(count)])

    def library() -> Any:
        return np.concatenate(
            [
                cdist(samples[row], looks[columns[few * row : few * (row + 1)]], "cosine").min(axis=0)
                for row in range(count)
            ]
        )

    return lambda: gallery.distance(slots, looks, rows, columns), library


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    rows = rng.normal(size=shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _texts(rng: np.random.Generator, folder: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import motmetrics

    path = folder / "det.txt"
    lines = [
        f"{1 + row // 10},-1,{x:.2f},{y:.2f},{w:.2f},{h:.2f},0.9,-1,-1,-1"
        for row, (x, y, w, h) in enumerate(rng.uniform(10, 500, (10_000, 4)).tolist())
    ]
    path.write_text("\n".join(lines) + "\n")

    def ours() -> Any:
        found = read_detections(path)
        return np.concatenate([box_ops.tlwh_from_xyxy(found[one].boxes) for one in sorted(found)])

    def library() -> Any:
        table = motmetrics.io.loadtxt(path, fmt="mot15-2D")
        return table[["X", "Y", "Width", "Height"]].to_numpy()

    return ours, library


def main() -> int:
    """Print the table; return 1 if results differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="boxes, tracks [%(default)s]")
    parser.add_argument("--rounds", type=int, default=15, help="[%(default)s]")
    options = parser.parse_args()
    print("| piece | library | ours, ms | library, ms | times | largest difference |")
    print("|---|---|---|---|---|---|")
    code = 0
    with tempfile.TemporaryDirectory() as name:
        for piece, library, ours, theirs, tolerance in pairs(
            np.random.default_rng(0), options.count, Path(name)
        ):
            mine, other = ours(), theirs()
            same = mine.shape == other.shape
            difference = float(np.abs(mine - other).max()) if same else float("inf")
            times: dict[Callable[[], Any], list[float]] = {ours: [], theirs: []}
            for _ in range(options.rounds):
                for call, taken in times.items():
                    taken.append(cpu_ms(call))
            a, b = (float(np.median(taken)) for taken in times.values())
            code |= difference > tolerance
            print(f"| {piece} | {library} | {a:.3g} | {b:.3g} | {b / a:.2g} | {difference:.1g} |", flush=True)
    return int(code)


def cpu_ms(call: Callable[[], Any]) -> float:
    """Return the CPU milliseconds of one call, averaged over a fiftieth of a second."""
    began = time.process_time()
    calls = 0
    while calls == 0 or time.process_time() - began < 0.02:
        call()
        calls += 1
    return 1000 * (time.process_time() - began) / calls


if __name__ == "__main__":
    sys.exit(main())
