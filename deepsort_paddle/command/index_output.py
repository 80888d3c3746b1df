"""The outputs of ``--index`` and ``--identities``: the track index of a run, and the people in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from deepsort_paddle.command.components import Components
from deepsort_paddle.command.result import Progress
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.people.corrections.review import review_of
from deepsort_paddle.people.identities import find_identities
from deepsort_paddle.people.index_file import IndexMeta, TrackIndex, save_people
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.plan.remembered_plan import remembered
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["IndexOutput", "check_same_camera"]


class IndexOutput:
    """Write the index; when it is complete, group the tracks of each person."""

    def __init__(
        self,
        path: str | Path,
        plan: RunPlan,
        source: FrameSource,
        components: Components,
        progress: Progress,
        *,
        about: Mapping[str, Any],
        complete: bool = True,
    ) -> None:
        """Start the index.

        Args:
            path: the index file.
            plan: plan of the run.
            source: source of the run.
            components: components of the run.
            progress: receives the person of each track.
            about: description of the run, as in the JSON output.
            complete: False if the run was stopped before its tracks are written.
        """
        self._path, self._join, self._progress, self._complete = path, plan.identities, progress, complete
        self._named = None if source.live else plan.index
        model = _model(components)
        self._writer = TrackIndexWriter(
            path,
            model=model,
            name=plan.name or source.name,
            fps=source.fps,
            width=source.width,
            height=source.height,
            live=source.live,
            keep_seconds=None if plan.keep_hours is None else 3600 * plan.keep_hours,
            camera_shift=_taught(plan.same_camera, model),
            run={} if source.live else {"plan": remembered(plan, Path(path)), "about": about},
        )

    def write(self, tracked: TrackedFrame) -> None:
        """Add one frame."""
        self._writer.write(tracked)

    def close(self) -> None:
        """Complete the index, then group the tracks of each person."""
        self._finish(complete=self._complete)

    def _finish(self, *, complete: bool) -> None:
        clock = self._progress.clock()  # for a live source only known now
        start_time = None if clock is None else clock.iso(0.0)
        self._writer.close(finished=complete, broken=self._progress.broken, start_time=start_time)
        if self._join:
            index = TrackIndex.read(self._path, unfinished=True)
            found = find_identities(index)
            persons = index.ids[found.labels]
            save_people(self._path, index.ids, persons, found.probability)
            self._progress.people_interval = found.interval
            said = TrackIndex.read(self._path, unfinished=True)
            self._progress.review = review_of(said, found, self._named if said.meta.finished else None)
            self._progress.persons = dict(zip(index.ids.tolist(), persons.tolist(), strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._finish(complete=self._complete and kind is None)
        else:
            self._writer.__exit__(kind, error, trace)


def check_same_camera(plan: RunPlan, components: Components) -> None:
    """Raise ``OSError`` or ``ValueError`` before anything is tracked if ``--same-camera`` is of no use."""
    if plan.same_camera:
        _taught(plan.same_camera, _model(components))


def _taught(path: str | None, model: ReidModel) -> float:
    """Return the shift of links from corrections of an earlier video of the camera; 0 without one.

    Raises:
        ValueError: its index belongs to another model.
    """
    if path is None:
        return 0.0
    meta = IndexMeta.read(path)
    if not meta.model.fits(model):
        raise ValueError(f"--same-camera {path}: made with the model {meta.model}, this run uses {model}")
    return meta.link_shift


def _model(components: Components) -> ReidModel:
    """Return the model that a run's embeddings come from."""
    limit = float(components.settings["max_cosine_distance"])
    encoder = components.encode
    folder, spec = getattr(encoder, "folder", None), getattr(encoder, "spec", None)
    if encoder is None:
        return ReidModel("embeddings of detection files", "", limit)
    if folder is None or spec is None:
        return ReidModel(type(encoder).__name__, "", limit)
    return ReidModel.of(folder, spec)
