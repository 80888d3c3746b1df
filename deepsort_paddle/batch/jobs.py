"""A video to track and what came of it, as values that travel between processes and machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import Self

from deepsort_paddle.plan.run_plan import RunPlan

__all__ = ["Job", "Outcome"]


@dataclass(frozen=True, slots=True)
class Job:
    """One video to track.

    Attributes:
        name: of its output files; no other video of the run has it.
        plan: of this video, its file names filled in.
        folder: where relative paths begin.
    """

    name: str
    plan: RunPlan
    folder: str

    @property
    def source(self) -> str:
        """The video as it was given."""
        return self.plan.source

    def as_dict(self) -> dict[str, Any]:
        """Values that JSON can carry."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Self:
        """The job that `as_dict` described."""
        return cls(known["name"], RunPlan.from_dict(known["plan"]), known["folder"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt at a `Job`.

    Attributes:
        error: why it failed, one line; empty where it did not.
        trace: where in the code, for errors that are not the user's.
        frames: how many were tracked.
        ids: how many were reported.
        broken: frames that could not be read.
        seconds: the attempt took.
        files: what was written, as paths from the job's folder; a folder of crops too.
        notes: what is worth knowing, a line each.
        counts: of lines and zones, as in the JSON output; None without any.
        counted: the same as text, a line each.
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
