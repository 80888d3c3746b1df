from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from reid_train.evaluation import reranking
from reid_train.evaluation.reranking import ReRanker, rerank, reranking_memory


def clusters(seed, *, images, persons, noise, size=16):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((persons, size))
    rows = centres[rng.integers(0, persons, images)] + noise * rng.standard_normal((images, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def naive_rerank(embeddings, queries, k1, k2, weight):
    """Zhong et al., equations 3 to 12 with sets and loops in float64."""
    count = len(embeddings)
    plain = np.maximum(2 - 2 * embeddings.astype(np.float64) @ embeddings.astype(np.float64).T, 0)
    np.fill_diagonal(plain, 0)
    order = np.argsort(plain, axis=1, kind="stable")
    plain = plain / plain.max(axis=1, keepdims=True)

    nearest = order.tolist()

    @cache
    def mutual(image, k):
        return {other for other in nearest[image][: k + 1] if image in nearest[other][: k + 1]}

    descriptions = np.zeros((count, count))
    for image in range(count):
        own = mutual(image, k1)
        expanded = set(own)
        for other in own:
            theirs = mutual(other, round(k1 / 2))
            if 3 * len(own & theirs) >= 2 * len(theirs):
                expanded |= theirs
        members = sorted(expanded)
        descriptions[image, members] = np.exp(-plain[image, members])
        descriptions[image] /= descriptions[image].sum()
    averaged = np.stack([descriptions[order[image, :k2]].mean(axis=0) for image in range(count)])
    result = np.empty((queries, count - queries))
    for query in range(queries):
        for place, image in enumerate(range(queries, count)):
            smaller = np.minimum(averaged[query], averaged[image]).sum()
            larger = np.maximum(averaged[query], averaged[image]).sum()
            result[query, place] = (1 - weight) * (1 - smaller / larger) + weight * plain[query, image]
    return result


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (6, 3, 0.0), (5, 1, 0.5), (1, 1, 0.3)])
@pytest.mark.parametrize("noise", [0.4, 1.2])
def test_distances_equal_a_naive_loop(noise, k1, k2, weight):
    embeddings = clusters(0, images=90, persons=8, noise=noise)
    expected = naive_rerank(embeddings, 20, k1, k2, weight)
    actual = rerank(embeddings[:20], embeddings[20:], k1=k1, k2=k2, weight=weight)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_worked_example_of_two_pairs():
    # Two persons with two images each: 0 and 1 are each other's nearest, so are 2 and 3 (k1 = k2 = 1).
    angles = np.deg2rad([0, 10, 60, 90])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    (distances,) = ReRanker(embeddings, k1=1, k2=1).distances(np.array([0]), np.array([1, 2, 3]))
    # Squared distance 2 - 2 cos as a share of the largest, that to 90 degrees: 2.
    near = 1 - np.cos(np.deg2rad(10))
    # Image 0 is encoded by {0: 1, 1: e^-near}, image 1 by {1: 1, 0: e^-share}; both scaled to sum 1.
    share = near / (1 - np.cos(np.deg2rad(80)))
    own = np.array([1, np.exp(-near)]) / (1 + np.exp(-near))
    other = np.array([np.exp(-share), 1]) / (1 + np.exp(-share))
    jaccard = 1 - np.minimum(own, other).sum() / np.maximum(own, other).sum()
    expected = [0.7 * jaccard + 0.3 * near, 0.7 * 1 + 0.3 * (1 - 1 / 2), 0.7 * 1 + 0.3 * 1]
    np.testing.assert_allclose(distances, expected, atol=1e-6)


@pytest.mark.parametrize("block", [7, 149, 150, 151])
def test_blocks_give_the_distances_of_one_block(monkeypatch, block):
    embeddings = clusters(1, images=150, persons=10, noise=0.7)
    whole = rerank(embeddings[:20], embeddings[20:])
    monkeypatch.setattr(reranking, "BLOCK_VALUES", block * 150)
    monkeypatch.setattr(reranking, "SET_BLOCK", block)
    monkeypatch.setattr(reranking, "PAIR_BLOCK", block)
    np.testing.assert_allclose(rerank(embeddings[:20], embeddings[20:]), whole, atol=1e-6)


def test_neighbours_of_neighbours_get_closer():
    # Images of one person on an arc, 12 degrees apart; another person as far from its start as its end is.
    rng = np.random.default_rng(0)
    rows = np.zeros((10, 3))
    angles = np.deg2rad(np.arange(0, 60, 12))
    rows[:5, 0], rows[:5, 1] = np.cos(angles), np.sin(angles)
    rows[5:, 0], rows[5:, 2] = np.cos(np.deg2rad(46)), np.sin(np.deg2rad(46))
    rows[5:] += 0.01 * rng.standard_normal((5, 3))
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    assert embeddings[0] @ embeddings[4] < embeddings[0] @ embeddings[5]
    (distances,) = ReRanker(embeddings, k1=4, k2=2).distances(np.array([0]), np.array([4, 5]))
    assert distances[0] < distances[1]


def test_identical_images_and_tiny_sets_stay_finite():
    for count in (2, 3, 40):
        same = np.tile(np.array([[1.0, 0.0]], np.float32), (count, 1))
        distances = rerank(same[:1], same[1:])
        assert distances.shape == (1, count - 1)
        assert np.isfinite(distances).all()
        assert (distances >= -1e-6).all()
        assert (distances <= 1 + 1e-6).all()


def test_bad_parameters_are_refused():
    embeddings = clusters(0, images=10, persons=2, noise=0.1)
    with pytest.raises(ValueError, match="1 <= k2 <= k1, got k1=3 and k2=4"):
        ReRanker(embeddings, k1=3, k2=4)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got 1.5"):
        ReRanker(embeddings, weight=1.5)
    with pytest.raises(ValueError, match=r"at least 2 images, got \(1, 16\)"):
        ReRanker(embeddings[:1])


def test_a_set_beyond_the_memory_limit_is_refused_first():
    embeddings = clusters(0, images=50, persons=2, noise=0.1)
    with pytest.raises(ValueError, match=r"re-ranking 50 images may take \d+\.\d GiB, the limit is 0\.1 GiB"):
        ReRanker(embeddings, memory=2**27)
    assert reranking_memory(103_368, 512) < 4 * 2**30 < reranking_memory(500_000, 512)
