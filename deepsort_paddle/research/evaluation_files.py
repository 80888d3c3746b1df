"""Find and read the ground truth and results of an evaluation; report what looks wrong."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepsort_paddle.motchallenge.conventions import convention_warning
from deepsort_paddle.motchallenge.metrics import (
    Benchmark,
    PreparedSequence,
    annotated_frames,
    prepare_sequence,
)
from deepsort_paddle.motchallenge.sequence import SequenceInfo, sequence_folders
from deepsort_paddle.motchallenge.text import TrackRecords, read_ground_truth, read_tracks

__all__ = ["Results", "SequenceFiles", "find_sequences", "frames_of", "read_results"]


@dataclass(frozen=True, slots=True)
class SequenceFiles:
    """The files of one sequence.

    Attributes:
        name: name of the sequence.
        ground_truth: its ``gt.txt``.
        results: the tracker's results.
        length: number of frames from ``seqinfo.ini``; None if unknown.
    """

    name: str
    ground_truth: Path
    results: Path
    length: int | None


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one tracker, ready for evaluation.

    Attributes:
        sequences: the sequences that have ground truth and results.
        frames: first and last frame to evaluate, by sequence name.
        notes: what was skipped and what looks wrong, one line each.
    """

    sequences: tuple[PreparedSequence, ...]
    frames: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]


def read_results(
    ground_truth: Path,
    results: Path,
    *,
    benchmark: Benchmark | None = None,
    frames: tuple[int, int] | None = None,
    frames_of_each: Mapping[str, tuple[int, int]] | None = None,
) -> Results:
    """Read the files of all sequences and compare their boxes.

    Args:
        ground_truth: see `find_sequences`.
        results: see `find_sequences`.
        benchmark: rules for classes and distractors; None detects them.
        frames: first and last frame to evaluate in every sequence.
        frames_of_each: the same by sequence name, as used for an earlier tracker.

    Returns:
        The sequences to evaluate, with notes.

    Raises:
        OSError: a file is missing or can't be read.
        ValueError: a file is malformed or there is nothing to evaluate.
    """
    sequences, left_out = find_sequences(ground_truth, results)
    notes = [f"no results for {', '.join(left_out)}: skipped"] if left_out else []
    settled = frames_of_each or {}
    prepared, counted_frames = [], {}
    for files in sequences:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            truth, tracks = read_ground_truth(files.ground_truth), read_tracks(files.results)
        notes += [str(warning.message) for warning in caught]
        span = frames or settled.get(files.name) or frames_of(files, truth, tracks)
        if span is None:
            problem = f"{files.ground_truth} holds no boxes"
        else:
            sequence = prepare_sequence(files.name, truth, tracks, benchmark=benchmark, frames=span)
            problem = (
                f"{files.ground_truth} has no objects to evaluate in frames {span[0]} to {span[1]} "
                f"by the rules of {sequence.benchmark}"
            )
            if sequence.num_truth_ids:
                problem = ""
        if problem and len(sequences) == 1:
            raise ValueError(problem)
        if problem or span is None:
            notes.append(f"{problem}: skipped")
            continue
        notes += order_notes(files, truth, tracks)
        notes += range_notes(files, truth, tracks, span, chosen=frames is not None)
        if warning := convention_warning(truth[truth.confidence != 0], tracks, span):
            notes.append(f"{files.name}: {warning}")
        prepared.append(sequence)
        counted_frames[files.name] = span
    if not prepared:
        raise ValueError(f"{ground_truth} has no objects to evaluate")
    return Results(tuple(prepared), counted_frames, tuple(notes))


def find_sequences(
    ground_truth: Path, results: Path, *, ending: str = ".txt"
) -> tuple[list[SequenceFiles], list[str]]:
    """Pair the ground truth of each sequence with its results.

    Args:
        ground_truth: a gt.txt, a sequence folder, or a folder of sequence folders.
        results: a file, or a folder with ``SEQUENCE.txt`` files; with a gt.txt outside a sequence
            folder also a folder with one file of any name.
        ending: suffix of these files.

    Returns:
        The pairs sorted by name, and the names of sequences without results.

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
        SequenceFiles(name, truth, results / f"{name}{ending}", length)
        for name, truth, length in known
        if (results / f"{name}{ending}").is_file()
    ]
    if not found and ground_truth.is_file() and known[0][0] == ground_truth.stem:  # it names no sequence
        name, truth, length = known[0]
        return [SequenceFiles(name, truth, _only_file(results, ending, ground_truth), length)], []
    if not found:
        expected = ", ".join(f"{name}{ending}" for name, _, _ in known[:3]) + (
            ", ..." if len(known) > 3 else ""
        )
        raise FileNotFoundError(f"{results} has no results of any sequence, expected {expected}")
    with_results = {files.name for files in found}
    return found, [name for name, _, _ in known if name not in with_results]


def _only_file(folder: Path, ending: str, ground_truth: Path) -> Path:
    """Return the one file of a folder with this ending.

    Raises:
        FileNotFoundError: there is none, or more than one.
    """
    files = sorted(folder.glob(f"*{ending}"))
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:3]) + (", ..." if len(files) > 3 else "")
        there = f"has several ({names})" if files else f"has no {ending} file"
        raise FileNotFoundError(f"expected a folder with one result for {ground_truth}, {folder} {there}")
    return files[0]


def known_sequences(ground_truth: Path) -> list[tuple[str, Path, int | None]]:
    """Return the name, gt.txt and length of each sequence at a path.

    Raises:
        FileNotFoundError: neither the folder nor any folder in it has a ``gt/gt.txt``.
    """
    if ground_truth.is_file():
        folder = ground_truth.resolve().parent.parent
        if (folder / "gt" / "gt.txt").is_file() and ground_truth.resolve() == folder / "gt" / "gt.txt":
            return [sequence_of(folder)]
        return [(ground_truth.stem, ground_truth, None)]
    if (ground_truth / "gt" / "gt.txt").is_file():
        return [sequence_of(ground_truth)]
    folders = [path for path in sequence_folders(ground_truth) if (path / "gt" / "gt.txt").is_file()]
    if not folders:
        raise FileNotFoundError(f"{ground_truth} holds no gt/gt.txt and no folder that does")
    return [sequence_of(folder) for folder in folders]


def sequence_of(folder: Path) -> tuple[str, Path, int | None]:
    """Return the name, gt.txt and length of a sequence folder; result files use the folder's name."""
    info = SequenceInfo.read(folder)
    return folder.resolve().name, folder / "gt" / "gt.txt", info.length


def frames_of(
    files: SequenceFiles, ground_truth: TrackRecords, results: TrackRecords
) -> tuple[int, int] | None:
    """Return the first and last frame to evaluate by default; None without annotations.

    Usually 1 to ``seqLength``. In a clip cut from a longer sequence the annotations have higher frame
    numbers; then ``seqLength`` frames are evaluated from the first annotation or result on.
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


def order_notes(files: SequenceFiles, ground_truth: TrackRecords, results: TrackRecords) -> list[str]:
    """Warn if ground truth and results seem to be swapped, or the results are empty."""
    notes = []
    scores = int((ground_truth.confidence % 1 != 0).sum())
    if scores:
        notes.append(
            f"{files.name}: {scores} of {len(ground_truth)} flags in {files.ground_truth} (7th column) are "
            "fractions like the scores of results: pass the ground truth first, the results second"
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
    """Warn about frames that only one of the two files covers."""
    first, last = frames
    notes = []
    outside = int(((results.frame < first) | (results.frame > last)).sum())
    if outside and not chosen:
        notes.append(
            f"{files.name}: {outside} of {len(results)} results lie outside frames {first} to {last} "
            "and were ignored (--frames A-B selects other frames)"
        )
    end = annotated_frames(ground_truth)[1]
    # If the last tenth of a sequence has no annotation, the annotation has probably ended early.
    unannotated = int(((results.frame > end) & (results.frame <= last)).sum())
    if unannotated and last - end > 0.1 * (last - first + 1):
        notes.append(
            f"{files.name}: ground truth ends at frame {end} of {last}, {unannotated} results after it "
            f"count as false positives (--frames {first}-{end} excludes them)"
        )
    stop = int(results.frame.max(initial=0))
    missed = int(((ground_truth.frame > stop) & (ground_truth.frame <= last)).sum())
    if first <= stop and missed and not chosen and last - stop > 0.1 * (last - first + 1):
        notes.append(
            f"{files.name}: results end at frame {stop} of {last}, {missed} true boxes after it "
            f"count as missed (--frames {first}-{stop} excludes them)"
        )
    return notes
