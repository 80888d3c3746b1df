"""Write the frames of a run to its outputs, also a second time from its track index.

The second time nothing is detected or encoded; the video is only read if an output needs its images.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from deepsort_paddle.command.components import open_counter
from deepsort_paddle.command.notes import Notes
from deepsort_paddle.command.outputs import open_outputs
from deepsort_paddle.command.result import Progress, RunResult
from deepsort_paddle.command.saved_run import open_again, open_frames
from deepsort_paddle.console.signals import Stop
from deepsort_paddle.detection.labels import is_person
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.output.blur import PersonBlur
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.protocol import Output, StopTracking
from deepsort_paddle.output.review import Review
from deepsort_paddle.part_files import lock_output
from deepsort_paddle.people.corrections.collected import collect_answers, kept_corrections
from deepsort_paddle.people.corrections.review import review_of
from deepsort_paddle.people.frame_rows import replay
from deepsort_paddle.people.identities import find_identities
from deepsort_paddle.people.index_file import IndexMeta, TrackIndex
from deepsort_paddle.plan.remembered_plan import recalled
from deepsort_paddle.plan.run_plan import FILES, RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["blurred", "can_be_read_again", "progress_bar", "replayed", "rewrite_outputs", "write_frames"]

_BAR_FRAMES = 5  # between two updates of the bar's text
# They fit into 80 columns and leave about 10 columns for the bar.
_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {remaining} left, {rate_noinv_fmt}{postfix}"
_OPEN_END = "{n_fmt} frames in {elapsed}{postfix}"


def write_frames(
    frames: Iterable[TrackedFrame],
    open_all: Callable[[ExitStack], list[Output]],
    progress: Progress,
    notes: Notes,
    *,
    bar: tqdm[NoReturn],
    signals: Sequence[int] = (),
    again: bool = False,
    whole: bool = False,
) -> int:
    """Write each frame to all outputs; return the signal that ended it early, or 0.

    Args:
        frames: the frames in order.
        open_all: opens the outputs, which the stack closes.
        progress: counts the frames.
        notes: the notes of the run.
        bar: the progress bar.
        signals: signals that end the run between two frames.
        again: whether the frames were already counted.
        whole: whether incomplete outputs are discarded, so that the files they replace are kept.
    """
    stop = Stop(signals)
    try:
        with stop, bar, ExitStack() as opened:
            outputs = open_all(opened)
            if whole:
                opened.enter_context(_abandoning())
            for tracked in frames:
                began = time.perf_counter()
                with stop.held():
                    ends = [_wants_no_more(output, tracked) for output in outputs]
                    spent = time.perf_counter() - began
                    if again:
                        progress.add_write(spent)
                    else:
                        progress.add(tracked, spent)
                    bar.update()
                notes.collect()
                if not bar.disable and bar.n % _BAR_FRAMES == 0:
                    bar.set_postfix_str(f"{len(tracked.tracks)} tracked, {progress.line()}")
                if any(ends):
                    break
    except (KeyboardInterrupt, _AbandonedError):
        return stop.signal or signal.SIGINT
    return 0


class _AbandonedError(Exception):
    """A stop after which outputs stay incomplete, unlike KeyboardInterrupt."""


@contextmanager
def _abandoning() -> Iterator[None]:
    """Turn a stop into an error, after which writers keep ``NAME.part``."""
    try:
        yield
    except KeyboardInterrupt:
        raise _AbandonedError from None


def _wants_no_more(output: Output, tracked: TrackedFrame) -> bool:
    """Write a frame to an output; return whether it should be the last one."""
    try:
        output.write(tracked)
    except StopTracking:
        return True
    return False


def can_be_read_again(plan: RunPlan, source: FrameSource) -> bool:
    """Return whether a second pass gives the same frames: for files, not for cameras, streams and pipes."""
    return not source.live and (Path(plan.source).is_file() or Path(plan.source).is_dir())


def replayed(
    plan: RunPlan, source: FrameSource, index: str | Path, stack: ExitStack
) -> Iterator[TrackedFrame]:
    """Return the frames of an index; the source is read again if an output of the plan needs images.

    Args:
        plan: plan with the outputs.
        source: source of the plan; it is not read here.
        index: path of the track index.
        stack: closes the opened files.
    """
    images = None
    if source.has_images and (plan.save_video or plan.save_crops or plan.report):
        images = stack.enter_context(open_frames(plan))
    return stack.enter_context(closing(replay(index, images)))


def progress_bar(plan: RunPlan, frames: int | None) -> tqdm[NoReturn]:
    """Return a progress bar for a number of frames, shown on a terminal only."""
    form = _BAR if frames else _OPEN_END
    hidden = True if plan.quiet else None
    return tqdm(total=frames, unit=" f", bar_format=form, disable=hidden, file=sys.stderr)


def blurred(frames: Iterable[TrackedFrame], plan: RunPlan, labels: Sequence[str]) -> Iterable[TrackedFrame]:
    """Blur people in the frames for the outputs, if the plan says so.

    Args:
        frames: frames of the run.
        plan: plan with ``blur``.
        labels: class names by number.
    """
    if plan.blur is None:
        return frames
    people = [number for number, label in enumerate(labels) if is_person(label)]
    return PersonBlur(plan.blur, classes=people or None).of(frames)


def rewrite_outputs(
    path: str | Path,
    persons: Persons,
    note: Callable[[str], None],
    *,
    interval: tuple[int, int] | None = None,
    plan: RunPlan | None = None,
    review: Review | None = None,
    signals: Sequence[int] = (),
) -> RunResult:
    """Write the text, CSV, JSON, video, report and counts of a run again.

    Args:
        path: index of the run.
        persons: the person of each track.
        note: called with each note, one line.
        interval: smallest and largest number of people.
        plan: outputs to write; None: those of the run.
        review: questions for the report page; None: those of the index.
        signals: signals that end it between two frames.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: the index is of another version, or of a live source, whose outputs cannot be written
            again.
    """
    meta = IndexMeta.read(path, unfinished=True)
    if not meta.run:
        raise ValueError(f"{path}: the index of a live source: its outputs can't be written again")
    if plan is None:
        plan = recalled(meta.run["plan"], Path(path))
        plan = replace(plan, identities=True, overwrite=True, quiet=True)
    if plan.report and review is None:
        index = TrackIndex.read(path, unfinished=True)
        answers, _ = collect_answers([index], [kept_corrections(index)])
        review = review_of(index, find_identities(index, answers=answers), str(path))
    about = meta.run["about"]
    with Notes(note) as notes, ExitStack() as stack:
        source = stack.enter_context(open_again(plan))
        for output in (output for name in FILES if (output := getattr(plan, name))):
            stack.enter_context(lock_output(output))
        progress = Progress(
            source,
            None,
            count_every=plan.count_every,
            start_time=plan.start_time,
            broken=meta.broken,
        )
        progress.frames, progress.ids = meta.frames, set(persons.of_track)
        progress.persons, progress.names = dict(persons.of_track), dict(persons.names)
        progress.people_interval, progress.review = interval, review
        progress.start_counting(open_counter(plan, source))
        notes.release()
        frames = replayed(plan, source, path, stack)
        stopped_by = write_frames(
            blurred(frames, plan, about["class_names"]),
            partial(open_outputs, plan, source, about, progress),
            progress,
            notes,
            bar=progress_bar(plan, progress.frames),
            signals=signals,
            again=True,
            whole=True,
        )
        files = {name: Path(output) for name, output in plan.files().items()}
        return progress.result(
            outputs={**files, "index": Path(path)}, warnings=tuple(notes.lines), stopped_by=stopped_by
        )
