"""An evaluation as one page: figures, rank lists, CMC curve, distances.

The page needs no network and no other file: the pictures of `reid_train.evaluation.pictures` are inside.
File names and settings come from users, so the template escapes everything put into the page, and its own
policy forbids scripts and connections.
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

# The text above a table, its header and its rows.
Table = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]

CAPTIONS = {
    "cmc.png": "Share of queries with a right image up to each rank.",
    "distances.png": "Cosine distances of one person's images and of different persons'. No "
    "threshold is right where the two overlap.",
    "rank_lists.png": "Each query with its nearest gallery images. Green: right; red and dashed: wrong.",
    "rank_lists_worst.png": "What the network confuses, and labels that are wrong.",
}


def write_report_page(
    path: Path,
    evaluate: Callable[[Path], Report],
    settings: Mapping[str, Any],
    *,
    pictures: Path | None = None,
) -> Report:
    """Evaluate, and write the page when that is done; an older page stays until then.

    Args:
        path: of the page; its folder is made when missing.
        evaluate: evaluates a network and draws into the folder that it is given.
        settings: what was evaluated, for the last table and the title (``network``).
        pictures: folder that keeps the pictures; None: they are in the page alone.

    Raises:
        OSError: the page can't be written.
    """
    return write_joint_page(path, [(evaluate, settings, pictures)])[0]


def write_joint_page(
    path: Path, evaluations: Sequence[tuple[Callable[[Path], Report], Mapping[str, Any], Path | None]]
) -> list[Report]:
    """Evaluate on several sets, and write one page with a section for each.

    Args:
        path: of the page; its folder is made when missing.
        evaluations: function, settings and folder of the pictures of each set, as of `write_report_page`.

    Raises:
        OSError: the page can't be written.
        ImportError: Jinja2 is not installed.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file name")
    _template()  # a missing Jinja2 is known before the evaluation
    path.parent.mkdir(parents=True, exist_ok=True)
    reports, sections = [], []
    for evaluate, settings, pictures in evaluations:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pictures or Path(temporary)
            report = evaluate(folder)
            drawn = {name: (folder / name).read_bytes() for name in report.pictures}
        reports.append(report)
        sections.append((report, drawn, settings))
    with replacing(path) as file:
        file.write(joint_page(sections).encode())
    return reports


def report_page(report: Report, pictures: Mapping[str, bytes], settings: Mapping[str, Any]) -> str:
    """The page's HTML.

    Args:
        report: the figures.
        pictures: PNG files by their name in ``report.pictures``; those without a caption here are left out.
        settings: names and values for the last table.
    """
    return joint_page([(report, pictures, settings)])


def joint_page(sections: Sequence[tuple[Report, Mapping[str, bytes], Mapping[str, Any]]]) -> str:
    """The HTML of a page with a section for each report, with the arguments of `report_page`."""
    title = f"Evaluation of {sections[0][2].get('network', 'a network')}"
    return _template().render(title=title, sections=[_section(*section) for section in sections])


def _template() -> PageTemplate:
    return PageTemplate("reid_train.evaluation", "page")


def _section(report: Report, pictures: Mapping[str, bytes], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of one report."""
    return {
        "name": settings.get("set", ""),
        "images": f"{report.query_images:,} queries of {report.query_ids:,} persons, "
        f"{report.gallery_images:,} gallery images",
        "notes": report.notes,
        "tables": [*_ranking(report), _recall(report), *_roc(report), *_casts(report)],
        "curves": _figures(("cmc.png", "distances.png"), pictures),
        "lists": _figures(("rank_lists.png", "rank_lists_worst.png"), pictures),
        "settings": [*_counts(report), *settings.items()],
    }


def _ranking(report: Report) -> list[Table]:
    """The protocol's figures, plain and re-ranked; none where there are none."""
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
    """Recall@k, another protocol."""
    recall = report.recall
    shares = (f"{value:.2%}" for value in (recall.recall1, recall.recall5, recall.recall10))
    return (
        "All images against all, whatever the camera; says little about finding a person elsewhere.",
        ("", "Recall@Rank-1", "Recall@Rank-5", "Recall@Rank-10", "Images"),
        [("plain", *shares, recall.images)],
    )


def _protocol(report: Report) -> str:
    if report.unknown_cameras:
        return "Cameras unknown: images of the query's own camera count as right answers."
    return f"{report.protocol}: images of the query's own camera do not count."


def _casts(report: Report) -> list[Table]:
    rows = [
        (f"±{figures.strength:.0%}", f"{figures.rank1:.2%}", f"{figures.mean_ap:.2%}")
        for figures in report.casts
    ]
    text = (
        "A colour cast of its own in each camera: every channel is multiplied by a gain up to that far "
        "from 1."
    )
    return [(text, ("", "Rank-1", "mAP"), rows)] if rows else []


def _roc(report: Report) -> list[Table]:
    if report.roc is None:
        return []
    rates = (report.roc.tar_at_far_0_001, report.roc.tar_at_far_0_01)
    pairs = (f"{count:,}" for count in (report.roc.same_pairs, report.roc.different_pairs))
    text = (
        "ROC: share of pairs of one person that a threshold accepts, at which 0.1 % and 1 % of pairs of "
        "different persons are accepted too."
    )
    header = ("", "at 0.1 %", "at 1 %", "Pairs of one person", "of different persons")
    return [(text, header, [("true accept rate", *(f"{rate:.2%}" for rate in rates), *pairs)])]


def _counts(report: Report) -> list[tuple[str, Any]]:
    return [
        ("queries without a right image", report.skipped_queries),
        ("gallery images that are junk", report.junk),
        ("gallery images that are distractors", report.distractors),
        ("embedding size", report.embedding_size),
    ]


def _figures(names: Sequence[str], pictures: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Those of the figures that were drawn."""
    return [
        {
            "caption": CAPTIONS[name],
            "wide": name.startswith("rank_lists"),
            "image": data_uri(*_smaller(pictures[name])),
        }
        for name in names
        if name in pictures
    ]


def _smaller(png: bytes) -> tuple[str, bytes]:
    """The picture as JPEG where that is smaller, as it is for rank lists: photographs; else as it is."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return "image/png", png
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    return ("image/jpeg", jpeg) if len(jpeg) < len(png) else ("image/png", png)
