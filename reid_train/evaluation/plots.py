"""Plots of an evaluation: rank lists, CMC curve and distance histogram.

Rank lists show random queries and the worst queries; the histogram shows the distances of same-person and
different-person pairs with the threshold. Matplotlib is used without its global state, so plots can be drawn
in any thread and without a display. Correct and wrong images differ in line style as well as in colour, for
colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from reid_train.data.image_cache import read_image
from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.figures import DistanceHistogram, RankList
from reid_train.evaluation.ranking import QueryRanks

__all__ = ["draw_cmc", "draw_distances", "draw_plots", "draw_rank_lists"]

RIGHT, WRONG, QUERY = "#1a8f3c", "#d62728", "#333333"
BLUE, ORANGE = "#1f5fa8", "#d9772a"
# Layout of rank lists, in units of the axes: a cell holds an image and three lines of text.
IMAGE_HEIGHT, IMAGE_WIDTH = 128, 64
CELL_HEIGHT, CELL_WIDTH = 180, 86
QUERY_GAP = 24
MIN_COLUMNS = 8  # room for title and legend
UNITS_PER_INCH = 72
SHOWN_RANKS = 50
TITLES = {
    "rank_lists": "Random queries",
    "rank_lists_worst": "Queries with the lowest average precision",
}


def draw_plots(
    folder: Path,
    query_index: ImageIndex,
    gallery_index: ImageIndex,
    ranks: QueryRanks | None,
    reranked: QueryRanks | None,
    lists: Mapping[str, Sequence[RankList]],
    histogram: DistanceHistogram,
    *,
    threshold: float | None = None,
) -> tuple[str, ...]:
    """Draw all plots of an evaluation into a folder.

    Args:
        folder: folder for the PNG files; created if missing.
        query_index: the queries.
        gallery_index: the gallery.
        ranks: ranks without re-ranking; None if no query has a correct image, then only distances are drawn.
        reranked: ranks after re-ranking, or None.
        lists: rank lists by file name without suffix.
        histogram: distances of same-person and different-person pairs.
        threshold: ``max_cosine_distance``, or None.

    Returns:
        The file names.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw_distances(folder / "distances.png", histogram, threshold=threshold)
    if ranks is None:
        return ("distances.png",)
    precision = dict(zip(ranks.rows.tolist(), ranks.average_precision.tolist(), strict=True))
    first_hit = dict(zip(ranks.rows.tolist(), ranks.first_hit.tolist(), strict=True))
    for name, entries in lists.items():
        notes = [f"AP {precision[entry.query]:.0%}\nfirst hit: {first_hit[entry.query]}" for entry in entries]
        draw_rank_lists(
            folder / f"{name}.png", query_index, gallery_index, entries, notes, title=TITLES.get(name, name)
        )
    curves = {"plain": ranks} if reranked is None else {"plain": ranks, "re-ranked": reranked}
    draw_cmc(folder / "cmc.png", curves)
    return (*(f"{name}.png" for name in lists), "cmc.png", "distances.png")


def draw_rank_lists(
    path: Path,
    query_index: ImageIndex,
    gallery_index: ImageIndex,
    lists: Sequence[RankList],
    notes: Sequence[str],
    *,
    title: str,
) -> None:
    """Draw one row per query: the query, then its nearest gallery images with a correct or wrong frame.

    Args:
        path: PNG file to write.
        query_index: the queries.
        gallery_index: the gallery.
        lists: at least one rank list.
        notes: one or two lines of text for each query.
        title: title of the plot.

    Raises:
        ValueError: ``lists`` is empty.
        OSError: the file cannot be written.
    """
    if not lists:
        raise ValueError("expected at least one rank list, got none")
    columns = max(MIN_COLUMNS, *(len(entry.gallery) for entry in lists))
    width = (columns + 1) * CELL_WIDTH + QUERY_GAP
    height = len(lists) * CELL_HEIGHT
    figure = Figure(figsize=((width + 20) / UNITS_PER_INCH, (height + 90) / UNITS_PER_INCH), dpi=110)
    axes = figure.add_axes(
        (10 / (width + 20), 10 / (height + 90), width / (width + 20), height / (height + 90))
    )
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    for row, (entry, note) in enumerate(zip(lists, notes, strict=True)):
        top = row * CELL_HEIGHT + 4
        heading = _heading(query_index, entry.query)
        _draw_cell(axes, 11, top, query_index.paths[entry.query], QUERY, "solid", heading, note)
        for column, (gallery_row, distance, right) in enumerate(
            zip(entry.gallery.tolist(), entry.distances.tolist(), entry.right.tolist(), strict=True)
        ):
            _draw_cell(
                axes,
                (column + 1) * CELL_WIDTH + QUERY_GAP + 11,
                top,
                gallery_index.paths[gallery_row],
                RIGHT if right else WRONG,
                "solid" if right else (0, (2.5, 1.5)),
                _heading(gallery_index, gallery_row),
                f"{distance:.3f}",
            )
    axes.axvline(CELL_WIDTH + QUERY_GAP / 2, color="#bbbbbb", linewidth=1)
    header = -16
    axes.text(11 + IMAGE_WIDTH / 2, header, "query", ha="center", va="center", fontsize=10, weight="bold")
    for column in range(columns):
        x = (column + 1) * CELL_WIDTH + QUERY_GAP + 11 + IMAGE_WIDTH / 2
        axes.text(x, header, str(column + 1), ha="center", va="center", fontsize=10, weight="bold")
    figure.text(10 / (width + 20), 1 - 24 / (height + 90), title, fontsize=13, weight="bold", va="center")
    figure.legend(
        handles=[
            Line2D([], [], color=RIGHT, linewidth=3, label="same person"),
            Line2D([], [], color=WRONG, linewidth=3, linestyle=(0, (2.5, 1.5)), label="another person"),
            Line2D([], [], color="none", label="number: cosine distance to the query"),
        ],
        loc="upper right",
        bbox_to_anchor=(1, 1 - 8 / (height + 90)),
        ncols=3,
        frameon=False,
        fontsize=10,
    )
    _save(figure, path)


def draw_cmc(path: Path, curves: Mapping[str, QueryRanks]) -> None:
    """Draw CMC curves over the first ranks, labelled with rank-1 and mAP.

    Args:
        path: PNG file to write.
        curves: one or two curves by name.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(7, 4.6), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    lowest = 100.0
    for (name, ranks), color, style in zip(curves.items(), (BLUE, ORANGE), ("-", "--"), strict=False):
        share = 100 * ranks.cmc()[:SHOWN_RANKS]
        figures = ranks.figures()
        label = f"{name}: rank-1 {figures.rank1:.1%}, mAP {figures.mean_ap:.1%}"
        axes.plot(np.arange(1, len(share) + 1), share, style, color=color, linewidth=2, label=label)
        lowest = min(lowest, float(share[0]))
    queries = next(iter(curves.values())).figures().queries
    axes.set_ylim(max(0.0, np.floor((lowest - 5) / 10) * 10), 100.5)
    shown = max(2, min(SHOWN_RANKS, max(ranks.gallery_size for ranks in curves.values())))
    axes.set_xlim(1, shown)
    axes.set_xticks([1, *range(5, shown + 1, 5)])
    axes.set_xlabel("rank")
    axes.set_ylabel("queries with a correct image up to this rank (%)")
    axes.set_title(f"CMC over {queries:,} queries", loc="left")
    axes.grid(color="#dddddd")
    axes.legend(loc="lower right")
    _save(figure, path)


def draw_distances(path: Path, histogram: DistanceHistogram, *, threshold: float | None = None) -> None:
    """Draw the histograms of same-person and different-person pairs over cosine distance.

    Args:
        path: PNG file to write.
        histogram: the distances.
        threshold: ``max_cosine_distance`` to mark, or None.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(7, 4.6), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    edges = np.array(histogram.edges)
    same, different = 100 * np.array(histogram.same), 100 * np.array(histogram.different)
    for shares, color, label in (
        (same, BLUE, f"same person ({histogram.same_pairs:,} pairs)"),
        (different, ORANGE, f"different persons ({histogram.different_pairs:,} pairs)"),
    ):
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.35)
        axes.stairs(shares, edges, color=color, linewidth=1.5, label=label)
    if threshold is not None:
        accepted = float(np.interp(threshold, edges, np.concatenate([[0], np.cumsum(different)])))
        rejected = 100 - float(np.interp(threshold, edges, np.concatenate([[0], np.cumsum(same)])))
        axes.axvline(
            threshold,
            color=QUERY,
            linestyle="--",
            linewidth=1.5,
            label=f"threshold {threshold:g}: accepts {accepted:.1f}% of different-person pairs, "
            f"rejects {rejected:.1f}% of same-person pairs",
        )
    used = np.flatnonzero(same + different)
    if len(used):
        axes.set_xlim(0, min(2.0, edges[used[-1] + 1] + 0.05))
    axes.set_ylim(0, None)
    axes.set_xlabel("cosine distance")
    axes.set_ylabel("share of pairs in each bin (%)")
    figure.legend(loc="outside upper left", frameon=False)
    _save(figure, path)


def _heading(index: ImageIndex, row: int) -> str:
    pid, camid = int(index.pids[row]), int(index.camids[row])
    person = "distractor" if pid == 0 else f"id {pid}"
    return person if camid == 0 else f"{person} · c{camid}"


def _draw_cell(
    axes: Axes, left: float, top: float, path: Path, color: str, style: object, heading: str, note: str
) -> None:
    """Draw an image into its cell, scaled without distortion, with a frame, a heading and a note."""
    middle = left + IMAGE_WIDTH / 2
    image = _thumbnail(path)
    if image is None:
        frame_height, frame_width = IMAGE_HEIGHT, IMAGE_WIDTH
        axes.text(middle, top + IMAGE_HEIGHT / 2, "unreadable", ha="center", va="center", fontsize=8)
    else:
        scale = min(IMAGE_HEIGHT / image.shape[0], IMAGE_WIDTH / image.shape[1])
        frame_height, frame_width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    x, y = middle - frame_width / 2, top + (IMAGE_HEIGHT - frame_height) / 2
    if image is not None:
        axes.imshow(
            image, extent=(x, x + frame_width, y + frame_height, y), aspect="auto", interpolation="bilinear"
        )
    axes.add_patch(
        Rectangle(
            (x, y), frame_width, frame_height, fill=False, edgecolor=color, linestyle=style, linewidth=3
        )
    )
    axes.text(middle, top + IMAGE_HEIGHT + 11, heading, ha="center", va="center", fontsize=8.5)
    axes.text(middle, top + IMAGE_HEIGHT + 19, note, ha="center", va="top", fontsize=9, color=color)


def _thumbnail(path: Path) -> NDArray[np.uint8] | None:
    """Return the image as RGB, at most twice as high and wide as a cell; None if it is unreadable."""
    try:
        image = read_image(path)
    except (OSError, ValueError):
        return None
    scale = min(1.0, 2 * IMAGE_HEIGHT / image.shape[0], 2 * IMAGE_WIDTH / image.shape[1])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure).print_png(path)
