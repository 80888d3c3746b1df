"""Estimate whether two tracks are one person from the distances between their stored crops.

The distance of two tracks is the lower quartile of the cosine distances between all their crops: some crops
of one person always differ (front and back), so the mean is too strict, and the minimum depends on a single
odd crop.

The model's calibration has the distributions of distances between single images of one person and of
different persons. The lower quartile is smaller and varies less; by how much was measured on sets of 2 to 8
crops (``_OF_SETS``). People of a video who are seen at the same time are certainly different, so they correct
the second distribution for the video's light, distance and clothes. The log odds of a pair are the log
likelihood ratio of both distributions plus the prior: among T tracks, the odds that a track is the same as a
given one are about 1 to 2 T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.people.model import ReidModel

__all__ = ["LinkModel", "pair_distances", "query_distances", "to_probability"]

_QUARTILE = 0.25
# Tracklets of Market-1501's held-out persons, in standard deviations of single images: how much lower the
# quartile is, and its standard deviation.
_OF_SETS = {"same": (-0.5, 0.6), "different": (-0.4, 0.9)}
# Share of outliers: wrong boxes, two people in one crop, the same clothes.
_OUTLIERS = 0.01
# The calibration counts as this number of different-person pairs.
_PRIOR_PAIRS = 20
# Pairs compared at a time.
_PAIRS = 4096


def query_distances(
    query: NDArray[np.float32], embeddings: NDArray[np.float32], owner: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """Compute the distances of one set of crops to all tracks, by one matrix product.

    Args:
        query: ``(Q, D)`` unit rows, at least one.
        embeddings: ``(M, D)`` unit rows.
        owner: ``(M,)`` track of each, ascending.
        count: T, number of tracks.

    Returns:
        ``(T,)``; infinity for a track without embeddings.
    """
    sizes = np.bincount(owner, minlength=count)
    known = np.flatnonzero(sizes)
    distances = np.full(count, np.inf, np.float32)
    if len(known):
        column = np.arange(len(owner)) - (np.cumsum(sizes) - sizes)[owner]
        every = np.full((count, int(sizes.max()), len(query)), np.inf, np.float32)
        every[owner, column] = 1.0 - embeddings @ query.T  # (M, Q)
        distances[known] = _lower_quartile(every[known].reshape(len(known), -1), sizes[known] * len(query))
    return distances


def pair_distances(
    embeddings: NDArray[np.float32], owner: NDArray[np.int64], count: int, pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Compute the distances of pairs of tracks.

    Args:
        embeddings: ``(M, D)`` unit rows.
        owner: ``(M,)`` track of each, ascending.
        count: T, number of tracks.
        pairs: ``(P, 2)`` tracks.

    Returns:
        ``(P,)``; infinity if a track has no embedding.
    """
    sizes = np.bincount(owner, minlength=count)
    starts = np.cumsum(sizes) - sizes
    distances = np.full(len(pairs), np.inf, np.float32)
    known = np.flatnonzero((sizes[pairs] > 0).all(axis=1))
    width = int(sizes.max(initial=0))
    each = np.arange(width)
    for start in range(0, len(known), _PAIRS):
        rows = known[start : start + _PAIRS]
        first, second = pairs[rows].T
        sets, inside = [], []
        for side in (first, second):
            inside.append(each < sizes[side, None])  # (p, K)
            sets.append(embeddings[np.where(inside[-1], starts[side, None] + each, 0)])  # (p, K, D)
        every = 1.0 - sets[0] @ sets[1].transpose(0, 2, 1)  # (p, K, K)
        every[~(inside[0][:, :, None] & inside[1][:, None, :])] = np.inf
        distances[rows] = _lower_quartile(every.reshape(len(rows), -1), sizes[first] * sizes[second])
    return distances


def _lower_quartile(values: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the lower quartile of the ``counts`` finite values of each row; others are infinite."""
    place = _QUARTILE * (counts - 1)
    low = np.floor(place).astype(np.int64)
    ordered = np.partition(values, np.unique(np.concatenate([low, np.minimum(low + 1, counts - 1)])), axis=1)
    each = np.arange(len(values))
    below, above = ordered[each, low], ordered[each, np.minimum(low + 1, counts - 1)]
    quartile: NDArray[np.float32] = (below + (place - low) * (above - below)).astype(np.float32)
    return quartile


@dataclass(frozen=True, slots=True)
class LinkModel:
    """Distributions of the distances between tracks of one person, and of different people.

    Attributes:
        same: mean and standard deviation.
        different: mean and standard deviation.

    Example:
        >>> links = LinkModel(same=(0.3, 0.1), different=(0.9, 0.1))
        >>> links.probability(np.array([0.2, 0.6, 1.0]), tracks=10).round(3).tolist()
        [0.952, 0.048, 0.0]
    """

    same: tuple[float, float]
    different: tuple[float, float]

    @classmethod
    def of(cls, model: ReidModel) -> Self:
        """Return the distributions of a model's calibration, or from its threshold if it has no histogram."""
        if model.histogram_edges:
            edges = np.array(model.histogram_edges)
            single = {"same": _moments(edges, model.same), "different": _moments(edges, model.different)}
        else:
            # In calibrated models the threshold is near the mean distance of one person's images.
            limit = model.max_cosine_distance
            single = {"same": (limit, 0.5 * limit), "different": (2.5 * limit, 0.4 * limit)}
        return cls(
            **{
                kind: (mean + _OF_SETS[kind][0] * deviation, _OF_SETS[kind][1] * deviation)
                for kind, (mean, deviation) in single.items()
            }
        )

    def adapted(self, negatives: NDArray[np.floating]) -> Self:
        """Correct the distributions by distances of tracks that are certainly different people, ``(N,)``."""
        known = negatives[np.isfinite(negatives)].astype(np.float64)
        if not len(known):
            return self
        mean, deviation = self.different
        own = len(known) / (len(known) + _PRIOR_PAIRS)
        variance = own * known.var() + (1 - own) * deviation**2
        return replace(
            self, different=(float(own * known.mean() + (1 - own) * mean), float(np.sqrt(variance)))
        )

    def log_odds(self, distance: NDArray[np.floating], *, tracks: int) -> NDArray[np.float64]:
        """Return the log odds that pairs at these distances are one person.

        Args:
            distance: distances of `pair_distances`, any shape.
            tracks: T, the number of tracks searched.

        Returns:
            Log odds in the same shape.
        """
        distance = np.asarray(distance, dtype=np.float64)
        (mean, deviation), (other_mean, other_deviation) = self.same, self.different
        # Smaller distances must not be less likely: both curves are constant beyond their means.
        same = _density(np.maximum(distance, mean), mean, deviation)
        different = _density(np.minimum(distance, other_mean), other_mean, other_deviation)
        ratio = np.log(same + _OUTLIERS) - np.log(different + _OUTLIERS)
        odds: NDArray[np.float64] = ratio - np.log(2.0 * max(tracks, 1))
        return odds

    def probability(self, distance: NDArray[np.floating], *, tracks: int) -> NDArray[np.float64]:
        """Return `log_odds` as probabilities."""
        return to_probability(self.log_odds(distance, tracks=tracks))


def to_probability(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the logistic function."""
    probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-log_odds))
    return probability


def _moments(edges: NDArray[np.float64], shares: tuple[float, ...]) -> tuple[float, float]:
    """Return mean and standard deviation of a histogram."""
    middle, weights = 0.5 * (edges[1:] + edges[:-1]), np.array(shares)
    weights = weights / max(weights.sum(), 1e-12)
    mean = float(weights @ middle)
    return mean, max(float(np.sqrt(weights @ (middle - mean) ** 2)), 1e-3)


def _density(value: NDArray[np.float64], mean: float, deviation: float) -> NDArray[np.float64]:
    """Return the normal density, mixed with the share of outliers."""
    scaled = (value - mean) / deviation
    density: NDArray[np.float64] = (
        (1 - _OUTLIERS) * np.exp(-0.5 * scaled**2) / (deviation * np.sqrt(2 * np.pi))
    )
    return density
