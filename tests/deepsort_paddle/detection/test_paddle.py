from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from deepsort_paddle.detection.detector import make_detector
from deepsort_paddle.detection.paddle import PaddleDetector

CONFIG: dict[str, Any] = {
    "mode": "paddle",
    "draw_threshold": 0.4,
    "metric": "COCO",
    "arch": "YOLO",
    "Preprocess": [
        {"type": "Resize", "interp": 1, "keep_ratio": False, "target_size": [96, 128]},
        {
            "type": "NormalizeImage",
            "is_scale": True,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "norm_type": "mean_std",
        },
        {"type": "Permute"},
    ],
    "label_list": ["bicycle", "person"],
}


@pytest.fixture(scope="session")
def exported_detector(tmp_path_factory: pytest.TempPathFactory, paddle: Any, export_layer: Callable) -> Path:
    """A network of PaddleDetection's signature that boxes what is bright red, and what is bright blue."""

    class ColourDetector(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            # Copies its input: without parameters Paddle exports no weights file.
            self.copy = paddle.nn.Conv2D(3, 3, 1, bias_attr=False)
            self.copy.weight.set_value(np.eye(3, dtype=np.float32)[:, :, None, None])

        def forward(self, image: Any, im_shape: Any, scale_factor: Any) -> Any:
            planes = self.copy(image)
            rows = [
                self.row(planes[:, channel], label, score, im_shape, scale_factor)
                for channel, label, score in ((0, 1.0, 0.9), (2, 0.0, 0.8))
            ]
            filler = paddle.full([1, 6], -1.0)
            boxes = paddle.concat([*rows, filler])
            count = paddle.full([1], 3, dtype="int32")
            return boxes, count

        def row(self, plane: Any, label: float, score: float, im_shape: Any, scale_factor: Any) -> Any:
            bright = (plane > 1.0).astype("float32")  # over 0.75 before the normalisation
            edges = []
            for axis, at in ((1, 1), (2, 0)):
                line = bright.max(axis=axis)  # (1, W), then (1, H)
                first = line.argmax(axis=1).astype("float32")
                last = im_shape[:, at] - line[:, ::-1].argmax(axis=1).astype("float32")
                edges.append((first / scale_factor[:, at], last / scale_factor[:, at]))
            (x1, x2), (y1, y2) = edges
            values = [paddle.full([1], label), paddle.full([1], score), x1, y1, x2, y2]
            return paddle.stack(values, axis=1)

    folder = tmp_path_factory.mktemp("detector")
    export_layer(
        ColourDetector(),
        folder / "model",
        [
            ("image", [1, 3, 96, 128], "float32"),
            ("im_shape", [1, 2], "float32"),
            ("scale_factor", [1, 2], "float32"),
        ],
    )
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(CONFIG))
    return folder


@pytest.fixture
def folder(exported_detector: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(exported_detector, tmp_path / "detector"))


def configure(folder: Path, **changes: Any) -> Path:
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(CONFIG | changes))
    return folder


def make_image() -> NDArray[np.uint8]:
    """288 x 256 BGR: red above on the left, blue below on the right."""
    frame = np.full((288, 256, 3), 40, np.uint8)
    frame[30:90, 20:50] = (0, 0, 255)
    frame[180:270, 160:220] = (255, 0, 0)
    return frame


def test_boxes_come_back_in_pixels_of_the_image(exported_detector: Path) -> None:
    detector = PaddleDetector(exported_detector, device="cpu", classes=[0, 1])
    found = detector(1, make_image())
    np.testing.assert_allclose(found.boxes, [[20, 30, 50, 90], [160, 180, 220, 270]], atol=0.01)
    np.testing.assert_array_equal(found.class_id, [1, 0])
    np.testing.assert_allclose(found.confidence, [0.9, 0.8])
    assert (detector.arch, detector.labels, detector.confidence) == ("YOLO", ("bicycle", "person"), 0.4)


def test_people_are_the_default_class_wherever_the_list_has_them(exported_detector: Path) -> None:
    detector = make_detector(exported_detector, device="cpu")
    assert isinstance(detector, PaddleDetector)
    assert detector.classes == [1]
    np.testing.assert_array_equal(detector(1, make_image()).class_id, [1])
    assert len(make_detector(exported_detector, device="cpu", confidence=0.95)(1, make_image())) == 0


def fed(detector: PaddleDetector, frame: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the network is given for a frame."""
    caught: list[Any] = []

    def record(feeds: Any) -> list[NDArray[Any]]:
        caught.append(feeds)
        return [np.zeros((0, 6), np.float32), np.zeros(1, np.int32)]

    monkeypatch.setattr(detector._predictor, "run_feeds", record)
    assert len(detector(1, frame)) == 0
    return caught[0]


def test_preprocessing_agrees_with_a_plain_one(
    exported_detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (77, 201, 3), dtype=np.uint8)
    feeds = fed(PaddleDetector(exported_detector, device="cpu"), frame, monkeypatch)
    rgb = cv2.cvtColor(cv2.resize(frame, (128, 96)), cv2.COLOR_BGR2RGB).astype(np.float64)
    want = ((rgb / 255 - 0.5) / 0.25).transpose(2, 0, 1)[None]
    assert feeds["image"].dtype == np.float32
    np.testing.assert_allclose(feeds["image"], want, atol=1e-5)
    np.testing.assert_array_equal(feeds["im_shape"], [[96, 128]])
    np.testing.assert_allclose(feeds["scale_factor"], [[96 / 77, 128 / 201]])


def test_kept_ratio_and_padding_to_a_stride(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        {"type": "Resize", "interp": 0, "keep_ratio": True, "target_size": [80, 130]},
        {"type": "NormalizeImage", "is_scale": False, "norm_type": "none"},
        {"type": "Permute"},
        {"type": "PadStride", "stride": 32},
    ]
    detector = PaddleDetector(configure(folder, Preprocess=steps), device="cpu")
    frame = np.full((100, 200, 3), (3, 2, 1), np.uint8)
    # Short side 80 would make the long one 160, over 130: the ratio is 130 / 200.
    feeds = fed(detector, frame, monkeypatch)
    np.testing.assert_array_equal(feeds["im_shape"], [[65, 130]])
    np.testing.assert_allclose(feeds["scale_factor"], [[0.65, 0.65]])
    assert feeds["image"].shape == (1, 3, 96, 160)
    np.testing.assert_array_equal(feeds["image"][0, :, 64, 129], [1, 2, 3])
    assert not feeds["image"][0, :, 65:].any()
    assert not feeds["image"][0, :, :, 130:].any()


def test_steps_apply_in_the_order_of_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [CONFIG["Preprocess"][i] for i in (0, 2, 1)]
    frame = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    want = fed(PaddleDetector(folder, device="cpu"), frame, monkeypatch)["image"]
    detector = PaddleDetector(configure(folder, Preprocess=steps), device="cpu")
    np.testing.assert_allclose(fed(detector, frame, monkeypatch)["image"], want, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_list": []}, "label_list: expected a list of class names, got "),
        ({"Preprocess": "Resize"}, "Preprocess: expected a list of steps, got 'Resize'"),
        ({"Preprocess": [{"type": "WarpAffine"}]}, "Preprocess: expected Resize, .*, got type 'WarpAffine'"),
        ({"Preprocess": [{"type": "Resize", "target_size": [0, 4]}]}, "Resize: target_size: expected"),
        (
            {"Preprocess": [{"type": "Resize", "target_size": 9, "interp": 9}]},
            "interp: expected 0 to 4, got 9",
        ),
        ({"Preprocess": [{"type": "NormalizeImage", "mean": [0, 0]}]}, "expected mean and std of three"),
        (
            {"Preprocess": [{"type": "NormalizeImage", "mean": [0] * 3, "std": [0] * 3}]},
            "std must be positive",
        ),
        ({"Preprocess": [{"type": "PadStride", "stride": "x"}]}, "stride: expected a number, got 'x'"),
        ({"draw_threshold": "high"}, "draw_threshold: expected a number, got 'high'"),
    ],
)
def test_a_wrong_configuration_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"infer_cfg.yml: .*{message}"):
        PaddleDetector(configure(folder, **changes), device="cpu")


@pytest.mark.parametrize("content", ["- 1\n- 2\n", "a: [", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_configuration_is_refused(folder: Path, content: str) -> None:
    (folder / "infer_cfg.yml").write_text(content)
    with pytest.raises(ValueError, match=r"infer_cfg.yml: ") as caught:
        PaddleDetector(folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "model.pdiparams").unlink()
    with pytest.raises(FileNotFoundError, match=r"model.pdiparams: no such file"):
        PaddleDetector(folder, device="cpu")
    (folder / "model.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no exported network, expected one of model.pdmodel"):
        PaddleDetector(folder, device="cpu")
    (folder / "infer_cfg.yml").unlink()
    with pytest.raises(FileNotFoundError, match=r"infer_cfg.yml: no such file"):
        PaddleDetector(folder, device="cpu")


def test_nothing_is_detected_without_an_image(exported_detector: Path) -> None:
    detector = PaddleDetector(exported_detector, device="cpu")
    assert len(detector(3, None)) == len(detector(3, np.zeros((9, 0, 3), np.uint8))) == 0


def test_outputs_without_boxes_are_refused(exported_detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = PaddleDetector(exported_detector, device="cpu")
    monkeypatch.setattr(detector._predictor, "run_feeds", lambda feeds: [np.zeros((1, 80))])
    with pytest.raises(ValueError, match=r"expected an output \(N, 6\), got \(1, 80\)"):
        detector(1, make_image())
