"""Heads of NanoDet and NanoDet-Plus (RangiLyu/nanodet).

A side's distance from the cell's point, in strides, is the expectation of a distribution over bins 0, 1, 2...
(Generalized Focal Loss, Li et al., arXiv 2006.04388, section 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.heads.head import (
    KEEP_ALL,
    CandidateFilter,
    Candidates,
    Head,
    ImageFormat,
    Outputs,
    best_classes,
    grid_cells,
)

__all__ = ["BINS", "nanodet", "nanodet_plus"]

# Of every published configuration (reg_max 7).
BINS = 8
IMAGE = ImageFormat(
    # Average precision of NanoDet-m on PETS09 0.82, against 0.77 when the image is stretched to the input.
    keep_ratio=True,
    padding=0,
    rgb=False,
    # ImageNet's, in the order BGR.
    mean=(103.53, 116.28, 123.675),
    scale=(1 / 57.375, 1 / 57.12, 1 / 58.395),
)
# NanoDet-m's best F1 on PETS09 frames 1 to 50 and MOT17-mini together lies at 0.33.
CONFIDENCE = 0.35


def nanodet(height: int, width: int, class_count: int) -> Head:
    """NanoDet-m: class scores at three strides, then the distributions, each as a separate output."""
    centre, stride = grid_cells(height, width, (8, 16, 32), offset=0.5)

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        flat = [output.reshape(-1, output.shape[-1]) for output in outputs]
        return _decode(np.concatenate(flat[:3]), np.concatenate(flat[3:]), centre, stride, keep)

    return Head("NanoDet", class_count, CONFIDENCE, IMAGE, decode)


def nanodet_plus(height: int, width: int, class_count: int, strides: tuple[int, ...]) -> Head:
    """One output of class scores and distributions, cell by cell.

    NanoDet-Plus has the strides 8, 16, 32, 64 and measures from a cell's corner; NanoDet-m has three strides
    and measures from its centre.
    """
    plus = len(strides) == 4
    point, stride = grid_cells(height, width, strides, offset=0.0 if plus else 0.5)

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        rows = outputs[0][0]  # (cells, classes + 4 * bins)
        return _decode(rows[:, :class_count], rows[:, class_count:], point, stride, keep)

    return Head("NanoDet-Plus" if plus else "NanoDet", class_count, CONFIDENCE, IMAGE, decode)


def _decode(
    scores: NDArray[np.floating],
    sides: NDArray[np.floating],
    point: NDArray[np.float32],
    stride: NDArray[np.float32],
    keep: CandidateFilter,
) -> Candidates:
    index, confidence, class_id = best_classes(scores, keep)
    bins = sides[index].reshape(len(index), 4, sides.shape[1] // 4).astype(np.float32)  # (N, 4, bins)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True, initial=-np.inf))
    weights /= weights.sum(axis=2, keepdims=True)
    cell = stride[index]
    distance = (
        weights @ np.arange(bins.shape[2], dtype=np.float32)
    ) * cell  # (N, 4): left, top, right, bottom
    middle = point[index] * cell
    boxes = np.concatenate([middle - distance[:, :2], middle + distance[:, 2:]], axis=1)
    return boxes, confidence, class_id
