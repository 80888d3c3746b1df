"""Association: which detection of a frame belongs to which track.

A stage takes the tracks and detections that are still unmatched and returns an ``Assignment``. DeepSORT
has two stages: the matching cascade, by appearance inside the motion gate, then IoU. Options beyond the
paper change the cost of a stage (`costs`) or add one; with the defaults of ``TrackerOptions``, `match` does
what the published code does.

All stages share their arguments:

- ``inputs``: the `AssociationInput` of the frame;
- ``tracks``: ``(T,)`` int64 indices into ``inputs.tracks``;
- ``unmatched``: ``(N,)`` int64 indices into ``inputs.detections``.

Source: Wojke, Bewley and Paulus 2017 (arXiv 1703.07402), sections 2.2 and 2.3 and listing 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.tracking.assignment import Assignment, assign, cascade
from deepsort_paddle.tracking.costs import (
    AssociationInput,
    Indices,
    appearance_cost,
    extended_iou_cost,
    gated_appearance_cost,
    low_confidence_cost,
)

__all__ = ["STAGES", "Match", "match"]


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
