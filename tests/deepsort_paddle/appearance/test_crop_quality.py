"""How good crops are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deepsort_paddle.appearance.crop_quality import measure_boxes, sharp_factor, sharpness, thumbnail


def test_quality_falls_with_size_edge_and_overlap() -> None:
    boxes = np.array([[0, 0, 50, 128], [100, 0, 150, 64], [-50, 0, 50, 128], [300, 0, 350, 128.0]])
    quality = measure_boxes(boxes, np.ones(4, np.float32), 200, 400)
    np.testing.assert_allclose(quality.height, [128, 64, 128, 128])
    np.testing.assert_allclose(quality.inside, [1, 1, 1 / 2, 1])
    # The first lies in the right half of the third: 50 of 100.
    np.testing.assert_allclose(quality.occlusion, [1 / 2, 0, 1 / 2, 0])
    np.testing.assert_allclose(quality.score(), [1 / 2, 1 / 2, 1 / 8, 1])


def test_no_boxes_and_boxes_without_area_have_a_quality() -> None:
    assert measure_boxes(np.zeros((0, 4)), np.zeros(0, np.float32), 10, 10).score().shape == (0,)
    assert measure_boxes(np.array([[5, 5, 5, 5.0]]), np.ones(1, np.float32), 10, 10).score() == pytest.approx(
        0
    )


def test_a_blurred_crop_is_less_sharp() -> None:
    image = np.random.default_rng(0).integers(0, 255, (100, 60, 3), np.uint8)
    box = np.array([0, 0, 60, 100.0])
    blurred = cv2.GaussianBlur(image, (9, 9), 3)
    assert sharpness(blurred, box) < sharpness(image, box)
    assert 0.5 <= sharp_factor(sharpness(blurred, box)) < sharp_factor(sharpness(image, box)) < 1


def test_a_thumbnail_keeps_the_shape_and_is_cut_to_the_frame() -> None:
    image = np.zeros((400, 300, 3), np.uint8)
    content = thumbnail(image, np.array([-100, 0, 100, 400.0]), (128, 96))
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (128, 32, 3)


def test_a_box_outside_the_frame_has_neither_thumbnail_nor_sharpness() -> None:
    image, box = np.zeros((40, 30, 3), np.uint8), np.array([50, 50, 60, 60.0])
    assert thumbnail(image, box, (128, 96)) == b""
    assert sharpness(image, box) == 0
