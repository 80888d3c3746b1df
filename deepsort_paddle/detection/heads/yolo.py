"""Heads of the YOLO families: YOLOX, YOLOv5 to YOLOv8 and their successors, and end-to-end rows.

Each is written from the paper or from the format that the exporting project documents.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.heads.head import (
    KEEP_ALL,
    CandidateFilter,
    Candidates,
    Decode,
    Head,
    ImageFormat,
    Outputs,
    best_classes,
    check_highest,
    corners,
    grid_cells,
)

__all__ = ["end_to_end", "yolov5", "yolov6", "yolov8", "yolox", "yolox_decoded"]

# The best F1 of YOLOX-nano on PETS09 frames 1 to 50 and MOT17-mini together lies at 0.32.
CONFIDENCE = 0.35
LETTERBOX = ImageFormat()
YOLOX_IMAGE = ImageFormat(centred=False, rgb=False, scale=(1.0, 1.0, 1.0))
STRETCHED = ImageFormat(keep_ratio=False)
STRIDES = (8, 16, 32)


def yolox(height: int, width: int, class_count: int) -> Head:
    """YOLOX (Ge et al., arXiv 2107.08430), exported without decoding in the graph.

    A row is x, y offset from its cell in strides, log of width, height in strides, objectness, classes.
    """
    corner, stride = grid_cells(height, width, STRIDES, offset=0.0)

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        index, confidence, class_id = _objects(outputs[0][0], keep)
        rows, cell = outputs[0][0][index], stride[index]
        centre = (rows[:, :2] + corner[index]) * cell
        # A log size over 20 is no box: exp would overflow.
        half = 0.5 * np.exp(np.minimum(rows[:, 2:4], 20)) * cell
        return np.concatenate([centre - half, centre + half], axis=1), confidence, class_id

    return Head("YOLOX", class_count, CONFIDENCE, YOLOX_IMAGE, decode)


def yolox_decoded(class_count: int) -> Head:
    """YOLOX with decoding in the graph (``--decode_in_inference``)."""
    return Head("YOLOX, decoded", class_count, CONFIDENCE, YOLOX_IMAGE, _decoded_objects(class_count))


def yolov5(class_count: int) -> Head:
    """YOLOv5 and YOLOv7: rows of centre x, y, width, height, objectness, classes; three anchors a cell."""
    return Head("YOLOv5", class_count, CONFIDENCE, LETTERBOX, _decoded_objects(class_count))


def yolov6(class_count: int) -> Head:
    """YOLOv6: the rows of `yolov5`, one a cell, with an objectness of 1."""
    return Head("YOLOv6", class_count, CONFIDENCE, LETTERBOX, _decoded_objects(class_count))


def yolov8(class_count: int, *, oriented: bool = False, cells_first: bool = False) -> Head:
    """YOLOv8, YOLO11 and like: of each cell centre x, y, width, height, class scores, and what follows.

    Args:
        class_count: number of class scores; values after them (keypoints, mask coefficients) are ignored.
        oriented: the last number is the box's angle in radians; the upright box around it is reported.
        cells_first: the output is ``(1, cells, 4 + classes)`` instead of ``(1, 4 + classes, cells)``.
    """

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        rows = outputs[0][0] if cells_first else outputs[0][0].T  # (cells, 4 + classes + ...)
        index, confidence, class_id = best_classes(rows[:, 4 : 4 + class_count], keep)
        few = rows[index]
        boxes = corners(few[:, :4], few[:, -1] if oriented else None)
        return boxes, confidence, class_id

    return Head("YOLOv8", class_count, CONFIDENCE, LETTERBOX, decode)


def end_to_end(*, oriented: bool = False, unit_size: tuple[int, int] | None = None) -> Head:
    """Rows of x1, y1, x2, y2, score, class, by a network that has chosen among its boxes itself.

    YOLOv10, YOLO26, Ultralytics exports with ``nms=True``, and the RT-DETR of Ultralytics. What follows the
    class (keypoints, mask coefficients) is left out.

    Args:
        oriented: rows are centre x, y, width, height, score, class, angle.
        unit_size: height and width of the input, for rows of centre x, y, width, height in parts of it on a
            stretched image (RT-DETR).
    """

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        rows = outputs[0][0].astype(np.float32)
        rows = rows[rows[:, 4] >= keep.min_confidence]
        check_highest(rows[:, 4])
        boxes = rows[:, :4]
        if oriented:
            boxes = corners(boxes, rows[:, 6])
        elif unit_size is not None:
            boxes = corners(boxes) * np.tile(np.array(unit_size[::-1], np.float32), 2)
        return boxes, rows[:, 4], np.rint(rows[:, 5]).astype(np.int64)

    image = LETTERBOX if unit_size is None else STRETCHED
    return Head("end-to-end", 0, CONFIDENCE, image, decode, suppress=False)


def _decoded_objects(class_count: int) -> Decode:
    """Reads rows of centre x, y, width, height in pixels, objectness, classes, and what follows."""

    def decode(outputs: Outputs, keep: CandidateFilter = KEEP_ALL) -> Candidates:
        rows = outputs[0][0][:, : 5 + class_count]
        index, confidence, class_id = _objects(rows, keep)
        return corners(rows[index]), confidence, class_id

    return decode


def _objects(
    rows: NDArray[np.floating], keep: CandidateFilter
) -> tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.int64]]:
    """Return the rows of box, objectness and class scores that pass the filter; see `best_classes`."""
    likely = np.flatnonzero(rows[:, 4] >= keep.min_confidence)  # a product is below either factor
    index, confidence, class_id = best_classes(rows[likely, 4:5] * rows[likely, 5:], keep)
    return likely[index], confidence, class_id
