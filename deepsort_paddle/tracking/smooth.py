"""Refine the tracks of a whole video: link broken tracks, fill gaps, smooth boxes.

A tracker decides on each frame from the frames before it. Afterwards the later frames are known too: they
show whether two tracks belong to one person, where a gap ends, and how to correct a box.

`link` gives tracks of similar appearance one id. `smooth` corrects boxes and fills gaps. `refine` does both.
The camera's motion, as far as it is known, is removed before and added again afterwards. The deviation from
the smooth paths that all boxes of a frame share is a jerk of the camera and treated likewise.

Source of the smoother: Rauch, Tung and Striebel, "Maximum likelihood estimates of linear dynamic systems",
AIAA Journal 3 (8), 1965; filterpy's implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.tracking.camera.box_motion import common_shift, shrinkage
from deepsort_paddle.tracking.camera.camera_path import MAX_MAGNIFICATION, CameraPath, magnification

__all__ = ["LEAST_RUN", "Refined", "link", "refine", "smooth"]

# Standard deviations, as fractions of the box's height: of a measured coordinate, and of the change of
# velocity per frame. Both are DeepSORT's (see kalman.py). A quarter of the second costs 5 HOTA with a moving
# camera (MOT17-05), four times the second costs 1 HOTA with a static one (PETS09-S2L1).
_MEASUREMENT_STD = 1 / 20
_ACCELERATION_STD = 1 / 160
# Of position and velocity before the first box; large, so that the first box decides.
_INITIAL_STD = 0.5
# Smallest number of boxes in a frame for an estimate of the camera's jerk, as min_camera_pairs in the
# presets.
_MIN_CAMERA_BOXES = 5
# Mean embeddings scatter less than single embeddings, for which max_cosine_distance is calibrated.
_MEAN_DISTANCE_RATIO = 0.5
# How far a person can get while out of sight, in heights of the box: a step aside, plus running speed.
_MAX_STEP = 0.5
_MAX_HEIGHTS_PER_SECOND = 2.0
# A gap is filled only between this many successive detected frames on either side: tracks with fewer are
# mostly false or badly localised. In 38 runs (benchmarks/accuracy/README.md) 75 % of the boxes filled in
# between such frames are right, 31 % of the others.
LEAST_RUN = 4


@dataclass(frozen=True, slots=True)
class Refined:
    """Tracks after `refine`.

    Attributes:
        table: the rows of all frames, sorted by frame, then id.
        row: ``(N,)`` int64, row of the original table, -1 for a filled-in row.
        missed: ``(N,)`` int64, frames since the track's last original row, 0 for an original row.

    Example:
        >>> frame = np.array([1, 2, 3, 4, 6, 7, 8, 9])
        >>> one, none = np.ones(8), np.zeros(8, int)
        >>> boxes = np.array([0.0, 0, 40, 100]) + 10 * frame[:, None] * [1, 0, 1, 0]
        >>> table = TrackRecords(frame, none + 1, boxes, one, none, one)
        >>> refined = refine(table)
        >>> refined.row.tolist(), refined.missed.tolist()
        ([0, 1, 2, 3, -1, 4, 5, 6, 7], [0, 0, 0, 0, 1, 0, 0, 0, 0])
    """

    table: TrackRecords
    row: NDArray[np.int64]
    missed: NDArray[np.int64]


def refine(
    table: TrackRecords,
    embeddings: Mapping[int, NDArray[np.float32]] | None = None,
    *,
    max_cosine_distance: float = 0.2,
    max_link_gap: int = 250,
    max_fill: int = 20,
    fps: float = 25.0,
    camera_motion: NDArray[np.float64] | None = None,
) -> Refined:
    """Link, fill and smooth the tracks of a whole video.

    Args:
        table: the rows of the tracks, as from `read_tracks`; not modified.
        embeddings: unit mean embedding of each id, ``(D,)``. Ids without one are not linked; None links no
            tracks.
        max_cosine_distance: the encoder's threshold for single embeddings; tracks are linked up to half of
            it.
        max_link_gap: the most frames between two linked tracks.
        max_fill: longer gaps, in frames, stay open, and so do those with fewer than `LEAST_RUN` successive
            detections on either side.
        fps: frames per second; limits how far a person can get.
        camera_motion: ``(F, 2, 3)`` affine map from the previous frame's pixels for each frame from 1; the
            boxes are linked, filled and smoothed as a still camera would see them. None if unknown.

    Returns:
        The refined tracks.
    """
    path = None
    if camera_motion is not None and magnification(camera_motion) <= MAX_MAGNIFICATION:
        path = CameraPath(camera_motion)
        table = replace(table, boxes=path.stabilized(table.boxes, table.frame))
    if embeddings:
        limit = _MEAN_DISTANCE_RATIO * max_cosine_distance
        ids = link(table, embeddings, max_cosine_distance=limit, max_gap=max_link_gap, fps=fps)
        table = replace(table, ids=ids)
    refined = smooth(table, max_fill=max_fill)
    if path is None:
        return refined
    boxes = path.as_seen(refined.table.boxes, refined.table.frame)
    return replace(refined, table=replace(refined.table, boxes=boxes))


def link(
    table: TrackRecords,
    embeddings: Mapping[int, NDArray[np.float32]],
    *,
    max_cosine_distance: float,
    max_gap: int,
    fps: float,
) -> NDArray[np.int64]:
    """Link consecutive tracks of similar appearance.

    Each track has at most one successor, which begins after the track ends. The pairs minimise the total
    distance. A pair must be close enough for a person to have covered the way in the time.

    Args:
        table: the rows of the tracks.
        embeddings: unit mean embedding of each id, ``(D,)``; ids without one are not linked.
        max_cosine_distance: largest distance of two linked tracks.
        max_gap: the most frames between two linked tracks.
        fps: frames per second.

    Returns:
        ``(N,)`` new id of each row; linked tracks have the id of the first one.
    """
    pieces = [rows for rows in _group_rows(table.ids) if int(table.ids[rows[0]]) in embeddings]
    if len(pieces) < 2:
        return table.ids
    first, last = np.array([rows[[0, -1]] for rows in pieces]).T
    piece_ids = table.ids[first]
    mean = np.array([embeddings[track_id] for track_id in piece_ids.tolist()])
    cost = 1.0 - mean @ mean.T  # (K, K): rows end, columns begin
    gap = table.frame[first][None, :] - table.frame[last][:, None]
    centre = 0.5 * (table.boxes[:, :2] + table.boxes[:, 2:])
    height = (table.boxes[:, 3] - table.boxes[:, 1])[last, None]
    distance = np.linalg.norm(centre[first][None, :] - centre[last][:, None], axis=2)
    reach = height * (_MAX_STEP + _MAX_HEIGHTS_PER_SECOND * gap / fps)
    possible = (gap > 0) & (gap <= max_gap) & (distance <= reach) & (cost <= max_cosine_distance)
    possible &= table.class_id[last, None] == table.class_id[first]
    # Impossible pairs cost more than any possible pair.
    rows, columns = linear_sum_assignment(np.where(possible, cost, 2 * max_cosine_distance + 1))
    kept = possible[rows, columns]
    parent = np.arange(len(piece_ids))
    # In the order of the ends, so that a chain is followed from its first track.
    for pair in np.flatnonzero(kept)[np.argsort(table.frame[last[rows[kept]]], kind="stable")]:
        parent[columns[pair]] = parent[rows[pair]]
    linked = table.ids.copy()
    for rows, linked_id in zip(pieces, piece_ids[parent].tolist(), strict=True):
        linked[rows] = linked_id
    return linked


def smooth(table: TrackRecords, *, max_fill: int) -> Refined:
    """Smooth every track over all of its frames and fill its gaps.

    Args:
        table: the rows of the tracks.
        max_fill: longer gaps, in frames, stay open, and so do those with fewer than `LEAST_RUN` successive
            detections on either side.

    Returns:
        The smoothed tracks.
    """
    if len(table) == 0:
        return Refined(table, table.ids[:0], table.ids[:0])
    tracks = _group_rows(table.ids)
    frames, jerks = _camera_jerks(table, tracks)
    stabilized = replace(table, boxes=table.boxes - _jerk_of_rows(table.frame, frames, jerks))
    pieces = [_smooth_track(stabilized, rows, max_fill) for rows in tracks]
    columns = [
        np.concatenate([getattr(piece.table, field.name) for piece in pieces])
        for field in fields(TrackRecords)
    ]
    joined = TrackRecords(*columns)
    joined = replace(joined, boxes=joined.boxes + _jerk_of_rows(joined.frame, frames, jerks))
    order = np.lexsort([joined.ids, joined.frame])
    row, missed = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("row", "missed"))
    return Refined(joined[order], row[order], missed[order])


def _camera_jerks(
    table: TrackRecords, tracks: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Estimate the jerk of the camera in each frame, as a shift of its boxes.

    The jerks of all frames get one shrinkage factor, which separates them from chance.

    Returns:
        ``(F,)`` frame numbers, ascending, and ``(F, 4)`` shifts, pixels.
    """
    frames = [rows for rows in _group_rows(table.frame) if len(rows) >= _MIN_CAMERA_BOXES]
    numbers = np.array([table.frame[rows[0]] for rows in frames], np.int64)
    if not frames:
        return numbers, np.zeros((0, 4))
    smoothed = np.empty_like(table.boxes)
    for rows in tracks:
        smoothed[rows] = _smooth_track(table, rows, 0).table.boxes
    residual = table.boxes - smoothed
    steps = 0.5 * (residual[:, :2] + residual[:, 2:])
    common = [common_shift(steps[rows]) for rows in frames]
    jerks = np.array([shift for shift, _ in common])
    factor = shrinkage((jerks**2).sum(), sum(chance for _, chance in common))
    return numbers, np.tile(factor * jerks, 2)


def _jerk_of_rows(
    frame: NDArray[np.int64], frames: NDArray[np.int64], jerks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the shift of each row's frame, ``(N, 4)``; 0 for a frame without an estimate."""
    if len(frames) == 0:
        return np.zeros((len(frame), 4))
    place = np.searchsorted(frames, frame).clip(max=len(frames) - 1)
    return np.where((frames[place] == frame)[:, None], jerks[place], 0.0)


def _group_rows(ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each id (or frame), in order; ids ascending."""
    order = np.argsort(ids, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(ids[order])) + 1) if len(ids) else []


def _smooth_track(table: TrackRecords, rows: NDArray[np.int64], max_fill: int) -> Refined:
    """Smooth one track, whose ``rows`` of the table are in the order of their frames."""
    frame = table.frame[rows]
    all_frames = np.arange(frame[0], frame[-1] + 1)
    measured = np.isin(all_frames, frame)
    last = np.searchsorted(frame, all_frames, side="right") - 1  # the last measured row, for each frame
    gaps = np.append(np.diff(frame), 1) - 1  # frames missed after each row
    runs = np.split(gaps, np.flatnonzero(gaps[:-1]) + 1)
    length = np.repeat([len(run) for run in runs], [len(run) for run in runs])
    filled_in = (gaps <= max_fill) & (length >= LEAST_RUN) & (np.append(length[1:], 0) >= LEAST_RUN)
    kept = measured | filled_in[last]
    filled = replace(table[rows[last]], frame=all_frames, boxes=_smooth_boxes(table.boxes[rows], measured))
    return Refined(filled[kept], np.where(measured, rows[last], -1)[kept], (all_frames - frame[last])[kept])


def _smooth_boxes(boxes: NDArray[np.float64], measured: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Smooth the boxes of a track with a constant-velocity model.

    Args:
        boxes: ``(K, 4)``, of the measured frames.
        measured: ``(F,)`` whether a frame is measured; K are.

    Returns:
        ``(F, 4)`` boxes of all frames.
    """
    from filterpy.common import Q_discrete_white_noise
    from filterpy.kalman import KalmanFilter

    frames = np.arange(len(measured))
    height = np.interp(frames, frames[measured], boxes[:, 3] - boxes[:, 1])
    height = np.maximum(height, 1e-6)
    # One filter for the four coordinates, each with an independent position and velocity.
    noise = np.kron(np.eye(4), Q_discrete_white_noise(dim=2, dt=1.0, var=_ACCELERATION_STD**2))  # (8, 8)
    process = height[:, None, None] ** 2 * noise  # (F, 8, 8)
    measurement = (_MEASUREMENT_STD * height[:, None, None]) ** 2 * np.eye(4)  # (F, 4, 4)
    row = np.cumsum(measured) - 1  # of `boxes`, for each measured frame
    filters = KalmanFilter(dim_x=8, dim_z=4)
    filters.F = np.kron(np.eye(4), [[1.0, 1.0], [0.0, 1.0]])
    filters.H = np.kron(np.eye(4), [[1.0, 0.0]])
    filters.x = np.kron(boxes[0, :, None], [[1.0], [0.0]])
    filters.P = (_INITIAL_STD * height[0]) ** 2 * np.eye(8)
    measurements = [boxes[row[frame], :, None] if measured[frame] else None for frame in frames]
    means, covariances, _, _ = filters.batch_filter(measurements, Qs=process, Rs=measurement)
    smoothed: NDArray[np.float64] = filters.rts_smoother(means, covariances, Qs=process)[0][:, ::2, 0]
    return smoothed
