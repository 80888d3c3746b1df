from __future__ import annotations

import logging

import pytest

from deepsort_paddle.detection.labels import COCO_LABELS, label_classes, person_classes


def test_people_are_the_classes_that_the_file_calls_so() -> None:
    assert person_classes(("car", "Person"), "net", named=True) == [1]
    assert person_classes(("pedestrian", "people", "car"), "net", named=True) == [0, 1]
    assert person_classes(("head",), "net", named=True) == [0]


def test_named_classes_without_people_ask_for_a_choice() -> None:
    with pytest.raises(ValueError, match=r"net: no class is a person; choose .* among: car, dog$"):
        person_classes(("car", "dog"), "net", named=True)


def test_class_0_of_a_file_without_names_is_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert person_classes(("class 0", "class 1"), "net", named=False) == [0]
    assert "net names none of its 2 classes" in caplog.text


def test_classes_without_names_are_those_of_coco_where_their_number_fits() -> None:
    assert label_classes((), 80) == label_classes((), 0) == COCO_LABELS
    assert (len(COCO_LABELS), COCO_LABELS[0], COCO_LABELS[-1]) == (80, "person", "toothbrush")
    slots = label_classes((), 91)
    assert [slots.index(name) for name in ("person", "stop sign", "zebra", "toothbrush")] == [1, 13, 24, 90]
    assert label_classes((), 2) == ("class 0", "class 1")
    assert label_classes(("a", "b"), 80) == ("a", "b")
