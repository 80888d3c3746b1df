"""Where the tracks are expected in the next frame: by their own motion, and by that of the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import xyxy_from_xyah
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.camera.box_motion import motion_from_boxes
from deepsort_paddle.tracking.costs import UsableDetections
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.track_state import TrackState

__all__ = ["estimate_camera_motion", "predict_tracks"]


def predict_tracks(options: TrackerOptions, state: TrackState, intervals: int) -> TrackState:
    """Return the tracks some frame intervals later.

    A track that was matched in the last update counts as missed in one frame, however many were skipped
    since: all stages for tracks seen just before use that. After more than a second it was not just before.

    Args:
        options: settings of the tracker.
        state: the tracks after the last update; not modified.
        intervals: time since then, in frames of ``frame_rate``.
    """
    missed, states = state.frames_since_update, state.states
    for step in range(min(intervals, options.max_age)):
        if options.hold_shape:
            states = kalman.hold_shape(states, missed + step > 0)
        states = kalman.predict(states, velocity_noise=options.frame_velocity_noise)
    just_before = (missed == 0) & (intervals <= max(options.frame_rate, 1.0))
    ages = np.where(just_before, 1, missed + intervals)
    return replace(state, states=states, frames_since_update=ages)


def estimate_camera_motion(
    options: TrackerOptions, state: TrackState, usable: UsableDetections
) -> NDArray[np.float64]:
    """Estimate the camera motion from the tracks seen one frame ago and their prediction.

    Args:
        options: settings of the tracker.
        state: predicted tracks.
        usable: detections of this frame.

    Returns:
        ``(2, 3)`` affine map from the previous frame's pixels to this frame's.
    """
    recent = state.confirmed & (state.frames_since_update == 1)
    confident = usable.detections.confidence >= np.float32(options.high_confidence)
    predicted = xyxy_from_xyah(state.states[kalman.POSITION, recent])
    boxes = usable.detections.boxes[confident]
    return motion_from_boxes(predicted, boxes, min_pairs=options.min_camera_pairs)
