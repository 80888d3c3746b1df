from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepsort_paddle.motchallenge.metrics import (
    PreparedSequence,
    Scores,
    evaluate,
    guess_benchmark,
    prepare_sequence,
)
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import TrackRecords, read_ground_truth, read_tracks

HALF_VAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "mot" / "MOT17-half-val"
needs_half_val = pytest.mark.skipif(
    not HALF_VAL.is_dir(), reason="MOT17 half-val is not beside the repository"
)


def table(rows: list[tuple[float, ...]]) -> TrackRecords:
    """Rows of frame, id, x1, y1, x2, y2 and, if there, flag and class."""
    array = np.array([(*row, 1, 1)[:8] for row in rows], dtype=np.float64).reshape(-1, 8)
    array = array[np.argsort(array[:, 0], kind="stable")]
    return TrackRecords(
        frame=array[:, 0].astype(np.int64),
        ids=array[:, 1].astype(np.int64),
        boxes=array[:, 2:6],
        confidence=array[:, 6],
        class_id=array[:, 7].astype(np.int64),
        visibility=np.ones(len(array)),
    )


def person(frame: int, track_id: int, place: float, *rest: float) -> tuple[float, ...]:
    """A 10 x 10 box whose left side is at ``place``."""
    return (frame, track_id, place, 0, place + 10, 10, *rest)


def score(truth: TrackRecords, results: TrackRecords, **options: object) -> Scores:
    return evaluate([prepare_sequence("seq", truth, results, **options)]).overall  # type: ignore[arg-type]


# Two people in four frames. Track 5 follows the first for two frames, track 6 takes over; the second is
# found once; five boxes are nobody's.
TRUTH = table([person(f, 1, 0) for f in (1, 2, 3, 4)] + [person(f, 2, 100) for f in (1, 2, 3, 4)])
RESULTS = table(
    [person(1, 5, 0), person(2, 5, 0), person(3, 6, 0), person(4, 6, 0), person(1, 7, 100)]
    + [person(f, 8, 500) for f in (1, 2, 3, 4)]
    + [person(2, 9, 700)]
)


def test_a_worked_example_gives_its_fractions():
    scores = score(TRUTH, RESULTS)
    # 3 misses, 5 false positives and 1 switch in 8 boxes.
    assert (scores.false_negatives, scores.false_positives, scores.id_switches) == (3, 5, 1)
    assert scores.mota == pytest.approx(1 - 9 / 8)
    assert scores.motp == 1
    assert scores.recall == pytest.approx(5 / 8)
    assert scores.precision == pytest.approx(5 / 10)
    # Best one-to-one assignment: person 1 to track 5 or 6 (2 boxes), person 2 to track 7 (1 box).
    assert scores.idf1 == pytest.approx(2 * 3 / (8 + 10))
    assert scores.idp == pytest.approx(3 / 10)
    assert scores.idr == pytest.approx(3 / 8)
    assert (scores.mostly_tracked, scores.mostly_lost) == (1, 0)
    assert (scores.truth_ids, scores.truth_boxes, scores.result_boxes, scores.frames) == (2, 8, 10, 4)
    # HOTA: TP 5, FN 3, FP 5 at every threshold. Each of the four matches of person 1 has TPA 2, FNA 2, FPA 0;
    # the one of person 2 has TPA 1, FNA 3, FPA 0.
    assert scores.deta == pytest.approx(5 / 13)
    assert scores.assa == pytest.approx((4 * 2 / 4 + 1 / 4) / 5)
    assert scores.hota == pytest.approx(math.sqrt(5 / 13 * (4 * 2 / 4 + 1 / 4) / 5))
    assert scores.loca == 1


def test_perfect_results_score_one():
    scores = score(TRUTH, TRUTH)
    ratios = (scores.hota, scores.deta, scores.assa, scores.loca, scores.mota, scores.motp, scores.idf1)
    assert ratios == (1,) * 7
    assert scores.id_switches == scores.fragmentations == scores.false_positives == 0


def test_an_overlap_of_exactly_one_half_is_a_match():
    # 10 x 10 against 10 x 5 inside it: IoU 50 / 100.
    scores = score(table([(1, 1, 0, 0, 10, 10)]), table([(1, 1, 0, 0, 10, 5)]))
    assert (scores.false_negatives, scores.motp) == (0, 0.5)
    # HOTA's thresholds 0.05 to 0.50 are met, 10 of 19.
    assert scores.deta == pytest.approx(10 / 19)


def test_a_gap_inside_a_track_is_one_fragmentation_and_gaps_at_its_ends_are_none():
    truth = table([person(f, 1, 0) for f in range(1, 9)])
    results = table([person(f, 1, 0) for f in (2, 3, 6, 7)])
    scores = score(truth, results)
    assert (scores.fragmentations, scores.false_negatives, scores.id_switches) == (1, 4, 0)
    assert scores.mota == pytest.approx(1 - 4 / 8)


def test_fragmentations_are_those_of_motmetrics(rng_sequences):
    import motmetrics

    for sequence in rng_sequences:
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for truth, result, overlap in zip(sequence.truth_ids, sequence.result_ids, sequence.iou, strict=True):
            accumulator.update(truth, result, np.where(overlap >= 0.5, 1 - overlap, np.nan))
        host = motmetrics.metrics.create()
        expected = host.compute(accumulator, metrics=["num_fragmentations"]).iloc[0, 0]
        assert expected > 3
        assert evaluate([sequence]).overall.fragmentations == expected


@pytest.fixture
def rng_sequences() -> list[PreparedSequence]:
    """Crowds in which detections come and go and ids are mixed up."""
    sequences = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth, results = [], []
        for frame in range(1, 31):
            for track_id in range(1, 7):
                x = 8.0 * track_id + 0.3 * frame
                truth.append(person(frame, track_id, x))
                if rng.random() < 0.7:
                    noisy = track_id if rng.random() < 0.9 else track_id + 6
                    results.append(person(frame, noisy, x + rng.normal(0, 2)))
        sequences.append(prepare_sequence(f"crowd-{seed}", table(truth), table(results)))
    return sequences


def test_trackeval_can_count_everything(rng_sequences):
    from trackeval.metrics import CLEAR

    ours = evaluate(rng_sequences, clear="trackeval")
    clear = CLEAR({"PRINT_CONFIG": False})
    for sequence, scores in zip(rng_sequences, ours.sequences, strict=True):
        expected = clear.eval_sequence(
            {
                "gt_ids": sequence.truth_ids,
                "tracker_ids": sequence.result_ids,
                "similarity_scores": sequence.iou,
                "num_gt_ids": sequence.num_truth_ids,
                "num_tracker_ids": sequence.num_result_ids,
                "num_gt_dets": scores.truth_boxes,
                "num_tracker_dets": scores.result_boxes,
                "num_timesteps": scores.frames,
            }
        )
        assert scores.mota == expected["MOTA"]
        assert scores.fragmentations == expected["Frag"]
        assert scores.mostly_tracked == expected["MT"]


def test_overall_adds_counts_and_divides_once(rng_sequences):
    for clear in ("motmetrics", "trackeval"):
        evaluation = evaluate(rng_sequences, clear=clear)
        parts, overall = evaluation.sequences, evaluation.overall
        assert overall.name == "overall"
        for field in ("id_switches", "fragmentations", "false_positives", "false_negatives", "truth_boxes"):
            assert getattr(overall, field) == sum(getattr(part, field) for part in parts)
        wrong = overall.false_positives + overall.false_negatives + overall.id_switches
        assert overall.mota == pytest.approx(1 - wrong / overall.truth_boxes)
        matches = [part.truth_boxes - part.false_negatives for part in parts]
        assert overall.motp == pytest.approx(np.average([part.motp for part in parts], weights=matches))


def test_results_on_distractors_are_left_out():
    truth = table([person(1, 1, 0), person(1, 2, 100, 0, 8), person(1, 3, 200, 0, 3)])
    results = table([person(1, 1, 0), person(1, 2, 101), person(1, 3, 200)])
    prepared = prepare_sequence("MOT17-02", truth, results)
    assert (prepared.benchmark, prepared.removed) == ("MOT17", 1)
    # The one on the distractor (class 8) is gone, the one on the car (class 3) is a false positive.
    scores = evaluate([prepared]).overall
    assert (scores.false_positives, scores.false_negatives, scores.truth_boxes) == (1, 0, 1)


def test_a_result_goes_to_the_person_when_a_distractor_fits_less():
    truth = table([person(1, 1, 0), person(1, 2, 2, 0, 7)])
    prepared = prepare_sequence("MOT17-02", truth, table([person(1, 9, 0)]))
    assert (prepared.removed, prepared.num_result_ids) == (0, 1)


def test_only_mot20_leaves_out_results_on_bicycles():
    truth = table([person(1, 1, 0), person(1, 2, 100, 0, 6)])
    results = table([person(1, 1, 0), person(1, 2, 100)])
    assert prepare_sequence("MOT17-02", truth, results).removed == 0
    assert prepare_sequence("MOT20-01", truth, results).removed == 1


def test_ignored_boxes_and_other_classes_are_not_evaluated():
    truth = table([person(1, 1, 0), person(1, 2, 100, 0, 1), person(1, 3, 200, 1, 9)])
    assert score(truth, table([])).truth_boxes == 1
    # MOT15 has no classes; only the flag counts.
    assert score(truth, table([]), benchmark="MOT15").truth_boxes == 2


def test_the_benchmark_is_guessed_from_name_or_classes():
    assert guess_benchmark("mot20-05", TRUTH) == "MOT20"
    assert guess_benchmark("MOT15-PETS", TRUTH) == "MOT15"
    assert guess_benchmark("street", TRUTH) == "MOT17"
    assert guess_benchmark("street", table([person(1, 1, 0, 1, -1)])) == "MOT15"


def test_only_the_frames_that_the_ground_truth_covers_count_by_default():
    truth = table([person(f, 1, 0) for f in (3, 4)])
    results = table([person(f, 1, 0) for f in range(1, 9)])
    scores = score(truth, results)
    assert (scores.frames, scores.false_positives, scores.mota) == (2, 0, 1)
    assert score(truth, results, frames=(1, 8)).false_positives == 6
    assert score(truth, results, frames=(4, 4)).truth_boxes == 1


@pytest.mark.parametrize("clear", ["motmetrics", "trackeval"])
def test_no_results_miss_everybody(clear):
    scores = evaluate([prepare_sequence("seq", TRUTH, table([]))], clear=clear).overall
    assert (scores.false_negatives, scores.mota, scores.idf1, scores.hota) == (8, 0, 0, 0)
    assert (scores.mostly_lost, scores.frames) == (2, 4)


def test_a_sequence_without_matches_does_not_spoil_the_overall_precision():
    empty = prepare_sequence("empty", TRUTH, table([]))
    full = prepare_sequence("full", TRUTH, RESULTS)
    evaluation = evaluate([empty, full])
    assert math.isnan(evaluation.sequences[0].motp)
    assert evaluation.overall.motp == 1
    assert evaluation.overall.mota == pytest.approx(1 - (8 + 9) / 16)


def test_nobody_to_evaluate_makes_every_result_false():
    nobody = table([person(1, 1, 0, 0, 1)])
    for clear in ("motmetrics", "trackeval"):
        scores = evaluate([prepare_sequence("seq", nobody, table([person(1, 1, 0)]))], clear=clear).overall
        assert (scores.truth_boxes, scores.false_positives) == (0, 1)
    assert math.isnan(score(nobody, table([person(1, 1, 0)])).mota)


def test_nothing_at_all_has_no_ratio():
    scores = score(table([person(1, 1, 0, 0, 1)]), table([]))
    assert math.isnan(scores.mota)
    assert math.isnan(scores.idf1)


def test_degenerate_boxes_match_nothing():
    flat = table([(1, 1, 5, 5, 5, 15)])
    scores = score(flat, flat)
    assert (scores.false_positives, scores.false_negatives) == (1, 1)


def test_arguments_are_not_modified_and_order_within_a_frame_is_kept():
    results = table([person(1, 9, 100), person(1, 3, 0)])
    before = results.boxes.copy()
    prepared = prepare_sequence("seq", TRUTH, results)
    assert_array_equal(results.boxes, before)
    assert_array_equal(prepared.result_ids[0], [1, 0])
    assert_allclose(prepared.iou[0], [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": (3, 2)}, "frames must be a range from 1 on, got 3 to 2"),
        ({"frames": (0, 2)}, "frames must be a range from 1 on, got 0 to 2"),
        ({"benchmark": "MOT99"}, "benchmark must be one of MOT15, MOT16, MOT17, MOT20, got 'MOT99'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        prepare_sequence("seq", TRUTH, RESULTS, **options)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="the ground truth holds no boxes"):
        prepare_sequence("seq", table([]), RESULTS)
    twice = table([person(1, 4, 0), person(1, 4, 50)])
    with pytest.raises(
        ValueError, match="seq: the results must have an id once a frame, frame 1 has id 4 twice"
    ):
        prepare_sequence("seq", TRUTH, twice)
    with pytest.raises(ValueError, match="at least one sequence"):
        evaluate([])
    with pytest.raises(ValueError, match="clear must be one of motmetrics, trackeval, got 'x'"):
        evaluate([prepare_sequence("seq", TRUTH, TRUTH)], clear="x")  # type: ignore[arg-type]


def test_motmetrics_own_sample_data_gives_its_published_figures():
    """TUD-Campus and TUD-Stadtmitte, which its wheel carries, with the figures of its documentation."""
    import motmetrics

    folder = Path(motmetrics.__file__).parent / "data"
    prepared = [
        prepare_sequence(
            name,
            read_ground_truth(folder / name / "gt.txt"),
            read_tracks(folder / name / "test.txt"),
            benchmark="MOT15",
        )
        for name in ("TUD-Campus", "TUD-Stadtmitte")
    ]
    campus, city = evaluate(prepared).sequences
    assert [round(100 * campus.mota, 1), round(100 * campus.idf1, 1)] == [52.6, 55.8]
    assert [round(100 * city.mota, 1), round(100 * city.idf1, 1)] == [56.4, 64.5]
    assert [round(1 - campus.motp, 3), round(1 - city.motp, 3)] == [0.277, 0.346]
    assert (campus.id_switches, campus.fragmentations, city.id_switches, city.fragmentations) == (7, 7, 7, 6)
    assert (campus.false_positives, campus.false_negatives) == (13, 150)
    assert (city.false_positives, city.false_negatives) == (45, 452)


def noisy_results(ground_truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a fair tracker would say: most boxes, shaken, each id kept for half a sequence, some nobody's."""
    kept = ground_truth[rng.random(len(ground_truth)) < 0.85]
    results = kept[:, :6].copy()
    results[:, 2:6] += rng.normal(0, 0.02, (len(results), 4)) * results[:, [4, 5, 4, 5]]
    results[:, 1] += 500 * (results[:, 0] > 150)
    false = results[rng.random(len(results)) < 0.05].copy()
    false[:, 1] += 5000
    false[:, 2] += 3 * false[:, 4]
    rows = np.concatenate([results, false]).round(2)
    return np.column_stack([rows, np.ones(len(rows)), np.full((len(rows), 3), -1)])


@needs_half_val
@pytest.mark.parametrize("benchmark", ["MOT17", "MOT20", "MOT15"])
def test_scores_on_real_sequences_are_those_of_trackeval_from_end_to_end(tmp_path, benchmark):
    import trackeval

    rng = np.random.default_rng(5)
    names = ["MOT17-02", "MOT17-05", "MOT17-10", "MOT17-13"]
    results = tmp_path / "trackers" / "noisy" / "data"
    results.mkdir(parents=True)
    for name in names:
        rows = noisy_results(np.loadtxt(HALF_VAL / name / "gt" / "gt.txt", delimiter=","), rng)
        np.savetxt(results / f"{name}.txt", rows, fmt="%d,%d,%.2f,%.2f,%.2f,%.2f,%d,%d,%d,%d")

    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(HALF_VAL),
            "TRACKERS_FOLDER": str(tmp_path / "trackers"),
            "TRACKERS_TO_EVAL": ["noisy"],
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict.fromkeys(names),
            "PRINT_CONFIG": False,
        }
    )
    options = {"PRINT_CONFIG": False, "THRESHOLD": 0.5}
    metrics = {
        "HOTA": trackeval.metrics.HOTA(),
        "CLEAR": trackeval.metrics.CLEAR(options),
        "Identity": trackeval.metrics.Identity(options),
    }
    counts: dict[str, dict[str, dict]] = {key: {} for key in metrics}
    for name in names:
        raw = dataset.get_raw_seq_data("noisy", name)
        arrays = dataset.get_preprocessed_seq_data(raw, "pedestrian")
        for key, metric in metrics.items():
            counts[key][name] = metric.eval_sequence(arrays)
    for key, metric in metrics.items():
        counts[key]["overall"] = metric.combine_sequences(dict(counts[key]))

    prepared = [
        prepare_sequence(
            name,
            read_ground_truth(HALF_VAL / name / "gt" / "gt.txt"),
            read_tracks(results / f"{name}.txt"),
            benchmark=benchmark,
            frames=(1, SequenceInfo.read(HALF_VAL / name).length or 0),
        )
        for name in names
    ]
    evaluation = evaluate(prepared, clear="trackeval")
    by_motmetrics = evaluate(prepared)
    for scores in (*evaluation.sequences, evaluation.overall):
        hota, clear, identity = (counts[key][scores.name] for key in ("HOTA", "CLEAR", "Identity"))
        ours = [scores.hota, scores.deta, scores.assa, scores.loca]
        theirs = [np.mean(hota[key]) for key in ("HOTA", "DetA", "AssA", "LocA")]
        ours += [scores.mota, scores.motp, scores.idf1, scores.idp, scores.idr]
        theirs += [clear["MOTA"], clear["MOTP"], identity["IDF1"], identity["IDP"], identity["IDR"]]
        assert_allclose(ours, theirs, rtol=0, atol=1e-9, err_msg=scores.name)
        keys = ("IDSW", "Frag", "CLR_FP", "CLR_FN", "MT", "ML")
        assert (
            scores.id_switches,
            scores.fragmentations,
            scores.false_positives,
            scores.false_negatives,
            scores.mostly_tracked,
            scores.mostly_lost,
        ) == tuple(clear[key] for key in keys)
    # On results as good as these motmetrics counts the same.
    for other, scores in zip(by_motmetrics.sequences, evaluation.sequences, strict=True):
        assert_allclose(
            [other.mota, other.motp, other.idf1], [scores.mota, scores.motp, scores.idf1], rtol=0, atol=1e-9
        )
        assert other.id_switches == scores.id_switches
