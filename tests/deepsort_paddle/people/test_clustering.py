"""Constrained average linkage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from deepsort_paddle.people.clustering import cluster


def everything(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of items and random log odds."""
    pairs = np.column_stack(np.triu_indices(count, 1))
    return pairs, np.random.default_rng(seed).uniform(-7, 7, len(pairs))


@pytest.mark.parametrize("seed", range(8))
def test_without_constraints_it_is_average_linkage(seed: int) -> None:
    pairs, log_odds = everything(20, seed)
    labels = cluster(20, pairs, log_odds, threshold=0.5).labels
    expected = fcluster(linkage(8 - log_odds, "average"), 8 - 0.5, "distance")
    same, wanted = labels[:, None] == labels, expected[:, None] == expected
    np.testing.assert_array_equal(same, wanted)


@pytest.mark.parametrize("seed", range(8))
def test_pairs_that_must_stay_apart_do(seed: int) -> None:
    pairs, log_odds = everything(30, seed)
    apart = [tuple(pair) for pair in pairs[np.random.default_rng(seed).random(len(pairs)) < 0.1].tolist()]
    labels = cluster(30, pairs, log_odds + 4, apart=apart).labels
    assert all(labels[first] != labels[second] for first, second in apart)
    assert len(set(labels.tolist())) < 30


def test_pairs_that_are_not_given_count_as_different() -> None:
    # 0-1 and 1-2 are alike, nothing is known of 0-2: (3 - 8) / 2 is below the threshold.
    chain = np.array([[0, 1], [1, 2]])
    assert cluster(3, chain, np.array([4.0, 3.0])).labels.tolist() == [0, 0, 2]
    assert cluster(3, chain, np.array([4.0, 3.0]), floor=-2.0).labels.tolist() == [0, 0, 0]


def test_labels_are_the_smallest_item_and_strength_the_weakest_join() -> None:
    pairs = np.array([[3, 4], [1, 3], [1, 4]])
    clusters = cluster(5, pairs, np.array([5.0, 2.0, 1.0]))
    assert clusters.labels.tolist() == [0, 1, 2, 1, 1]
    np.testing.assert_allclose(clusters.strength, [np.nan, 1.5, np.nan, 1.5, 1.5])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_items_stay_as_they_are_without_pairs(count: int) -> None:
    none = np.zeros((0, 2), np.int64)
    assert cluster(count, none, np.zeros(0)).labels.tolist() == list(range(count))
