"""The command ``deepsort-find``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.appearance.default_model import default_model
from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.command.find import main
from deepsort_paddle.frames import Frame
from deepsort_paddle.people.index_file import TrackIndex, save_people
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

COLORS = {1: (30, 60, 220), 2: (200, 90, 20), 3: (60, 190, 60)}


def person(color: int) -> NDArray[np.uint8]:
    """A crop: one colour above, dark below."""
    crop = np.full((96, 40, 3), 40, np.uint8)
    crop[:60] = COLORS[color]
    return crop


@pytest.fixture(scope="module")
def weights() -> Path:
    """The appearance model that comes with the package."""
    return default_model()


@pytest.fixture(scope="module")
def encoder(weights: Path) -> AppearanceEncoder:
    """That model, loaded once."""
    return AppearanceEncoder(weights, device="cpu", threads=1, backend="onnxruntime")


@pytest.fixture(autouse=True)
def loaded_once(encoder: AppearanceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command gets the model without loading it again."""
    monkeypatch.setattr("deepsort_paddle.appearance.encoder.AppearanceEncoder", lambda *_, **__: encoder)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory, weights: Path, encoder: AppearanceEncoder) -> Path:
    """Indexes of two cameras: colours 1 and 2 walk through the first, 3 and 1 through the second."""
    folder = tmp_path_factory.mktemp("cameras")
    for name, colors in (("<b>door</b>", (1, 2)), ("yard", (3, 1))):
        path = folder / f"{'door' if 'door' in name else name}.sqlite"
        with TrackIndexWriter(path, model=ReidModel.read(weights), name=name, fps=5.0) as writer:
            for number in range(1, 11):
                image = np.full((120, 160, 3), 128, np.uint8)
                boxes = np.array([[10, 10, 50, 106], [100, 10, 140, 106.0]])
                for box, color in zip(boxes.astype(int), colors, strict=True):
                    image[box[1] : box[3], box[0] : box[2]] = person(color)
                detections = Detections.of(boxes, embeddings=encoder(image, boxes))
                zeros = np.zeros(2, np.int64)
                ids = np.arange(1, 3)
                tracks = Tracks(ids, boxes, detections.confidence, zeros, ids - 1, zeros)
                frame = Frame(number, image, None)
                writer.write(TrackedFrame(frame, detections, tracks, StageSeconds(0, 0, 0, 0)))
    return folder


@pytest.fixture
def crop(tmp_path: Path) -> Path:
    """An image file of colour 1."""
    path = tmp_path / "person.png"
    path.write_bytes(cv2.imencode(".png", person(1))[1].tobytes())
    return path


def failed(capsys: pytest.CaptureFixture[str], arguments: list[Any]) -> str:
    """The one line of an error."""
    assert main([str(one) for one in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_a_person_of_an_image_is_found_in_both_cameras(
    cameras: Path, crop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, page = tmp_path / "hits.json", tmp_path / "hits.html"
    options = ["--json", str(document), "--report", str(page), "--device", "cpu", "--top", "2"]
    assert main([str(crop), str(cameras), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["video", "track", "person", "when", "distance", "probability"]
    assert {tuple(line.split()[1:3]) for line in lines[1:3]} == {("<b>door</b>", "1"), ("yard", "2")}
    assert "left out" in lines[3]
    found = json.loads(document.read_text())
    assert [(hit["video"], hit["track"]) for hit in found["hits"]] == [("<b>door</b>", 1), ("yard", 2)]
    assert found["model"]["name"] == ReidModel.read().name
    text = page.read_text()
    assert "<b>door" not in text
    assert "&lt;b&gt;door&lt;/b&gt;" in text
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg)", text)
    assert "<script" not in text


def test_a_track_is_found_in_the_other_camera_without_the_model(
    cameras: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepsort_paddle.appearance.encoder.AppearanceEncoder", None)
    assert main([f"{cameras / 'yard.sqlite'}:2", str(cameras)]) == 0
    assert re.search(r"^1 +<b>door</b> +1 +1 +0:00 to 0:01", capsys.readouterr().out, re.MULTILINE)


def test_hits_have_the_names_that_corrections_gave(
    cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "named", tmp_path / "hits.html"
    shutil.copytree(cameras, folder)
    index = TrackIndex.read(folder / "door.sqlite")
    save_people(index.path, index.ids, index.persons, index.probability, {1: "Anna <3"})
    assert main([f"{folder / 'yard.sqlite'}:2", str(folder), "--report", str(page)]) == 0
    assert re.search(r"^1 +<b>door</b> +1 +1 Anna <3 +0:00", capsys.readouterr().out, re.MULTILINE)
    assert "Anna &lt;3" in page.read_text()


def test_nobody_is_near_enough(cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "hits.html"
    options = ["--max-distance", "0", "--report", str(page)]
    assert main([f"{cameras / 'door.sqlite'}:2", str(cameras), *options]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "0 tracks in 2 videos; 3 farther than 0 left out"
    assert "Nobody in these videos" in page.read_text()


def test_what_is_missing_is_named(cameras: Path, crop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected indexes (*.sqlite), or folders of them, as the last" in failed(capsys, [crop])
    assert "expected images, or INDEX:TRACK, before" in failed(capsys, [cameras])
    assert "none.png: no such file" in failed(capsys, [cameras / "none.png", cameras])
    assert "no track 9, it has tracks 1 to 2" in failed(capsys, [f"{cameras / 'yard.sqlite'}:9", cameras])


def test_a_query_without_a_person_is_refused(
    cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = tmp_path / "wall.png"
    wall.write_bytes(cv2.imencode(".png", np.full((300, 400, 3), 90, np.uint8))[1].tobytes())
    assert "wall.png: no person found" in failed(capsys, [wall, cameras, "--device", "cpu"])
    text = tmp_path / "text.png"
    text.write_text("no image")
    assert "text.png: no image that can be read" in failed(capsys, [text, cameras, "--device", "cpu"])


def test_indexes_of_another_model_are_refused(
    cameras: Path, crop: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.sqlite"
    model = ReidModel("mine", "ab" * 32, 0.3)
    with TrackIndexWriter(other, model=model, name="other"):
        pass
    line = failed(capsys, [crop, other])
    assert "made with the model mine (abababababab)" in line
    assert "--reid" in line
    assert "embeddings can't be compared" in failed(capsys, [crop, cameras, other])


def test_a_stopped_run_is_searched_when_asked(
    tmp_path: Path, crop: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = TrackIndexWriter(tmp_path / "half.sqlite", model=ReidModel.read(weights), name="half")
    writer.close(finished=False)
    assert "--unfinished" in failed(capsys, [crop, tmp_path])
    assert main([str(crop), str(tmp_path / "half.sqlite"), "--unfinished", "--device", "cpu"]) == 0


def test_an_output_never_replaces_an_input(
    cameras: Path, crop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "a.sqlite"
    shutil.copy(cameras / "door.sqlite", index)
    assert "would replace an input" in failed(capsys, [crop, index, "--json", index])
    assert "same file" in failed(capsys, [crop, index, "--json", tmp_path / "x", "--report", tmp_path / "x"])
    assert "there is no folder" in failed(capsys, [crop, index, "--json", tmp_path / "no" / "x.json"])
    assert index.read_bytes() == (cameras / "door.sqlite").read_bytes()


def test_wrong_numbers_are_refused(cameras: Path, crop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--top", "0"), ("--max-distance", "3")):
        with pytest.raises(SystemExit, match="2"):
            main([str(crop), str(cameras), option, value])
        assert f"got '{value}'" in capsys.readouterr().err
