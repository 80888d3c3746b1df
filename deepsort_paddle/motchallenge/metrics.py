"""Tracking accuracy: HOTA, CLEAR MOT (MOTA, MOTP) and identity (IDF1) measures.

Boxes of the ground truth and of the results are compared once, frame by frame, into IoU
matrices; everything else works on those. `prepare_sequence` does what the MOTChallenge evaluation
does before it counts (which frames, which classes, results on distractors left out),
`evaluate` counts: CLEAR and identity measures in ``clear.py`` by the rules of motmetrics, or by TrackEval,
fed directly with arrays; HOTA in ``hota.py``. The figures are those of the two reference implementations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou
from deepsort_paddle.extras import needs
from deepsort_paddle.motchallenge.clear import MIN_IOU, ClearCounts, count_clear
from deepsort_paddle.motchallenge.hota import HotaCounts, count_hota
from deepsort_paddle.motchallenge.text import TrackRecords

__all__ = ["Benchmark", "Evaluation", "PreparedSequence", "Scores", "evaluate", "prepare_sequence"]

Benchmark = Literal["MOT15", "MOT16", "MOT17", "MOT20"]
ClearSource = Literal["motmetrics", "trackeval"]

# Class numbers of the MOTChallenge ground truth (Milan et al., MOT16, arXiv 1603.00831, table 3).
PEDESTRIAN = 1
CLASSES = range(1, 14)
# Person on vehicle, static person, distractor, reflection: a result there is neither right nor wrong.
DISTRACTORS = (2, 7, 8, 12)
# MOT20 adds the non-motorised vehicle (Dendorfer et al., arXiv 2003.09003).
MOT20_DISTRACTORS = (*DISTRACTORS, 6)
# Fields of Scores by the names that TrackEval has for them.
TRACKEVAL_COUNTS = {
    "id_switches": "IDSW",
    "fragmentations": "Frag",
    "false_positives": "CLR_FP",
    "false_negatives": "CLR_FN",
    "mostly_tracked": "MT",
    "mostly_lost": "ML",
}
TRACKEVAL_RATIOS = {
    **{"mota": "MOTA", "motp": "MOTP", "idf1": "IDF1", "idp": "IDP", "idr": "IDR"},
    **{"recall": "CLR_Re", "precision": "CLR_Pr"},
}


@dataclass(frozen=True, slots=True)
class PreparedSequence:
    """One sequence ready to be counted: ids and IoU matrices of each frame.

    Attributes:
        name: name of the sequence.
        benchmark: the rules that were applied.
        first_frame: number of the first frame; the tuples hold one entry a frame from here on.
        truth_ids: ``(G,)`` int64 a frame, numbered 0 to ``num_truth_ids - 1``.
        result_ids: ``(R,)`` int64 a frame, numbered 0 to ``num_result_ids - 1``.
        iou: ``(G, R)`` float64 a frame.
        num_truth_ids: people in the ground truth.
        num_result_ids: tracks in the results.
        removed: results left out because they lie on distractors.
    """

    name: str
    benchmark: Benchmark
    first_frame: int
    truth_ids: tuple[NDArray[np.int64], ...]
    result_ids: tuple[NDArray[np.int64], ...]
    iou: tuple[NDArray[np.float64], ...]
    num_truth_ids: int
    num_result_ids: int
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """Measures of one sequence, or of several together; ratios are in [0, 1] (MOTA also below 0).

    ``hota``, ``deta``, ``assa`` and ``loca`` are means over the 19 IoU thresholds 0.05 to 0.95 (Luiten et
    al., IJCV 2021). ``mota`` is 1 - (misses + false positives + id switches) / truth boxes (Bernardin and
    Stiefelhagen, 2008), ``motp`` the mean IoU of the matches, ``idf1`` the F1 of the best one-to-one
    assignment of tracks to people (Ristani et al., 2016). Mostly tracked: found in at least 80 % of its
    boxes; mostly lost: in under 20 %. A ratio that has nothing to divide by is NaN, and so is
    ``loca`` without a match.
    """

    name: str
    frames: int
    truth_ids: int
    truth_boxes: int
    result_boxes: int
    hota: float
    deta: float
    assa: float
    loca: float
    mota: float
    motp: float
    idf1: float
    idp: float
    idr: float
    recall: float
    precision: float
    id_switches: int
    fragmentations: int
    false_positives: int
    false_negatives: int
    mostly_tracked: int
    mostly_lost: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of each sequence and of all together, combined as TrackEval combines them.

    Ratios are computed from the summed counts, so a long, crowded sequence weighs more than a short one.
    """

    sequences: tuple[Scores, ...]
    overall: Scores


def prepare_sequence(
    name: str,
    ground_truth: TrackRecords,
    results: TrackRecords,
    *,
    benchmark: Benchmark | None = None,
    frames: tuple[int, int] | None = None,
) -> PreparedSequence:
    """Apply MOTChallenge's rules and compare all boxes, frame by frame.

    MOT16, MOT17 and MOT20: the considered pedestrians (class 1, flag not 0) are evaluated; results that the
    best assignment at IoU 0.5 matches to a distractor are ignored. MOT15: the ground truth has no classes;
    boxes with flag 0 are ignored.

    Args:
        name: name of the sequence.
        ground_truth: rows of a gt.txt.
        results: rows of a tracker's output; every row counts as a person, whatever its class.
        benchmark: rules to apply; None uses `guess_benchmark`.
        frames: first and last frame number to evaluate; None uses those of the ground truth. Other rows are
            ignored.

    Returns:
        The sequence, ready for `evaluate`.

    Raises:
        ValueError: the range is empty, the benchmark is unknown, or an id occurs twice in a frame.
    """
    benchmark = guess_benchmark(name, ground_truth) if benchmark is None else benchmark
    if benchmark not in get_args(Benchmark):
        raise ValueError(f"benchmark must be one of {', '.join(get_args(Benchmark))}, got {benchmark!r}")
    first, last = annotated_frames(ground_truth) if frames is None else frames
    if not 1 <= first <= last:
        raise ValueError(f"frames must be a range from 1 on, got {first} to {last}")

    distractors: tuple[int, ...] = ()
    evaluated = ground_truth.confidence != 0
    if benchmark != "MOT15":
        distractors = MOT20_DISTRACTORS if benchmark == "MOT20" else DISTRACTORS
        evaluated = evaluated & (ground_truth.class_id == PEDESTRIAN)
    is_distractor = np.isin(ground_truth.class_id, distractors)
    expect_unique_ids(f"{name}: the ground truth", ground_truth.frame[evaluated], ground_truth.ids[evaluated])
    expect_unique_ids(f"{name}: the results", results.frame, results.ids)

    truth_ids, result_ids, ious, removed = [], [], [], 0
    truth_rows = rows_by_frame(ground_truth.frame, first, last)
    result_rows = rows_by_frame(results.frame, first, last)
    for truth, result in zip(truth_rows, result_rows, strict=True):
        overlap = iou(ground_truth.boxes[truth], results.boxes[result])
        on_distractor = matched_columns(overlap, is_distractor[truth])
        removed += len(on_distractor)
        kept = np.delete(np.arange(len(result)), on_distractor)
        truth_ids.append(ground_truth.ids[truth][evaluated[truth]])
        result_ids.append(results.ids[result][kept])
        ious.append(overlap[evaluated[truth]][:, kept])
    truth_names, truth_numbers = renumber(truth_ids)
    result_names, result_numbers = renumber(result_ids)
    return PreparedSequence(
        name=name,
        benchmark=benchmark,
        first_frame=first,
        truth_ids=truth_numbers,
        result_ids=result_numbers,
        iou=tuple(ious),
        num_truth_ids=len(truth_names),
        num_result_ids=len(result_names),
        removed=removed,
    )


def evaluate(sequences: Sequence[PreparedSequence], *, clear: ClearSource = "motmetrics") -> Evaluation:
    """Compute all metrics, per sequence and overall.

    Args:
        sequences: at least one sequence.
        clear: whose rules to use for the CLEAR and identity metrics. They differ if several tracks fit a
            person
            who is found again after a gap: motmetrics prefers the person's last track, TrackEval only the
                track
            of the previous frame. They also differ slightly in fragmentations and, at exactly 80 %, in mostly
            tracked.

    Returns:
        The scores.

    Raises:
        ValueError: there is no sequence, or ``clear`` is unknown.
    """
    if not sequences:
        raise ValueError("sequences must hold at least one sequence")
    if clear not in get_args(ClearSource):
        raise ValueError(f"clear must be one of {', '.join(get_args(ClearSource))}, got {clear!r}")
    counts = clear_scores(sequences) if clear == "motmetrics" else count_trackeval(sequences)
    names = [sequence.name for sequence in sequences] + ["overall"]
    scores = [
        Scores(name=name, **count, **hota)
        for name, count, hota in zip(names, counts, hota_scores(sequences), strict=True)
    ]
    return Evaluation(sequences=tuple(scores[:-1]), overall=scores[-1])


def annotated_frames(ground_truth: TrackRecords) -> tuple[int, int]:
    """First and last frame that the ground truth has a row for.

    Raises:
        ValueError: it has no rows.
    """
    if not len(ground_truth):
        raise ValueError("the ground truth holds no boxes")
    return int(ground_truth.frame.min()), int(ground_truth.frame.max())


def guess_benchmark(name: str, ground_truth: TrackRecords) -> Benchmark:
    """The rules that fit: by the sequence's name, otherwise MOT17's where every row has a MOT16 class."""
    for benchmark in get_args(Benchmark):
        if name.upper().startswith(benchmark):
            found: Benchmark = benchmark
            return found
    return "MOT17" if np.isin(ground_truth.class_id, CLASSES).all() else "MOT15"


def expect_unique_ids(owner: str, frame: NDArray[np.int64], ids: NDArray[np.int64]) -> None:
    """Raise ValueError when an id occurs twice in a frame."""
    order = np.lexsort((ids, frame))
    twice = (np.diff(frame[order]) == 0) & (np.diff(ids[order]) == 0)
    if twice.any():
        row = order[np.argmax(twice)]
        raise ValueError(f"{owner} must have an id once a frame, frame {frame[row]} has id {ids[row]} twice")


def rows_by_frame(frame: NDArray[np.int64], first: int, last: int) -> list[NDArray[np.int64]]:
    """Row numbers of each frame from ``first`` to ``last``, in the order of the file."""
    order = np.argsort(frame, kind="stable")
    edges = np.searchsorted(frame[order], np.arange(first, last + 2))
    return [order[start:stop] for start, stop in pairwise(edges)]


def matched_columns(overlap: NDArray[np.float64], wanted_rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Columns that the assignment of largest total IoU, pairs of at least 0.5 only, gives to wanted rows."""
    floor = MIN_IOU - np.finfo(np.float64).eps
    if not (overlap[wanted_rows] >= floor).any():  # Most frames: nothing to solve.
        return np.zeros(0, np.int64)
    from scipy.optimize import linear_sum_assignment

    weights = np.where(overlap < floor, 0.0, overlap)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    taken: NDArray[np.int64] = columns[wanted_rows[rows] & (weights[rows, columns] > 0)]
    return taken


def renumber(
    ids: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], ...]]:
    """Distinct ids in ascending order, and the same lists with each id replaced by its place there."""
    lengths = [len(row) for row in ids]
    distinct, numbers = np.unique(np.concatenate([*ids, np.zeros(0, np.int64)]), return_inverse=True)
    return distinct, tuple(np.split(numbers.astype(np.int64), np.cumsum(lengths)[:-1]))


def clear_scores(sequences: Sequence[PreparedSequence]) -> list[dict[str, Any]]:
    """CLEAR and identity measures as motmetrics has them: one dict a sequence, then one overall."""
    counts = [count_clear(sequence.truth_ids, sequence.result_ids, sequence.iou) for sequence in sequences]
    return [count.scores() for count in (*counts, ClearCounts.total(counts))]


def count_trackeval(sequences: Sequence[PreparedSequence]) -> list[dict[str, Any]]:
    """CLEAR and identity measures by TrackEval: one dict a sequence, then one overall."""
    with needs("eval"):
        from trackeval.metrics import CLEAR, Identity

    metrics = [metric({"THRESHOLD": MIN_IOU, "PRINT_CONFIG": False}) for metric in (CLEAR, Identity)]
    inputs = [trackeval_input(sequence) for sequence in sequences]
    counts = [
        clear | identity
        for clear, identity in zip(*(with_overall(metric, inputs) for metric in metrics), strict=True)
    ]
    frames = [len(sequence.iou) for sequence in sequences]
    truth_ids = [sequence.num_truth_ids for sequence in sequences]
    return [
        {
            "frames": num_frames,
            "truth_ids": num_truth_ids,
            "truth_boxes": int(count["CLR_TP"] + count["CLR_FN"]),
            "result_boxes": int(count["CLR_TP"] + count["CLR_FP"]),
        }
        | {field: int(count[key]) for field, key in TRACKEVAL_COUNTS.items()}
        | {field: float(count[key]) for field, key in TRACKEVAL_RATIOS.items()}
        for count, num_frames, num_truth_ids in zip(
            counts, [*frames, sum(frames)], [*truth_ids, sum(truth_ids)], strict=True
        )
    ]


def hota_scores(sequences: Sequence[PreparedSequence]) -> list[dict[str, Any]]:
    """HOTA and its parts: one dict a sequence, then one overall."""
    counts = [count_hota(sequence.truth_ids, sequence.result_ids, sequence.iou) for sequence in sequences]
    return [count.scores() for count in (*counts, HotaCounts.total(counts))]


def with_overall(metric: Any, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a TrackEval metric counts in each sequence, followed by its own combination."""
    counts = [metric.eval_sequence(sequence) for sequence in inputs]
    return [*counts, metric.combine_sequences(dict(enumerate(counts)))]


def trackeval_input(sequence: PreparedSequence) -> dict[str, Any]:
    """The arrays of a sequence under the names that TrackEval's metrics look for."""
    return {
        "gt_ids": sequence.truth_ids,
        "tracker_ids": sequence.result_ids,
        "similarity_scores": sequence.iou,
        "num_gt_ids": sequence.num_truth_ids,
        "num_tracker_ids": sequence.num_result_ids,
        "num_gt_dets": sum(map(len, sequence.truth_ids)),
        "num_tracker_dets": sum(map(len, sequence.result_ids)),
        "num_timesteps": len(sequence.iou),
    }
