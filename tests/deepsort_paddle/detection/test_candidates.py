from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deepsort_paddle.boxes import iou
from deepsort_paddle.detection.candidates import (
    MAX_CANDIDATES,
    class_confidences,
    class_ids,
    has_pixels,
    select,
    suppress,
)
from deepsort_paddle.structures import Detections


def chosen(boxes: Any, confidence: Any, class_id: Any, **changes: Any) -> Detections:
    options = {"frame_shape": (100, 200, 3), "min_confidence": 0.3, "classes": None, "max_iou": 0.5}
    return select(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(confidence, np.float32),
        np.array(class_id, np.int64),
        **(options | changes),
    )


def test_no_candidates_are_no_detections() -> None:
    assert len(chosen([], [], [])) == 0


def test_what_is_below_the_threshold_or_of_another_class_is_dropped() -> None:
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
    found = chosen(boxes, [0.2, 0.3, 0.9, 0.8], [0, 0, 5, 2], classes=[0, 2])
    np.testing.assert_array_equal(found.boxes[:, 0], [60, 20])
    np.testing.assert_array_equal(found.class_id, [2, 0])


def test_a_class_with_a_threshold_of_its_own_goes_by_it() -> None:
    boxes = [[20 * place, 0, 20 * place + 10, 10] for place in range(6)]
    confidence, class_id = [0.2, 0.1, 0.3, 0.7, 0.6, 0.29], [0, 0, 1, 2, 2, 1]
    found = chosen(boxes, confidence, class_id, class_confidence={0: 0.2, 2: 0.7})
    assert sorted((found.boxes[:, 0] // 20).tolist()) == [0, 2, 3]
    assert len(chosen([], [], [], class_confidence={0: 0.2})) == 0


def test_thresholds_of_classes_come_by_name_or_number() -> None:
    labels = ("person", "bicycle", "car")
    assert class_confidences({"Car": 0.6, 0: 0.4}, labels, [0, 2]) == {2: 0.6, 0: 0.4}
    assert class_confidences(None, labels, [0]) == {}
    for given, message in (
        ({"care": 0.5}, "did you mean car"),
        ({"bicycle": 0.5}, "a threshold for class bicycle, which is not among those to detect"),
        ({"car": 0.5, "2": 0.6}, "two thresholds for class car"),
        ({"car": 1.5}, r"confidence must be in \[0, 1\], got 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            class_confidences(given, labels, [0, 2])  # type: ignore[arg-type]


def test_only_boxes_of_the_same_class_suppress_each_other() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 10, 12]]
    found = chosen(boxes, [0.5, 0.9, 0.7], [0, 0, 7])
    np.testing.assert_array_equal(found.boxes[:, 3], [11, 12])
    assert len(chosen(boxes, [0.5, 0.9, 0.7], [0, 0, 7], max_iou=1.0)) == 3


def test_boxes_are_cut_to_the_frame_and_vanish_outside_of_it() -> None:
    boxes = [[-5, -5, 10, 10], [190, 90, 250, 150], [300, 0, 320, 10], [50, 50, 50, 60]]
    found = chosen(boxes, [0.9, 0.8, 0.7, 0.6], [0, 0, 0, 0])
    np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 10], [190, 90, 200, 100]])


def test_rows_with_nan_or_infinity_are_dropped() -> None:
    boxes = [[np.nan, 0, 10, 10], [0, 0, np.inf, 10], [0, 0, 10, 10], [20, 0, 30, 10]]
    found = chosen(boxes, [0.9, 0.9, 0.9, np.nan], [0, 0, 0, 0])
    np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 10]])


def test_suppression_equals_the_greedy_loop() -> None:
    rng = np.random.default_rng(2)
    corner = rng.uniform(0, 60, (80, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 40, (80, 2))])
    confidence, class_id = np.round(rng.random(80), 1).astype(np.float32), rng.integers(0, 2, 80)
    overlaps = iou(boxes, boxes)
    kept: list[int] = []
    for i in sorted(range(80), key=lambda i: (-confidence[i], i)):
        if all(overlaps[i, j] <= 0.3 or class_id[i] != class_id[j] for j in kept):
            kept.append(i)
    np.testing.assert_array_equal(suppress(boxes, confidence, class_id, max_iou=0.3), kept)
    assert suppress(boxes[:0], confidence[:0], class_id[:0], max_iou=0.3).shape == (0,)
    assert suppress(boxes[:1], confidence[:1], class_id[:1], max_iou=0.3).tolist() == [0]


def test_images_that_are_missing_or_empty_have_no_pixels() -> None:
    assert not has_pixels(None)
    assert not has_pixels(np.zeros((0, 9, 3), np.uint8))
    assert has_pixels(np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(ValueError, match=r"got uint8 \(9, 9\)"):
        has_pixels(np.zeros((9, 9), np.uint8))


def test_the_number_of_candidates_is_bounded() -> None:
    corner = np.random.default_rng(0).uniform(0, 90, (5000, 2))
    found = chosen(np.hstack([corner, corner + 5]), np.linspace(0.3, 1, 5000), np.zeros(5000), max_iou=1.0)
    assert len(found) == MAX_CANDIDATES
    assert found.confidence[0] == 1


def test_class_names_become_numbers() -> None:
    labels = ("person", "car")
    assert class_ids(None, labels) == [0]
    assert class_ids(["car", 0, "1"], labels) == [1, 0, 1]
    with pytest.raises(ValueError, match="class -1 is not among the detector's 2 classes"):
        class_ids([-1], labels)
