"""Track one video: `track_video` in Python, and `print_run` for ``deepsort-track``."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from deepsort_paddle.command.checks import check_outputs, expect_video
from deepsort_paddle.command.result import RunResult
from deepsort_paddle.command.run import run_plan
from deepsort_paddle.command.saved_run import open_frames
from deepsort_paddle.command.summary import counted, summary
from deepsort_paddle.console.log_lines import log_lines
from deepsort_paddle.counting.places import Line, Zone
from deepsort_paddle.output.place_picker import write_pick_page
from deepsort_paddle.output.protocol import Output
from deepsort_paddle.pipeline.stages import Detect, Encode
from deepsort_paddle.plan.option import check_names
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["print_run", "track_video"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Callable = TypeVar("_Callable", Detect, Encode)
_LOGGER = logging.getLogger("deepsort_paddle")


def track_video(
    source: str | int | Path,
    *,
    detector: str | Path | Detect | None = None,
    detections: str | Path | None = None,
    reid: str | Path | Encode | None = None,
    preset: str | None = None,
    lines: Sequence[Line | str] = (),
    zones: Sequence[Zone | str] = (),
    output: str | Path | None = None,
    csv: str | Path | None = None,
    json: str | Path | None = None,
    save_video: str | Path | None = None,
    save_crops: str | Path | None = None,
    report: str | Path | None = None,
    save_dir: str | Path | None = None,
    outputs: Sequence[Output] = (),
    on_frame: Callable[[TrackedFrame], object] | None = None,
    progress: bool = False,
    **options: Any,
) -> RunResult:
    """Track people in a video, like ``deepsort-track``.

    Nothing is written unless you name an output. Notes are in the result, and logged at level INFO by the
    logger ``deepsort_paddle``.

    Args:
        source: a video file, an image folder, a MOTChallenge sequence, a camera number or the address of a
            stream.
        detector: ``"yolox-nano"``, ``"yolox-tiny"``, ``"yolox-s"`` or ``"hog"``, an ``.onnx`` file, a
            PaddleDetection folder, or a callable that takes a frame's number (from 1) and its image
            (``(H, W, 3)`` uint8 BGR) and returns `Detections`; its attributes ``confidence`` and ``labels``
            are used if it has them. None uses yolox-nano, which is downloaded once, or HOG if that fails.
        detections: a MOTChallenge text file, instead of a detector.
        reid: an appearance model: a folder, an ``.onnx`` file, an `AppearanceEncoder` or a compatible
            object; ``"none"`` tracks by motion only. None uses the default model.
        preset: ``"strong"``, ``"motion"`` or ``"deepsort"`` (as published). None uses strong with an
            appearance model and motion without.
        lines: lines to count at, as `Line` or ``"NAME:x1,y1,x2,y2"``.
        zones: zones to count in, as `Zone` or ``"NAME:x1,y1,x2,y2,x3,y3,..."``.
        output: path of the MOTChallenge text file.
        csv: path of the CSV table.
        json: path of the JSON document.
        save_video: path of the annotated ``.mp4``.
        save_crops: new or empty folder for the crops of the tracked people.
        report: path of the HTML report.
        save_dir: folder for a text file and an annotated video named like the source.
        outputs: further outputs; they are closed at the end.
        on_frame: called with each frame after it is written; raise `StopTracking` to end the run.
        progress: show a progress bar on a terminal.
        **options: any other field of `RunPlan`, as ``max_age=30`` or ``tracker_options={"coast": 2}``.

    Returns:
        Frames, ids, counts, seconds of each stage, paths of the outputs, and notes.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: an argument or a file is invalid; the message is one line.
        ImportError: a library that the run needs is not installed.
        KeyboardInterrupt: after Ctrl-C; the outputs contain all frames up to then.

    Example:
        >>> from deepsort_paddle import track_video
        >>> result = track_video("street.mp4", detector="yolox_nano.onnx",
        ...                      output="street.txt", lines=["door:100,200,300,200"])  # doctest: +SKIP
        >>> print(result.frames, "frames,", len(result.ids), "people")  # doctest: +SKIP
        795 frames, 21 people
    """
    check_names(RunPlan, options)
    detect = None if isinstance(detector, str | Path | None) else _callable("detector", detector)
    encode = None if isinstance(reid, str | Path | None) else _callable("reid", reid)
    plan = RunPlan(
        **_fields(  # the plan turns paths into text and lists into tuples
            source=source,
            detector=detector if detect is None else None,
            reid=reid if encode is None else None,
            detections=detections,
            preset=preset,
            lines=lines,
            zones=zones,
            output=output,
            csv=csv,
            json=json,
            save_video=save_video,
            save_crops=save_crops,
            report=report,
            save_dir=save_dir,
        ),
        **{"quiet": not progress, **options},
    )
    callbacks = [] if on_frame is None else [_Callback(on_frame)]
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    result = run_plan(
        plan,
        _LOGGER.info,
        detector=detect,
        encoder=encode,
        outputs=[*outputs, *callbacks],
        signals=[signal.SIGINT] if own else [],
    )
    if result.stopped_by:
        raise KeyboardInterrupt
    return result


def _fields(**values: Any) -> dict[str, Any]:
    return values


def _callable(name: str, value: _Callable) -> _Callable:
    """Return the value if it is callable, else raise."""
    if not callable(value):
        raise ValueError(f"{name}: expected a name, a path or a callable, got {value!r}")
    return value


def print_run(plan: RunPlan) -> int:
    """Run ``deepsort-track`` on one source and print the summary.

    Returns:
        The exit code: 0 if done, 130 or 143 if a signal stopped it; the outputs contain all frames up to
        then.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: a file or an option is wrong.
        ImportError: a library that the plan needs is not installed.
    """
    if plan.pick:
        print(f"written: {_pick_page(plan, plan.pick)}; open it in a browser")
        return 0
    with log_lines("deepsort_paddle", "deepsort-track", quiet=plan.quiet):
        result = run_plan(plan, _LOGGER.info, signals=_SIGNALS)
    if result.stopped_by:
        held = (
            f"the outputs contain {result.frames_written} frames" if result.frames else "no frame was tracked"
        )
        if plan.apply is not None:
            held = "the index is corrected, the outputs stay as they were"
        name = signal.Signals(result.stopped_by).name
        sys.stderr.write(f"deepsort-track: stopped by {name}; {held}\n")
    if not plan.quiet:
        print(summary(result))
        if result.counts is not None:
            print(counted(result.counts, result.start_time))
        if result.outputs:
            print(f"written: {', '.join(map(str, result.outputs.values()))}")
    for track_id in plan.explain:  # last, since an unknown id is an error
        print(result.explain(track_id))
    return 128 + result.stopped_by if result.stopped_by else 0


def _pick_page(plan: RunPlan, path: str) -> str:
    """Write the page of ``--pick`` with the first frame of the plan's source; returns its path."""
    if plan.blur is not None:
        raise ValueError("--pick shows the frame as it is, nothing is detected in it: leave out --blur")
    expect_video(plan.source)
    check_outputs(plan)
    with open_frames(plan) as source:
        image = next((frame.image for frame in source if frame.image is not None), None)
        if image is None:
            raise ValueError(f"{plan.source} has no images to draw on")
        plan = plan.in_pixels(source.width, source.height)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_pick_page(
            path,
            image,
            title=source.name,
            lines=plan.lines,
            zones=plan.zones,
            pixel_aspect=source.pixel_aspect,
        )
    return path


class _Callback:
    """Adapts a function to `Output`."""

    def __init__(self, function: Callable[[TrackedFrame], object]) -> None:
        self._function = function

    def write(self, tracked: TrackedFrame) -> None:
        self._function(tracked)

    def close(self) -> None:
        pass
