"""The outputs of ``deepsort-track``: check, choose and open what its options ask for."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from deepsort_paddle._version import __version__
from deepsort_paddle.counting.counter import Counts, TrackCounter
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.media.source import without_password
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import TrackWriter
from deepsort_paddle.output.draw_counts import draw_counts
from deepsort_paddle.output.html_report import HtmlReport
from deepsort_paddle.output.writers import CropWriter, CsvWriter, JsonWriter, TrackPainter
from deepsort_paddle.part_files import check_writable, claimed, naming, real_path
from deepsort_paddle.pipeline.stages import TrackedFrame
from deepsort_paddle.tracking.options import TrackerOptions

__all__ = ["FILES", "TRACKER_OPTIONS", "WRITTEN", "check_outputs", "choose_outputs", "open_outputs"]

# The pipeline applies min_confidence, before anything is encoded.
TRACKER_OPTIONS = tuple(field.name for field in fields(TrackerOptions) if field.name != "min_confidence")
# Outputs that are named when a run is over.
WRITTEN = ("output", "save_video", "json", "csv", "report", "explain_csv", "save_crops")
FILES = ("output", "save_video", "json", "csv", "report", "explain_csv")
_UNKNOWN_FPS = 25.0  # of a video written from pictures of unknown frame rate

Output = Callable[[TrackedFrame], "bool | None"]


def check_outputs(options: argparse.Namespace) -> None:
    """Raise when an output can't be written, or would replace an input or another output."""
    inputs = [real_path(text) for text in (options.source, options.detections) if text]
    seen: dict[Path, str] = {}
    for name in FILES:
        text = getattr(options, name)
        if text is None:
            continue
        option, path = "--" + name.replace("_", "-"), real_path(text)
        if path in inputs:
            raise ValueError(f"{option} {text} would replace an input")
        if path in seen:
            raise ValueError(f"{option} and {seen[path]} name the same file {text}")
        if path.is_file() or not path.exists():
            seen[path] = option
        if name == "save_video":
            VideoWriter(text, fps=_UNKNOWN_FPS)
        check_writable(text)
    if options.save_crops is not None:
        _check_folder(Path(options.save_crops))
        if Path(options.save_crops).is_dir() and any(Path(options.save_crops).iterdir()):
            raise ValueError(f"--save-crops wants a new or empty folder, {options.save_crops} has content")
    if options.save_dir is not None:
        _check_folder(Path(options.save_dir))


def _check_folder(folder: Path) -> None:
    """Raise when ``folder`` neither is a folder nor can be made."""
    known = real_path(folder)
    while not known.exists():
        known = known.parent
    if not known.is_dir():
        raise NotADirectoryError(f"{known} is not a folder")
    if not os.access(known, os.W_OK):
        raise PermissionError(f"cannot write into {known}")


def choose_outputs(options: argparse.Namespace, source: FrameSource) -> None:
    """Fill in --save-dir's files, and the standard ones when no output was asked for."""
    asked = any(getattr(options, name) for name in (*FILES, "save_crops", "show"))
    folder = options.save_dir or (None if asked else "output")
    if not source.has_images:
        for name in ("save_video", "save_crops", "show"):
            if getattr(options, name):
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{options.source} has no pictures: leave out {option}")
    if options.report and source.has_images and not (options.save_video or folder):
        options.save_video = str(_video_beside(Path(options.report), Path(options.source)))
        check_outputs(options)
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = options.name or source.name
    options.output = options.output or str(Path(folder) / f"{name}.txt")
    if source.has_images:
        options.save_video = options.save_video or str(Path(folder) / f"{name}.mp4")
    check_outputs(options)


def _video_beside(page: Path, source: Path) -> Path:
    """The video of a report for which none was asked: of the page's name, unless that is the source."""
    video = page.with_suffix(".mp4")
    return page.with_name(f"{page.stem}_tracks.mp4") if real_path(video) == real_path(source) else video


def open_outputs(
    options: argparse.Namespace,
    source: FrameSource,
    summarise: Callable[[], dict[str, Any]],
    speed: Callable[[], dict[str, float]],
    stack: ExitStack,
) -> list[Output]:
    """The outputs asked for, each a callable on a tracked frame; one that answers True ends the run."""
    outputs: list[Output] = []
    for name in FILES:
        if getattr(options, name):
            stack.enter_context(claimed(getattr(options, name)))
    several = options.classes is not None and "," in options.classes
    counter: TrackCounter | None = options.counter
    if counter is not None:
        outputs.append(lambda tracked: _count(counter, tracked))
    if options.report:  # entered before the video, so closed after it
        page = HtmlReport(
            options.report,
            _meta(options, source),
            video=options.save_video,
            inline_limit=options.report_inline,
            summarise=lambda: {key: value for key, value in summarise().items() if key != "counts"},
            speed=speed,
            counts=Counts if counter is None else counter.counts,
        )
        outputs.append(_held(stack, options.report, page).write)
    if options.output:
        text = _held(stack, options.output, TrackWriter(options.output, classes=several))
        outputs.append(
            _named(options.output, lambda tracked: text.write(tracked.frame.number, tracked.tracks))
        )
    if options.csv:
        outputs.append(_named(options.csv, _held(stack, options.csv, CsvWriter(options.csv)).write))
    if options.json:
        document = JsonWriter(options.json, _meta(options, source), summarise)
        outputs.append(_named(options.json, _held(stack, options.json, document).write))
    if options.save_crops:
        outputs.append(_named(options.save_crops, CropWriter(options.save_crops).write))
    if options.save_video or options.show:
        names = options.labels if several else ()
        painter = TrackPainter(source.height or 1, source.width or 1, names)
        video = None
        if options.save_video:
            video = stack.enter_context(VideoWriter(options.save_video, fps=source.fps or _UNKNOWN_FPS))
        if options.show:
            stack.callback(_close_windows)

        def paint(tracked: TrackedFrame) -> bool:
            image = painter.paint(tracked)
            if counter is not None:
                image = draw_counts(image, counter.counts())
            if video is not None:
                video.write(image, tracked.frame.timestamp)
            if not options.show:
                return False
            cv2.imshow("deepsort-track", image)
            return cv2.waitKey(1) & 0xFF in (ord("q"), 27)

        outputs.append(paint)
    return outputs


_Writer = TypeVar("_Writer", TrackWriter, CsvWriter, JsonWriter, HtmlReport)


def _held(stack: ExitStack, path: str, writer: _Writer) -> _Writer:
    """Enter a writer; a full disk when it is closed names its file."""
    stack.enter_context(naming(path))
    stack.enter_context(writer)
    return writer


def _named(path: str, write: Output) -> Output:
    """The same; a full disk names the file."""

    def one(tracked: TrackedFrame) -> bool | None:
        with naming(path):
            return write(tracked)

    return one


def _count(counter: TrackCounter, tracked: TrackedFrame) -> None:
    counter.update(tracked.tracks, tracked.frame.timestamp)


def _close_windows() -> None:
    with suppress(cv2.error):
        cv2.destroyAllWindows()


def _meta(options: argparse.Namespace, source: FrameSource) -> dict[str, Any]:
    """What a reader of the JSON needs to know about the run."""
    versions = {"deepsort_paddle": __version__, "python": platform.python_version(), "numpy": np.__version__}
    versions["opencv"] = cv2.__version__
    if "paddle" in sys.modules:
        versions["paddle"] = sys.modules["paddle"].__version__
    names: tuple[str, ...] = ("detections", "detector", "reid", "min_confidence", "min_height", "classes")
    names = (*names, "class_confidence", "encode", "preset", "offline", "camera_motion", *TRACKER_OPTIONS)
    return {
        "source": without_password(str(options.source)),
        "name": source.name,
        "fps": source.fps,
        "width": source.width,
        "height": source.height,
        "frame_count": source.frame_count,
        "box": "x1, y1, x2, y2 in pixels, the frame's upper left corner is 0, 0",
        "class_names": list(options.labels),
        "settings": {name: getattr(options, name) for name in names},
        "versions": versions,
    }
