"""Format the metrics of one evaluation, or of several in one table, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reid_train.evaluation.calibration import Calibration
from reid_train.evaluation.report import Report

__all__ = ["aligned", "condition_rows", "dev_table", "figure_lines", "summary_row"]

_DEV_FIGURES = {"rank1": "rank-1", "mean_ap": "mAP", "mean_inp": "mINP", "recall1": "Recall@Rank-1"}
_SUMMARY_HEADER = ("", "queries", "rank-1", "mAP", "Recall@Rank-1", "TAR at 0.1 %", "TAR at 1 %")


def figure_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one evaluation for the terminal.

    Args:
        report: a `Report.as_dict`, or at least its ``protocol``, ``market`` and ``recall``.
    """
    for title, key in ((report["protocol"], "market"), ("re-ranked, k-reciprocal", "reranked")):
        figures = report.get(key)
        if figures:
            yield (
                f"{title}: rank-1 {figures['rank1']:.2%}, rank-5 {figures['rank5']:.2%}, "
                f"rank-10 {figures['rank10']:.2%}, mAP {figures['mean_ap']:.2%}, "
                f"mINP {figures['mean_inp']:.2%} ({figures['queries']} queries)"
            )
    yield f"all against all: Recall@Rank-1 {report['recall']['recall1']:.2%}"
    for cast in report.get("casts", ()):
        yield (
            f"colour cast ±{cast['strength']:.0%} in each camera: rank-1 {cast['rank1']:.2%}, "
            f"mAP {cast['mean_ap']:.2%}"
        )
    if roc := report.get("roc"):
        yield (
            f"ROC: true accept rate {roc['tar_at_far_0_001']:.2%} at 0.1 % false accepts, "
            f"{roc['tar_at_far_0_01']:.2%} at 1 %"
        )
    yield from (f"note: {note}" for note in report.get("notes", ()))


def summary_row(name: str, report: Report) -> dict[str, str]:
    """Return the cells of one evaluation by column heading."""
    market, roc = report.market, report.roc
    cells = (
        name,
        "-" if market is None else str(market.queries),
        _percent(None if market is None else market.rank1),
        _percent(None if market is None else market.mean_ap),
        _percent(report.recall.recall1),
        _percent(None if roc is None else roc.tar_at_far_0_001),
        _percent(None if roc is None else roc.tar_at_far_0_01),
    )
    row = dict(zip(_SUMMARY_HEADER, cells, strict=True))
    for cast in report.casts:
        row[f"±{cast.strength:.0%} rank-1"] = _percent(cast.rank1)
        row[f"±{cast.strength:.0%} mAP"] = _percent(cast.mean_ap)
    if report.unknown_cameras:
        row[""] += " (cameras unknown)"
    return row


def condition_rows(calibration: Calibration) -> list[dict[str, str]]:
    """Return the threshold's rates on each development set, one row per set and colour cast."""
    return [
        {
            "threshold": f"{rates.name or 'dev'}{f' ±{rates.cast:.0%}' if rates.cast else ''}",
            "false accepts": _percent(rates.false_accept_rate),
            "accepted, one camera": _percent(rates.accept_rate_in_camera),
            "across cameras": _percent(rates.accept_rate),
            "largest allowed": f"{rates.limit:g}",
        }
        for rates in calibration.conditions
    ]


def dev_table(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a table of development sets, one row each, with ranking metrics and Recall@Rank-1."""
    return aligned(
        [
            {"": name, **{title: _percent(of.get(key)) for key, title in _DEV_FIGURES.items()}}
            for name, of in figures.items()
        ]
    )


def aligned(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return an aligned table whose columns are the keys of the rows; a missing cell is ``-``."""
    header = list(dict.fromkeys(title for row in rows for title in row))
    cells = [header, *([row.get(title, "-") for title in header] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    return [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
        ).rstrip()
        for line in cells
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
