"""HOTA over all frames at once equals TrackEval's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.motchallenge.hota import THRESHOLDS, HotaCounts, count_hota

trackeval = pytest.importorskip("trackeval.metrics")

Frames = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]], list[NDArray[np.float64]]]


def random_frames(seed: int, frames: int = 40, people: int = 6, tracks: int = 8) -> Frames:
    """Ids and IoUs of each frame; people, tracks and overlaps come and go."""
    rng = np.random.default_rng(seed)
    truth, results, ious = [], [], []
    for _ in range(frames):
        truth.append(np.flatnonzero(rng.random(people) < 0.7))
        results.append(np.flatnonzero(rng.random(tracks) < 0.6))
        overlap = rng.random((len(truth[-1]), len(results[-1])))
        ious.append(np.where(rng.random(overlap.shape) < 0.4, 0.0, np.round(overlap, 2)))
    return truth, results, ious


def by_trackeval(sequences: list[Frames]) -> list[dict[str, float]]:
    metric = trackeval.HOTA()
    counts = []
    for truth, results, ious in sequences:
        numbers = {
            "num_gt_ids": 1 + max((int(ids.max()) for ids in truth if len(ids)), default=-1),
            "num_tracker_ids": 1 + max((int(ids.max()) for ids in results if len(ids)), default=-1),
            "num_gt_dets": sum(map(len, truth)),
            "num_tracker_dets": sum(map(len, results)),
        }
        arrays = {"gt_ids": truth, "tracker_ids": results, "similarity_scores": ious}
        counts.append(metric.eval_sequence({**arrays, **numbers}))
    names = {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "loca": "LocA"}
    whole = [*counts, metric.combine_sequences(dict(enumerate(counts)))]
    return [{key: float(np.mean(count[name])) for key, name in names.items()} for count in whole]


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_trackeval(seed: int) -> None:
    sequences = [
        random_frames(seed),
        random_frames(seed + 100, frames=3),
        random_frames(seed + 200, people=1),
    ]
    counts = [count_hota(*sequence) for sequence in sequences]
    for count, expected in zip([*counts, HotaCounts.total(counts)], by_trackeval(sequences), strict=True):
        assert count.scores() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("people", "tracks"), [(3, 0), (0, 3), (0, 0)])
def test_nothing_to_match_scores_zero_at_no_place(people: int, tracks: int) -> None:
    sequence = random_frames(1, people=people, tracks=tracks)
    scores = count_hota(*sequence).scores()
    assert np.isnan(scores.pop("loca"))
    assert set(scores.values()) == {0.0}
    other = random_frames(2)
    total = HotaCounts.total([count_hota(*sequence), count_hota(*other)]).scores()
    assert total == pytest.approx(by_trackeval([sequence, other])[-1], abs=1e-12)


def test_worked_example_of_a_track_that_changes_its_id() -> None:
    """One person in 4 frames, found perfectly by track 0 and then by track 1."""
    frames = [np.array([0])] * 4, [np.array([0])] * 2 + [np.array([1])] * 2, [np.ones((1, 1))] * 4
    scores = count_hota(*frames).scores()
    assert scores == pytest.approx({"hota": (2 / 4) ** 0.5, "deta": 1, "assa": 2 / 4, "loca": 1})
    assert len(THRESHOLDS) == 19
