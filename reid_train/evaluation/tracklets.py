"""Distances between tracklets: the few crops of a person in one camera, as a tracker keeps them of a track.

Joining tracks compares sets of crops, not single images, so its distributions are other than those of the
calibrated threshold. An export carries both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.people.similarity import pair_distances

__all__ = ["TrackletDistances", "tracklet_distances"]

# Crops of a tracklet, spread over its images; a track index keeps about as many.
CROPS = 8
# A calibration set of 2,000 tracklets has 2 million pairs; more change nothing.
MOST_TRACKLETS = 2000


@dataclass(frozen=True)
class TrackletDistances:
    """Distances of the pairs of one kind; the lower quartile of the distances between all crops of both.

    Attributes:
        kind: ``same_across_cameras``, ``different_in_camera`` or ``different_across_cameras``.
        mean, deviation: of the distances.
        deciles: 0 %, 10 %, ..., 100 % of the pairs are at most that far apart.
        pairs: number of pairs.
        crops: largest number of crops in a tracklet.
    """

    kind: str
    mean: float
    deviation: float
    deciles: tuple[float, ...]
    pairs: int
    crops: int


def tracklet_distances(
    embeddings: NDArray[np.float32], pids: NDArray[np.int64], camids: NDArray[np.int64]
) -> tuple[TrackletDistances, ...]:
    """Distances between the tracklets of a set of images, one entry for each kind that has pairs.

    Args:
        embeddings: ``(N, D)`` unit rows.
        pids: ``(N,)`` persons; junk and distractors (below 1) are left out.
        camids: ``(N,)`` cameras; images without one (0) are left out.
    """
    rows = np.flatnonzero((pids > 0) & (camids > 0))
    keys, owner = np.unique(np.stack([pids[rows], camids[rows]], axis=1), axis=0, return_inverse=True)
    keys = keys[:MOST_TRACKLETS]
    chosen = []
    for tracklet in range(len(keys)):
        own = rows[owner.reshape(-1) == tracklet]
        places = np.unique(np.linspace(0, len(own) - 1, min(len(own), CROPS)).round().astype(np.int64))
        chosen.append(own[places])
    if len(keys) < 2:
        return ()
    first, second = np.triu_indices(len(keys), 1)
    distances = pair_distances(
        embeddings[np.concatenate(chosen)],
        np.repeat(np.arange(len(keys)), [len(own) for own in chosen]),
        len(keys),
        np.column_stack([first, second]),
    )
    same = keys[first, 0] == keys[second, 0]
    inside = keys[first, 1] == keys[second, 1]
    kinds = {
        "same_across_cameras": same,
        "different_in_camera": ~same & inside,
        "different_across_cameras": ~same & ~inside,
    }
    return tuple(_summary(name, distances[here]) for name, here in kinds.items() if here.any())


def _summary(kind: str, distances: NDArray[np.float32]) -> TrackletDistances:
    deciles = np.quantile(distances, np.linspace(0, 1, 11))
    return TrackletDistances(
        kind,
        round(float(distances.mean()), 6),
        round(float(distances.std()), 6),
        tuple(np.round(deciles, 6).tolist()),
        len(distances),
        CROPS,
    )
