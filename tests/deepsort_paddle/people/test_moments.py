"""Which moments of a track are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.people.moments import Moment, MomentGallery


def unit(*values: float) -> NDArray[np.float32]:
    row = np.array(values, np.float32)
    scaled: NDArray[np.float32] = row / np.linalg.norm(row)
    return scaled


def moment(embedding: NDArray[np.float32], quality: float, frame: int = 1) -> Moment:
    return Moment(frame, 0.0, np.zeros(4), 1.0, 1.0, 1.0, 0.0, quality, embedding)


def offer(gallery: MomentGallery, embedding: NDArray[np.float32], quality: float) -> bool:
    place = gallery.place(embedding, quality)
    if place is not None:
        gallery.put(place, moment(embedding, quality))
    return place is not None


def test_a_gallery_fills_up_and_never_grows_beyond_its_size() -> None:
    gallery = MomentGallery(3, enough=0.5)
    generator = np.random.default_rng(0)
    for _ in range(20):
        offer(gallery, unit(*generator.normal(size=4)), float(generator.random()))
        assert len(gallery.moments) <= 3
    assert len(gallery.moments) == 3


def test_a_better_crop_of_the_same_side_replaces_the_worse_one() -> None:
    gallery = MomentGallery(2, enough=0.5)
    offer(gallery, unit(1, 0), 0.2)
    offer(gallery, unit(0, 1), 0.8)
    assert offer(gallery, unit(1, 0.01), 0.9)
    assert sorted(one.quality for one in gallery.moments) == [0.8, 0.9]


def test_a_third_crop_of_the_same_side_is_not_kept_instead_of_another_side() -> None:
    gallery = MomentGallery(2, enough=0.5)
    offer(gallery, unit(1, 0), 0.9)
    offer(gallery, unit(0, 1), 0.5)
    assert not offer(gallery, unit(1, 0.01), 0.85)
    assert sorted(one.quality for one in gallery.moments) == [0.5, 0.9]


def test_beyond_enough_distance_quality_decides() -> None:
    gallery = MomentGallery(2, enough=0.1)
    offer(gallery, unit(1, 0, 0), 0.9)
    offer(gallery, unit(0.8, 0.6, 0), 0.8)
    assert not offer(gallery, unit(0, 0, 1), 0.3)
    assert [one.quality for one in gallery.moments] == [0.9, 0.8]
