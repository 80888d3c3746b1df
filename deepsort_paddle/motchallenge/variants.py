"""Files with the columns of other benchmarks and frameworks, as MOTChallenge rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.motchallenge.table import shorten

__all__ = ["detections_as_motchallenge", "truth_as_motchallenge", "why_twice"]

# MOTChallenge classes by VisDrone category: ignored region, pedestrian, people (sitting, riding), bicycle,
# car, van, truck, tricycle, awning-tricycle, bus, motor, others. 1 is pedestrian, 7 and 8 do not count.
_VISDRONE_CLASSES = (8, 1, 7, 4, 3, 3, 3, 6, 6, 3, 5, 9)


def detections_as_motchallenge(table: NDArray[np.float64], path: str | Path) -> NDArray[np.float64]:
    """The rows of PaddleDetection's detection files with MOTChallenge's columns; others as they are.

    Such rows have no id: their sixth column is a score and the last a class, where MOTChallenge has a height
    in pixels and a score.
    """
    _warn_of_classes(table, path)
    if table.shape[1] != 7 or not len(table):
        return table
    score, class_id = table[:, 5], table[:, 6]
    if not (
        (np.median(table[:, 3:5], axis=0) > 2).all()
        and ((score >= 0) & (score <= 1)).all()
        and ((class_id >= 0) & (class_id % 1 == 0)).all()
    ):
        return table
    numbers = np.unique(class_id).astype(int).tolist()
    several = "" if len(numbers) == 1 else f"; classes {shorten(str(numbers)[1:-1])} all count as people"
    warnings.warn(
        f"{path}: read as rows of PaddleDetection (frame,left,top,width,height,score,class){several}",
        stacklevel=3,
    )
    no_id = np.full(len(table), -1.0)
    boxes = table[:, 1:5] + np.array([1.0, 1.0, 0.0, 0.0])
    return np.column_stack([table[:, 0], no_id, boxes, score])


def _warn_of_classes(table: NDArray[np.float64], path: str | Path) -> None:
    """Warn where the eighth column of detections holds several classes."""
    columns = table.shape[1]
    if not len(table) or not (columns in (8, 9) or (columns == 10 and (table[:, 8:] == -1).all())):
        return
    class_id = table[:, 7]
    numbers = np.unique(class_id)
    if len(numbers) > 1 and (class_id >= 0).all() and (class_id % 1 == 0).all():
        listed = shorten(", ".join(f"{number:g}" for number in numbers))
        warnings.warn(f"{path}: column 8 holds classes {listed}: all count as people", stacklevel=4)


def truth_as_motchallenge(table: NDArray[np.float64], path: str | Path) -> NDArray[np.float64]:
    """Ground truth of ten columns with the nine of MOT16, where the columns say that they hold classes.

    These are VisDrone's category, truncation and occlusion, with a warning, or the class and visibility of
    MOT16 and a placeholder of -1. Other rows stay as they are: ten columns are MOT15's, without classes.
    """
    if table.shape[1] != 10 or not len(table):
        return table
    if _is_visdrone(table[:, 7:]):
        warnings.warn(f"{path}: read as VisDrone annotation, of which pedestrians count", stacklevel=3)
        classes = np.array(_VISDRONE_CLASSES)[table[:, 7].astype(np.int64)]
        visibility = np.array([1.0, 0.75, 0.25])[table[:, 9].astype(np.int64)]
        return np.column_stack([table[:, :7], classes, visibility])
    return table[:, :9] if _has_class_and_visibility(table[:, 7:]) else table


def _is_visdrone(last: NDArray[np.float64]) -> bool:
    """Whether columns are categories, truncations (0 or 1) and occlusions (0 to 2)."""
    whole = (last >= 0).all() and (last <= [11, 1, 2]).all() and (last % 1 == 0).all()
    return bool(whole and last[:, 0].any())


def _has_class_and_visibility(last: NDArray[np.float64]) -> bool:
    """Whether columns are classes of MOT16 (1 to 13), visibilities in [0, 1] and -1."""
    class_id, visibility, placeholder = last.T
    known = (class_id >= 1) & (class_id <= 13) & (class_id % 1 == 0)
    return bool((known & (visibility >= 0) & (visibility <= 1) & (placeholder == -1)).all())


def why_twice(rows: NDArray[np.float64]) -> str:
    """What may explain two rows with one id in one frame."""
    if rows[0, 1] == -1:
        return " (is this a file of detections?)"
    if rows.shape[1] > 7 and rows[0, 7] != rows[1, 7]:
        return f" (ids of several classes? column 8 is {rows[0, 7]:g} and {rows[1, 7]:g})"
    return ""
