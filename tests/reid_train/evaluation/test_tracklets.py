from __future__ import annotations

import itertools

import numpy as np
import pytest

from reid_train.evaluation.tracklets import CROPS, tracklet_distances


def test_tracklets_are_compared_as_a_loop_compares_them():
    rng = np.random.default_rng(0)
    pids, camids = rng.integers(0, 5, 60), rng.integers(0, 3, 60)
    rows = rng.standard_normal((60, 6)) + 2 * rng.standard_normal((5, 6))[pids]
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    tracklets = {
        (person, camera): embeddings[(pids == person) & (camids == camera)]
        for person, camera in itertools.product(range(1, 5), range(1, 3))
    }
    assert max(map(len, tracklets.values())) <= CROPS  # so that no crop is left out
    kinds = {"same_across_cameras": [], "different_in_camera": [], "different_across_cameras": []}
    for (one, first), (other, second) in itertools.combinations(tracklets.items(), 2):
        distance = np.quantile(1 - first @ second.T, 0.25)
        if one[0] == other[0]:
            kinds["same_across_cameras"].append(distance)
        else:
            kinds[f"different_{'in_camera' if one[1] == other[1] else 'across_cameras'}"].append(distance)
    found = tracklet_distances(embeddings, pids, camids)
    assert [one.kind for one in found] == list(kinds)
    for one in found:
        distances = kinds[one.kind]
        assert one.pairs == len(distances)
        assert one.mean == pytest.approx(np.mean(distances), abs=1e-5)
        assert one.deviation == pytest.approx(np.std(distances), abs=1e-5)
        assert one.deciles == pytest.approx(np.quantile(distances, np.linspace(0, 1, 11)), abs=1e-5)


def test_of_a_long_tracklet_a_few_crops_spread_over_it_are_taken():
    angles = np.concatenate([np.linspace(0, 1, 100), np.full(100, 2.0)])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pids = np.repeat([1, 2], 100)
    (found,) = tracklet_distances(embeddings, pids, np.ones(200, np.int64))
    first = np.linspace(0, 99, CROPS).round().astype(int)
    expected = np.quantile(np.repeat(1 - np.cos(2.0 - angles[first]), CROPS), 0.25)
    assert (found.kind, found.pairs, found.crops) == ("different_in_camera", 1, CROPS)
    assert found.mean == pytest.approx(expected, abs=1e-5)


def test_without_cameras_or_with_one_tracklet_there_is_nothing_to_compare():
    embeddings = np.eye(4, dtype=np.float32)
    assert tracklet_distances(embeddings, np.array([1, 1, 2, 2]), np.zeros(4, np.int64)) == ()
    assert tracklet_distances(embeddings, np.ones(4, np.int64), np.ones(4, np.int64)) == ()
    assert tracklet_distances(embeddings[:0], np.zeros(0, np.int64), np.zeros(0, np.int64)) == ()
