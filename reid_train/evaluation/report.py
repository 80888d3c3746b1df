"""Evaluate a network: all metrics in one report, ready for JSON, and the plots.

Query and gallery may be two sets, as in Market-1501, or a set and a subset of it, as with identities held out
from training. An image in both is embedded once and never counts as its own match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.part_files import writing
from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.calibration import RocFigures, count_pairs, count_ranked_pairs, roc_figures
from reid_train.evaluation.colour_cast import CastFigures, cast, cast_table
from reid_train.evaluation.features import infer
from reid_train.evaluation.figures import (
    CAMERAS_UNKNOWN,
    PROTOCOL,
    DistanceHistogram,
    RecallFigures,
    distance_histogram,
    market_ranks,
    rank_lists,
    recall_figures,
    unknown_cameras,
)
from reid_train.evaluation.ranking import NO_MATCH, GalleryRules, QueryRanks, RankingFigures, rank_queries
from reid_train.evaluation.reranking import ReRanker, reranking_memory

if TYPE_CHECKING:
    import paddle

    from deepsort_paddle import AppearanceEncoder

__all__ = ["Report", "evaluate", "evaluate_embeddings"]

RERANK_MEMORY = 4 * 2**30
LISTED_QUERIES = 8
Change = Callable[[Path, NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Report:
    """Metrics of one network on one query and gallery set.

    Attributes:
        query_images, gallery_images: number of images, including junk and distractors.
        query_ids: number of persons among the queries.
        junk, distractors: number of gallery images with pid -1 and 0.
        skipped_queries: number of queries without a correct image; ranking metrics exclude them.
        embedding_size: D.
        market: metrics of the Market-1501 protocol; None if no query has a correct image, as in a set with
            one camera.
        cmc: share of queries at rank 1, 2, ... up to the first rank at which the curve is 1.
        reranked: the same metrics after k-reciprocal re-ranking; None if it was skipped.
        reranked_cmc: its curve; empty if it was skipped.
        recall: Recall@k over all images of query and gallery, each image once.
        distances: histograms of same-person and different-person pairs.
        notes: what was skipped, and why.
        images: names of the plots drawn.
        protocol: the rules of the ranking metrics.
        unknown_cameras: number of images of persons with an unknown camera, in query and gallery.
        roc: true accept rates; None without pairs of both kinds.
        casts: metrics with a different colour cast in each camera.
    """

    query_images: int
    gallery_images: int
    query_ids: int
    junk: int
    distractors: int
    skipped_queries: int
    embedding_size: int
    market: RankingFigures | None
    cmc: tuple[float, ...]
    reranked: RankingFigures | None
    reranked_cmc: tuple[float, ...]
    recall: RecallFigures
    distances: DistanceHistogram
    notes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    protocol: str = PROTOCOL
    unknown_cameras: int = 0
    roc: RocFigures | None = None
    casts: tuple[CastFigures, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps``."""
        return asdict(self)


def evaluate(
    network: paddle.nn.Layer | AppearanceEncoder,
    query_index: ImageIndex,
    gallery_index: ImageIndex,
    preprocessing: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    *,
    batch_size: int = 64,
    rerank: bool = True,
    rerank_memory: int = RERANK_MEMORY,
    plots: Path | None = None,
    threshold: float | None = None,
    casts: Sequence[float] = (),
    progress: bool = False,
) -> Report:
    """Evaluate a network on image files.

    Args:
        network: maps ``(B, H, W, 3)`` uint8 BGR to ``(B, D)``; its mode is restored afterwards. Or the
            encoder of an export.
        query_index: the queries; those that are part of the gallery are embedded once.
        gallery_index: the gallery.
        preprocessing: maps ``(h, w, 3)`` uint8 BGR of any size to ``(H, W, 3)`` uint8.
        batch_size: images per forward pass.
        rerank: also report k-reciprocal re-ranking if it fits into ``rerank_memory``.
        rerank_memory: limit in bytes; beyond it re-ranking is skipped with a note.
        plots: folder for the plots, created if missing; None: no plots.
        threshold: ``max_cosine_distance``, marked in the distance histogram.
        casts: strengths of colour casts to evaluate, see `colour_cast`; skipped if cameras are unknown or no
            query has a correct image.
        progress: show a progress bar on stderr if that is a terminal.

    Returns:
        The metrics.

    Raises:
        ValueError: an image is unreadable (metrics without it would not be comparable), or there is no
            image of a person.
        OSError: a plot cannot be written.
    """
    known = {path: row for row, path in enumerate(gallery_index.paths)}
    extra = [path for path in query_index.paths if path not in known]
    paths = (*gallery_index.paths, *extra)
    rows = {path: row for row, path in enumerate(paths)}
    places = [rows[path] for path in query_index.paths]

    def embedded(change: Change | None = None) -> NDArray[np.float32]:
        return infer(
            network,
            paths,
            preprocessing,
            batch_size=batch_size,
            strict=True,
            progress=progress,
            change=change,
        ).embeddings

    embeddings = embedded()
    report = evaluate_embeddings(
        embeddings[places],
        query_index,
        embeddings[: len(gallery_index)],
        gallery_index,
        rerank=rerank,
        rerank_memory=rerank_memory,
        plots=plots,
        threshold=threshold,
    )
    if not casts:
        return report
    if report.unknown_cameras or report.market is None:
        reason = "cameras are unknown" if report.unknown_cameras else NO_MATCH
        return replace(report, notes=(*report.notes, f"colour casts skipped: {reason}"))
    cameras = dict(zip(query_index.paths, query_index.camids.tolist(), strict=True))
    cameras |= dict(zip(gallery_index.paths, gallery_index.camids.tolist(), strict=True))
    found = []
    for strength in casts:
        tables = {camera: cast_table(camera, strength) for camera in set(cameras.values())}
        changed = embedded(lambda path, image, tables=tables: cast(image, tables[cameras[path]]))  # type: ignore[misc]
        figures = market_ranks(
            changed[places],
            query_index.pids,
            query_index.camids,
            changed[: len(gallery_index)],
            gallery_index.pids,
            gallery_index.camids,
            own_rows=np.array([known.get(path, -1) for path in query_index.paths], np.int64),
        ).figures()
        found.append(CastFigures(strength, figures.rank1, figures.mean_ap))
    return replace(report, casts=tuple(found))


def evaluate_embeddings(
    query_embeddings: NDArray[np.float32],
    query_index: ImageIndex,
    gallery_embeddings: NDArray[np.float32],
    gallery_index: ImageIndex,
    *,
    rerank: bool = True,
    rerank_memory: int = RERANK_MEMORY,
    plots: Path | None = None,
    threshold: float | None = None,
) -> Report:
    """Evaluate unit embeddings from any source; see `evaluate` for the options.

    A query whose path is also in the gallery is the same image and never counts as its own match.

    Args:
        query_embeddings: ``(Q, D)`` unit rows.
        query_index: the Q queries.
        gallery_embeddings: ``(G, D)`` unit rows.
        gallery_index: the G gallery images.
        rerank: see `evaluate`.
        rerank_memory: see `evaluate`.
        plots: see `evaluate`.
        threshold: see `evaluate`.

    Returns:
        The metrics.

    Raises:
        ValueError: there is no image of a person, or embeddings are not unit rows.
        OSError: a plot cannot be written.
    """
    gallery_rows = {path: row for row, path in enumerate(gallery_index.paths)}
    own_rows = np.array([gallery_rows.get(path, -1) for path in query_index.paths], np.int64)
    columns = (query_index.pids, query_index.camids, gallery_index.pids, gallery_index.camids)
    rules = GalleryRules(*columns, own_rows)
    new = own_rows < 0
    together = (
        np.concatenate([gallery_embeddings, query_embeddings[new]]) if new.any() else gallery_embeddings
    )
    recall = recall_figures(together, np.concatenate([gallery_index.pids, query_index.pids[new]]))
    ranks, reranked, notes = None, None, []
    # Junk is not part of any gallery, so re-ranking must not use it as a neighbour.
    kept = np.concatenate([gallery_index.pids != -1, np.ones(np.count_nonzero(new), np.bool_)])
    need = reranking_memory(int(kept.sum()), together.shape[1])
    unknown = unknown_cameras(gallery_index, query_index[new])
    if unknown:
        notes.append(_unknown_cameras_note(unknown, len(together)))
    if not rules.any_match():
        protocol = "ranking" if unknown else f"the {PROTOCOL}"
        notes.append(f"metrics of {protocol} skipped: {NO_MATCH}")
    else:
        ranks = market_ranks(
            query_embeddings, *columns[:2], gallery_embeddings, *columns[2:], own_rows=own_rows
        )
        if rerank and need > rerank_memory:
            notes.append(
                f"re-ranking skipped: {kept.sum():,} images may take {need / 2**30:.1f} GiB, "
                f"the limit is {rerank_memory / 2**30:.1f} GiB"
            )
        elif rerank:
            places = np.where(new, len(gallery_index) + np.cumsum(new) - 1, own_rows)
            reranked = _reranked_ranks(together, kept, places, rules, len(gallery_index), rerank_memory)
    histogram = distance_histogram(query_embeddings, gallery_embeddings, rules)
    if new.any():
        pairs = count_ranked_pairs(query_embeddings, gallery_embeddings, rules, across_cameras=not unknown)
    else:  # one set: count all pairs, as the calibration of an export does
        persons = gallery_index.pids > 0
        pairs = count_pairs(
            gallery_embeddings[persons], gallery_index.pids[persons], gallery_index.camids[persons]
        )
    drawn: tuple[str, ...] = ()
    if plots is not None:
        from reid_train.evaluation.plots import draw_plots

        lists = {
            name: rank_lists(query_embeddings, gallery_embeddings, rules, queries)
            for name, queries in _shown_queries(ranks).items()
        }
        with writing(plots):
            drawn = draw_plots(
                plots, query_index, gallery_index, ranks, reranked, lists, histogram, threshold=threshold
            )
    return Report(
        query_images=len(query_index),
        gallery_images=len(gallery_index),
        query_ids=len(np.unique(query_index.pids[query_index.pids > 0])),
        junk=int(np.count_nonzero(gallery_index.pids == -1)),
        distractors=int(np.count_nonzero(gallery_index.pids == 0)),
        skipped_queries=len(query_index) - (0 if ranks is None else len(ranks.rows)),
        embedding_size=int(gallery_embeddings.shape[1]),
        market=None if ranks is None else ranks.figures(),
        cmc=_curve(ranks),
        reranked=None if reranked is None else reranked.figures(),
        reranked_cmc=_curve(reranked),
        recall=recall,
        distances=histogram,
        notes=tuple(notes),
        images=drawn,
        protocol=CAMERAS_UNKNOWN if unknown else PROTOCOL,
        unknown_cameras=unknown,
        roc=roc_figures(pairs),
    )


def _unknown_cameras_note(unknown: int, images: int) -> str:
    return (
        f"cameras unknown ({unknown:,} of {images:,} images): images from the query's camera count as "
        "correct, so these metrics are too high and not comparable with published ones; put the cameras into "
        "the column camera_id of a list"
    )


def _reranked_ranks(
    embeddings: NDArray[np.float32],
    kept: NDArray[np.bool_],
    places: NDArray[np.int64],
    rules: GalleryRules,
    gallery_rows: int,
    memory: int,
) -> QueryRanks:
    """Return the ranks after re-ranking; ``places`` are the rows of the queries among the embeddings."""
    reranker = ReRanker(embeddings if kept.all() else embeddings[kept], memory=memory)
    numbers = np.cumsum(kept) - 1
    columns = np.flatnonzero(kept[:gallery_rows])

    def scores(queries: NDArray[np.int64]) -> NDArray[np.float32]:
        block = np.zeros((len(queries), gallery_rows), np.float32)
        block[:, columns] = -reranker.distances(numbers[places[queries]], numbers[columns])
        return block

    return rank_queries(scores, rules, gallery_rows)


def _shown_queries(ranks: QueryRanks | None) -> dict[str, NDArray[np.int64]]:
    """Return the query rows to plot: a fixed random sample, and the worst."""
    if ranks is None:
        return {}
    count = min(LISTED_QUERIES, len(ranks.rows))
    chosen = np.sort(np.random.default_rng(0).choice(len(ranks.rows), count, replace=False))
    worst = np.argsort(ranks.average_precision, kind="stable")[:count]
    return {"rank_lists": ranks.rows[chosen], "rank_lists_worst": ranks.rows[worst]}


def _curve(ranks: QueryRanks | None) -> tuple[float, ...]:
    if ranks is None:
        return ()
    curve = ranks.cmc()[: int(ranks.first_hit.max())]
    return tuple(np.round(curve, 6).tolist())
