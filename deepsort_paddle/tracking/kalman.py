"""Constant-velocity Kalman filter over all tracks at once.

The state of a track is its box as ``xyah`` (centre x, centre y, width / height, height; in pixels except
the ratio) and the change of each of the four per frame. The classic filter carries an 8x8 covariance, but
its initial, process and measurement noise are diagonal, and its motion couples each position only with its
own velocity. So the covariance is always four independent symmetric 2x2 blocks of three numbers each, and
every step is elementwise arithmetic on ``(N, 4)`` arrays: no matrix product, no inverse, no loop over tracks.

The states of N tracks are one ``(5, N, 4)`` float64 array. Its planes, named by `POSITION` to
`VELOCITY_VARIANCE`, are position, velocity, variance of the position, covariance of position and velocity,
and variance of the velocity. ``states[:, rows]`` selects tracks; a concatenation along axis 1 adds them.
Functions return new arrays.

Source: Wojke, Bewley and Paulus, "Simple online and realtime tracking with a deep association
metric", ICIP 2017 (arXiv 1703.07402), section 2.1; Kalman 1960 for the recursion.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COVARIANCE",
    "GATE",
    "GATE_POSITION",
    "PLANES",
    "POSITION",
    "POSITION_VARIANCE",
    "VELOCITY",
    "VELOCITY_VARIANCE",
    "distance",
    "excess_uncertainty",
    "gate",
    "hold_shape",
    "initiate",
    "predict",
    "reupdate",
    "update",
    "warp",
]

# Planes of the states.
POSITION, VELOCITY, POSITION_VARIANCE, COVARIANCE, VELOCITY_VARIANCE = range(5)
PLANES = 5

# 0.95 quantiles of the chi-squared distribution with 4 and 2 degrees of freedom.
GATE = 9.4877
GATE_POSITION = 5.9915

# Noise as standard deviations: a factor on the height of the box, and a constant for the aspect ratio,
# which has no unit. Section 2.1 leaves the values to the published code.
_POSITION_SCALE = np.array([1 / 20, 1 / 20, 0.0, 1 / 20])
_VELOCITY_SCALE = np.array([1 / 160, 1 / 160, 0.0, 1 / 160])
_POSITION_ASPECT = np.array([0.0, 0.0, 1e-2, 0.0])
_VELOCITY_ASPECT = np.array([0.0, 0.0, 1e-5, 0.0])
_MEASURED_ASPECT = np.array([0.0, 0.0, 1e-1, 0.0])
_LEAST_HEIGHT = 1e-6  # pixels; a box that shrinks in extrapolation may have none
# Frames after which the variance of a track matched in every frame no longer changes.
_SETTLED = 100


def initiate(boxes_xyah: NDArray[np.float64]) -> NDArray[np.float64]:
    """Start tracks at rest on their first boxes.

    Args:
        boxes_xyah: ``(N, 4)``.

    Returns:
        ``(5, N, 4)`` states.
    """
    height = boxes_xyah[:, 3:]  # (N, 1)
    states = np.zeros((PLANES, *boxes_xyah.shape))
    states[POSITION] = boxes_xyah
    states[POSITION_VARIANCE] = _variance(height, 2 * _POSITION_SCALE, _POSITION_ASPECT)
    states[VELOCITY_VARIANCE] = _variance(height, 10 * _VELOCITY_SCALE, _VELOCITY_ASPECT)
    return states


def predict(states: NDArray[np.float64], *, velocity_noise: float = 1.0) -> NDArray[np.float64]:
    """Predict the states one frame later; the process noise follows the height before the step.

    Args:
        states: ``(5, N, 4)``.
        velocity_noise: factor on the standard deviations of the velocities' process noise.

    Returns:
        ``(5, N, 4)``.
    """
    position, velocity, variance, covariance, velocity_variance = states
    height = position[:, 3:]
    later = np.empty_like(states)
    np.add(position, velocity, out=later[POSITION])
    later[VELOCITY] = velocity
    later[POSITION_VARIANCE] = (
        variance + 2 * covariance + velocity_variance + _variance(height, _POSITION_SCALE, _POSITION_ASPECT)
    )
    np.add(covariance, velocity_variance, out=later[COVARIANCE])
    scale, aspect = velocity_noise * _VELOCITY_SCALE, velocity_noise * _VELOCITY_ASPECT
    np.add(velocity_variance, _variance(height, scale, aspect), out=later[VELOCITY_VARIANCE])
    return later


def update(
    states: NDArray[np.float64],
    boxes_xyah: NDArray[np.float64],
    noise_scale: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Correct each state by one measured box.

    Args:
        states: ``(5, N, 4)``.
        boxes_xyah: ``(N, 4)``, row i measures track i.
        noise_scale: ``(N,)`` factors on the measurement variance; None: 1 for all.

    Returns:
        ``(5, N, 4)``; the covariance is ``P - K S K'``, as in the classic code.
    """
    position, velocity, variance, covariance, velocity_variance = states
    noise = _measurement_noise(position)
    if noise_scale is not None:
        noise *= noise_scale[:, None]
    innovation_variance = variance + noise  # S, (N, 4)
    gain = variance / innovation_variance
    velocity_gain = covariance / innovation_variance
    innovation = boxes_xyah - position
    corrected = np.empty_like(states)
    np.add(position, gain * innovation, out=corrected[POSITION])
    np.add(velocity, velocity_gain * innovation, out=corrected[VELOCITY])
    gain *= innovation_variance  # K S of the position row
    np.subtract(variance, gain * (variance / innovation_variance), out=corrected[POSITION_VARIANCE])
    np.subtract(covariance, gain * velocity_gain, out=corrected[COVARIANCE])
    np.subtract(
        velocity_variance,
        velocity_gain * innovation_variance * velocity_gain,
        out=corrected[VELOCITY_VARIANCE],
    )
    return corrected


def reupdate(
    anchors: NDArray[np.float64],
    observed: NDArray[np.float64],
    boxes_xyah: NDArray[np.float64],
    gaps: NDArray[np.int64],
    *,
    velocity_noise: float = 1.0,
) -> NDArray[np.float64]:
    """Filter tracks that are found again as if they had been seen on a straight line in between.

    While a track is missed, its velocity drifts unchecked. The filter returns to the last match and runs
    over boxes interpolated between that detection and the new one.

    Args:
        anchors: ``(5, N, 4)`` states right after the last match.
        observed: ``(N, 4)`` xyah measured at the last match.
        boxes_xyah: ``(N, 4)`` measured in this frame.
        gaps: ``(N,)`` frames from one to the other, at least 1.
        velocity_noise: as in `predict`.

    Returns:
        ``(5, N, 4)`` states predicted to this frame, not yet corrected by ``boxes_xyah``.

    Source: Cao et al., "Observation-Centric SORT", CVPR 2023 (arXiv 2203.14360), section 4.1.
    """
    states = anchors.copy()
    step = (boxes_xyah - observed) / gaps[:, None]
    for frame in range(1, int(gaps.max(initial=0)) + 1):
        active = np.flatnonzero(gaps >= frame)
        moved = predict(states[:, active], velocity_noise=velocity_noise)
        virtual = np.flatnonzero(gaps[active] > frame)
        interpolated = observed[active[virtual]] + frame * step[active[virtual]]
        moved[:, virtual] = update(moved[:, virtual], interpolated)
        states[:, active] = moved
    return states


def gate(
    states: NDArray[np.float64], boxes_xyah: NDArray[np.float64], *, position_only: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find the boxes inside the motion gate of each track.

    A pair passes when its squared Mahalanobis distance, measurement noise included, is at most the
    0.95 quantile of the chi-squared distribution (equations 1 and 2 of the paper).

    Args:
        states: ``(5, T, 4)``, predicted to the frame of the boxes.
        boxes_xyah: ``(N, 4)``.
        position_only: ignore aspect ratio and height, and use the quantile for 2 degrees of freedom.

    Returns:
        For P pairs, ``(P,)`` each: rows (tracks, ascending), columns (boxes) and squared distances.
    """
    position = states[POSITION]
    variance = states[POSITION_VARIANCE] + _measurement_noise(position)  # S, (T, 4)
    limit = GATE_POSITION if position_only else GATE
    # Few boxes pass in x alone. A binary search in the sorted centres finds them without any work for the
    # other pairs; the reach is rounded up, and the distance decides.
    order = boxes_xyah[:, 0].argsort(kind="stable")
    centres = boxes_xyah[order, 0]
    reach = np.sqrt(limit * variance[:, 0]) * (1 + 1e-9) + 1e-9
    first = centres.searchsorted(position[:, 0] - reach, side="left")
    counts = centres.searchsorted(position[:, 0] + reach, side="right") - first
    rows = np.arange(len(position)).repeat(counts)
    start = counts.cumsum() - counts
    columns = order[np.arange(len(rows)) + (first - start).repeat(counts)]
    distance = np.zeros(len(rows))
    for dimensions in ((0, 1),) if position_only else ((0, 1), (2, 3)):
        for dimension in dimensions:
            step = boxes_xyah[:, dimension][columns] - position[:, dimension][rows]
            distance += step * step / variance[:, dimension][rows]
        inside = (distance <= limit).nonzero()[0]
        rows, columns, distance = rows[inside], columns[inside], distance[inside]
    return rows, columns, distance


def distance(states: NDArray[np.float64], boxes_xyah: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the squared Mahalanobis distance of every pair, measurement noise included (equation 1).

    Args:
        states: ``(5, T, 4)``, predicted to the frame of the boxes.
        boxes_xyah: ``(N, 4)``.

    Returns:
        ``(T, N)``.
    """
    position = states[POSITION]
    deviation = np.sqrt(states[POSITION_VARIANCE] + _measurement_noise(position))
    steps = (boxes_xyah[None] - position[:, None]) / deviation[:, None]  # (T, N, 4)
    squared: NDArray[np.float64] = (steps**2).sum(axis=2)
    return squared


def excess_uncertainty(
    states: NDArray[np.float64], *, velocity_noise: float = 1.0, position_only: bool = False
) -> NDArray[np.float64]:
    """How much wider a track's gate is than that of a track matched in every frame.

    A wide gate brings many detections close. The log-likelihood of a measurement accounts for it by
    ln |S|, the log-determinant of the innovation covariance (Bar-Shalom and Li, "Multitarget-multisensor
    tracking", 1995, section 2.4); the squared Mahalanobis distance alone does not.

    Args:
        states: ``(5, T, 4)``, predicted to this frame.
        velocity_noise: as in `predict`.
        position_only: leave aspect ratio and height out.

    Returns:
        ``(T,)`` ln |S| minus that of a track of the same height matched in every frame, at least 0.
    """
    position = states[POSITION]
    scale = np.ones_like(position)
    scale[:, [0, 1, 3]] = np.maximum(position[:, 3:], _LEAST_HEIGHT) ** 2
    variance = (states[POSITION_VARIANCE] + _measurement_noise(position)) / scale
    ratio = np.maximum(variance / _steady_variance(velocity_noise), np.finfo(np.float64).tiny)
    excess: NDArray[np.float64] = np.log(ratio)[:, : 2 if position_only else 4].sum(axis=1)
    return excess.clip(min=0.0)


@lru_cache(maxsize=16)
def _steady_variance(velocity_noise: float) -> NDArray[np.float64]:
    """Return the innovation variances ``(4,)`` of a track of height 1 that is matched in every frame."""
    box = np.array([[0.0, 0.0, 0.5, 1.0]])
    states = initiate(box)
    for _ in range(_SETTLED):
        states = predict(update(states, box), velocity_noise=velocity_noise)
    variance: NDArray[np.float64] = states[POSITION_VARIANCE, 0] + _measurement_noise(box)[0]
    return variance


def hold_shape(states: NDArray[np.float64], tracks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Stop the change of aspect ratio and height of some tracks.

    The size of a half-hidden box changes fast; extrapolated while the track is missed, it soon fits no
    person. ByteTrack's published code stops the height in the same way.

    Args:
        states: ``(5, T, 4)``.
        tracks: ``(T,)`` the tracks to hold.

    Returns:
        ``(5, T, 4)``.
    """
    held = states.copy()
    held[VELOCITY, tracks, 2:] = 0.0
    return held


def warp(states: NDArray[np.float64], camera_motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move the states with the camera.

    The noise of x, y and height is equal by construction, so a rotation leaves the four blocks of the
    covariance unchanged; a change of scale multiplies them by its square. This is exact for a similarity; a
    shear counts by its mean scale.

    Args:
        states: ``(5, N, 4)``, or ``(1, N, 4)`` positions alone.
        camera_motion: ``(2, 3)`` affine map from the previous frame's pixels to this frame's.

    Returns:
        The moved states, of the same shape.
    """
    linear = camera_motion[:, :2]
    scale = np.sqrt(abs(np.linalg.det(linear)))
    moved = states.copy()
    mean = slice(POSITION, POSITION_VARIANCE)  # position and velocity
    moved[mean, :, :2] = states[mean, :, :2] @ linear.T
    moved[POSITION, :, :2] += camera_motion[:, 2]
    moved[mean, :, 3] *= scale
    moved[POSITION_VARIANCE:, :, [0, 1, 3]] *= scale**2
    return moved


def _measurement_noise(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variances ``(N, 4)`` of a measured box, from the predicted height."""
    return _variance(position[:, 3:], _POSITION_SCALE, _MEASURED_ASPECT)


def _variance(
    height: NDArray[np.float64], scale: NDArray[np.float64], constant: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squares of ``height * scale + constant``, ``(N, 1)`` to ``(N, 4)``."""
    deviation: NDArray[np.float64] = height * scale
    deviation += constant
    deviation *= deviation
    return deviation
