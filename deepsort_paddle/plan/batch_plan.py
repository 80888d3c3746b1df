"""What a run over many videos is to do, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePath

from deepsort_paddle.plan.argument_types import choice, count, text
from deepsort_paddle.plan.option import check_fields, option
from deepsort_paddle.plan.run_plan import PLACEHOLDERS, RunPlan

__all__ = ["BatchPlan"]

_GROUP = "many videos (several SOURCEs, or any of these; {name} is the video's name)"
_ENGINES = ("processes", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """A run over many sources.

    Attributes:
        run: the plan of each video; ``{name}`` and the like in its file names are filled in for each.
        sources: the videos given one by one.

    Raises:
        ValueError: a value is not what its option expects; one line names the option.
    """

    run: RunPlan
    sources: tuple[str, ...] = ()
    list_file: str | None = option(
        None,
        "text file with one SOURCE per line; - reads stdin",
        group=_GROUP,
        metavar="FILE",
        flag="--sources",
    )
    workers: int | None = option(
        None,
        "videos tracked at once, one process each [cores divided by --threads, which is 1 here]",
        group=_GROUP,
        metavar="N",
        kind=count(1),
    )
    retries: int = option(
        1, "further attempts after a video failed [{default}]", group=_GROUP, metavar="N", kind=count(0)
    )
    engine: str = option(
        "processes",
        "worker processes on this machine, or a Ray cluster [{default}]",
        group=_GROUP,
        choices=_ENGINES,
        kind=choice(*_ENGINES),
    )

    submission: str | None = option(
        None,
        "results of all sequences in one archive for the MOTChallenge server",
        group=_GROUP,
        metavar="FILE.zip",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(text(source) for source in self.sources))
        check_fields(self)

    @property
    def folder(self) -> Path:
        """Where the status file is: ``save_dir``, or the fixed part of the first named output's folder."""
        if self.run.save_dir is not None:
            return Path(self.run.save_dir)
        parents = PurePath(next(iter(self.run.files().values()), "output/{name}")).parts[:-1]
        fixed = takewhile(lambda part: not any(name in part for name in PLACEHOLDERS), parents)
        return Path(*fixed)
