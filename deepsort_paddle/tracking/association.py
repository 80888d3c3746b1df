"""Association: which detection of a frame belongs to which track.

A stage takes the tracks and detections that are still unmatched and returns an ``Assignment``. DeepSORT
has two stages: the matching cascade, by appearance inside the motion gate, then IoU. Options beyond the
paper change the cost of a stage or add one; with the defaults of ``TrackerOptions``, `match` does what the
published code does.

Stages and cost functions share their arguments:

- ``inputs``: the `AssociationInput` of the frame;
- ``tracks``: ``(T,)`` int64 indices into ``inputs.tracks``;
- ``detections`` (in a stage ``unmatched``): ``(N,)`` int64 indices into ``inputs.detections``.

A cost matrix is ``(T, N)`` float64; infinity means that the pair cannot match.

Source: Wojke, Bewley and Paulus 2017 (arXiv 1703.07402), sections 2.2 and 2.3 and listing 1; the sources
of the other costs are named with each option in `options`.
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
from deepsort_paddle.tracking.track_state import TrackState

__all__ = ["STAGES", "AssociationInput", "Match", "UsableDetections", "match"]

Indices = NDArray[np.int64]

# Largest appearance term of the blended cost, as a multiple of the appearance threshold.
_MAX_APPEARANCE_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class UsableDetections:
    """The detections of one frame that can be tracked.

    Attributes:
        detections: those with a valid box and at least ``min_confidence``, N of them.
        boxes_xyah: ``(N, 4)`` float64, their boxes as the Kalman filter measures them, in pixels.
        index: ``(N,)`` int64, their rows in the detections that the caller gave.
    """

    detections: Detections
    boxes_xyah: NDArray[np.float64]
    index: Indices


@dataclass(frozen=True, slots=True)
class AssociationInput:
    """What the stages of one frame work on.

    Attributes:
        options: of the tracker.
        tracks: the live tracks, predicted to this frame.
        gallery: their embeddings; None before the first embedding.
        detections: of this frame.
    """

    options: TrackerOptions
    tracks: TrackState
    gallery: Gallery | None
    detections: UsableDetections

    @property
    def appearance(self) -> tuple[Gallery, NDArray[np.float32]] | None:
        """The gallery and the ``(N, D)`` embeddings of the detections; None unless there are both."""
        embeddings = self.detections.detections.embeddings
        return None if self.gallery is None or embeddings is None else (self.gallery, embeddings)

    @property
    def gate(self) -> float:
        """The largest squared Mahalanobis distance inside the motion gate."""
        return kalman.GATE_POSITION if self.options.gate_position_only else kalman.GATE


@dataclass(frozen=True, slots=True)
class Match:
    """The association of one frame.

    Attributes:
        detection: ``(T,)`` int64 the detection of each track, -1 for none.
        unmatched: ``(R,)`` int64 detections that start tracks, in the order of their ids.
        restarted: ``(K,)`` int64 tracks matched by appearance only, away from their prediction.
        stages: the assignment of each stage with its name in `STAGES`, in the order they ran.
    """

    detection: Indices
    unmatched: Indices
    restarted: Indices
    stages: tuple[tuple[str, Assignment], ...]


def match(inputs: AssociationInput) -> Match:
    """Match tracks with detections, stage by stage.

    Args:
        inputs: predicted tracks and usable detections of one frame.

    Returns:
        The detection of each track, and the detections left to start new tracks.
    """
    options, tracks = inputs.options, inputs.tracks
    confidence = inputs.detections.detections.confidence
    matched = np.full(len(tracks), -1)
    stages: list[tuple[str, Assignment]] = []

    def take(name: str, stage: Assignment) -> Indices:
        stages.append((name, stage))
        matched[stage.rows] = stage.columns
        return stage.unmatched_columns

    def missed(max_age: int) -> Indices:
        recent = tracks.frames_since_update <= max_age
        return ((matched < 0) & tracks.confirmed & recent).nonzero()[0]

    unmatched = np.arange(len(confidence))
    low = unmatched[:0]
    if options.high_confidence > 0:
        high = confidence >= np.float32(options.high_confidence)
        unmatched, low = np.flatnonzero(high), np.flatnonzero(~high)
    if options.appearance_weight == 0:
        unmatched = take("appearance", appearance_stage(inputs, unmatched))
    tentative = (~tracks.confirmed).nonzero()[0]
    if options.confirmed_first:
        unmatched = take("overlap", iou_stage(inputs, missed(options.iou_max_age), unmatched))
        take("low", low_confidence_stage(inputs, missed(options.low_max_age), low))
        unmatched = take("overlap", iou_stage(inputs, tentative, unmatched))
    else:
        both = np.concatenate([tentative, missed(options.iou_max_age)])
        unmatched = take("overlap", iou_stage(inputs, both, unmatched))
        take("low", low_confidence_stage(inputs, missed(options.low_max_age), low))
    if options.new_track_confidence > 0:
        unmatched = unmatched[confidence[unmatched] >= np.float32(options.new_track_confidence)]
    restarted = unmatched[:0]
    if options.reactivate_ratio > 0:
        stage = reactivation_stage(inputs, missed(options.max_age), unmatched)
        unmatched, restarted = take("reactivation", stage), stage.rows
    return Match(matched, unmatched, restarted, tuple(stages))


def appearance_stage(inputs: AssociationInput, unmatched: Indices) -> Assignment:
    """Run the matching cascade over the confirmed tracks (section 2.3, listing 1).

    Args:
        inputs: see the module.
        unmatched: ``(N,)`` detections.

    Returns:
        Pairs whose cosine distance is at most ``max_cosine_distance``, inside the motion gate.
    """
    options, state = inputs.options, inputs.tracks
    if inputs.appearance is None:
        return Assignment(unmatched[:0], unmatched[:0], unmatched)
    recent = (state.confirmed & (state.frames_since_update <= options.max_age)).nonzero()[0]
    cost_of = partial(gated_appearance_cost, inputs, allow_approximation=True)
    ages = state.frames_since_update[recent]
    return cascade(cost_of, recent, ages, unmatched, options.max_cosine_distance)


def gated_appearance_cost(
    inputs: AssociationInput, tracks: Indices, detections: Indices, *, allow_approximation: bool = False
) -> NDArray[np.float64]:
    """Cosine distance of the pairs inside the motion gate (section 2.2, equations 1 to 4).

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.
        allow_approximation: a pair without rivals may get a larger cost below the threshold. It is matched
            all the same, and most of the galleries need not be read.

    Returns:
        ``(T, N)``, infinity outside the gate. With ``motion_weight`` the motion distance is blended in.
    """
    options, cost = inputs.options, np.full((len(tracks), len(detections)), np.inf)
    if inputs.appearance is None:
        return cost
    gallery, embeddings = inputs.appearance
    weight, limit = options.motion_weight, options.max_cosine_distance
    row, column, motion = gated_pairs(inputs, tracks, detections)
    enough = limit if allow_approximation and not weight else -1.0
    slots = inputs.tracks.slots[tracks]
    distance = gallery.distance(slots, embeddings[detections], row, column, enough=enough)
    if weight:
        blended = (1 - weight) * distance + weight * limit * motion / inputs.gate
        distance = np.where(distance <= limit, blended, np.inf)
    cost[row, column] = distance
    return cost


def iou_stage(inputs: AssociationInput, tracks: Indices, unmatched: Indices) -> Assignment:
    """Match by IoU of predicted boxes and detections (section 2.3), extended as the options say.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        unmatched: ``(N,)`` detections.

    Returns:
        Pairs whose cost is at most ``max_iou_distance``.
    """
    if len(tracks) == 0 or len(unmatched) == 0:
        return Assignment(tracks[:0], unmatched[:0], unmatched)
    cost = extended_iou_cost(inputs, tracks, unmatched)
    return to_global_indices(assign(cost, inputs.options.max_iou_distance), tracks, unmatched)


def extended_iou_cost(inputs: AssociationInput, tracks: Indices, detections: Indices) -> NDArray[np.float64]:
    """`iou_cost` with confidence, direction, appearance and class, as the options say.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.

    Returns:
        ``(T, N)``; infinity for other classes.
    """
    options = inputs.options
    limit = options.max_iou_distance
    cost = iou_cost(inputs, tracks, detections)
    if options.confidence_weight:
        confidence = inputs.detections.detections.confidence[detections]
        cost = 1.0 - (1.0 - cost) * (1 - options.confidence_weight * (1 - confidence))
    if options.direction_weight:
        directed = cost + options.direction_weight * direction_cost(inputs, tracks, detections)
        cost = np.where(cost <= limit, np.minimum(directed, limit), np.inf)
    if options.appearance_weight:
        cost = blend_appearance(inputs, tracks, detections, cost)
    return mask_other_classes(inputs, tracks, detections, cost)


def low_confidence_stage(inputs: AssociationInput, tracks: Indices, unmatched: Indices) -> Assignment:
    """Match detections of low confidence by IoU only (ByteTrack, arXiv 2110.06864, algorithm 1).

    Such detections are people half hidden, but also false ones.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        unmatched: ``(N,)`` detections below ``high_confidence``.

    Returns:
        Pairs whose cost is at most ``max_low_iou_distance``.
    """
    if len(tracks) == 0 or len(unmatched) == 0:
        return Assignment(tracks[:0], unmatched[:0], unmatched)
    cost = low_confidence_cost(inputs, tracks, unmatched)
    return to_global_indices(assign(cost, inputs.options.max_low_iou_distance), tracks, unmatched)


def low_confidence_cost(
    inputs: AssociationInput, tracks: Indices, detections: Indices
) -> NDArray[np.float64]:
    """1 - IoU of tracks and detections of the same class.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.

    Returns:
        ``(T, N)``; infinity for other classes.
    """
    return mask_other_classes(inputs, tracks, detections, iou_cost(inputs, tracks, detections))


def reactivation_stage(inputs: AssociationInput, tracks: Indices, unmatched: Indices) -> Assignment:
    """Match tracks missed before this frame by appearance only, wherever they are.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        unmatched: ``(N,)`` detections.

    Returns:
        Pairs whose cosine distance is at most ``reactivate_distance``.
    """
    tracks = tracks[inputs.tracks.frames_since_update[tracks] > 1]
    if inputs.appearance is None or len(tracks) == 0 or len(unmatched) == 0:
        return Assignment(tracks[:0], unmatched[:0], unmatched)
    cost = appearance_cost(inputs, tracks, unmatched)
    return to_global_indices(assign(cost, inputs.options.reactivate_distance), tracks, unmatched)


def appearance_cost(inputs: AssociationInput, tracks: Indices, detections: Indices) -> NDArray[np.float64]:
    """Cosine distance of tracks and detections of the same class, without a motion gate (equation 3).

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.

    Returns:
        ``(T, N)``; infinity for other classes and where either has no embedding.
    """
    shape = (len(tracks), len(detections))
    if inputs.appearance is None:
        return np.full(shape, np.inf)
    gallery, embeddings = inputs.appearance
    row, column = np.indices(shape).reshape(2, -1)
    distance = gallery.distance(inputs.tracks.slots[tracks], embeddings[detections], row, column)
    cost = distance.reshape(shape).astype(np.float64)
    return mask_other_classes(inputs, tracks, detections, cost)


# The cost of each stage, and the option or property that bounds it.
Cost = Callable[[AssociationInput, Indices, Indices], "NDArray[np.float64]"]
STAGES: Mapping[str, tuple[Cost, str]] = MappingProxyType(
    {
        "appearance": (gated_appearance_cost, "max_cosine_distance"),
        "overlap": (extended_iou_cost, "max_iou_distance"),
        "low": (low_confidence_cost, "max_low_iou_distance"),
        "reactivation": (appearance_cost, "reactivate_distance"),
    }
)


def mask_other_classes(
    inputs: AssociationInput, tracks: Indices, detections: Indices, cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Forbid pairs of different classes, if ``class_gate`` is on.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.
        cost: ``(T, N)``, modified in place.

    Returns:
        ``cost``, infinity where classes differ.
    """
    if inputs.options.class_gate:
        classes = inputs.detections.detections.class_id[detections]
        cost[inputs.tracks.class_id[tracks, None] != classes] = np.inf
    return cost


def to_global_indices(assignment: Assignment, tracks: Indices, detections: Indices) -> Assignment:
    """Translate an assignment of rows and columns of a cost matrix.

    Args:
        assignment: in rows and columns of the ``(T, N)`` matrix.
        tracks: ``(T,)`` the track of each row.
        detections: ``(N,)`` the detection of each column.

    Returns:
        The same assignment in indices of tracks and detections.
    """
    return Assignment(
        tracks[assignment.rows], detections[assignment.columns], detections[assignment.unmatched_columns]
    )


def gated_pairs(
    inputs: AssociationInput, tracks: Indices, detections: Indices
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Find the pairs inside the motion gate, of the same class if ``class_gate`` is on (equations 1, 2).

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.

    Returns:
        For P pairs, ``(P,)`` each: positions in ``tracks``, ascending, positions in ``detections``, and
        squared Mahalanobis distances.
    """
    options, state, usable = inputs.options, inputs.tracks, inputs.detections
    row, column, distance = kalman.gate(
        state.states[:, tracks], usable.boxes_xyah[detections], position_only=options.gate_position_only
    )
    if options.class_gate:
        same = state.class_id[tracks[row]] == usable.detections.class_id[detections[column]]
        row, column, distance = row[same], column[same], distance[same]
    return row, column, distance


def iou_cost(inputs: AssociationInput, tracks: Indices, detections: Indices) -> NDArray[np.float64]:
    """1 - IoU of predicted boxes and detections.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.

    Returns:
        ``(T, N)`` in [0, 1]; ``box_margin`` expands the boxes, ``height_weight`` lowers the IoU of boxes of
        different heights.
    """
    options, usable = inputs.options, inputs.detections
    predicted = inputs.tracks.states[kalman.POSITION, tracks]  # (T, 4) xyah
    track_boxes, boxes = xyxy_from_xyah(predicted), usable.detections.boxes[detections]
    if options.box_margin:
        track_boxes, boxes = expanded(track_boxes, options.box_margin), expanded(boxes, options.box_margin)
    similarity = iou(track_boxes, boxes)
    if options.height_weight:
        track_height = np.maximum(predicted[:, 3:], 0.0)  # (T, 1)
        height = usable.boxes_xyah[detections, 3]
        ratio = np.minimum(track_height, height) / np.maximum(track_height, height)
        similarity *= ratio**options.height_weight
    return 1.0 - similarity


def direction_cost(inputs: AssociationInput, tracks: Indices, detections: Indices) -> NDArray[np.float64]:
    """Angle between a track's velocity and the step from its last detection to each detection.

    The observation-centric momentum of OC-SORT (arXiv 2203.14360, section 4.2), with the filter's velocity.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.

    Returns:
        ``(T, N)``: the angle from -0.5 (same direction) to 0.5 (opposite direction), times the confidence of
        the detection; 0 for a track at rest.
    """
    state, usable = inputs.tracks, inputs.detections
    velocity = state.states[kalman.VELOCITY, tracks, None, :2]  # (T, 1, 2)
    step = usable.boxes_xyah[None, detections, :2] - state.observed[tracks, None, :2]  # (T, N, 2)
    length = np.sqrt((velocity**2).sum(axis=-1) * (step**2).sum(axis=-1))
    cosine = np.divide(
        (velocity * step).sum(axis=-1), length, out=np.zeros(length.shape), where=length > 1e-9
    )
    angle: NDArray[np.float64] = np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi - 0.5
    angle *= usable.detections.confidence[detections]
    return angle


def blend_appearance(
    inputs: AssociationInput, tracks: Indices, detections: Indices, cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Blend a motion cost with appearance, for pairs that overlap or lie inside the motion gate.

    The motion cost is the smaller of ``cost`` and squared Mahalanobis distance / gate: the box of a track
    lost for long rarely overlaps its person, but the gate covers how far the person may be.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.
        cost: ``(T, N)`` from IoU.

    Returns:
        ``(T, N)``: ``appearance_weight`` times cosine distance / ``max_cosine_distance``, plus the rest times
        the motion cost; the motion cost alone where either has no embedding; infinity for all other pairs.
    """
    if inputs.appearance is None:
        return cost
    gallery, embeddings = inputs.appearance
    row, column, distance = gated_pairs(inputs, tracks, detections)
    motion = cost.copy()
    motion[row, column] = np.minimum(motion[row, column], distance / inputs.gate)
    possible = cost < 1.0
    possible[row, column] = True
    row, column = np.nonzero(possible)
    cosine = gallery.distance(inputs.tracks.slots[tracks], embeddings[detections], row, column)
    weight = inputs.options.appearance_weight
    ratio = np.minimum(cosine / max(inputs.options.max_cosine_distance, 1e-9), _MAX_APPEARANCE_RATIO)
    pair_motion = motion[row, column]
    blended = np.full(cost.shape, np.inf)
    blended[row, column] = np.where(
        np.isfinite(cosine), (1 - weight) * pair_motion + weight * ratio, pair_motion
    )
    return blended
