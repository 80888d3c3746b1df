from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.appearance.preprocess import crop_boxes
from deepsort_paddle.appearance.third_party import IMAGENET_MEAN, IMAGENET_STD

HEIGHT, WIDTH = 32, 16
BOXES = [[10, 5, 60, 90], [90, 30, 150, 110], [3, 3, 40, 40]]
NORMALIZE = {"scale": 1 / 255, "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
FLOAT_INPUT = {"height": HEIGHT, "width": WIDTH, "layout": "NCHW", "dtype": "float32", "channels": "RGB"}
CLAS_STEPS: list[dict[str, Any]] = [
    {"ResizeImage": {"size": [WIDTH, HEIGHT], "return_numpy": False, "interpolation": "bilinear"}},
    {"NormalizeImage": {"scale": "1.0/255.0", "mean": None, "std": None, "order": ""}},
    {"ToCHWImage": None},
]
DETECTION_STEPS: list[dict[str, Any]] = [
    {"type": "Resize", "target_size": [HEIGHT, WIDTH], "keep_ratio": False, "interp": 1},
    {"type": "NormalizeImage", "is_scale": True, "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)},
    {"type": "Permute"},
]
# A program of older Paddle is written where the new IR is off, which only a new process can choose.
EXPORT = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
import paddle
copy = paddle.nn.Conv2D(3, 3, 1, bias_attr=False)  # without any parameter no file of them is written
copy.weight.set_value(np.eye(3, dtype=np.float32)[:, :, None, None])
paddle.jit.save(
    paddle.nn.Sequential(copy, paddle.nn.AvgPool2D(8), paddle.nn.Flatten()),
    sys.argv[1],
    [paddle.static.InputSpec([None, 3, 32, 16], "float32", "x")],
)
"""


def make_image() -> NDArray[np.uint8]:
    """An image without any symmetry, its three channels unlike each other."""
    y, x = np.mgrid[:120, :160]
    noise = np.random.default_rng(3).integers(0, 30, (120, 160, 3))
    ramps = np.stack([200 * x / 160, 150 * y / 120, 20 + 60 * x / 160 + 90 * y / 120], axis=2)
    return (ramps + noise).astype(np.uint8)


def expected(channels: str = "RGB", *, normalised: bool = True) -> NDArray[np.float64]:
    """Means of 8 x 8 cells, channel by channel, of the normalised crops; unit rows."""
    crops = crop_boxes(make_image(), BOXES, HEIGHT, WIDTH).astype(np.float64)
    if channels == "RGB":
        crops = crops[..., ::-1]
    if normalised:
        crops = (crops / 255 - IMAGENET_MEAN) / IMAGENET_STD
    cells = crops.reshape(-1, 4, 8, 2, 8, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(len(BOXES), -1)
    unit: NDArray[np.float64] = cells / np.linalg.norm(cells, axis=1, keepdims=True)
    return unit


def check(path: Path, want: NDArray[np.float64]) -> AppearanceEncoder:
    encoder = AppearanceEncoder(path, device="cpu", threads=1)
    got = encoder(make_image(), BOXES)
    np.testing.assert_allclose(got, want, atol=2e-5)
    assert encoder.embedding_size == 24
    return encoder


@pytest.fixture(scope="module")
def new_export(
    tmp_path_factory: pytest.TempPathFactory, paddle: Any, export_layer: Callable[..., None]
) -> Path:
    """A float NCHW network of Paddle 3: net.json, net.pdiparams."""
    folder = tmp_path_factory.mktemp("new")

    class Means(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.copy = paddle.nn.Conv2D(3, 3, 1, bias_attr=False)
            self.copy.weight.set_value(np.eye(3, dtype=np.float32)[:, :, None, None])
            self.pool = paddle.nn.AvgPool2D(8)

        def forward(self, image: Any) -> Any:
            return self.pool(self.copy(image)).flatten(1)

    export_layer(Means(), folder / "net", [("x", [None, 3, HEIGHT, WIDTH], "float32")])
    return folder


def copied(source: Path, target: Path, stem: str) -> Path:
    shutil.copy(source / "net.json", target / f"{stem}.json")
    shutil.copy(source / "net.pdiparams", target / f"{stem}.pdiparams")
    return target


def write_yaml(path: Path, document: Any) -> None:
    path.write_text(yaml.safe_dump(document))


def test_the_predecessors_files_run_with_a_description_of_four_lines(tmp_path: Path, paddle: Any) -> None:
    environment = {"FLAGS_enable_pir_api": "0", "PATH": "/usr/bin:/bin"}
    subprocess.run(
        [sys.executable, "-c", EXPORT, str(tmp_path / "old")],
        check=True,
        env=environment,
        capture_output=True,
    )
    (tmp_path / "old.pdmodel").rename(tmp_path / "__model__")
    (tmp_path / "old.pdiparams").rename(tmp_path / "__params__")
    with pytest.raises(
        FileNotFoundError, match=r"encoder.json: no such file, and __model__ does not contain"
    ):
        AppearanceEncoder(tmp_path)
    files = {"model": "__model__", "params": "__params__"}
    document = {"format": 1, "input": FLOAT_INPUT, "normalize": NORMALIZE, "files": files}
    (tmp_path / "encoder.json").write_text(json.dumps(document))
    encoder = check(tmp_path, expected())
    assert encoder.spec.name == tmp_path.name
    assert encoder.max_cosine_distance == 0.2
    assert not encoder.spec.calibrated


def test_a_folder_of_paddle_detection_is_recognised(new_export: Path, tmp_path: Path) -> None:
    copied(new_export, tmp_path, "model")
    write_yaml(tmp_path / "infer_cfg.yml", {"arch": "PCBPyramid", "Preprocess": DETECTION_STEPS})
    check(tmp_path, expected())
    letterbox = [{"type": "LetterBoxResize", "target_size": [608, 1088]}]
    write_yaml(tmp_path / "infer_cfg.yml", {"Preprocess": letterbox})
    with pytest.raises(ValueError, match=r"infer_cfg.yml: Preprocess: expected .* got LetterBoxResize"):
        AppearanceEncoder(tmp_path)


def test_a_folder_of_paddle_clas_is_recognised(new_export: Path, tmp_path: Path) -> None:
    copied(new_export, tmp_path, "inference")
    write_yaml(tmp_path / "inference.yml", {"PreProcess": {"transform_ops": CLAS_STEPS}})
    check(tmp_path, expected())


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (CLAS_STEPS[1:], "no step resizes to a fixed size"),
        ([{"ResizeImage": {"size": "big"}}], "ResizeImage: size: expected two sides in pixels, got 'big'"),
        (
            [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}],
            "CropImage: size: expected that of",
        ),
        ([{"NormalizeImage": {"scale": "exit()"}}], "NormalizeImage: scale: expected a positive number"),
        ([{"NormalizeImage": {"std": [1, 0, 1]}}], "NormalizeImage: std: expected three positive numbers"),
        ([{"NormalizeImage": {"mean": [1, 0, 10**400]}}], "NormalizeImage: mean: expected three numbers"),
        ([{"Rotate": None}], "the step 'Rotate' is unknown"),
        ("none", "transform_ops: expected a list of steps"),
    ],
)
def test_a_description_that_tells_too_little_is_refused(tmp_path: Path, steps: Any, message: str) -> None:
    for name in ("inference.json", "inference.pdiparams"):
        (tmp_path / name).touch()
    write_yaml(tmp_path / "inference.yml", {"PreProcess": {"transform_ops": steps}})
    with pytest.raises(ValueError, match=f"inference.yml: .*{message}"):
        AppearanceEncoder(tmp_path)


def save_onnx(path: Path, shape: list[Any], kind: int) -> Path:
    """Means of 8 x 8 cells as an ONNX file, channel by channel."""
    perm = [0, 1, 2, 3] if shape[1] == 3 else [0, 3, 1, 2]
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["chw"], perm=perm),
        helper.make_node("AveragePool", ["chw"], ["means"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["means"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 24])]
    graph = helper.make_graph(nodes, "means", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_a_float_onnx_file_is_taken_as_imagenet_rgb_with_a_warning(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "reid.onnx", ["n", 3, HEIGHT, WIDTH], TensorProto.FLOAT)
    for source in (path, tmp_path):
        with pytest.warns(UserWarning, match="assuming RGB, divided by 255, ImageNet's mean and standard"):
            check(source, expected())


def test_an_onnx_file_of_bytes_gets_bgr_crops_as_they_are(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "reid.onnx", ["n", HEIGHT, WIDTH, 3], TensorProto.UINT8)
    check(path, expected("BGR", normalised=False))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", ["BGR", "RGB"])
def test_every_layout_can_be_described_by_hand(
    tmp_path: Path, layout: str, dtype: str, channels: str
) -> None:
    if (layout, dtype, channels) == ("NHWC", "uint8", "BGR"):
        pytest.skip("our own layout, see test_encoder.py")
    shape = ["n", 3, HEIGHT, WIDTH] if layout == "NCHW" else ["n", HEIGHT, WIDTH, 3]
    save_onnx(tmp_path / "net.onnx", shape, TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT)
    document = {
        "format": 1,
        "input": {"height": HEIGHT, "width": WIDTH, "layout": layout, "dtype": dtype, "channels": channels},
        "files": {"model": "net.onnx"},
    } | ({"normalize": NORMALIZE} if dtype == "float32" else {})
    (tmp_path / "encoder.json").write_text(json.dumps(document))
    check(tmp_path, expected(channels, normalised=dtype == "float32"))


def test_missing_or_useless_normalisation_is_named(tmp_path: Path) -> None:
    save_onnx(tmp_path / "net.onnx", ["n", 3, HEIGHT, WIDTH], TensorProto.FLOAT)
    document: dict[str, Any] = {"format": 1, "input": FLOAT_INPUT, "files": {"model": "net.onnx"}}
    (tmp_path / "encoder.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"encoder.json: normalize.scale: the field is missing"):
        AppearanceEncoder(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps(document | {"normalize": NORMALIZE | {"std": [1, 1]}}))
    with pytest.raises(ValueError, match=r"normalize.std: expected 3 positive numbers, got \[1, 1\]"):
        AppearanceEncoder(tmp_path)


def test_an_onnx_file_of_any_size_asks_for_a_description(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "any.onnx", ["n", 3, "h", "w"], TensorProto.FLOAT)
    with pytest.raises(ValueError, match=r"any.onnx: the graph takes any size, so input.height"):
        AppearanceEncoder(path)


def test_checksums_of_foreign_files_are_verified_where_there_are_any(
    tmp_path: Path, seal: Callable[[Path], None]
) -> None:
    path = save_onnx(tmp_path / "reid.onnx", ["n", HEIGHT, WIDTH, 3], TensorProto.UINT8)
    seal(tmp_path)
    check(tmp_path, expected("BGR", normalised=False))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(OSError, match=r"reid.onnx: wrong checksum"):
        AppearanceEncoder(tmp_path)
