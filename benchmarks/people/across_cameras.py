"""Measure the joining of people across cameras on re-ID images: one tracklet per person, camera and sequence.

    python benchmarks/people/across_cameras.py NAME=FOLDER ... [--held-out] [--reid DIR] [--output FILE.md]

A folder holds images named as Market-1501's (``PPPP_cCsS_FFFFFF_...jpg``). With --held-out the persons that
the model was trained on, by its ``encoder.json``, are left out. Each camera becomes a track index, and
`find_identities` joins them, as for videos; nothing is known of when anybody was where. The tables have

1. B-cubed precision, recall and F (Bagga and Baldwin, 1998) and the number of people, beside average linkage
   and DBSCAN of scikit-learn on mean embeddings, each at the threshold that is best for this data;
2. how often the interval of the number of people holds the truth, on random groups of people and cameras;
3. rank-1 of a search with 1, 4 and 8 images of a person.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.people.identities import Identities, find_identities
from deepsort_paddle.people.index_file import IndexMeta, TrackIndex
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.similarity import query_distances

NAME = re.compile(r"(\d{4})_c(\d)(?:s(\d))?_")
MOST, BATCH = 8, 32
# People and cameras of a random group; 0 is all.
GROUPS = ((0, 0), (40, 4), (30, 2), (20, 4), (20, 2), (10, 2), (8, 0), (15, 1))
DRAWS = 20


@dataclass(frozen=True)
class Tracklets:
    """Tracklets with the truth.

    Attributes:
        person: ``(T,)`` from 0.
        camera: ``(T,)``.
        crops: embeddings of each, ``(k, D)``.
        model: of the embeddings.
    """

    person: NDArray[np.int64]
    camera: NDArray[np.int64]
    crops: list[NDArray[np.float32]]
    model: ReidModel

    def __len__(self) -> int:
        return len(self.person)

    def chosen(self, rows: NDArray[np.int64]) -> Tracklets:
        """Select tracklets."""
        return Tracklets(
            self.person[rows], self.camera[rows], [self.crops[row] for row in rows.tolist()], self.model
        )

    def joined(self) -> Identities:
        """Join the tracklets; labels are rows of these tracklets."""
        order = np.argsort(self.camera, kind="stable")
        indexes = [
            _index([self.crops[row] for row in order[self.camera[order] == camera]], camera, self.model)
            for camera in np.unique(self.camera).tolist()
        ]
        found = find_identities(*indexes)
        labels = np.empty(len(self), np.int64)
        labels[order] = order[found.labels]
        return Identities(labels, found.probability, found.interval)


def _index(crops: list[NDArray[np.float32]], camera: int, model: ReidModel) -> TrackIndex:
    """Write the index of a camera that sees one person at a time."""
    count, sizes = len(crops), [len(rows) for rows in crops]
    frames = np.column_stack([np.arange(count) * 1000 + 1, np.arange(count) * 1000 + 100])
    moments = sum(sizes)
    return TrackIndex(
        path=Path(f"camera{camera}"),
        meta=IndexMeta(f"camera{camera}", model, finished=True),
        ids=np.arange(1, count + 1),
        class_id=np.zeros(count, np.int64),
        frames=frames,
        seconds=frames / 10.0,
        frame_count=np.full(count, 100),
        runs=tuple(np.array([pair], np.int32) for pair in frames),
        end_boxes=np.tile(np.array([0.0, 0.0, 64.0, 128.0]), (count, 2, 1)),
        persons=np.arange(1, count + 1),
        probability=np.full(count, np.nan),
        owner=np.repeat(np.arange(count), sizes),
        moment_frames=np.arange(moments),
        moment_seconds=np.arange(moments) / 10.0,
        boxes=np.zeros((moments, 4)),
        quality=np.ones(moments),
        embeddings=np.concatenate(crops),
    )


def read(folder: Path, encoder: AppearanceEncoder, model: ReidModel, left_out: set[int]) -> Tracklets:
    """Read the tracklets of a folder."""
    groups: dict[tuple[int, int, int], list[Path]] = {}
    for path in sorted(folder.rglob("*.jpg")):
        if (match := NAME.match(path.name)) and int(match[1]) not in left_out and int(match[1]):
            groups.setdefault((int(match[1]), int(match[2]), int(match[3] or 0)), []).append(path)
    if not groups:
        raise SystemExit(f"{folder}: no image is named as Market-1501's")
    paths, sizes = [], []
    for own in groups.values():
        kept = np.unique(np.linspace(0, len(own) - 1, min(len(own), MOST)).astype(int))
        paths += [own[place] for place in kept.tolist()]
        sizes.append(len(kept))
    rows = []
    for start in range(0, len(paths), BATCH):
        images = [cv2.imread(str(path)) for path in paths[start : start + BATCH]]
        boxes = [np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]) for image in images]
        rows += encoder.encode_batch(images, boxes)
    crops = np.split(np.concatenate(rows), np.cumsum(sizes)[:-1])
    keys = np.array(list(groups))
    return Tracklets(np.unique(keys[:, 0], return_inverse=True)[1], keys[:, 1], crops, model)


def b_cubed(labels: NDArray[np.int64], truth: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return B-cubed precision, recall and F."""
    same, right = labels[:, None] == labels, truth[:, None] == truth
    both = (same & right).sum(axis=1)
    precision, recall = (both / same.sum(axis=1)).mean(), (both / right.sum(axis=1)).mean()
    return float(precision), float(recall), float(2 * precision * recall / (precision + recall))


def groups_of(tracklets: Tracklets) -> Iterator[tuple[str, Tracklets]]:
    """Yield random groups with their names."""
    generator = np.random.default_rng(7)
    people, cameras = np.unique(tracklets.person), np.unique(tracklets.camera)
    for most_people, most_cameras in GROUPS:
        if most_people >= len(people) or most_cameras > len(cameras):
            continue
        name = f"{most_people or 'all'} people, {most_cameras or 'all'} cameras"
        for _ in range(DRAWS if most_people or most_cameras else 1):
            chosen = generator.choice(people, most_people or len(people), replace=False)
            places = generator.choice(cameras, most_cameras or len(cameras), replace=False)
            rows = np.flatnonzero(np.isin(tracklets.person, chosen) & np.isin(tracklets.camera, places))
            yield name, tracklets.chosen(rows)


def clustering_table(tracklets: Tracklets) -> list[str]:
    """Table 1."""
    truth, found = tracklets.person, tracklets.joined()
    low, high = found.interval
    rows = [("ours, default", f"{len(found)} ({low} to {high})", b_cubed(found.labels, truth))]
    rows += _peers(tracklets)
    return [
        "| method | people | precision | recall | F |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {people} | " + " | ".join(f"{100 * one:.1f}" for one in figures) + " |"
            for name, people, figures in rows
        ),
    ]


def _peers(tracklets: Tracklets) -> list[tuple[str, str, tuple[float, float, float]]]:
    """Return rows of average linkage and DBSCAN, each at its best threshold."""
    from sklearn.cluster import DBSCAN, AgglomerativeClustering

    means = np.stack([rows.mean(axis=0) for rows in tracklets.crops])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    distances = np.clip(1 - means @ means.T, 0, 2)
    rows = []
    for name in ("average linkage", "DBSCAN"):
        best = (0.0, (0.0, 0.0, 0.0), 0.0, 0)
        for threshold in np.arange(0.05, 0.8, 0.025).tolist():
            method = (
                DBSCAN(eps=threshold, min_samples=1, metric="precomputed")
                if name == "DBSCAN"
                else AgglomerativeClustering(
                    None, metric="precomputed", linkage="average", distance_threshold=threshold
                )
            )
            labels = method.fit_predict(distances)
            figures = b_cubed(labels, tracklets.person)
            best = max(best, (figures[2], figures, threshold, len(set(labels.tolist()))))
        rows.append((f"{name}, best threshold {best[2]:.3f}", str(best[3]), best[1]))
    return rows


def interval_table(tracklets: Tracklets) -> list[str]:
    """Table 2."""
    found: dict[str, list[tuple[bool, int, int, int, int, float]]] = {}
    for name, group in groups_of(tracklets):
        people, joined = len(np.unique(group.person)), group.joined()
        low, high = joined.interval
        score = b_cubed(joined.labels, group.person)[2]
        found.setdefault(name, []).append((low <= people <= high, people, len(joined), low, high, score))
    every = [row for rows in found.values() for row in rows]
    lines = [
        "| groups | number | people | found | interval | holds the truth, % | F |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in {**found, "all": every}.items():
        right, people, count, low, high, score = np.mean(rows, axis=0)
        lines.append(
            f"| {name} | {len(rows)} | {people:.0f} | {count:.0f} | {low:.0f} to {high:.0f} | "
            f"{100 * right:.0f} | {100 * score:.0f} |"
        )
    return lines


def search_table(tracklets: Tracklets) -> list[str]:
    """Table 3."""
    owner = np.repeat(np.arange(len(tracklets)), [len(rows) for rows in tracklets.crops])
    embeddings = np.concatenate(tracklets.crops)
    lines = ["| query images | queries | rank-1, % |", "|---|---|---|"]
    for size in (1, 4, 8):
        hits = []
        for row, rows in enumerate(tracklets.crops):
            others = tracklets.camera != tracklets.camera[row]
            if len(rows) < size or not (others & (tracklets.person == tracklets.person[row])).any():
                continue
            distances = query_distances(rows[:size], embeddings, owner, len(tracklets))
            nearest = int(np.argmin(np.where(others, distances, np.inf)))
            hits.append(tracklets.person[nearest] == tracklets.person[row])
        if hits:
            lines.append(f"| {size} | {len(hits)} | {100 * np.mean(hits):.1f} |")
    return lines


def report(sources: Sequence[str], reid: Path | None, *, held_out: bool) -> Iterator[str]:
    """Yield all tables of all folders as Markdown."""
    encoder, model = AppearanceEncoder(reid, threads=1), ReidModel.read(reid)
    known: dict[str, list[int]] = {}
    if held_out:
        known = json.loads((encoder.folder / "encoder.json").read_text())["provenance"]["identities"]
    yield f"Model {model}\n"
    for source in sources:
        name, _, folder = source.rpartition("=")
        tracklets = read(Path(folder), encoder, model, set(known.get(name, ())))
        people, images = len(np.unique(tracklets.person)), sum(map(len, tracklets.crops))
        title = name or Path(folder).name
        yield f"## {title}: {len(tracklets)} tracklets, {people} people, {images} images\n"
        for table in (clustering_table, interval_table, search_table):
            yield from table(tracklets)
            yield ""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="NAME=FOLDER", help="NAME as in the model's provenance")
    parser.add_argument("--reid", type=Path, help="folder of the model [included model]")
    parser.add_argument("--held-out", action="store_true", help="exclude persons of its training")
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    lines = []
    for line in report(options.sources, options.reid, held_out=options.held_out):
        print(line, flush=True)
        lines.append(line)
    if options.output:
        options.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
