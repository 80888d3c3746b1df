"""Agglomerative clustering of tracks by log odds, with pairs that must stay apart.

Average linkage: two clusters are as close as the mean log odds of all pairs between them. Pairs that are
not given are certainly different and count with a floor. The closest two clusters that may be joined are,
until none reaches the threshold. It works on a list of pairs, so 100,000 tracks of which each has a few
candidates need no matrix.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clusters", "cluster"]


class Clusters:
    """Clusters of ``count`` items, with pairs that must stay apart.

    Attributes:
        labels: ``(N,)`` the smallest item of each one's cluster.
        strength: ``(N,)`` log odds of the weakest join that each took part in; NaN for one alone.
        joins: log odds of all joins; those below the threshold were only considered.

    Example:
        >>> clusters = cluster(3, np.array([[0, 1], [1, 2]]), np.array([3.0, 2.0]), apart=[(0, 1)])
        >>> clusters.labels.tolist(), clusters.strength.tolist()
        ([0, 1, 1], [nan, 2.0, 2.0])
    """

    def __init__(self, count: int, apart: Iterable[tuple[int, int]]) -> None:
        self.labels = np.arange(count)
        self.strength = np.full(count, np.nan)
        self.joins: list[float] = []
        self._members = [[item] for item in range(count)]
        self._apart: list[set[int]] = [set() for _ in range(count)]
        for first, second in apart:
            self._apart[first].add(second)
            self._apart[second].add(first)

    def may_join(self, first: int, second: int) -> bool:
        """Whether no item of the one must stay apart from an item of the other."""
        return second not in self._apart[first]

    def join(self, kept: int, gone: int, log_odds: float) -> None:
        """Add a cluster to another one; each item's strength is that of the weakest join it took part in."""
        self._members[kept] += self._members[gone]
        self.labels[self._members[gone]] = kept
        self._members[gone] = []
        for other in self._apart[gone]:
            self._apart[other].discard(gone)
            self._apart[other].add(kept)
        self._apart[kept] |= self._apart[gone]
        self._apart[gone] = set()
        self.joins.append(log_odds)
        rows = self._members[kept]
        self.strength[rows] = np.fmin(self.strength[rows], log_odds)


def cluster(
    count: int,
    pairs: NDArray[np.int64],
    log_odds: NDArray[np.float64],
    *,
    apart: Iterable[tuple[int, int]] = (),
    threshold: float = 0.0,
    floor: float = -8.0,
    considered: float | None = None,
) -> Clusters:
    """Join items to clusters.

    Args:
        count: number of items.
        pairs: ``(E, 2)`` items, each pair once.
        log_odds: ``(E,)`` that a pair belongs together.
        apart: pairs that must never be in one cluster.
        threshold: least mean log odds of two clusters that are joined.
        floor: log odds of all other pairs, and the least of any.
        considered: go on to this mean, to learn which joins were near; they change only `Clusters.joins`.

    Returns:
        the clusters; a label is the smallest item of its cluster.
    """
    clusters = Clusters(count, apart)
    least = threshold if considered is None else min(considered, threshold)
    made: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None
    # Of each cluster, what the given pairs to other clusters bring above the floor, summed up.
    above: list[dict[int, float]] = [{} for _ in range(count)]
    size = [1] * count
    usable = (log_odds > floor) & (pairs[:, 0] != pairs[:, 1])
    first, second = np.sort(pairs[usable], axis=1).T
    value = log_odds[usable] - floor
    for one, other, bonus in zip(first.tolist(), second.tolist(), value.tolist(), strict=True):
        above[one][other] = above[other][one] = bonus
    mean = floor + value
    near = mean >= least
    columns = (-mean[near]).tolist(), first[near].tolist(), second[near].tolist()
    heap: list[tuple[float, int, int]] = list(zip(*columns, strict=True))
    heapq.heapify(heap)
    while heap:
        cost, kept, gone = heapq.heappop(heap)
        if gone not in above[kept]:
            continue
        if -cost != floor + above[kept][gone] / (size[kept] * size[gone]):
            continue  # one of the two has grown since
        if not clusters.may_join(kept, gone):
            continue
        if -cost < threshold and made is None:
            made = clusters.labels.copy(), clusters.strength.copy()
        clusters.join(kept, gone, -cost)
        for other, bonus in above[gone].items():
            del above[other][gone]
            if other != kept:
                above[kept][other] = above[kept].get(other, 0.0) + bonus
                above[other][kept] = above[kept][other]
        above[gone] = {}
        size[kept] += size[gone]
        for other, total in above[kept].items():
            joint = floor + total / (size[kept] * size[other])
            if joint >= least:
                heapq.heappush(heap, (-joint, min(kept, other), max(kept, other)))
    if made is not None:
        clusters.labels, clusters.strength = made
    return clusters
