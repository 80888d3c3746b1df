"""Samplers: exact length, reproducible from (seed, iteration), right for people with few images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reid_train.training.samplers import PKSampler, Sampler, ShuffledSampler, TripletSampler, make_sampler

# Uneven: 1, 2, 3, ... images a person, in random order, labels with gaps.
COUNTS = {3: 1, 4: 2, 8: 3, 11: 4, 12: 7, 20: 12, 31: 1, 32: 5}


@pytest.fixture
def labels() -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(np.repeat(list(COUNTS), list(COUNTS.values())))


KINDS = {"shuffled": 10, "triplet": 12, "pk": 12, "pairs": 16}


def build(kind: str, labels: NDArray[np.int64], seed: int = 5) -> Sampler:
    return make_sampler(kind, labels, KINDS[kind], samples_each_class=4, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
def test_every_batch_has_the_exact_length_and_valid_rows(kind: str, labels: NDArray[np.int64]) -> None:
    sampler = build(kind, labels)
    for iteration in range(200):
        rows = sampler.batch(iteration)
        assert rows.shape == (KINDS[kind],)
        assert rows.dtype == np.int64
        assert rows.min() >= 0
        assert rows.max() < len(labels)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_is_a_function_of_seed_and_iteration(kind: str, labels: NDArray[np.int64]) -> None:
    one, two, other = build(kind, labels), build(kind, labels), build(kind, labels, seed=6)
    wanted = [one.batch(iteration) for iteration in range(30)]
    for iteration in reversed(range(30)):
        np.testing.assert_array_equal(two.batch(iteration), wanted[iteration])
    assert any((other.batch(iteration) != wanted[iteration]).any() for iteration in range(30))
    assert len({row.tobytes() for row in wanted}) == 30


def test_shuffled_gives_every_image_once_an_epoch_in_changing_order() -> None:
    sampler = ShuffledSampler(count=23, batch_size=10, seed=1)
    stream = np.concatenate([sampler.batch(iteration) for iteration in range(23)])
    epochs = stream.reshape(10, 23)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(23), (10, 1)))
    assert len({epoch.tobytes() for epoch in epochs}) == 10


def test_shuffled_batch_larger_than_the_data_set_goes_on_with_the_next_epoch() -> None:
    rows = ShuffledSampler(count=3, batch_size=10, seed=1).batch(4)
    assert np.bincount(rows, minlength=3).min() >= 3


def test_pk_gives_k_images_of_each_of_p_persons_side_by_side(labels: NDArray[np.int64]) -> None:
    sampler = PKSampler(labels, persons=3, images=4, seed=2)
    for iteration in range(100):
        groups = labels[sampler.batch(iteration)].reshape(3, 4)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) == 3


def test_pk_repeats_images_of_a_small_person_evenly_and_only_those(labels: NDArray[np.int64]) -> None:
    sampler = PKSampler(labels, persons=8, images=4, seed=2)
    for iteration in range(50):
        for rows in sampler.batch(iteration).reshape(8, 4):
            own = COUNTS[int(labels[rows[0]])]
            times = np.unique(rows, return_counts=True)[1]
            assert len(times) == min(own, 4)
            assert times.max() == -(-4 // own)


def test_pk_sees_every_person_and_every_image(labels: NDArray[np.int64]) -> None:
    sampler = PKSampler(labels, persons=3, images=2, seed=2)
    rows = np.concatenate([sampler.batch(iteration) for iteration in range(300)])
    assert set(rows) == set(range(len(labels)))
    seen = np.array([np.count_nonzero(labels[rows] == label) for label in COUNTS])
    assert seen.max() < 1.2 * seen.min()


def test_k_larger_than_any_person_still_gives_k(labels: NDArray[np.int64]) -> None:
    rows = PKSampler(labels, persons=2, images=40, seed=0).batch(0)
    assert rows.shape == (80,)
    for group in rows.reshape(2, 40):
        assert len(set(labels[group])) == 1


def test_triplets_are_anchor_positive_negative_of_two_persons(labels: NDArray[np.int64]) -> None:
    sampler = TripletSampler(labels, batch_size=30, seed=3)
    triplets = np.concatenate([sampler.batch(iteration) for iteration in range(200)]).reshape(-1, 3)
    anchors, positives, negatives = labels[triplets].T
    assert (anchors == positives).all()
    assert (anchors != negatives).all()
    assert (triplets[:, 0] != triplets[:, 1]).all()
    assert set(anchors) == {label for label, count in COUNTS.items() if count > 1}
    assert set(negatives) == set(COUNTS)
    # Each other person is as likely as any: 2000 triplets over 8 negatives.
    share = np.unique(negatives, return_counts=True)[1] / len(negatives)
    assert share.min() > 0.09
    assert share.max() < 0.19


def test_npairs_always_gets_two_images_of_a_person(labels: NDArray[np.int64]) -> None:
    rows = make_sampler("pairs", labels, 8, samples_each_class=4, seed=0).batch(7)
    groups = labels[rows].reshape(4, 2)
    assert (groups[:, 0] == groups[:, 1]).all()
    assert len(set(groups[:, 0])) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_data_set_of_one_id_is_refused_in_one_line(kind: str) -> None:
    with pytest.raises(ValueError, match="one id only") as error:
        build(kind, np.full(50, 3))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_data_set_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        build(kind, np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("kind", "size", "images", "message"),
    [
        ("pk", 40, 4, "needs 10 persons, the data set has 8: take train_batch_size of at most 32"),
        ("pk", 10, 4, "must be a multiple of 4 images a person, got 10: take 8"),
        ("pk", 12, 0, "samples_each_class must be at least 1, got 0"),
        ("pairs", 7, 4, "must be a multiple of 2 images a person, got 7: take 6"),
        ("triplet", 10, 4, "must be a multiple of 3 for triplets, got 10: take 9"),
        ("shuffled", 0, 4, "train_batch_size must be at least 1, got 0"),
        ("random", 8, 4, "sampler must be shuffled, triplet, pk or pairs, got 'random'"),
    ],
)
def test_bad_sizes_say_what_to_take(
    labels: NDArray[np.int64], kind: str, size: int, images: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_sampler(kind, labels, size, samples_each_class=images, seed=0)


def test_triplets_of_single_images_only_are_refused() -> None:
    with pytest.raises(ValueError, match="two images"):
        TripletSampler(np.arange(9), 9, 0)


DOMAINS = np.repeat([7, 3, 5], [80, 12, 20])  # 20, 3 and 5 persons of four images
PEOPLE = np.repeat(np.arange(28), 4)


@pytest.mark.parametrize("persons", [3, 4, 5, 6, 7])
def test_every_domain_has_its_share_of_a_batch(persons):
    sampler = PKSampler(PEOPLE, persons, 2, 0, DOMAINS)
    counts = []
    for iteration in range(30):
        rows = sampler.batch(iteration)
        assert len(rows) == 2 * persons
        assert len(np.unique(PEOPLE[rows])) == persons
        found = DOMAINS[rows[::2]]
        counts.append([np.count_nonzero(found == domain) for domain in (3, 5, 7)])
    assert np.ptp(counts, axis=1).max() <= 1
    assert np.ptp(np.sum(counts, axis=0)) <= 1


def test_persons_of_a_small_domain_come_more_often():
    sampler = PKSampler(PEOPLE, 3, 4, 0, DOMAINS)
    rows = np.concatenate([sampler.batch(iteration) for iteration in range(60)])
    seen = np.bincount(PEOPLE[rows[::4]], minlength=28)
    assert (seen[:20] == 3).all()
    assert (seen[20:23] == 20).all()
    assert (seen[23:] == 12).all()


def test_one_domain_draws_the_batches_of_none():
    plain, one = PKSampler(PEOPLE, 4, 2, 3), PKSampler(PEOPLE, 4, 2, 3, np.full(len(PEOPLE), 9))
    for iteration in range(9):
        np.testing.assert_array_equal(plain.batch(iteration), one.batch(iteration))


def test_domains_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match="needs 4 persons of each dataset, the smallest has 3: .* at most 18"
    ):
        PKSampler(PEOPLE, 12, 2, 0, DOMAINS)
    with pytest.raises(ValueError, match="a person is in two datasets"):
        PKSampler(np.array([0, 0, 1, 1]), 2, 2, 0, np.array([0, 1, 1, 1]))
