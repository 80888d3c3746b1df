"""Tables, JSON and CSV of a comparison of trackers."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from deepsort_paddle.console.one_line import columns, padded
from deepsort_paddle.motchallenge.comparison import COMPARED, Compared, Comparison
from deepsort_paddle.motchallenge.metrics import Scores

__all__ = [
    "HEADINGS",
    "as_row",
    "comparison_csv",
    "comparison_json",
    "format_comparison",
    "tracker_names",
]

HEADINGS = dict(zip(COMPARED, ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW"), strict=True))


def tracker_names(results: Sequence[Path]) -> list[str]:
    """Return the shortest end of each path that makes the names unique.

    Args:
        results: result files or folders.

    Returns:
        A name for each path, in the same order.

    Raises:
        ValueError: a path is given twice.
    """
    full = [Path(os.path.normpath(path.absolute())) for path in results]
    parts = [(path.with_suffix("") if path.is_file() else path).parts for path in full]
    if len(set(parts)) < len(parts):
        twice = next(path for row, path in enumerate(results) if parts[row] in parts[:row])
        raise ValueError(f"{twice} is given twice")
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]


def format_comparison(comparison: Comparison) -> str:
    """Return the scores per sequence and tracker, and the overall differences, as text (ratios in %)."""
    trackers = comparison.trackers
    first = next(iter(trackers))
    several = len(trackers[first]) > 2  # one sequence is also the overall row
    places = range(len(trackers[first])) if several else range(1)
    table = [["", "", *HEADINGS.values()]]
    for place in places:
        for name, rows in trackers.items():
            label = rows[place].scores.name if name == first else ""
            table.append([label, name, *(_cell(rows[place], field) for field in COMPARED)])
    level, block = 100 * comparison.level, comparison.block
    over = f"sequences and blocks of {block} frames" if several else f"blocks of {block} frames"
    below = [[f"minus {first}", *HEADINGS.values()]]
    below += [
        [name, *(_difference(rows[-1], field) for field in COMPARED)]
        for name, rows in trackers.items()
        if name != first
    ]
    title = f"Difference and its {level:g} % interval over {over}; * where it excludes 0"
    return f"{_aligned(table, 2)}\n{title}\n{_aligned(below, 1)}"


def _cell(row: Compared, field: str) -> str:
    """Return a score and its difference from the first tracker's."""
    value = getattr(row.scores, field)
    text = "-" if math.isnan(value) else f"{100 * value:.2f}" if isinstance(value, float) else str(value)
    if field not in row.difference or math.isnan(row.difference[field]):
        return text
    return f"{text} ({_signed(field, row.difference[field])})"


def _difference(row: Compared, field: str) -> str:
    low, high = row.interval[field]
    star = "*" if low > 0 or high < 0 else " "
    texts = [_signed(field, value) for value in (row.difference[field], low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]{star}"


def _signed(field: str, value: float) -> str:
    return f"{value:+.0f}" if field == "id_switches" else f"{100 * value:+.2f}"


def _aligned(table: Sequence[Sequence[str]], left: int) -> str:
    """Return the lines of a table: the first ``left`` columns align left, the others right."""
    widths = [max(map(columns, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [padded(cell, width) for cell, width in zip(row[:left], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def comparison_json(comparison: Comparison) -> str:
    """Return all scores, differences and intervals as JSON; ratios are in [0, 1]."""
    trackers = {
        name: {"sequences": [_entry(row) for row in rows[:-1]], "overall": _entry(rows[-1])}
        for name, rows in comparison.trackers.items()
    }
    bootstrap = {"block": comparison.block, "draws": comparison.draws, "level": comparison.level}
    report = {"first": next(iter(trackers)), "bootstrap": bootstrap, "trackers": trackers}
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _entry(row: Compared) -> dict[str, Any]:
    """Return the scores of one tracker on one sequence as JSON values."""
    known: dict[str, Any] = as_row(row.scores)
    if row.difference:
        known["difference"] = {name: _number(value) for name, value in row.difference.items()}
        known["interval"] = {name: list(limits) for name, limits in row.interval.items()}
    return known


def comparison_csv(comparison: Comparison) -> str:
    """Return one CSV row per tracker and sequence; ratios are in [0, 1]."""
    text = io.StringIO()
    names = ["tracker", *(field.name for field in fields(Scores))]
    names += [f"{name}_{what}" for name in COMPARED for what in ("difference", "low", "high")]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for tracker, rows in comparison.trackers.items():
        for row in rows:
            line = {"tracker": tracker, **as_row(row.scores)}
            for name, value in row.difference.items():
                low, high = row.interval[name]
                line |= {f"{name}_difference": _number(value), f"{name}_low": low, f"{name}_high": high}
            writer.writerow(line)
    return text.getvalue()


def as_row(scores: Scores) -> dict[str, Any]:
    """Return the scores by field name; an undefined ratio is None (``null`` in JSON, empty in CSV)."""
    return {key: _number(score) for key, score in asdict(scores).items()}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
