"""Measure how well appearance models separate people in a tracker's crops.

PETS09-S2L1, frames 1 to 400, public detections: pairs of crops some frames apart, of the same and of
different persons by the ground truth (a detection belongs to the person whose box it overlaps by more than
half). And the frames of MOT17-mini, with the sides of true boxes moved by 8 % of width and height (standard
deviation, clipped at twice that): pairs from different frames of a sequence. Area under the ROC curve, and
the share of same-person pairs that are closer than the closest 5 or 1 % (PETS), 1 or 0.1 % (MOT17) of
different-person pairs.

    python benchmarks/accuracy/tracker_crops.py --reid weights/osnet_ain_x0_5 weights/resnet50vd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from accuracy_data import MOT17, real
from numpy.typing import NDArray
from scipy.stats import rankdata

from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.boxes import iou, xyxy_from_tlwh

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LAGS = (5, 10, 30, 60)
NOISE = 0.08
LEAST_VISIBLE = 0.3


def pets_crops(data: Path, reid: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Frame, person and embedding of each detection that is somebody."""
    scene = real(data, "PETS09-S2L1", reid, None)
    frames, people, looks = [], [], []
    for number, found in enumerate(scene.frames, 1):
        truth = scene.truth[scene.truth.frame == number]
        if len(found) == 0 or len(truth.ids) == 0 or found.embeddings is None:
            continue
        overlap = iou(found.boxes, truth.boxes)
        hit = overlap.max(axis=1) > 0.5
        people.append(truth.ids[overlap.argmax(axis=1)][hit])
        looks.append(found.embeddings[hit])
        frames.append(np.full(hit.sum(), number))
    return np.concatenate(frames), np.concatenate(people), np.concatenate(looks)


def loose_crops(
    data: Path, encoder: AppearanceEncoder
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """The same of each sequence of MOT17-mini, from boxes that are off."""
    rng = np.random.default_rng(0)
    for name in MOT17:
        folder = data / "mot" / "MOT17-mini" / name
        truth = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
        frames, people, looks = [], [], []
        for number, path in enumerate(sorted((folder / "img1").glob("*.jpg")), 1):
            image = cv2.imread(str(path))
            if image is None:
                raise OSError(f"{path} can't be read")
            here = truth[(truth[:, 0] == number) & (truth[:, 7] == 1) & (truth[:, 8] > LEAST_VISIBLE)]
            steps = np.clip(rng.normal(0, NOISE, (len(here), 4)), -2 * NOISE, 2 * NOISE)
            boxes = xyxy_from_tlwh(here[:, 2:6] - [1.0, 1.0, 0.0, 0.0]) + steps * np.tile(here[:, 4:6], 2)
            looks.append(encoder(np.asarray(image, np.uint8), boxes))
            people.append(here[:, 1].astype(np.int64))
            frames.append(np.full(len(here), number))
        yield np.concatenate(frames), np.concatenate(people), np.concatenate(looks)


def figures(same: NDArray[np.float32], others: NDArray[np.float32], shares: tuple[float, float]) -> str:
    """Area under the curve, and the part of ``same`` nearer than these shares of ``others``, in per cent."""
    ranks = rankdata(np.concatenate([same, others]))[: len(same)]
    area = 1 - (ranks.sum() - len(same) * (len(same) + 1) / 2) / (len(same) * len(others))
    found = [100 * float((same <= np.quantile(others, share)).mean()) for share in shares]
    return f"{area:.4f}, {found[0]:.0f} %, {found[1]:.0f} %"


def main() -> None:
    """Print a row a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reid", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the research data")
    options = parser.parse_args()
    heads = [f"PETS, {lag} frames apart" for lag in LAGS] + ["MOT17, loose boxes"]
    print(f"| model | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    for reid in options.reid:
        frames, people, looks = pets_crops(options.data, reid)
        distance = 1 - looks @ looks.T
        alike = people[:, None] == people
        cells = []
        for lag in LAGS:
            apart = frames - frames[:, None] == lag
            cells.append(figures(distance[apart & alike], distance[apart & ~alike], (0.05, 0.01)))
        same, others = [], []
        for frames, people, looks in loose_crops(options.data, AppearanceEncoder(reid)):
            distance, alike = 1 - looks @ looks.T, people[:, None] == people
            apart = frames[:, None] < frames
            same.append(distance[apart & alike])
            others.append(distance[apart & ~alike])
        cells.append(figures(np.concatenate(same), np.concatenate(others), (0.01, 0.001)))
        print(f"| {reid.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
