from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepsort_paddle.appearance import backend
from deepsort_paddle.appearance.backend import Choice, choose
from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.appearance.spec import EncoderSpec

FOLDER = Path("weights/grid")
SPEC = EncoderSpec(
    name="grid",
    height=32,
    width=16,
    resize_mode="stretch",
    interpolation="linear",
    embedding_size=24,
    normalized=True,
    model="inference.json",
    params="inference.pdiparams",
    paddle="3.3.1",
    max_cosine_distance=0.25,
    bfloat16_allowed=True,
    onnx="inference.onnx",
    int8="inference_int8.onnx",
)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with bfloat16 and every library, no GPU."""
    monkeypatch.setattr(backend, "_has_paddle_for_gpus", lambda: False)
    monkeypatch.setattr(backend, "_is_installed", lambda module: True)
    monkeypatch.setattr(backend, "_cpu_computes_bfloat16", lambda: True)


def chosen(spec: EncoderSpec = SPEC, **wishes: Any) -> tuple[str, str, bool]:
    wanted = {"backend": "auto", "precision": "auto", "device": "auto", **wishes}
    choice = choose(FOLDER, spec, **wanted)
    return choice.file, choice.backend, choice.bfloat16


def test_openvino_computes_in_bfloat16_where_that_is_allowed_and_both_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert chosen() == ("inference.onnx", "openvino", True)
    strict = replace(SPEC, bfloat16_allowed=False)
    assert chosen(strict) == ("inference.onnx", "onnxruntime", False)
    assert chosen(precision="float32") == ("inference.onnx", "onnxruntime", False)
    assert chosen(strict, precision="bfloat16") == ("inference.onnx", "openvino", True)
    monkeypatch.setattr(backend, "_cpu_computes_bfloat16", lambda: False)
    assert chosen()[1] == "onnxruntime"
    monkeypatch.setattr(backend, "_is_installed", lambda module: False)
    assert chosen(precision="bfloat16") == ("inference.json", "paddle", True)


def test_without_openvino_a_large_network_runs_in_paddle_where_that_computes_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend, "_is_installed", lambda module: module != "openvino")
    assert chosen()[:2] == ("inference.onnx", "onnxruntime")
    monkeypatch.setattr(backend, "_is_large", lambda network: True)
    assert chosen() == ("inference.json", "paddle", True)
    assert chosen(replace(SPEC, bfloat16_allowed=False))[1] == "onnxruntime"
    assert chosen(precision="float32")[1] == "onnxruntime"
    assert chosen(replace(SPEC, model="inference.onnx", params=None))[1] == "onnxruntime"
    monkeypatch.setattr(backend, "_is_installed", lambda module: False)
    assert chosen()[1] == "onnxruntime"


def test_a_network_is_large_from_a_size_on(tmp_path: Path) -> None:
    for size, large in ((16 * 2**20, False), (16 * 2**20 + 1, True)):
        with (tmp_path / "inference.onnx").open("wb") as file:
            file.truncate(size)
        assert backend._is_large(tmp_path / "inference.onnx") is large
    assert not backend._is_large(tmp_path / "none.onnx")


def test_a_network_without_a_copy_in_onnx_runs_in_paddle() -> None:
    alone = replace(SPEC, onnx=None)
    assert chosen(alone) == ("inference.json", "paddle", True)
    assert chosen(alone, precision="float32") == ("inference.json", "paddle", False)
    with pytest.raises(ValueError, match="backend openvino needs an ONNX copy of the network"):
        chosen(alone, backend="openvino")


def test_a_gpu_runs_paddle_whatever_copies_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_has_paddle_for_gpus", lambda: True)
    assert chosen()[:2] == ("inference.json", "paddle")
    assert chosen(device="gpu:1")[:2] == ("inference.json", "paddle")
    with pytest.raises(ValueError, match="precision bfloat16 is for backends .* on a CPU, got auto on gpu"):
        chosen(precision="bfloat16", device="gpu")


def test_the_int8_form_runs_on_the_cpu_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"backend": "auto", "precision": "int8", "device": "auto"}
    assert choose(FOLDER, SPEC, **wanted) == Choice("inference_int8.onnx", "openvino", "cpu", False)
    assert chosen(precision="int8", backend="onnxruntime")[1] == "onnxruntime"
    monkeypatch.setattr(backend, "_is_installed", lambda module: False)
    assert chosen(precision="int8")[1] == "onnxruntime"
    with pytest.raises(ValueError, match=r"int8 copy of the network, .* \(reid-train quantize writes it\)"):
        chosen(replace(SPEC, int8=None), precision="int8")
    with pytest.raises(ValueError, match="precision int8 is for .* on a CPU, got auto on gpu"):
        chosen(precision="int8", device="gpu")
    with pytest.raises(ValueError, match="precision int8 is for .* on a CPU, got paddle on cpu"):
        chosen(precision="int8", backend="paddle", device="cpu")


def test_unknown_wishes_and_impossible_ones_are_refused(encoder_folder: Path) -> None:
    with pytest.raises(ValueError, match="precision must be one of auto, float32, .*, got 'fp16'"):
        AppearanceEncoder(encoder_folder, precision="fp16")
    with pytest.raises(ValueError, match="bfloat16 is for backends paddle and openvino on a CPU, got onnx"):
        chosen(precision="bfloat16", backend="onnxruntime")


def test_bfloat16_that_the_processor_does_not_have_is_refused(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paddle = pytest.importorskip("paddle")
    monkeypatch.setattr(backend, "_is_installed", lambda module: False)
    monkeypatch.setattr(paddle.base.core, "supports_bfloat16_fast_performance", lambda: False)
    with pytest.raises(
        ValueError, match="bfloat16 is not available: this processor has no instructions for it"
    ):
        AppearanceEncoder(encoder_folder, device="cpu", precision="bfloat16")
    assert not AppearanceEncoder(encoder_folder, device="cpu")._predictor.bfloat16
