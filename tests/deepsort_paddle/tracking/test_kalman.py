"""The block filter against filterpy's full 8x8 filter, one filter a track."""

from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray

from deepsort_paddle.tracking import kalman


def walk(tracks: int, frames: int, seed: int = 0) -> NDArray[np.float64]:
    """Measured boxes ``(frames, tracks, 4)`` xyah of people who walk and come nearer."""
    rng = np.random.default_rng(seed)
    start = np.column_stack(
        [rng.uniform(0, 1900, (tracks, 2)), rng.uniform(0.3, 0.6, tracks), rng.uniform(40, 300, tracks)]
    )
    speed = np.column_stack([rng.normal(0, 3, (tracks, 2)), np.zeros(tracks), rng.normal(0, 0.05, tracks)])
    time = np.arange(frames)[:, None, None]
    noise = rng.normal(0, 1, (frames, tracks, 4)) * [2, 2, 0.02, 2]
    return start + time * speed + noise


def noise(
    height: float, position: float, velocity: float, aspect: float, aspect_velocity: float
) -> list[float]:
    """Variances of the eight states, or of four with ``velocity`` 0, from deviations."""
    p, v = position * height, velocity * height
    return [x**2 for x in (p, p, aspect, p, v, v, aspect_velocity, v)]


def start_reference(box_xyah: NDArray[np.float64]) -> KalmanFilter:
    reference = KalmanFilter(dim_x=8, dim_z=4)
    reference.F = np.eye(8) + np.eye(8, k=4)
    reference.H = np.eye(4, 8)
    reference.x = np.concatenate([box_xyah, np.zeros(4)])
    reference.P = np.diag(noise(box_xyah[3], 2 / 20, 10 / 160, 1e-2, 1e-5))
    return reference


def predict_reference(reference: KalmanFilter, factor: float = 1.0) -> None:
    reference.predict(Q=np.diag(noise(reference.x[3], 1 / 20, factor / 160, 1e-2, factor * 1e-5)))


def measurement_noise(reference: KalmanFilter) -> NDArray[np.float64]:
    return np.diag(noise(reference.x[3], 1 / 20, 0, 1e-1, 0)[:4])


def full_covariance(states: NDArray[np.float64], track: int) -> NDArray[np.float64]:
    """The 8x8 matrix that the three planes stand for."""
    variance, covariance, velocity_variance = (np.diag(plane) for plane in states[2:, track])
    return np.block([[variance, covariance], [covariance, velocity_variance]])


def assert_equal(states: NDArray[np.float64], references: list[KalmanFilter]) -> None:
    for track, reference in enumerate(references):
        np.testing.assert_allclose(states[:2, track].ravel(), reference.x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(full_covariance(states, track), reference.P, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_filter_equals_filterpy_over_a_long_random_walk_with_gaps(factor: float) -> None:
    tracks, frames = 12, 250
    measured = walk(tracks, frames)
    rng = np.random.default_rng(1)
    states = kalman.initiate(measured[0])
    references = [start_reference(box) for box in measured[0]]
    assert_equal(states, references)
    for boxes_xyah in measured[1:]:
        states = kalman.predict(states, velocity_noise=factor)
        seen = np.flatnonzero(rng.random(tracks) < 0.7)
        states[:, seen] = kalman.update(states[:, seen], boxes_xyah[seen])
        for track, reference in enumerate(references):
            predict_reference(reference, factor)
            if track in seen:
                reference.update(boxes_xyah[track], R=measurement_noise(reference))
        assert_equal(states, references)


def test_gate_equals_the_mahalanobis_distance_of_filterpy() -> None:
    measured = walk(15, 4, seed=2)
    measured[:, 5:10, :2] = measured[:, :5, :2] + 3  # crowd them, so that gates overlap
    states = kalman.initiate(measured[0])
    references = [start_reference(box) for box in measured[0]]
    for boxes_xyah in measured[1:3]:
        states = kalman.update(kalman.predict(states), boxes_xyah)
        for reference, box in zip(references, boxes_xyah, strict=True):
            predict_reference(reference)
            reference.update(box, R=measurement_noise(reference))
    states = kalman.predict(states)
    for dimensions, limit in ((4, 9.4877), (2, 5.9915)):
        expected = {}
        for row, reference in enumerate(references):
            if dimensions == 4:
                predict_reference(reference)
            spread = (reference.P[:4, :4] + measurement_noise(reference))[:dimensions, :dimensions]
            for column, box in enumerate(measured[3]):
                step = (box - reference.x[:4])[:dimensions]
                distance = step @ np.linalg.inv(spread) @ step
                if distance <= limit:
                    expected[row, column] = distance
        rows, columns, distances = kalman.gate(states, measured[3], position_only=dimensions == 2)
        assert (np.diff(rows) >= 0).all()
        found = {(int(r), int(c)): d for r, c, d in zip(rows, columns, distances, strict=True)}
        assert found.keys() == expected.keys()
        assert len(found) > 15
        for pair, distance in found.items():
            assert distance == pytest.approx(expected[pair], rel=1e-9)


def test_noise_scale_multiplies_the_measurement_noise() -> None:
    measured = walk(3, 2)
    states = kalman.predict(kalman.initiate(measured[0]))
    scaled = kalman.update(states, measured[1], np.array([1.0, 0.25, 4.0]))
    for track, factor in enumerate((1.0, 0.25, 4.0)):
        reference = start_reference(measured[0, track])
        predict_reference(reference)
        reference.update(measured[1, track], R=factor * measurement_noise(reference))
        np.testing.assert_allclose(scaled[:2, track].ravel(), reference.x, rtol=1e-9)


def test_warp_by_a_similarity_equals_the_full_matrix_product() -> None:
    measured = walk(5, 3)
    states = kalman.initiate(measured[0])
    for boxes_xyah in measured[1:]:
        states = kalman.update(kalman.predict(states), boxes_xyah)
    angle, scale = 0.3, 1.2
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([7.0, -4.0])
    moved = kalman.warp(states, np.column_stack([turn, shift]))
    block = np.eye(4)
    block[:2, :2] = turn
    block[3, 3] = scale
    full = np.kron(np.eye(2), block)
    for track in range(5):
        mean = full @ states[:2, track].ravel()
        mean[:2] += shift
        np.testing.assert_allclose(moved[:2, track].ravel(), mean, rtol=1e-12)
        expected = full @ full_covariance(states, track) @ full.T
        np.testing.assert_allclose(full_covariance(moved, track), expected, rtol=1e-9, atol=1e-9)


def test_identity_warp_changes_nothing() -> None:
    states = kalman.initiate(walk(4, 1)[0])
    np.testing.assert_allclose(kalman.warp(states, np.eye(2, 3)), states)


def test_a_track_at_rest_stays_where_it_is_measured() -> None:
    box = np.array([[100.0, 200.0, 0.5, 80.0]])
    states = kalman.initiate(box)
    for _ in range(50):
        states = kalman.update(kalman.predict(states), box)
    np.testing.assert_allclose(states[0], box)
    np.testing.assert_allclose(states[1], 0, atol=1e-12)


@pytest.mark.parametrize("velocity_noise", [1.0, 2.0])
def test_excess_uncertainty_is_the_log_determinant_against_a_track_seen_in_every_frame(
    velocity_noise: float,
) -> None:
    boxes_xyah = walk(3, 1)[0]
    boxes_xyah[:, 3] = 100.0
    states = kalman.initiate(boxes_xyah)
    for _ in range(100):
        states = kalman.update(kalman.predict(states, velocity_noise=velocity_noise), boxes_xyah)
    states = kalman.predict(states, velocity_noise=velocity_noise)
    steady = states

    def log_determinant(states: NDArray[np.float64], track: int) -> float:
        reference = start_reference(states[0, track])
        covariance = full_covariance(states, track)[:4, :4] + measurement_noise(reference)
        return float(np.linalg.slogdet(covariance)[1])

    for _ in range(20):
        excess = kalman.excess_uncertainty(states, velocity_noise=velocity_noise)
        expected = [log_determinant(states, track) - log_determinant(steady, track) for track in range(3)]
        np.testing.assert_allclose(excess, expected, atol=1e-4)
        states = kalman.predict(states, velocity_noise=velocity_noise)
    centre = kalman.excess_uncertainty(states, velocity_noise=velocity_noise, position_only=True)
    assert (excess > centre).all()
    assert (centre > 3).all()


def test_excess_uncertainty_does_not_depend_on_the_height_and_takes_any() -> None:
    heights = np.array([1.0, 50.0, 4000.0, 0.0, -3.0])
    boxes_xyah = np.column_stack([np.zeros((5, 2)), np.full(5, 0.4), heights])
    states = kalman.predict(kalman.initiate(boxes_xyah))
    excess = kalman.excess_uncertainty(states)
    np.testing.assert_allclose(excess[:3], excess[0])
    assert np.isfinite(excess).all()


def test_a_held_shape_stops_changing_and_the_centre_goes_on() -> None:
    states = kalman.initiate(walk(2, 1)[0])
    states[1] = [3.0, 4.0, 0.01, -2.0]
    held = kalman.predict(kalman.hold_shape(states, np.array([True, False])))
    moved = kalman.predict(states)
    np.testing.assert_array_equal(held[0, 0], [*moved[0, 0, :2], *states[0, 0, 2:]])
    np.testing.assert_array_equal(held[:, 1], moved[:, 1])


@pytest.mark.parametrize("tracks", [0, 1])
def test_no_track_and_one_track_keep_their_shapes(tracks: int) -> None:
    boxes_xyah = walk(tracks, 1)[0].reshape(tracks, 4)
    states = kalman.update(kalman.predict(kalman.initiate(boxes_xyah)), boxes_xyah)
    assert kalman.warp(states, np.eye(2, 3)).shape == (5, tracks, 4)
    assert kalman.hold_shape(states, np.ones(tracks, bool)).shape == (5, tracks, 4)
    assert kalman.excess_uncertainty(states).shape == (tracks,)
    for boxes in (boxes_xyah, np.zeros((0, 4))):
        rows, columns, distance = kalman.gate(states, boxes)
        assert len(rows) == len(columns) == len(distance) == tracks * len(boxes)


def test_functions_leave_their_arguments_alone() -> None:
    boxes_xyah = walk(4, 1)[0]
    states = kalman.initiate(boxes_xyah)
    before = states.copy()
    kalman.predict(states)
    kalman.update(states, boxes_xyah, np.ones(4))
    kalman.gate(states, boxes_xyah)
    kalman.warp(states, np.eye(2, 3))
    kalman.hold_shape(states, np.ones(4, bool))
    kalman.excess_uncertainty(states)
    np.testing.assert_array_equal(states, before)
