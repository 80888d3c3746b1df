"""Each head by a file with the layout, names and metadata of its exporter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from deepsort_paddle.detection.heads.export_metadata import ExportMetadata
from deepsort_paddle.detection.heads.recognition import recognise
from deepsort_paddle.detection.onnx import OnnxDetector

Outputs = dict[str, NDArray[Any]]
# Of an input of 64 x 96: 8 x 12, 4 x 6 and 2 x 3 cells, and 1 x 2 of stride 64.
HEIGHT, WIDTH = 64, 96
STRIDES = (8, 16, 32, 64)
CELLS, CELLS_4 = 126, 128
FRAME = np.zeros((128, 96, 3), np.uint8)
# The person in the frame, and in the input: the frame is halved, and stands in the middle or on the left.
PERSON = np.array([20.0, 20, 60, 100])
CENTRED, LEFT, STRETCHED = (
    np.array([34.0, 10, 54, 50]),
    np.array([10.0, 10, 30, 50]),
    np.array([20.0, 10, 60, 50]),
)
UNIT = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float64)
SCORE = np.float32(0.875)  # exact in float16
NAMES = {"names": "{0: 'car', 1: 'bicycle', 2: 'person'}"}


def cxcywh(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def cells(strides: tuple[int, ...] = STRIDES[:3]) -> NDArray[np.float64]:
    """Column, row and stride of every cell, in the order of the outputs."""
    return np.array(
        [(x, y, s) for s in strides for y in range(-(-HEIGHT // s)) for x in range(-(-WIDTH // s))],
        np.float64,
    )


def of_cells(classes: int, person: int, box: NDArray[np.float64], extra: int = 0) -> NDArray[np.float32]:
    """YOLOv8: (1, 4 + classes + extra, cells), a car in another cell."""
    rows = np.zeros((CELLS, 4 + classes + extra), np.float32)
    rows[40, :4], rows[40, 4 + person] = cxcywh(box), SCORE
    rows[3, :4], rows[3, 4 + (person + 1) % max(classes, 2)] = [70, 50, 8, 8], 0 if classes == 1 else 0.5
    return rows.T[None]


def with_objectness(
    cell_count: int, classes: int, person: int, box: NDArray[np.float64]
) -> NDArray[np.float32]:
    """YOLOv5: (1, cells, 5 + classes)."""
    rows = np.zeros((1, cell_count, 5 + classes), np.float32)
    rows[0, :, :4] = 4
    rows[0, 50, :4], rows[0, 50, 4], rows[0, 50, 5 + person] = cxcywh(box), 1, SCORE
    return rows


def decoded(box: NDArray[np.float64], objectness: float = 0.0) -> NDArray[np.float32]:
    """Boxes that lie at their cells, one of them a person."""
    rows = with_objectness(CELLS, 80, 0, box)
    at = cells()
    rows[0, :, :2], rows[0, :, 4] = (at[:, :2] + 0.4) * at[:, 2:], objectness
    rows[0, 50, :2], rows[0, 50, 4] = cxcywh(box)[:2], 1
    return rows


def undecoded(box: NDArray[np.float64]) -> NDArray[np.float32]:
    rows = with_objectness(CELLS, 80, 0, box)
    rows[0, :, :4] = np.random.default_rng(0).normal(0, 0.5, (CELLS, 4))
    x, y, stride = cells()[50]
    centre, size = cxcywh(box)[:2], cxcywh(box)[2:]
    rows[0, 50, :4] = [*(centre / stride - [x, y]), *np.log(size / stride)]
    return rows


def distributions(strides: tuple[int, ...], classes: int) -> NDArray[np.float32]:
    """NanoDet-Plus: (1, cells, classes + 4 * 8), the person seen from a cell of stride 16."""
    rows = np.random.default_rng(1).normal(0, 3, (len(cells(strides)), classes + 32)).astype(np.float32)
    rows[:, :classes] = 0.01
    offset = 0.0 if len(strides) == 4 else 0.5
    cell = 96 + 9 if len(strides) == 4 else 96 + 8
    x, y, stride = cells(strides)[cell]
    middle = (np.array([x, y]) + offset) * stride
    sides = np.concatenate([middle - CENTRED[:2], CENTRED[2:] - middle]) / stride
    assert (sides >= 0).all()
    bins = np.full((4, 8), -40.0)
    for side, distance in enumerate(sides):  # two neighbouring bins whose mean is the distance
        low = int(distance)
        part = distance - low
        bins[side, low : low + 2] = np.log([1 - part + 1e-12, part + 1e-12])
    rows[cell, classes:], rows[cell, 0] = bins.ravel(), SCORE
    return rows[None]


def queries(row: list[float], columns: int) -> NDArray[np.float32]:
    """(1, 300, columns), the first one the person."""
    rows = np.zeros((1, 300, columns), np.float32)
    rows[0, 0, : len(row)] = row
    return rows


def logits(classes: int, person: int) -> NDArray[np.float32]:
    rows = np.full((1, 300, classes), -6, np.float32)
    rows[0, 7, person] = np.log(SCORE / (1 - SCORE))
    return rows


def unit_boxes() -> NDArray[np.float32]:
    boxes = np.full((1, 300, 4), 0.5, np.float32)
    boxes[0, 7] = cxcywh(STRETCHED / UNIT)
    return boxes


PROTOTYPES = np.zeros((1, 32, 16, 24), np.float32)
POSE = {"task": "pose", "names": "{0: 'person'}", "kpt_shape": "[17, 3]"}
KEYPOINTS = np.tile([40, 30, 0.9], 17).astype(np.float32)


def pose() -> NDArray[np.float32]:
    output = of_cells(1, 0, CENTRED, extra=51)
    output[0, 5:, 40] = KEYPOINTS
    return output


def turned() -> NDArray[np.float32]:
    """An oriented box that lies on its side: the upright box around it is the person."""
    output = of_cells(3, 2, CENTRED[[0, 1, 2, 3]], extra=1)
    output[0, 2:4, 40] = output[0, [3, 2], 40]
    output[0, -1] = np.pi / 2
    return output


def people_rows() -> NDArray[np.float32]:
    return queries([*CENTRED, SCORE, 0, *KEYPOINTS], 57)


def rtdetr_rows() -> NDArray[np.float32]:
    rows = np.full((1, 300, 7), 0.01, np.float32)
    rows[0, 4] = [*cxcywh(STRETCHED / UNIT), 0.1, 0.1, SCORE]
    return rows


ONE_IMAGE = {"images": (1, 3, HEIGHT, WIDTH)}
DATA = {"data": (1, 3, HEIGHT, WIDTH)}
EXPORTS: dict[str, tuple[str, Outputs, Mapping[str, Any], Mapping[str, str]]] = {
    "YOLOv8": ("YOLOv8", {"output0": of_cells(3, 2, CENTRED)}, ONE_IMAGE, {"task": "detect", **NAMES}),
    "YOLO11 without metadata": ("YOLOv8", {"output0": of_cells(80, 0, CENTRED)}, ONE_IMAGE, {}),
    "YOLO11-pose": ("YOLOv8", {"output0": pose()}, ONE_IMAGE, POSE),
    "YOLO11-obb": ("YOLOv8", {"output0": turned()}, ONE_IMAGE, {"task": "obb", **NAMES}),
    "YOLO11-seg": (
        "YOLOv8",
        {"output0": of_cells(3, 2, CENTRED, extra=32), "output1": PROTOTYPES},
        ONE_IMAGE,
        {"task": "segment", **NAMES},
    ),
    "cells first": (
        "YOLOv8",
        {"output0": np.ascontiguousarray(of_cells(3, 2, CENTRED).transpose(0, 2, 1))},
        ONE_IMAGE,
        NAMES,
    ),
    "YOLOv5": ("YOLOv5", {"output0": with_objectness(3 * CELLS, 3, 2, CENTRED)}, ONE_IMAGE, NAMES),
    "YOLOv5-P6": ("YOLOv5", {"output0": with_objectness(3 * CELLS_4, 80, 0, CENTRED)}, ONE_IMAGE, {}),
    "YOLOv7": ("YOLOv5", {"output": with_objectness(3 * CELLS, 80, 0, CENTRED)}, ONE_IMAGE, {}),
    "YOLOv5-seg": (
        "YOLOv5",
        {
            "output0": np.pad(
                with_objectness(3 * CELLS, 3, 2, CENTRED), ((0, 0), (0, 0), (0, 32)), constant_values=3
            ),
            "output1": PROTOTYPES,
        },
        ONE_IMAGE,
        NAMES,
    ),
    "YOLOv6": ("YOLOv6", {"outputs": decoded(CENTRED, objectness=1.0)}, ONE_IMAGE, {}),
    "YOLOX": ("YOLOX", {"output": undecoded(LEFT)}, ONE_IMAGE, {}),
    "YOLOX decoded": ("YOLOX, decoded", {"output": decoded(LEFT)}, ONE_IMAGE, {}),
    "NanoDet-Plus": (
        "NanoDet-Plus",
        {"output": distributions(STRIDES, 80)},
        DATA,
        {},
    ),
    "NanoDet in one": (
        "NanoDet",
        {"output": distributions(STRIDES[:3], 80)},
        DATA,
        {},
    ),
    "YOLOv10": ("end-to-end", {"output0": queries([*CENTRED, SCORE, 0], 6)}, ONE_IMAGE, {}),
    "YOLO26": (
        "end-to-end",
        {"output0": queries([*CENTRED, SCORE, 2], 6)},
        ONE_IMAGE,
        {"task": "detect", "end2end": "True", **NAMES},
    ),
    "YOLO26-pose": (
        "end-to-end",
        {"output0": people_rows()},
        ONE_IMAGE,
        POSE,
    ),
    "YOLO26-pose without metadata": (
        "end-to-end",
        {"output0": people_rows()},
        ONE_IMAGE,
        {},
    ),
    "YOLO26-obb": (
        "end-to-end",
        {"output0": queries([*cxcywh(CENTRED), SCORE, 2, 0], 7)},
        ONE_IMAGE,
        {"task": "obb", **NAMES},
    ),
    "YOLO26-seg": (
        "end-to-end",
        {"output0": queries([*CENTRED, SCORE, 2], 38), "output1": PROTOTYPES},
        ONE_IMAGE,
        {"task": "segment", **NAMES},
    ),
    "RT-DETR of Ultralytics": (
        "RT-DETR",
        {"output0": rtdetr_rows()},
        ONE_IMAGE,
        {"task": "detect", "description": "Ultralytics RT-DETR-l model trained on x", **NAMES},
    ),
    "RT-DETR of Ultralytics, later": (
        "end-to-end",
        {"output0": queries([*cxcywh(STRETCHED / UNIT), SCORE, 2], 6)},
        ONE_IMAGE,
        {"task": "detect", "head": "RTDETRDecoder", **NAMES},
    ),
    "RT-DETR, D-FINE, DEIM": (
        "RT-DETR",
        {
            "labels": np.zeros((1, 300), np.int64),
            "boxes": np.tile(STRETCHED.astype(np.float32), (1, 300, 1)),
            "scores": np.eye(1, 300, 5, np.float32) * SCORE,
        },
        {"images": ("N", 3, HEIGHT, WIDTH), "orig_target_sizes": ("N", 2)},
        {},
    ),
    "D-FINE of transformers": (
        "RT-DETR",
        {"logits": logits(80, 0), "pred_boxes": unit_boxes()},
        {"pixel_values": (1, 3, HEIGHT, WIDTH)},
        {},
    ),
    "D-FINE undecoded": (
        "RT-DETR",
        {"pred_logits": logits(80, 0), "pred_boxes": unit_boxes()},
        ONE_IMAGE,
        {},
    ),
    "RF-DETR": (
        "RF-DETR",
        {"dets": unit_boxes(), "labels": logits(91, 1)},
        {"input": (1, 3, HEIGHT, WIDTH)},
        {},
    ),
    "RF-DETR of three classes": (
        "RF-DETR",
        {"dets": unit_boxes(), "labels": logits(4, 0)},
        {"input": (1, 3, HEIGHT, WIDTH)},
        {},
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_each_export_is_read_by_its_head(name: str, save_export: Callable[..., Path], tmp_path: Path) -> None:
    family, outputs, inputs, metadata = EXPORTS[name]
    detector = OnnxDetector(
        save_export(tmp_path / "net.onnx", outputs, inputs, metadata), device="cpu", threads=1
    )
    assert detector.head.name == family
    found = detector(1, FRAME)
    np.testing.assert_allclose(found.boxes, [PERSON], atol=1e-3)
    np.testing.assert_allclose(found.confidence, [SCORE], atol=1e-6)
    assert "names" not in metadata or detector.labels[found.class_id[0]] == "person"


@pytest.mark.parametrize(
    "name", ["YOLOv8", "YOLOv5", "YOLOX", "NanoDet-Plus", "YOLO26", "D-FINE of transformers"]
)
def test_exports_in_float16_are_read_too(name: str, save_export: Callable[..., Path], tmp_path: Path) -> None:
    _, outputs, inputs, metadata = EXPORTS[name]
    half = {name: output.astype(np.float16) for name, output in outputs.items()}
    path = save_export(tmp_path / "half.onnx", half, inputs, metadata, TensorProto.FLOAT16)
    found = OnnxDetector(path, device="cpu", threads=1)(1, FRAME)
    np.testing.assert_allclose(found.boxes, [PERSON], atol=0.3)
    np.testing.assert_allclose(found.confidence, [SCORE], atol=1e-3)


def refused(outputs: Outputs, metadata: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ValueError, match=r"xport the detection model") as caught:
        recognise(outputs, HEIGHT, WIDTH, ExportMetadata.parse(metadata or {}))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_pose_export_without_metadata_is_refused() -> None:
    assert "expected scores from 0 to 1, got 0 to 40" in refused({"output0": pose()})


@pytest.mark.parametrize("angle", [1.4, 0.3, -0.2])
def test_an_oriented_export_without_metadata_is_refused(angle: float) -> None:
    output = of_cells(3, 2, CENTRED, extra=1)
    output[0, -1] = angle
    message = refused({"output0": output})
    assert "oriented-box models" in message


def test_a_pose_export_that_differs_from_its_metadata_is_refused() -> None:
    message = refused({"output0": pose()}, POSE | {"kpt_shape": "[4, 2]"})
    assert message.startswith(
        "the file names 1 classes and its outputs have 44, read as a model of task pose"
    )
    message = refused({"output0": pose()}, {"task": "detect", "names": "{0: 'person'}"})
    assert message.startswith("the file names 1 classes and its outputs have 52")


@pytest.mark.parametrize("task", ["classify", "depth"])
def test_a_model_of_another_task_is_refused_by_name(task: str) -> None:
    message = refused({"output0": of_cells(3, 2, CENTRED)}, {"task": task, **NAMES})
    assert f"got a model of task {task}" in message


def test_names_that_do_not_fit_the_outputs_are_refused() -> None:
    message = refused({"output0": with_objectness(3 * CELLS, 80, 0, CENTRED)}, NAMES)
    assert message.startswith("the file names 3 classes and its outputs have 80")
    message = refused({"dets": unit_boxes(), "labels": logits(91, 1)}, NAMES)
    assert message.startswith("the file names 3 classes and its outputs have 91")


@pytest.mark.parametrize(
    ("outputs", "guess"),
    [
        ({"y": np.zeros((1, 1000), np.float32)}, "a classifier?"),
        ({"y": np.zeros((4, 7), np.float32)}, "boxes after suppression?"),
        (
            {f"y{s}": np.zeros((1, 3, 64 // s, 96 // s, 85), np.float32) for s in (8, 16, 32)},
            "without --grid?",
        ),
        ({"y": np.zeros((1, 255, 8, 12), np.float32)}, "feature maps before the head?"),
        ({"dets": np.zeros((1, 9, 5), np.float32), "labels": np.zeros((1, 9), np.int64)}, "known heads:"),
        ({"y": np.zeros((2, 84, CELLS), np.float32)}, "known heads:"),
        (
            {"logits": logits(92, 1)[:, :100], "pred_boxes": unit_boxes()[:, :100]},
            "as DETR and YOLOS have them",
        ),
    ],
)
def test_unknown_outputs_are_refused_with_a_guess(outputs: Outputs, guess: str) -> None:
    assert guess in refused(outputs)


def test_numbers_over_1_in_a_later_frame_are_no_scores() -> None:
    head = recognise({"output0": of_cells(3, 2, CENTRED)}, HEIGHT, WIDTH)
    later = of_cells(3, 2, CENTRED)
    later[0, 6, 40] = 1.7
    with pytest.raises(ValueError, match=r"expected scores from 0 to 1, got 1.7"):
        head.decode([later])


def test_malformed_metadata_counts_as_missing() -> None:
    for names in ("", "not python", "{1: 'person'}", "{}", "7", "[" * 5000):
        assert ExportMetadata.parse({"names": names}).names == ()
    parsed = ExportMetadata.parse({"names": "['a', 'b']", "imgsz": "[384, 640]", "kpt_shape": "[0]"})
    assert (parsed.names, parsed.image_size, parsed.keypoint_values) == (("a", "b"), (384, 640), 0)
