"""What can be set right when a video is over: link broken tracks, fill their gaps, smooth their boxes.

A tracker decides in each frame from the frames before it. Afterwards the whole is known: a track that ended
and one that began may look like the same person, a gap has a far side, and a box can be corrected
by those that follow it.

Two steps, each a function on the rows of all frames: `link` gives tracks that look alike one id, `smooth`
corrects their boxes and fills the frames in between. `refine` does both. What all boxes of a frame do alike
beside their smooth ways is a jerk of the camera: it is taken off before smoothing and put back afterwards.

Source of the smoother: Rauch, Tung and Striebel, "Maximum likelihood estimates of linear dynamic systems",
AIAA Journal 3 (8), 1965; filterpy's implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deepsort_paddle.motchallenge.text import TrackTable
from deepsort_paddle.tracking.box_motion import believed_part, common_shift

__all__ = ["Refined", "link", "refine", "smooth"]

# Standard deviations, in heights of the box: of a measured side, and of the change of velocity in a frame.
# Both are DeepSORT's (see kalman.py). A fourth of the second costs 5 HOTA where the camera moves
# (MOT17-05), four times as much costs 1 where it stands (PETS09-S2L1).
_MEASURED = 1 / 20
_ACCELERATION = 1 / 160
# Of place and velocity before the first box: it decides, not what was thought of it before.
_UNKNOWN = 0.5
# Boxes in a frame from which on what they have in common is looked at, as in the presets (min_camera_pairs).
_WITNESSES = 5
# Means of embeddings scatter less than single embeddings, to which max_cosine_distance belongs.
_MEAN_PART = 0.5
# A person out of sight can be so many heights away: a step to the side, and so many a second (running).
_STEP = 0.5
_HEIGHTS_A_SECOND = 2.0


@dataclass(frozen=True, slots=True)
class Refined:
    """Tracks after `refine`.

    Attributes:
        table: all frames, sorted by frame, then id.
        row: ``(N,)`` int64 the row of the original table that each is, -1 for those filled in.
        missed: ``(N,)`` int64 frames since the last row that was not filled in, 0 for those themselves.
    """

    table: TrackTable
    row: NDArray[np.int64]
    missed: NDArray[np.int64]


def refine(
    table: TrackTable,
    looks: Mapping[int, NDArray[np.float32]] | None = None,
    *,
    max_cosine_distance: float = 0.2,
    max_link_gap: int = 250,
    max_fill: int = 20,
    fps: float = 25.0,
) -> Refined:
    """Link, fill and smooth the tracks of a whole video.

    Args:
        table: tracks as a tracker or `read_tracks` gives them; not modified.
        looks: unit mean embedding of each id, ``(D,)``; ids without one are not linked; None links nothing.
        max_cosine_distance: of the encoder, for single embeddings; tracks are linked up to half of it.
        max_link_gap: most frames between two tracks that are linked.
        max_fill: gaps of more frames than this stay open.
        fps: frames a second, which bounds how far a person can get.
    """
    if looks:
        limit = _MEAN_PART * max_cosine_distance
        ids = link(table, looks, max_cosine_distance=limit, max_gap=max_link_gap, fps=fps)
        table = replace(table, ids=ids)
    return smooth(table, max_fill=max_fill)


def link(
    table: TrackTable,
    looks: Mapping[int, NDArray[np.float32]],
    *,
    max_cosine_distance: float,
    max_gap: int,
    fps: float,
) -> NDArray[np.int64]:
    """Ids, ``(N,)``, in which tracks that look alike and follow one another have that of the first.

    Each track has at most one successor, which begins after it ended; all pairs are chosen together, at the
    smallest sum of distances. A pair must lie where a person can have gone in the time.
    """
    pieces = [rows for rows in _by_id(table.ids) if int(table.ids[rows[0]]) in looks]
    if len(pieces) < 2:
        return table.ids
    first, last = np.array([rows[[0, -1]] for rows in pieces]).T
    known = table.ids[first]
    mean = np.array([looks[one] for one in known.tolist()])
    cost = 1.0 - mean @ mean.T  # (K, K): rows end, columns begin
    gap = table.frame[first][None, :] - table.frame[last][:, None]
    centre = 0.5 * (table.boxes[:, :2] + table.boxes[:, 2:])
    height = (table.boxes[:, 3] - table.boxes[:, 1])[last, None]
    away = np.linalg.norm(centre[first][None, :] - centre[last][:, None], axis=2)
    reach = height * (_STEP + _HEIGHTS_A_SECOND * gap / fps)
    possible = (gap > 0) & (gap <= max_gap) & (away <= reach) & (cost <= max_cosine_distance)
    possible &= table.class_id[last, None] == table.class_id[first]
    # Worse than any possible pair, so that it is taken only where there is none.
    rows, columns = linear_sum_assignment(np.where(possible, cost, 2 * max_cosine_distance + 1))
    kept = possible[rows, columns]
    parent = np.arange(len(known))
    # By the frame of the end, so that a chain is followed from its first track on.
    for pair in np.flatnonzero(kept)[np.argsort(table.frame[last[rows[kept]]], kind="stable")]:
        parent[columns[pair]] = parent[rows[pair]]
    renamed = table.ids.copy()
    for rows, other in zip(pieces, known[parent].tolist(), strict=True):
        renamed[rows] = other
    return renamed


def smooth(table: TrackTable, *, max_fill: int) -> Refined:
    """Every track smoothed over all of its frames, gaps of up to ``max_fill`` frames filled."""
    if len(table) == 0:
        return Refined(table, table.ids[:0], table.ids[:0])
    tracks = _by_id(table.ids)
    frames, shake = _shake(table, tracks)
    still = replace(table, boxes=table.boxes - _at(table.frame, frames, shake))
    pieces = [_smooth_one(still, rows, max_fill) for rows in tracks]
    columns = [
        np.concatenate([getattr(piece.table, field.name) for piece in pieces]) for field in fields(TrackTable)
    ]
    joined = TrackTable(*columns)
    joined = replace(joined, boxes=joined.boxes + _at(joined.frame, frames, shake))
    order = np.lexsort([joined.ids, joined.frame])
    row, missed = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("row", "missed"))
    return Refined(joined[order], row[order], missed[order])


def _shake(
    table: TrackTable, tracks: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How far the camera jerked aside, as a shift of boxes: frames, rising, and ``(F, 4)``.

    What chance makes of the boxes of a still camera is told from a jerk by all frames together.
    """
    frames = [rows for rows in _by_id(table.frame) if len(rows) >= _WITNESSES]
    numbers = np.array([table.frame[rows[0]] for rows in frames], np.int64)
    if not frames:
        return numbers, np.zeros((0, 4))
    smoothed = np.empty_like(table.boxes)
    for rows in tracks:
        smoothed[rows] = _smooth_one(table, rows, 0).table.boxes
    aside = table.boxes - smoothed
    steps = 0.5 * (aside[:, :2] + aside[:, 2:])
    common = [common_shift(steps[rows]) for rows in frames]
    shake = np.array([shift for shift, _ in common])
    part = believed_part((shake**2).sum(), sum(chance for _, chance in common))
    return numbers, np.tile(part * shake, 2)


def _at(
    frame: NDArray[np.int64], frames: NDArray[np.int64], shake: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The shift of each row's frame, ``(N, 4)``; 0 in frames of which none is known."""
    if len(frames) == 0:
        return np.zeros((len(frame), 4))
    place = np.searchsorted(frames, frame).clip(max=len(frames) - 1)
    return np.where((frames[place] == frame)[:, None], shake[place], 0.0)


def _by_id(ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each id (or frame), in order, ids rising."""
    order = np.argsort(ids, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(ids[order])) + 1) if len(ids) else []


def _smooth_one(table: TrackTable, rows: NDArray[np.int64], max_fill: int) -> Refined:
    """One track, ``rows`` of the table by rising frame."""
    frame = table.frame[rows]
    every = np.arange(frame[0], frame[-1] + 1)
    seen = np.isin(every, frame)
    before = np.searchsorted(frame, every, side="right") - 1  # the last measured row, for each frame
    gap = np.append(np.diff(frame), 1)[before] - 1
    shown = seen | (gap <= max_fill)
    filled = replace(table[rows[before]], frame=every, boxes=_smoothed(table.boxes[rows], seen))
    return Refined(filled[shown], np.where(seen, rows[before], -1)[shown], (every - frame[before])[shown])


def _smoothed(boxes: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Boxes of all frames, ``(F, 4)``, from those of the frames in ``seen``, at near constant velocity."""
    from filterpy.common import Q_discrete_white_noise
    from filterpy.kalman import KalmanFilter

    places = np.arange(len(seen))
    height = np.interp(places, places[seen], boxes[:, 3] - boxes[:, 1])
    height = np.maximum(height, 1e-6)
    # One filter for the four sides: each has a place and a velocity, and none knows of the others.
    noise = np.kron(np.eye(4), Q_discrete_white_noise(dim=2, dt=1.0, var=_ACCELERATION**2))  # (8, 8)
    process = height[:, None, None] ** 2 * noise  # (F, 8, 8)
    measurement = (_MEASURED * height[:, None, None]) ** 2 * np.eye(4)  # (F, 4, 4)
    row = np.cumsum(seen) - 1  # of `boxes`, for each frame seen
    filters = KalmanFilter(dim_x=8, dim_z=4)
    filters.F = np.kron(np.eye(4), [[1.0, 1.0], [0.0, 1.0]])
    filters.H = np.kron(np.eye(4), [[1.0, 0.0]])
    filters.x = np.kron(boxes[0, :, None], [[1.0], [0.0]])
    filters.P = (_UNKNOWN * height[0]) ** 2 * np.eye(8)
    measured = [boxes[row[place], :, None] if seen[place] else None for place in places]
    means, covariances, _, _ = filters.batch_filter(measured, Qs=process, Rs=measurement)
    smoothed: NDArray[np.float64] = filters.rts_smoother(means, covariances, Qs=process)[0][:, ::2, 0]
    return smoothed
