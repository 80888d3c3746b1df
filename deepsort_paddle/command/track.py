"""Track one video: `track_video` in Python, and what ``deepsort-track`` does with one source."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from deepsort_paddle.command.result import RunResult
from deepsort_paddle.command.run import run_plan
from deepsort_paddle.command.summary import counted, summary
from deepsort_paddle.console.log_lines import log_lines
from deepsort_paddle.counting.places import Line, Zone
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
    """Track people through a video, as ``deepsort-track`` does.

    Without an output the tracks go to ``on_frame`` and ``outputs`` alone. Notes are in the result, and
    logged at level INFO by the logger ``deepsort_paddle``.

    Args:
        source: a video file, a folder of images, a MOTChallenge sequence, a camera number or a stream's
            address.
        detector: ``"yolox-nano"``, ``"yolox-tiny"``, ``"yolox-s"`` or ``"hog"``, an ``.onnx`` file, a
            PaddleDetection folder, or a callable that takes a frame's number (from 1) and its image
            (``(H, W, 3)`` uint8 BGR) and returns `Detections`; its attributes ``confidence`` and ``labels``
            are used where there are any. None takes yolox-nano, which is downloaded once, or HOG where that
            fails.
        detections: a MOTChallenge text file, instead of a detector.
        reid: a folder or an ``.onnx`` file, an `AppearanceEncoder` or one like it; ``"none"`` tracks by
            motion alone. None takes the model of the package.
        preset: ``"strong"``, ``"motion"`` or ``"deepsort"`` (as published). None takes the best: strong with
            appearance, motion without.
        lines: lines to count at, as `Line` or ``"NAME:x1,y1,x2,y2"``.
        zones: zones to count in, as `Zone` or ``"NAME:x1,y1,x2,y2,x3,y3,..."``.
        output: MOTChallenge text file to write.
        csv: table to write.
        json: JSON document to write.
        save_video: annotated ``.mp4`` to write.
        save_crops: new or empty folder for the crops of the tracked people.
        report: HTML page to write.
        save_dir: folder for a text file and an annotated video of the source's name.
        outputs: objects that take each frame as well; they are closed at the end.
        on_frame: called with each frame after the files have it; raise `StopTracking` to end the run.
        progress: show a progress bar on a terminal.
        **options: any other field of `RunPlan`, as ``max_age=30`` or ``tracker_options={"coast": 2}``.

    Returns:
        Frames, ids, counts, seconds of each stage, paths of the outputs, notes.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: an argument or a file is wrong; one line says what was expected.
        ImportError: a library that the run needs is not installed.
        KeyboardInterrupt: Ctrl-C; the outputs hold all frames up to it.

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
    """The value, checked."""
    if not callable(value):
        raise ValueError(f"{name}: expected a name, a path or a callable, got {value!r}")
    return value


def print_run(plan: RunPlan) -> int:
    """The command over one source: track and print what was found; returns the exit code.

    0: done; 130 and 143: stopped by a signal, the outputs hold every frame up to it.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: a file or an option is wrong.
        ImportError: a library that the plan needs is not installed.
    """
    with log_lines("deepsort_paddle", "deepsort-track", quiet=plan.quiet):
        result = run_plan(plan, _LOGGER.info, signals=_SIGNALS)
    if result.stopped_by:
        held = f"outputs hold frames 1 to {result.frames}" if result.frames else "no frame was tracked"
        name = signal.Signals(result.stopped_by).name
        sys.stderr.write(f"deepsort-track: stopped by {name}; {held}\n")
    if not plan.quiet:
        print(summary(result))
        if result.counts is not None:
            print(counted(result.counts, result.start_time))
        if result.outputs:
            print(f"written: {', '.join(map(str, result.outputs.values()))}")
    for track_id in plan.explain:  # the last, as an unknown id is an error
        print(result.explain(track_id))
    return 128 + result.stopped_by if result.stopped_by else 0


class _Callback:
    """A function as an output."""

    def __init__(self, function: Callable[[TrackedFrame], object]) -> None:
        self._function = function

    def write(self, tracked: TrackedFrame) -> None:
        self._function(tracked)

    def close(self) -> None:
        pass
