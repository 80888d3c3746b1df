"""CLEAR and identity counts equal motmetrics', frame by frame matching included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.motchallenge.clear import ClearCounts, count_clear

motmetrics = pytest.importorskip("motmetrics")

NAMES = {
    "frames": "num_frames",
    "truth_ids": "num_unique_objects",
    "truth_boxes": "num_objects",
    "result_boxes": "num_predictions",
    "id_switches": "num_switches",
    "fragmentations": "num_fragmentations",
    "false_positives": "num_false_positives",
    "false_negatives": "num_misses",
    **{name: name for name in ("mostly_tracked", "mostly_lost", "mota", "idf1", "idp", "idr")},
    **{"recall": "recall", "precision": "precision", "motp": "motp"},
}
Frames = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]], list[NDArray[np.float64]]]


def random_frames(seed: int, frames: int = 60, people: int = 6, tracks: int = 8) -> Frames:
    """Ids and IoUs of each frame; people, tracks and overlaps come and go."""
    rng = np.random.default_rng(seed)
    truth, results, ious = [], [], []
    for _ in range(frames):
        truth.append(np.flatnonzero(rng.random(people) < 0.8))
        results.append(np.flatnonzero(rng.random(tracks) < 0.7))
        overlap = rng.random((len(truth[-1]), len(results[-1])))
        ious.append(np.where(rng.random(overlap.shape) < 0.4, 0.0, overlap))
    return truth, results, ious


def by_motmetrics(sequence: Frames) -> dict[str, Any]:
    accumulator = motmetrics.MOTAccumulator()
    for number, (truth, results, overlap) in enumerate(zip(*sequence, strict=True), 1):
        distance = 1.0 - overlap
        distance[distance > 0.5] = np.nan
        accumulator.update(truth, results, distance, frameid=number)
    host = motmetrics.metrics.create()
    found = host.compute(accumulator, metrics=[*NAMES.values()], return_dataframe=False)
    found["motp"] = 1 - found["motp"]
    return {name: found[key] for name, key in NAMES.items()}


@pytest.mark.parametrize("seed", range(6))
def test_counts_and_ratios_are_those_of_motmetrics(seed: int) -> None:
    sequence = random_frames(seed, people=1 + seed, tracks=1 + 2 * seed)
    assert count_clear(*sequence).scores() == pytest.approx(by_motmetrics(sequence), abs=1e-12)


def test_a_track_that_two_people_had_stays_with_the_first() -> None:
    one, both, track = np.array([0]), np.array([0, 1]), np.array([0])
    near = np.full((1, 1), 0.9)
    frames: Frames = ([one, one + 1, both], [track] * 3, [near, near, np.array([[0.6], [0.9]])])
    scores = count_clear(*frames).scores()
    assert (scores["id_switches"], scores["false_negatives"]) == (0, 1)
    assert scores == pytest.approx(by_motmetrics(frames), abs=1e-12)


@pytest.mark.parametrize(("people", "tracks"), [(3, 0), (0, 3), (0, 0)])
def test_nothing_to_match_has_no_ratio(people: int, tracks: int) -> None:
    scores = count_clear(*random_frames(1, people=people, tracks=tracks)).scores()
    assert np.isnan(scores["motp"])
    assert np.isnan(scores["recall"]) == (people == 0)
    assert scores["id_switches"] == scores["mostly_tracked"] == 0


def test_the_whole_is_the_sum_of_the_sequences() -> None:
    counts = [count_clear(*random_frames(seed)) for seed in (1, 2)]
    whole = ClearCounts.total(counts).scores()
    parts = [count.scores() for count in counts]
    assert whole["truth_boxes"] == parts[0]["truth_boxes"] + parts[1]["truth_boxes"]
    errors = sum(part["false_negatives"] + part["false_positives"] + part["id_switches"] for part in parts)
    assert whole["mota"] == pytest.approx(1 - errors / whole["truth_boxes"])
