"""The command ``deepsort-eval``: find the files, evaluate them, print a table."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

from deepsort_paddle.console.one_line import OneLineParser, columns, in_one_line, padded
from deepsort_paddle.motchallenge.comparison import common_sequences, compare
from deepsort_paddle.motchallenge.metrics import Benchmark, ClearSource, Evaluation, Scores, evaluate
from deepsort_paddle.part_files import check_writable, real_path
from deepsort_paddle.research.comparison_report import (
    as_row,
    comparison_csv,
    comparison_json,
    format_comparison,
    tracker_names,
)
from deepsort_paddle.research.evaluation_files import Results, SequenceFiles, find_sequences, read_results

__all__ = ["SequenceFiles", "find_sequences", "format_scores", "format_table", "main"]

# Heading and field of each column. Ratios are shown in per cent.
RATIOS = {
    "HOTA": "hota",
    "DetA": "deta",
    "AssA": "assa",
    "LocA": "loca",
    "MOTA": "mota",
    "MOTP": "motp",
    "IDF1": "idf1",
    "IDP": "idp",
    "IDR": "idr",
}
COUNTS = {
    "IDSW": "id_switches",
    "Frag": "fragmentations",
    "FP": "false_positives",
    "FN": "false_negatives",
    "MT": "mostly_tracked",
    "ML": "mostly_lost",
    "GT": "truth_ids",
    "Frames": "frames",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code (2: an error that the user can fix)."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        check_options(options)
        report = compare_files(options) if len(options.results) > 1 else evaluate_files(options)
    except (OSError, ValueError, ImportError, MemoryError) as error:
        sys.stderr.write(f"{parser.prog}: error: {in_one_line(error)}\n")
        return 2
    sys.stdout.write(report)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = OneLineParser(
        prog="deepsort-eval",
        description="Evaluate tracking results against ground truth: HOTA, MOTA, IDF1 and their components, "
        "per sequence and overall. Files are MOTChallenge text.",
    )
    parser.add_argument(
        "ground_truth",
        metavar="GT",
        type=Path,
        help="a gt.txt, a MOTChallenge sequence folder (with gt/gt.txt), or a folder of sequence folders",
    )
    parser.add_argument(
        "results",
        metavar="RESULTS",
        type=Path,
        nargs="+",
        help="a tracker's output, or a folder with one SEQUENCE.txt per sequence; several RESULTS are "
        "compared with the first",
    )
    parser.add_argument(
        "--benchmark",
        choices=["auto", *get_args(Benchmark)],
        default="auto",
        help="rules for classes and distractors (default: by the sequence name, else by the classes in GT)",
    )
    parser.add_argument(
        "--frames",
        metavar="A-B",
        type=frame_range,
        help="evaluate only frames A to B (default: 1 to seqLength of seqinfo.ini; without that file, the "
        "first to the last frame in GT)",
    )
    parser.add_argument(
        "--clear",
        choices=get_args(ClearSource),
        default="motmetrics",
        help="whose rules to use for MOTA, IDF1 and their components (default: %(default)s)",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write all scores, ratios in 0 to 1, as JSON"
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write all scores, ratios in 0 to 1, as CSV")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="with several RESULTS: plot the differences from the first, as .png, .svg or .pdf",
    )
    return parser


def frame_range(text: str) -> tuple[int, int]:
    """Parse ``A-B``."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"expected A-B with 1 <= A <= B, got {text!r}")
    return int(first), int(last)


def evaluate_files(options: argparse.Namespace) -> str:
    """Evaluate one tracker, write the reports and return the table.

    Raises:
        OSError: a file is missing or can't be read or written.
        ValueError: a file is malformed or there is nothing to evaluate.
    """
    results = read_results(
        options.ground_truth, options.results[0], benchmark=_benchmark(options), frames=options.frames
    )
    _say(results.notes)
    evaluation = evaluate(results.sequences, clear=options.clear)
    write_reports(evaluation, options.json, options.csv)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return format_table(evaluation, width)


def compare_files(options: argparse.Namespace) -> str:
    """Compare several trackers, write the reports and return the tables.

    Raises:
        OSError: a file is missing or can't be read or written.
        ValueError: a file is malformed, or no sequence has results of all trackers.
        ImportError: ``--plot`` needs matplotlib, which is not installed.
    """
    if options.plot:
        from deepsort_paddle.research.comparison_plot import check_plot

        check_plot(options.plot)
    found: dict[str, Results] = {}
    for name, path in zip(tracker_names(options.results), options.results, strict=True):
        first = next(iter(found.values()), None)
        found[name] = read_results(
            options.ground_truth,
            path,
            benchmark=_benchmark(options),
            frames=options.frames,
            frames_of_each=None if first is None else first.frames,
        )
        _say([f"{name}: {note}" for note in found[name].notes])
    common, left_out = common_sequences({name: results.sequences for name, results in found.items()})
    if left_out:
        _say([f"{', '.join(left_out)}: skipped, not every tracker has results"])
    comparison = compare(common, clear=options.clear)
    if options.json:
        options.json.write_text(comparison_json(comparison), encoding="utf-8")
    if options.csv:
        options.csv.write_text(comparison_csv(comparison), encoding="utf-8")
    if options.plot:
        from deepsort_paddle.research.comparison_plot import draw

        draw(comparison, options.plot)
    return format_comparison(comparison)


def _benchmark(options: argparse.Namespace) -> Benchmark | None:
    chosen: Benchmark | None = None if options.benchmark == "auto" else options.benchmark
    return chosen


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        sys.stderr.write(f"deepsort-eval: {note}\n")


def check_options(options: argparse.Namespace) -> None:
    """Raise if a report cannot be written, or would replace an input or another report."""
    if options.plot and len(options.results) == 1:
        raise ValueError("--plot needs at least two RESULTS to compare")
    inputs = set()
    for results in options.results:
        sequences, _ = find_sequences(options.ground_truth, results)
        inputs |= {real_path(path) for files in sequences for path in (files.ground_truth, files.results)}
    seen: dict[Path, str] = {}
    for name in ("--json", "--csv", "--plot"):
        path = getattr(options, name[2:])
        if path is None:
            continue
        if real_path(path) in inputs:
            raise ValueError(f"{name} {path} would replace an input")
        check_writable(path)
        if other := seen.get(real_path(path)):
            raise ValueError(f"{other} and {name} name the same file {path}")
        seen[real_path(path)] = name


def format_table(evaluation: Evaluation, width: int | None = None) -> str:
    """An aligned table: a line a sequence and, where there are several, one overall; ratios in per cent.

    Args:
        evaluation: to show.
        width: of the terminal; the counts go below the ratios where both do not fit. None: any width.
    """
    several = len(evaluation.sequences) > 1
    rows = [*evaluation.sequences, *([evaluation.overall] if several else [])]
    whole = format_scores(rows)
    if width is None or max(map(columns, whole.splitlines())) <= width:
        return whole
    return "\n".join([_table(rows, RATIOS, {}), _table(rows, {}, COUNTS)])


def format_scores(rows: Sequence[Scores]) -> str:
    """An aligned table with a line for each of the scores; ratios in per cent."""
    return _table(rows, RATIOS, COUNTS)


def _table(rows: Sequence[Scores], wanted_ratios: dict[str, str], wanted_counts: dict[str, str]) -> str:
    cells = [["", *wanted_ratios, *wanted_counts]]
    for scores in rows:
        ratios = [getattr(scores, field) for field in wanted_ratios.values()]
        counts = [getattr(scores, field) for field in wanted_counts.values()]
        cells.append(
            [
                scores.name,
                *("-" if math.isnan(ratio) else f"{100 * ratio:.2f}" for ratio in ratios),
                *map(str, counts),
            ]
        )
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([padded(line[0], widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in cells
    ]
    return "\n".join(lines) + "\n"


def write_reports(evaluation: Evaluation, json_path: Path | None, csv_path: Path | None) -> None:
    """Write the scores as JSON and CSV to the paths that are not None."""
    rows = [as_row(scores) for scores in (*evaluation.sequences, evaluation.overall)]
    if json_path is not None:
        report = {"sequences": rows[:-1], "overall": rows[-1]}
        json_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if csv_path is not None:
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Scores)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        csv_path.write_text(text.getvalue(), encoding="utf-8")
