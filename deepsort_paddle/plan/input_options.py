"""The options of a run about its input: source, models, which frames, and how the networks run."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.plan.argument_types import (
    choice,
    class_list,
    confidences,
    count,
    device,
    every,
    number,
    seconds,
    switch,
)
from deepsort_paddle.plan.option import option

__all__ = ["InputOptions"]

_GROUP = "models"
_BACKENDS = ("auto", "paddle", "onnxruntime", "openvino")
_PRECISIONS = ("auto", "float32", "bfloat16", "int8")


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What is tracked, and the networks that see it."""

    source: str
    # Of the result files; None: the source's own name.
    name: str | None = None

    reid: str | None = option(
        None,
        "appearance model, as weights/resnet50vd; none: motion only [osnet_ain_x0_5, which comes along]",
        group=_GROUP,
        metavar="DIR",
        role="input",
    )
    detections: str | None = option(
        None,
        "detections in MOTChallenge text, or an .npz file of --save-detections with their embeddings; for "
        "many videos a folder",
        group=_GROUP,
        metavar="FILE",
        role="input",
    )
    detector: str | None = option(
        None,
        "yolox-nano, yolox-tiny or yolox-s (downloaded once), hog, an .onnx file or a folder exported by "
        "PaddleDetection [yolox-nano; hog where it cannot be downloaded]",
        group=_GROUP,
        metavar="NAME",
        role="input",
    )
    download: bool = option(
        True,
        "never download a detector: take it from the cache",
        group=_GROUP,
        flag="--no-download",
        kind=switch,
        decides=False,
    )
    classes: str | None = option(
        None,
        "class names or numbers to track, as person,car or 0,2 [people]",
        group=_GROUP,
        metavar="LIST",
        kind=class_list,
    )
    min_confidence: float | tuple[tuple[str, float], ...] | None = option(
        None,
        "ignore detections below, 0 to 1; for each class as person=0.4,car=0.6, where a score without "
        "name is for the others [0.1; with --preset deepsort the detector's own, 0.3 for --detections]",
        group=_GROUP,
        metavar="SCORE",
        kind=confidences,
    )
    min_height: float = option(
        0.0,
        "ignore detections less high [{default:g}]",
        group=_GROUP,
        metavar="PIXELS",
        kind=number(0),
    )
    nms: float | None = option(
        None,
        "of two detections of --detections that overlap more, keep the more confident [all]",
        group=_GROUP,
        metavar="IOU",
        kind=number(0, 1),
    )
    stride: tuple[int, ...] | None = option(
        None,
        "track every N-th frame only, from frame FIRST on; frames keep their numbers [1]",
        group=_GROUP,
        metavar="N[:FIRST]",
        kind=every,
    )
    start: float | None = option(
        None, "of a file: begin here, seconds or hh:mm:ss", group=_GROUP, metavar="TIME", kind=seconds
    )
    end: float | None = option(
        None, "of a file: end here, likewise", group=_GROUP, metavar="TIME", kind=seconds
    )
    every_frame: bool = option(
        False,
        "of a camera or stream: track all frames, however late; without, the newest one each time",
        group=_GROUP,
        kind=switch,
    )
    device: str = option(
        "auto", "auto, cpu, gpu or gpu:N [{default}]", group=_GROUP, metavar="NAME", kind=device
    )
    threads: int | None = option(
        None,
        "CPU threads of the networks [all cores]",
        group=_GROUP,
        metavar="N",
        kind=count(1),
        decides=False,
    )
    frames_per_batch: int = option(
        1,
        "encode the crops of N frames in one go; same results [{default}]",
        group=_GROUP,
        metavar="N",
        kind=count(1),
        decides=False,
    )
    backend: str = option(
        "auto",
        "library that runs the model of --reid [the fastest of those installed; all but Paddle want a "
        "copy of the model in ONNX, which reid-train onnx makes]",
        group=_GROUP,
        choices=_BACKENDS,
        kind=choice(*_BACKENDS),
    )
    precision: str = option(
        "auto",
        "numbers that the model of --reid computes with; int8, on a CPU, is fastest for large models "
        "and changes embeddings a little [bfloat16 where that changes nothing but rounding, else float32]",
        group=_GROUP,
        choices=_PRECISIONS,
        kind=choice(*_PRECISIONS),
    )
    encode: str = option(
        "all",
        "needed: leave out people whom motion alone can tell, but for every fifth time; faster, "
        "somewhat other results, frame by frame [{default}]",
        group=_GROUP,
        choices=("all", "needed"),
        kind=choice("all", "needed"),
    )
    read_ahead: int | None = option(
        None,
        "batches that reading, detecting and encoding may be ahead, in threads; same results; "
        "0: one after the other [2; 0 for cameras and streams]",
        group=_GROUP,
        metavar="N",
        kind=count(0),
        decides=False,
    )
