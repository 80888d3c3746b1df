"""The options of ``deepsort-track``.

Only the parser is here, and it imports nothing heavy, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from glob import glob, has_magic
from typing import NoReturn

from deepsort_paddle.command.argument_types import confidences, count, ids, number
from deepsort_paddle.command.one_line import OneLineParser
from deepsort_paddle.tracking.presets import PRESETS, preset_settings

__all__ = ["OUTPUTS", "PLACEHOLDERS", "PROGRAM", "make_parser", "normalise", "parse"]

PROGRAM = "deepsort-track"
# Options that name a file or folder to write; --save-dir is short for two of them.
OUTPUTS = ("output", "save_video", "save_crops", "json", "csv", "report", "explain_csv")
# What each of many videos fills in where an option names a file.
PLACEHOLDERS = ("{name}", "{stem}", "{folder}", "{source}")
_MANY = ("sources", "workers", "retries", "engine")

# Flags of the predecessor that mean what an option here means.
_ALIASES = {
    "--display": "--show",
    "--det-model-dir": "--detector",
    "--emb-model-dir": "--reid",
    "--threshold": "--min-confidence",
    "--nn-budget": "--gallery-size",
    "--cpu-threads": "--threads",
}
_SWITCHES = ("--show", "--use-gpu", "--quiet", "--no-class-gate", "--offline")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The settled options of a command line.

    Raises:
        ValueError: it is wrong.
    """
    parser = make_parser()
    words = normalise(arguments)
    plain: list[str] = []
    if "--" in words:  # argparse loses its meaning where options and sources may be mixed
        plain = words[words.index("--") + 1 :]
        words = words[: words.index("--")]
    asked = parser.parse_intermixed_args(words)
    # Flags and --set go over the preset; ages named in frames replace its ages in seconds.
    set_names = {text.partition("=")[0].strip().replace("-", "_") for text in asked.set}
    flags = {"--max-age": "max_age", "--iou-max-age": "iou_max_age"}
    named = set_names | {flags.get(word.split("=")[0], "") for word in words}
    ages = dict.fromkeys(named & {"max_age", "iou_max_age", "max_seconds", "reactivate_seconds"})
    parser.set_defaults(**preset_settings(asked.preset, **ages))
    if asked.offline:
        parser.set_defaults(coast=0)  # gaps are filled afterwards
    options = parser.parse_intermixed_args(words)
    if options.encode == "needed" and options.frames_per_batch > 1:
        parser.error(
            f"--encode needed encodes frame by frame: leave out --frames-per-batch {options.frames_per_batch}"
        )
    options.class_confidence = {}
    if isinstance(options.min_confidence, dict):
        options.class_confidence = options.min_confidence
        others = PRESETS[options.preset].get("min_confidence")
        options.min_confidence = options.class_confidence.pop("", others)
    old = (options.video_path, options.camera_id, options.img_dir)
    options.source, plain = _matched(options.source), _matched(plain)
    given = [*options.source, *plain, *(source for source in old if source is not None)]
    paths = [getattr(options, name) or "" for name in ("detections", *OUTPUTS)]
    options.many = (
        len(options.source) + len(plain) > 1
        or any(getattr(options, name) is not None for name in _MANY)
        or any(placeholder in path for placeholder in PLACEHOLDERS for path in paths)
    )
    if not (given or options.sources) or (len(given) > 1 and not options.many):
        parser.error(f"one SOURCE wanted, got {len(given)} (see --help)")
    options.videos, options.name = given, None
    options.source = given[0] if given else None
    return options


def _matched(sources: Sequence[str]) -> list[str]:
    """The sources; patterns such as ``VIDEOS/*.mp4``, which Windows hands over as they are, are filled in."""
    found: list[str] = []
    for source in sources:
        pattern = has_magic(source) and "://" not in source and not os.path.lexists(source)
        matches = glob(source) if pattern else []  # noqa: PTH207 (Path.glob takes no absolute patterns)
        found += sorted(matches) or [source]
    return found


def normalise(arguments: Sequence[str]) -> list[str]:
    """Spell options one way: hyphens for underscores, the predecessor's names, bare switches.

    ``--use_gpu=True`` and ``--use_gpu True`` become ``--use-gpu``; with a false value they vanish.
    """
    result: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*result, argument, *rest]
        if not argument.startswith("--"):
            result.append(argument)
            continue
        name, equals, value = argument.partition("=")
        name = name.lower().replace("_", "-")
        name = _ALIASES.get(name, name)
        if name in _SWITCHES:
            # A 0 or 1 behind a switch may be the camera: only words are taken as its value.
            if not equals and rest and rest[0].lower() in ("true", "false"):
                value = rest.pop(0)
            if value.lower() in ("false", "0"):
                continue
            equals = "" if value.lower() in ("true", "1") else equals
        result.append(f"{name}={value}" if equals else name)
    return result


class _Parser(OneLineParser):
    """A parser for callers in Python too: it raises where the command line is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise ValueError."""
        raise ValueError(self.with_nearest(message))


def make_parser() -> argparse.ArgumentParser:
    """The options of ``deepsort-track``."""
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s SOURCE... [--reid DIR] [--detections FILE | --detector NAME] [outputs] [options]",
        description="Track people through a video by motion and appearance (DeepSORT).",
        epilog="Without any output option the results go to output/NAME.mp4 and output/NAME.txt. Flags of "
        "the Paddle predecessor (--video_path, --camera_id, --img_dir, --save_dir, --display, "
        "--det_model_dir, --emb_model_dir, --use_gpu, --threshold, --nn_budget, --cpu_threads) mean the "
        "same here.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help="video file, folder of pictures, MOTChallenge sequence folder, camera number or "
        "rtsp://, http:// stream; several files or folders: see many videos",
    )
    for old in ("--video-path", "--camera-id", "--img-dir"):
        parser.add_argument(old, help=argparse.SUPPRESS)

    group = parser.add_argument_group("models")
    group.add_argument(
        "--reid",
        metavar="DIR",
        help="appearance model, as weights/resnet50vd; none: motion only [osnet_x0_25, which comes along]",
    )
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--detections", metavar="FILE", help="detections in MOTChallenge text; for many videos a folder"
    )
    choice.add_argument(
        "--detector",
        metavar="NAME",
        help="hog, an .onnx file (YOLOX, YOLOv8, NanoDet) or a folder exported by PaddleDetection [hog]",
    )
    group.add_argument(
        "--classes", metavar="LIST", help="class names or numbers to track, as person,car or 0,2 [people]"
    )
    group.add_argument(
        "--min-confidence",
        type=confidences,
        metavar="SCORE",
        help="ignore detections below, 0 to 1; for each class as person=0.4,car=0.6, where a score without "
        "name is for the others [the detector's own, 0.3 for --detections]",
    )
    group.add_argument(
        "--min-height",
        type=number(0),
        default=0.0,
        metavar="PIXELS",
        help="ignore detections less high [%(default)g]",
    )
    group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, gpu or gpu:N [auto]")
    group.add_argument("--use-gpu", action="store_true", help=argparse.SUPPRESS)
    group.add_argument(
        "--threads", type=count(1), metavar="N", help="CPU threads of the networks [all cores]"
    )
    group.add_argument(
        "--frames-per-batch",
        type=count(1),
        default=1,
        metavar="N",
        help="encode the crops of N frames in one go; same results [%(default)s]",
    )
    group.add_argument(
        "--backend",
        choices=("auto", "paddle", "onnxruntime", "openvino"),
        default="auto",
        help="library that runs the model of --reid [the fastest of those installed; all but Paddle want a "
        "copy of the model in ONNX, which reid-train onnx makes]",
    )
    group.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "int8"),
        default="auto",
        help="numbers that the model of --reid computes with; int8, on a CPU, is fastest for large models "
        "and changes embeddings a little [bfloat16 where that changes nothing but rounding, else float32]",
    )
    group.add_argument(
        "--encode",
        choices=("all", "needed"),
        default="all",
        help="needed: leave out people whom motion alone can tell, but for every fifth time; faster, "
        "somewhat other results, frame by frame [%(default)s]",
    )
    group.add_argument(
        "--read-ahead",
        type=count(0),
        metavar="N",
        help="batches that reading, detecting and encoding may be ahead, in threads; same results; "
        "0: one after the other [2; 0 for cameras and streams]",
    )

    group = parser.add_argument_group("outputs")
    group.add_argument(
        "--output", metavar="FILE", help="MOTChallenge results, frame,id,left,top,width,height,..."
    )
    group.add_argument("--save-video", metavar="FILE.mp4", help="annotated video (H.264)")
    group.add_argument("--save-crops", metavar="DIR", help="pictures of the people, DIR/ID/FRAME.jpg")
    group.add_argument("--json", metavar="FILE", help="one JSON document with settings and tracks")
    group.add_argument("--csv", metavar="FILE", help="table with a header")
    group.add_argument(
        "--report", metavar="FILE.html", help="one page with video, timeline, pictures, counts and speed"
    )
    group.add_argument(
        "--report-inline",
        type=number(0),
        default=20.0,
        metavar="MB",
        help="put the video into the report up to this size, else beside it [%(default)g]",
    )
    group.add_argument("--save-dir", metavar="DIR", help="short for --save-video and --output in DIR")
    group.add_argument("--show", action="store_true", help="show the video while it runs; q or Esc ends")
    group.add_argument(
        "--fps", type=number(0, open_low=True), metavar="N", help="frame rate of a folder of pictures"
    )
    group.add_argument(
        "--explain",
        type=ids,
        default=[],
        metavar="IDS",
        help="say at the end why these ids, as 3 or 3,7, were born, matched, lost, found again",
    )
    group.add_argument(
        "--explain-csv", metavar="FILE", help="every decision on every id with its costs, as a table"
    )
    group.add_argument("--quiet", action="store_true", help="no progress, notes or summary")

    group = parser.add_argument_group(
        "many videos (several SOURCEs or any of these; {name} in file names is the video's)"
    )
    group.add_argument("--sources", metavar="FILE", help="text file with one SOURCE a line; - is stdin")
    group.add_argument(
        "--workers",
        type=count(1),
        metavar="N",
        help="videos at once, a process each [as many as cores over --threads, which is 1 here]",
    )
    group.add_argument(
        "--retries", type=count(0), metavar="N", help="more attempts at a video that failed [1]"
    )
    group.add_argument(
        "--engine",
        choices=("processes", "ray"),
        help="worker processes here, or a Ray cluster [processes]",
    )

    group = parser.add_argument_group("counting (where the feet are; pixels; repeatable)")
    group.add_argument(
        "--line",
        action="append",
        default=[],
        metavar="NAME:x1,y1,x2,y2",
        help="count who crosses this line, in each direction",
    )
    group.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="NAME:x1,y1,x2,y2,x3,y3,...",
        help="count who enters and leaves this polygon, and how long they stay",
    )

    group = parser.add_argument_group("tracker")
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="deepsort",
        help="deepsort: as published; motion: best without appearance; strong: best with it [%(default)s]",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any tracker option of docs/presets.md, as direction_weight=0.2; can be repeated",
    )
    group.add_argument(
        "--max-cosine-distance",
        type=number(0, 2),
        metavar="X",
        help="largest appearance distance, 1 - cosine [the model's own calibrated value, else 0.2]",
    )
    group.add_argument(
        "--max-iou-distance",
        type=number(0, 1),
        default=0.7,
        metavar="X",
        help="largest 1 - IoU in the second stage [%(default)s]",
    )
    group.add_argument(
        "--max-age",
        type=count(1),
        metavar="FRAMES",
        help="a lost track is kept for this long [70]",
    )
    group.add_argument(
        "--n-init",
        type=count(1),
        default=3,
        metavar="N",
        help="detections in a row that confirm a track [%(default)s]",
    )
    group.add_argument(
        "--gallery-size",
        type=count(1),
        default=100,
        metavar="N",
        help="embeddings kept for each track [%(default)s]",
    )
    group.add_argument(
        "--coast",
        type=count(0),
        default=0,
        metavar="FRAMES",
        help="also report tracks missed in so many frames, at their predicted place [%(default)s]",
    )
    group.add_argument(
        "--offline",
        action="store_true",
        help="track the whole video before anything is written: link broken tracks, fill gaps, smooth boxes",
    )
    group.add_argument(
        "--camera-motion",
        choices=("none", "boxes", "pictures"),
        help="move tracks with the camera: by what most people do in common, or by the background of the "
        "pictures [boxes with the presets motion and strong, else none]",
    )
    group.add_argument(
        "--iou-max-age",
        type=count(1),
        metavar="FRAMES",
        help="second stage for tracks missed in up to so many frames [1; 15 without appearance]",
    )
    group.add_argument(
        "--no-class-gate",
        dest="class_gate",
        action="store_false",
        help="let a track take detections of another class",
    )
    return parser
