"""The command ``deepsort-eval``: find the files, evaluate, print a table."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from deepsort_paddle.command.one_line import OneLineParser, columns, in_one_line, padded
from deepsort_paddle.motchallenge.conventions import convention_warning
from deepsort_paddle.motchallenge.metrics import (
    Benchmark,
    ClearSource,
    Evaluation,
    Scores,
    annotated_frames,
    evaluate,
    prepare_sequence,
)
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import TrackRecords, read_ground_truth, read_tracks
from deepsort_paddle.part_files import check_writable, real_path

__all__ = ["SequenceFiles", "find_sequences", "format_scores", "format_table", "main"]

# Heading and field of each column; the first group are ratios, shown in per cent.
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


@dataclass(frozen=True, slots=True)
class SequenceFiles:
    """What belongs to one sequence.

    Attributes:
        name: of the sequence.
        ground_truth: its ``gt.txt``.
        results: a tracker's.
        length: number of frames, where ``seqinfo.ini`` says it.
    """

    name: str
    ground_truth: Path
    results: Path
    length: int | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code, 2 for what the user can put right."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        evaluation = evaluate_files(options)
        write_reports(evaluation, options.json, options.csv)
    except (OSError, ValueError, ImportError, MemoryError) as error:
        sys.stderr.write(f"{parser.prog}: error: {in_one_line(error)}\n")
        return 2
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    sys.stdout.write(format_table(evaluation, width))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = OneLineParser(
        prog="deepsort-eval",
        description="Measure tracking results against ground truth: HOTA, MOTA, IDF1 and their parts, per "
        "sequence and overall. Files are MOTChallenge text.",
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
        help="a tracker's output, or a folder with one SEQUENCE.txt for each sequence",
    )
    parser.add_argument(
        "--benchmark",
        choices=["auto", *get_args(Benchmark)],
        default="auto",
        help="rules for classes and distractors (default: by the sequence's name, else by the classes in GT)",
    )
    parser.add_argument(
        "--frames",
        metavar="A-B",
        type=frame_range,
        help="count frames A to B only (default: 1 to seqLength of seqinfo.ini; without one, the first to "
        "the last frame in GT)",
    )
    parser.add_argument(
        "--clear",
        choices=get_args(ClearSource),
        default="motmetrics",
        help="who counts MOTA, IDF1 and what belongs to them (default: %(default)s)",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write all scores, ratios in 0 to 1, as JSON"
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write all scores, ratios in 0 to 1, as CSV")
    return parser


def frame_range(text: str) -> tuple[int, int]:
    """The two numbers of ``A-B``."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"wanted A-B with 1 <= A <= B, got {text!r}")
    return int(first), int(last)


def evaluate_files(options: argparse.Namespace) -> Evaluation:
    """Read the files of all sequences and evaluate them; what is left out goes to stderr.

    Raises:
        OSError: a file is missing or can't be read.
        ValueError: a file is malformed or there is nothing to evaluate.
    """
    sequences, left_out = find_sequences(options.ground_truth, options.results)
    check_reports(options, sequences)
    notes = [f"no results for {', '.join(left_out)}: left out"] if left_out else []
    benchmark = None if options.benchmark == "auto" else options.benchmark
    prepared = []
    for files in sequences:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ground_truth, results = read_ground_truth(files.ground_truth), read_tracks(files.results)
        notes += [str(warning.message) for warning in caught]
        frames = options.frames or frames_of(files, ground_truth, results)
        if frames is None:
            problem = f"{files.ground_truth} holds no boxes"
        else:
            sequence = prepare_sequence(files.name, ground_truth, results, benchmark=benchmark, frames=frames)
            problem = (
                f"{files.ground_truth} holds nobody to evaluate in frames {frames[0]} to {frames[1]} "
                f"by the rules of {sequence.benchmark}"
            )
            if sequence.num_truth_ids:
                problem = ""
        if problem and len(sequences) == 1:
            raise ValueError(problem)
        if problem or frames is None:
            notes.append(f"{problem}: left out")
            continue
        notes += order_notes(files, ground_truth, results)
        notes += range_notes(files, ground_truth, results, frames, chosen=options.frames is not None)
        counted = ground_truth[ground_truth.confidence != 0]
        if warning := convention_warning(counted, results, frames):
            notes.append(f"{files.name}: {warning}")
        prepared.append(sequence)
    if not prepared:
        raise ValueError(f"{options.ground_truth} holds nobody to evaluate")
    for note in notes:
        sys.stderr.write(f"deepsort-eval: {note}\n")
    return evaluate(prepared, clear=options.clear)


def frames_of(
    files: SequenceFiles, ground_truth: TrackRecords, results: TrackRecords
) -> tuple[int, int] | None:
    """First and last frame to count by default; None when nothing is annotated.

    These are frames 1 to ``seqLength``. In a clip of a longer sequence, whose annotation lies beyond these,
    they are as many frames from the first annotation or result on.
    """
    if not len(ground_truth):
        return None
    first, last = annotated_frames(ground_truth)
    if files.length is None:
        return first, last
    if last <= files.length or last - first >= files.length:
        return 1, files.length
    earliest = last - files.length + 1
    start = min(first, max(earliest, int(results.frame.min(initial=first))))
    return start, start + files.length - 1


def check_reports(options: argparse.Namespace, sequences: Sequence[SequenceFiles]) -> None:
    """Raise where ``--json`` or ``--csv`` can't be written, or would replace an input or each other."""
    inputs = {real_path(path) for files in sequences for path in (files.ground_truth, files.results)}
    for name, path in (("--json", options.json), ("--csv", options.csv)):
        if path is None:
            continue
        if real_path(path) in inputs:
            raise ValueError(f"{name} {path} would replace an input")
        check_writable(path)
    if options.json and options.csv and real_path(options.json) == real_path(options.csv):
        raise ValueError(f"--json and --csv name the same file {options.json}")


def order_notes(files: SequenceFiles, ground_truth: TrackRecords, results: TrackRecords) -> list[str]:
    """What tells that the files were taken one for the other, or that there is nothing in the results."""
    notes = []
    scores = int((ground_truth.confidence % 1 != 0).sum())
    if scores:
        notes.append(
            f"{files.name}: {scores} of {len(ground_truth)} flags in {files.ground_truth} (7th column) are "
            "fractions, as scores of results are: the ground truth comes first, the results second"
        )
    if not len(results):
        notes.append(f"{files.name}: {files.results} holds no boxes, so all true boxes count as missed")
    return notes


def range_notes(
    files: SequenceFiles,
    ground_truth: TrackRecords,
    results: TrackRecords,
    frames: tuple[int, int],
    *,
    chosen: bool,
) -> list[str]:
    """What the user should know about frames that only one of the two files covers."""
    first, last = frames
    notes = []
    outside = int(((results.frame < first) | (results.frame > last)).sum())
    if outside and not chosen:
        notes.append(
            f"{files.name}: {outside} of {len(results)} results lie outside frames {first} to {last} "
            "and were ignored (--frames A-B chooses others)"
        )
    end = annotated_frames(ground_truth)[1]
    # A tenth of the sequence without anybody is more often an end of the annotation than of the people.
    unannotated = int(((results.frame > end) & (results.frame <= last)).sum())
    if unannotated and last - end > 0.1 * (last - first + 1):
        notes.append(
            f"{files.name}: ground truth ends at frame {end} of {last}, {unannotated} results after it "
            f"count as false positives (--frames {first}-{end} leaves them out)"
        )
    stop = int(results.frame.max(initial=0))
    missed = int(((ground_truth.frame > stop) & (ground_truth.frame <= last)).sum())
    if first <= stop and missed and not chosen and last - stop > 0.1 * (last - first + 1):
        notes.append(
            f"{files.name}: results end at frame {stop} of {last}, {missed} true boxes after it "
            f"count as missed (--frames {first}-{stop} leaves them out)"
        )
    return notes


def find_sequences(ground_truth: Path, results: Path) -> tuple[list[SequenceFiles], list[str]]:
    """Pair the ground truth of each sequence with its results.

    Args:
        ground_truth: a gt.txt, a sequence folder, or a folder of sequence folders.
        results: a file, or a folder with ``SEQUENCE.txt`` files.

    Returns:
        The pairs in order of name, and the names of sequences that have no results.

    Raises:
        FileNotFoundError: one of the two does not exist, or no sequence has results.
    """
    for path in (ground_truth, results):
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
    known = known_sequences(ground_truth)
    if results.is_file():
        if len(known) > 1:
            known = [sequence for sequence in known if sequence[0] == results.stem]
        if not known:
            raise FileNotFoundError(
                f"{ground_truth} has no sequence {results.stem}, the name of {results.name}"
            )
        name, truth, length = known[0]
        return [SequenceFiles(name, truth, results, length)], []
    found = [
        SequenceFiles(name, truth, results / f"{name}.txt", length)
        for name, truth, length in known
        if (results / f"{name}.txt").is_file()
    ]
    if not found:
        wanted = ", ".join(f"{name}.txt" for name, _, _ in known[:3]) + (", ..." if len(known) > 3 else "")
        raise FileNotFoundError(f"{results} holds results of no sequence, wanted {wanted}")
    with_results = {files.name for files in found}
    return found, [name for name, _, _ in known if name not in with_results]


def known_sequences(ground_truth: Path) -> list[tuple[str, Path, int | None]]:
    """Name, gt.txt and length of each sequence that a path stands for.

    Raises:
        FileNotFoundError: a folder holds no ``gt/gt.txt``, nor do its subfolders.
    """
    if ground_truth.is_file():
        folder = ground_truth.resolve().parent.parent
        if (folder / "gt" / "gt.txt").is_file() and ground_truth.resolve() == folder / "gt" / "gt.txt":
            return [sequence_of(folder)]
        return [(ground_truth.stem, ground_truth, None)]
    if (ground_truth / "gt" / "gt.txt").is_file():
        return [sequence_of(ground_truth)]
    folders = [folder for folder in sorted(ground_truth.iterdir()) if (folder / "gt" / "gt.txt").is_file()]
    if not folders:
        raise FileNotFoundError(f"{ground_truth} holds no gt/gt.txt and no folder that does")
    return [sequence_of(folder) for folder in folders]


def sequence_of(folder: Path) -> tuple[str, Path, int | None]:
    """Name, gt.txt and length of a sequence folder; the folder's name is the one that results go by."""
    info = SequenceInfo.read(folder)
    return folder.resolve().name, folder / "gt" / "gt.txt", info.length


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
    """Write the scores as JSON and as CSV, to those files that are named."""
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


def as_row(scores: Scores) -> dict[str, Any]:
    """The fields of the scores; a ratio that does not exist is None (``null`` in JSON, empty in CSV)."""
    return {
        key: None if isinstance(score, float) and math.isnan(score) else score
        for key, score in asdict(scores).items()
    }
