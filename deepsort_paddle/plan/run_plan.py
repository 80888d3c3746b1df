"""The plan of a run: a frozen value, built once, by the command line or in Python.

A plan contains the options that the user gave. It is never modified: `RunPlan.named` returns a new one with
the file names filled in, and choices that depend on models and source are in `components.Components`. A plan
has no live objects, so it can be compared, and sent to workers as JSON.

To add an option, add a field to one of the modules `*_options` beside this one and use it in one place: the
parser, the checks and the digest of a finished video read these fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from itertools import count as count_from
from pathlib import Path
from typing import Any

from deepsort_paddle.part_files import real_path
from deepsort_paddle.plan.argument_types import text
from deepsort_paddle.plan.counting_options import CountingOptions
from deepsort_paddle.plan.input_options import InputOptions
from deepsort_paddle.plan.option import check_fields, options
from deepsort_paddle.plan.output_options import OutputOptions
from deepsort_paddle.plan.tracking_options import TrackingOptions

__all__ = ["FILES", "INPUTS", "OUTPUTS", "PLACEHOLDERS", "RunPlan"]

# Placeholders in file names, filled in for each of many videos.
PLACEHOLDERS = ("{name}", "{stem}", "{folder}", "{source}")


# Fields come in the order of the bases from the last to the first: --help and `as_dict` follow it.
@dataclass(frozen=True, kw_only=True)
class RunPlan(TrackingOptions, CountingOptions, OutputOptions, InputOptions):
    """A run over one source. Each field is an option of ``deepsort-track`` by the same name.

    A value of None leaves the choice to the run. Paths may be `pathlib.Path`, lists become tuples.

    Example:
        >>> plan = RunPlan(source="street.mp4", detector="yolox_nano.onnx", output="street.txt")
        >>> RunPlan.from_dict(plan.as_dict()) == plan
        True

    ``track_video(**plan.as_dict())`` runs it.

    Raises:
        ValueError: a value is not what its option expects; one line names the option.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", text(self.source))
        check_fields(self)

    @property
    def tracks_several_classes(self) -> bool:
        """Whether results must contain the class of each track."""
        return self.classes is not None and "," in self.classes

    def files(self) -> dict[str, str]:
        """Return the files and folders to write by option, files first."""
        names = (*FILES, *(name for name in OUTPUTS if name not in FILES))
        return {name: path for name in names if (path := getattr(self, name)) is not None}

    def in_pixels(self, width: int | None, height: int | None) -> RunPlan:
        """Return a plan with lines and zones in pixels of frames of this size, instead of fractions."""
        if not (width and height and (self.lines or self.zones)):
            return self
        from deepsort_paddle.counting.places import in_pixels

        lines = []
        for one in self.lines:
            start, end = in_pixels((one.start, one.end), width, height)
            lines.append(replace(one, start=start, end=end))
        zones = [replace(one, polygon=in_pixels(one.polygon, width, height)) for one in self.zones]
        return replace(self, lines=tuple(lines), zones=tuple(zones))

    def named(self, name: str, *, has_images: bool) -> RunPlan:
        """Return a plan with the files that ``save_dir`` and ``report`` imply.

        Args:
            name: name of the source, used if the plan has no ``name``.
            has_images: whether the source has images; without them no video is written.
        """
        plan = self
        if plan.report and has_images and not (plan.save_video or plan.save_dir):
            plan = replace(plan, save_video=str(_video_beside(Path(plan.report), Path(plan.source))))
        if plan.save_dir is None:
            return plan
        stem = str(Path(plan.save_dir) / (plan.name or self._free_name(name)))
        plan = replace(plan, output=plan.output or f"{stem}.txt")
        return replace(plan, save_video=plan.save_video or f"{stem}.mp4") if has_images else plan

    def _free_name(self, name: str) -> str:
        """Return the name, or ``NAME-2`` and so on if ``save_dir`` already has results of that name."""
        folder = Path(self.save_dir or "")
        implied = [
            ending for ending, own in ((".txt", self.output), (".mp4", self.save_video)) if own is None
        ]
        names = chain([name], (f"{name}-{number}" for number in count_from(2)))
        return next(
            free
            for free in names
            if self.overwrite or not any((folder / f"{free}{ending}").exists() for ending in implied)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> RunPlan:
        """Return the plan that `as_dict` described.

        Raises:
            ValueError: a value is invalid.
            TypeError: a name is unknown.
        """
        return cls(**known)


def _video_beside(page: Path, source: Path) -> Path:
    """Return the video of a report without one: named like the page, unless that is the source."""
    video = page.with_suffix(".mp4")
    return page.with_name(f"{page.stem}_tracks.mp4") if real_path(video) == real_path(source) else video


# Options that name an output, and those of them that name a file, in the order of the fields.
OUTPUTS = tuple(name for name, known in options(RunPlan).items() if known.role in ("file", "folder"))
FILES = tuple(name for name, known in options(RunPlan).items() if known.role == "file")
# Options that name an input, besides the source.
INPUTS = tuple(name for name, known in options(RunPlan).items() if known.role == "input")
