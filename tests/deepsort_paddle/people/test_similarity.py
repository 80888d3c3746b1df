"""Distances between tracks, and what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.similarity import LinkModel, pair_distances, query_distances


def crops(sizes: list[int], seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit rows, and the track of each."""
    rows = np.random.default_rng(seed).normal(size=(sum(sizes), 5)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), np.repeat(np.arange(len(sizes)), sizes)


def naive(rows: NDArray[np.float32], owner: NDArray[np.int64], first: int, second: int) -> float:
    """The lower quartile of all distances between two tracks."""
    every = 1 - rows[owner == first] @ rows[owner == second].T
    return float(np.quantile(every, 0.25)) if every.size else np.inf


@pytest.mark.parametrize("chunk", [1, 3, 25, 26])
def test_the_distance_of_two_tracks_is_the_lower_quartile_of_their_crops(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepsort_paddle.people.similarity._PAIRS", chunk)
    rows, owner = crops([3, 0, 1, 8, 2])
    pairs = np.array([(first, second) for first in range(5) for second in range(5)])
    expected = [naive(rows, owner, *pair) for pair in pairs.tolist()]
    np.testing.assert_allclose(pair_distances(rows, owner, 5, pairs), expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 8])
def test_the_distance_of_a_query_to_a_track_is_the_same(size: int) -> None:
    rows, owner = crops([3, 0, 1, 8, 2])
    query, own = crops([size], seed=1)
    expected = []
    for track in range(5):
        every, owners = np.concatenate([rows, query]), np.concatenate([owner, own + 9])
        expected.append(naive(every, owners, track, 9))
    np.testing.assert_allclose(query_distances(query, rows, owner, 5), expected, atol=1e-6)


def test_no_tracks_have_no_distances() -> None:
    none, empty = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    query = np.eye(1, 4, dtype=np.float32)
    assert query_distances(query, empty, none, 0).shape == (0,)
    assert np.isinf(query_distances(query, empty, none, 2)).all()
    assert np.isinf(pair_distances(empty, none, 2, np.array([[0, 1]]))).all()


def test_probability_falls_with_distance_and_with_the_number_of_tracks() -> None:
    links = LinkModel(same=(0.3, 0.1), different=(0.9, 0.1))
    distance = np.linspace(0, 2, 41)
    few, many = (links.probability(distance, tracks=tracks) for tracks in (5, 500))
    assert (np.diff(few) <= 1e-12).all()
    assert (many < few).all()
    assert few[0] > 0.9
    assert few[-1] < 0.01


def test_infinite_distance_is_certainly_different() -> None:
    links = LinkModel(same=(0.3, 0.1), different=(0.9, 0.1))
    assert links.probability(np.array([np.inf]), tracks=1)[0] < 0.5


def test_a_video_in_which_everybody_looks_alike_makes_joins_less_likely() -> None:
    links = LinkModel(same=(0.3, 0.1), different=(0.9, 0.1))
    alike = links.adapted(np.random.default_rng(0).normal(0.5, 0.1, 200))
    assert 0.5 < alike.different[0] < 0.6
    assert alike.probability(np.array([0.4]), tracks=5) < links.probability(np.array([0.4]), tracks=5)
    assert links.adapted(np.array([np.inf])) == links


def test_a_model_without_calibration_gets_its_distributions_from_the_threshold(model: ReidModel) -> None:
    plain = LinkModel.of(ReidModel("mine", "", 0.3))
    assert plain.same[0] < 0.3 < plain.different[0]
    calibrated = LinkModel.of(model)
    assert calibrated.same[0] < 0.2 < 0.9 < calibrated.different[0]
