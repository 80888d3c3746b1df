"""Detections and Tracks: validated once, indexed together."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import numpy as np
import pytest

from deepsort_paddle import Detections, Tracks

BOXES = np.array([[0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 9.0, 9.0], [1.0, 2.0, 3.0, 4.0]])


def three() -> Detections:
    return Detections.of(BOXES, [0.9, 0.5, 0.1], [1, 2, 3], [[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])


def test_of_fills_confidence_one_and_class_zero() -> None:
    made = Detections.of(BOXES)
    np.testing.assert_array_equal(made.confidence, [1, 1, 1])
    np.testing.assert_array_equal(made.class_id, [0, 0, 0])
    assert made.embeddings is None


def test_of_converts_to_the_dtypes_of_the_contract() -> None:
    made = Detections.of(BOXES.astype(int).tolist(), [1, 0, 1], [1.0, 2.0, 3.0], [[1], [1], [1]])
    assert made.boxes.dtype == np.float64
    assert made.confidence.dtype == np.float32
    assert made.class_id.dtype == np.int64
    assert made.embeddings is not None
    assert made.embeddings.dtype == np.float32


def test_of_scales_embeddings_to_unit_rows_and_keeps_zero_rows() -> None:
    embeddings = three().embeddings
    assert embeddings is not None
    np.testing.assert_allclose(embeddings, [[0.6, 0.8], [0, 0], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize("index", [1, [1], slice(1, 2), np.array([False, True, False]), np.array([1])])
def test_indexing_moves_all_columns(index: Any) -> None:
    row = three()[index]
    np.testing.assert_array_equal(row.boxes, BOXES[1:2])
    np.testing.assert_allclose(row.confidence, [0.5])
    np.testing.assert_array_equal(row.class_id, [2])
    assert row.embeddings is not None
    assert row.embeddings.shape == (1, 2)


def test_indexing_by_an_empty_list_leaves_no_rows() -> None:
    assert len(three()[[]]) == 0
    assert len(Tracks.empty()[[]]) == 0


def test_empty_has_no_rows_and_no_embeddings() -> None:
    assert len(Detections.empty()) == 0
    assert Detections.empty().boxes.shape == (0, 4)
    assert len(Detections.of([], [], [], [])) == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"boxes": BOXES[0]}, r"boxes must be \(N, 4\), got \(4,\)"),
        ({"boxes": BOXES, "confidence": [1, 1]}, r"confidence must be \(3,\), got \(2,\)"),
        ({"boxes": BOXES, "class_id": [[1, 1, 1]]}, r"class_id must be \(3,\), got \(1, 3\)"),
        ({"boxes": BOXES, "embeddings": [[1.0, 2.0]]}, r"embeddings must be \(3, D\), got \(1, 2\)"),
        ({"boxes": BOXES * [1, np.nan, 1, 1]}, "boxes must be finite, row 0 is not"),
        ({"boxes": BOXES, "confidence": [1, 1, np.inf]}, "confidence must be finite, row 2 is not"),
        ({"boxes": BOXES, "embeddings": np.full((3, 2), np.nan)}, "embeddings must be finite"),
    ],
)
def test_wrong_columns_are_refused_by_name(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detections.of(**columns)


def test_instances_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        three().boxes = BOXES  # type: ignore[misc]


def test_tracks_index_together() -> None:
    number = np.arange(3)
    tracks = Tracks(number + 1, BOXES, number.astype(np.float32), number, number - 1, number)
    assert len(tracks) == 3
    assert len(Tracks.empty()) == 0
    for field in fields(Tracks):
        np.testing.assert_array_equal(
            getattr(tracks[tracks.ids > 1], field.name), getattr(tracks, field.name)[1:]
        )
