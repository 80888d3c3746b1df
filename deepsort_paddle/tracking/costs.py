"""Costs of association: how badly a detection fits a track.

All cost functions share their arguments:

- ``inputs``: the `AssociationInput` of the frame;
- ``tracks``: ``(T,)`` int64 indices into ``inputs.tracks``;
- ``detections``: ``(N,)`` int64 indices into ``inputs.detections``.

A cost matrix is ``(T, N)`` float64; infinity means that the pair cannot match.

Source: Wojke, Bewley and Paulus 2017 (arXiv 1703.07402), section 2.2; the sources of the other costs are
named with each option in `options`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import expanded, iou, xyxy_from_xyah
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.gallery import Gallery
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.track_state import TrackState

__all__ = [
    "AssociationInput",
    "Indices",
    "UsableDetections",
    "appearance_cost",
    "blend_appearance",
    "direction_cost",
    "extended_iou_cost",
    "gated_appearance_cost",
    "gated_motion_cost",
    "gated_pairs",
    "iou_cost",
    "low_confidence_cost",
    "mask_other_classes",
]

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


def extended_iou_cost(inputs: AssociationInput, tracks: Indices, detections: Indices) -> NDArray[np.float64]:
    """`iou_cost` with confidence, direction, motion gate, appearance and class, as the options say.

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
    by_appearance = bool(options.appearance_weight) and inputs.appearance is not None
    if by_appearance or options.uncertainty_weight:
        cost = gated_motion_cost(inputs, tracks, detections, cost)
    if by_appearance:
        cost = blend_appearance(inputs, tracks, detections, cost)
    return mask_other_classes(inputs, tracks, detections, cost)


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


def gated_motion_cost(
    inputs: AssociationInput, tracks: Indices, detections: Indices, cost: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The smaller of an IoU cost and the squared Mahalanobis distance / gate.

    The box of a track lost for long rarely overlaps its person, but the gate covers how far the person may
    be. The wider the gate, the less it says: ``uncertainty_weight`` adds the log-determinant.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.
        cost: ``(T, N)`` from IoU.

    Returns:
        ``(T, N)``; infinity for pairs that neither overlap nor lie inside the motion gate.
    """
    options = inputs.options
    row, column, distance = gated_pairs(inputs, tracks, detections)
    if options.uncertainty_weight:
        excess = kalman.excess_uncertainty(
            inputs.tracks.states[:, tracks],
            velocity_noise=options.frame_velocity_noise,
            position_only=options.gate_position_only,
        )
        distance = distance + options.uncertainty_weight * excess[row]
    motion = np.where(cost < 1.0, cost, np.inf)
    motion[row, column] = np.minimum(cost[row, column], distance / inputs.gate)
    return motion


def blend_appearance(
    inputs: AssociationInput, tracks: Indices, detections: Indices, motion: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Blend a motion cost with appearance, for the pairs that motion allows.

    Args:
        inputs: see the module.
        tracks: ``(T,)``.
        detections: ``(N,)``.
        motion: ``(T, N)``, infinity for pairs that cannot match.

    Returns:
        ``(T, N)``: ``appearance_weight`` times cosine distance / ``max_cosine_distance``, plus the rest times
        ``motion``; ``motion`` alone where either has no embedding; infinity where ``motion`` is.
    """
    if inputs.appearance is None:
        return motion
    gallery, embeddings = inputs.appearance
    options = inputs.options
    row, column = np.isfinite(motion).nonzero()
    cosine = gallery.distance(inputs.tracks.slots[tracks], embeddings[detections], row, column)
    weight = options.appearance_weight
    ratio = np.minimum(cosine / max(options.max_cosine_distance, 1e-9), _MAX_APPEARANCE_RATIO)
    pair_motion = motion[row, column]
    blended = np.full(motion.shape, np.inf)
    blended[row, column] = np.where(
        np.isfinite(cosine), (1 - weight) * pair_motion + weight * ratio, pair_motion
    )
    return blended
