"""The outputs of a run: opens what the plan asks for."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle._version import __version__
from deepsort_paddle.command.components import Components
from deepsort_paddle.command.index_output import IndexOutput
from deepsort_paddle.command.result import Progress
from deepsort_paddle.counting.counter import TrackCounter
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.counting.places import Counts
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.media.sound import COPIED_CODECS, Sound, sound_codec
from deepsort_paddle.media.source import without_password
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import TrackWriter
from deepsort_paddle.output.draw_counts import draw_counts
from deepsort_paddle.output.event_writer import CountWriter, EventWriter
from deepsort_paddle.output.html_report import HtmlReport
from deepsort_paddle.output.protocol import Output, StopTracking
from deepsort_paddle.output.writers import CropWriter, CsvWriter, JsonWriter, TrackPainter
from deepsort_paddle.part_files import lock_output, name_disk_errors
from deepsort_paddle.plan.run_plan import FILES, RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["open_outputs"]

_LOGGER = logging.getLogger("deepsort_paddle")
_UNKNOWN_FPS = 25.0  # of a video written from images of unknown frame rate


def open_outputs(
    plan: RunPlan,
    source: FrameSource,
    components: Components,
    progress: Progress,
    stack: ExitStack,
    *,
    complete: bool = True,
) -> list[Output]:
    """Open the outputs that a plan asks for, in the order in which they take a frame.

    Args:
        plan: with all file names filled in.
        source: what is tracked.
        components: of the run.
        progress: the figures that reports end with.
        stack: closes them; after an error unfinished files stay as ``NAME.part``.
        complete: False when the run was stopped before its tracks are written.

    Raises:
        OSError: a file cannot be written, or another run is writing it.
    """
    for name in FILES:
        if (path := getattr(plan, name)) and name != "save_detections":  # held since before the first frame
            stack.enter_context(lock_output(path))
    outputs: list[Output] = []
    history = progress.counting
    if history is not None:  # first: the others ask it for the events of the frame
        outputs.append(_Counting(history))
    if history is not None and plan.events:
        events = EventWriter(plan.events, history, clock=progress.clock, persons=lambda: progress.persons)
        outputs.append(_Named(plan.events, _entered(stack, plan.events, events)))
    if plan.counts:
        table = CountWriter(plan.counts, progress.intervals, clock=progress.clock)
        outputs.append(_entered(stack, plan.counts, table))
    if plan.report:  # entered before the video, so closed after it
        page = HtmlReport(
            plan.report,
            _meta(plan, source, components),
            video=plan.save_video,
            inline_limit=plan.report_inline,
            summarise=progress.totals,
            speed=progress.speed,
            counts=lambda: progress.counts() or Counts(),
        )
        outputs.append(_entered(stack, plan.report, page))
    if plan.output:
        text = TrackWriter(plan.output, classes=plan.tracks_several_classes)
        outputs.append(_Named(plan.output, _MotText(_entered(stack, plan.output, text))))
    if plan.csv:
        outputs.append(_Named(plan.csv, _entered(stack, plan.csv, CsvWriter(plan.csv))))
    if plan.json:
        document = JsonWriter(plan.json, _meta(plan, source, components), progress.summary)
        outputs.append(_Named(plan.json, _entered(stack, plan.json, document)))
    if plan.save_crops:
        outputs.append(_Named(plan.save_crops, CropWriter(plan.save_crops)))
    if plan.save_video or plan.show:
        outputs.append(_open_images(plan, source, components, stack))
    if plan.index or plan.identities:  # entered last, so closed first: the others say who is who
        path = plan.index or str(Path(stack.enter_context(TemporaryDirectory())) / "index.sqlite")
        index = IndexOutput(path, plan, source, components, progress, complete=complete)
        outputs.append(_Named(path, _entered(stack, path, index)))
    return outputs


_Writer = TypeVar(
    "_Writer", TrackWriter, CsvWriter, JsonWriter, HtmlReport, IndexOutput, EventWriter, CountWriter
)


def _entered(stack: ExitStack, path: str, writer: _Writer) -> _Writer:
    """Enter a writer; a full disk when it is closed names its file."""
    stack.enter_context(name_disk_errors(path))
    stack.enter_context(writer)
    return writer


class _Named:
    """An output of one path: where the disk is full, the error names it."""

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
    """MOTChallenge text, as an output."""

    def __init__(self, writer: TrackWriter) -> None:
        self._writer = writer

    def write(self, tracked: TrackedFrame) -> None:
        self._writer.write(tracked.frame.number, tracked.tracks)

    def close(self) -> None:
        self._writer.close()


def _open_images(plan: RunPlan, source: FrameSource, components: Components, stack: ExitStack) -> Output:
    """The annotated frames, to a video file, a window or both."""
    labels = components.detector.labels if plan.tracks_several_classes else ()
    painter = TrackPainter(source.height or 1, source.width or 1, labels)
    targets: list[Callable[[NDArray[np.uint8], float | None], None]] = []
    annotated = _Annotated(painter, components.counter, targets)
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
        _LOGGER.warning("%s: sound is left out, as the clock of the file jumps", plan.save_video)
        return None
    return Sound(path, source.origin + annotated.first)


class _Annotated:
    """Draws each frame once and hands it on."""

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
            timestamp -= self.first  # a video that begins in the middle of the source begins at 0
        for target in self._targets:
            target(image, timestamp)

    def close(self) -> None:
        pass


class _Window:
    """A window of OpenCV; q and Esc end the run."""

    def write(self, image: NDArray[np.uint8], timestamp: float | None) -> None:
        cv2.imshow("deepsort-track", image)
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            raise StopTracking

    def close(self) -> None:
        with suppress(cv2.error):
            cv2.destroyAllWindows()


def _meta(plan: RunPlan, source: FrameSource, components: Components) -> dict[str, Any]:
    """What a reader of the JSON needs to know about the run."""
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
