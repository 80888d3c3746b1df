"""``--apply``: corrects the track index of a run and writes the run's outputs once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepsort_paddle.command.checks import check_outputs
from deepsort_paddle.command.result import RunResult
from deepsort_paddle.command.saved_run import open_again
from deepsort_paddle.command.write_frames import rewrite_outputs
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.part_files import lock_output, real_path
from deepsort_paddle.people.corrections.apply import apply_corrections
from deepsort_paddle.people.corrections.file import Corrections
from deepsort_paddle.people.corrections.review import review_of
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.plan.option import options
from deepsort_paddle.plan.remembered_plan import REWRITTEN, recalled
from deepsort_paddle.plan.run_plan import OUTPUTS, RunPlan

__all__ = ["correct_run"]

# What may be asked anew of a run that was tracked before.
_ASKED = ("lines", "zones", "count_every", "start_time", "loiter", "output_ids", "report_inline")
_OTHERS = ("apply", "index", "overwrite", "quiet", "save_dir", "save_crops", *REWRITTEN)


def correct_run(plan: RunPlan, note: Callable[[str], None], *, signals: Sequence[int] = ()) -> RunResult:
    """Correct the index of a run, and write its outputs once more, or those that the plan names.

    Args:
        plan: source, corrections, and maybe index, outputs, lines and zones.
        note: takes what is worth knowing, a line each.
        signals: those that end the run between two frames; the index is corrected then.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: a file or an option is wrong; index and outputs stay as they were.
    """
    corrections = Corrections.read(str(plan.apply))
    path = plan.index or _beside(corrections)
    index = TrackIndex.read(path)
    if not index.meta.run:
        raise ValueError(f"{path}: the index of a camera, whose outputs can't be written again")
    corrections.check_run(path, index.meta, index.meta.tracks or len(index))
    asked = _asked(plan)
    changes: dict[str, Any] = {name: value for name, value in asked.items() if name in _ASKED}
    own = {name: value for name, value in asked.items() if name in OUTPUTS and name != "index"}
    if own or plan.save_dir:
        changes |= {**dict.fromkeys(OUTPUTS), **own, "save_dir": plan.save_dir}
    again = replace(recalled(index.meta.run["plan"], Path(path)), source=plan.source, **changes)
    with ExitStack() as stack:
        source = stack.enter_context(open_again(again))
        size = (index.meta.width, index.meta.height)
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
        check_outputs(replace(again, apply=plan.apply, overwrite=plan.overwrite or not own))
        with lock_output(path):
            corrected = apply_corrections(path, corrections)
    return rewrite_outputs(
        path,
        Persons(corrected.persons, corrected.names),
        note,
        interval=corrected.identities.interval,
        plan=replace(again, save_dir=None, identities=True, overwrite=True, quiet=plan.quiet),
        review=review_of(corrected.index, corrected.identities, str(path)),
        signals=signals,
    )


def _beside(corrections: Corrections) -> str:
    """The index that corrections name: beside them, or seen from the working directory.

    Raises:
        ValueError: they name none.
        FileNotFoundError: there is none.
    """
    if corrections.index is None:
        raise ValueError(f"{corrections.path} names no index: name it with --index FILE.sqlite")
    for path in (Path(corrections.path).parent / corrections.index, Path(corrections.index)):
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"{corrections.index}: no such index; name it with --index FILE.sqlite")


def _asked(plan: RunPlan) -> dict[str, Any]:
    """What a plan asks for by field, beside the defaults.

    Raises:
        ValueError: it asks for something that only tracking can give.
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
