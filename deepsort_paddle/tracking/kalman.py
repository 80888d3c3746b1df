"""Constant-velocity Kalman filter over all tracks at once.

The state of a track is its box as ``xyah`` (centre x, centre y, width / height, height) and
the change of each of the four a frame. The classic filter carries an 8x8 covariance, but its
initial, process and measurement noise are diagonal and its motion couples each position
only with its own velocity. The covariance is therefore always four independent symmetric 2x2
blocks, three numbers each, and every step is elementwise arithmetic on ``(N, 4)`` arrays:
no matrix product, no inverse, no loop over tracks.

States of N tracks are one ``(5, N, 4)`` float64 array, whose planes are position, velocity,
variance of the position, covariance of both, variance of the velocity. Selecting tracks is
``states[:, rows]``, adding them is a concatenation along axis 1. Functions return new arrays.

Source: Wojke, Bewley and Paulus, "Simple online and realtime tracking with a deep association
metric", ICIP 2017 (arXiv 1703.07402), section 2.1; Kalman 1960 for the recursion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GATE",
    "GATE_POSITION",
    "distance",
    "gate",
    "initiate",
    "predict",
    "reupdate",
    "update",
    "warp",
]

# 0.95 quantiles of the chi-squared distribution with 4 and 2 degrees of freedom.
GATE = 9.4877
GATE_POSITION = 5.9915

# Noise as standard deviations: what multiplies the height of the box, and what is added
# (the aspect ratio has no unit). Section 2.1 leaves the values to the published code.
_POSITION_SCALE = np.array([1 / 20, 1 / 20, 0.0, 1 / 20])
_VELOCITY_SCALE = np.array([1 / 160, 1 / 160, 0.0, 1 / 160])
_POSITION_ASPECT = np.array([0.0, 0.0, 1e-2, 0.0])
_VELOCITY_ASPECT = np.array([0.0, 0.0, 1e-5, 0.0])
_MEASURED_ASPECT = np.array([0.0, 0.0, 1e-1, 0.0])


def initiate(boxes_xyah: NDArray[np.float64]) -> NDArray[np.float64]:
    """States of new tracks, at rest on ``(N, 4)`` boxes: ``(5, N, 4)``."""
    height = boxes_xyah[:, 3:]  # (N, 1)
    states = np.zeros((5, *boxes_xyah.shape))
    states[0] = boxes_xyah
    states[2] = _variance(height, 2 * _POSITION_SCALE, _POSITION_ASPECT)
    states[4] = _variance(height, 10 * _VELOCITY_SCALE, _VELOCITY_ASPECT)
    return states


def predict(states: NDArray[np.float64], *, velocity_noise: float = 1.0) -> NDArray[np.float64]:
    """States one frame later; the process noise follows the height before the step.

    ``velocity_noise`` multiplies its standard deviations of the velocities.
    """
    position, velocity, variance, covariance, velocity_variance = states
    height = position[:, 3:]
    later = np.empty_like(states)
    np.add(position, velocity, out=later[0])
    later[1] = velocity
    later[2] = (
        variance + 2 * covariance + velocity_variance + _variance(height, _POSITION_SCALE, _POSITION_ASPECT)
    )
    np.add(covariance, velocity_variance, out=later[3])
    scale, aspect = velocity_noise * _VELOCITY_SCALE, velocity_noise * _VELOCITY_ASPECT
    np.add(velocity_variance, _variance(height, scale, aspect), out=later[4])
    return later


def update(
    states: NDArray[np.float64],
    boxes_xyah: NDArray[np.float64],
    noise_scale: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """States corrected by one measured box each.

    Args:
        states: ``(5, N, 4)``.
        boxes_xyah: ``(N, 4)``, row i measures track i.
        noise_scale: ``(N,)`` factors on the variance of the measurement; None is 1 for all.

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
    np.add(position, gain * innovation, out=corrected[0])
    np.add(velocity, velocity_gain * innovation, out=corrected[1])
    gain *= innovation_variance  # K S of the position row
    np.subtract(variance, gain * (variance / innovation_variance), out=corrected[2])
    np.subtract(covariance, gain * velocity_gain, out=corrected[3])
    np.subtract(velocity_variance, velocity_gain * innovation_variance * velocity_gain, out=corrected[4])
    return corrected


def reupdate(
    anchors: NDArray[np.float64],
    observed: NDArray[np.float64],
    boxes_xyah: NDArray[np.float64],
    gaps: NDArray[np.int64],
    *,
    velocity_noise: float = 1.0,
) -> NDArray[np.float64]:
    """States of tracks found again, as if they had been seen on a straight line all the while.

    While a track is missed its velocity drifts unchecked. The filter goes back to the last match and runs
    over boxes between that one and the new one.

    Args:
        anchors: ``(5, N, 4)`` states right after the last match.
        observed: ``(N, 4)`` xyah measured then.
        boxes_xyah: ``(N, 4)`` measured now.
        gaps: ``(N,)`` frames between both, at least 1.
        velocity_noise: as in `predict`.

    Returns:
        ``(5, N, 4)`` states predicted to this frame, not yet corrected by ``boxes_xyah``.

    Source: Cao et al., "Observation-Centric SORT", CVPR 2023 (arXiv 2203.14360), section 4.1.
    """
    states = anchors.copy()
    step = (boxes_xyah - observed) / gaps[:, None]
    for frame in range(1, int(gaps.max(initial=0)) + 1):
        going = np.flatnonzero(gaps >= frame)
        moved = predict(states[:, going], velocity_noise=velocity_noise)
        virtual = np.flatnonzero(gaps[going] > frame)
        on_line = observed[going[virtual]] + frame * step[going[virtual]]
        moved[:, virtual] = update(moved[:, virtual], on_line)
        states[:, going] = moved
    return states


def gate(
    states: NDArray[np.float64], boxes_xyah: NDArray[np.float64], *, position_only: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The boxes that lie where each track may have moved.

    A pair passes when its squared Mahalanobis distance, measurement noise included, is at most the
    0.95 quantile of the chi-squared distribution (equation 1 of the paper).

    Args:
        states: ``(5, T, 4)``, predicted to the frame of the boxes.
        boxes_xyah: ``(N, 4)``.
        position_only: leave aspect ratio and height out, and take the quantile for 2 degrees of freedom.

    Returns:
        Rows (tracks, ascending), columns (boxes) and squared distances of the pairs, ``(P,)`` each.
    """
    position = states[0]
    variance = states[2] + _measurement_noise(position)  # S, (T, 4)
    limit = GATE_POSITION if position_only else GATE
    # Few boxes pass in x alone. Found between two places in the sorted centres, they cost
    # nothing for each pair that does not pass; the reach is rounded up and the distance decides.
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
    """Squared Mahalanobis distances, measurement noise included, of all pairs: ``(T, N)``."""
    position = states[0]
    deviation = np.sqrt(states[2] + _measurement_noise(position))
    steps = (boxes_xyah[None] - position[:, None]) / deviation[:, None]  # (T, N, 4)
    squared: NDArray[np.float64] = (steps**2).sum(axis=2)
    return squared


def warp(states: NDArray[np.float64], camera_motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """States moved with the picture.

    Noise of x, y and height is equal by construction, so a rotation leaves the four blocks
    of the covariance as they are; a change of scale multiplies them by its square. Exact for a similarity;
    a shear is taken by its mean scale.

    Args:
        states: ``(5, N, 4)``, or only its first planes.
        camera_motion: ``(2, 3)`` affine map from the previous frame's pixels to this frame's.
    """
    linear = camera_motion[:, :2]
    scale = np.sqrt(abs(np.linalg.det(linear)))
    moved = states.copy()
    moved[:2, :, :2] = states[:2, :, :2] @ linear.T
    moved[0, :, :2] += camera_motion[:, 2]
    moved[:2, :, 3] *= scale
    moved[2:, :, [0, 1, 3]] *= scale**2
    return moved


def _measurement_noise(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variances ``(N, 4)`` of a measured box, by the predicted height."""
    return _variance(position[:, 3:], _POSITION_SCALE, _MEASURED_ASPECT)


def _variance(
    height: NDArray[np.float64], scale: NDArray[np.float64], constant: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squares of ``height * scale + constant``, ``(N, 1)`` to ``(N, 4)``."""
    deviation: NDArray[np.float64] = height * scale
    deviation += constant
    deviation *= deviation
    return deviation
