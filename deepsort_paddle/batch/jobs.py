"""A video to track and its outcome, as values that are sent between processes and machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import Self

from deepsort_paddle.plan.run_plan import RunPlan

__all__ = ["Job", "Outcome"]


@dataclass(frozen=True, slots=True)
class Job:
    """One video to track.

    Attributes:
        name: name of its output files, unique in the run.
        plan: plan of this video, with its file names filled in.
        folder: folder that paths are relative to.
        persons: person of each track; the outputs are rewritten with these, from the index that the plan
            names. None: the video is tracked.
        names: by person, of those that have one.
    """

    name: str
    plan: RunPlan
    folder: str
    persons: Mapping[int, int] | None = None
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The video as given by the user."""
        return self.plan.source

    def as_dict(self) -> dict[str, Any]:
        """Return the job as values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Self:
        """Return the job that `as_dict` described."""
        persons = known.get("persons")  # JSON makes the ids words
        persons = None if persons is None else {int(track): person for track, person in persons.items()}
        names = {int(person): name for person, name in known.get("names", {}).items()}
        return cls(known["name"], RunPlan.from_dict(known["plan"]), known["folder"], persons, names)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt at a `Job`.

    Attributes:
        error: why it failed, one line; empty if it succeeded.
        trace: traceback of an unexpected error.
        frames: number of tracked frames.
        ids: number of reported ids.
        broken: number of frames that could not be read.
        seconds: duration of the attempt.
        files: files and folders written, as paths relative to the job's folder.
        notes: notes and warnings, one line each.
        counts: counts of lines and zones, as in the JSON output; None if there are none.
        counted: the counts as text, one line each.
    """

    error: str = ""
    trace: str = ""
    frames: int = 0
    ids: int = 0
    broken: int = 0
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    counts: dict[str, Any] | None = None
    counted: tuple[str, ...] = ()
