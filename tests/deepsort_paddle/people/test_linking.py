"""Log odds of pairs of tracks of several cameras."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.people.linking import TrackLinks, track_means
from deepsort_paddle.people.model import LinkCalibration

DIMENSIONS, CROPS = 128, 3


def scene(
    people: int, cameras: int, *, seed: int = 0, offset: float = 0.0, noise: float = 0.08
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Everybody once in each camera: crops, their track, the camera and the person of each track.

    Args:
        people: how many.
        cameras: how many.
        seed: of the random numbers.
        offset: how far each camera moves all embeddings, each its own way.
        noise: of each crop.
    """
    generator = np.random.default_rng(seed)
    looks = generator.normal(size=(people, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    shifts = offset * generator.normal(size=(cameras, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    person, camera = np.tile(np.arange(people), cameras), np.repeat(np.arange(cameras), people)
    owner = np.repeat(np.arange(len(person)), CROPS)
    rows = looks[person[owner]] + shifts[camera[owner]]
    rows += noise * generator.normal(size=rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), owner, camera, person


def accepted(links: TrackLinks, person: NDArray[np.int64]) -> tuple[float, float]:
    """Shares of the pairs of one person, and of two people, that are likely."""
    pairs = np.column_stack(np.triu_indices(len(person), 1))
    same = person[pairs[:, 0]] == person[pairs[:, 1]]
    likely = links.log_odds(pairs) > 3.0
    return float(likely[same].mean()), float(likely[~same].mean())


@pytest.mark.parametrize(("people", "cameras"), [(5, 3), (30, 2), (30, 6)])
@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_people_are_told_apart_whatever_the_camera_adds(people: int, cameras: int, offset: float) -> None:
    rows, owner, camera, person = scene(people, cameras, offset=offset)
    right, wrong = accepted(TrackLinks(rows, owner, camera), person)
    assert right == 1.0
    assert wrong < 0.01


def test_centred_tracks_of_a_camera_have_a_mean_near_zero() -> None:
    rows, owner, camera, _ = scene(60, 2, offset=3.0)
    means = track_means(rows, owner, camera)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1.0, rtol=1e-5)
    for number in (0, 1):
        assert np.linalg.norm(means[camera == number].mean(axis=0)) < 0.3


@pytest.mark.parametrize("block", [1, 7, 59, 60, 61])
@pytest.mark.parametrize("limit", ["_BLOCK", "_CELLS"])
def test_likely_pairs_are_all_pairs_above_the_threshold(
    block: int, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"deepsort_paddle.people.linking.{limit}", block * (60 if limit == "_CELLS" else 1))
    rows, owner, camera, _ = scene(20, 3, noise=0.3)
    links = TrackLinks(rows, owner, camera)
    pairs = np.column_stack(np.triu_indices(60, 1))
    odds = links.log_odds(pairs)
    found = links.likely(-3.0)
    assert sorted(found.pairs.tolist()) == sorted(pairs[odds >= -3.0].tolist())
    np.testing.assert_allclose(found.log_odds, links.log_odds(found.pairs), atol=1e-4)


def test_of_very_many_pairs_the_likeliest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, owner, camera, _ = scene(20, 3, noise=0.3)
    links = TrackLinks(rows, owner, camera)
    every = links.likely(-20.0)
    monkeypatch.setattr("deepsort_paddle.people.linking._ALL_PAIRS", len(every.pairs) - 7)
    some = links.likely(-20.0)
    assert sorted(some.log_odds) == sorted(every.log_odds)[7:]
    known = [tuple(pair) for pair in every.pairs.tolist()]
    rows_of = [known.index(tuple(pair)) for pair in some.pairs.tolist()]
    assert rows_of == sorted(rows_of)


@pytest.mark.parametrize("chunk", [1, 149, 150, 151, 179, 180, 181])  # 150 pairs, 180 crops
def test_chunks_of_pairs_and_crops_give_the_odds_of_one_chunk(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, owner, camera, _ = scene(20, 3, noise=0.3)
    pairs = np.column_stack(np.triu_indices(60, 1))[:150]
    whole = TrackLinks(rows, owner, camera).log_odds(pairs)
    monkeypatch.setattr("deepsort_paddle.people.linking._PAIRS", chunk)
    np.testing.assert_allclose(TrackLinks(rows, owner, camera).log_odds(pairs), whole, atol=1e-3)


def test_a_track_with_very_many_likely_others_keeps_the_likeliest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsort_paddle.people.linking._MOST_PAIRS", 3)
    rows, owner, camera, _ = scene(12, 1, noise=0.4)
    links = TrackLinks(rows, owner, camera)
    kept = links.likely(-20.0).pairs
    assert np.bincount(kept[:, 0], minlength=12).tolist() == [3] * 9 + [2, 1, 0]
    every = np.column_stack([np.zeros(11, np.int64), np.arange(1, 12)])
    best = every[np.argsort(-links.log_odds(every), kind="stable")[:3]]
    assert sorted(kept[kept[:, 0] == 0].tolist()) == sorted(best.tolist())


def test_a_small_cohort_gives_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, owner, camera, person = scene(80, 2)
    monkeypatch.setattr("deepsort_paddle.people.linking._COHORT", 40)
    right, wrong = accepted(TrackLinks(rows, owner, camera), person)
    assert right == 1.0
    assert wrong < 0.01


def test_many_cameras_share_their_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, owner, camera, person = scene(20, 4, offset=1.0)
    monkeypatch.setattr("deepsort_paddle.people.linking._MOST_CAMERAS", 3)
    right, wrong = accepted(TrackLinks(rows, owner, camera), person)
    assert right == 1.0
    assert wrong < 0.01


def test_a_track_without_embeddings_is_nobody_s() -> None:
    rows, owner, camera, _ = scene(3, 2)
    links = TrackLinks(rows, owner, np.append(camera, 0))
    assert links.log_odds(np.array([[0, 6], [5, 6]])).tolist() == [-np.inf, -np.inf]
    assert not (links.likely(-20.0).pairs == 6).any()


@pytest.mark.parametrize("count", [0, 1])
def test_without_pairs_there_are_no_links(count: int) -> None:
    rows = np.ones((count, 4), np.float32) / 2
    links = TrackLinks(rows, np.arange(count), np.zeros(count, np.int64)).likely(-20.0)
    assert links.pairs.shape == (0, 2)
    assert links.log_odds.shape == (0,)


def test_more_tracks_make_the_same_score_less_likely_to_be_one_person() -> None:
    few, many = (TrackLinks(*scene(people, 2)[:3]) for people in (4, 100))
    assert (few._log_prior > many._log_prior + 2.0).all()


def test_a_calibration_answers_both_ways_and_survives_json() -> None:
    links = LinkCalibration((-4.0, -2.0, 0.0), (6.0, 2.0, -4.0), (0.9, 0.2))
    assert links.log_ratio(np.array([-9.0, -3.0, -1.0, 7.0])).tolist() == [6.0, 4.0, -1.0, -4.0]
    assert links.score_at(4.0) == pytest.approx(-3.0)
    assert links.score_at(-5.0) == np.inf
    assert links.score_at(7.0) == -np.inf
    assert LinkCalibration.from_dict(links.as_dict()) == links


def test_a_calibration_must_rise() -> None:
    with pytest.raises(ValueError, match="scores must be increasing"):
        LinkCalibration((0.0, -1.0), (1.0, 0.0))
