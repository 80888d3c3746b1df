"""Which detection belongs to which track: the stages of one frame.

A stage takes the tracks and detections that are still free and returns an ``Assignment``. DeepSORT has two:
appearance inside the motion gate, then overlap. The options beyond it change the cost of a
stage or add one; with the defaults of ``TrackerOptions``, `match` does what the published code does.

Sources are named with each option in `options`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import expanded, iou, xyxy_from_xyah
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.assignment import Assignment, assign, cascade
from deepsort_paddle.tracking.gallery import Gallery
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.track_state import TrackTable

__all__ = ["STAGES", "Frame", "Match", "Scene", "match"]

# How far a pair of strangers can push the blended cost, as a multiple of the appearance threshold.
_FARTHEST = 2.0


@dataclass(frozen=True, slots=True)
class Frame:
    """The usable detections of one frame, as the stages want them."""

    detections: Detections
    boxes_xyah: NDArray[np.float64]
    index: NDArray[np.int64]  # (N,) rows in what the caller gave


@dataclass(frozen=True, slots=True)
class Scene:
    """What a stage looks at: predicted tracks with their galleries, and the detections of the frame."""

    options: TrackerOptions
    rows: TrackTable
    gallery: Gallery | None
    frame: Frame

    @property
    def appearance(self) -> tuple[Gallery, NDArray[np.float32]] | None:
        """Gallery and embeddings, where there are both."""
        embeddings = self.frame.detections.embeddings
        return None if self.gallery is None or embeddings is None else (self.gallery, embeddings)


@dataclass(frozen=True, slots=True)
class Match:
    """The outcome of a frame.

    Attributes:
        detection: ``(T,)`` int64 the detection of each track, -1 for none.
        free: ``(R,)`` int64 detections that start tracks, in order.
        restarted: ``(K,)`` int64 tracks found again where their motion did not lead.
        stages: what each stage paired, by its name in `STAGES`, in the order they ran.
    """

    detection: NDArray[np.int64]
    free: NDArray[np.int64]
    restarted: NDArray[np.int64]
    stages: tuple[tuple[str, Assignment], ...]


def match(scene: Scene) -> Match:
    """Pair tracks with detections, stage by stage."""
    options, rows, confidence = scene.options, scene.rows, scene.frame.detections.confidence
    matched = np.full(len(rows), -1)
    stages: list[tuple[str, Assignment]] = []

    def take(name: str, stage: Assignment) -> NDArray[np.int64]:
        stages.append((name, stage))
        matched[stage.rows] = stage.columns
        return stage.unmatched_columns

    def missed(max_age: int) -> NDArray[np.int64]:
        return ((matched < 0) & rows.confirmed & (rows.frames_since_update <= max_age)).nonzero()[0]

    free = np.arange(len(confidence))
    low = free[:0]
    if options.high_confidence > 0:
        high = confidence >= np.float32(options.high_confidence)
        free, low = np.flatnonzero(high), np.flatnonzero(~high)
    if options.appearance_weight == 0:
        free = take("appearance", appearance_stage(scene, free))
    tentative = (~rows.confirmed).nonzero()[0]
    if options.confirmed_first:
        free = take("overlap", overlap_stage(scene, missed(options.iou_max_age), free))
        take("low", low_stage(scene, missed(options.low_max_age), low))
        free = take("overlap", overlap_stage(scene, tentative, free))
    else:
        both = np.concatenate([tentative, missed(options.iou_max_age)])
        free = take("overlap", overlap_stage(scene, both, free))
        take("low", low_stage(scene, missed(options.low_max_age), low))
    if options.new_track_confidence > 0:
        free = free[confidence[free] >= np.float32(options.new_track_confidence)]
    restarted = free[:0]
    if options.reactivate_part > 0:
        stage = reactivation_stage(scene, missed(options.max_age), free)
        free, restarted = take("reactivation", stage), stage.rows
    return Match(matched, free, restarted, tuple(stages))


def appearance_stage(scene: Scene, free: NDArray[np.int64]) -> Assignment:
    """The cascade over confirmed tracks, by cosine distance inside the motion gate."""
    options, rows = scene.options, scene.rows
    if scene.appearance is None:
        return Assignment(free[:0], free[:0], free)
    recent = (rows.confirmed & (rows.frames_since_update <= options.max_age)).nonzero()[0]
    ages = rows.frames_since_update[recent]
    cost_of = partial(appearance_cost, scene, any_near=True)
    return cascade(cost_of, recent, ages, free, options.max_cosine_distance)


def appearance_cost(
    scene: Scene, tracks: NDArray[np.int64], columns: NDArray[np.int64], *, any_near: bool = False
) -> NDArray[np.float64]:
    """Cosine distance of tracks and detections inside the motion gate, else infinity: ``(T, N)``.

    With ``any_near`` a pair without rivals may come with a larger cost under the threshold: its partners
    are matched all the same, and most of the galleries need not be read.
    """
    options, cost = scene.options, np.full((len(tracks), len(columns)), np.inf)
    if scene.appearance is None:
        return cost
    gallery, embeddings = scene.appearance
    weight, limit = options.motion_weight, options.max_cosine_distance
    quantile = kalman.GATE_POSITION if options.gate_position_only else kalman.GATE
    row, column, motion = inside_gate(scene, tracks, columns)
    enough = limit if any_near and not weight else -1.0
    distance = gallery.distance(scene.rows.slots[tracks], embeddings[columns], row, column, enough=enough)
    if weight:
        distance = np.where(
            distance <= limit, (1 - weight) * distance + weight * limit * motion / quantile, np.inf
        )
    cost[row, column] = distance
    return cost


def overlap_stage(scene: Scene, tracks: NDArray[np.int64], free: NDArray[np.int64]) -> Assignment:
    """Overlap of the predicted boxes with detections, and what the options add to it."""
    if len(tracks) == 0 or len(free) == 0:
        return Assignment(tracks[:0], free[:0], free)
    cost = extended_overlap_cost(scene, tracks, free)
    return among(assign(cost, scene.options.max_iou_distance), tracks, free)


def extended_overlap_cost(
    scene: Scene, tracks: NDArray[np.int64], free: NDArray[np.int64]
) -> NDArray[np.float64]:
    """`overlap_cost` with confidence, direction, appearance and class, as the options say: ``(T, N)``."""
    options = scene.options
    limit = options.max_iou_distance
    cost = overlap_cost(scene, tracks, free)
    if options.confidence_weight:
        confidence = scene.frame.detections.confidence[free]
        cost = 1.0 - (1.0 - cost) * (1 - options.confidence_weight * (1 - confidence))
    if options.direction_weight:
        turned = cost + options.direction_weight * turn(scene, tracks, free)
        cost = np.where(cost <= limit, np.minimum(turned, limit), np.inf)
    if options.appearance_weight:
        cost = with_appearance(scene, tracks, free, cost)
    return of_one_class(scene, tracks, free, cost)


def low_stage(scene: Scene, tracks: NDArray[np.int64], low: NDArray[np.int64]) -> Assignment:
    """Overlap alone, for detections of low confidence: people half hidden, but also false ones."""
    if len(tracks) == 0 or len(low) == 0:
        return Assignment(tracks[:0], low[:0], low)
    return among(assign(low_cost(scene, tracks, low), scene.options.max_low_iou_distance), tracks, low)


def low_cost(scene: Scene, tracks: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 - IoU of tracks and detections of the same class: ``(T, N)``."""
    return of_one_class(scene, tracks, low, overlap_cost(scene, tracks, low))


def reactivation_stage(scene: Scene, tracks: NDArray[np.int64], free: NDArray[np.int64]) -> Assignment:
    """Tracks missed before this frame, by appearance alone, wherever they are."""
    tracks = tracks[scene.rows.frames_since_update[tracks] > 1]
    if scene.appearance is None or len(tracks) == 0 or len(free) == 0:
        return Assignment(tracks[:0], free[:0], free)
    return among(assign(look_cost(scene, tracks, free), scene.options.reactivate_distance), tracks, free)


def look_cost(scene: Scene, tracks: NDArray[np.int64], free: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosine distance of tracks and detections of the same class, wherever they are: ``(T, N)``."""
    if scene.appearance is None:
        return np.full((len(tracks), len(free)), np.inf)
    gallery, embeddings = scene.appearance
    row, column = np.indices((len(tracks), len(free))).reshape(2, -1)
    distance = gallery.distance(scene.rows.slots[tracks], embeddings[free], row, column)
    return of_one_class(scene, tracks, free, distance.reshape(len(tracks), len(free)).astype(np.float64))


# The cost of each stage, a function of tracks and detections, and the option or property that bounds it.
Cost = Callable[[Scene, "NDArray[np.int64]", "NDArray[np.int64]"], "NDArray[np.float64]"]
STAGES: Mapping[str, tuple[Cost, str]] = MappingProxyType(
    {
        "appearance": (appearance_cost, "max_cosine_distance"),
        "overlap": (extended_overlap_cost, "max_iou_distance"),
        "low": (low_cost, "max_low_iou_distance"),
        "reactivation": (look_cost, "reactivate_distance"),
    }
)


def of_one_class(
    scene: Scene, tracks: NDArray[np.int64], columns: NDArray[np.int64], cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``cost``, written into where tracks and detections of different classes may not match."""
    if scene.options.class_gate:
        cost[scene.rows.class_id[tracks, None] != scene.frame.detections.class_id[columns]] = np.inf
    return cost


def among(stage: Assignment, tracks: NDArray[np.int64], free: NDArray[np.int64]) -> Assignment:
    """An assignment of places in ``tracks`` and ``free`` as one of tracks and detections."""
    return Assignment(tracks[stage.rows], free[stage.columns], free[stage.unmatched_columns])


def inside_gate(
    scene: Scene, tracks: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of a track and a detection that motion and class allow: places in both, squared distance."""
    options, rows, frame = scene.options, scene.rows, scene.frame
    row, column, motion = kalman.gate(
        rows.states[:, tracks], frame.boxes_xyah[columns], position_only=options.gate_position_only
    )
    if options.class_gate:
        same = rows.class_id[tracks[row]] == frame.detections.class_id[columns[column]]
        row, column, motion = row[same], column[same], motion[same]
    return row, column, motion


def overlap_cost(scene: Scene, tracks: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 - IoU of predicted boxes and detections, ``(T, N)``; grown and weighed by height if wanted."""
    options, rows, frame = scene.options, scene.rows, scene.frame
    boxes, others = xyxy_from_xyah(rows.states[0, tracks]), frame.detections.boxes[columns]
    if options.box_margin:
        boxes, others = expanded(boxes, options.box_margin), expanded(others, options.box_margin)
    similarity = iou(boxes, others)
    if options.height_weight:
        height, other = np.maximum(rows.states[0, tracks, 3:], 0.0), frame.boxes_xyah[columns, 3]
        similarity *= (np.minimum(height, other) / np.maximum(height, other)) ** options.height_weight
    return 1.0 - similarity


def turn(scene: Scene, tracks: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Angle between a track's velocity and the way from its last detection to each of these.

    Returns:
        ``(T, N)`` from -0.5 (straight on) to 0.5 (straight back), times the confidence of the
        detection; 0 for a track at rest.
    """
    rows, frame = scene.rows, scene.frame
    velocity = rows.states[1, tracks, None, :2]  # (T, 1, 2)
    step = frame.boxes_xyah[None, columns, :2] - rows.observed[tracks, None, :2]  # (T, N, 2)
    length = np.sqrt((velocity**2).sum(axis=-1) * (step**2).sum(axis=-1))
    cosine = np.divide(
        (velocity * step).sum(axis=-1), length, out=np.zeros(length.shape), where=length > 1e-9
    )
    angle: NDArray[np.float64] = np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi - 0.5
    angle *= frame.detections.confidence[columns]
    return angle


def with_appearance(
    scene: Scene, tracks: NDArray[np.int64], free: NDArray[np.int64], cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Motion costs blended with appearance, for pairs that overlap or lie inside the motion gate.

    The motion cost is the smaller of ``cost`` and the squared Mahalanobis distance as a part of the gate: a
    track lost for long seldom overlaps its person's box, but its gate says how far off it may be. Where
    either has no appearance motion decides alone.
    """
    if scene.appearance is None:
        return cost
    gallery, embeddings = scene.appearance
    row, column, distance = inside_gate(scene, tracks, free)
    quantile = kalman.GATE_POSITION if scene.options.gate_position_only else kalman.GATE
    motion = cost.copy()
    motion[row, column] = np.minimum(motion[row, column], distance / quantile)
    possible = cost < 1.0
    possible[row, column] = True
    row, column = np.nonzero(possible)
    looks = gallery.distance(scene.rows.slots[tracks], embeddings[free], row, column)
    weight = scene.options.appearance_weight
    part = np.minimum(looks / max(scene.options.max_cosine_distance, 1e-9), _FARTHEST)
    moved = motion[row, column]
    blended = np.full(cost.shape, np.inf)
    blended[row, column] = np.where(np.isfinite(looks), (1 - weight) * moved + weight * part, moved)
    return blended
