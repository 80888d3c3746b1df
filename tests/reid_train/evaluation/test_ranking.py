from __future__ import annotations

import numpy as np
import pytest

from reid_train.evaluation import ranking
from reid_train.evaluation.ranking import GalleryRules, QueryRanks, rank_queries


def rank(scores, query, gallery, own_rows=None):
    """Rank by a table of scores; query and gallery are lists of (pid, camid)."""
    table = np.asarray(scores, np.float32)
    query_columns = np.array(query, np.int64).reshape(-1, 2).T
    gallery_columns = np.array(gallery, np.int64).reshape(-1, 2).T
    rules = GalleryRules(*query_columns, *gallery_columns, own_rows)
    return rank_queries(lambda rows: table[rows], rules, len(gallery))


def test_figures_of_a_worked_example_with_every_rule():
    gallery = [(7, 1), (-1, 2), (3, 2), (7, 2), (0, 3), (7, 3), (3, 1)]
    scores = [
        # Person 7 in camera 1: row 0 is removed (same camera), row 1 is junk. The rest ranks
        # 4 (distractor), 3 (right), 2, 5 (right), 6: right at 2 and 4.
        [0.99, 0.98, 0.60, 0.70, 0.90, 0.50, 0.10],
        # Person 3 in camera 2: row 2 is removed. The rest ranks 6 (right), ...: right at 1.
        [0.30, 0.97, 0.99, 0.20, 0.10, 0.40, 0.80],
        # Person 9 is not in the gallery: skipped.
        [0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70],
    ]
    ranks = rank(scores, [(7, 1), (3, 2), (9, 1)], gallery)
    assert ranks.rows.tolist() == [0, 1]
    assert ranks.first_hit.tolist() == [2, 1]
    assert ranks.average_precision.tolist() == pytest.approx([(1 / 2 + 2 / 4) / 2, 1 / 1])
    assert ranks.inverse_penalty.tolist() == pytest.approx([2 / 4, 1 / 1])
    figures = ranks.figures()
    assert figures.rank1 == pytest.approx(1 / 2)
    assert figures.rank5 == figures.rank10 == 1.0
    assert figures.mean_ap == pytest.approx((1 / 2 + 1) / 2)
    assert figures.mean_inp == pytest.approx((1 / 2 + 1) / 2)
    assert figures.queries == 2


def test_cmc_covers_the_whole_gallery_without_junk_and_never_falls():
    gallery = [(1, 2), (2, 2), (3, 2), (-1, 2)]
    scores = [[0.9, 0.1, 0.2, 0.3], [0.9, 0.1, 0.2, 0.3], [0.9, 0.1, 0.2, 0.3]]
    # Right images at rank 1, 3 and 2 of three.
    ranks = rank(scores, [(1, 1), (2, 1), (3, 1)], gallery)
    assert ranks.cmc().tolist() == pytest.approx([1 / 3, 2 / 3, 3 / 3])


def test_equal_scores_rank_in_the_order_of_gallery_rows():
    before = rank([[0.5, 0.5, 0.5]], [(1, 1)], [(1, 2), (2, 2), (3, 2)])
    behind = rank([[0.5, 0.5, 0.5]], [(1, 1)], [(2, 2), (3, 2), (1, 2)])
    assert before.first_hit.tolist() == [1]
    assert behind.first_hit.tolist() == [3]


def test_removed_and_junk_images_do_not_take_part_in_ties():
    ranks = rank([[0.5, 0.5, 0.5, 0.5]], [(1, 1)], [(1, 1), (-1, 3), (0, 2), (1, 2)])
    assert ranks.first_hit.tolist() == [2]  # behind the distractor only


def test_two_right_images_of_one_score_take_two_ranks():
    ranks = rank([[0.5, 0.5, 0.9]], [(1, 1)], [(1, 2), (1, 3), (2, 2)])
    assert ranks.average_precision.tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2])


def test_distractors_and_junk_are_never_queries():
    gallery = [(0, 2), (-1, 2), (1, 2)]
    ranks = rank([[0.9, 0.8, 0.7]] * 3, [(0, 1), (-1, 1), (1, 1)], gallery)
    assert ranks.rows.tolist() == [2]


def test_an_unknown_camera_equals_no_other():
    ranks = rank([[0.9, 0.8]], [(1, 0)], [(1, 0), (2, 0)])
    assert ranks.first_hit.tolist() == [1]


def test_the_query_itself_is_never_a_match():
    ranks = rank([[1.0, 0.8, 0.7]], [(1, 0)], [(1, 0), (2, 0), (1, 0)], np.array([0]))
    assert ranks.first_hit.tolist() == [2]


def test_no_match_at_all_is_an_error():
    with pytest.raises(ValueError, match="no query has an image of its person from another camera"):
        rank([[0.9]], [(1, 1)], [(1, 1)])
    with pytest.raises(ValueError, match="no query has an image"):
        rank(np.zeros((0, 1)), [], [(1, 1)])
    with pytest.raises(ValueError, match="no query has an image"):
        rank(np.zeros((1, 0)), [(1, 1)], [])


def test_columns_of_different_length_are_refused():
    one, two = np.ones(1, np.int64), np.ones(2, np.int64)
    with pytest.raises(ValueError, match="one length, got 1, 2 and 1"):
        GalleryRules(one, two, one, one)
    with pytest.raises(ValueError, match="gallery pids and camids must have one length, got 2 and 1"):
        GalleryRules(one, one, two, one)


@pytest.mark.parametrize("queries", [1, 3, 39, 40, 41])
def test_blocks_of_queries_give_the_ranks_of_one_block(monkeypatch, queries):
    rng = np.random.default_rng(3)
    scores = rng.choice(np.linspace(0, 1, 9), (40, 70))
    query = rng.integers([1, 1], [6, 4], (40, 2))
    gallery = rng.integers([-1, 1], [6, 4], (70, 2))
    whole = rank(scores, query, gallery)
    monkeypatch.setattr(ranking, "BLOCK_VALUES", queries * 70)
    blocks = rank(scores, query, gallery)
    for name in ("rows", "first_hit", "average_precision", "inverse_penalty"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(blocks, name))


def test_averages_of_one_query_are_its_values():
    ranks = QueryRanks(np.array([4]), np.array([6]), np.array([1 / 6]), np.array([1 / 6]), 9)
    assert ranks.figures().rank5 == 0.0
    assert ranks.figures().rank10 == 1.0
    assert ranks.cmc().tolist() == [0.0] * 5 + [1.0] * 4
