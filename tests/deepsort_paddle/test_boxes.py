"""Box geometry against loops over single boxes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import boxes as bx


def random_boxes(count: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 80, (count, 2))
    return np.hstack([corner, corner + rng.uniform(1, 60, (count, 2))])


def one_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def test_iou_equals_the_loop_over_pairs() -> None:
    first, second = random_boxes(30), random_boxes(20, seed=1)
    expected = [[one_iou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(bx.iou(first, second), expected, atol=1e-15)


def test_shared_area_is_that_of_a_count_of_pixels() -> None:
    rng = np.random.default_rng(4)
    corners = rng.integers(0, 30, (12, 2))
    whole = np.hstack([corners, corners + rng.integers(1, 12, (12, 2))])
    pages = np.zeros((12, 45, 45), np.int64)
    for (x1, y1, x2, y2), page in zip(whole.tolist(), pages, strict=True):
        page[y1:y2, x1:x2] = 1
    expected = np.einsum("nhw,mhw->nm", pages[:5], pages[5:])
    assert expected.any()
    boxes = whole.astype(np.float64)
    np.testing.assert_array_equal(bx.shared_area(boxes[:5], boxes[5:]), expected)
    assert bx.shared_area(boxes, np.zeros((0, 4))).shape == (12, 0)


def test_iou_of_shifted_squares_is_the_worked_fraction() -> None:
    square = np.array([[0.0, 0.0, 4.0, 4.0]])
    # 2 x 4 shared of 16 + 16 - 8.
    np.testing.assert_allclose(bx.iou(square, square + np.array([2, 0, 2, 0])), [[8 / 24]])


def test_iou_of_touching_boxes_is_zero() -> None:
    square = np.array([[0.0, 0.0, 4.0, 4.0]])
    assert bx.iou(square, square + np.array([4, 0, 4, 0])) == 0


def test_degenerate_boxes_have_area_and_iou_zero() -> None:
    flat = np.array([[5.0, 5.0, 5.0, 9.0], [7.0, 7.0, 3.0, 9.0]])
    np.testing.assert_array_equal(bx.area(flat), [0, 0])
    np.testing.assert_array_equal(bx.iou(flat, flat), np.zeros((2, 2)))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 3), (3, 0)])
def test_iou_of_no_boxes_is_an_empty_matrix(first: int, second: int) -> None:
    assert bx.iou(random_boxes(first), random_boxes(second)).shape == (first, second)


def test_layouts_convert_there_and_back() -> None:
    given = random_boxes(50)
    np.testing.assert_allclose(bx.xyxy_from_tlwh(bx.tlwh_from_xyxy(given)), given, atol=1e-12)
    np.testing.assert_allclose(bx.xyxy_from_xyah(bx.xyah_from_xyxy(given)), given, atol=1e-12)


def test_xyah_is_centre_aspect_and_height() -> None:
    np.testing.assert_allclose(bx.xyah_from_xyxy(np.array([[10.0, 20.0, 40.0, 80.0]])), [[25, 50, 0.5, 60]])


def test_as_boxes_makes_an_empty_sequence_zero_by_four() -> None:
    for empty in ([], np.zeros((0, 4)), np.zeros(0)):
        assert bx.as_boxes(empty).shape == (0, 4)


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 2, 4)])
def test_as_boxes_names_wanted_and_got(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"boxes must be \(N, 4\), got \("):
        bx.as_boxes(np.zeros(shape))


def test_clip_swaps_neither_height_and_width() -> None:
    clipped = bx.clip(np.array([[-5.0, -5.0, 500.0, 500.0]]), height=100, width=200)
    np.testing.assert_array_equal(clipped, [[0, 0, 200, 100]])


def test_clip_makes_a_box_outside_empty() -> None:
    clipped = bx.clip(np.array([[-50.0, 10.0, -10.0, 20.0]]), height=100, width=200)
    assert bx.area(clipped) == 0


def test_functions_leave_their_arguments_alone() -> None:
    given = random_boxes(5)
    before = given.copy()
    for function in (bx.area, bx.tlwh_from_xyxy, bx.xyah_from_xyxy, bx.xyxy_from_tlwh, bx.xyxy_from_xyah):
        function(given)
    bx.clip(given, 10, 10)
    bx.iou(given, given)
    np.testing.assert_array_equal(given, before)
