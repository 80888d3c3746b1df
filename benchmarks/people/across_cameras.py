"""People across cameras, on re-ID images: one tracklet is the images of one person and camera.

    python benchmarks/people/across_cameras.py FOLDER [--held-out] [--reid weights/osnet_ain_x0_5]

FOLDER holds images named as Market-1501's (``PPPP_cCsS_FFFFFF_...jpg``). With --held-out the persons that
the model was trained on, by its ``encoder.json``, are left out. 100 pairs of different people of one camera
correct the calibration, as people seen together do in a video. Prints B-cubed figures of our
joins beside average linkage and DBSCAN at their best threshold (scikit-learn, chosen with the truth), the
number of people, how often a probability is right, and rank-1 of a search with 1, 4 and 8 images.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.people.clustering import cluster
from deepsort_paddle.people.identities import MIN_PROBABILITY
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.similarity import (
    LinkModel,
    candidate_pairs,
    pair_distances,
    query_distances,
    to_probability,
)

NAME = re.compile(r"(\d{4})_c(\d)(?:s(\d))?_")
MOST = 8
_TOGETHER = 100


def read(folder: Path, encoder: AppearanceEncoder, left_out: set[int]) -> tuple[NDArray[np.int64], list]:
    """Person and camera of each tracklet, ``(T, 2)``, and its embeddings."""
    groups: dict[tuple[int, int, int], list[Path]] = {}
    for path in sorted(folder.rglob("*.jpg")):
        if (match := NAME.match(path.name)) and int(match[1]) not in left_out and int(match[1]):
            groups.setdefault((int(match[1]), int(match[2]), int(match[3] or 0)), []).append(path)
    sets = []
    for paths in groups.values():
        images = [cv2.imread(str(path)) for path in paths[:MOST]]
        boxes = [np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]) for image in images]
        sets.append(np.concatenate(encoder.encode_batch(images, boxes)))
    return np.array([key[:2] for key in groups]), sets


def b_cubed(labels: NDArray[np.int64], truth: NDArray[np.int64]) -> tuple[float, float, float]:
    """B-cubed precision, recall and F (Bagga and Baldwin, 1998)."""
    same, right = labels[:, None] == labels, truth[:, None] == truth
    both = (same & right).sum(axis=1)
    precision, recall = (both / same.sum(axis=1)).mean(), (both / right.sum(axis=1)).mean()
    return float(precision), float(recall), float(2 * precision * recall / (precision + recall))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reid", type=Path, help="folder of the model [the one that comes along]")
    parser.add_argument("--held-out", action="store_true", help="leave out persons of its training")
    options = parser.parse_args()
    encoder, model = AppearanceEncoder(options.reid, threads=1), ReidModel.read(options.reid)
    known: set[int] = set()
    if options.held_out:
        known = set(json.loads((encoder.folder / "encoder.json").read_text())["provenance"]["pids"])
    keys, sets = read(options.folder, encoder, known)
    count, truth = len(keys), np.unique(keys[:, 0], return_inverse=True)[1]
    embeddings = np.concatenate(sets)
    owner = np.repeat(np.arange(count), [len(rows) for rows in sets])
    print(f"{count} tracklets, {len(set(truth))} people, {len(embeddings)} images; {model}\n")

    limit = model.max_cosine_distance
    pairs = candidate_pairs(embeddings, owner, count, limit)
    distances = pair_distances(embeddings, owner, count, pairs)
    pairs, distances = pairs[distances <= limit], distances[distances <= limit]
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, count, (4000, 2))
    together = (keys[drawn[:, 0], 1] == keys[drawn[:, 1], 1]) & (truth[drawn[:, 0]] != truth[drawn[:, 1]])
    negatives = pair_distances(embeddings, owner, count, drawn[together][:_TOGETHER])
    log_odds = LinkModel.of(model).adapted(negatives).log_odds(distances, tracks=count)
    print("| method | people | precision | recall | F |\n|---|---|---|---|---|")
    for probability in (0.5, MIN_PROBABILITY, 0.9):
        threshold = float(np.log(probability / (1 - probability)))
        labels = cluster(count, pairs, log_odds, threshold=threshold).labels
        figures = " | ".join(f"{100 * one:.1f}" for one in b_cubed(labels, truth))
        print(f"| ours, probability {probability:g} | {len(set(labels))} | {figures} |")
    _peers(embeddings, owner, count, truth)

    chances = to_probability(log_odds)
    right = truth[pairs[:, 0]] == truth[pairs[:, 1]]
    print("\n| probability | pairs | right, % | said, % |\n|---|---|---|---|")
    for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.0)):
        rows = (chances >= low) & (chances < high)
        if rows.any():
            share, said = 100 * right[rows].mean(), 100 * chances[rows].mean()
            print(f"| {low} to {high} | {rows.sum()} | {share:.0f} | {said:.0f} |")

    print("\n| query images | queries | rank-1, % |\n|---|---|---|")
    for size in (1, 4, 8):
        hits = []
        for row, rows in enumerate(sets):
            others = keys[:, 1] != keys[row, 1]
            if len(rows) < size or not (others & (truth == truth[row])).any():
                continue
            found = query_distances(rows[:size], embeddings, owner, count)
            hits.append(truth[np.argmin(np.where(others, found, np.inf))] == truth[row])
        if hits:
            print(f"| {size} | {len(hits)} | {100 * np.mean(hits):.1f} |")


def _peers(
    embeddings: NDArray[np.float32], owner: NDArray[np.int64], count: int, truth: NDArray[np.int64]
) -> None:
    """Average linkage and DBSCAN of scikit-learn on mean embeddings, each at its best threshold."""
    try:
        from sklearn.cluster import DBSCAN, AgglomerativeClustering
    except ImportError:
        print("| (scikit-learn is not installed) | | | | |")
        return
    means = np.zeros((count, embeddings.shape[1]))
    np.add.at(means, owner, embeddings)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    distances = np.clip(1 - means @ means.T, 0, 2)
    for name in ("average linkage", "DBSCAN"):
        best = (0.0, 0.0, 0.0, 0.0, 0)
        for threshold in np.arange(0.05, 0.8, 0.025):
            if name == "DBSCAN":
                method = DBSCAN(eps=threshold, min_samples=1, metric="precomputed")
            else:
                method = AgglomerativeClustering(
                    None, metric="precomputed", linkage="average", distance_threshold=threshold
                )
            labels = method.fit_predict(distances)
            precision, recall, score = b_cubed(labels, truth)
            best = max(best, (score, threshold, precision, recall, len(set(labels))))
        score, threshold, precision, recall, people = best
        figures = " | ".join(f"{100 * one:.1f}" for one in (precision, recall, score))
        print(f"| {name}, best threshold {threshold:.3f} | {people} | {figures} |")


if __name__ == "__main__":
    main()
