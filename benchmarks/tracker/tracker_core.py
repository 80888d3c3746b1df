"""Compare the CPU time of one tracker update with deep-sort-realtime's on the same input.

A synthetic crowd walks over a 1920 x 1080 frame; one person in twenty is missed in each frame, so that
births, deaths and the cascade take part. Galleries are full before the clock starts. The two
trackers take turns in blocks of frames, so that a busy machine slows both; the figures are medians
of CPU milliseconds a frame on one thread.

    python benchmarks/tracker/tracker_core.py                 # the table of README.md
    python benchmarks/tracker/tracker_core.py --grow  # growth with objects, budget, dimension, max_age
    python benchmarks/tracker/tracker_core.py --solvers       # scipy and lap on gated and dense costs
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import lap
import numpy as np
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.boxes import tlwh_from_xyxy

WIDTH, HEIGHT = 1920, 1080


def crowd(objects: int, dimension: int, seed: int = 0, *, leave: float = 0.0) -> Iterator[Detections]:
    """Endless frames of ``objects`` walking people, each seen with probability 0.95.

    With probability ``leave`` a person is gone for good from the next frame on and another is there.
    """
    rng = np.random.default_rng(seed)
    centre = rng.uniform([0, 0], [WIDTH, HEIGHT], (objects, 2))
    velocity = rng.normal(0.0, 3.0, (objects, 2))
    size = rng.uniform(60, 160, (objects, 1)) * [0.4, 1.0]
    person = rng.standard_normal((objects, dimension))
    while True:
        centre += velocity
        out = (centre < 0) | (centre > [WIDTH, HEIGHT])
        velocity[out] *= -1
        if leave:
            gone = np.flatnonzero(rng.random(objects) < leave)
            centre[gone] = rng.uniform([0, 0], [WIDTH, HEIGHT], (len(gone), 2))
            person[gone] = rng.standard_normal((len(gone), dimension))
        seen = rng.permutation(np.flatnonzero(rng.random(objects) < 0.95))
        corner = centre[seen] - size[seen] / 2 + rng.normal(0, 1.0, (len(seen), 2))
        # Noise of this size leaves cosine distances of about 0.1 within a person.
        look = person[seen] + rng.normal(0, 0.33, (len(seen), dimension))
        yield Detections.of(np.hstack([corner, corner + size[seen]]), embeddings=look)


def ours(budget: int, max_age: int = 30) -> Callable[[Detections], object]:
    """One update of our tracker."""
    return DeepSort(max_age=max_age, gallery_size=budget).update


def classic(budget: int, max_age: int = 30) -> Callable[[Any], object]:
    """One update of deep-sort-realtime, given what ``as_classic`` makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from deep_sort_realtime.deepsort_tracker import DeepSort as Classic
    tracker = Classic(embedder=None, nn_budget=budget, max_age=max_age, n_init=3, max_cosine_distance=0.2)
    return lambda frame: tracker.update_tracks(frame[0], embeds=frame[1])


def as_classic(detections: Detections) -> tuple[list[Any], list[Any]]:
    """Boxes and embeddings as deep-sort-realtime takes them; made outside the clock."""
    boxes_tlwh = tlwh_from_xyxy(detections.boxes).tolist()
    return [(box, 1.0, 0) for box in boxes_tlwh], list(detections.embeddings)  # type: ignore[arg-type]


def clocked(update: Callable[[Any], object], frames: Sequence[Any]) -> tuple[list[float], list[float]]:
    """CPU and wall milliseconds of each call."""
    cpu, wall = [], []
    for frame in frames:
        start, start_wall = time.process_time(), time.perf_counter()
        update(frame)
        cpu.append(1e3 * (time.process_time() - start))
        wall.append(1e3 * (time.perf_counter() - start_wall))
    return cpu, wall


def compare(objects: int, dimension: int, budget: int, frames: int, blocks: int = 5) -> None:
    """Print one row: ours, deep-sort-realtime and the ratio."""
    scene = crowd(objects, dimension)
    mine, theirs = ours(budget), classic(budget)
    for _ in range(budget + 10):
        frame = next(scene)
        mine(frame)
        theirs(as_classic(frame))
    figures: list[list[float]] = [[], [], [], []]
    for _ in range(blocks):
        block = [next(scene) for _ in range(frames)]
        for column, times in enumerate((*clocked(mine, block), *clocked(theirs, [*map(as_classic, block)]))):
            figures[column] += times
    cpu, wall, peer_cpu, peer_wall = (float(np.median(column)) for column in figures)
    print(
        f"{objects:7d} {dimension:9d} {budget:6d} {cpu:9.2f} {wall:9.2f} {peer_cpu:9.2f} {peer_wall:9.2f}"
        f" {peer_cpu / cpu:8.1f}",
        flush=True,
    )


def grow(frames: int) -> None:
    """Print our own time along each axis, the others at 100 objects, 128-d, budget 100, max_age 30.

    For max_age one person in a hundred leaves in each frame: so many lost tracks are kept as it says.
    """
    base = {"objects": 100, "dimension": 128, "budget": 100, "max_age": 30}
    axes = {
        "objects": (1, 10, 50, 100, 200, 500, 1000),
        "dimension": (128, 512, 2048),
        "budget": (1, 10, 100, 300),
        "max_age": (30, 70, 300),
    }
    print(f"{'axis':>10} {'value':>7} {'CPU ms':>8} {'least':>8} {'wall ms':>8}")
    for axis, values in axes.items():
        for value in values:
            case = base | {axis: value}
            scene = crowd(case["objects"], case["dimension"], leave=0.01 if axis == "max_age" else 0.0)
            update = ours(case["budget"], case["max_age"])
            for _ in range(max(case["budget"], case["max_age"]) + 10):
                update(next(scene))
            cpu, wall = clocked(update, [next(scene) for _ in range(frames)])
            print(
                f"{axis:>10} {value:7d} {np.median(cpu):8.2f} {min(cpu):8.2f} {np.median(wall):8.2f}",
                flush=True,
            )


def solvers(repeats: int) -> None:
    """Print CPU ms of scipy and lap on costs clipped as the tracker does, and whether pairs agree."""
    rng = np.random.default_rng(0)
    limit = 0.2
    print(f"{'rows':>5} {'columns':>7} {'costs':>6} {'scipy':>8} {'lap':>8}  same pairs")
    for rows, columns in ((20, 20), (50, 50), (100, 100), (200, 200), (500, 500), (100, 150), (200, 500)):
        for kind, part in (("gated", 3 / columns), ("tenth", 0.1), ("dense", 1.0)):
            cost = np.where(rng.random((rows, columns)) < part, limit * rng.random((rows, columns)), 1.0)
            cost = np.where(cost <= limit, cost, limit + 1e-5)
            results, times = [], []
            for solve in (linear_sum_assignment, lambda c: lap.lapjv(c, extend_cost=True)):
                spent = []
                for _ in range(repeats):
                    start = time.process_time()
                    result = solve(cost)
                    spent.append(1e3 * (time.process_time() - start))
                times.append(float(np.median(spent)))
                results.append(result)
            by_scipy = {(r, c) for r, c in zip(*results[0], strict=True) if cost[r, c] <= limit}
            by_lap = {(r, c) for r, c in enumerate(results[1][1]) if c >= 0 and cost[r, c] <= limit}
            print(
                f"{rows:5d} {columns:7d} {kind:>6} {times[0]:8.3f} {times[1]:8.3f}  {by_scipy == by_lap}",
                flush=True,
            )


def main() -> None:
    """Parse the command line and print the tables asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[50, 100, 200, 500])
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--budget", type=int, default=100, help="embeddings kept for each track")
    parser.add_argument("--frames", type=int, default=10, help="frames in each of five blocks")
    parser.add_argument("--threads", type=int, default=1, help="threads that BLAS may use")
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--solvers", action="store_true")
    arguments = parser.parse_args()
    packages = ("numpy", "scipy", "lap", "deep-sort-realtime")
    print(f"{platform.machine()}, Python {platform.python_version()}, BLAS threads: {arguments.threads}")
    print(", ".join(f"{package} {version(package)}" for package in packages), flush=True)
    with threadpool_limits(arguments.threads, user_api="blas"):
        if arguments.solvers:
            solvers(15)
        elif arguments.grow:
            grow(5 * arguments.frames)
        else:
            print("objects dimension budget  ours CPU ours wall peer CPU peer wall  ratio (CPU)")
            for objects in arguments.objects:
                compare(objects, arguments.dimension, arguments.budget, arguments.frames)


if __name__ == "__main__":
    main()
