"""What a tracker reports of its tracks: which of them, and with which boxes.

Reporting changes no track. With the defaults of ``TrackerOptions`` it is that of the published code: the
filter's boxes of the tracks matched in this frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import area, shared_area, xyxy_from_xyah
from deepsort_paddle.structures import Tracks
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.track_state import TrackState

__all__ = ["HIDDEN_SHARE", "NOWHERE", "extended_area", "hidden_share", "report_tracks", "update_mean_sizes"]

# The share of a box that another one in front covers, from which its person counts as hidden. Up to ten
# frames after the last detection, half to nine tenths of such boxes are right on PETS09-S2L1, ADL-Rundle-6,
# TUD-Stadtmitte and MOT17-05; of boxes that nothing covers, 0 to 40 %.
HIDDEN_SHARE = 0.5
# The area of no box.
NOWHERE: NDArray[np.float64] = np.array([np.inf, np.inf, -np.inf, -np.inf])
NOWHERE.flags.writeable = False
# The part of a side by which a predicted box may go beyond the area of all matched boxes.
_AREA_MARGIN = 0.15
# Weight of the mean size in the reported size of a matched track.
_MEAN_WEIGHT = 0.5


def extended_area(area: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rectangle, ``(4,)`` xyxy pixels, around an area and ``(N, 4)`` boxes."""
    low = boxes[:, :2].min(axis=0, initial=np.inf)
    high = boxes[:, 2:].max(axis=0, initial=-np.inf)
    return np.concatenate([np.minimum(area[:2], low), np.maximum(area[2:], high)])


def report_tracks(
    options: TrackerOptions,
    state: TrackState,
    detection_index: NDArray[np.int64],
    area: NDArray[np.float64],
) -> Tracks:
    """Return copies of the confirmed tracks that were matched recently or are hidden.

    Args:
        options: settings of the tracker.
        state: the tracks after this frame; only ``hidden`` is updated.
        detection_index: ``(T,)`` row of each track's detection in what the caller gave, -1 for none.
        area: ``(4,)`` xyxy pixels, the rectangle around all boxes matched so far.

    Returns:
        Tracks missed in up to ``coast`` frames, and those missed in up to ``hidden_coast`` frames that have
        been hidden ever since, either after ``coast_after`` successive matches and, with ``coast_inside``,
        inside the area; oldest first.
    """
    last = max(options.coast, options.hidden_coast)
    steady = (state.frames_since_update == 0) | (state.streak >= options.coast_after)
    shown = (state.confirmed & steady & (state.frames_since_update <= last)).nonzero()[0]
    boxes = _boxes(options, state, shown)
    missed = state.frames_since_update[shown]
    if options.hidden_coast:
        matched = missed == 0
        covered = hidden_share(boxes, boxes[matched]) >= HIDDEN_SHARE
        hidden = matched | (state.hidden[shown] & ((missed <= options.coast) | covered))
        state.hidden[shown] = hidden
        kept = (missed <= options.coast) | (hidden & (missed <= options.hidden_coast))
        shown, boxes, missed = shown[kept], boxes[kept], missed[kept]
    if options.coast_inside:
        kept = (missed == 0) | _inside(boxes, area)
        shown, boxes, missed = shown[kept], boxes[kept], missed[kept]
    return Tracks(
        ids=state.ids[shown],
        boxes=boxes,
        confidence=state.confidence[shown],
        class_id=state.class_id[shown],
        detection_index=detection_index[shown],
        frames_since_update=missed,
    )


def update_mean_sizes(
    options: TrackerOptions, state: TrackState, tracks: NDArray[np.int64], gaps: NDArray[np.int64]
) -> None:
    """Take the detections of this frame into the running means of widths and heights.

    A detection counts by its confidence, and by the frames since the last one: the past weighs
    ``size_momentum`` a frame. The first detections of a track count alike.

    Args:
        options: settings of the tracker.
        state: the tracks with the detections of this frame; ``sizes`` is updated.
        tracks: ``(M,)`` those with a detection.
        gaps: ``(M,)`` frames since the detection before.
    """
    confidence = np.clip(state.confidence[tracks].astype(np.float64), 0.0, 1.0)
    rate = 1.0 - (1.0 - (1.0 - options.size_momentum) * confidence) ** gaps
    rate = np.maximum(rate, confidence / state.hits[tracks])[:, None]
    observed = state.observed[tracks]
    sizes = np.column_stack([observed[:, 2] * observed[:, 3], observed[:, 3]])
    state.sizes[tracks] += rate * (sizes - state.sizes[tracks])


def hidden_share(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute how much of each box the one that hides it most covers.

    Of two boxes the one that ends lower in the image is in front: its person stands nearer to the camera.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        others: ``(M, 4)`` xyxy pixels.

    Returns:
        ``(N,)`` from 0 to 1.
    """
    covered = np.where(others[None, :, 3] > boxes[:, None, 3], shared_area(boxes, others), 0.0)
    share: NDArray[np.float64] = covered.max(axis=1, initial=0.0) / np.maximum(area(boxes), 1e-9)
    return share


def _inside(boxes: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes, ``(N,)``, are inside an area but for a small part of their sides."""
    margin = _AREA_MARGIN * (boxes[:, 2:] - boxes[:, :2])
    inside = np.hstack([boxes[:, :2] >= area[:2] - margin, boxes[:, 2:] <= area[2:] + margin])
    return np.asarray(inside.all(axis=1))


def _boxes(options: TrackerOptions, state: TrackState, shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the boxes of tracks to report, ``(K, 4)`` xyxy."""
    boxes_xyah = state.states[kalman.POSITION, shown]
    # A long extrapolation can give a box a negative size.
    np.maximum(boxes_xyah[:, 2:], 0.0, out=boxes_xyah[:, 2:])
    boxes = xyxy_from_xyah(boxes_xyah)
    matched = state.frames_since_update[shown, None] == 0
    if options.detection_weight:
        boxes += options.detection_weight * matched * (xyxy_from_xyah(state.observed[shown]) - boxes)
    if options.size_momentum:
        weight = np.where(matched, _MEAN_WEIGHT, 1.0)
        change = 0.5 * weight * (state.sizes[shown] - (boxes[:, 2:] - boxes[:, :2]))
        boxes += np.hstack([-change, change])
    return boxes
