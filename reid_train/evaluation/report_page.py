"""Write an evaluation as one HTML page: metrics, rank lists, CMC curve and distance histogram.

The page embeds the plots of `reid_train.evaluation.plots`, so it needs no network and no other file. File
names and settings come from users: the template escapes all values, and the page's content security policy
forbids scripts and connections.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deepsort_paddle.output.page import PageTemplate, data_uri
from deepsort_paddle.part_files import replacing
from reid_train.evaluation.report import Report

__all__ = ["joint_page", "report_page", "write_joint_page", "write_report_page"]

# Text above the table, header, rows.
Table = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]

CAPTIONS = {
    "cmc.png": "Share of queries with a correct image up to each rank.",
    "distances.png": "Cosine distances of same-person and different-person pairs. Where the two overlap, any "
    "threshold makes errors.",
    "rank_lists.png": "Each query with its nearest gallery images. Green: correct; red and dashed: wrong.",
    "rank_lists_worst.png": "Persons that the network confuses, and wrong labels.",
}


def write_report_page(
    path: Path,
    evaluate: Callable[[Path], Report],
    settings: Mapping[str, Any],
    *,
    plots: Path | None = None,
) -> Report:
    """Evaluate a network, then write the page; an existing page is kept until then.

    Args:
        path: the page to write; its folder is created if missing.
        evaluate: evaluates a network and draws its plots into the given folder.
        settings: what was evaluated, for the last table and the title (``network``).
        plots: folder to keep the plots in; None: only embed them.

    Returns:
        What ``evaluate`` returned.

    Raises:
        OSError: the page cannot be written.
        ImportError: Jinja2 is not installed.
    """
    return write_joint_page(path, [(evaluate, settings, plots)])[0]


def write_joint_page(
    path: Path, evaluations: Sequence[tuple[Callable[[Path], Report], Mapping[str, Any], Path | None]]
) -> list[Report]:
    """Evaluate on several sets, then write one page with a section for each.

    Args:
        path: the page to write; its folder is created if missing.
        evaluations: for each set the ``evaluate``, ``settings`` and ``plots`` of `write_report_page`.

    Returns:
        One report per set.

    Raises:
        OSError: the page cannot be written.
        ImportError: Jinja2 is not installed.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file name")
    _template()  # raises without Jinja2, before the long evaluation
    path.parent.mkdir(parents=True, exist_ok=True)
    reports, sections = [], []
    for evaluate, settings, plots in evaluations:
        with tempfile.TemporaryDirectory() as temporary:
            folder = plots or Path(temporary)
            report = evaluate(folder)
            drawn = {name: (folder / name).read_bytes() for name in report.images}
        reports.append(report)
        sections.append((report, drawn, settings))
    with replacing(path) as file:
        file.write(joint_page(sections).encode())
    return reports


def report_page(report: Report, images: Mapping[str, bytes], settings: Mapping[str, Any]) -> str:
    """Render the page of one evaluation.

    Args:
        report: the metrics.
        images: PNG data by name, as in ``report.images``; names without a caption are ignored.
        settings: names and values for the last table.

    Returns:
        HTML.
    """
    return joint_page([(report, images, settings)])


def joint_page(sections: Sequence[tuple[Report, Mapping[str, bytes], Mapping[str, Any]]]) -> str:
    """Render a page with one section per evaluation.

    Args:
        sections: for each evaluation the arguments of `report_page`.

    Returns:
        HTML.
    """
    title = f"Evaluation of {sections[0][2].get('network', 'a network')}"
    return _template().render(title=title, sections=[_section(*section) for section in sections])


def _template() -> PageTemplate:
    return PageTemplate("reid_train.evaluation", "page")


def _section(report: Report, images: Mapping[str, bytes], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template's values for one report."""
    return {
        "name": settings.get("set", ""),
        "images": f"{report.query_images:,} queries of {report.query_ids:,} persons, "
        f"{report.gallery_images:,} gallery images",
        "notes": report.notes,
        "tables": [*_ranking(report), _recall(report), *_roc(report), *_casts(report)],
        "curves": _figures(("cmc.png", "distances.png"), images),
        "lists": _figures(("rank_lists.png", "rank_lists_worst.png"), images),
        "settings": [*_counts(report), *settings.items()],
    }


def _ranking(report: Report) -> list[Table]:
    """Return the table of ranking metrics, plain and re-ranked; empty if there are none."""
    rows = [
        (
            name,
            *(
                f"{value:.2%}"
                for value in (found.rank1, found.rank5, found.rank10, found.mean_ap, found.mean_inp)
            ),
            found.queries,
        )
        for name, found in (("plain", report.market), ("re-ranked", report.reranked))
        if found is not None
    ]
    header = ("", "Rank-1", "Rank-5", "Rank-10", "mAP", "mINP", "Queries")
    return [(_protocol(report), header, rows)] if rows else []


def _recall(report: Report) -> Table:
    """Return the table of Recall@k, which is another protocol."""
    recall = report.recall
    shares = (f"{value:.2%}" for value in (recall.recall1, recall.recall5, recall.recall10))
    return (
        "All images against all, ignoring cameras. This does not measure matching across cameras.",
        ("", "Recall@Rank-1", "Recall@Rank-5", "Recall@Rank-10", "Images"),
        [("plain", *shares, recall.images)],
    )


def _protocol(report: Report) -> str:
    if report.unknown_cameras:
        return "Cameras unknown: images from the query's camera count as correct."
    return f"{report.protocol}: images of the person from the query's camera do not count."


def _casts(report: Report) -> list[Table]:
    rows = [
        (f"±{figures.strength:.0%}", f"{figures.rank1:.2%}", f"{figures.mean_ap:.2%}")
        for figures in report.casts
    ]
    text = (
        "A different colour cast in each camera: each channel is multiplied by a random gain in this range."
    )
    return [(text, ("", "Rank-1", "mAP"), rows)] if rows else []


def _roc(report: Report) -> list[Table]:
    if report.roc is None:
        return []
    rates = (report.roc.tar_at_far_0_001, report.roc.tar_at_far_0_01)
    pairs = (f"{count:,}" for count in (report.roc.same_pairs, report.roc.different_pairs))
    text = (
        "ROC: share of same-person pairs accepted at thresholds that accept 0.1 % and 1 % of "
        "different-person pairs."
    )
    header = ("", "at 0.1 %", "at 1 %", "Same-person pairs", "Different-person pairs")
    return [(text, header, [("true accept rate", *(f"{rate:.2%}" for rate in rates), *pairs)])]


def _counts(report: Report) -> list[tuple[str, Any]]:
    return [
        ("queries without a correct image", report.skipped_queries),
        ("junk images in the gallery", report.junk),
        ("distractor images in the gallery", report.distractors),
        ("embedding size", report.embedding_size),
    ]


def _figures(names: Sequence[str], images: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return the template's values of the plots that were drawn."""
    return [
        {
            "caption": CAPTIONS[name],
            "wide": name.startswith("rank_lists"),
            "image": data_uri(*_smaller(images[name])),
        }
        for name in names
        if name in images
    ]


def _smaller(png: bytes) -> tuple[str, bytes]:
    """Return the image as JPEG if that is smaller, as for the photographs in rank lists; else unchanged."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return "image/png", png
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    return ("image/jpeg", jpeg) if len(jpeg) < len(png) else ("image/png", png)
