"""Re-ranking with k-reciprocal encoding (Zhong, Zheng, Cao and Li, CVPR 2017, arXiv 1701.08398).

Two images that are mutual nearest neighbours probably show the same person. Each image is encoded by its
k-reciprocal neighbours, weighted by distance (equations 3 to 7) and averaged over its nearest images
(equation 11). Two images are compared by the Jaccard distance of their encodings (equation 10), blended with
the original distance (equation 12). Re-ranking uses all queries and the whole gallery at once, which a live
system does not have, so its metrics are reported separately.

Where the paper is silent, this follows common practice: neighbours are searched among queries and gallery
together, an image is its own nearest neighbour, distances are squared Euclidean distances divided by the
largest of their row, and the weights of an image sum to one.

The full distance matrix is never stored: neighbours are computed in blocks of rows, and encodings are sparse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["ReRanker", "rerank", "reranking_memory"]

BLOCK_VALUES = 2**24  # similarities held at a time: 64 MiB of float32
SET_BLOCK = 1024  # rows whose neighbour sets are compared at a time
PAIR_BLOCK = 2**18  # pairs whose similarity is computed at a time
DEFAULT_MEMORY = 4 * 2**30


def reranking_memory(images: int, embedding_size: int, *, k1: int = 20, k2: int = 6) -> int:
    """Return an upper bound in bytes of the memory that re-ranking needs.

    It holds for any embeddings. Real embeddings need a fraction of it: an expanded set (equation 5) has up to
    ``(k1 + 1) * (half + 1)`` members, but the sets of neighbours mostly overlap.

    Args:
        images: number of queries and gallery images.
        embedding_size: D.
        k1: see `ReRanker`.
        k2: see `ReRanker`.
    """
    members = min((k1 + 1) * (_half(k1) + 1), images)
    averaged = min(members * k2, images)
    # Encodings before and after averaging, and transposed, at 4 + 4 bytes per value (indices need 8 bytes
    # for more than 2**31 values); neighbour lists; embeddings; blocks.
    index_size = 4 if images * averaged < 2**31 else 8
    values = images * (members + 2 * averaged) * (4 + index_size)
    return values + images * (8 * (k1 + 1) * 2 + 4 * embedding_size) + 6 * 4 * BLOCK_VALUES


class ReRanker:
    """k-reciprocal encodings of a set of images, and re-ranked distances between any of them.

    Args:
        embeddings: ``(N, D)`` unit rows of queries and gallery together, each image once.
        k1: number of neighbours in the reciprocal test.
        k2: number of nearest images over which encodings are averaged.
        weight: lambda, the weight of the original distance.
        memory: limit in bytes.

    Raises:
        ValueError: a parameter is out of range, there are fewer than two images, or `reranking_memory`
            exceeds ``memory``.

    Example:
        >>> images = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]  # two persons, two images each
        >>> distances = ReRanker(images, k1=1, k2=1).distances(np.array([0]), np.array([1, 2]))
        >>> bool(distances[0, 0] < distances[0, 1])
        True
    """

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        *,
        k1: int = 20,
        k2: int = 6,
        weight: float = 0.3,
        memory: int = DEFAULT_MEMORY,
    ) -> None:
        if not 1 <= k2 <= k1:
            raise ValueError(f"re-ranking needs 1 <= k2 <= k1, got k1={k1} and k2={k2}")
        if not 0 <= weight <= 1:
            raise ValueError(f"the plain distance's weight (lambda) must be in [0, 1], got {weight}")
        if embeddings.ndim != 2 or len(embeddings) < 2:
            raise ValueError(
                f"re-ranking needs (N, D) embeddings of at least 2 images, got {embeddings.shape}"
            )
        need = reranking_memory(*embeddings.shape, k1=k1, k2=k2)
        if need > memory:
            raise ValueError(
                f"re-ranking {len(embeddings):,} images may take {need / 2**30:.1f} GiB, "
                f"the limit is {memory / 2**30:.1f} GiB"
            )
        self._embeddings = embeddings
        self._weight = weight
        neighbours, self._farthest = _neighbours(embeddings, k1)
        members = _expanded_sets(neighbours, k1)
        encodings = self._encode(members)
        nearest = neighbours[:, :k2]
        average = sparse.csr_array(
            (
                np.full(nearest.size, 1.0 / nearest.shape[1], np.float32),
                nearest.ravel(),
                np.arange(0, nearest.size + 1, nearest.shape[1]),
            ),
            shape=(len(embeddings), len(embeddings)),
        )
        self._encodings = sparse.csr_array(average @ encodings)  # equation 11
        del encodings
        self._holders = sparse.csr_array(self._encodings.T)

    def distances(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return re-ranked distances ``(r, c)`` in [0, 1] from images ``rows`` to images ``columns``."""
        plain = self._plain(rows, self._embeddings[columns])
        count = len(self._embeddings)
        for place, row in enumerate(rows):
            start, end = self._encodings.indptr[row : row + 2]
            holders = self._holders[self._encodings.indices[start:end]]
            own = np.repeat(self._encodings.data[start:end], np.diff(holders.indptr))
            shared = np.bincount(holders.indices, np.minimum(holders.data, own), minlength=count)[columns]
            # Both encodings sum to one, so the sum of maxima is two minus the sum of minima.
            jaccard = 1.0 - shared / (2.0 - shared)  # equation 10
            plain[place] = (1.0 - self._weight) * jaccard + self._weight * plain[place]  # equation 12
        return plain

    def _plain(self, rows: NDArray[np.int64], others: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return squared Euclidean distances, divided by the largest of each row."""
        distances = np.maximum(2.0 - 2.0 * (self._embeddings[rows] @ others.T), 0.0)
        return np.asarray(distances / self._farthest[rows, None], np.float32)

    def _encode(self, members: sparse.csr_array) -> sparse.csr_array:
        """Return the weights exp(-distance) of each image's set, normalised to sum one (equation 7)."""
        lengths = np.diff(members.indptr)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        weights = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), PAIR_BLOCK):
            part = slice(start, start + PAIR_BLOCK)
            similarity = np.einsum(
                "nd,nd->n", self._embeddings[rows[part]], self._embeddings[members.indices[part]]
            )
            weights[part] = np.exp(-np.maximum(2.0 - 2.0 * similarity, 0.0) / self._farthest[rows[part]])
        weights /= np.repeat(np.add.reduceat(weights, members.indptr[:-1]), lengths)
        return sparse.csr_array((weights, members.indices, members.indptr), shape=members.shape)


def rerank(
    query_embeddings: NDArray[np.float32],
    gallery_embeddings: NDArray[np.float32],
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
) -> NDArray[np.float32]:
    """Re-rank a gallery for queries that are not part of it.

    Args:
        query_embeddings: ``(Q, D)`` unit rows.
        gallery_embeddings: ``(G, D)`` unit rows.
        k1: see `ReRanker`.
        k2: see `ReRanker`.
        weight: see `ReRanker`.

    Returns:
        Distances ``(Q, G)`` in [0, 1].

    Raises:
        ValueError: as `ReRanker`.
    """
    images = np.concatenate([query_embeddings, gallery_embeddings])
    rows = np.arange(len(images))
    queries = len(query_embeddings)
    return ReRanker(images, k1=k1, k2=k2, weight=weight).distances(rows[:queries], rows[queries:])


def _half(k1: int) -> int:
    return max(1, round(k1 / 2))


def _neighbours(embeddings: NDArray[np.float32], k1: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each image and its k1 nearest, ``(N, k1 + 1)``, and its largest squared distance, ``(N,)``."""
    count = len(embeddings)
    k1 = min(k1, count - 1)
    neighbours = np.empty((count, k1 + 1), np.int64)
    farthest = np.empty(count, np.float32)
    size = max(1, BLOCK_VALUES // count)
    for start in range(0, count, size):
        rows = np.arange(start, min(start + size, count))
        similarity = embeddings[rows] @ embeddings.T  # (b, N)
        farthest[rows] = 2.0 - 2.0 * similarity.min(axis=1)
        similarity[np.arange(len(rows)), rows] = np.inf
        for row, values in zip(rows, similarity, strict=True):
            near = np.flatnonzero(values >= np.partition(values, count - k1 - 1)[count - k1 - 1])
            neighbours[row] = near[np.argsort(-values[near], kind="stable")[: k1 + 1]]
    return neighbours, np.maximum(farthest, 1e-12)


def _expanded_sets(neighbours: NDArray[np.int64], k1: int) -> sparse.csr_array:
    """Return the sets R*(p, k1) of equations 3 to 5 as an ``(N, N)`` pattern with sorted indices."""
    count = len(neighbours)
    half = neighbours[:, : _half(k1) + 1]
    whole_mutual = _mutual(neighbours)  # (N, k1 + 1): which neighbours are in R(p, k1)
    half_mutual = _mutual(half)  # (N, half + 1): which are in R(p, k1 / 2)
    rows, columns = [], []
    for start in range(0, count, SET_BLOCK):
        own = slice(start, min(start + SET_BLOCK, count))
        images = np.arange(own.start, own.stop)
        members = np.where(whole_mutual[own], neighbours[own], -1)  # (b, K)
        theirs = half[neighbours[own]]  # (b, K, H): neighbours of each candidate
        valid = half_mutual[neighbours[own]]
        common = np.zeros(theirs.shape, np.bool_)
        for member in members.T:  # one member at a time keeps the arrays at three dimensions
            common |= theirs == member[:, None, None]
        common &= valid
        # |R(p) ∩ R(q)| >= 2/3 |R(q)|, in integers.
        joins = whole_mutual[own] & (3 * common.sum(axis=2) >= 2 * valid.sum(axis=2))
        added = np.where(valid & joins[:, :, None], theirs, -1).reshape(len(images), -1)
        every = np.concatenate([members, added], axis=1)
        every.sort(axis=1)
        first = every >= 0
        first[:, 1:] &= every[:, 1:] != every[:, :-1]
        rows.append(np.count_nonzero(first, axis=1))
        columns.append(every[first])
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(rows))])
    indices = np.concatenate(columns)
    return sparse.csr_array((np.ones(len(indices), np.bool_), indices, indptr), shape=(count, count))


def _mutual(neighbours: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which neighbours have the image among their neighbours (equation 3), in the input's shape."""
    mutual = np.empty(neighbours.shape, np.bool_)
    for start in range(0, len(neighbours), SET_BLOCK):
        own = slice(start, min(start + SET_BLOCK, len(neighbours)))
        images = np.arange(own.start, own.stop)
        mutual[own] = (neighbours[neighbours[own]] == images[:, None, None]).any(axis=2)
    return mutual
