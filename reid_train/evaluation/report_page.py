"""An evaluation as one page: figures, rank lists, CMC curve, distances.

The page needs no network and no other file: the pictures of `reid_train.evaluation.pictures` are inside.
File names and settings come from users, so everything put into the page is escaped, and its own policy
forbids scripts and connections.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deepsort_paddle.part_files import replacing
from reid_train.evaluation.report import Report

__all__ = ["joint_page", "report_page", "write_joint_page", "write_report_page"]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #59636e; --ground: #f6f7f9; --card: #fff;
  --edge: #d5dae0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --faint: #9aa5b1; --ground: #14171b; --card: #1e2329; --edge: #363d46; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 0 1rem 3rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 1.5rem 0 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; }
.faint { color: var(--faint); }
figure { margin: 0 0 1.5rem; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--edge);
  border-radius: 6px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
.wide { overflow-x: auto; }
.wide img { min-width: 44rem; }
table { border-collapse: collapse; background: var(--card); }
th, td { border: 1px solid var(--edge); padding: .3rem .75rem; text-align: left; overflow-wrap: break-word;
  max-width: 40rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
th, td:first-child { white-space: nowrap; }
figcaption { margin-top: .35rem; }
.wide + p { margin-top: 1rem; }
@media (max-width: 30rem) { th, td { padding: .3rem .4rem; font-size: .875rem; } }
"""
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
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, a file name was wanted")
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
    title = escape(f"Evaluation of {sections[0][2].get('network', 'a network')}")
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    several = len(sections) > 1
    body = "".join(
        (f"<h1>{escape(str(settings.get('set', '')))}</h1>\n" if several else "")
        + _section(report, pictures, settings)
        for report, pictures, settings in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )


def _section(report: Report, pictures: Mapping[str, bytes], settings: Mapping[str, Any]) -> str:
    curves = "".join(_figure(name, pictures) for name in ("cmc.png", "distances.png"))
    lists = "".join(_figure(name, pictures) for name in ("rank_lists.png", "rank_lists_worst.png"))
    notes = "".join(f"<p><b>Note:</b> {escape(note)}</p>" for note in report.notes)
    return (
        f'<p class="faint">{report.query_images:,} queries of {report.query_ids:,} persons, '
        f"{report.gallery_images:,} gallery images</p>\n{notes}\n"
        f"<h2>Figures</h2>\n{_figures(report)}\n<h2>Curves</h2>\n"
        f'<div class="pair">{curves}</div>\n'
        f"{lists and '<h2>Rank lists</h2>'}{lists}\n"
        f"<h2>What was evaluated</h2>\n{_table(('', ''), [*_counts(report), *settings.items()])}\n"
    )


def _figures(report: Report) -> str:
    """The protocol's figures, plain and re-ranked; Recall@k, another protocol, has a table of its own."""
    named = (("plain", report.market), ("re-ranked", report.reranked))
    rows = [
        (
            name,
            *(f"{value:.2%}" for value in (one.rank1, one.rank5, one.rank10, one.mean_ap, one.mean_inp)),
            one.queries,
        )
        for name, one in named
        if one is not None
    ]
    recall = report.recall
    shares = (f"{value:.2%}" for value in (recall.recall1, recall.recall5, recall.recall10))
    return (
        (
            f"<p>{escape(_protocol(report))}</p>"
            + _table(("", "Rank-1", "Rank-5", "Rank-10", "mAP", "mINP", "Queries"), rows)
            if rows
            else ""
        )
        + "<p>All images against all, whatever the camera; says little about finding a person elsewhere.</p>"
        + _table(
            ("", "Recall@Rank-1", "Recall@Rank-5", "Recall@Rank-10", "Images"),
            [("plain", *shares, recall.images)],
        )
        + _roc(report)
        + _casts(report)
    )


def _protocol(report: Report) -> str:
    if report.unknown_cameras:
        return "Cameras unknown: images of the query's own camera count as right answers."
    return f"{report.protocol}: images of the query's own camera do not count."


def _casts(report: Report) -> str:
    if not report.casts:
        return ""
    rows = [
        (f"±{figures.strength:.0%}", f"{figures.rank1:.2%}", f"{figures.mean_ap:.2%}")
        for figures in report.casts
    ]
    return (
        "<p>A colour cast of its own in each camera: every channel is multiplied by a gain up to that far "
        "from 1.</p>" + _table(("", "Rank-1", "mAP"), rows)
    )


def _roc(report: Report) -> str:
    if report.roc is None:
        return ""
    rates = (report.roc.tar_at_far_0_001, report.roc.tar_at_far_0_01)
    pairs = (f"{count:,}" for count in (report.roc.same_pairs, report.roc.different_pairs))
    return (
        "<p>ROC: share of pairs of one person that a threshold accepts, at which 0.1 % and 1 % of pairs of "
        "different persons are accepted too.</p>"
        + _table(
            ("", "at 0.1 %", "at 1 %", "Pairs of one person", "of different persons"),
            [("true accept rate", *(f"{rate:.2%}" for rate in rates), *pairs)],
        )
    )


def _counts(report: Report) -> list[tuple[str, Any]]:
    return [
        ("queries without a right image", report.skipped_queries),
        ("gallery images that are junk", report.junk),
        ("gallery images that are distractors", report.distractors),
        ("embedding size", report.embedding_size),
    ]


def _figure(name: str, pictures: Mapping[str, bytes]) -> str:
    if name not in pictures:
        return ""
    kind, data = _smaller(pictures[name])
    content = base64.b64encode(data).decode("ascii")
    caption = escape(CAPTIONS[name])
    return (
        f'<figure><div class="{"wide" if name.startswith("rank_lists") else ""}">'
        f'<img alt="{caption}" src="data:image/{kind};base64,{content}"></div>'
        f'<figcaption class="faint">{caption}</figcaption></figure>'
    )


def _smaller(png: bytes) -> tuple[str, bytes]:
    """The picture as JPEG where that is smaller, as it is for rank lists: photographs; else as it is."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return "png", png
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    return ("jpeg", jpeg) if len(jpeg) < len(png) else ("png", png)


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = [f"<tr>{head}</tr>"] if any(header) else []
    for name, *values in rows:
        cells = "".join(f'<td class="number">{escape(str(value))}</td>' for value in values)
        lines.append(f"<tr><td>{escape(str(name))}</td>{cells}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'
