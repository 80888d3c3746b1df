"""``--apply``: correct the track index of a run and write its outputs again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepsort_paddle.annotations.annotation import SUFFIXES, Annotation, read_annotation
from deepsort_paddle.command.checks import check_outputs, counts_images, unknown_to_cvat
from deepsort_paddle.command.result import RunResult
from deepsort_paddle.command.saved_run import open_again
from deepsort_paddle.command.write_frames import rewrite_outputs
from deepsort_paddle.console.one_line import in_one_line
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.part_files import lock_output, real_path, temporary_path
from deepsort_paddle.people.corrections.apply import corrected_copy
from deepsort_paddle.people.corrections.file import Corrections
from deepsort_paddle.people.corrections.review import review_of
from deepsort_paddle.people.frame_rows import frame_numbers
from deepsort_paddle.people.index_file import IndexMeta
from deepsort_paddle.people.videos import JoinedPeople, indexes_of, join_videos
from deepsort_paddle.plan.option import options
from deepsort_paddle.plan.remembered_plan import REWRITTEN, recalled
from deepsort_paddle.plan.run_plan import OUTPUTS, RunPlan

__all__ = ["correct_run"]

# Options that may change when outputs are written again.
_ASKED = ("lines", "zones", "count_every", "start_time", "loiter", "output_ids", "report_inline")
_OTHERS = ("apply", "index", "overwrite", "quiet", "save_dir", "save_crops", *REWRITTEN)


def correct_run(plan: RunPlan, note: Callable[[str], None], *, signals: Sequence[int] = ()) -> RunResult:
    """Correct the index of a run, and write its outputs again, or those of the plan.

    Args:
        plan: source, corrections, and optionally index, outputs, lines and zones.
        note: called with each note, one line.
        signals: signals that end the run between two frames; the index is corrected by then.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: a file or an option is invalid; index and outputs are unchanged.
    """
    said = str(plan.apply)
    is_annotation = Path(said).suffix.lower() in SUFFIXES
    corrections = Corrections(said) if is_annotation else Corrections.read(said)
    path = Path(plan.index or _beside(corrections))
    meta = IndexMeta.read(path)
    if not meta.run:
        raise ValueError(f"{path}: the index of a camera, whose outputs can't be written again")
    corrections.check_run(path, meta)
    asked = _asked(plan)
    changes: dict[str, Any] = {name: value for name, value in asked.items() if name in _ASKED}
    own = {name: value for name, value in asked.items() if name in OUTPUTS and name != "index"}
    if own or plan.save_dir:
        changes |= {**dict.fromkeys(OUTPUTS), **own, "save_dir": plan.save_dir}
    again = replace(recalled(meta.run["plan"], path), source=plan.source, apply=plan.apply, **changes)
    if own or plan.save_dir:
        again = replace(again, overwrite=plan.overwrite)
    if is_annotation and not own:  # it may have been corrected in place
        same = {
            path for path in (again.cvat, again.ground_truth) if path and real_path(path) == real_path(said)
        }
        again = replace(
            again,
            cvat=None if again.cvat in same else again.cvat,
            ground_truth=None if again.ground_truth in same else again.ground_truth,
        )
    with ExitStack() as locks, open_again(again) as source:
        size = (meta.width, meta.height)
        if all(size) and all((source.width, source.height)) and (source.width, source.height) != size:
            got = f"{source.width} x {source.height}"
            raise ValueError(
                f"{path}: expected frames of {size[0]} x {size[1]} pixels, {plan.source} has {got}"
            )
        again = again.in_pixels(source.width, source.height)
        again = again.named(source.name, has_images=source.has_images)
        for output in again.files().values():
            if real_path(output) == real_path(path):
                raise ValueError(f"{output} is the index of the run: choose another name for the output")
            Path(output).parent.mkdir(parents=True, exist_ok=True)
        check_outputs(replace(again, overwrite=plan.overwrite or not (own or plan.save_dir)))
        people_file, indexes = _tracked_together(path, meta, note)
        for index in {real_path(one): one for one in (path, *indexes.values())}.values():
            locks.enter_context(lock_output(index))
        annotation = _annotation(again, path) if is_annotation else None
        with corrected_copy(path, corrections, annotation) as corrected:
            persons = Persons(corrected.persons, corrected.names)
            interval: tuple[int, int] | None = corrected.identities.interval
            joined = None
            if people_file is not None:
                joined = join_videos(indexes, corrected.index)
                video = next(one for one in joined.videos.values() if one.index == corrected.index.path)
                video.save(people_file, temporary_path(path))
                persons, interval = Persons(video.of_track(), video.names), None
    result = rewrite_outputs(
        path,
        persons,
        note,
        interval=interval,
        plan=replace(again, apply=None, save_dir=None, identities=True, overwrite=True, quiet=plan.quiet),
        review=review_of(corrected.index, corrected.identities, str(path)),
        signals=signals,
    )
    if joined is None or people_file is None or result.stopped_by:
        return result
    return replace(result, stopped_by=_rewrite_others(joined, path, people_file, note, signals))


def _annotation(plan: RunPlan, path: Path) -> Annotation:
    """Read the annotations of a plan, in the frames of an index.

    Args:
        plan: plan of the run, with ``apply``.
        path: the index.
    """
    option = unknown_to_cvat(plan)
    # Ground truth has the run's own frame numbers.
    if option and (plan.mirror or Path(str(plan.apply)).suffix.lower() != ".txt"):
        raise ValueError(f"{path}: of a run with {option}, whose frames annotations do not fit")
    return read_annotation(
        str(plan.apply),
        frame_numbers(path),
        by_place=counts_images(plan),
        whole=plan.start is None and plan.end is None,
    )


def _tracked_together(
    path: Path, meta: IndexMeta, note: Callable[[str], None]
) -> tuple[Path | None, dict[str, Path]]:
    """Return the file with the persons of all videos of the run, and their indexes; None for one video."""
    if meta.people_file is None:
        return None, {}
    people_file = Path(os.path.normpath(real_path(path).parent / meta.people_file))
    indexes = indexes_of(people_file) if people_file.is_file() else {}
    own = next((name for name, one in indexes.items() if real_path(one) == real_path(path)), None)
    if own is None:
        note(f"{people_file} does not list {path}: persons are numbered within this video")
        return None, {}
    return people_file, {**indexes, own: path}


def _rewrite_others(
    joined: JoinedPeople, path: Path, people_file: Path, note: Callable[[str], None], signals: Sequence[int]
) -> int:
    """Write the outputs of other videos whose persons changed; return the signal of a stop, or 0.

    Args:
        joined: the people of all videos.
        path: the index whose outputs are already written.
        people_file: the file with the persons of all videos.
        note: called with each note.
        signals: signals that end it between two frames.
    """
    written = []
    for name, video in joined.videos.items():
        if video.index == path:
            continue
        if not video.known:
            persons = Persons(video.of_track(), video.names)
            try:
                stopped_by = rewrite_outputs(video.index, persons, _ignore, signals=signals).stopped_by
            except (OSError, ValueError) as error:
                note(f"{name}: its outputs still have the former persons: {in_one_line(error)}")
                continue
            if stopped_by:
                return stopped_by
            written.append(name)
        video.save(people_file)
    joined.write(people_file)
    if written:
        note(f"persons changed in {', '.join(written)} too: outputs written again")
    return 0


def _ignore(line: str) -> None:
    """Ignore a note that was already given when the video was tracked."""


def _beside(corrections: Corrections) -> str:
    """Return the index named by corrections: next to them, or in the working directory.

    Raises:
        ValueError: they name no index.
        FileNotFoundError: the index does not exist.
    """
    if corrections.index is None:
        raise ValueError(f"{corrections.path} names no index: name it with --index FILE.sqlite")
    for path in (Path(corrections.path).parent / corrections.index, Path(corrections.index)):
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"{corrections.index}: no such index; name it with --index FILE.sqlite")


def _asked(plan: RunPlan) -> dict[str, Any]:
    """Return the fields of a plan that differ from the defaults.

    Raises:
        ValueError: an option needs tracking.
    """
    default, asked = RunPlan(source=""), {}
    for name, known in options(RunPlan).items():
        value = getattr(plan, name)
        if value == getattr(default, name):
            continue
        if name not in (*_ASKED, *_OTHERS):
            raise ValueError(f"{known.spelled(name)} does not go with --apply, which tracks nothing")
        asked[name] = value
    return asked
