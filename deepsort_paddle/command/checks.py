"""All checks of a plan before the first frame, in the order in which a run makes them.

`check_plan` needs only the plan, `check_source` the opened source, `check_outputs` the final file names.
Doubtful input that is not an error gives a one-line warning.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.appearance.default_model import locate
from deepsort_paddle.counting.counter import TrackCounter
from deepsort_paddle.detection.named_models import NAMED_MODELS, named_model
from deepsort_paddle.detection.saved_detections import SUFFIX
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.media.addresses import is_address
from deepsort_paddle.part_files import check_absent, check_writable, real_path
from deepsort_paddle.plan.run_plan import FILES, INPUTS, RunPlan
from deepsort_paddle.plan.tracker_settings import tracker_options

__all__ = [
    "box_warnings",
    "check_models",
    "check_outputs",
    "check_plan",
    "check_source",
    "counts_images",
    "expect_video",
    "option_warnings",
    "unknown_to_cvat",
]

# People at the edge have boxes that reach beyond the frame, but by less, or fewer of them.
_BEYOND, _MANY_BEYOND = 1.1, 0.25
# Outputs that need images.
_OF_IMAGES = ("save_video", "save_crops", "show")
# Files given as a source by mistake, and the options that take them.
_LISTS = "use --detections FILE for detections, --sources FILE for a list of videos"
_OTHERS = {
    ".onnx": "use --detector FILE for a detector, --reid FILE for an appearance model",
    ".txt": _LISTS,
    ".csv": _LISTS,
}


def check_plan(plan: RunPlan) -> None:
    """Check what needs no file: conflicting options, the tracker's options, names of lines and zones.

    Raises:
        ValueError: an option is invalid, or two options conflict.
    """
    if plan.detections and plan.detector:
        raise ValueError("--detections and --detector exclude each other: use only one of them")
    if plan.detections and plan.classes and not plan.detections.lower().endswith(SUFFIX):
        raise ValueError("--classes needs a detector: a detection file contains only people")
    if plan.save_detections and Path(plan.save_detections).suffix.lower() != SUFFIX:
        raise ValueError(f"--save-detections {plan.save_detections}: expected a name that ends in {SUFFIX}")
    if plan.encode == "needed" and plan.frames_per_batch > 1:
        batch = f"--frames-per-batch {plan.frames_per_batch}"
        raise ValueError(f"--encode needed encodes frame by frame: leave out {batch}")
    if plan.output_ids == "person" and not plan.identities:
        raise ValueError("--output-ids person needs --identities, which finds the persons")
    if plan.keep_hours and not (plan.identities or plan.index):
        raise ValueError("--keep-hours is for --index and --identities, which keep tracks")
    if plan.cvat and (option := unknown_to_cvat(plan)):
        raise ValueError(f"--cvat does not go with {option}: CVAT shows all frames, as they are")
    if plan.same_camera and not (plan.identities or plan.index):
        raise ValueError("--same-camera needs --identities, which joins the tracks of one person")
    if plan.pick:
        raise ValueError("--pick writes a page and tracks nothing: it is for the command alone")
    TrackCounter(plan.lines, plan.zones)  # refuses duplicate names
    for name in ("events", "count_every", "counts") if not (plan.lines or plan.zones) else ():
        if getattr(plan, name) is not None:
            raise ValueError(f"{_flag(name)} has nothing to count at: name a --line or a --zone")
    if plan.loiter is not None and not plan.zones:
        raise ValueError("--loiter is for zones: name a --zone")
    named = tracker_options(plan)
    unfit = {"--show": plan.show, "--coast": named["coast"], "--set hidden_coast": named["hidden_coast"]}
    for name, value in unfit.items() if plan.offline else ():
        if value:
            raise ValueError(
                f"{name} cannot be combined with --offline, which writes only at the end of the video"
            )
    if plan.show:
        _check_display()


def check_models(plan: RunPlan) -> None:
    """Check that the detector and the appearance model exist; called once for a run over many videos.

    A named detector is downloaded.

    Raises:
        FileNotFoundError: one of them does not exist.
        DownloadError: the detector cannot be downloaded.
    """
    if plan.reid not in (None, "none") and not locate(plan.reid).exists():
        raise FileNotFoundError(f"--reid {plan.reid}: no such file or folder")
    detector = plan.detector
    if detector is None or detector == "hog" or Path(detector).exists():
        return
    if detector not in NAMED_MODELS:
        raise FileNotFoundError(f"--detector {detector}: no such file or folder")
    named_model(detector, download=plan.download)


def expect_video(source: str) -> None:
    """Check that a source is not a file that belongs to another option.

    Raises:
        ValueError: its suffix shows that it does; the message names the option.
    """
    named = _OTHERS.get(Path(source).suffix.lower())
    if named and not is_address(source) and Path(source).is_file():
        raise ValueError(f"{source} is not a video: {named}")


def check_source(plan: RunPlan, source: FrameSource, *, motion_known: bool = False) -> None:
    """Check that the source has what the plan needs: images, and an end for ``offline``.

    Args:
        plan: the run.
        source: opened.
        motion_known: whether the camera's motion in the images is known without them.

    Raises:
        ValueError: it does not.
    """
    if not source.has_images:
        for name in _OF_IMAGES:
            if getattr(plan, name):
                raise ValueError(f"{plan.source} has no images: leave out {_flag(name)}")
        if plan.camera_motion in ("images", "both") and not motion_known:
            raise ValueError(f"{plan.source} has no images: leave out --camera-motion {plan.camera_motion}")
    if plan.keep_hours and not source.live:
        raise ValueError(f"--keep-hours is for cameras and streams, {plan.source} has an end")
    if plan.offline and source.live:
        raise ValueError(f"{plan.source} is live and has no end: leave out --offline")
    if plan.offline and not (Path(plan.source).is_file() or Path(plan.source).is_dir()):
        raise ValueError(f"{plan.source} can't be read twice: leave out --offline")


def check_outputs(plan: RunPlan) -> None:
    """Check that every output can be written, and replaces no input, no other output and no existing file.

    Raises:
        OSError: a folder is missing, a file cannot be written, or it exists and ``overwrite`` is not set.
        ValueError: a file would be replaced, or a name has the wrong suffix.
    """
    inputs = [real_path(path) for name in ("source", *INPUTS) if (path := getattr(plan, name))]
    seen: dict[Path, str] = {}
    for name in FILES:
        text = getattr(plan, name)
        if text is None:
            continue
        path = real_path(text)
        if path in inputs:
            raise ValueError(f"{_flag(name)} {text} would replace an input")
        if path in seen:
            raise ValueError(f"{_flag(name)} and {seen[path]} name the same file {text}")
        if path.is_file() or not path.exists():
            seen[path] = _flag(name)
        if not plan.overwrite:
            check_absent(text, _flag(name))
        if name == "save_video":
            _check_video_name(text)
        if path.parent.exists():
            check_writable(text)
        else:
            _check_folder(path.parent)  # created once everything is open
    if plan.save_crops is not None:
        _check_folder(Path(plan.save_crops))
        if Path(plan.save_crops).is_dir() and any(Path(plan.save_crops).iterdir()):
            raise ValueError(f"--save-crops: expected a new or empty folder, {plan.save_crops} has content")
    if plan.save_dir is not None:
        _check_folder(Path(plan.save_dir))


def option_warnings(plan: RunPlan, source: FrameSource) -> list[str]:
    """Return warnings about options that have no effect on this source."""
    from deepsort_paddle.output.draw_counts import shown_name  # imports OpenCV
    from deepsort_paddle.output.lettering import FONT_PACKAGES

    warnings = []
    if plan.fps not in (None, source.fps) and not Path(plan.source).is_dir():
        rate = "" if source.fps is None else f" {source.fps:g}"
        warnings.append(f"--fps applies only to image folders: {source.name} keeps its own rate{rate}")
    if plan.save_video and not source.live and Path(plan.source).is_file():
        from deepsort_paddle.media.sound import COPIED_CODECS, sound_codec  # imports PyAV

        codec = sound_codec(plan.source)
        if codec is not None and codec not in COPIED_CODECS:
            copied = ", ".join(sorted(COPIED_CODECS))
            warnings.append(f"the sound of {source.name} is left out: it is {codec}, an mp4 takes {copied}")
    size = (source.width, source.height)
    shapes: list[tuple[str, str, tuple[tuple[float, float], ...]]] = []
    shapes += [("line", line.name, (line.start, line.end)) for line in plan.lines]
    shapes += [("zone", zone.name, zone.polygon) for zone in plan.zones]
    for kind, name, points in shapes if all(size) else ():
        corners = np.array(points, float)
        if (corners < 0).all(axis=0).any() or (corners > np.array(size, float)).all(axis=0).any():
            warnings.append(f"{kind} {name!r} lies outside the frame of {size[0]} x {size[1]} pixels")
    numbered = [("line", line.name, number) for number, line in enumerate(plan.lines, 1)]
    numbered += [("zone", zone.name, number) for number, zone in enumerate(plan.zones, 1)]
    if plan.save_video or plan.show:
        hidden = [
            f"{kind} {name!r} shows as {shown}"
            for kind, name, number in numbered
            if (shown := shown_name(kind, name, number)) != name
        ]
        if hidden:
            warnings.append(
                f"{', '.join(hidden)} on the video: no font here has all its characters; install one, as "
                f"{FONT_PACKAGES}"
            )
    return warnings


def box_warnings(
    boxes: NDArray[np.float64], least: float, width: int | None, height: int | None
) -> list[str]:
    """Return warnings about the boxes of a detection file.

    Args:
        boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels, of detections that reach the threshold.
        least: the threshold.
        width: width of the frames in pixels; None if unknown.
        height: height of the frames in pixels; None if unknown.
    """
    if not len(boxes):
        return [f"no detection reaches the threshold of {least:g} (--min-confidence)"]
    expected = "expected left, top, width, height in pixels"
    if boxes.max() <= 1:
        return [f"all detections lie in the first pixel of the frame: {expected}, not fractions"]
    if not (width and height):
        return []
    outside = int((boxes[:, 2:] > _BEYOND * np.array([width, height])).any(axis=1).sum())
    if outside <= _MANY_BEYOND * len(boxes):
        return []
    return [
        f"{outside} of {len(boxes)} detections reach far beyond the frame of {width} x {height}: {expected} "
        "of a frame of this size, not two corners"
    ]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_video_name(path: str) -> None:
    """Raise if a video cannot have this name."""
    from deepsort_paddle.media.video_writer import VideoWriter  # imports OpenCV and PyAV

    VideoWriter(path, fps=25.0)


def _check_folder(folder: Path) -> None:
    """Raise unless ``folder`` is a folder or can be created."""
    known = real_path(folder)
    while not known.exists():
        known = known.parent
    if not known.is_dir():
        raise NotADirectoryError(f"{known} is not a folder")
    if not os.access(known, os.W_OK):
        raise PermissionError(f"cannot write into {known}")


def _check_display() -> None:
    """Raise if opening a window would crash OpenCV."""
    import cv2

    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise ValueError("--show needs a display; DISPLAY and WAYLAND_DISPLAY are not set")
    if not cv2.currentUIFramework():
        raise ValueError(
            "--show needs an OpenCV with windows; install opencv-python, not opencv-python-headless"
        )


def counts_images(plan: RunPlan) -> bool:
    """Whether frames are images of a folder, which annotation tools count by their order."""
    return Path(plan.source).is_dir()


def unknown_to_cvat(plan: RunPlan) -> str | None:
    """Return the option by which the frames of a run differ from those that CVAT shows; None without one."""
    if plan.mirror:
        return "--mirror"
    if plan.stride is not None:
        return "--stride"
    if counts_images(plan) and not (plan.start is None and plan.end is None):
        return "--start and --end of images"
    return None
