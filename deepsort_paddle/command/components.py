"""Opens the components of a run: detector, appearance model, tracker; fills in what the plan leaves open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL
from deepsort_paddle.command.appearance import Appearance, appearance_of, component_name
from deepsort_paddle.command.checks import box_warnings
from deepsort_paddle.command.saved_run import open_frames, saved_warnings
from deepsort_paddle.counting.counter import TrackCounter
from deepsort_paddle.detection.agreement import fastest
from deepsort_paddle.detection.candidates import class_confidences, class_ids
from deepsort_paddle.detection.detector import FileDetector, HogDetector, detection_file, open_detector
from deepsort_paddle.detection.downloads import DownloadError
from deepsort_paddle.detection.file_checks import file_warnings
from deepsort_paddle.detection.labels import is_person
from deepsort_paddle.detection.named_models import DEFAULT_DETECTOR, named_model
from deepsort_paddle.detection.onnx import OnnxDetector
from deepsort_paddle.detection.saved_detections import AboutDetections, SavedDetections
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.pipeline.stages import Detect, Encode, skip_broken
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.plan.tracker_settings import camera_motion, preset_of, thresholds, tracker_options
from deepsort_paddle.tracking.decision_log import Journal
from deepsort_paddle.tracking.tracker import DeepSort

__all__ = ["Components", "about_run", "open_components", "open_counter"]

# Without appearance, only the IoU stage recovers a lost track. On MOT17 02, 05, 10, 13 (half-val) and PETS09
# HOTA is 1.5 to 7 points higher than with DeepSORT's 1; 15 and 30 hardly differ.
_MOTION_IOU_MAX_AGE = 15
# A higher frame rate is the rate of the clock, not of the frames.
_MOST_FPS = 1000.0
_UNKNOWN_FPS = 25.0
# Frames on which HOG is timed; each takes about half a second.
_TIMED_FRAMES = 3
# Number and step of the frames on which bfloat16 is compared with float32.
_COMPARED_FRAMES = (16, 4)

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDetector:
    """The detector of a run.

    Attributes:
        name: its name in reports; None for a detection file.
        detect: the callable.
        labels: class names by number.
        min_confidence: its threshold.
        class_confidence: thresholds of single classes, by number.
        has_embeddings: whether its detections have embeddings.
        default_confidence: its default threshold; None if unknown.
    """

    name: str | None
    detect: Detect
    labels: tuple[str, ...]
    min_confidence: float
    class_confidence: Mapping[int, float]
    has_embeddings: bool = False
    default_confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The open components of a run.

    Attributes:
        detector: the detector and its thresholds.
        encode: the appearance model; None to track by motion, or with the embeddings of a detection file.
        tracker: a new tracker.
        counter: counts at lines and in zones; None if there are none.
        settings: the settings for reports: those of the plan, and those chosen for it.
        appearance: where the embeddings come from.
    """

    detector: OpenedDetector
    encode: Encode | None
    tracker: DeepSort
    counter: TrackCounter | None
    settings: Mapping[str, Any]
    appearance: Appearance


def open_components(
    plan: RunPlan,
    source: FrameSource,
    note: Note,
    *,
    detector: Detect | None = None,
    encoder: Encode | None = None,
    saved: SavedDetections | None = None,
) -> Components:
    """Open everything that a run over ``source`` needs.

    Args:
        plan: the run.
        source: the open source.
        note: called with each note, one line.
        detector: used instead of the plan's detector.
        encoder: used instead of the plan's appearance model.
        saved: the detections of the plan, if an earlier run saved them.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file or an option is invalid.
        ImportError: a library is not installed.
    """
    counter = open_counter(plan, source)
    if detector is not None:
        opened = _given(detector, plan, source)
    else:
        opened = _open_detector(plan, source, note) if saved is None else _replay(plan, saved, source, note)
    if encoder is not None:
        model: str | None = component_name(encoder)
    elif saved is not None and saved.has_embeddings:
        model = saved.about.encoder
    else:
        model = _choose_model(plan, source, opened, note)
        encoder = None if model is None else _open_encoder(plan)
    if encoder is None:
        if (plan.index or plan.identities) and not opened.has_embeddings:
            raise ValueError(
                f"{'--index' if plan.index else '--identities'} needs an appearance model: leave out "
                "--reid none and --preset motion, and name a source with images"
            )
        _say_what_is_unused(plan, opened, note)
    known = appearance_of(encoder, saved)
    appearance = encoder is not None or opened.has_embeddings
    preset = preset_of(plan, appearance=appearance)
    if plan.preset is None:
        note(f"using --preset {preset}; --preset deepsort is DeepSORT as published")
    values = tracker_options(plan, preset)
    if values["max_cosine_distance"] is None:
        values["max_cosine_distance"] = _calibrated_distance(known, model, note)
    if values["iou_max_age"] is None and not values["max_seconds"]:
        values["iou_max_age"] = 1 if appearance else _MOTION_IOU_MAX_AGE
    if values["frame_rate"] is None:
        values["frame_rate"] = min(source.fps or _UNKNOWN_FPS, _MOST_FPS)
    tracker = DeepSort(**values)
    if plan.explain or plan.explain_csv:
        tracker.journal = Journal(source.frame_numbers)
    options = tracker.options
    values.update(
        max_age=options.max_age, iou_max_age=options.iou_max_age
    )  # they may have been given in seconds
    moved = saved is not None and saved.camera_motion is not None
    settings = {
        "detections": plan.detections,
        "detector": opened.name,
        "reid": model,
        "min_confidence": opened.min_confidence,
        "min_height": plan.min_height,
        "classes": plan.classes,
        "class_confidence": thresholds(plan)[1],
        "encode": plan.encode,
        "preset": preset,
        "offline": plan.offline,
        "camera_motion": camera_motion(plan, has_images=source.has_images or moved),
        **values,
    }
    return Components(
        detector=opened,
        encode=encoder,
        tracker=tracker,
        counter=counter,
        settings=settings,
        appearance=known,
    )


def open_counter(plan: RunPlan, source: FrameSource) -> TrackCounter | None:
    """A fresh counter of the plan's lines and zones; None where there are none."""
    if not (plan.lines or plan.zones):
        return None
    return TrackCounter(plan.lines, plan.zones, fps=source.fps or _UNKNOWN_FPS, loiter=plan.loiter)


def about_run(plan: RunPlan, source: FrameSource, components: Components) -> AboutDetections:
    """Return the description of a run that ``--save-detections`` stores."""
    opened, appearance = components.detector, components.appearance
    return AboutDetections(
        source=source.name,
        fps=source.fps,
        width=source.width,
        height=source.height,
        pixel_aspect=str(source.pixel_aspect),
        every=plan.stride,
        start=plan.start,
        end=plan.end,
        mirror=plan.mirror,
        broken=source.broken,
        detector=opened.name or plan.detections,
        labels=opened.labels or ("person",),
        min_confidence=opened.min_confidence,
        default_confidence=opened.default_confidence,
        class_confidence=dict(opened.class_confidence),
        min_height=plan.min_height,
        encoder=appearance.name,
        encoder_checksum=appearance.checksum,
        max_cosine_distance=appearance.max_cosine_distance,
        calibrated=appearance.calibrated,
    )


def _given(detector: Detect, plan: RunPlan, source: FrameSource) -> OpenedDetector:
    """Return a detector given in Python, with the plan's thresholds or its own."""
    if plan.detections or plan.detector or plan.classes:
        raise ValueError("a detector given as a callable excludes the options detections and classes")
    labels = tuple(getattr(detector, "labels", ()))
    least, named = thresholds(plan)
    from_file = isinstance(detector, FileDetector)
    return OpenedDetector(
        name=component_name(detector),
        detect=skip_broken(detector) if source.has_images and not from_file else detector,
        labels=labels,
        min_confidence=getattr(detector, "confidence", 0.0) if least is None else least,
        class_confidence=class_confidences(named, labels, range(len(labels))),
        has_embeddings=isinstance(detector, FileDetector) and _has_embeddings(detector),
        default_confidence=getattr(detector, "confidence", 0.0),
    )


def _has_embeddings(detector: FileDetector) -> bool:
    return detector(detector.last_frame, None).embeddings is not None


def _open_detector(plan: RunPlan, source: FrameSource, note: Note) -> OpenedDetector:
    """Open the plan's detector."""
    least, named = thresholds(plan)
    if plan.detections:
        people = class_confidences(named, FileDetector.labels, (0,))
        found = detection_file(plan.detections, confidence=people.get(0, least), max_iou=plan.nms)
        for warning in file_warnings(found.by_frame(), source):
            note(f"{plan.detections}: {warning}")
        for warning in box_warnings(found.all_boxes(), found.confidence, source.width, source.height):
            note(f"{plan.detections}: {warning}")
        return OpenedDetector(
            name=None,
            detect=found,
            labels=found.labels,
            min_confidence=found.confidence,
            class_confidence={},
            has_embeddings=_has_embeddings(found),
            default_confidence=found.default_confidence,
        )
    if not source.has_images:
        raise ValueError(f"{plan.source} has no images to detect people in: use --detections FILE")
    classes = None if plan.classes is None else _classes(plan.classes)
    name = plan.detector or _default_detector(plan, note)
    detector = open_detector(
        name,
        confidence=least,
        classes=classes,
        class_confidence=named,
        device=plan.device,
        threads=plan.threads,
        precision=plan.detector_precision,
        download=plan.download,
    )
    if isinstance(detector, HogDetector):
        blank = np.zeros((source.height or 1080, source.width or 1920, 3), np.uint8)
        images = _first_images(plan, source, _TIMED_FRAMES) or [blank]
        note(detector.pace(images, source.frame_count))
    elif (
        isinstance(detector, OnnxDetector) and plan.detector_precision == "auto" and plan.preset != "deepsort"
    ):
        detector = fastest(detector, partial(_first_images, plan, source, *_COMPARED_FRAMES), note)
    labels = tuple(detector.labels)
    if classes and plan.reid is None and plan.preset != "motion":
        names = [labels[number] for number in class_ids(classes, labels)]
        if others := [name for name in names if not is_person(name)]:
            note(
                f"{DEFAULT_MODEL} was trained on people and is unreliable for {', '.join(others)}; "
                "--reid none tracks by motion only"
            )
    return OpenedDetector(
        name=name,
        detect=detector,
        labels=labels,
        min_confidence=detector.confidence,
        class_confidence=getattr(detector, "class_confidence", {}),
        default_confidence=detector.default_confidence,
    )


def _default_detector(plan: RunPlan, note: Note) -> str:
    """Return the detector of a plan without one: HOG if the default network cannot be downloaded."""
    try:
        named_model(DEFAULT_DETECTOR, download=plan.download)
    except DownloadError as error:
        note(f"{error}; using HOG meanwhile, which finds fewer people")
        return "hog"
    return DEFAULT_DETECTOR


def _first_images(plan: RunPlan, source: FrameSource, count: int, step: int = 1) -> list[NDArray[np.uint8]]:
    """Return some images of the source, read once more; none from cameras, streams and pipes."""
    if source.live or not (Path(plan.source).is_file() or Path(plan.source).is_dir()):
        return []
    with open_frames(plan) as again:
        frames = islice(again, 0, count * step, step)
        return [frame.image for frame in frames if frame.image is not None]


def _replay(plan: RunPlan, saved: SavedDetections, source: FrameSource, note: Note) -> OpenedDetector:
    """Return the detections that an earlier run saved, with the plan's thresholds or those of that run."""
    about = saved.about
    least, named = thresholds(plan)
    scores = class_confidences(named, about.labels, range(len(about.labels)))
    for warning in (*saved_warnings(plan, saved, source), *file_warnings(saved.by_frame(), source)):
        note(f"{plan.detections}: {warning}")
    if least is not None and least < about.min_confidence:
        note(f"{plan.detections} contains only detections with confidence {about.min_confidence:g} or more")
    default = max(about.min_confidence, about.default_confidence or 0.0)
    return OpenedDetector(
        name=about.detector,
        detect=saved,
        labels=about.labels,
        min_confidence=default if least is None else least,
        class_confidence=scores or (about.class_confidence if least is None else {}),
        has_embeddings=saved.has_embeddings,
        default_confidence=about.default_confidence,
    )


def _classes(text: str) -> tuple[int | str, ...]:
    """Return the class numbers and names of ``--classes``."""
    parts = (part.strip() for part in text.split(","))
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _choose_model(plan: RunPlan, source: FrameSource, detector: OpenedDetector, note: Note) -> str | None:
    """Return the plan's appearance model or the default one; None to track by motion only."""
    if plan.reid is not None and plan.reid != "none":
        if not source.has_images:
            raise ValueError(f"{plan.source} has no images to encode: leave out --reid")
        return plan.reid
    if plan.reid == "none" or detector.has_embeddings or plan.preset == "motion":
        return None
    if not source.has_images:
        note("tracking by motion only: the source has no images")
        return None
    return DEFAULT_MODEL


def _open_encoder(plan: RunPlan) -> Encode:
    """Open the appearance model; an existing folder named ``reid`` takes precedence over a packaged model."""
    from deepsort_paddle.appearance.encoder import AppearanceEncoder

    return AppearanceEncoder(
        plan.reid,
        device=plan.device,
        threads=plan.threads,
        backend=plan.backend,
        precision=plan.precision,
    )


def _say_what_is_unused(plan: RunPlan, detector: OpenedDetector, note: Note) -> None:
    """Note which options have no effect without an appearance model."""
    names = ["encode", "backend", "precision"]
    if not detector.has_embeddings:  # the file's embeddings are compared with it
        names.append("max_cosine_distance")
    default = RunPlan(source="")
    for name in names:
        if (value := getattr(plan, name)) != getattr(default, name):
            why = (
                "the embeddings come from a file"
                if detector.has_embeddings
                else "there is no appearance model"
            )
            note(f"--{name.replace('_', '-')} {value} has no effect: {why}")


def _calibrated_distance(known: Appearance, model: str | None, note: Note) -> float:
    """Return the appearance model's largest cosine distance, or DeepSORT's default if it has none."""
    distance = known.max_cosine_distance
    if distance is None:
        return 0.2
    if not known.calibrated and distance == 0.2:
        name = Path(str(model)).name
        note(f"{name} has no calibrated threshold: --max-cosine-distance is {distance:g}, as in DeepSORT")
    return distance
