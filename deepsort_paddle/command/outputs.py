"""Opens the outputs of a run."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle._version import __version__
from deepsort_paddle.command.checks import counts_images
from deepsort_paddle.command.components import Components
from deepsort_paddle.command.index_output import IndexOutput
from deepsort_paddle.command.result import Progress
from deepsort_paddle.counting.counter import TrackCounter
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.media.sound import COPIED_CODECS, Sound, sound_codec
from deepsort_paddle.media.source import without_password
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import TrackWriter
from deepsort_paddle.output.annotation_writers import CvatWriter, GroundTruthWriter
from deepsort_paddle.output.draw_counts import draw_counts
from deepsort_paddle.output.event_writer import CountWriter, EventWriter
from deepsort_paddle.output.html_report import HtmlReport
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.protocol import Output, StopTracking
from deepsort_paddle.output.writers import CropWriter, CsvWriter, JsonWriter, TrackPainter
from deepsort_paddle.part_files import name_disk_errors
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["about_outputs", "entered", "open_outputs"]

_LOGGER = logging.getLogger("deepsort_paddle")
_UNKNOWN_FPS = 25.0  # of a video written from images of unknown frame rate


def open_outputs(
    plan: RunPlan,
    source: FrameSource,
    about: Mapping[str, Any],
    progress: Progress,
    stack: ExitStack,
) -> list[Output]:
    """Open the outputs of a plan, in the order in which they are written.

    Args:
        plan: with all file names filled in, each of them locked.
        source: what is tracked.
        about: the run, as `about_outputs` describes it.
        progress: the figures that reports end with, the counter, and who is who where that is known.
        stack: closes them; after an error unfinished files stay as ``NAME.part``.

    Raises:
        OSError: a file cannot be written.
    """
    persons = progress.who_is_who()
    outputs: list[Output] = []
    history = progress.counting
    if history is not None:  # first: the others ask it for the events of the frame
        outputs.append(_Counting(history))
    if history is not None and plan.events:
        events = EventWriter(plan.events, history, clock=progress.clock, persons=lambda: progress.persons)
        outputs.append(_Named(plan.events, entered(stack, plan.events, events)))
    if plan.counts:
        table = CountWriter(plan.counts, progress.intervals, clock=progress.clock)
        outputs.append(entered(stack, plan.counts, table))
    if plan.report:  # entered before the video, so closed after it
        page = HtmlReport(
            plan.report,
            about,
            video=plan.save_video,
            inline_limit=plan.report_inline,
            summarise=progress.totals,
            speed=progress.speed,
            history=history,
            clock=progress.clock,
            persons=persons,
            review=progress.review,
        )
        outputs.append(entered(stack, plan.report, page))
    if plan.output:
        text = TrackWriter(plan.output, classes=plan.tracks_several_classes)
        renamed = persons if plan.output_ids == "person" else None
        outputs.append(_Named(plan.output, _MotText(entered(stack, plan.output, text), renamed)))
    if plan.csv:
        clock = progress.clock if source.live or plan.start_time else None
        rows = CsvWriter(plan.csv, persons, clock=clock)
        outputs.append(_Named(plan.csv, entered(stack, plan.csv, rows)))
    if plan.json:
        document = JsonWriter(plan.json, dict(about), progress.summary, persons)
        outputs.append(_Named(plan.json, entered(stack, plan.json, document)))
    if plan.cvat:
        outputs.append(_Named(plan.cvat, entered(stack, plan.cvat, _cvat(plan, source, about, persons))))
    if plan.ground_truth:
        truth = GroundTruthWriter(plan.ground_truth, persons)
        outputs.append(_Named(plan.ground_truth, entered(stack, plan.ground_truth, truth)))
    if plan.save_crops:
        outputs.append(_Named(plan.save_crops, CropWriter(plan.save_crops, persons)))
    if plan.save_video or plan.show:
        labels = about["class_names"] if plan.tracks_several_classes else ()
        painter = TrackPainter(source.height or 1, source.width or 1, labels, persons)
        outputs.append(_open_images(plan, source, painter, progress, stack))
    return outputs


def _cvat(
    plan: RunPlan, source: FrameSource, about: Mapping[str, Any], persons: Persons | None
) -> CvatWriter:
    """Open the annotations for CVAT, which counts the images of a folder, else the frames of the video."""
    size = (source.width, source.height) if source.width and source.height else None
    numbers = source.frame_numbers if counts_images(plan) else None
    return CvatWriter(
        str(plan.cvat),
        name=source.name,
        size=size,
        labels=about["class_names"],
        persons=persons,
        places=None if numbers is None else {number: place for place, number in enumerate(numbers)},
    )


_Writer = TypeVar(
    "_Writer",
    TrackWriter,
    CsvWriter,
    JsonWriter,
    CvatWriter,
    GroundTruthWriter,
    HtmlReport,
    IndexOutput,
    EventWriter,
    CountWriter,
)


def entered(stack: ExitStack, path: str, writer: _Writer) -> _Writer:
    """Enter a writer; if the disk is full when it is closed, the error names its file."""
    stack.enter_context(name_disk_errors(path))
    stack.enter_context(writer)
    return writer


class _Named:
    """An output to one path; if the disk is full, the error names the path."""

    def __init__(self, path: str, output: Output) -> None:
        self._path, self._output = path, output

    def write(self, tracked: TrackedFrame) -> None:
        with name_disk_errors(self._path):
            self._output.write(tracked)

    def close(self) -> None:
        with name_disk_errors(self._path):
            self._output.close()


class _Counting:
    """Counts at lines and in zones; the others ask the history for what it has."""

    def __init__(self, history: CountHistory) -> None:
        self._history = history

    def write(self, tracked: TrackedFrame) -> None:
        self._history.update(tracked.tracks, tracked.frame.timestamp)

    def close(self) -> None:
        pass


class _MotText:
    """MOTChallenge text, as an output; with ``persons`` under their ids."""

    def __init__(self, writer: TrackWriter, persons: Persons | None) -> None:
        self._writer, self._persons = writer, persons

    def write(self, tracked: TrackedFrame) -> None:
        tracks = tracked.tracks if self._persons is None else self._persons.relabelled(tracked.tracks)
        self._writer.write(tracked.frame.number, tracks)

    def close(self) -> None:
        self._writer.close()


def _open_images(
    plan: RunPlan,
    source: FrameSource,
    painter: TrackPainter,
    progress: Progress,
    stack: ExitStack,
) -> Output:
    """Open the output of annotated frames: a video file, a window or both."""
    targets: list[Callable[[NDArray[np.uint8], float | None], None]] = []
    counter = None if progress.counting is None else progress.counting.counter
    annotated = _Annotated(painter, counter, targets)
    if plan.save_video:
        video = stack.enter_context(
            VideoWriter(plan.save_video, fps=source.fps or _UNKNOWN_FPS, pixel_aspect=source.pixel_aspect)
        )
        video.find_sound = partial(_sound, plan, source, annotated)
        targets.append(video.write)
    if plan.show:
        window = _Window()
        stack.callback(window.close)
        targets.append(window.write)
    return annotated


def _sound(plan: RunPlan, source: FrameSource, annotated: _Annotated) -> Sound | None:
    """The sound of the frames that were written; None where they have none that can be copied."""
    path = Path(plan.source)
    if source.live or not path.is_file() or sound_codec(path) not in COPIED_CODECS:
        return None
    if source.origin is None or annotated.first is None:
        _LOGGER.warning("%s: sound is left out, as times of the file are missing or jump", plan.save_video)
        return None
    return Sound(path, source.origin + annotated.first)


class _Annotated:
    """Draws each frame once, for the video and the window."""

    def __init__(
        self,
        painter: TrackPainter,
        counter: TrackCounter | None,
        targets: Sequence[Callable[[NDArray[np.uint8], float | None], None]],
    ) -> None:
        self._painter, self._counter, self._targets = painter, counter, targets
        self.first: float | None = None  # seconds of the first frame

    def write(self, tracked: TrackedFrame) -> None:
        image = self._painter.paint(tracked)
        if self._counter is not None:
            image = draw_counts(image, self._counter.counts())
        timestamp = tracked.frame.timestamp
        if self.first is None:
            self.first = timestamp
        if timestamp is not None and self.first is not None:
            timestamp -= self.first  # the video starts at 0, wherever the run starts in the source
        for target in self._targets:
            target(image, timestamp)

    def close(self) -> None:
        pass


class _Window:
    """An OpenCV window; q and Esc stop the run."""

    def write(self, image: NDArray[np.uint8], timestamp: float | None) -> None:
        cv2.imshow("deepsort-track", image)
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            raise StopTracking

    def close(self) -> None:
        with suppress(cv2.error):
            cv2.destroyAllWindows()


def about_outputs(plan: RunPlan, source: FrameSource, components: Components) -> dict[str, Any]:
    """Return the description of a run for JSON and the report."""
    versions = {"deepsort_paddle": __version__, "python": platform.python_version(), "numpy": np.__version__}
    versions["opencv"] = cv2.__version__
    if "paddle" in sys.modules:
        versions["paddle"] = sys.modules["paddle"].__version__
    return {
        "source": without_password(plan.source),
        "name": source.name,
        "fps": source.fps,
        "width": source.width,
        "height": source.height,
        "frame_count": source.frame_count,
        "start_time": plan.start_time,
        "box": "x1, y1, x2, y2 in pixels, the frame's upper left corner is 0, 0",
        "class_names": list(components.detector.labels),
        "settings": dict(components.settings),
        "versions": versions,
    }
