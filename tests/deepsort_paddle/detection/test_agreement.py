"""Whether bfloat16 finds the same boxes, and what is remembered of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import Detections
from deepsort_paddle.detection import agreement
from deepsort_paddle.detection.agreement import Agreement, compare, fastest

BOXES = np.array([[0.0, 0.0, 10.0, 20.0], [50.0, 0.0, 60.0, 20.0], [80.0, 0.0, 90.0, 20.0]])


def found(confidence: list[float], boxes: NDArray[np.float64] = BOXES) -> Detections:
    return Detections.of(boxes, confidence, np.zeros(len(boxes), np.int64))


def test_equal_boxes_agree_and_weak_ones_are_left_out() -> None:
    one, other = found([0.9, 0.8, 0.29]), found([0.88, 0.8, 0.05])
    result = compare([one], [other])
    assert (result.boxes, result.matched, result.mean_iou) == (4, 1.0, 1.0)
    np.testing.assert_allclose(result.score_difference, 0.01, atol=1e-6)
    assert result.is_close


def test_a_box_matches_one_below_the_threshold_but_none_elsewhere_or_of_another_class() -> None:
    assert compare([found([0.9, 0.8, 0.31])], [found([0.9, 0.8, 0.28])]).matched == 1
    lower = found([0.9, 0.8, 0.7], BOXES + np.array([[0], [0], [8]]))  # the third one
    assert compare([found([0.9, 0.8, 0.7])], [lower]).matched == 4 / 6
    other = Detections.of(BOXES, [0.9, 0.8, 0.7], np.array([0, 0, 2]))
    assert compare([found([0.9, 0.8, 0.7])], [other]).matched == 4 / 6


def test_no_boxes_say_nothing_and_one_sided_boxes_disagree() -> None:
    empty = Detections.empty()
    assert compare([empty], [empty]) == Agreement(0, 1.0, 1.0, 0.0)
    assert compare([empty], [found([0.9, 0.8, 0.7])]) == Agreement(3, 0.0, 1.0, 0.0)
    assert not Agreement(100, 0.94, 1.0, 0.0).is_close
    assert not Agreement(100, 1.0, 0.94, 0.0).is_close
    assert not Agreement(100, 1.0, 1.0, 0.03).is_close


class TwoPrecisions:
    """Stands for an ONNX detector."""

    on_gpu, computed_by = False, "onnxruntime in float32"

    def __init__(self, path: Path, shift: float) -> None:
        self.path, self.shift, self.calls = path, shift, 0

    def in_bfloat16(self) -> TwoPrecisions:
        other = copy.copy(self)
        other.computed_by = "openvino in bfloat16"
        return other

    def __call__(self, number: int, image: Any) -> Detections:
        self.calls += 1
        return found([0.9, 0.8, 0.7], BOXES + (self.shift if "bfloat16" in self.computed_by else 0.0))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("openvino")
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(agreement, "computes_bfloat16", lambda: True)
    (tmp_path / "net.onnx").write_bytes(b"a network")
    return tmp_path


def images(count: int) -> list[NDArray[np.uint8]]:
    return [np.zeros((20, 100, 3), np.uint8)] * count


@pytest.mark.parametrize(
    ("shift", "chosen"), [(0.1, "openvino in bfloat16"), (2.0, "onnxruntime in float32")]
)
def test_a_file_is_compared_once(cache: Path, shift: float, chosen: str) -> None:
    notes: list[str] = []
    for _ in range(2):
        detector: Any = TwoPrecisions(cache / "net.onnx", shift)
        assert fastest(detector, lambda: images(5), notes.append).computed_by == chosen
    assert len(notes) == 1
    assert notes[0].startswith(f"net.onnx runs by {chosen}: in bfloat16 100% of 30 boxes match float32")
    assert detector.calls == 0  # the second time
    (cache / "net.onnx").write_bytes(b"another network")
    fastest(detector, lambda: images(5), notes.append)
    assert len(notes) == 2


def test_few_boxes_decide_nothing(cache: Path) -> None:
    detector: Any = TwoPrecisions(cache / "net.onnx", 0.1)
    for count in (0, 3):  # 18 boxes
        assert fastest(detector, lambda count=count: images(count)) is detector  # type: ignore[misc]
    assert not (cache / "cache").exists()


def test_a_cache_that_cannot_be_written_or_read_is_done_without(cache: Path) -> None:
    detector: Any = TwoPrecisions(cache / "net.onnx", 0.1)
    (cache / "cache").write_text("in the way")
    assert fastest(detector, lambda: images(5)).computed_by == "openvino in bfloat16"
    (cache / "cache").unlink()
    fastest(detector, lambda: images(5))
    (record,) = (cache / "cache").rglob("*.json")
    record.write_text("{}")
    assert fastest(detector, lambda: images(5)).computed_by == "openvino in bfloat16"


def test_without_openvino_or_bfloat16_nothing_changes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector: Any = TwoPrecisions(cache / "net.onnx", 0.1)
    monkeypatch.setattr(agreement, "computes_bfloat16", lambda: False)
    assert fastest(detector, lambda: images(5)) is detector

    def missing() -> bool:
        raise ImportError("OpenVINO is not installed")

    monkeypatch.setattr(agreement, "computes_bfloat16", missing)
    assert fastest(detector, lambda: images(5)) is detector


class NotCompiled(TwoPrecisions):
    """Stands for a detector with an operator that OpenVINO lacks."""

    def __call__(self, number: int, image: Any) -> Detections:
        if "bfloat16" in self.computed_by:
            raise OSError("net.onnx: OpenVINO cannot open it")
        return super().__call__(number, image)


def test_a_detector_that_openvino_cannot_compile_runs_in_float32(cache: Path) -> None:
    detector: Any = NotCompiled(cache / "net.onnx", 0.0)
    notes: list[str] = []
    assert fastest(detector, lambda: images(8), notes.append) is detector
    assert notes == ["net.onnx runs by onnxruntime in float32: net.onnx: OpenVINO cannot open it"]
    assert not (cache / "cache").exists()
