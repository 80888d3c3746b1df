from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepsort_paddle.appearance.backend import Choice, Machine, choose
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


# A CPU with bfloat16 and every library, no GPU.
MACHINE = Machine(frozenset({"openvino", "paddle"}), gpu=False, bfloat16=True)
BARE = replace(MACHINE, libraries=frozenset())  # ONNX Runtime only


def chosen(
    spec: EncoderSpec = SPEC, *, machine: Machine = MACHINE, folder: Path = FOLDER, **options: Any
) -> tuple[str, str, bool]:
    choice = choose(
        folder,
        spec,
        **{"backend": "auto", "precision": "auto", "device": "auto", "machine": machine, **options},
    )
    return choice.file, choice.backend, choice.bfloat16


def test_openvino_computes_in_bfloat16_if_allowed_and_available() -> None:
    assert chosen() == ("inference.onnx", "openvino", True)
    strict = replace(SPEC, bfloat16_allowed=False)
    assert chosen(strict) == ("inference.onnx", "onnxruntime", False)
    assert chosen(precision="float32") == ("inference.onnx", "onnxruntime", False)
    assert chosen(strict, precision="bfloat16") == ("inference.onnx", "openvino", True)
    assert chosen(machine=replace(MACHINE, bfloat16=False))[1] == "onnxruntime"
    assert chosen(machine=BARE, precision="bfloat16") == ("inference.json", "paddle", True)


@pytest.mark.parametrize(("size", "large"), [(16 * 2**20, False), (16 * 2**20 + 1, True)])
def test_without_openvino_only_a_large_network_runs_in_paddle_in_bfloat16(
    tmp_path: Path, size: int, large: bool
) -> None:
    with (tmp_path / "inference.onnx").open("wb") as file:
        file.truncate(size)
    machine = replace(MACHINE, libraries=frozenset({"paddle"}))
    options: dict[str, Any] = {"machine": machine, "folder": tmp_path}
    found = chosen(**options)
    assert found == (("inference.json", "paddle", True) if large else ("inference.onnx", "onnxruntime", True))
    assert chosen(replace(SPEC, bfloat16_allowed=False), **options)[1] == "onnxruntime"
    assert chosen(precision="float32", **options)[1] == "onnxruntime"
    assert chosen(replace(SPEC, model="inference.onnx", params=None), **options)[1] == "onnxruntime"
    assert chosen(**{**options, "machine": BARE})[1] == "onnxruntime"


def test_a_network_without_a_copy_in_onnx_runs_in_paddle() -> None:
    alone = replace(SPEC, onnx=None)
    assert chosen(alone) == ("inference.json", "paddle", True)
    assert chosen(alone, precision="float32") == ("inference.json", "paddle", False)
    with pytest.raises(ValueError, match="backend openvino needs an ONNX copy of the network"):
        chosen(alone, backend="openvino")


def test_paddle_runs_on_a_gpu_even_with_an_onnx_copy() -> None:
    assert chosen(machine=replace(MACHINE, gpu=True))[:2] == ("inference.json", "paddle")
    assert chosen(device="gpu:1")[:2] == ("inference.json", "paddle")
    with pytest.raises(ValueError, match="precision bfloat16 is for backends .* on a CPU, got auto on gpu"):
        chosen(precision="bfloat16", device="gpu")


def test_the_int8_copy_runs_on_the_cpu_and_only_on_request() -> None:
    found = choose(FOLDER, SPEC, backend="auto", precision="int8", device="auto", machine=MACHINE)
    assert found == Choice("inference_int8.onnx", "openvino", "cpu", False)
    assert chosen(precision="int8", backend="onnxruntime")[1] == "onnxruntime"
    assert chosen(machine=BARE, precision="int8")[1] == "onnxruntime"
    with pytest.raises(ValueError, match=r"int8 copy of the network, .* \(reid-train quantize writes it\)"):
        chosen(replace(SPEC, int8=None), precision="int8")
    with pytest.raises(ValueError, match="precision int8 is for .* on a CPU, got auto on gpu"):
        chosen(precision="int8", device="gpu")
    with pytest.raises(ValueError, match="precision int8 is for .* on a CPU, got paddle on cpu"):
        chosen(precision="int8", backend="paddle", device="cpu")


def test_unknown_and_impossible_options_are_refused(encoder_folder: Path) -> None:
    with pytest.raises(ValueError, match="precision must be one of auto, float32, .*, got 'fp16'"):
        AppearanceEncoder(encoder_folder, precision="fp16")
    with pytest.raises(ValueError, match="bfloat16 is for backends paddle and openvino on a CPU, got onnx"):
        chosen(precision="bfloat16", backend="onnxruntime")


def test_bfloat16_is_refused_if_the_processor_lacks_it(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paddle = pytest.importorskip("paddle")
    monkeypatch.setattr(paddle.base.core, "supports_bfloat16_fast_performance", lambda: False)
    with pytest.raises(
        ValueError, match="bfloat16 is not available: this processor has no instructions for it"
    ):
        AppearanceEncoder(encoder_folder, device="cpu", backend="paddle", precision="bfloat16")
    assert not AppearanceEncoder(encoder_folder, device="cpu")._predictor.bfloat16
