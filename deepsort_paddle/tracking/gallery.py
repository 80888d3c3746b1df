"""Galleries: the newest embeddings of every track, and the cosine distance to them.

All galleries are one contiguous ``(capacity, size, D)`` float32 array of unit rows; a track owns one
slot, a ring buffer of its newest ``size`` embeddings. Slots of dead tracks are used again, the
lowest first, so that memory follows the largest number of tracks ever alive at once.

Only the few pairs inside the motion gate need a distance: mostly one detection per track. A track's ring
times one embedding is a matrix-vector product that reads the ring once; ``np.matmul`` runs it for all tracks
in one call, straight from the array when most slots take part. Only tracks with many candidates use matrix
products, in slices that BLAS does not spread over threads: on a busy machine its threads wait for each other
(0.12 ms became 8).

In most of these pairs, neither the track nor the detection has another candidate. Such a pair is matched or
not, and its exact distance does not matter: if the track's newest embedding is near enough, it settles the
pair. With 500 people this avoids most of the reading (25 MB per frame).

The distance is to the nearest embedding of the ring, as published (Wojke et al. 2017, arXiv 1703.07402,
equation 3), or the mean over a few nearest ones: one embedding of a passer-by makes a track look like two
people; several of them seldom agree by chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gallery"]

# Candidates of a track up to this many are matrix-vector products, one call for each rank:
# 100 rings of 100 x 128 take 0.16 ms a rank, against 0.6 ms for two and 1.2 ms for eight at once.
_SINGLE_RANKS = 4
# Width of the matrix products for the candidates after them.
_WIDE = 16
# OpenBLAS runs a product on the calling thread up to this many multiply-adds.
_ONE_THREAD = 262_144
# From this fraction of all rings on, all are read in place, also those not needed; fewer are copied
# together, in chunks that stay in the cache, which costs about as much again.
_IN_PLACE = 1 / 2
_CHUNK_BYTES = 1 << 20
# Larger than the difference between float32 products of unit rows summed in different orders.
_ROUNDING = 1e-5


class Gallery:
    """Ring buffers of unit embeddings, one slot for each track.

    Args:
        size: embeddings kept for each track, at least 1.
        dimension: length D of an embedding.
        momentum: above 0, each track keeps one running mean instead, in which the past has this weight.
        neighbours: the distance is the mean over this many nearest embeddings, or all if there are fewer.

    Example:
        >>> gallery = Gallery(size=100, dimension=2)
        >>> slots = gallery.allocate(1)
        >>> gallery.add(slots, np.array([[1, 0]], np.float32))
        >>> other = np.array([[0, 1]], np.float32)
        >>> gallery.distance(slots, other, rows=np.array([0]), columns=np.array([0])).tolist()
        [1.0]
    """

    def __init__(self, size: int, dimension: int, *, momentum: float = 0.0, neighbours: int = 1) -> None:
        self.size = 1 if momentum else size
        self.dimension = dimension
        self.momentum = momentum
        self.neighbours = min(neighbours, self.size)
        self._samples = np.zeros((0, self.size, dimension), np.float32)
        # Added to similarities: 0 where a sample is, -inf where the ring is still empty.
        self._absent = np.zeros((0, self.size), np.float32)
        self._added = np.zeros(0, np.int64)
        self._free = np.zeros(0, np.int64)

    def allocate(self, count: int) -> NDArray[np.int64]:
        """Return ``(count,)`` int64 slots with empty rings, for new tracks."""
        missing = count - len(self._free)
        if missing > 0:
            self._grow(max(missing, len(self._added), 16))
        slots, self._free = self._free[:count], self._free[count:]
        self._absent[slots] = -np.inf
        self._added[slots] = 0
        return slots

    def release(self, slots: NDArray[np.int64]) -> None:
        """Free the ``(K,)`` slots of dead tracks."""
        if len(slots):
            self._free = np.sort(np.concatenate([self._free, slots]))

    def add(self, slots: NDArray[np.int64], embeddings: NDArray[np.float32]) -> None:
        """Store one embedding in each slot; it replaces the oldest if the ring is full.

        Args:
            slots: ``(N,)``, each at most once.
            embeddings: ``(N, D)`` unit rows; a zero row means 'no appearance' and is skipped.
        """
        if len(slots) == 0:
            return
        real = embeddings.any(axis=1)
        if not real.all():
            slots, embeddings = slots[real], embeddings[real]
        if self.momentum:
            embeddings = self._mean(slots, embeddings)
        place = self._added[slots] % self.size
        self._samples[slots, place] = embeddings
        self._absent[slots, place] = 0.0
        self._added[slots] += 1

    def distance(
        self,
        slots: NDArray[np.int64],
        embeddings: NDArray[np.float32],
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        *,
        enough: float = -1.0,
    ) -> NDArray[np.float32]:
        """Compute the cosine distance between a slot's nearest embeddings and an embedding, pair by pair.

        Args:
            slots: ``(T,)``.
            embeddings: ``(N, D)`` unit rows.
            rows: ``(P,)`` positions in ``slots``, ascending.
            columns: ``(P,)`` rows of ``embeddings``.
            enough: a pair whose row and column are in no other pair may get the distance to the newest
                embedding instead, if that is at most this. Unused with several neighbours.

        Returns:
            ``(P,)`` float32 in [0, 2] within rounding; infinity for empty rings and zero embeddings.
        """
        distance = np.empty(len(rows), np.float32)
        counts = np.bincount(rows, minlength=len(slots))  # candidates of each slot
        if enough < 0 or self.neighbours > 1:
            distance[:] = 1.0 - self._nearest(slots, embeddings, columns, counts)
        else:
            lone = (counts[rows] == 1) & (np.bincount(columns, minlength=1)[columns] == 1)
            pair = lone.nonzero()[0]
            own = slots[rows[pair]]
            newest = self._samples[own, (self._added[own] - 1) % self.size]
            near = 1.0 - np.einsum("pd,pd->p", newest, embeddings[columns[pair]])
            # Rounding depends on the order of summation: at the limit itself all rings decide.
            settled = (near <= enough - _ROUNDING) & (self._added[own] > 0)
            distance[pair] = near
            lone[pair] = settled
            rest = (~lone).nonzero()[0]
            if len(rest):
                counts[rows[pair[settled]]] = 0
                distance[rest] = 1.0 - self._nearest(slots, embeddings, columns[rest], counts)
        absent: NDArray[np.bool_] = np.einsum("nd,nd->n", embeddings, embeddings) == 0
        if absent.any():
            distance[absent[columns]] = np.inf
        return distance

    def _nearest(
        self,
        slots: NDArray[np.int64],
        embeddings: NDArray[np.float32],
        columns: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return the similarity of each pair, ``(P,)``: the first ``counts[0]`` are of slot 0, and so on."""
        similarity = np.empty(len(columns), np.float32)
        first = np.cumsum(counts) - counts
        most = int(counts.max(initial=0))
        rank = 0
        while rank < most:
            # Candidates [rank, rank + width) of each slot that has them; short ones repeat their last.
            width = 1 if rank < _SINGLE_RANKS else _WIDE
            taking = (counts > rank).nonzero()[0]
            place = first[taking, None] + np.minimum(rank + np.arange(width), counts[taking, None] - 1)
            similarity[place] = self._similarity(slots[taking], embeddings[columns[place]])  # (S, width)
            rank += width
        return similarity

    def samples(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return copies of the rings, ``(T, filled, D)``, and the number ever added to each, ``(T,)``."""
        added = self._added[slots]
        filled = int(min(self.size, added.max(initial=0)))
        return self._samples[slots, :filled], added

    def restore(self, samples: NDArray[np.float32], added: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return ``(T,)`` slots that hold the rings which ``samples`` returned."""
        slots = self.allocate(len(added))
        self._samples[slots, : samples.shape[1]] = samples
        self._added[slots] = added
        self._absent[slots] = np.where(np.arange(self.size) < added[:, None], 0.0, -np.inf)
        return slots

    def _mean(self, slots: NDArray[np.int64], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the running means including ``embeddings``; a track's first one is its mean."""
        past = self.momentum * (self._added[slots] > 0)[:, None]
        mean = past * self._samples[slots, 0] + (1 - past) * embeddings
        norm = np.linalg.norm(mean, axis=1, keepdims=True)
        unit: NDArray[np.float32] = np.divide(mean, norm, out=embeddings.copy(), where=norm > 1e-6).astype(
            np.float32
        )
        return unit

    def _similarity(self, slots: NDArray[np.int64], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the ``(S, W)`` similarity of each slot's nearest embeddings to its ``(S, W, D)`` rows."""
        stop = int(slots.max()) + 1
        if len(slots) >= _IN_PLACE * stop:
            placed = np.zeros((stop, *embeddings.shape[1:]), np.float32)
            placed[slots] = embeddings
            return self._largest_products(slice(stop), placed)[slots]
        chunk = max(1, _CHUNK_BYTES // (4 * self.size * self.dimension))
        parts = [slice(start, start + chunk) for start in range(0, len(slots), chunk)]
        return np.concatenate([self._largest_products(slots[part], embeddings[part]) for part in parts])

    def _largest_products(
        self, rings: slice | NDArray[np.int64], embeddings: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Do the work of ``_similarity``, on a slice of the array or a small copy of some rings."""
        count, width, _ = embeddings.shape
        added = self._added[rings]
        filled = int(min(self.size, added.max()))
        full = int(added.min()) >= filled
        step = filled if width == 1 else max(1, _ONE_THREAD // (width * self.dimension))
        few = min(self.neighbours, filled)
        largest = np.full((count, max(few, 1), width), -np.inf, np.float32)
        for start in range(0, filled, max(step, 1)):
            part = slice(start, min(start + step, filled))
            products = np.matmul(self._samples[rings, part], embeddings.transpose(0, 2, 1))  # (S, part, W)
            if not full:
                products += self._absent[rings, part, None]
            if few > 1:
                both = np.concatenate([largest, products], axis=1)
                largest = np.partition(both, -few, axis=1)[:, -few:]
            else:
                np.maximum(largest, products.max(axis=1, keepdims=True), out=largest)
        if few < 2:
            return largest[:, 0]
        real = np.minimum(added, few)[:, None]  # (S, 1), the others are -inf
        total: NDArray[np.float32] = np.where(np.isfinite(largest), largest, 0).sum(axis=1)
        np.divide(total, real, out=total, where=real > 0)
        total[added == 0] = -np.inf
        return total

    def _grow(self, extra: int) -> None:
        """Append ``extra`` free slots."""
        old = len(self._added)
        self._samples = _longer(self._samples, extra)
        self._absent = _longer(self._absent, extra)
        self._added = _longer(self._added, extra)
        self._free = np.concatenate([self._free, np.arange(old, old + extra)])


def _longer(array: NDArray[Any], extra: int) -> NDArray[Any]:
    """Return a copy with ``extra`` zero rows appended; zero pages cost no memory until they are written."""
    longer = np.zeros((len(array) + extra, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
