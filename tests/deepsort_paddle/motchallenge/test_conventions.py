"""Results in another box convention, or shifted by frames, are noticed and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.research.evaluate import main

WIDTH, HEIGHT = 640, 480


def truth_rows(frames: int = 60, people: int = 4, first: int = 1) -> NDArray[np.float64]:
    """Frame, id, left, top, width, height of people who walk in both directions, 1-based."""
    rows = []
    for frame in range(frames):
        for person in range(people):
            step = 4 if person % 2 else -4
            left = (150 + 110 * person + step * frame) % (WIDTH - 40) + 1
            rows.append((first + frame, person + 1, left, 60 + 70 * person, 40, 100 + 10 * person))
    return np.array(rows, float)


def tracked(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Results for the true rows: confirmed in the third frame, with noise and some false boxes."""
    rng = np.random.default_rng(0)
    kept = rows[rows[:, 0] >= rows[:, 0].min() + 2].copy()
    kept[:, 2:] += rng.normal(0, 1.5, (len(kept), 4))
    false = kept[::10].copy()
    false[:, 1] = 99
    false[:, 2:4] = rng.uniform(1, 300, (len(false), 2))
    _, first = np.unique(false[:, 0], return_index=True)
    return np.vstack([kept, false[first]])


def notes_of(
    folder: Path, capsys: pytest.CaptureFixture[str], truth: NDArray[np.float64], results: NDArray[np.float64]
) -> str:
    """What the evaluation of these rows says on stderr."""
    for name, rows, last in (("gt.txt", truth, ",1,1,1"), ("o.txt", results, ",0.9,-1,-1,-1")):
        lines = (",".join(f"{value:.6g}" for value in row) + last for row in rows)
        (folder / name).write_text("\n".join(lines) + "\n")
    assert main([str(folder / "gt.txt"), str(folder / "o.txt")]) == 0
    return capsys.readouterr().err


def corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]])


def parts(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT]


CASES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "corners (left, top, right, bottom)": corners,
    "centres (x, y, width, height)": centres,
    "boxes with x and y swapped": lambda boxes: boxes[:, [1, 0, 3, 2]],
    "corners with x and y swapped": lambda boxes: corners(boxes)[:, [1, 0, 3, 2]],
    "parts of the image": parts,
    "corners (left, top, right, bottom), in parts of the image": lambda boxes: parts(corners(boxes)),
    "centres (x, y, width, height), in parts of the image": lambda boxes: parts(centres(boxes)),
    "pixels of an image 0.5 times as wide and 0.5 times as high": lambda boxes: boxes / 2,
    "pixels of an image 0.65 times as wide and 0.87 times as high": lambda boxes: (
        boxes * np.tile([416 / WIDTH, 416 / HEIGHT], 2)
    ),
    "corners (left, top, right, bottom), in pixels of an image 2 times as wide": lambda boxes: (
        corners(boxes) * 2
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_another_box_convention_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    truth = truth_rows()
    results = tracked(truth)
    results[:, 2:] = CASES[name](results[:, 2:])
    note = notes_of(tmp_path, capsys, truth, results)
    assert note.count("\n") == 1
    assert note.startswith(
        ("deepsort-eval: gt: no result overlaps the ground truth", "deepsort-eval: gt: only")
    )
    assert f": the boxes look like {name}" in note
    assert note.endswith("; expected left, top, width, height in pixels\n")


def test_correct_results_raise_no_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = truth_rows()
    assert notes_of(tmp_path, capsys, truth, tracked(truth)) == ""


def test_results_with_few_matches_in_the_right_convention_raise_no_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = truth_rows()
    assert notes_of(tmp_path, capsys, truth, truth[truth[:, 1] == 1]) == ""


@pytest.mark.parametrize(("shift", "word"), [(-1, "later (do they count from 0?)"), (1, "earlier")])
def test_results_shifted_by_a_frame_are_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shift: int, word: str
) -> None:
    truth = truth_rows()
    results = tracked(truth)
    results[:, 0] += shift
    note = notes_of(tmp_path, capsys, truth, results)
    assert f"gt: the results fit the ground truth better 1 frame {word}: the boxes overlap by 0." in note


def test_results_that_count_a_late_sequence_from_one_are_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tracked(truth_rows(frames=60))
    note = notes_of(tmp_path, capsys, truth_rows(frames=60, first=41), results)
    assert "the results fit the ground truth better 40 frames later" in note


def test_results_of_another_sequence_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = truth_rows(people=1)
    results = np.array([[frame, 1, 500 - 7 * (frame % 9), 400, 9, 9] for frame in range(1, 61)], float)
    note = notes_of(tmp_path, capsys, truth, results)
    assert note.endswith("by 0.5: expected left, top, width, height in pixels, of this sequence\n")


def test_a_file_that_counts_from_zero_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gt.txt").write_text("1,1,5,5,9,9,1,1,1\n")
    (tmp_path / "o.txt").write_text("0,1,5,5,9,9,1,-1,-1,-1\n")
    assert main([str(tmp_path / "gt.txt"), str(tmp_path / "o.txt")]) == 2
    assert "(this file counts from 0: add 1 to its first column)" in capsys.readouterr().err
