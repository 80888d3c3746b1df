"""The options of a run about the tracker."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.plan.argument_types import assignment, choice, count, number, switch
from deepsort_paddle.plan.option import option
from deepsort_paddle.tracking.presets import PRESETS

__all__ = ["TrackingOptions"]

_TRACKER = "tracker"
_CAMERA = ("none", "boxes", "images", "both")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class TrackingOptions:
    """How people are tracked."""

    preset: str | None = option(
        None,
        "strong: best with appearance; motion: best without; deepsort: as published "
        "[strong; motion without an appearance model]",
        group=_TRACKER,
        choices=tuple(PRESETS),
        kind=choice(*PRESETS),
    )
    tracker_options: tuple[tuple[str, float | int | bool], ...] = option(
        (),
        "any tracker option of docs/presets.md, such as direction_weight=0.2; repeatable",
        group=_TRACKER,
        metavar="NAME=VALUE",
        flag="--set",
        kind=assignment,
        repeat=True,
    )
    max_cosine_distance: float | None = option(
        None,
        "largest appearance distance of a match, 1 - cosine [calibrated value of the model, else 0.2]",
        group=_TRACKER,
        metavar="X",
        kind=number(0, 2),
    )
    max_iou_distance: float | None = option(
        None,
        "largest distance of a match by overlap, 1 - IoU [from the preset]",
        group=_TRACKER,
        metavar="X",
        kind=number(0, 1),
    )
    max_age: int | None = option(
        None,
        "keep a lost track for this long [from the preset]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(1),
    )
    n_init: int | None = option(
        None,
        "consecutive detections that confirm a track [from the preset]",
        group=_TRACKER,
        metavar="N",
        kind=count(1),
    )
    gallery_size: int | None = option(
        None, "embeddings kept per track [from the preset]", group=_TRACKER, metavar="N", kind=count(1)
    )
    coast: int | None = option(
        None,
        "also report tracks missed in up to this many frames, at their predicted position [from the preset]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(0),
    )
    identities: bool = option(
        False,
        "join the tracks of one person when the video is over; all outputs, written then, say who is who",
        group=_TRACKER,
        kind=switch,
    )
    same_camera: str | None = option(
        None,
        "corrected index of an earlier video of this camera: its answers also decide how readily "
        "--identities joins tracks here",
        group=_TRACKER,
        metavar="FILE.sqlite",
        role="input",
    )
    offline: bool = option(
        False,
        "write results only at the end of the video: link broken tracks, fill gaps, smooth boxes",
        group=_TRACKER,
        kind=switch,
    )
    camera_motion: str | None = option(
        None,
        "compensate camera motion, estimated from the boxes, from the images (about 1 ms per frame) or both "
        "[both; with --preset deepsort none]",
        group=_TRACKER,
        choices=_CAMERA,
        kind=choice(*_CAMERA, pictures="images"),
    )
    iou_max_age: int | None = option(
        None,
        "match tracks by overlap if missed in up to this many frames [from the preset]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(1),
    )
    class_gate: bool = option(
        True,
        "allow a track to match detections of another class",
        group=_TRACKER,
        flag="--no-class-gate",
        kind=switch,
    )
