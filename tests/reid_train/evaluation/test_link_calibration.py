"""Calibration of the joining of tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reid_train.evaluation.link_calibration import SeenPeople, calibrate_links


def images(people: int, cameras: int) -> SeenPeople:
    """Return four images of each person in each camera."""
    generator = np.random.default_rng(0)
    looks = generator.normal(size=(people, 24))
    pids, camids = (
        np.repeat(np.arange(people) + 5, cameras * 4),
        np.tile(np.arange(1, cameras + 1), people * 4),
    )
    rows = looks[pids - 5] + 0.7 * generator.normal(size=(len(pids), 24))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return SeenPeople(unit, pids, camids)


def test_near_tracks_have_positive_log_odds_and_far_tracks_negative() -> None:
    links = calibrate_links([images(24, 3)])
    assert links is not None
    assert links.log_ratios[0] > 3
    assert links.log_ratios[-1] < -3
    assert (np.diff(links.log_ratios) <= 0).all()
    assert 0.8 < links.different[0] < 1.2


def test_the_same_seed_gives_the_same_calibration() -> None:
    rows = images(12, 2)
    assert calibrate_links([rows]) == calibrate_links([rows])


def test_too_few_people_in_two_cameras_give_none() -> None:
    seen = images(12, 2)
    for camids in (np.zeros_like(seen.camids), np.ones_like(seen.camids)):
        assert calibrate_links([replace(seen, camids=camids)]) is None
    assert calibrate_links([images(9, 2)]) is None
    assert calibrate_links([images(9, 2), seen]) == calibrate_links([seen])
