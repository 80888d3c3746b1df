"""Heads of the detection transformers: RT-DETR, D-FINE and RF-DETR.

Their queries end in one box a person, so that no suppression follows. Which exporter wrote a file shows in
the names of its outputs.
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
    check_highest,
    corners,
)

__all__ = ["detr_logits", "detr_rows", "detr_scores"]

# Not measured: no such network is at hand. D-FINE's own demonstration takes 0.4.
CONFIDENCE = 0.4
STRETCHED = ImageFormat(keep_ratio=False)
STRETCHED_IMAGENET = ImageFormat(
    keep_ratio=False,
    mean=(123.675, 116.28, 103.53),
    scale=(1 / 58.395, 1 / 57.12, 1 / 57.375),
)


def detr_logits(
    name: str, height: int, width: int, class_count: int, *, boxes_at: int, logits_at: int, imagenet: bool
) -> Head:
    """Boxes ``(1, queries, 4)`` and logits ``(1, queries, classes)``, activated by a sigmoid.

    Args:
        name: the family.
        height: of the input.
        width: of the input.
        class_count: columns of the logits.
        boxes_at: which output has the boxes, centre x, y, width, height in parts of the input.
        logits_at: which output has the logits.
        imagenet: whether pixels are normalised by ImageNet's mean and deviation, as RF-DETR's are.
    """

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        logits = outputs[logits_at][0].astype(np.float32)
        scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))  # beyond, exp overflows
        index, confidence, class_id = best_classes(scores, keep)
        return _pixels(outputs[boxes_at][0][index], height, width), confidence, class_id

    image = STRETCHED_IMAGENET if imagenet else STRETCHED
    return Head(name, class_count, CONFIDENCE, image, decode, suppress=False)


def detr_rows(height: int, width: int, class_count: int) -> Head:
    """RT-DETR of Ultralytics: rows of centre x, y, width, height in parts of the input, and class scores."""

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        rows = outputs[0][0]
        index, confidence, class_id = best_classes(rows[:, 4:], keep)
        return _pixels(rows[index, :4], height, width), confidence, class_id

    return Head("RT-DETR", class_count, CONFIDENCE, STRETCHED, decode, suppress=False)


def detr_scores(*, boxes_at: int, scores_at: int, labels_at: int) -> Head:
    """RT-DETR and D-FINE with their postprocessor: outputs ``boxes``, ``scores`` and ``labels``.

    Boxes are xyxy in pixels of the size that the input ``orig_target_sizes`` names: that of the input here.
    """

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        confidence = outputs[scores_at][0].astype(np.float32)
        index = np.flatnonzero(confidence >= keep.min_confidence)
        check_highest(confidence[index])
        labels = outputs[labels_at][0][index].astype(np.int64)
        return outputs[boxes_at][0][index], confidence[index], labels

    return Head("RT-DETR", 0, CONFIDENCE, STRETCHED, decode, suppress=False)


def _pixels(boxes_cxcywh: NDArray[np.floating], height: int, width: int) -> NDArray[np.floating]:
    """Corners in pixels of boxes of centre x, y, width, height in parts of ``height`` x ``width``."""
    return corners(boxes_cxcywh) * np.array([width, height, width, height], np.float32)
