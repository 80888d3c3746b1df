"""The benchmark's frame-wise sums against TrackEval's own measures, and its bootstrap."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from deepsort_paddle.motchallenge.metrics import PreparedSequence, evaluate

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "accuracy"


@pytest.fixture(scope="module")
def scores() -> ModuleType:
    """The module, which is a script's neighbour and in no package."""
    spec = importlib.util.spec_from_file_location("accuracy_scores", BENCHMARKS / "accuracy_scores.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("accuracy_scores", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


def made_up(seed: int, frames: int = 130, people: int = 5, tracks: int = 8) -> PreparedSequence:
    """Tracks that find people, swap them, miss them and invent some."""
    rng = np.random.default_rng(seed)
    truth_ids, result_ids, ious = [], [], []
    for frame in range(frames):
        truth = np.flatnonzero(rng.random(people) < 0.8)
        result = rng.permutation(np.flatnonzero(rng.random(tracks) < 0.6))
        iou = rng.uniform(0, 0.4, (len(truth), len(result)))
        own = (truth[:, None] + 3 * (frame > 70) * (truth[:, None] < 2)) == result
        iou[own] = rng.uniform(0.3, 1.0, own.sum())
        truth_ids.append(truth)
        result_ids.append(result)
        ious.append(iou)
    return PreparedSequence(
        "made up", "MOT15", 1, tuple(truth_ids), tuple(result_ids), tuple(ious), people, tracks
    )


def test_figures_of_all_frames_are_trackevals(scores: ModuleType) -> None:
    sequences = [made_up(seed) for seed in range(3)]
    expected = evaluate(sequences, clear="trackeval")
    counts = [scores.count_frames(sequence) for sequence in sequences]
    everything = np.sum([count.sums.sum(axis=0) for count in counts], axis=0)
    for sums, wanted in zip(
        [*(count.sums.sum(axis=0) for count in counts), everything],
        [*expected.sequences, expected.overall],
        strict=True,
    ):
        ratios = [100 * getattr(wanted, name) for name in ("hota", "assa", "deta", "idf1", "mota")]
        np.testing.assert_allclose(scores.figures(sums), [*ratios, wanted.id_switches], atol=1e-9)


@pytest.mark.parametrize(("people", "tracks"), [(0, 3), (3, 0), (1, 1)])
def test_no_people_or_no_tracks_are_counted(scores: ModuleType, people: int, tracks: int) -> None:
    counts = scores.count_frames(made_up(0, frames=3, people=people, tracks=tracks))
    assert counts.sums.shape == (3, 43)
    assert np.isfinite(scores.figures(counts.sums.sum(axis=0))).all()


def test_the_interval_holds_the_figure_and_a_tracker_does_not_differ_from_itself(scores: ModuleType) -> None:
    counts = [scores.count_frames(made_up(seed)) for seed in range(3)]
    low, high = scores.interval(counts, draws=200)
    total = scores.figures(np.sum([count.sums.sum(axis=0) for count in counts], axis=0))
    assert (low[:5] <= total[:5]).all()
    assert (total[:5] <= high[:5]).all()
    assert (low[:5] < high[:5]).all()
    assert not scores.interval(counts, counts, draws=50).any()


def test_one_sequence_is_resampled_by_blocks(scores: ModuleType) -> None:
    counts = [scores.count_frames(made_up(1))]
    low, high = scores.interval(counts, draws=100)
    assert low[0] < high[0]
    low, high = scores.interval(counts, draws=100, block=1000)  # one block: nothing to draw
    np.testing.assert_array_equal(low, high)
