"""Ring buffers and their distances against lists and loops."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.tracking import gallery as gallery_module
from deepsort_paddle.tracking.gallery import Gallery


def unit(rng: np.random.Generator, count: int, dimension: int) -> NDArray[np.float32]:
    rows = rng.standard_normal((count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def assert_distances(
    gallery: Gallery,
    slots: NDArray[np.int64],
    lists: dict[int, deque[NDArray[np.float32]]],
    embeddings: NDArray[np.float32],
    pairs: NDArray[np.bool_],
) -> None:
    """Compare with 1 - cosine over each slot's list, one pair after the other: its smallest or their mean."""
    rows, columns = np.nonzero(pairs)
    found = gallery.distance(slots, embeddings, rows, columns)
    for row, column, distance in zip(rows, columns, found, strict=True):
        kept = lists[int(slots[row])]
        if not kept or not embeddings[column].any():
            assert distance == np.inf
        else:
            apart = sorted(1.0 - float(np.dot(sample, embeddings[column])) for sample in kept)
            nearest = apart[: gallery.neighbours]
            assert distance == pytest.approx(sum(nearest) / len(nearest), abs=2e-6)


@pytest.mark.parametrize("neighbours", [1, 3])
@pytest.mark.parametrize("share", [0.02, 0.1, 1.0])
@pytest.mark.parametrize(("size", "dimension"), [(1, 8), (7, 16), (30, 600)])
def test_distance_equals_the_loop_through_births_and_deaths(
    share: float, size: int, dimension: int, neighbours: int
) -> None:
    rng = np.random.default_rng(0)
    gallery = Gallery(size, dimension, neighbours=neighbours)
    lists: dict[int, deque[NDArray[np.float32]]] = {}
    live = np.zeros(0, np.int64)
    for step in range(25):
        born = gallery.allocate(int(rng.integers(0, 6)))
        assert not set(born.tolist()) & set(live.tolist())
        lists.update({int(slot): deque(maxlen=size) for slot in born})
        live = np.concatenate([live, born])
        dead = rng.random(len(live)) < 0.08
        gallery.release(live[dead])
        live = live[~dead]
        fed = rng.permutation(live)[: max(1, len(live) // 2)]
        given = unit(rng, len(fed), dimension)
        given[rng.random(len(fed)) < 0.1] = 0
        gallery.add(fed, given)
        for slot, row in zip(fed, given, strict=True):
            if row.any():
                lists[int(slot)].append(row)
        if step % 6 == 5:
            embeddings = unit(rng, 40, dimension)
            embeddings[3] = 0
            assert_distances(gallery, live, lists, embeddings, rng.random((len(live), 40)) < share)


def test_one_pair_in_a_large_gallery_equals_the_loop() -> None:
    rng = np.random.default_rng(1)
    gallery = Gallery(5, 8)
    slots = gallery.allocate(50)
    samples = unit(rng, 50, 8)
    gallery.add(slots, samples)
    query = unit(rng, 1, 8)
    found = gallery.distance(slots, query, np.array([17]), np.array([0]))
    assert found == pytest.approx(1 - samples[17] @ query[0], abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 19, 20, 21])
@pytest.mark.parametrize("samples", [1, 4, 5])
def test_chunks_of_slots_and_of_samples_give_the_distances_of_one_chunk(
    monkeypatch: pytest.MonkeyPatch, chunk: int, samples: int
) -> None:
    rng = np.random.default_rng(4)
    size, dimension = 5, 8
    gallery = Gallery(size, dimension)
    every = gallery.allocate(100)  # 20 of 100 slots are too few to be read in place
    for _ in range(size):
        gallery.add(every, unit(rng, 100, dimension))
    slots, embeddings = every[::5], unit(rng, 30, dimension)
    rows, columns = (places.ravel() for places in np.indices((20, 30)))
    whole = gallery.distance(slots, embeddings, rows, columns)
    monkeypatch.setattr(gallery_module, "_CHUNK_BYTES", chunk * 4 * size * dimension)
    monkeypatch.setattr(gallery_module, "_ONE_THREAD", samples * gallery_module._WIDE * dimension)
    np.testing.assert_allclose(gallery.distance(slots, embeddings, rows, columns), whole, atol=1e-6)


def test_the_newest_embeddings_are_kept() -> None:
    gallery = Gallery(2, 3)
    slots = gallery.allocate(1)
    axes = np.eye(3, dtype=np.float32)
    for axis in axes:
        gallery.add(slots, axis[None])
    found = gallery.distance(slots, axes, np.zeros(3, np.int64), np.arange(3))
    np.testing.assert_array_equal(found, [1, 0, 0])


def test_opposite_embeddings_are_two_apart_though_the_ring_is_not_full() -> None:
    gallery = Gallery(10, 2)
    slots = gallery.allocate(1)
    gallery.add(slots, np.array([[1, 0]], np.float32))
    found = gallery.distance(slots, np.array([[-1, 0]], np.float32), np.array([0]), np.array([0]))
    np.testing.assert_array_equal(found, [2])


def test_a_zero_embedding_is_neither_kept_nor_near_to_anything() -> None:
    gallery = Gallery(3, 2)
    slots = gallery.allocate(2)
    gallery.add(slots, np.array([[0, 0], [1, 0]], np.float32))
    embeddings = np.array([[1, 0], [0, 0]], np.float32)
    rows, columns = np.nonzero(np.ones((2, 2)))
    np.testing.assert_array_equal(
        gallery.distance(slots, embeddings, rows, columns), [np.inf, np.inf, 0, np.inf]
    )


def test_a_slot_used_again_has_forgotten_its_former_track() -> None:
    gallery = Gallery(3, 2)
    slots = gallery.allocate(1)
    gallery.add(slots, np.array([[1, 0]], np.float32))
    gallery.release(slots)
    again = gallery.allocate(1)
    np.testing.assert_array_equal(again, slots)
    found = gallery.distance(again, np.array([[1, 0]], np.float32), np.array([0]), np.array([0]))
    np.testing.assert_array_equal(found, [np.inf])


def test_memory_follows_the_most_tracks_alive_at_once() -> None:
    rng = np.random.default_rng(2)
    gallery = Gallery(4, 8)
    for _ in range(2000):
        slots = gallery.allocate(10)
        gallery.add(slots, unit(rng, 10, 8))
        gallery.release(slots)
    assert len(gallery._samples) <= 32


def test_a_running_mean_holds_one_embedding_a_track() -> None:
    gallery = Gallery(100, 8, momentum=0.9)
    gallery.add(gallery.allocate(3), unit(np.random.default_rng(0), 3, 8))
    assert gallery._samples.shape[1:] == (1, 8)


def test_restored_rings_give_the_same_distances() -> None:
    rng = np.random.default_rng(3)
    gallery = Gallery(4, 8)
    slots = gallery.allocate(6)
    for count in (6, 5, 3, 1, 1, 1):
        gallery.add(slots[:count], unit(rng, count, 8))
    kept = slots[[4, 0, 2]]
    other = Gallery(4, 8)
    restored = other.restore(*gallery.samples(kept))
    newest = unit(rng, 3, 8)
    gallery.add(kept, newest)
    other.add(restored, newest)
    embeddings = unit(rng, 5, 8)
    rows, columns = np.nonzero(np.ones((3, 5)))
    np.testing.assert_allclose(
        other.distance(restored, embeddings, rows, columns),
        gallery.distance(kept, embeddings, rows, columns),
        atol=1e-6,
    )


def test_no_pairs_no_slots_and_no_embeddings_are_empty() -> None:
    gallery = Gallery(4, 8)
    none = np.zeros(0, np.int64)
    assert gallery.allocate(0).shape == (0,)
    gallery.add(none, np.zeros((0, 8), np.float32))
    gallery.release(none)
    assert gallery.distance(none, np.zeros((0, 8), np.float32), none, none).shape == (0,)


def test_a_pair_without_rivals_comes_with_its_newest_distance_where_that_is_enough() -> None:
    gallery = Gallery(3, 2)
    slots = gallery.allocate(4)
    east, north, slant = np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32)
    gallery.add(slots[:3], np.array([east, east, east]))
    gallery.add(slots[:3], np.array([slant, north, slant]))
    embeddings = np.array([east, east, east, slant, np.zeros(2)], np.float32)
    # Slot 0 and column 0 are alone and near; slot 1 and column 1 are alone, its newest is far;
    # slot 2 has two candidates; slot 3 is empty.
    rows, columns = np.array([0, 1, 2, 2, 3]), np.array([0, 1, 2, 3, 4])
    found = gallery.distance(slots, embeddings, rows, columns, enough=0.3)
    np.testing.assert_allclose(found, [0.2, 0, 0, 0, np.inf], atol=1e-6)


@pytest.mark.parametrize("share", [0.01, 0.03, 0.3])
def test_with_enough_no_pair_changes_sides_and_pairs_with_rivals_keep_their_distance(share: float) -> None:
    rng = np.random.default_rng(4)
    gallery = Gallery(5, 8)
    slots = gallery.allocate(40)
    for count in (40, 39, 30, 12, 12, 12):
        gallery.add(slots[:count], unit(rng, count, 8))
    embeddings = unit(rng, 40, 8)
    embeddings[:3] = 0
    pairs = rng.random((40, 40)) < share
    rows, columns = np.nonzero(pairs)
    whole = gallery.distance(slots, embeddings, rows, columns)
    found = gallery.distance(slots, embeddings, rows, columns, enough=0.4)
    np.testing.assert_array_equal(found <= 0.4, whole <= 0.4)
    rival = (pairs.sum(axis=1)[rows] > 1) | (pairs.sum(axis=0)[columns] > 1)
    np.testing.assert_allclose(found[rival], whole[rival], atol=1e-6)
