"""What the command does with detectors by name, with a network and without."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deepsort_paddle.appearance.default_model import locate
from deepsort_paddle.cli import track
from deepsort_paddle.command import components
from deepsort_paddle.detection.downloads import cache_folder
from deepsort_paddle.detection.hog import HogDetector
from deepsort_paddle.detection.named_models import NAMED_MODELS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of two images."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 64, 3), 90, np.uint8))
    return folder


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_yolox: Callable[[Path], None]) -> None:
    """A cache with a small YOLOX as yolox-nano, which finds one person in every image."""
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "detectors").mkdir(parents=True)
    path = tmp_path / "cache" / "detectors" / "yolox_nano.onnx"
    save_yolox(path)
    content = path.read_bytes()
    pinned = replace(
        NAMED_MODELS["yolox-nano"], size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setitem(NAMED_MODELS, "yolox-nano", pinned)


def run(frames: Path, *options: str) -> dict[str, Any]:
    """The JSON document of a run by motion."""
    path = frames.parent / "out.json"
    assert track([str(frames), "--reid", "none", "--json", str(path), *options]) == 0
    document: dict[str, Any] = json.loads(path.read_text())
    return document


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("options", [(), ("--no-download",), ("--detector", "yolox-nano")])
def test_yolox_nano_detects_where_no_detector_is_named(
    options: tuple[str, ...], frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = run(frames, *options, "--set", "n_init=1")
    assert document["meta"]["settings"]["detector"] == "yolox-nano"
    assert [len(frame["tracks"]) for frame in document["frames"]][-1] == 1
    assert "HOG" not in capsys.readouterr().err


def test_without_network_hog_detects_and_says_how_long_it_takes(
    frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = run(frames)
    assert document["meta"]["settings"]["detector"] == "hog"
    notes = capsys.readouterr().err
    assert "note: cannot get yolox-nano: no connection (" in notes
    place = cache_folder() / "detectors" / "yolox_nano.onnx"
    assert f"download http://127.0.0.1:9/yolox_nano.onnx and save it as {place}" in notes
    assert " s per frame: about " in notes
    assert "for 2 frames" in notes


@pytest.mark.parametrize("more", [[], ["second"]], ids=["one video", "many videos"])
def test_a_named_detector_that_cannot_be_had_is_one_line(
    more: list[str], frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in more:
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), np.full((64, 64, 3), 90, np.uint8))
    words = [str(frames), *(str(tmp_path / name) for name in more), "--save-dir", str(tmp_path / "out")]
    assert track([*words, "--detector", "yolox-s", "--no-download"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "yolox_s.onnx is not there, and downloads are off; " in line
    assert "download http://127.0.0.1:9/yolox_s.onnx and save it as " in line


def test_a_misspelt_detector_is_one_line(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track([str(frames), "--detector", "yolox-nan"]) == 2
    assert "did you mean yolox-nano?" in capsys.readouterr().err


def test_appearance_models_of_a_checkout_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("osnet_ain_x0_5").name == "osnet_ain_x0_5"
    # The name of the model that it replaced.
    assert locate("osnet_x0_25") == locate("weights/osnet_x0_25") == locate("osnet_ain_x0_5")
    assert locate("elsewhere/osnet_x0_25") == Path("elsewhere/osnet_x0_25")
    assert locate("resnet50vd") == ROOT / "weights" / "resnet50vd"
    (tmp_path / "resnet50vd").mkdir()
    assert locate("resnet50vd") == Path("resnet50vd")  # what exists goes first
    (tmp_path / "det.txt").write_text("1,-1,10,10,20,40,0.9\n")
    assert track([str(frames), "--detections", "det.txt", "--reid", "resnet101"]) == 2
    line = capsys.readouterr().err
    assert "resnet101: no such folder or .onnx file (osnet_ain_x0_5 is installed; larger models are " in line


def test_the_detectors_precision_reaches_it(frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def open_detector(name: str, *, precision: str, **options: Any) -> HogDetector:
        asked.append(precision)
        return HogDetector()

    monkeypatch.setattr(components, "open_detector", open_detector)
    for words in ([], ["--detector-precision", "bfloat16"]):
        assert (
            track(
                [str(frames), "--detector", "hog", "--reid", "none", "--quiet", "--csv", "/dev/null", *words]
            )
            == 0
        )
    assert asked == ["auto", "bfloat16"]
