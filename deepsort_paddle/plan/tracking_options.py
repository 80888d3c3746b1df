"""The options of a run about the tracker."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.plan.argument_types import assignment, choice, count, number, switch
from deepsort_paddle.plan.option import option
from deepsort_paddle.tracking.presets import PRESETS

__all__ = ["TrackingOptions"]

_TRACKER = "tracker"
_CAMERA = ("none", "boxes", "pictures", "both")


@dataclass(frozen=True, kw_only=True)
class TrackingOptions:
    """How people are tracked."""

    preset: str | None = option(
        None,
        "strong: best with appearance; motion: best without; deepsort: as published "
        "[strong; motion where there is no appearance]",
        group=_TRACKER,
        choices=tuple(PRESETS),
        kind=choice(*PRESETS),
    )
    tracker_options: tuple[tuple[str, float | int | bool], ...] = option(
        (),
        "any tracker option of docs/presets.md, as direction_weight=0.2; can be repeated",
        group=_TRACKER,
        metavar="NAME=VALUE",
        flag="--set",
        kind=assignment,
        repeat=True,
    )
    max_cosine_distance: float | None = option(
        None,
        "largest appearance distance, 1 - cosine [the model's own calibrated value, else 0.2]",
        group=_TRACKER,
        metavar="X",
        kind=number(0, 2),
    )
    max_iou_distance: float | None = option(
        None,
        "largest 1 - IoU of a match by overlap [the preset's]",
        group=_TRACKER,
        metavar="X",
        kind=number(0, 1),
    )
    max_age: int | None = option(
        None,
        "a lost track is kept for this long [the preset's]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(1),
    )
    n_init: int | None = option(
        None,
        "detections in a row that confirm a track [the preset's]",
        group=_TRACKER,
        metavar="N",
        kind=count(1),
    )
    gallery_size: int | None = option(
        None, "embeddings kept for each track [the preset's]", group=_TRACKER, metavar="N", kind=count(1)
    )
    coast: int | None = option(
        None,
        "also report tracks missed in so many frames, at their predicted place [the preset's]",
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
    offline: bool = option(
        False,
        "track the whole video before anything is written: link broken tracks, fill gaps, smooth boxes",
        group=_TRACKER,
        kind=switch,
    )
    camera_motion: str | None = option(
        None,
        "move tracks with the camera: by what most people do in common, by the background of the pictures "
        "(5 ms a frame), or by both [both; with --preset deepsort none]",
        group=_TRACKER,
        choices=_CAMERA,
        kind=choice(*_CAMERA),
    )
    iou_max_age: int | None = option(
        None,
        "tracks missed in up to so many frames match by overlap [the preset's]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(1),
    )
    class_gate: bool = option(
        True,
        "let a track take detections of another class",
        group=_TRACKER,
        flag="--no-class-gate",
        kind=switch,
    )
