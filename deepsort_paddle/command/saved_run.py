"""Runs on saved detections: opens the file, and the source if its images are needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from deepsort_paddle.appearance.default_model import locate
from deepsort_paddle.appearance.spec import model_checksum
from deepsort_paddle.detection.candidates import class_ids
from deepsort_paddle.detection.saved_detections import SUFFIX, SavedDetections
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.media.addresses import is_address
from deepsort_paddle.media.source import open_source
from deepsort_paddle.motchallenge.sequence import is_sequence
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.plan.tracker_settings import camera_motion

__all__ = ["fill_plan", "is_saved", "open_again", "open_frames", "open_saved", "saved_warnings"]

# Outputs and options that need images.
_OF_IMAGES = ("save_video", "save_crops", "save_dir", "show", "report", "index", "identities")


def is_saved(path: str | None) -> bool:
    """Whether a path has the suffix of ``--save-detections`` files."""
    return path is not None and not is_address(path) and Path(path).suffix.lower() == SUFFIX


def open_saved(plan: RunPlan) -> SavedDetections | None:
    """Read the saved detections of a plan, filtered as it asks; None if it has none.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is invalid, or its embeddings come from another model than the plan's.
    """
    if plan.detections is None or not is_saved(plan.detections):
        return None
    saved = SavedDetections.read(plan.detections)
    if plan.reid == "none" or (plan.reid is None and plan.preset == "motion"):
        saved = saved.without_embeddings()
    elif plan.reid is not None and saved.has_embeddings:
        _check_model(plan.reid, saved)
    if plan.classes is not None:
        words = [word.strip() for word in plan.classes.split(",")]
        saved = saved.of_classes(class_ids(words, saved.labels))
    return saved if plan.nms is None else saved.suppressed(plan.nms)


def fill_plan(plan: RunPlan, saved: SavedDetections | None) -> RunPlan:
    """The plan over the part of the video that saved detections are of.

    Args:
        plan: the run.
        saved: its detections, if an earlier run saved them.

    Raises:
        ValueError: the plan has a different stride, start or end, or mirrors what was not mirrored.
    """
    if saved is None:
        return plan
    about = saved.about
    known: dict[str, Any] = {}
    for name, part in (("stride", about.every), ("start", about.start), ("end", about.end)):
        given = getattr(plan, name)
        if part is None:
            continue
        if given is not None and given != part:
            words = [
                ":".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
                for value in (part, given)
            ]
            raise ValueError(f"{saved.path} was saved with --{name} {words[0]}, got --{name} {words[1]}")
        known[name] = part
    if plan.mirror and not about.mirror:
        raise ValueError(f"{saved.path} was saved without --mirror: leave out --mirror, or save it again")
    return replace(plan, mirror=about.mirror, **known)


def open_frames(plan: RunPlan, saved: SavedDetections | None = None, *, images: bool = False) -> FrameSource:
    """Open the source of a plan; with saved detections, images are read only if something needs them.

    Args:
        plan: the run.
        saved: its detections, if an earlier run saved them.
        images: whether something besides the plan needs images.

    Raises:
        OSError: the source does not exist or cannot be opened.
        ValueError: it has no readable frame.
    """
    stride = plan.stride
    if saved is None or not _replays(plan, saved, images=images):
        source = open_source(plan.source, fps=plan.fps, every_frame=plan.every_frame, start=plan.start or 0.0)
    else:
        if not (is_address(plan.source) or plan.source.isdecimal() or Path(plan.source).exists()):
            raise FileNotFoundError(f"no such file or folder: {plan.source}")
        source = saved.source()
        stride = None if saved.about.every is not None else stride
    if source.live and (plan.start is not None or plan.end is not None):
        source.close()
        raise ValueError(f"{source.name} is live: --start and --end apply only to files")
    if plan.start is not None or plan.end is not None:
        source = source.between(plan.start or 0.0, plan.end)
    if plan.mirror and source.has_images:
        source = source.mirrored()
    return source if stride is None else source.every(*stride)


def open_again(plan: RunPlan) -> FrameSource:
    """Open the source of a run that its track index remembers; raises as `open_frames`."""
    saved = open_saved(replace(plan, detections=plan.source)) if is_saved(plan.source) else None
    return open_frames(plan, saved)


def _replays(plan: RunPlan, saved: SavedDetections, *, images: bool) -> bool:
    """Whether the run needs no images."""
    if is_saved(plan.source):
        return True
    has_images = not is_sequence(plan.source) or any((Path(plan.source) / "img1").glob("*"))
    describes = not saved.has_embeddings and plan.reid != "none"
    if describes and (plan.reid is not None or plan.preset != "motion"):
        return False
    by_images = camera_motion(plan, has_images=True) in ("images", "both")
    needs_images = by_images and has_images and saved.camera_motion is None
    if needs_images or plan.fps not in (None, saved.about.fps):
        return False
    return not (has_images and (images or any(getattr(plan, name) for name in _OF_IMAGES)))


def _check_model(reid: str, saved: SavedDetections) -> None:
    """Raise unless the embeddings come from this appearance model."""
    about = saved.about
    folder = locate(reid)
    checksum = model_checksum(folder) if folder.exists() else None
    if about.encoder_checksum and checksum:
        same = about.encoder_checksum == checksum
    else:
        same = about.encoder is not None and about.encoder == (
            folder.stem if folder.is_file() else folder.name
        )
    if not same:
        owner = about.encoder or "a detection file"
        raise ValueError(
            f"--reid {reid}: {saved.path} contains embeddings of {owner}; leave out --reid, or save the "
            "detections again"
        )


def saved_warnings(plan: RunPlan, saved: SavedDetections, source: FrameSource) -> list[str]:
    """Return warnings about saved detections that do not fit this run.

    Args:
        plan: the run.
        saved: its detections.
        source: the open source.
    """
    about, warnings = saved.about, []
    path = Path(plan.source)
    names = (path.stem, path.name, path.resolve().name, source.name if source.has_images else "")
    if path.exists() and not (is_saved(plan.source) or is_sequence(path)) and about.source not in names:
        warnings.append(f"{saved.path} contains detections of {about.source}, not of {plan.source}")
    size, of_file = (source.width, source.height), (about.width, about.height)
    if all(size) and all(of_file) and size != of_file:
        warnings.append(
            f"{saved.path} was made from frames of {of_file[0]} x {of_file[1]} pixels, {source.name} has "
            f"{size[0]} x {size[1]}"
        )
    if plan.min_height < about.min_height:
        warnings.append(f"{saved.path} contains only detections at least {about.min_height:g} pixels high")
    return warnings
