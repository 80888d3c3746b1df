"""What ``deepsort-track`` does: open everything, track, write, report.

Everything that can be wrong is found before the first frame: outputs are checked, then source,
detector and appearance model are opened.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL
from deepsort_paddle.batch.video_list import expect_video
from deepsort_paddle.command.outputs import (
    TRACKER_OPTIONS,
    WRITTEN,
    check_outputs,
    choose_outputs,
    open_outputs,
)
from deepsort_paddle.command.signals import Stop
from deepsort_paddle.command.summary import Finished, Progress, box_doubts, counted, option_doubts, summary
from deepsort_paddle.command.tracker_settings import settle_tracker_options
from deepsort_paddle.counting.counter import Line, TrackCounter, Zone
from deepsort_paddle.detection.candidates import PEOPLE, class_confidences, class_ids
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.media.source import open_source
from deepsort_paddle.part_files import naming
from deepsort_paddle.pipeline.offline import Recorder
from deepsort_paddle.pipeline.selective_encoding import EncodeNeeded
from deepsort_paddle.pipeline.stages import Detect, TrackedFrame, skip_broken, track_frames
from deepsort_paddle.tracking.decision_log import Journal
from deepsort_paddle.tracking.explain import explain, write_table
from deepsort_paddle.tracking.picture_motion import PictureMotion
from deepsort_paddle.tracking.tracker import DeepSort

__all__ = ["run", "track_source"]

# Without appearance a lost track comes back through the IoU stage only. On MOT17 02, 05, 10, 13 (half-val)
# and PETS09 HOTA is 1.5 to 7 points above that of DeepSORT's 1; 15 and 30 hardly differ.
_MOTION_IOU_MAX_AGE = 15
# Above it a source's frame rate is that of its clock.
_MOST_FPS = 1000.0
# Batches: enough to even out frames that take longer; more only holds more frames.
_READ_AHEAD = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(options: argparse.Namespace) -> int:
    """Track as ``options`` say and print what was found; returns the exit code.

    Raises:
        OSError: a file is missing or can't be read or written.
        ValueError: a file or an option is wrong.
        ImportError: Paddle is wanted but not installed.
    """

    def note(message: str) -> None:
        if not options.quiet:
            tqdm.write(f"deepsort-track: note: {message}", file=sys.stderr)

    return track_source(options, note).code


def track_source(
    options: argparse.Namespace, note: Callable[[str], None], signals: Sequence[int] = _SIGNALS
) -> Finished:
    """Track one source as ``options`` say.

    Args:
        options: of the command line; what they leave open is filled in.
        note: takes each thing worth knowing, a line.
        signals: those that end the run between two frames.

    Raises:
        OSError: a file is missing or can't be read or written.
        ValueError: a file or an option is wrong.
        ImportError: Paddle is wanted but not installed.
    """
    warned: set[str] = set()
    waiting: list[str] = []  # notes are told once everything is open: an error on the way is the only line
    tell: Callable[[str], None] = waiting.append

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in warned:  # each frame may give the same
            warned.add(str(message))
            tell(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show_warning
        options.device = "gpu" if options.use_gpu else options.device
        options.embeddings = False  # whether the detection file brings them
        if options.show:
            _check_display()
        options.lines = tuple(Line.parse(text) for text in options.line)
        options.zones = tuple(Zone.parse(text) for text in options.zone)
        TrackCounter(options.lines, options.zones)  # names that come twice are found before anything opens
        settle_tracker_options(options)
        expect_video(str(options.source))
        check_outputs(options)
        with open_source(options.source, fps=options.fps) as source, ExitStack() as stack:
            choose_outputs(options, source)
            _check_offline(options, source)
            waiting += option_doubts(options, source)
            by_pictures = options.camera_motion == "pictures"
            if by_pictures and not source.has_images:
                raise ValueError(f"{options.source} has no pictures: leave out --camera-motion pictures")
            options.counter = None
            if options.lines or options.zones:
                options.counter = TrackCounter(options.lines, options.zones, fps=source.fps or 25.0)
            detect = _open_detector(options, source, tell)
            encode = _open_encoder(options, source, tell)
            if options.iou_max_age is None and not options.max_seconds:
                appearance = encode is not None or options.embeddings
                options.iou_max_age = 1 if appearance else _MOTION_IOU_MAX_AGE
            if source.fps and not any(text.startswith("frame") for text in options.set):
                options.frame_rate = min(source.fps, _MOST_FPS)
            tracker = DeepSort(**{name: getattr(options, name) for name in TRACKER_OPTIONS})
            options.max_age, options.iou_max_age = tracker.options.max_age, tracker.options.iou_max_age
            if options.explain or options.explain_csv:
                tracker.journal = Journal()
            tell = note
            for message in waiting:
                note(message)
            tracked_frames = track_frames(
                source,
                detect,
                encode,
                tracker,
                frames_per_batch=options.frames_per_batch,
                read_ahead=_read_ahead(options, source),
                min_confidence=options.min_confidence,
                class_confidence=options.class_numbers,
                min_height=options.min_height,
                needed=EncodeNeeded(tracker) if options.encode == "needed" else None,
                camera_motion=PictureMotion() if by_pictures else None,
            )
            stack.enter_context(closing(tracked_frames))  # ends its threads before the source is closed
            if options.offline:
                finished, linked = _track_offline(options, source, tracked_frames, note, signals)
            else:
                finished, linked = _track(options, source, tracked_frames, note, signals), {}
            tracked_frames.close()  # the tracker may have been at work in a thread
            if tracker.journal is not None and options.explain_csv:
                with naming(options.explain_csv):
                    write_table(tracker.journal, options.explain_csv)
            written = [str(path) for name in WRITTEN if (path := getattr(options, name))]
            if written and not options.quiet:
                print(f"written: {', '.join(written)}")
            if tracker.journal is not None:  # the last, as an unknown id is an error
                _explain(tracker.journal, linked, options)
            return finished


def _explain(journal: Journal, linked: dict[int, int], options: argparse.Namespace) -> None:
    """Print what ``--explain`` asks for; ``linked``: which id became which."""
    for track_id in options.explain:
        parts = [one for one, other in sorted(linked.items()) if other == track_id]
        for one in [track_id, *parts]:
            print(explain(journal, one))
            if one in linked:
                print(f"{'end':>11}  linked     --offline made it id {linked[one]}, by appearance")


def _track_offline(
    options: argparse.Namespace,
    source: FrameSource,
    tracked_frames: Iterator[TrackedFrame],
    note: Callable[[str], None],
    signals: Sequence[int],
) -> tuple[Finished, dict[int, int]]:
    """Track everything, refine, then write; also returns the ids that became others."""
    recorder, stop, began = Recorder(), Stop(signals), time.perf_counter()
    code = 0
    bar = tqdm(
        total=source.frame_count, unit="frame", disable=True if options.quiet else None, file=sys.stderr
    )
    try:
        with stop, bar:
            for tracked in tracked_frames:
                with stop.held():
                    recorder.add(tracked)
                    bar.update()
    except KeyboardInterrupt:
        code = 128 + (stop.signal or signal.SIGINT)
        name = signal.Signals(code - 128).name
        sys.stderr.write(
            f"deepsort-track: stopped by {name} in frame {len(recorder)}; writing what was tracked\n"
        )
    with ExitStack() as stack:
        pictures: FrameSource | tuple[()] = ()
        if source.has_images and (options.save_video or options.save_crops or options.report):
            pictures = stack.enter_context(open_source(options.source, fps=options.fps))
        limit, fps = options.max_cosine_distance, source.fps or 25.0
        frames = recorder.frames(pictures, max_cosine_distance=limit, fps=fps)
        finished = _track(options, source, frames, note, signals, began=began)
    return replace(finished, code=finished.code or code), recorder.linked


def _check_offline(options: argparse.Namespace, source: FrameSource) -> None:
    """Raise where ``--offline`` can't be: it needs the end of the video, and may need its pictures twice."""
    if not options.offline:
        return
    if source.live:
        raise ValueError(f"{options.source} is live and has no end: leave out --offline")
    if not (Path(options.source).is_file() or Path(options.source).is_dir()):
        raise ValueError(f"{options.source} can't be read twice: leave out --offline")
    for name, value in (("--show", options.show), ("--coast", options.coast)):
        if value:
            raise ValueError(
                f"{name} does not go with --offline, which writes when the whole video is tracked"
            )


def _read_ahead(options: argparse.Namespace, source: FrameSource) -> int:
    """``--read-ahead``; none for live sources, which would be seen later and can wait for long to be read."""
    if options.read_ahead is not None:
        return int(options.read_ahead)
    return 0 if source.live else _READ_AHEAD


def _track(
    options: argparse.Namespace,
    source: FrameSource,
    tracked_frames: Iterator[TrackedFrame],
    note: Callable[[str], None],
    signals: Sequence[int],
    *,
    began: float | None = None,
) -> Finished:
    """The loop over all frames. ``began``: when the work began, now when left out."""
    progress = Progress() if began is None else Progress(began=began)
    stop = Stop(signals)
    code = 0

    def summarise() -> dict[str, Any]:
        known = {"frames": progress.frames, "tracks": len(progress.ids), "broken_frames": source.broken}
        return known if options.counter is None else {**known, "counts": options.counter.counts().as_dict()}

    def speed() -> dict[str, float]:
        return {**progress.rates(), "all": progress.fps}

    bar = tqdm(
        total=source.frame_count, unit="frame", disable=True if options.quiet else None, file=sys.stderr
    )
    try:
        with stop, bar, ExitStack() as stack:
            outputs = open_outputs(options, source, summarise, speed, stack)
            for tracked in tracked_frames:
                began = time.perf_counter()
                with stop.held():
                    finished = [output(tracked) for output in outputs]
                    progress.add(tracked, time.perf_counter() - began)
                    bar.update()
                if not bar.disable and progress.frames % 5 == 0:
                    rates = " ".join(f"{stage} {rate:.0f}" for stage, rate in progress.rates().items())
                    bar.set_postfix_str(
                        f"{len(tracked.tracks)} tracked, {len(progress.ids)} ids, fps: {rates}"
                    )
                if any(finished):
                    break
    except KeyboardInterrupt:
        if stop.signal == 0:
            stop.signal = signal.SIGINT
        code = 128 + stop.signal
        held = f"outputs hold frames 1 to {progress.frames}" if progress.frames else "no frame was tracked"
        sys.stderr.write(f"deepsort-track: stopped by {signal.Signals(stop.signal).name}; {held}\n")
    if source.note:
        note(source.note)
    counts = None if options.counter is None else options.counter.counts()
    if not options.quiet:
        print(summary(progress, source))
        if counts is not None:
            print(counted(counts))
    return Finished(code, progress.frames, len(progress.ids), source.broken, counts)


def _open_detector(options: argparse.Namespace, source: FrameSource, note: Callable[[str], None]) -> Detect:
    """The detector; also settles min_confidence, and says which classes it knows."""
    from deepsort_paddle.detection.detector import FileDetector, detection_file, make_detector

    options.class_numbers = {}  # thresholds of single classes, as the tracker's detections have them

    if options.detections:
        if options.classes:
            raise ValueError("--classes is for detectors: a detection file holds people only")
        people = class_confidences(options.class_confidence, FileDetector.labels, (0,))
        found = detection_file(options.detections, confidence=people.get(0, options.min_confidence))
        options.min_confidence, options.labels = found.confidence, found.labels
        options.embeddings = found(found.last_frame, None).embeddings is not None
        if source.frame_count is not None and found.last_frame > source.frame_count:
            note(f"detections go to frame {found.last_frame}, {source.name} has {source.frame_count} frames")
        for doubt in box_doubts(found.all_boxes(), found.confidence, source.width, source.height):
            note(f"{options.detections}: {doubt}")
        return found
    if not source.has_images:
        raise ValueError(f"{options.source} has no pictures to detect in: give --detections FILE")
    if not options.detector:
        note(
            "detecting with HOG, which needs no download; "
            "a learned detector (--detector FILE.onnx) tracks better"
        )
    detector = make_detector(
        options.detector or "hog",
        confidence=options.min_confidence,
        classes=_classes(options.classes),
        class_confidence=options.class_confidence,
        device=options.device,
        threads=options.threads,
    )
    options.min_confidence, options.labels = detector.confidence, tuple(detector.labels)
    options.class_numbers = getattr(detector, "class_confidence", {})
    if options.classes and options.reid is None and options.preset != "motion":
        numbers = class_ids(_classes(options.classes), options.labels)
        if others := [options.labels[one] for one in numbers if options.labels[one] not in PEOPLE]:
            note(
                f"{DEFAULT_MODEL} was trained on people and says little about {', '.join(others)}; "
                "--reid none tracks by motion alone"
            )
    return skip_broken(detector)


def _classes(text: str | None) -> tuple[int | str, ...] | None:
    """The class numbers and names of ``--classes``; None when it was not given."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"--classes wants names or numbers with commas between, got {text!r}")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _open_encoder(options: argparse.Namespace, source: FrameSource, note: Callable[[str], None]) -> Any:
    """The appearance model or None; also settles reid and max_cosine_distance."""
    named = options.reid  # a folder of that name goes before the model that comes along
    options.reid, encoder = _choose_model(options, source, note), None
    if options.reid is not None:
        from deepsort_paddle.appearance.encoder import AppearanceEncoder

        encoder = AppearanceEncoder(
            named,
            device=options.device,
            threads=options.threads,
            backend=options.backend,
            precision=options.precision,
        )
    else:
        limit = None if not options.embeddings else options.max_cosine_distance  # the file's go by it
        defaults = {"encode": "all", "backend": "auto", "precision": "auto", "max_cosine_distance": limit}
        for name, default in defaults.items():
            if (value := getattr(options, name)) != default:
                note(f"--{name.replace('_', '-')} {value} changes nothing: there is no appearance model")
    if options.max_cosine_distance is not None:
        return encoder
    options.max_cosine_distance = 0.2 if encoder is None else encoder.max_cosine_distance
    if encoder is not None:
        why = "as calibrated" if encoder.spec.calibrated else "DeepSORT's own: none is calibrated"
        note(f"max_cosine_distance {encoder.max_cosine_distance:g}, {why} for {Path(options.reid).name}")
    return encoder


def _choose_model(
    options: argparse.Namespace, source: FrameSource, note: Callable[[str], None]
) -> str | None:
    """The appearance model that ``--reid`` names, or that comes with the package; None for motion only."""
    if options.reid is not None and options.reid != "none":
        if not source.has_images:
            raise ValueError(f"{options.source} has no pictures to describe: leave out --reid")
        return str(options.reid)
    if options.reid == "none" or options.embeddings or options.preset == "motion":
        return None
    if not source.has_images:
        note("tracking by motion only: there are no pictures")
        return None
    note(f"appearance by {DEFAULT_MODEL}; --reid DIR names another model, --reid none leaves it out")
    return DEFAULT_MODEL


def _check_display() -> None:
    """Raise where a window would end the process from inside OpenCV."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise ValueError("--show needs a display, and there is none here")
    if not cv2.currentUIFramework():
        raise ValueError("--show needs windows, and this OpenCV has none (is it opencv-python-headless?)")
