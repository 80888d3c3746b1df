"""Networks compiled for the shape of the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deepsort_paddle.detection.frame_networks import FrameNetworks, SizedNetwork, fitted_size
from deepsort_paddle.detection.heads.yolo import yolox
from deepsort_paddle.detection.onnx import OnnxDetector


def test_sizes_keep_the_scale_of_the_frame() -> None:
    assert fitted_size(576, 768, 416, 416) == (320, 416)  # 312 rows of the frame
    assert fitted_size(1080, 1920, 416, 416) == (256, 416)  # 234 rows
    assert fitted_size(1920, 1080, 416, 416) == (416, 256)
    assert fitted_size(500, 500, 416, 416) == (416, 416)
    assert fitted_size(10, 4000, 416, 416) == (32, 416)
    assert fitted_size(100, 100, 200, 200) == (200, 200)  # never beyond the network's own input


def test_a_network_that_takes_no_other_size_gets_padded_frames() -> None:
    asked = []

    def compile_for(height: int, width: int) -> SizedNetwork:
        asked.append((height, width))
        if (height, width) != (64, 64):
            raise ValueError("fixed")
        return SizedNetwork(height, width, yolox(height, width, 1), lambda canvas: [])

    networks = FrameNetworks(compile_for, 64, 64, may_fit=True)
    assert {networks.fitting(*size).height for size in ((50, 100), (50, 100), (100, 50))} == {64}
    assert asked == [(32, 64), (64, 64)]  # refused once, then not tried again


def test_frames_of_many_shapes_share_few_networks() -> None:
    networks = FrameNetworks(
        lambda height, width: SizedNetwork(height, width, yolox(height, width, 1), lambda canvas: []),
        320,
        320,
        may_fit=True,
    )
    heights = [networks.fitting(height, 320).height for height in (32, 64, 96, 128, 160, 192, 32)]
    assert heights == [32, 64, 96, 128, 320, 320, 32]


def convolutional_yolox(path: Path, side: int) -> Path:
    """A network of YOLOX's layout that takes any size: the mean of a cell is the log of the box's height."""
    nodes, outputs = [], []
    weights = {"pick": np.zeros((6, 3, 1, 1), np.float32), "bias": np.zeros(6, np.float32)}
    weights["pick"][3] = 0.01 / 3
    weights["bias"][4:] = [0.9, 0.95]
    for stride in (8, 16, 32):
        kernel = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes += [
            helper.make_node("AveragePool", ["images"], [f"mean{stride}"], **kernel),
            helper.make_node("Conv", [f"mean{stride}", "pick", "bias"], [f"grid{stride}"]),
            helper.make_node("Reshape", [f"grid{stride}", "flat"], [f"rows{stride}"]),
        ]
        outputs.append(f"rows{stride}")
    nodes += [
        helper.make_node("Concat", outputs, ["all"], axis=2),
        helper.make_node("Transpose", ["all"], ["output"], perm=[0, 2, 1]),
    ]
    cells = sum((side // stride) ** 2 for stride in (8, 16, 32))
    graph = helper.make_graph(
        nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, cells, 6])],
        [
            *(numpy_helper.from_array(value, name) for name, value in weights.items()),
            numpy_helper.from_array(np.array([1, 6, -1]), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def test_a_fitted_network_finds_the_boxes_of_the_whole_one(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    detector = OnnxDetector(convolutional_yolox(tmp_path / "net.onnx", 128), device="cpu", threads=1)
    assert detector.head.name == "YOLOX"
    try:
        fast = detector.in_bfloat16()
    except ValueError as error:
        pytest.skip(str(error))
    assert (detector.computed_by, fast.computed_by) == ("onnxruntime in float32", "openvino in bfloat16")
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 255, (4, 8, 3), np.uint8), 32, 0), 32, 1)  # (128, 256, 3)
    one, other = detector(1, image), fast(1, image)
    # Half of the whole input is padding, where this network finds boxes too; the frame cuts them away.
    inside = one.boxes[:, 3] < 120
    assert inside.sum() > 5
    for box in one.boxes[inside]:
        assert np.abs(other.boxes - box).max(axis=1).min() < 1.5
