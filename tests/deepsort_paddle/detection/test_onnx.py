from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deepsort_paddle.detection.heads.head import ImageFormat
from deepsort_paddle.detection.heads.nanodet import IMAGE as NANODET_IMAGE
from deepsort_paddle.detection.heads.nanodet import nanodet
from deepsort_paddle.detection.heads.recognition import recognise
from deepsort_paddle.detection.heads.yolo import LETTERBOX, YOLOX_IMAGE, yolov8, yolox
from deepsort_paddle.detection.image_input import fit, planes
from deepsort_paddle.detection.labels import COCO_LABELS
from deepsort_paddle.detection.onnx import OnnxDetector
from deepsort_paddle.inference.openvino import ImageInput
from deepsort_paddle.inference.predictor import Predictor

# Of an input of 64 x 96: 8 x 12, 4 x 6 and 2 x 3 cells.
HEIGHT, WIDTH = 64, 96
GRIDS = ((8, 8, 12), (16, 4, 6), (32, 2, 3))
CELLS = 96 + 24 + 6


def cells() -> list[tuple[int, int, int]]:
    """Stride, row and column of every cell, in the order of the outputs."""
    return [(s, y, x) for s, rows, columns in GRIDS for y in range(rows) for x in range(columns)]


@pytest.fixture
def save_constant(save_export: Callable[..., Path]) -> Callable[..., Path]:
    """Function that writes a network which returns the same outputs for every image."""

    def save(
        path: Path, outputs: list[NDArray[np.float32]], shape: list[Any] | None = None, names: str = ""
    ) -> Path:
        return save_export(
            path,
            {f"y{number}": output for number, output in enumerate(outputs)},
            {"image": [1, 3, HEIGHT, WIDTH] if shape is None else shape},
            {"names": names} if names else None,
        )

    return save


def nanodet_outputs(scores: NDArray[np.float32], sides: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [*np.split(scores, [96, 120]), *np.split(sides, [96, 120])]


def test_yolox_decoding_agrees_with_a_loop() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(CELLS, 8)).astype(np.float32)
    rows[:, 4:] = rng.uniform(size=(CELLS, 4))
    boxes, confidence, class_id = yolox(HEIGHT, WIDTH, 3).decode([rows[None]])
    for i, (stride, y, x) in enumerate(cells()):
        centre_x, centre_y = (rows[i, 0] + x) * stride, (rows[i, 1] + y) * stride
        width, height = math.exp(rows[i, 2]) * stride, math.exp(rows[i, 3]) * stride
        want = [centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2]
        np.testing.assert_allclose(boxes[i], want, rtol=1e-4, atol=1e-4)
        best = max(range(3), key=lambda k: rows[i, 5 + k])
        assert class_id[i] == best
        assert confidence[i] == pytest.approx(rows[i, 4] * rows[i, 5 + best])


def test_nanodet_decoding_agrees_with_a_loop() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(size=(CELLS, 3)).astype(np.float32)
    sides = rng.normal(size=(CELLS, 32)).astype(np.float32)
    boxes, confidence, class_id = nanodet(HEIGHT, WIDTH, 3).decode(nanodet_outputs(scores, sides))
    for i, (stride, y, x) in enumerate(cells()):
        distance = []
        for side in range(4):
            weights = [math.exp(value) for value in sides[i, 8 * side : 8 * side + 8]]
            distance.append(stride * sum(k * w for k, w in enumerate(weights)) / sum(weights))
        centre_x, centre_y = (x + 0.5) * stride, (y + 0.5) * stride
        left, top, right, bottom = distance
        want = [centre_x - left, centre_y - top, centre_x + right, centre_y + bottom]
        np.testing.assert_allclose(boxes[i], want, rtol=1e-4, atol=1e-3)
        assert class_id[i] == scores[i].argmax()
        assert confidence[i] == scores[i].max()


def test_yolov8_decoding_reads_columns() -> None:
    output = np.zeros((1, 4 + 3, CELLS), np.float32)
    output[0, :, 5] = [40, 30, 20, 10, 0.1, 0.7, 0.2]
    boxes, confidence, class_id = yolov8(3).decode([output])
    np.testing.assert_allclose(boxes[5], [30, 25, 50, 35])
    assert (confidence[5], class_id[5]) == (np.float32(0.7), 1)


def test_heads_are_recognised_by_the_shapes_of_their_outputs() -> None:
    def zeros(*shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, np.float32)

    def named(*outputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {str(number): output for number, output in enumerate(outputs)}

    assert recognise(named(zeros(1, CELLS, 85)), HEIGHT, WIDTH).name == "YOLOX"
    assert recognise(named(zeros(1, 3549, 6)), 416, 416).class_count == 1
    assert recognise(named(zeros(1, 84, 8400)), 640, 640).name == "YOLOv8"
    assert recognise(named(zeros(1, 5, 8400)), 640, 640).class_count == 1
    flat = nanodet_outputs(zeros(CELLS, 80), zeros(CELLS, 32))
    assert recognise(named(*flat), HEIGHT, WIDTH).name == "NanoDet"
    assert recognise(named(*(output[None] for output in flat)), HEIGHT, WIDTH).name == "NanoDet"
    for wrong in ([zeros(1, 8400, 84)], flat[::-1], flat[:4], [zeros(1, 1000)], [zeros(1, 4, CELLS)]):
        with pytest.raises(ValueError, match="belong to none of the known heads"):
            recognise(named(*wrong), HEIGHT, WIDTH)


def test_boxes_come_back_in_pixels_of_a_image_of_another_shape(
    save_constant: Callable[..., Path], tmp_path: Path
) -> None:
    # 256 x 192 fits into 64 x 96 at a quarter: 64 x 48, beside it 48 columns of padding, 24 on each side.
    output = np.zeros((1, 84, CELLS), np.float32)
    output[0, :4, 0], output[0, 4, 0] = [24 + 10, 20, 10, 30], 0.9
    output[0, :4, 1], output[0, 4, 1] = [24 + 47, 60, 40, 30], 0.8  # over the edge
    output[0, :4, 2], output[0, 4, 2] = [5, 20, 8, 8], 0.7  # in the padding
    output[0, :4, 3], output[0, 4, 3] = [24 + 11, 20, 10, 30], 0.6  # overlaps the first
    output[0, :4, 4], output[0, 6, 4] = [24 + 11, 20, 10, 30], 0.6  # so does it, of class 2
    path = save_constant(tmp_path / "yolov8.onnx", [output])
    frame = np.zeros((256, 192, 3), np.uint8)
    found = OnnxDetector(path, device="cpu")(1, frame)
    np.testing.assert_allclose(found.boxes, [[20, 20, 60, 140], [108, 180, 192, 256]], atol=1e-4)
    np.testing.assert_allclose(found.confidence, [0.9, 0.8], rtol=1e-6)
    both = OnnxDetector(path, device="cpu", classes=[0, 2])(1, frame)
    np.testing.assert_array_equal(both.class_id, [0, 0, 2])


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ([np.zeros((1, CELLS, 85), np.float32)], "YOLOX"),
        ([np.zeros((1, 84, CELLS), np.float32)], "YOLOv8"),
        (nanodet_outputs(np.zeros((CELLS, 80), np.float32), np.zeros((CELLS, 32), np.float32)), "NanoDet"),
    ],
    ids=["YOLOX", "YOLOv8", "NanoDet"],
)
def test_the_network_gets_its_own_colours_sizes_and_padding(
    save_constant: Callable[..., Path],
    tmp_path: Path,
    outputs: list[NDArray[np.float32]],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detector = OnnxDetector(save_constant(tmp_path / "net.onnx", outputs), device="cpu")
    assert detector.head.name == name
    fed: list[NDArray[np.float32]] = []
    run_feeds = detector._predictor.run_feeds

    def record(feeds: Any) -> Any:
        fed.append(feeds["image"])
        return run_feeds(feeds)

    monkeypatch.setattr(detector._predictor, "run_feeds", record)
    blue = np.full((128, 96, 3), (250, 20, 10), np.uint8)  # becomes 64 x 48
    assert len(detector(1, blue)) == 0
    (array,) = fed
    assert (array.shape, array.dtype) == ((1, 3, HEIGHT, WIDTH), np.float32)
    row = array[0, :, 30].T  # (W, 3)
    bgr = np.array([250, 20, 10], np.float32)
    if name == "YOLOX":
        inside, padding = bgr, [114] * 3
        columns = range(48)
    elif name == "YOLOv8":
        inside, padding = bgr[::-1] / 255, [114 / 255] * 3
        columns = range(24, 72)
    else:
        mean, deviation = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])
        inside, padding = (bgr - mean) / deviation, -mean / deviation
        columns = range(24, 72)
    want = np.array([inside if column in columns else padding for column in range(WIDTH)])
    np.testing.assert_allclose(row, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", ["YOLOX", "YOLOv8", "NanoDet"])
def test_openvino_converts_the_image_in_its_compiled_network(head: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    image = {"YOLOX": YOLOX_IMAGE, "YOLOv8": LETTERBOX, "NanoDet": NANODET_IMAGE}[head]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["same"])],
        "identity",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, ["N", 3, "H", "W"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "identity.onnx")
    wanted = ImageInput("image", 8, 12, image.rgb, image.mean, image.scale)
    predictor = Predictor(tmp_path / "identity.onnx", device="cpu", threads=1, openvino=True, image=wanted)
    canvas = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    (same,) = predictor.run_feeds({"image": canvas[None]})
    np.testing.assert_allclose(same, planes(canvas, image), rtol=1e-4, atol=1e-4)


def test_bfloat16_finds_the_same_boxes(save_constant: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    output = np.zeros((1, 84, CELLS), np.float32)
    output[0, :4, 0], output[0, 4, 0] = [34, 20, 10, 30], 0.9
    path = save_constant(tmp_path / "net.onnx", [output])
    image = np.zeros((256, 192, 3), np.uint8)
    try:
        fast = OnnxDetector(path, device="cpu", threads=1, precision="bfloat16")
    except ValueError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(fast(1, image).boxes, OnnxDetector(path, device="cpu")(1, image).boxes, atol=1)


def test_fitting_maps_corners_to_corners() -> None:
    canvas, scale, offset = fit(np.full((100, 400, 3), 7, np.uint8), 64, 96, ImageFormat())
    assert canvas.shape == (64, 96, 3)
    np.testing.assert_allclose(scale, [0.24, 0.24])
    np.testing.assert_array_equal(offset, [0, 20])
    assert (canvas[20:44] == 7).all()
    assert (canvas[[19, 44]] == 114).all()


def test_an_input_of_any_size_is_640(save_constant: Callable[..., Path], tmp_path: Path) -> None:
    output = np.zeros((1, 8400, 85), np.float32)
    detector = OnnxDetector(save_constant(tmp_path / "any.onnx", [output], ["N", 3, "H", "W"]), device="cpu")
    assert len(detector(1, np.zeros((30, 50, 3), np.uint8))) == 0


def test_labels_come_from_the_export_or_from_coco(save_constant: Callable[..., Path], tmp_path: Path) -> None:
    output = np.zeros((1, CELLS, 7), np.float32)
    own = save_constant(tmp_path / "own.onnx", [output], names="{0: 'head', 1: 'person'}")
    detector = OnnxDetector(own, classes=["person"], device="cpu")
    assert (detector.labels, detector.classes) == (("head", "person"), [1])
    for wrong in ("", "7", "{1: 'head'}", "not python"):
        path = save_constant(tmp_path / "none.onnx", [output], names=wrong)
        assert OnnxDetector(path, device="cpu").labels == ("class 0", "class 1")
    coco = save_constant(tmp_path / "coco.onnx", [np.zeros((1, CELLS, 85), np.float32)])
    assert OnnxDetector(coco, device="cpu").labels == COCO_LABELS


def test_networks_that_are_no_detectors_are_refused(
    save_constant: Callable[..., Path], tmp_path: Path
) -> None:
    path = save_constant(tmp_path / "net.onnx", [np.zeros((1, 1000), np.float32)])
    with pytest.raises(ValueError, match=r"net.onnx: outputs y0 \(1, 1000\) of an input of 64 x 96"):
        OnnxDetector(path, device="cpu")
    path = save_constant(tmp_path / "net.onnx", [np.zeros((1, 10), np.float32)], [1, 10])
    with pytest.raises(ValueError, match=r"net.onnx: expected a detector with one input \(1, 3, H, W\)"):
        OnnxDetector(path, device="cpu")
    with pytest.raises(ValueError, match=r"confidence must be in \[0, 1\], got 30"):
        OnnxDetector(
            save_constant(tmp_path / "y.onnx", [np.zeros((1, CELLS, 85), np.float32)]),
            confidence=30,
            device="cpu",
        )
