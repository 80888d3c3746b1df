"""Re-identification figures of embeddings: the Market-1501 protocol and Recall@k.

Market-1501 (Zheng et al., ICCV 2015): the gallery is ranked for each query under the rules of
`reid_train.evaluation.ranking`. Rank-k is the share of queries with a right image among the first k; mAP
averages the non-interpolated average precision; mINP (Ye et al., arXiv 2001.04193) the precision at the last
right image. Recall@k is the metric of the original article: all images against all, whatever the
camera. Similarity is the cosine, the product of unit rows.
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
CAMERAS_UNKNOWN = "cameras unknown, images of the query's own camera count"


@dataclass(frozen=True)
class RecallFigures:
    """Recall@k of the original article, all images against all, each in [0, 1].

    Attributes:
        recall1, recall5, recall10: share of images with one of the same person among the k nearest.
        images: images that were asked for; one without a second image of its person counts as a miss.
    """

    recall1: float
    recall5: float
    recall10: float
    images: int


@dataclass(frozen=True, eq=False)
class RankList:
    """The head of one query's ranking, after the removals of the protocol.

    Attributes:
        query: query row.
        gallery: ``(k,)`` gallery rows, nearest first.
        distances: ``(k,)`` float32 cosine distances.
        right: ``(k,)`` bool, the query's person.
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
    """Cosine similarity of query rows to the whole gallery, after checking what came in."""
    for what, embeddings, pids in (
        ("query", query_embeddings, query_pids),
        ("gallery", gallery_embeddings, gallery_pids),
    ):
        if embeddings.ndim != 2 or len(embeddings) != len(pids):
            raise ValueError(f"{what} embeddings must be ({len(pids)}, D), got {embeddings.shape}")
        lengths = np.einsum("nd,nd->n", embeddings, embeddings)
        # A dead network's zero rows are ranked like any other; NaN fails every comparison.
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
    """Ranks of the Market-1501 protocol; the rules are those of `reid_train.evaluation.ranking`.

    Args:
        query_embeddings: ``(Q, D)`` unit rows.
        query_pids: ``(Q,)`` int64.
        query_camids: ``(Q,)`` int64.
        gallery_embeddings: ``(G, D)`` unit rows.
        gallery_pids: ``(G,)`` int64.
        gallery_camids: ``(G,)`` int64.
        own_rows: ``(Q,)`` gallery row that is the query image itself, -1 for none. Needed only
            where queries are part of the gallery and their camera is unknown.

    Raises:
        ValueError: shapes do not fit, embeddings are no unit rows, or no query has a right image.
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
    """Figures of the Market-1501 protocol: the averages of `market_ranks`, with its arguments and errors."""
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
    """Share of images with one of the same person among their k nearest, themselves excluded.

    Raises:
        ValueError: there is no image of a person, or embeddings are no unit rows.
    """
    return float(np.mean(_nearest_right(embeddings, pids) <= k))


def recall_figures(embeddings: NDArray[np.float32], pids: NDArray[np.int64]) -> RecallFigures:
    """Recall@1, 5 and 10 in one pass; like `recall_at`."""
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
    """The first ``length`` gallery images of some queries (fewer where the gallery is smaller)."""
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
    """Distances of all query-gallery pairs that the protocol ranks, right and wrong ones apart.

    Raises:
        ValueError: shapes do not fit.
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
    """Whether a person is in two known cameras; else the Market-1501 protocol has no right images."""
    known = (index.pids > 0) & (index.camids > 0)
    seen = np.unique(np.stack([index.pids, index.camids], axis=1)[known], axis=0)
    return len(np.unique(seen[:, 0])) < len(seen)


def unknown_cameras(*indexes: ImageIndex) -> int:
    """Images of persons whose camera is unknown; with any, figures are not those of the protocol."""
    return sum(int(np.count_nonzero((index.pids > 0) & (index.camids == 0))) for index in indexes)


def ranking_figures(embeddings: NDArray[np.float32], index: ImageIndex) -> RankingFigures | None:
    """Figures within one set, one query a person and camera; None where nobody is in two known cameras.

    Args:
        embeddings: ``(N, D)`` unit rows.
        index: the N images.
    """
    if not across_cameras(index):
        return None
    rows = query_rows(index)
    own = (index.pids[rows], index.camids[rows])
    return market_figures(embeddings[rows], *own, embeddings, index.pids, index.camids, own_rows=rows)


def _nearest_right(embeddings: NDArray[np.float32], pids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rank of the nearest image of the same person, all against all; inf where there is none."""
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
