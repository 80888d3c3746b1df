from __future__ import annotations

import itertools

import numpy as np
import pytest

from reid_train.evaluation import calibration
from reid_train.evaluation.calibration import (
    CalibrationSet,
    PairCounts,
    calibrate,
    count_pairs,
    count_ranked_pairs,
    roc_figures,
)
from reid_train.evaluation.ranking import GalleryRules


def counts_of(same, different):
    """Count given distances by the definition."""
    grid = np.arange(2001)
    return PairCounts(
        *(
            np.array([np.sum(np.ceil(np.array(values) * 1000 - 1e-9) <= step) for step in grid])
            for values in (same, different)
        )
    )


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_worked_example():
    # 200 different-person pairs at 0.301, 0.302, ..., 0.500: 1 % are two pairs.
    different = 0.3 + np.arange(1, 201) / 1000
    same = [0.1, 0.2, 0.302, 0.303, 0.4]
    found = calibrate(counts_of(same, different))
    assert found.max_cosine_distance == 0.302
    assert found.false_accept_rate == pytest.approx(2 / 200)
    assert found.false_reject_rate == pytest.approx(2 / 5)
    assert (found.same_pairs, found.different_pairs) == (5, 200)
    # At 0.362 to 0.399 31 % to 49.5 % are accepted, 20 % rejected; at 0.340 20 % and 20 %.
    assert found.equal_error_rate == pytest.approx(0.2)
    assert found.histogram_edges[:3] == (0.0, 0.05, 0.1)
    assert len(found.histogram_edges) == len(found.same) + 1 == len(found.different) + 1 == 41
    assert sum(found.same) == pytest.approx(1.0)
    assert sum(found.different) == pytest.approx(1.0, abs=1e-5)
    # Bins hold their upper edge: 0.1 is in (0.05, 0.1].
    assert [found.same[bin_] for bin_ in (1, 3, 6, 7)] == pytest.approx([0.2, 0.2, 0.4, 0.2])
    assert found.different[6] == pytest.approx(50 / 200)
    assert found.as_dict()["max_cosine_distance"] == 0.302


def test_a_higher_rate_gives_a_larger_threshold_that_accepts_more_and_rejects_less():
    rng = np.random.default_rng(0)
    counts = counts_of(rng.beta(2, 8, 500) * 2, rng.beta(5, 5, 3000) * 2)
    rates = (0.0005, 0.001, 0.003, 0.009)
    found = [calibrate(counts, false_accept_rate=rate) for rate in rates]
    for strict, lax in itertools.pairwise(found):
        assert strict.max_cosine_distance < lax.max_cosine_distance
        assert strict.false_accept_rate <= lax.false_accept_rate
        assert strict.false_reject_rate >= lax.false_reject_rate
    for one, rate in zip(found, rates, strict=True):
        step = round(one.max_cosine_distance * 1000)
        assert one.false_accept_rate <= rate < counts.different[step + 1] / 3000


def test_a_collapsed_network_gets_the_smallest_threshold_with_its_true_rates():
    same = calibrate(counts_of([0.0] * 4, [0.0] * 96 + [1.0] * 4))
    assert same.max_cosine_distance == 0.001
    assert same.false_accept_rate == pytest.approx(0.96)
    assert same.false_reject_rate == 0.0


def test_the_threshold_is_capped_by_the_share_of_same_person_pairs():
    # No other person is near, so the rate alone would allow 0.899.
    found = calibrate(counts_of([0.1, 0.2, 0.3], [0.9, 1.0, 1.1]))
    assert found.max_cosine_distance == 0.2
    assert (found.false_accept_rate, found.equal_error_rate) == (0, 0)
    assert found.false_reject_rate == pytest.approx(1 / 3)
    found = calibrate(counts_of([0.1, 0.2, 0.3, 0.4, 0.5], [0.9, 1.0, 1.1]))
    assert (found.max_cosine_distance, found.false_reject_rate) == (0.3, pytest.approx(0.4))


@pytest.mark.parametrize("block", [3, 19, 20, 21, 1024])
@pytest.mark.parametrize("cameras", [1, 3])
def test_pair_counts_equal_a_naive_loop(monkeypatch, block, cameras):
    monkeypatch.setattr(calibration, "BLOCK", block)
    rng = np.random.default_rng(1)
    embeddings = unit(rng.standard_normal((20, 4)))
    pids, camids = rng.integers(1, 5, 20), rng.integers(0, cameras, 20)
    same, different = [], []
    inside = {True: [], False: []}
    for i in range(20):
        for j in range(i + 1, 20):
            distance = float(1 - embeddings[i] @ embeddings[j])
            if camids[i] == camids[j] > 0:
                inside[bool(pids[i] == pids[j])].append(distance)
            if pids[i] != pids[j]:
                different.append(distance)
            elif cameras == 1 or (camids[i] != camids[j] and camids[i] and camids[j]):  # 0: unknown
                same.append(distance)
    found = count_pairs(embeddings, pids, camids)
    want = counts_of(same, different)
    np.testing.assert_array_equal(found.same, want.same)
    np.testing.assert_array_equal(found.different, want.different)
    if cameras == 1:  # all unknown
        assert found.same_in_camera is found.different_in_camera is None
    else:
        want = counts_of(inside[True], inside[False])
        np.testing.assert_array_equal(found.same_in_camera, want.same)
        np.testing.assert_array_equal(found.different_in_camera, want.different)


def test_different_person_pairs_in_one_camera_limit_the_threshold():
    # 1000 different-person pairs in one camera at 0.2005, 0.201, ...: 1 % are ten pairs, up to 0.205.
    inside = counts_of([0.1, 0.3], 0.2 + np.arange(1, 1001) / 2000)
    far = counts_of([0.25, 0.5, 0.6], np.full(5000, 0.9))
    counts = PairCounts(far.same, far.different, True, inside.same, inside.different)
    found = calibrate(counts)
    assert found.max_cosine_distance == 0.205
    assert (found.false_accept_rate, found.different_pairs) == (0.0, 5000)
    (condition,) = found.conditions
    assert condition.false_accept_rate == pytest.approx(10 / 1000)
    assert (condition.accept_rate, condition.accept_rate_in_camera) == (0.0, 1 / 2)
    assert (condition.same_pairs, condition.different_pairs, condition.same_pairs_in_camera) == (3, 1000, 2)
    few = counts_of([0.1], np.full(999, 0.2))  # too few for one per cent: all strangers count
    assert (
        calibrate(PairCounts(far.same, far.different, True, few.same, few.different)).max_cosine_distance
        == 0.5
    )


def test_the_threshold_holds_in_every_set_and_the_histogram_is_of_the_first():
    easy = counts_of([0.2, 0.3, 0.4], np.full(200, 0.9))
    hard = counts_of([0.5, 0.6], 0.1 + np.arange(1, 201) / 1000)
    found = calibrate([CalibrationSet("easy", easy), CalibrationSet("hard", hard, 0.15)])
    assert found.max_cosine_distance == 0.102
    assert (found.same_pairs, found.different_pairs, found.false_accept_rate) == (3, 200, 0.0)
    assert [(one.name, one.cast, one.limit) for one in found.conditions] == [
        ("easy", 0.0, 0.3),
        ("hard", 0.15, 0.102),
    ]
    assert [one.false_accept_rate for one in found.conditions] == [0.0, 2 / 200]
    assert [one.accept_rate_in_camera for one in found.conditions] == [None, None]
    with pytest.raises(ValueError, match="pairs of different persons in hard, got 0 and 1"):
        calibrate([CalibrationSet("easy", easy), CalibrationSet("hard", counts_of([], [0.5]))])
    with pytest.raises(ValueError, match="needs a set of images, got none"):
        calibrate([])


def test_ranked_pair_counts_equal_a_naive_loop():
    rng = np.random.default_rng(4)
    query, gallery = unit(rng.standard_normal((9, 4))), unit(rng.standard_normal((30, 4)))
    columns = [rng.integers(-1, 4, 9), rng.integers(1, 3, 9), rng.integers(-1, 4, 30), rng.integers(1, 3, 30)]
    same, different = [], []
    for i, j in itertools.product(range(9), range(30)):
        if columns[0][i] < 1 or columns[2][j] == -1:
            continue
        distance = float(1 - query[i] @ gallery[j])
        if columns[0][i] != columns[2][j]:
            different.append(distance)
        elif columns[1][i] != columns[3][j]:
            same.append(distance)
    found, want = count_ranked_pairs(query, gallery, GalleryRules(*columns)), counts_of(same, different)
    np.testing.assert_array_equal(found.same, want.same)
    np.testing.assert_array_equal(found.different, want.different)


def test_true_accept_rates_are_read_at_the_threshold_of_the_false_accept_rate():
    # 1000 different-person pairs at 0.001, 0.002, ...: one within 0.001, ten within 0.010.
    strangers = np.arange(1, 1001) / 1000
    found = roc_figures(counts_of([0.001, 0.01, 0.011, 0.5], strangers))
    assert (found.tar_at_far_0_001, found.tar_at_far_0_01) == (1 / 4, 2 / 4)
    assert (found.same_pairs, found.different_pairs) == (4, 1000)
    nothing = roc_figures(counts_of([0.0], [0.0] * 5))
    assert (nothing.tar_at_far_0_001, nothing.tar_at_far_0_01) == (0.0, 0.0)
    assert roc_figures(counts_of([], [0.5])) is None


def test_all_pairs_of_a_person_count_if_nobody_is_in_two_cameras():
    embeddings = unit(np.eye(4)[[0, 0, 1, 1]])
    found = count_pairs(embeddings, np.array([1, 1, 2, 2]), np.array([1, 1, 2, 2]))
    assert (found.same[-1], found.different[-1]) == (2, 4)
    assert found.same[0] == 2  # equal rows: rounding below zero is zero
    assert found.different[999] == 0 < found.different[1000]


def test_missing_pairs_and_an_invalid_rate_are_refused():
    with pytest.raises(ValueError, match="pairs of one person and pairs of different persons, got 0 and 2"):
        calibrate(counts_of([], [0.5, 0.6]))
    with pytest.raises(ValueError, match=r"false_accept_rate must be in \(0, 1\), got 1.0"):
        calibrate(counts_of([0.5], [0.5]), false_accept_rate=1.0)
    empty = count_pairs(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="got 0 and 0"):
        calibrate(empty)
