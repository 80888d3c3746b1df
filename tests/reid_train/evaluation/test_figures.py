from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from reid_train.data.datasets import ImageIndex
from reid_train.evaluation import ranking
from reid_train.evaluation.figures import (
    across_cameras,
    distance_histogram,
    market_figures,
    market_ranks,
    query_rows,
    rank_lists,
    ranking_figures,
    recall_at,
    recall_figures,
)
from reid_train.evaluation.ranking import GalleryRules


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def directions(*degrees):
    """Return unit vectors of the plane by their angle in degrees."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def ids(*values):
    return np.array(values, np.int64)


def random_set(seed, *, ties):
    """280 embeddings, pids with junk and distractors, camids with unknown ones."""
    rng = np.random.default_rng(seed)
    # With ties: sixteen vectors whose products are exact, so equal distances are equal in floating point.
    rows = rng.choice([-0.5, 0.5], (280, 4)) if ties else rng.standard_normal((280, 8))
    pids, camids = rng.integers(-1, 15, 280), rng.integers(0, 5, 280)
    return unit(rows), pids, camids


def naive_market(
    query_embeddings, query_pids, query_camids, gallery_embeddings, gallery_pids, gallery_camids
):
    """Follow the protocol literally: rows, first hits, average precisions, inverse penalties."""
    outcome = []
    for query in range(len(query_pids)):
        if query_pids[query] <= 0:
            continue
        candidates = []
        for row in range(len(gallery_pids)):
            same_person = gallery_pids[row] == query_pids[query]
            same_camera = gallery_camids[row] == query_camids[query] != 0
            if gallery_pids[row] == -1 or (same_person and same_camera):
                continue
            candidates.append((-float(query_embeddings[query] @ gallery_embeddings[row]), row))
        hits, precisions, first, last = 0, [], 0, 0
        for position, (_, row) in enumerate(sorted(candidates), start=1):
            if gallery_pids[row] == query_pids[query]:
                hits += 1
                precisions.append(hits / position)
                first, last = first or position, position
        if hits:
            outcome.append((query, first, sum(precisions) / hits, hits / last))
    return [np.array(column) for column in zip(*outcome, strict=True)]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_market_ranks_equal_a_naive_loop(seed, ties):
    embeddings, pids, camids = random_set(seed, ties=ties)
    columns = (embeddings[:80], pids[:80], camids[:80], embeddings[80:], pids[80:], camids[80:])
    rows, first, precision, penalty = naive_market(*columns)
    ranks = market_ranks(*columns)
    np.testing.assert_array_equal(ranks.rows, rows)
    np.testing.assert_array_equal(ranks.first_hit, first)
    np.testing.assert_allclose(ranks.average_precision, precision, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ranks.inverse_penalty, penalty, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        ranks.cmc(), [np.mean(first <= rank) for rank in range(1, np.sum(pids[80:] != -1) + 1)], atol=1e-12
    )
    figures = market_figures(*columns)
    assert figures.mean_ap == pytest.approx(np.mean(precision), abs=1e-12)
    assert figures.queries == len(rows)


def test_market_figures_of_a_worked_example():
    # The query is at 0 degrees, the gallery at growing angles.
    gallery = directions(5, 10, 20, 30, 40, 50)
    pids, camids = ids(4, -1, 0, 4, 2, 4), ids(1, 2, 2, 2, 2, 3)
    figures = market_figures(directions(0), ids(4), ids(1), gallery, pids, camids)
    # 5 degrees: same camera, removed. 10: junk. Left: distractor, right, wrong, right.
    assert figures.rank1 == 0.0
    assert figures.rank5 == 1.0
    assert figures.mean_ap == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert figures.mean_inp == pytest.approx(2 / 4)
    assert figures.queries == 1


def test_recall_of_a_worked_example():
    embeddings = directions(0, 3, 10, 18, 90)
    pids = ids(1, 2, 1, 1, 3)
    # 0: nearest is 3 (wrong), then 10 (right). 3: no other of person 2. 10: 3 (7 degrees off, wrong),
    # then 18 (right). 18: 10 (right). 90: no other of person 3.
    assert recall_at(embeddings, pids) == pytest.approx(1 / 5)
    assert recall_at(embeddings, pids, 2) == pytest.approx(3 / 5)
    figures = recall_figures(embeddings, pids)
    assert (figures.recall1, figures.recall5, figures.images) == (
        pytest.approx(1 / 5),
        pytest.approx(3 / 5),
        5,
    )


@pytest.mark.parametrize("ties", [False, True])
def test_recall_equals_a_naive_loop(ties):
    embeddings, pids, _ = random_set(11, ties=ties)
    similarity = (embeddings @ embeddings.T).tolist()
    for k in (1, 2, 7):
        hits = []
        for row in np.flatnonzero(pids > 0).tolist():
            others = [(-similarity[row][other], other) for other in np.flatnonzero(pids != -1).tolist()]
            nearest = [other for _, other in sorted(others) if other != row][:k]
            hits.append(any(pids[other] == pids[row] for other in nearest))
        assert recall_at(embeddings, pids, k) == pytest.approx(np.mean(hits), abs=1e-12)


def test_a_collapsed_network_scores_by_gallery_order_only():
    embeddings = np.tile(directions(0), (6, 1))
    # Equal distances rank by gallery row: all are nearest to row 0, and row 0 to row 1.
    assert recall_at(embeddings, ids(1, 2, 3, 1, 2, 3)) == pytest.approx(1 / 6)


def test_recall_does_not_count_distractors_as_one_person():
    assert recall_at(directions(0, 1, 50, 60), ids(0, 0, 1, 1)) == 1.0
    with pytest.raises(ValueError, match="needs images of persons"):
        recall_at(directions(0, 1), ids(0, -1))


def test_zero_rows_are_ranked_and_do_not_fail():
    embeddings = np.concatenate([directions(0, 5), np.zeros((1, 2), np.float32)])
    assert recall_at(embeddings, ids(1, 1, 1)) == 1.0


def test_bad_embeddings_are_refused_by_name():
    good, broken = directions(0, 5), directions(0, 5)
    broken[1] = np.nan
    one, pids = ids(1, 1), ids(1, 1)
    with pytest.raises(ValueError, match="gallery embeddings must be finite unit rows, 1 of 2 are not"):
        market_figures(good, pids, one, broken, pids, one)
    with pytest.raises(ValueError, match="query embeddings must be finite unit rows, 2 of 2 are not"):
        market_figures(3 * good, pids, one, good, pids, one)
    with pytest.raises(ValueError, match=r"query embeddings must be \(2, D\), got \(3, 2\)"):
        market_figures(directions(0, 5, 9), pids, one, good, pids, one)
    with pytest.raises(ValueError, match="one size, got 2 and 3"):
        market_figures(good, pids, one, np.eye(3, dtype=np.float32)[:2], pids, one)


def test_memory_does_not_grow_with_the_number_of_queries(monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK_VALUES", 2**17)
    rng = np.random.default_rng(0)
    queries, gallery = unit(rng.standard_normal((1000, 2))), unit(rng.standard_normal((4000, 2)))
    query_pids, gallery_pids = np.arange(1, 1001), np.arange(1, 4001)
    ones, twos = np.ones(1000, np.int64), np.full(4000, 2, np.int64)
    tracemalloc.start()
    market_figures(queries, query_pids, ones, gallery, gallery_pids, twos)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The whole table of similarities would be 16 MB, a block is half a megabyte.
    assert peak < 3e6


def test_rank_list_is_the_head_of_the_ranking():
    gallery = directions(5, 10, 20, 30, 40, 50)
    rules = GalleryRules(ids(4), ids(1), ids(4, -1, 0, 4, 2, 4), ids(1, 2, 2, 2, 2, 3))
    (entry,) = rank_lists(directions(0), gallery, rules, ids(0), length=3)
    assert entry.query == 0
    assert entry.gallery.tolist() == [2, 3, 4]
    assert entry.right.tolist() == [False, True, False]
    np.testing.assert_allclose(entry.distances, 1 - np.cos(np.deg2rad([20, 30, 40])), atol=1e-6)
    (whole,) = rank_lists(directions(0), gallery, rules, ids(0))
    assert whole.gallery.tolist() == [2, 3, 4, 5]  # fewer than ten are left


def test_histogram_counts_every_ranked_pair_once():
    embeddings, pids, camids = random_set(2, ties=False)
    rules = GalleryRules(pids[:80], camids[:80], pids[80:], camids[80:])
    histogram = distance_histogram(embeddings[:80], embeddings[80:], rules, bins=20)
    same, different = [], []
    for query in np.flatnonzero(pids[:80] > 0):
        for row in np.flatnonzero(pids[80:] != -1) + 80:
            distance = 1 - float(embeddings[query] @ embeddings[row])
            if pids[query] != pids[row]:
                different.append(distance)
            elif camids[query] != camids[row] or camids[row] == 0:
                same.append(distance)
    assert (histogram.same_pairs, histogram.different_pairs) == (len(same), len(different))
    assert histogram.edges == pytest.approx(np.linspace(0, 2, 21))
    assert histogram.same == pytest.approx(np.histogram(same, histogram.edges)[0] / len(same))
    assert histogram.different == pytest.approx(np.histogram(different, histogram.edges)[0] / len(different))


def test_query_is_the_first_image_by_name_of_each_person_and_camera():
    names = [
        "0002_c1_b.jpg",
        "0001_c1_z.jpg",
        "0001_c1_a.jpg",
        "0001_c2_a.jpg",
        "0000_c1_a.jpg",
        "-1_c1_a.jpg",
    ]
    index = ImageIndex(tuple(map(Path, names)), ids(2, 1, 1, 1, 0, -1), ids(1, 1, 1, 2, 1, 1))
    assert query_rows(index).tolist() == [0, 2, 3]
    assert query_rows(index[np.array([False] * 4 + [True] * 2)]).tolist() == []


def test_figures_within_a_set_need_a_person_in_two_cameras():
    rng = np.random.default_rng(3)
    names = tuple(Path(f"{row:02}.jpg") for row in range(24))
    index = ImageIndex(names, rng.integers(1, 6, 24), rng.integers(1, 4, 24))
    embeddings = unit(rng.normal(size=(24, 4)))
    rows = query_rows(index)
    columns = (index.pids[rows], index.camids[rows], embeddings, index.pids, index.camids)
    want = market_figures(embeddings[rows], *columns, own_rows=rows)
    assert 0 < want.mean_ap < 1
    assert across_cameras(index)
    assert ranking_figures(embeddings, index) == want
    for camids in (np.zeros(24, np.int64), np.ones(24, np.int64)):
        one = ImageIndex(names, index.pids, camids)
        assert not across_cameras(one)
        assert ranking_figures(embeddings, one) is None
