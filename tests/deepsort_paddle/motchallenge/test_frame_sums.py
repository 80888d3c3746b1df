"""Frame-wise sums against TrackEval's own measures, and its bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle.motchallenge.frame_sums import count_frames, figures, interval, total
from deepsort_paddle.motchallenge.metrics import PreparedSequence, evaluate


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


def test_figures_of_all_frames_are_trackevals() -> None:
    sequences = [made_up(seed) for seed in range(3)]
    expected = evaluate(sequences, clear="trackeval")
    counts = [count_frames(sequence) for sequence in sequences]
    everything = np.sum([count.sums.sum(axis=0) for count in counts], axis=0)
    for sums, wanted in zip(
        [*(count.sums.sum(axis=0) for count in counts), everything],
        [*expected.sequences, expected.overall],
        strict=True,
    ):
        ratios = [100 * getattr(wanted, name) for name in ("hota", "assa", "deta", "idf1", "mota")]
        np.testing.assert_allclose(figures(sums), [*ratios, wanted.id_switches], atol=1e-9)


@pytest.mark.parametrize(("people", "tracks"), [(0, 3), (3, 0), (1, 1)])
def test_no_people_or_no_tracks_are_counted(people: int, tracks: int) -> None:
    counts = count_frames(made_up(0, frames=3, people=people, tracks=tracks))
    assert counts.sums.shape == (3, 43)
    assert np.isfinite(figures(counts.sums.sum(axis=0))).all()


def test_the_interval_holds_the_figure_and_a_tracker_does_not_differ_from_itself() -> None:
    counts = [count_frames(made_up(seed)) for seed in range(3)]
    low, high = interval(counts, draws=200)
    whole = total(counts)
    assert (low[:5] <= whole[:5]).all()
    assert (whole[:5] <= high[:5]).all()
    assert (low[:5] < high[:5]).all()
    assert not interval(counts, counts, draws=50).any()


def test_one_sequence_is_resampled_by_blocks() -> None:
    counts = [count_frames(made_up(1))]
    low, high = interval(counts, draws=100)
    assert low[0] < high[0]


@pytest.mark.parametrize("block", [130, 131, 1000])
def test_an_interval_of_one_block_has_no_width(block: int) -> None:
    counts = [count_frames(made_up(1, frames=130))]
    for bound in interval(counts, draws=20, block=block):
        np.testing.assert_allclose(bound, total(counts))


def test_the_last_block_may_be_a_single_frame() -> None:
    counts = [count_frames(made_up(1, frames=130))]
    ends = counts[0].sums[:129].sum(axis=0), counts[0].sums[129]  # drawn twice, once each, or twice
    drawn = [figures(first * ends[0] + (2 - first) * ends[1]) for first in range(3)]
    low, high = interval(counts, draws=100, block=129, level=1.0)
    np.testing.assert_allclose([low, high], [np.min(drawn, axis=0), np.max(drawn, axis=0)])
