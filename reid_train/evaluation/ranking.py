"""Rank a gallery for each query by any score, under the rules of the Market-1501 protocol.

For each query, gallery images of the same person in the same camera are removed and the rest is ranked.
Images of person -1 (junk) are ignored as queries and in the gallery. Person 0 marks distractors: always wrong
in the gallery, never a query. Camera 0 is unknown and matches no other camera. Ties are ranked in gallery
order.

Scores are computed for a block of queries at a time, so memory does not grow with the number of queries. No
ranking is sorted completely: the rank of a correct image is one plus the number of images before it, and only
images up to the farthest correct one are sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["GalleryRules", "QueryRanks", "RankingFigures", "rank_queries", "score_blocks"]

JUNK = -1
NO_MATCH = "no query has an image of its person from another camera in the gallery"
BLOCK_VALUES = 2**24  # scores held at a time: 64 MiB of float32


@dataclass(frozen=True)
class RankingFigures:
    """Metrics of the Market-1501 protocol, each in [0, 1].

    Attributes:
        rank1, rank5, rank10: CMC at ranks 1, 5 and 10.
        mean_ap: mAP.
        mean_inp: mINP.
        queries: number of queries averaged, those with at least one correct image.
    """

    rank1: float
    rank5: float
    rank10: float
    mean_ap: float
    mean_inp: float
    queries: int


@dataclass(frozen=True, eq=False)
class QueryRanks:
    """The ranks of correct images, one row for each query that has any.

    Attributes:
        rows: ``(K,)`` query rows, ascending.
        first_hit: ``(K,)`` rank of the nearest correct image, from 1.
        average_precision: ``(K,)`` float64, non-interpolated.
        inverse_penalty: ``(K,)`` float64, number of correct images / rank of the last one.
        gallery_size: number of gallery images without junk.

    Example:
        >>> ones = np.ones(1)
        >>> ranks = QueryRanks(np.array([0]), np.array([2]), 0.5 * ones, 0.5 * ones, gallery_size=3)
        >>> ranks.cmc().tolist()
        [0.0, 1.0, 1.0]
    """

    rows: NDArray[np.int64]
    first_hit: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    inverse_penalty: NDArray[np.float64]
    gallery_size: int

    def cmc(self) -> NDArray[np.float64]:
        """Return the CMC, ``(gallery_size,)``: share of queries with a correct image up to rank 1, 2, ..."""
        hits = np.bincount(self.first_hit - 1, minlength=self.gallery_size)
        return np.asarray(np.cumsum(hits) / len(self.first_hit), np.float64)

    def figures(self) -> RankingFigures:
        """Return the averages over the queries."""
        return RankingFigures(
            rank1=float(np.mean(self.first_hit <= 1)),
            rank5=float(np.mean(self.first_hit <= 5)),
            rank10=float(np.mean(self.first_hit <= 10)),
            mean_ap=float(np.mean(self.average_precision)),
            mean_inp=float(np.mean(self.inverse_penalty)),
            queries=len(self.rows),
        )


class GalleryRules:
    """Decide which gallery rows are correct for a query, and which are removed.

    Args:
        query_pids, query_camids: ``(Q,)`` int64.
        gallery_pids, gallery_camids: ``(G,)`` int64.
        own_rows: ``(Q,)`` gallery row of the query image itself, -1 for none; always removed.

    Raises:
        ValueError: the lengths differ.

    Example:
        >>> one, two = np.array([1, 1, 2]), np.array([1, 2, 2])  # persons and cameras
        >>> correct, removed = GalleryRules(one, two, one, two)(0)
        >>> correct.tolist(), removed.tolist()
        ([1], [0])
    """

    def __init__(
        self,
        query_pids: NDArray[np.int64],
        query_camids: NDArray[np.int64],
        gallery_pids: NDArray[np.int64],
        gallery_camids: NDArray[np.int64],
        own_rows: NDArray[np.int64] | None = None,
    ) -> None:
        if own_rows is None:
            own_rows = np.full(len(query_pids), -1, np.int64)
        if not len(query_pids) == len(query_camids) == len(own_rows):
            raise ValueError(
                "query pids, camids and own rows must have one length, "
                f"got {len(query_pids)}, {len(query_camids)} and {len(own_rows)}"
            )
        if len(gallery_pids) != len(gallery_camids):
            raise ValueError(
                f"gallery pids and camids must have one length, got "
                f"{len(gallery_pids)} and {len(gallery_camids)}"
            )
        self._query_camids = query_camids
        self._gallery_camids = gallery_camids
        self._own_rows = own_rows
        self._by_person = np.argsort(gallery_pids, kind="stable")
        persons = gallery_pids[self._by_person]
        self._first = np.searchsorted(persons, query_pids, "left")
        self._last = np.searchsorted(persons, query_pids, "right")
        self.gallery_size = int(np.count_nonzero(gallery_pids != JUNK))
        self.junk = np.flatnonzero(gallery_pids == JUNK)
        self.queries = np.flatnonzero(query_pids > 0)

    def __call__(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the correct and the removed gallery rows of a query, ascending and without junk."""
        same = self._by_person[self._first[query] : self._last[query]]
        camera = self._query_camids[query]
        removed = same == self._own_rows[query]
        if camera != 0:
            removed |= self._gallery_camids[same] == camera
        return same[~removed], same[removed]

    def any_match(self) -> bool:
        """Return whether any query has a correct image."""
        return any(len(self(query)[0]) for query in self.queries.tolist())


def rank_queries(
    scores: Callable[[NDArray[np.int64]], NDArray[np.float32]], rules: GalleryRules, gallery_rows: int
) -> QueryRanks:
    """Rank the gallery for each query by any score.

    Args:
        scores: maps ``(q,)`` query rows to ``(q, G)`` finite scores, larger is nearer; they are overwritten.
        rules: the rules for these queries and this gallery.
        gallery_rows: G, including junk.

    Returns:
        The ranks of each query with a correct image.

    Raises:
        ValueError: no query has a correct image.
    """
    rows, first_hits, precisions, penalties = [], [], [], []
    for query, row_scores, right in score_blocks(scores, rules, gallery_rows):
        if len(right) == 0:
            continue
        ranks = np.sort(_ranks(row_scores, right))
        rows.append(query)
        first_hits.append(ranks[0])
        precisions.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
        penalties.append(len(ranks) / ranks[-1])
    if not rows:
        raise ValueError(NO_MATCH)
    return QueryRanks(
        np.array(rows, np.int64),
        np.array(first_hits, np.int64),
        np.array(precisions, np.float64),
        np.array(penalties, np.float64),
        rules.gallery_size,
    )


def score_blocks(
    scores: Callable[[NDArray[np.int64]], NDArray[np.float32]], rules: GalleryRules, gallery_rows: int
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int64]]]:
    """Yield each query, its ``(G,)`` scores (-inf for junk and removed rows), and its correct rows."""
    size = max(1, BLOCK_VALUES // max(gallery_rows, 1))
    for start in range(0, len(rules.queries), size):
        queries = rules.queries[start : start + size]
        block = scores(queries)  # (q, G)
        block[:, rules.junk] = -np.inf
        for query, row_scores in zip(queries.tolist(), block, strict=True):
            right, removed = rules(query)
            row_scores[removed] = -np.inf
            yield query, row_scores, right


def _ranks(scores: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ranks, from 1, of some rows among all scores."""
    targets = scores[rows]
    near = np.sort(scores[scores >= targets.min()])
    upper = np.searchsorted(near, targets, "right")
    ranks = len(near) - upper + 1
    for place in np.flatnonzero(upper - np.searchsorted(near, targets, "left") > 1):
        ranks[place] += np.count_nonzero(scores[: rows[place]] == targets[place])
    return np.asarray(ranks, np.int64)
