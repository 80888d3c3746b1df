"""Which head the outputs of an ONNX detector belong to.

The names and shapes of the outputs show it, with what the file says about itself: the number of grid cells of
an input of known size is a fingerprint, and the exporter's metadata says what follows the class scores.
Where two heads share a shape, the values for one grey image decide. Whatever remains open is refused: an
output read by the wrong head gives no error later, only no tracks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.heads.detr import detr_logits, detr_rows, detr_scores
from deepsort_paddle.detection.heads.export_metadata import ExportMetadata
from deepsort_paddle.detection.heads.head import NO_SCORES, Head, grid_cells
from deepsort_paddle.detection.heads.nanodet import BINS, nanodet, nanodet_plus
from deepsort_paddle.detection.heads.yolo import end_to_end, yolov5, yolov6, yolov8, yolox, yolox_decoded

__all__ = ["HOW_TO_EXPORT", "recognise"]

HOW_TO_EXPORT = (
    "export the detection model for one image, without suppression: `yolo export model=FILE.pt format=onnx`, "
    "YOLOX tools/export_onnx.py, YOLOv7 export.py --grid, RF-DETR model.export(); docs/detectors.md lists all"
)
# Tasks of Ultralytics whose outputs start with boxes; the empty one is a file that says nothing.
_BOX_TASKS = ("", "detect", "pose", "obb", "segment")
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
# End-to-end networks report 300 boxes; a grid of so few cells belongs to an input of 192 pixels.
_MAX_QUERIES = 1000
# COCO's numbers reach 90, so that such networks have 91 classes.
_COCO_SLOTS = 91
# DETR's and YOLOS's scores are a softmax with a class for no object, which no later family has.
_DETR_QUERIES = 100
# A trained network gives nearly every cell a score near 0; an angle is spread over its range.
_SPREAD_MEDIAN = 0.25
# x, y and visibility of 17 keypoints.
_COCO_KEYPOINT_VALUES = 51

_Arrays = Sequence[NDArray[Any]]


def recognise(
    outputs: Mapping[str, NDArray[Any]], height: int, width: int, metadata: ExportMetadata | None = None
) -> Head:
    """The head to which a network's outputs belong.

    Args:
        outputs: by name, in the network's order, what it returned for one grey image.
        height: of its input.
        width: of its input.
        metadata: what the file says about itself.

    Raises:
        ValueError: no known head has such outputs, they contradict the metadata, or the model has another
            task; the message says how to export.
    """
    metadata = ExportMetadata() if metadata is None else metadata
    if metadata.task not in _BOX_TASKS:
        raise ValueError(f"expected a detector, got a model of task {metadata.task}: {HOW_TO_EXPORT}")
    arrays = list(outputs.values())
    head = _by_names(outputs, height, width)
    if head is None and arrays and arrays[0].ndim == 3 and len(arrays[0]) == 1:
        head = _by_cells(arrays, height, width, metadata) or _by_queries(arrays, height, width, metadata)
    if head is None:
        head = _split_nanodet(arrays, height, width)
    if head is None:
        shapes = ", ".join(f"{name} {output.shape}" for name, output in outputs.items())
        raise ValueError(
            f"outputs {shapes} of an input of {height} x {width} belong to none of the known heads"
            f"{_guess(arrays)}: {HOW_TO_EXPORT}"
        )
    names = len(metadata.names)
    # RF-DETR has one more class than names, for the background.
    if names and head.class_count and head.class_count - names not in (0, 1):
        raise ValueError(
            f"the file names {names} classes and its outputs have {head.class_count}: {HOW_TO_EXPORT}"
        )
    return head


def _by_names(outputs: Mapping[str, NDArray[Any]], height: int, width: int) -> Head | None:
    """The heads of detection transformers, whose outputs have names."""
    shapes = {name: output.shape for name, output in outputs.items()}
    place = {name: number for number, name in enumerate(outputs)}
    for name, boxes, logits in (
        ("RF-DETR", "dets", "labels"),
        ("RT-DETR", "pred_boxes", "logits"),
        ("RT-DETR", "pred_boxes", "pred_logits"),
    ):
        if not _are_queries(shapes.get(boxes), shapes.get(logits)):
            continue
        queries, count = shapes[logits][1:]
        if name != "RF-DETR" and queries <= _DETR_QUERIES:
            raise ValueError(
                f"expected RT-DETR, D-FINE or RF-DETR, got {queries} queries of {count} classes, as DETR and "
                f"YOLOS have them: {HOW_TO_EXPORT}"
            )
        imagenet = name == "RF-DETR" or count == _COCO_SLOTS
        return detr_logits(
            "RF-DETR" if imagenet else name,
            height,
            width,
            count,
            boxes_at=place[boxes],
            logits_at=place[logits],
            imagenet=imagenet,
        )
    scores = shapes.get("scores", ())
    if len(scores) == 2 and shapes.get("labels") == scores and shapes.get("boxes") == (*scores, 4):
        return detr_scores(boxes_at=place["boxes"], scores_at=place["scores"], labels_at=place["labels"])
    return None


def _are_queries(boxes: tuple[int, ...] | None, logits: tuple[int, ...] | None) -> bool:
    """Whether the shapes are ``(1, queries, 4)`` and ``(1, queries, classes)``."""
    return (
        boxes is not None
        and logits is not None
        and len(boxes) == len(logits) == 3
        and (boxes[0], boxes[2]) == (1, 4)
        and boxes[:2] == logits[:2]
    )


def _by_cells(arrays: _Arrays, height: int, width: int, metadata: ExportMetadata) -> Head | None:
    """The heads with a row or column for each grid cell."""
    _, rows, columns = arrays[0].shape
    counts = [sum(-(-height // s) * -(-width // s) for s in strides) for strides in _STRIDES]
    values = arrays[0][0]
    names = len(metadata.names)
    cells_first = rows in counts and names > 0 and columns == 4 + names
    # Of an input of 64 x 64 both sides may be numbers of cells.
    cells_last = columns in counts and rows > 4 and not (rows in counts and _are_scores(values[:, 4:]))
    if cells_first or cells_last:
        values = values if cells_first else values.T
        count = _class_count(values.shape[1] - 4, arrays, metadata)
        scores = values[:, 4 : 4 + count]
        _check_scores(scores)
        # A cell's angle would be its last score.
        if not metadata.task and count > 1 and np.median(scores[:, -1]) > _SPREAD_MEDIAN:
            median = np.median(scores[:, -1])
            raise ValueError(f"the last of {count} scores has a median of {median:.2f}: {NO_SCORES}")
        return yolov8(count, oriented=metadata.task == "obb", cells_first=cells_first)
    if rows in [3 * count for count in counts] and columns > 5:
        count = _class_count(columns - 5, arrays, metadata)
        _check_scores(values[:, 4 : 5 + count])
        return yolov5(count)
    if rows in counts and columns > 5:
        return _of_one_row_a_cell(arrays, height, width, metadata, _STRIDES[counts.index(rows)])
    return None


def _of_one_row_a_cell(
    arrays: _Arrays, height: int, width: int, metadata: ExportMetadata, strides: tuple[int, ...]
) -> Head | None:
    """Tell YOLOX (decoded or raw), YOLOv6 and NanoDet-Plus apart by values: their shapes are equal."""
    values = arrays[0][0]
    columns = values.shape[1]
    classes = columns - 4 * BINS
    if classes > 0 and _are_scores(values[:, :classes]) and not _are_scores(values[:, 4:]):
        return nanodet_plus(height, width, classes, strides)
    count = _class_count(columns - 5, arrays, metadata)
    _check_scores(values[:, 4:])
    corner, stride = grid_cells(height, width, strides, offset=0.0)
    # A box lies at its cell, whichever unit its centre is in.
    undecoded = np.median(np.abs(values[:, :2] - 0.5))
    decoded = np.median(np.abs(values[:, :2] / stride - corner - 0.5))
    if undecoded <= decoded:
        return yolox(height, width, count) if len(strides) == 3 else None
    return yolov6(count) if (values[:, 4] == 1).all() else yolox_decoded(count)


def _by_queries(arrays: _Arrays, height: int, width: int, metadata: ExportMetadata) -> Head | None:
    """The end-to-end heads, with a row for each box."""
    _, rows, columns = arrays[0].shape
    if rows > _MAX_QUERIES or columns < 5:
        return None
    values = arrays[0][0].astype(np.float32)
    in_parts = metadata.is_rtdetr or 0 < np.abs(values[:, :4]).max(initial=0) < 2
    others = {
        "detect": (0,),
        "obb": (1,),
        "segment": (_mask_count(arrays),),
        "pose": (metadata.keypoint_values,),
    }.get(metadata.task, (0, 1, _COCO_KEYPOINT_VALUES, _mask_count(arrays)))
    if columns - 6 in others and _are_scores(values[:, 4]) and (values[:, 5] == np.rint(values[:, 5])).all():
        return end_to_end(oriented=columns == 7, unit_size=(height, width) if in_parts else None)
    if in_parts and _are_scores(values[:, 4:]):
        return detr_rows(height, width, _class_count(columns - 4, arrays, metadata))
    return None


def _split_nanodet(arrays: _Arrays, height: int, width: int) -> Head | None:
    """NanoDet-m with an output for each stride."""
    cells = [-(-height // stride) * -(-width // stride) for stride in _STRIDES[0]]
    shapes = [array.shape[1:] if array.ndim == 3 and len(array) == 1 else array.shape for array in arrays]
    if len(shapes) != 6 or any(len(shape) != 2 for shape in shapes):
        return None
    classes, sides = {shape[1] for shape in shapes[:3]}, {shape[1] for shape in shapes[3:]}
    in_order = [shape[0] for shape in shapes] == cells * 2
    if in_order and len(classes) == len(sides) == 1 and max(sides) % 4 == 0:
        return nanodet(height, width, max(classes))
    return None


def _class_count(numbers: int, arrays: _Arrays, metadata: ExportMetadata) -> int:
    """How many of the numbers after a box are class scores; the others belong to the model's task.

    Raises:
        ValueError: that is not the number of classes that the file names.
    """
    names = len(metadata.names)
    if metadata.task == "obb":
        others = 1
    elif metadata.task == "pose":
        others = metadata.keypoint_values or numbers - names
    else:
        others = _mask_count(arrays)
    count = numbers - others
    if count < 1 or (names and count != names):
        task = f" of task {metadata.task}" if metadata.task else ""
        raise ValueError(
            f"the file names {names} classes and its outputs have {count}, read as a model{task}: "
            f"{HOW_TO_EXPORT}"
        )
    return count


def _mask_count(arrays: _Arrays) -> int:
    """Mask coefficients of each box of a segmentation model: channels of its prototypes; 0 for none."""
    return next((array.shape[1] for array in arrays[1:] if array.ndim == 4), 0)


def _are_scores(values: NDArray[Any]) -> bool:
    return bool(((values >= -0.01) & (values <= 1.01)).all())


def _check_scores(scores: NDArray[Any]) -> None:
    if not _are_scores(scores):
        low, high = float(scores.min()), float(scores.max())
        raise ValueError(f"expected scores from 0 to 1, got {low:.4g} to {high:.4g}: {NO_SCORES}")


def _guess(arrays: _Arrays) -> str:
    """What outputs of an unknown head may be, for the message."""
    shapes = [array.shape for array in arrays]
    if any(len(shape) == 5 for shape in shapes):
        return " (grids of a YOLOv5 or YOLOv7 that was exported without --grid?)"
    if len(shapes) == 1 and len(shapes[0]) == 2:
        return " (boxes after suppression?)" if shapes[0][1] == 7 else " (a classifier?)"
    if any(len(shape) == 4 for shape in shapes):
        return " (feature maps before the head?)"
    return ""
