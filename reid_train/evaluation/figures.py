"""Re-identification metrics of embeddings: the Market-1501 protocol and Recall@k.

Market-1501 (Zheng et al., ICCV 2015) ranks the gallery for each query under the rules of
`reid_train.evaluation.ranking`. Rank-k is the share of queries with a correct image among the first k. mAP
averages the non-interpolated average precision, mINP (Ye et al., arXiv 2001.04193) the precision at the last
correct image. Recall@k is the metric of the original article: all images against all, ignoring cameras.
Similarity is the cosine, the dot product of unit rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_train.data.evaluation_sets import query_rows
from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.ranking import GalleryRules, QueryRanks, RankingFigures, rank_queries, score_blocks

__all__ = [
    "CAMERAS_UNKNOWN",
    "PROTOCOL",
    "DistanceHistogram",
    "RankList",
    "RankingFigures",
    "RecallFigures",
    "across_cameras",
    "cosine_scores",
    "distance_histogram",
    "market_figures",
    "market_ranks",
    "query_rows",
    "rank_lists",
    "ranking_figures",
    "recall_at",
    "recall_figures",
    "unknown_cameras",
]

PROTOCOL = "Market-1501 protocol"
CAMERAS_UNKNOWN = "cameras unknown, images from the query's camera count"


@dataclass(frozen=True)
class RecallFigures:
    """Recall@k of the original article: all images against all, in [0, 1].

    Attributes:
        recall1, recall5, recall10: share of images with an image of the same person among the k nearest.
        images: number of images; an image without a second image of its person counts as a miss.

    Example:
        >>> recall_figures(np.eye(2, dtype=np.float32)[[0, 0, 1]], np.array([1, 1, 2])).images
        3
    """

    recall1: float
    recall5: float
    recall10: float
    images: int


@dataclass(frozen=True, eq=False)
class RankList:
    """The first gallery images of one query's ranking, after the protocol's removals.

    Attributes:
        query: query row.
        gallery: ``(k,)`` gallery rows, nearest first.
        distances: ``(k,)`` float32 cosine distances.
        right: ``(k,)`` bool, whether the image shows the query's person.
    """

    query: int
    gallery: NDArray[np.int64]
    distances: NDArray[np.float32]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class DistanceHistogram:
    """Cosine distances of query-gallery pairs of the same person and of different persons.

    Attributes:
        edges: ``B + 1`` distances from 0 to 2.
        same, different: ``B`` shares of the pairs in each bin.
        same_pairs, different_pairs: number of pairs.

    Example:
        >>> DistanceHistogram((0.0, 1.0, 2.0), (1.0, 0.0), (0.2, 0.8), 10, 90).different_pairs
        90
    """

    edges: tuple[float, ...]
    same: tuple[float, ...]
    different: tuple[float, ...]
    same_pairs: int
    different_pairs: int


def cosine_scores(
    query_embeddings: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    gallery_embeddings: NDArray[np.float32],
    gallery_pids: NDArray[np.int64],
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Check the arrays and return a function from query rows to similarities with the gallery."""
    for what, embeddings, pids in (
        ("query", query_embeddings, query_pids),
        ("gallery", gallery_embeddings, gallery_pids),
    ):
        if embeddings.ndim != 2 or len(embeddings) != len(pids):
            raise ValueError(f"{what} embeddings must be ({len(pids)}, D), got {embeddings.shape}")
        lengths = np.einsum("nd,nd->n", embeddings, embeddings)
        # Zero rows (of a collapsed network) are ranked like any other; NaN fails every comparison.
        fine = (np.abs(lengths - 1) < 0.02) | (lengths == 0)
        if not fine.all():
            raise ValueError(
                f"{what} embeddings must be finite unit rows, "
                f"{np.count_nonzero(~fine)} of {len(fine)} are not"
            )
    if query_embeddings.shape[1] != gallery_embeddings.shape[1]:
        raise ValueError(
            "query and gallery embeddings must have one size, "
            f"got {query_embeddings.shape[1]} and {gallery_embeddings.shape[1]}"
        )
    return lambda rows: query_embeddings[rows] @ gallery_embeddings.T


def market_ranks(
    query_embeddings: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    query_camids: NDArray[np.int64],
    gallery_embeddings: NDArray[np.float32],
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
    *,
    own_rows: NDArray[np.int64] | None = None,
) -> QueryRanks:
    """Rank the gallery by the Market-1501 protocol, under the rules of `reid_train.evaluation.ranking`.

    Args:
        query_embeddings: ``(Q, D)`` unit rows.
        query_pids: ``(Q,)`` int64.
        query_camids: ``(Q,)`` int64.
        gallery_embeddings: ``(G, D)`` unit rows.
        gallery_pids: ``(G,)`` int64.
        gallery_camids: ``(G,)`` int64.
        own_rows: ``(Q,)`` gallery row of the query image itself, -1 for none. Only needed if queries are
            part of the gallery and their camera is unknown.

    Returns:
        The ranks of each query with a correct image.

    Raises:
        ValueError: shapes do not match, embeddings are not unit rows, or no query has a correct image.
    """
    scores = cosine_scores(query_embeddings, query_pids, gallery_embeddings, gallery_pids)
    rules = GalleryRules(query_pids, query_camids, gallery_pids, gallery_camids, own_rows)
    return rank_queries(scores, rules, len(gallery_pids))


def market_figures(
    query_embeddings: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    query_camids: NDArray[np.int64],
    gallery_embeddings: NDArray[np.float32],
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
    *,
    own_rows: NDArray[np.int64] | None = None,
) -> RankingFigures:
    """Return the averages of `market_ranks`, with the same arguments and errors."""
    return market_ranks(
        query_embeddings,
        query_pids,
        query_camids,
        gallery_embeddings,
        gallery_pids,
        gallery_camids,
        own_rows=own_rows,
    ).figures()


def recall_at(embeddings: NDArray[np.float32], pids: NDArray[np.int64], k: int = 1) -> float:
    """Return the share of images with an image of the same person among their k nearest other images.

    Args:
        embeddings: ``(N, D)`` unit rows.
        pids: ``(N,)`` person ids, from 1.
        k: number of neighbours.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: there is no image of a person, or embeddings are not unit rows.
    """
    return float(np.mean(_nearest_right(embeddings, pids) <= k))


def recall_figures(embeddings: NDArray[np.float32], pids: NDArray[np.int64]) -> RecallFigures:
    """Return Recall@1, 5 and 10 in one pass; see `recall_at`."""
    ranks = _nearest_right(embeddings, pids)
    return RecallFigures(
        float(np.mean(ranks <= 1)), float(np.mean(ranks <= 5)), float(np.mean(ranks <= 10)), len(ranks)
    )


def rank_lists(
    query_embeddings: NDArray[np.float32],
    gallery_embeddings: NDArray[np.float32],
    rules: GalleryRules,
    queries: NDArray[np.int64],
    *,
    length: int = 10,
) -> tuple[RankList, ...]:
    """Return the first ``length`` gallery images of some queries (fewer if the gallery is smaller)."""
    lists = []
    for query in queries.tolist():
        scores = gallery_embeddings @ query_embeddings[query]
        right, removed = rules(query)
        scores[rules.junk] = -np.inf
        scores[removed] = -np.inf
        nearest = np.argsort(-scores, kind="stable")[
            : min(length, len(scores) - len(rules.junk) - len(removed))
        ]
        distances = np.asarray(1.0 - scores[nearest], np.float32)
        lists.append(RankList(query, nearest, distances, np.isin(nearest, right)))
    return tuple(lists)


def distance_histogram(
    query_embeddings: NDArray[np.float32],
    gallery_embeddings: NDArray[np.float32],
    rules: GalleryRules,
    *,
    bins: int = 100,
) -> DistanceHistogram:
    """Return histograms of the distances of all query-gallery pairs that the protocol ranks.

    Raises:
        ValueError: shapes do not match.
    """
    every, same = np.zeros(bins, np.int64), np.zeros(bins, np.int64)

    def counts(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
        places = (1.0 - similarity[np.isfinite(similarity)]) * (bins / 2)
        return np.bincount(np.clip(places.astype(np.int32), 0, bins - 1), minlength=bins)

    def scores(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return query_embeddings[rows] @ gallery_embeddings.T

    for _, row_scores, right in score_blocks(scores, rules, len(gallery_embeddings)):
        every += counts(row_scores)
        same += counts(row_scores[right])
    different = every - same
    return DistanceHistogram(
        tuple(np.round(np.linspace(0.0, 2.0, bins + 1), 9).tolist()),
        tuple((same / max(int(same.sum()), 1)).tolist()),
        tuple((different / max(int(different.sum()), 1)).tolist()),
        int(same.sum()),
        int(different.sum()),
    )


def across_cameras(index: ImageIndex) -> bool:
    """Return whether any person is in two known cameras, as the Market-1501 protocol requires."""
    known = (index.pids > 0) & (index.camids > 0)
    seen = np.unique(np.stack([index.pids, index.camids], axis=1)[known], axis=0)
    return len(np.unique(seen[:, 0])) < len(seen)


def unknown_cameras(*indexes: ImageIndex) -> int:
    """Count images of persons with an unknown camera; any such image breaks the protocol."""
    return sum(int(np.count_nonzero((index.pids > 0) & (index.camids == 0))) for index in indexes)


def ranking_figures(embeddings: NDArray[np.float32], index: ImageIndex) -> RankingFigures | None:
    """Evaluate one set with one query per person and camera.

    Args:
        embeddings: ``(N, D)`` unit rows.
        index: the N images.

    Returns:
        The averages over the queries; None if no person is in two known cameras.
    """
    if not across_cameras(index):
        return None
    rows = query_rows(index)
    own = (index.pids[rows], index.camids[rows])
    return market_figures(embeddings[rows], *own, embeddings, index.pids, index.camids, own_rows=rows)


def _nearest_right(embeddings: NDArray[np.float32], pids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the rank of each image's nearest image of the same person; inf if there is none."""
    scores = cosine_scores(embeddings, pids, embeddings, pids)
    unknown = np.zeros(len(pids), np.int64)
    rules = GalleryRules(pids, unknown, pids, unknown, np.arange(len(pids)))
    if len(rules.queries) == 0:
        raise ValueError("Recall@k needs images of persons (ids from 1), got none")
    ranks = np.full(len(rules.queries), np.inf)
    for place, (_, row_scores, right) in enumerate(score_blocks(scores, rules, len(pids))):
        if len(right):
            nearest = right[np.argmax(row_scores[right])]
            best = row_scores[nearest]
            ties = np.count_nonzero(row_scores[:nearest] == best)
            ranks[place] = 1 + np.count_nonzero(row_scores > best) + ties
    return ranks
