"""Which detections need an embedding, and that the tracks stay right without the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections, Tracks
from deepsort_paddle.boxes import iou, xyxy_from_xyah
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.presets import PRESETS

RED, GREEN, BLUE = np.eye(3)


def person(x: float, y: float = 100.0, height: float = 100.0) -> list[float]:
    """A box, 0.4 as wide as high, centred at x, y."""
    return [x - 0.2 * height, y - 0.5 * height, x + 0.2 * height, y + 0.5 * height]


def step(tracker: DeepSort, needed: SelectiveEncoding, detections: Detections) -> tuple[list[int], Tracks]:
    """The rows that are encoded in the next frame, and what is tracked with these alone."""
    assert detections.embeddings is not None
    rows = needed(replace(detections, embeddings=None))
    some = np.zeros_like(detections.embeddings)
    some[rows] = detections.embeddings[rows]
    return rows.tolist(), tracker.update(replace(detections, embeddings=some))


def walkers(*centres: float, looks: list[Any] | None = None, **columns: Any) -> Detections:
    """People at these places, by default each of a colour of its own."""
    if not centres:
        return Detections.of(np.zeros((0, 4)), embeddings=np.zeros((0, 3)))
    return Detections.of(
        [person(x) for x in centres], embeddings=looks or np.eye(3)[: len(centres)], **columns
    )


def crowd(frames: int, seed: int = 0, people: int = 12) -> Iterator[Detections]:
    """People of two classes walking at random, one in six missed, false detections among them."""
    rng = np.random.default_rng(seed)
    centre, speed = rng.uniform(0, 700, (people, 2)), rng.normal(0, 3, (people, 2))
    height, look = rng.uniform(60, 140, people), rng.standard_normal((people, 16))
    for _ in range(frames):
        centre += speed
        there = rng.permutation(np.flatnonzero(rng.random(people) < 0.83))
        boxes = [person(x, y, h) for (x, y), h in zip(centre[there], height[there], strict=True)]
        boxes += [person(*rng.uniform(0, 700, 2)), [5, 5, 5, 9]]
        looks = np.concatenate([look[there], rng.standard_normal((2, 16))])
        class_id = np.concatenate([there % 2, [0, 0]])
        yield Detections.of(boxes, rng.random(len(boxes)), class_id, embeddings=looks)


def test_a_lone_walker_is_encoded_at_first_and_then_every_fifth_time() -> None:
    tracker = DeepSort()
    needed = SelectiveEncoding(tracker)
    encoded = [bool(step(tracker, needed, walkers(100 + 2 * n))[0]) for n in range(21)]
    # Id 1: its turn comes when hits + 1 is a multiple of 5, with 4, 9, 14, 19 hits before.
    assert [n for n, one in enumerate(encoded) if one] == [0, 1, 2, 3, 4, 9, 14, 19]


def test_tracks_take_turns() -> None:
    tracker = DeepSort()
    needed = SelectiveEncoding(tracker, refresh=3)
    rows = [step(tracker, needed, walkers(100 + n, 300 + n, 500 + n))[0] for n in range(12)]
    assert rows[:3] == [[0, 1, 2]] * 3
    assert sorted(row for one in rows[3:6] for row in one) == [0, 1, 2]
    assert all(len(one) == 1 for one in rows[3:])


@pytest.mark.parametrize("preset", ["deepsort", "strong"])
def test_people_who_stay_apart_keep_their_ids_with_a_third_of_the_embeddings(preset: str) -> None:
    def run(refresh: int) -> tuple[int, list[Tracks]]:
        tracker = DeepSort.from_preset(preset)
        needed, count, tracks = SelectiveEncoding(tracker, refresh=refresh), 0, []
        for n in range(40):
            rows, found = step(tracker, needed, walkers(100 + 3 * n, 400 + 2 * n, 700 - n))
            count += len(rows)
            tracks.append(found)
        return count, tracks

    all_of, expected = run(1)
    some_of, got = run(5)
    assert all_of == 120
    assert some_of == 15 + 21
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.boxes, other.boxes)
    assert got[-1].ids.tolist() == [1, 2, 3]


def test_who_crosses_another_is_encoded_until_they_are_apart_again() -> None:
    tracker = DeepSort()
    needed = SelectiveEncoding(tracker, refresh=4)  # the turns of the two never fall on one frame
    encoded = []
    for n in range(60):
        rows, tracks = step(tracker, needed, walkers(100 + 4 * n, 340 - 4 * n))
        encoded.append(len(rows))
    near = [n for n in range(60) if abs(100 + 4 * n - (340 - 4 * n)) < 30]
    assert all(encoded[n] == 2 for n in near)  # also when each box is nearest to its own track
    assert encoded[15:22].count(2) < 3
    assert encoded[40:].count(2) == 0
    # Ids stay with the colours: 1 is the one that walks to the right.
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.detection_index.tolist() == [0, 1]


def grown(**options: Any) -> tuple[DeepSort, SelectiveEncoding]:
    """A tracker that follows a red and a green person who stand still, after twenty frames."""
    tracker = DeepSort(**options)
    for _ in range(20):
        tracker.update(walkers(100, 300))
    return tracker, SelectiveEncoding(tracker, refresh=13)  # neither 20 + 1 nor 20 + 2 hits are a turn


def test_when_nobody_has_a_rival_nobody_is_encoded() -> None:
    _, needed = grown()
    assert needed(walkers(100, 300)).tolist() == []
    assert needed(walkers()).tolist() == []


def test_new_people_are_encoded_until_their_track_is_grown() -> None:
    tracker, needed = grown()
    for _ in range(13):
        rows, _ = step(tracker, needed, walkers(100, 300, 600))
        assert 2 in rows


def test_who_was_missed_is_encoded_on_return() -> None:
    tracker, needed = grown()
    rows, tracks = step(tracker, needed, walkers(100))
    assert (rows, tracks.ids.tolist()) == ([], [1])
    rows, tracks = step(tracker, needed, walkers(100, 300))
    assert rows == [1]
    assert tracks.ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("others", "encoded"),
    [
        ([320.0], [1, 2]),  # inside the gate of the green one, and overlapping
        ([300.0], [1, 2]),
        ([345.0], [2]),  # neither: the boxes do not touch
    ],
)
def test_a_second_detection_near_a_track_is_a_rival(others: list[float], encoded: list[int]) -> None:
    _, needed = grown()
    boxes = walkers(100, 300, *others, looks=[RED, GREEN, BLUE])
    assert needed(boxes).tolist() == encoded


def test_a_lost_track_is_a_rival_where_it_is_thought_to_be() -> None:
    tracker = DeepSort()
    for _ in range(20):
        tracker.update(walkers(100, 130))
    tracker.update(walkers(100))  # the green one is lost, beside the red one
    needed = SelectiveEncoding(tracker, refresh=13)
    assert needed(walkers(100)).tolist() == [0]
    needed.max_rival_iou = 0.2  # they overlap by (40 - 30) / (40 + 30) = 1 / 7
    assert needed(walkers(100)).tolist() == []


def test_a_detection_far_from_what_was_predicted_is_encoded() -> None:
    _, needed = grown()
    shift = 15.0  # IoU (40 - 15) / (40 + 15) = 5 / 11
    assert needed(walkers(100 + shift, 300)).tolist() == [0]
    needed.min_iou = 0.4
    assert needed(walkers(100 + shift, 300)).tolist() == []


def test_another_class_is_no_rival_unless_classes_may_mix() -> None:
    for gate, encoded in ((True, [2]), (False, [1, 2])):
        _, needed = grown(class_gate=gate)
        crossing = walkers(100, 300, 310, looks=[RED, GREEN, BLUE], class_id=[0, 0, 1])
        assert needed(crossing).tolist() == encoded


def test_rows_count_as_the_caller_does_and_leave_out_what_the_tracker_ignores() -> None:
    tracker = DeepSort(min_confidence=0.5)
    boxes = [[0.0, 0, 0, 9], person(100), person(300), person(500)]
    given = Detections.of(boxes, [0.9, 0.4, 0.8, 0.7])
    assert SelectiveEncoding(tracker)(given).tolist() == [2, 3]


@pytest.mark.parametrize("preset", ["deepsort", "strong"])
def test_asking_does_not_change_the_tracker(preset: str, tmp_path: Path) -> None:
    asked, other = DeepSort.from_preset(preset), DeepSort.from_preset(preset)
    needed = SelectiveEncoding(asked)
    for detections in crowd(40):
        for _ in range(2):
            needed(replace(detections, embeddings=None))
        np.testing.assert_array_equal(asked.update(detections).boxes, other.update(detections).boxes)
    for name, tracker in (("a", asked), ("b", other)):
        tracker.save(tmp_path / f"{name}.npz")
    with np.load(tmp_path / "a.npz") as one, np.load(tmp_path / "b.npz") as two:
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def naive(needed: SelectiveEncoding, detections: Detections) -> list[int]:
    """The same rule in words, one pair at a time."""
    inputs = needed.tracker.prepare_association(detections)
    rows, found, options = inputs.tracks, inputs.detections.detections, inputs.options
    boxes, gate = xyxy_from_xyah(rows.states[0]), kalman.distance(rows.states, inputs.detections.boxes_xyah)

    def overlap(track: int, detection: int) -> float:
        if options.class_gate and rows.class_id[track] != found.class_id[detection]:
            return -1.0
        return float(iou(boxes[track : track + 1], found.boxes[detection : detection + 1])[0, 0])

    def related(track: int, detection: int) -> bool:
        near = overlap(track, detection)
        inside = near >= 0 and rows.frames_since_update[track] == 1 and gate[track, detection] <= kalman.GATE
        return near > needed.max_rival_iou or bool(inside)

    def certain(track: int, detection: int) -> bool:
        return bool(
            rows.confirmed[track]
            and rows.frames_since_update[track] == 1
            and rows.hits[track] >= needed.refresh
            and (rows.hits[track] + rows.ids[track]) % needed.refresh
            and overlap(track, detection) >= needed.min_iou
            and [one for one in range(len(rows)) if related(one, detection)] == [track]
            and [one for one in range(len(found)) if related(track, one)] == [detection]
        )

    return [
        int(inputs.detections.index[detection])
        for detection in range(len(found))
        if not any(certain(track, detection) for track in range(len(rows)))
    ]


@pytest.mark.parametrize("options", [{}, {"class_gate": False}, PRESETS["strong"]])
def test_the_rule_is_that_of_a_loop_over_pairs(options: dict[str, Any]) -> None:
    tracker = DeepSort(**options)
    needed, left_out = SelectiveEncoding(tracker), 0
    for detections in crowd(60, seed=3):
        expected = naive(needed, replace(detections, embeddings=None))
        rows, _ = step(tracker, needed, detections)
        assert rows == expected
        left_out += len(detections) - len(rows)
    assert left_out > 60 + 100  # a box without area in each frame, and people


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"refresh": 0}, "refresh must be a whole number of at least 1, got 0"),
        ({"min_iou": 1.5}, "min_iou must be a number from 0 to 1, got 1.5"),
        ({"max_rival_iou": -1}, "max_rival_iou must be a number from 0 to 1, got -1"),
    ],
)
def test_arguments_out_of_range_are_named(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelectiveEncoding(DeepSort(), **argument)
