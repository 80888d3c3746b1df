"""The ONNX copy that a large export gets on first use."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from deepsort_paddle.appearance import onnx_copy
from deepsort_paddle.appearance.backend import Machine, gains_from_onnx
from deepsort_paddle.appearance.onnx_copy import cached_copy
from deepsort_paddle.appearance.spec import EncoderSpec

MACHINE = Machine(frozenset({"openvino", "paddle"}), gpu=False, bfloat16=True)


def spec(**fields: Any) -> EncoderSpec:
    known: dict[str, Any] = {"name": "large", "height": 128, "width": 64, "embedding_size": 4}
    known |= {"resize_mode": "stretch", "interpolation": "linear", "normalized": True}
    known |= {"paddle": "3.3.1", "max_cosine_distance": 0.4}
    known |= {"model": "inference.json", "params": "inference.pdiparams", "bfloat16_allowed": True}
    return EncoderSpec(**{**known, **fields})


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("paddle2onnx")
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "inference.json").write_text("{}")
    with (folder / "inference.pdiparams").open("wb") as file:
        file.truncate(17 * 2**20)
    return folder


def test_only_a_large_export_for_openvino_in_bfloat16_gains(export: Path) -> None:
    automatic = {"backend": "auto", "precision": "auto", "device": "auto", "machine": MACHINE}

    def gains(described: EncoderSpec, **changed: Any) -> bool:
        return gains_from_onnx(export, described, **{**automatic, **changed})

    assert gains(spec())
    assert gains(spec(bfloat16_allowed=False), precision="bfloat16")
    assert not gains(spec(bfloat16_allowed=False))
    assert not gains(spec(onnx="inference.onnx"))
    assert not gains(spec(model="inference.onnx", params=None))
    assert not gains(spec(), backend="paddle")
    assert not gains(spec(), precision="float32")
    assert not gains(spec(), device="gpu")
    assert not gains(spec(), machine=Machine(frozenset({"paddle"}), gpu=False, bfloat16=True))
    assert not gains(spec(), machine=Machine(MACHINE.libraries, gpu=False, bfloat16=False))
    (export / "inference.pdiparams").write_bytes(b"small")
    assert not gains(spec())


def test_the_copy_is_made_once_for_each_content(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(folder: Path, described: EncoderSpec, copy: Path) -> None:
        made.append(copy)
        copy.write_bytes(b"onnx")

    monkeypatch.setattr(onnx_copy, "_make", make)
    first = cached_copy(export, spec())
    assert first == cached_copy(export, spec()) == made[0]
    assert first.parent.name == "appearance"
    (export / "inference.json").write_text('{"other": 1}')
    assert cached_copy(export, spec()) == made[1] != first


@pytest.mark.parametrize("error", [ValueError("differ"), OSError("full"), subprocess.TimeoutExpired("x", 1)])
def test_without_a_good_copy_paddle_runs_the_export(
    export: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(onnx_copy, "_make", fail)
    assert cached_copy(export, spec()) is None


def test_a_failed_conversion_leaves_no_file(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(command: list[str], **options: Any) -> None:
        Path(command[-1]).write_bytes(b"half")
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", convert)
    assert cached_copy(export, spec()) is None
    assert not list((export.parent / "cache").rglob("*.onnx"))
