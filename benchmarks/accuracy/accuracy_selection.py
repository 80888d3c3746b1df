"""Select the presets' settings: one setting for all sequences, with leave-one-out scores.

    python benchmarks/accuracy/accuracy_selection.py strong --cache CACHE
    python benchmarks/accuracy/accuracy_selection.py motion

Every combination of the values in `GRIDS` tracks every sequence. The score is the mean of HOTA and IDF1, each
over all sequences of a set, averaged over the sets. `fitted` is the best combination on all sequences,
evaluated on the same, which is biased upwards. `left out`: for each video, the combination that is best
without it (in any set) tracks it. That estimates the score on new videos.
"""

from __future__ import annotations

import os

# Set before NumPy is imported: one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import DATA, ROOT, prepared, scenes_of, track
from accuracy_data import Sequence as Scene
from accuracy_data import variants
from numpy.typing import NDArray
from tqdm import tqdm

from deepsort_paddle.motchallenge.frame_sums import FIGURES, FrameSums, count_frames, figures

# Options that are selected together, and their values.
GRIDS: Mapping[str, Mapping[tuple[str, ...], Sequence[tuple[Any, ...]]]] = {
    "strong": {
        ("appearance_weight", "max_iou_distance"): [(0.5, 0.7), (0.6, 0.8)],
        ("coast_after", "coast_inside"): [(1, False), (4, False), (4, True)],
    },
    "motion": {
        ("uncertainty_weight",): [(0.8,), (1.0,)],
        ("coast_after", "coast_inside"): [(1, False), (4, False), (4, True)],
    },
}
SETS = {
    "strong": ("yolox", "public", "moving", "mot17-05", "crowd"),
    "motion": ("mot17", "yolox", "moving", "mot17-05", "crowd"),
}
HOTA, IDF1 = FIGURES.index("HOTA"), FIGURES.index("IDF1")


def total(counts: Sequence[FrameSums]) -> NDArray[np.float64]:
    """Figures of several sequences together, ``(6,)``."""
    return figures(np.sum([count.sums.sum(axis=0) for count in counts], axis=0))


def score(sets: Mapping[str, Sequence[tuple[str, FrameSums]]], without: str = "") -> float:
    """The score of one combination over all sets, leaving out one video."""
    scores = []
    for members in sets.values():
        kept = [count for video, count in members if video != without]
        if kept:
            of_set = total(kept)
            scores.append(0.5 * (of_set[HOTA] + of_set[IDF1]))
    return float(np.mean(scores))


def video_of(scene: Scene) -> str:
    """The video that a sequence or a copy of it comes from."""
    return scene.name.split()[0]


def show(label: str, sets: Mapping[str, Sequence[tuple[str, FrameSums]]]) -> None:
    """Print the figures of each set in a row."""
    cells = []
    for name, members in sets.items():
        of_set = total([count for _, count in members])
        cells.append(f"{name} " + " / ".join(f"{of_set[place]:.1f}" for place in (HOTA, IDF1, 4)))
    print(f"{label:64s} {'; '.join(cells)}", flush=True)


def main() -> None:
    """Track everything with every combination and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=sorted(GRIDS))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the research data")
    parser.add_argument("--reid", type=Path, default=ROOT / "weights" / "osnet_ain_x0_5")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps detections and embeddings")
    parser.add_argument("--copies", type=int, default=0, metavar="N", help="variants of each sequence")
    arguments = parser.parse_args()
    preset: str = arguments.preset
    grid = GRIDS[preset]
    scenes = {
        name: [
            copy if preset == "strong" else copy.without_looks()
            for scene in scenes_of(name, arguments.data, arguments.reid, arguments.cache)
            for copy in variants(scene, arguments.copies)
        ]
        for name in SETS[preset]
    }
    results: dict[str, dict[str, list[tuple[str, FrameSums]]]] = {}
    for values in tqdm(list(product(*grid.values()))):
        change = {
            name: value
            for names, chosen in zip(grid, values, strict=True)
            for name, value in zip(names, chosen, strict=True)
        }
        label = ", ".join(f"{name} {value}" for name, value in change.items())
        results[label] = {
            name: [
                (video_of(one), count_frames(prepared(one, track(one, preset, change, images=True))))
                for one in members
            ]
            for name, members in scenes.items()
        }
    print("HOTA / IDF1 / MOTA of each set")
    for label, sets in sorted(results.items(), key=lambda item: -score(item[1])):
        show(f"{score(sets):6.2f} {label}", sets)
    best = max(results, key=lambda label: score(results[label]))
    show("fitted", results[best])
    videos = sorted({video for members in results[best].values() for video, _ in members})
    chosen = {video: max(results, key=lambda label: score(results[label], video)) for video in videos}
    show(
        "left out",
        {
            name: [
                (video, results[chosen[video]][name][place][1]) for place, (video, _) in enumerate(members)
            ]
            for name, members in results[best].items()
        },
    )
    for video, label in chosen.items():
        print(f"without {video}: {label}")


if __name__ == "__main__":
    main()
