"""People of tracking sequences, 1 to 3 seconds apart: what an appearance model is asked in a tracker.

Boxes of YOLOX-nano above a confidence of 0.4, four times a second, are the person whose true box they overlap
by more than half. PETS09-S2L1 (frames 1 to 400), ADL-Rundle-6 and TUD-Stadtmitte.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import AppearanceEncoder, make_detector
from deepsort_paddle.boxes import iou
from deepsort_paddle.motchallenge.text import read_ground_truth

sys.path.append(str(Path(__file__).parents[1] / "accuracy"))
from accuracy_data import DETECTORS, REAL, _images

__all__ = ["TrackerPairs", "tracker_pairs"]

CONFIDENCE, OVERLAP = 0.4, 0.5
FRAMES_PER_SECOND = 4
SECONDS = (1.0, 3.0)


@dataclass(frozen=True)
class TrackerPairs:
    """Figures over the three sequences.

    Attributes:
        rank1: share of crops whose nearest other crop, 1 to 3 s away, is of the same person.
        accepted: share of pairs of one person that are nearer than all but 1 % of pairs of different people.
        false_accepts, accepts: shares of pairs of different people, and of one person, that the threshold of
            the network accepts.
    """

    rank1: float
    accepted: float
    false_accepts: float
    accepts: float


def tracker_pairs(data: Path, encoders: Mapping[str, AppearanceEncoder]) -> dict[str, TrackerPairs]:
    """Figures of each encoder; every frame is read, and its people detected, once.

    Args:
        data: folder of the research data.
        encoders: by name.
    """
    detector = make_detector(data / "models" / DETECTORS["yolox"], confidence=CONFIDENCE, device="cpu")
    hits: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in encoders}
    same: dict[str, list[NDArray[np.float32]]] = {name: [] for name in encoders}
    others: dict[str, list[NDArray[np.float32]]] = {name: [] for name in encoders}
    for sequence, video in REAL.items():
        folder = data / "mot" / sequence
        truth = read_ground_truth(folder / "gt" / "gt.txt")
        numbers, people = [], []
        rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in encoders}
        step = max(1, round(video.frame_rate / FRAMES_PER_SECOND))
        for number, image in enumerate(_images(folder, video.length), 1):
            here = truth[truth.frame == number]
            if (number - 1) % step or len(here.ids) == 0:
                continue
            boxes = detector(number, image).boxes
            if not len(boxes):
                continue
            overlap = iou(boxes, here.boxes)
            hit = overlap.max(axis=1) > OVERLAP
            numbers.append(np.full(np.count_nonzero(hit), number))
            people.append(here.ids[overlap.argmax(axis=1)][hit])
            for name, encoder in encoders.items():
                rows[name].append(encoder(image, boxes[hit]))
        frame, person = np.concatenate(numbers), np.concatenate(people)
        lag = np.abs(frame - frame[:, None]) / video.frame_rate
        near = (lag >= SECONDS[0]) & (lag <= SECONDS[1])
        alike = person[:, None] == person
        asked = (near & alike).any(axis=1)
        for name in encoders:
            embeddings = np.concatenate(rows[name])
            distance = 1 - embeddings @ embeddings.T
            nearest = np.where(near, distance, np.inf).argmin(axis=1)
            hits[name].append(person[nearest[asked]] == person[asked])
            once = np.triu(near)
            same[name].append(distance[once & alike])
            others[name].append(distance[once & ~alike])
    found = {}
    for name, encoder in encoders.items():
        one, two = np.concatenate(same[name]), np.concatenate(others[name])
        limit = encoder.max_cosine_distance
        found[name] = TrackerPairs(
            rank1=float(np.concatenate(hits[name]).mean()),
            accepted=float((one <= np.quantile(two, 0.01)).mean()),
            false_accepts=float((two <= limit).mean()),
            accepts=float((one <= limit).mean()),
        )
    return found
