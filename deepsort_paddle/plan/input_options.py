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


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class InputOptions:
    """What is tracked, and the networks that see it."""

    source: str
    # Of the result files; None: the source's own name.
    name: str | None = None

    reid: str | None = option(
        None,
        "folder of the appearance model, such as weights/resnet50vd; none: track by motion only "
        "[osnet_ain_x0_5, part of the installation]",
        group=_GROUP,
        metavar="DIR",
        role="input",
    )
    detections: str | None = option(
        None,
        "detections as MOTChallenge text, or with embeddings as an .npz file of --save-detections; for many "
        "videos, a folder of such files",
        group=_GROUP,
        metavar="FILE",
        role="input",
    )
    detector: str | None = option(
        None,
        "yolox-nano, yolox-tiny or yolox-s (downloaded once), hog, an .onnx file or a folder exported by "
        "PaddleDetection [yolox-nano; hog if it cannot be downloaded]",
        group=_GROUP,
        metavar="NAME",
        role="input",
    )
    download: bool = option(
        True,
        "never download a detector; use the cached file",
        group=_GROUP,
        flag="--no-download",
        kind=switch,
        decides=False,
    )
    classes: str | None = option(
        None,
        "classes to track, by name or number: person,car or 0,2 [people]",
        group=_GROUP,
        metavar="LIST",
        kind=class_list,
    )
    min_confidence: float | tuple[tuple[str, float], ...] | None = option(
        None,
        "ignore detections below this confidence, 0 to 1; per class: person=0.4,car=0.6, where a score "
        "without a name applies to all other classes [0.1; with --preset deepsort the detector's own "
        "threshold, or 0.3 with --detections]",
        group=_GROUP,
        metavar="SCORE",
        kind=confidences,
    )
    min_height: float = option(
        0.0,
        "ignore detections lower than this [{default:g}]",
        group=_GROUP,
        metavar="PIXELS",
        kind=number(0),
    )
    nms: float | None = option(
        None,
        "non-maximum suppression of --detections: of two boxes whose IoU is higher, keep the more confident "
        "one [off]",
        group=_GROUP,
        metavar="IOU",
        kind=number(0, 1),
    )
    stride: tuple[int, ...] | None = option(
        None,
        "track only every N-th frame, starting at frame FIRST; frames keep their numbers [1]",
        group=_GROUP,
        metavar="N[:FIRST]",
        kind=every,
    )
    start: float | None = option(
        None,
        "start at this time of the file: seconds or hh:mm:ss",
        group=_GROUP,
        metavar="TIME",
        kind=seconds,
    )
    end: float | None = option(
        None, "stop at this time of the file", group=_GROUP, metavar="TIME", kind=seconds
    )
    mirror: bool = option(
        False, "exchange left and right, for cameras that show a mirror image", group=_GROUP, kind=switch
    )
    every_frame: bool = option(
        False,
        "track every frame of a camera or stream, even if that causes a delay; by default frames are skipped "
        "to stay live",
        group=_GROUP,
        kind=switch,
    )
    device: str = option(
        "auto", "auto, cpu, gpu or gpu:N [{default}]", group=_GROUP, metavar="NAME", kind=device
    )
    detector_precision: str = option(
        "auto",
        "precision of a detector network; bfloat16 needs a CPU with bfloat16, for an ONNX file also OpenVINO "
        "[auto: bfloat16 for an ONNX file whose boxes it leaves the same, compared once; float32 with "
        "--preset deepsort]",
        group=_GROUP,
        choices=("auto", "float32", "bfloat16"),
        kind=choice("auto", "float32", "bfloat16"),
    )
    threads: int | None = option(
        None,
        "CPU threads for the networks [all cores]",
        group=_GROUP,
        metavar="N",
        kind=count(1),
        decides=False,
    )
    frames_per_batch: int = option(
        1,
        "encode the crops of N frames at once; same results [{default}]",
        group=_GROUP,
        metavar="N",
        kind=count(1),
        decides=False,
    )
    backend: str = option(
        "auto",
        "library that runs the appearance model [the fastest one installed; all except Paddle need the model "
        "as ONNX, see reid-train onnx]",
        group=_GROUP,
        choices=_BACKENDS,
        kind=choice(*_BACKENDS),
    )
    precision: str = option(
        "auto",
        "precision of the appearance model; int8 is the fastest for large models on a CPU and changes "
        "embeddings slightly [bfloat16 if only rounding differs, else float32]",
        group=_GROUP,
        choices=_PRECISIONS,
        kind=choice(*_PRECISIONS),
    )
    encode: str = option(
        "all",
        "needed: skip detections that motion alone identifies, except every fifth one; faster, with slightly "
        "different results; encodes frame by frame [{default}]",
        group=_GROUP,
        choices=("all", "needed"),
        kind=choice("all", "needed"),
    )
    read_ahead: int | None = option(
        None,
        "prefetch up to N batches after reading, detecting and encoding, each in its own thread; same "
        "results; 0: no threads [2; 0 for cameras and streams]",
        group=_GROUP,
        metavar="N",
        kind=count(0),
        decides=False,
    )
