"""Flags of other programs: those of PaddleDetection are understood, those of other trackers get a hint.

PaddleDetection tracks with ``deploy/pptracking``, ``tools/infer_mot.py`` and PP-Human. Each of their flags
means the same here, changes nothing here, or is refused with what to use instead.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterable, Mapping
from typing import Any

from deepsort_paddle.plan.argument_types import OptionError, number

__all__ = ["ALIASES", "SOURCE_FLAGS", "add_other_flags", "hint", "translate"]

# Flags that name the source.
SOURCE_FLAGS = ("video_path", "camera_id", "img_dir", "video_file", "image_dir", "image_file")
# Flags with the option that replaces them.
ALIASES = {
    # the Paddle predecessor
    "--display": "--show",
    "--det-model-dir": "--detector",
    "--emb-model-dir": "--reid",
    "--threshold": "--min-confidence",
    "--nn-budget": "--gallery-size",
    "--cpu-threads": "--threads",
    # PaddleDetection
    "--model-dir": "--detector",
    "--reid-model-dir": "--reid",
    "--output-dir": "--save-dir",
    "--det-results-dir": "--detections",
    "--draw-threshold": "--min-confidence",
    "--show-image": "--show",
}
# Switches for the outputs that are written anyway.
_OUTPUTS = ("save_images", "save_videos", "save_mot_txts")
# Settings of Paddle, and of drawing, that do not change results.
_UNUSED = ("enable_mkldnn", "batch_size", "reid_batch_size", "warmup_frame", "scaled", "use_dark")
_UNUSED_SWITCHES = ("draw_center_traj",)
_COUNTING = ("do_entrance_counting", "do_break_in_counting")
_WORDS = ("run_mode", "region_type", "secs_interval")
_NUMBERS = ("skip_frame_num", "frame_rate")  # -1: none
# The line at which pptracking counts who enters, in fractions of the frame.
_ENTRANCES = {"horizontal": "0,0.5,1,0.5", "vertical": "0.5,0,0.5,1"}

_SOURCE = "the source needs no flag: deepsort-track SOURCE"
_TENSORRT = "TensorRT is not used: leave it out"
_MANY = "name several videos: deepsort-track cam1.mp4 cam2.mp4 --identities"
_SIZE = "the input size of a detector is part of its file: leave it out"
_HINTS = {
    # PaddleDetection
    "--tracker-config": "use --preset and --set NAME=VALUE",
    "--save-mot-txt-per-img": "--output FILE has the tracks of all frames",
    "--run-benchmark": "the summary of each run has the speed of each stage",
    "--trt-min-shape": _TENSORRT,
    "--trt-max-shape": _TENSORRT,
    "--trt-opt-shape": _TENSORRT,
    "--trt-calib-mode": _TENSORRT,
    "--mtmct-dir": _MANY,
    "--mtmct-cfg": _MANY,
    "--video-dir": "name the videos: deepsort-track VIDEOS/*.mp4",
    "--illegal-parking-time": "use --zone and --loiter SECONDS",
    "--pushurl": "streams cannot be written, use --save-video",
    # other trackers
    **dict.fromkeys(
        ("--source", "--input", "--video", "--path", "--file", "--url", "--image", "-i"), _SOURCE
    ),
    **dict.fromkeys(("--rtsp", "--stream", "--camera", "--webcam", "--cam", "--images"), _SOURCE),
    **dict.fromkeys(
        ("--input-video", "--input-path", "--source-path", "--video-source", "--sequence"), _SOURCE
    ),
    **dict.fromkeys(("--model", "--weights", "--det-model", "--yolo-model"), "use --detector NAME"),
    **dict.fromkeys(("--reid-model", "--reid-weights", "--encoder"), "use --reid DIR"),
    **dict.fromkeys(("--conf", "--conf-thres", "--confidence", "--score"), "use --min-confidence SCORE"),
    **dict.fromkeys(("--iou", "--iou-thres"), "use --nms IOU for boxes, --max-iou-distance for tracks"),
    **dict.fromkeys(("--tracker", "--tracking-method", "--tracker-type"), "use --preset NAME"),
    **dict.fromkeys(("--vid-stride", "--skip-frames", "--frame-skip", "--skip"), "use --stride N"),
    **dict.fromkeys(("--view", "--view-img", "--show-vid"), "use --show"),
    **dict.fromkeys(("--out", "--outdir", "--project", "-o"), "use --save-dir DIR or --output FILE"),
    **dict.fromkeys(("--out-dir", "--output-folder", "--output-path"), "use --save-dir DIR or --output FILE"),
    **dict.fromkeys(("--save", "--save-vid", "--output-video"), "use --save-video FILE.mp4"),
    **dict.fromkeys(("--save-txt", "--save-mot"), "use --output FILE"),
    **dict.fromkeys(("--half", "--fp16"), "use --precision or --detector-precision"),
    **dict.fromkeys(("--gpu", "--cuda", "--gpus"), "use --device gpu"),
    **dict.fromkeys(("--imgsz", "--img-size", "--img"), _SIZE),
    **dict.fromkeys(("--force", "--exist-ok"), "use --overwrite"),
    **dict.fromkeys(("--max-frames", "--frames"), "use --start TIME and --end TIME"),
}


def add_other_flags(parser: ArgumentParser) -> None:
    """Add the flags of PaddleDetection that need a translation, hidden from ``--help``."""
    for name in (*SOURCE_FLAGS, *_UNUSED, *_WORDS):
        parser.add_argument(_flag(name), dest=name, help=SUPPRESS, default=SUPPRESS)
    for name in (*_OUTPUTS, *_UNUSED_SWITCHES, *_COUNTING):
        parser.add_argument(_flag(name), dest=name, action="store_true", help=SUPPRESS, default=SUPPRESS)
    for name in _NUMBERS:
        parser.add_argument(_flag(name), dest=name, type=number(-1), help=SUPPRESS, default=SUPPRESS)
    parser.add_argument(
        "--region-polygon", dest="region_polygon", nargs="+", type=number(0), help=SUPPRESS, default=SUPPRESS
    )


def translate(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Translate parsed flags of PaddleDetection.

    Args:
        given: parsed values by name, of these flags and of the plan's options.

    Returns:
        Values of the plan's options, and the sources by the flags that name them.

    Raises:
        ValueError: a value has no counterpart here.
    """
    given = dict(given)
    sources = {_flag(name): given.pop(name) for name in SOURCE_FLAGS if name in given}
    if sources.get("--camera-id") == "-1":  # pptracking's default: no camera
        del sources["--camera-id"]
    for name in (*_UNUSED, *_UNUSED_SWITCHES):
        given.pop(name, None)
    if [name for name in _OUTPUTS if given.pop(name, False)]:
        given.setdefault("save_dir", "output")
    if (mode := given.pop("run_mode", "paddle")) not in ("paddle", "fluid"):
        raise OptionError(f"--run-mode {mode}: {_TENSORRT}")
    if given.pop("skip_frame_num", -1) > 1:
        raise OptionError("--skip-frame-num: use --stride N, which tracks every N-th frame")
    if (rate := given.pop("frame_rate", -1)) > 0:
        given.setdefault("fps", rate)
    _translate_counting(given)
    return given, sources


def _translate_counting(given: dict[str, Any]) -> None:
    """Turn pptracking's regions into a line or a zone."""
    enters, breaks_in = (given.pop(name, False) for name in _COUNTING)
    kind, corners = given.pop("region_type", "horizontal"), given.pop("region_polygon", None)
    seconds = given.pop("secs_interval", None)
    if corners and (enters or breaks_in):
        given["zones"] = [*given.get("zones", ()), "region:" + ",".join(f"{value:g}" for value in corners)]
    elif breaks_in:
        raise OptionError("--do-break-in-counting needs --region-polygon x0 y0 x1 y1 x2 y2 ...")
    elif enters and kind not in _ENTRANCES:
        raise OptionError(f"--region-type: expected horizontal or vertical, got {kind!r}")
    elif enters:
        given["lines"] = [*given.get("lines", ()), f"entrance:{_ENTRANCES[kind]}"]
    if seconds is not None and (enters or breaks_in):
        given.setdefault("count_every", seconds)


def hint(words: Iterable[str]) -> str:
    """Return what to use instead of the first word that is a flag of another program; empty if none is."""
    flags = (word.partition("=")[0] for word in words)
    return next((_HINTS[flag] for flag in flags if flag in _HINTS), "")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
