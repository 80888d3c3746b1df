"""What deepsort-track and AppearanceEncoder do where no appearance model is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsort_paddle.appearance import default_model as module
from deepsort_paddle.appearance.default_model import DEFAULT_MODEL, default_model
from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.appearance.spec import verify_checksums
from deepsort_paddle.cli import track

BOX = (30, 20, 70, 100)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four images with one person-sized patch, and their detections."""
    lines = []
    for number in range(1, 5):
        image = np.full((120, 100, 3), 128, np.uint8)
        image[20:100, 30:70] = 40 * number
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        lines.append(f"{number},-1,31,21,40,80,0.9")
    (tmp_path / "det.txt").write_text("\n".join(lines))
    return tmp_path


def settings_of(folder: Path, *arguments: str) -> dict[str, object]:
    """Settings in the JSON document of a run."""
    output = folder / "out.json"
    words = [str(folder), "--detections", str(folder / "det.txt"), "--json", str(output), "--overwrite"]
    assert track([*words, *arguments]) == 0
    settings: dict[str, object] = json.loads(output.read_text())["meta"]["settings"]
    return settings


def test_the_model_is_whole_and_small_enough_for_the_wheel() -> None:
    folder = default_model()
    files = [path.name for path in folder.iterdir()]
    verify_checksums(folder, [name for name in files if name != "SHA256SUMS"])
    assert sum((folder / name).stat().st_size for name in files) < 6.2e6
    assert (folder / "MODEL_CARD.md").is_file()


def test_the_wheel_carries_it() -> None:
    setup = (Path(module.__file__).parents[2] / "setup.cfg").read_text()
    assert f"deepsort_paddle.weights = {DEFAULT_MODEL}/*" in setup


def test_an_installed_package_finds_its_own_copy_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "deepsort_paddle"
    for weights in (package / "weights", tmp_path / "weights"):
        (weights / DEFAULT_MODEL).mkdir(parents=True)
        (weights / DEFAULT_MODEL / "encoder.json").write_text("{}")
    monkeypatch.setattr(module, "__file__", str(package / "appearance" / "default_model.py"))
    assert default_model() == package / "weights" / DEFAULT_MODEL
    (package / "weights" / DEFAULT_MODEL / "encoder.json").unlink()
    assert default_model() == tmp_path / "weights" / DEFAULT_MODEL
    (tmp_path / "weights" / DEFAULT_MODEL / "encoder.json").unlink()
    with pytest.raises(FileNotFoundError, match=f"{DEFAULT_MODEL} is not installed"):
        default_model()


def test_the_encoder_opens_it_where_no_folder_is_named() -> None:
    encoder = AppearanceEncoder(threads=1)
    assert encoder.spec.name == DEFAULT_MODEL
    rows = encoder(np.zeros((120, 100, 3), np.uint8), [BOX, (0, 0, 50, 100)])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_command_tracks_with_it(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = settings_of(images)
    assert "using --preset strong; " in capsys.readouterr().err
    assert (found["preset"], found["reid"]) == ("strong", DEFAULT_MODEL)
    assert found["max_cosine_distance"] == AppearanceEncoder().max_cosine_distance


@pytest.mark.parametrize("arguments", [("--reid", "none"), ("--preset", "motion")])
def test_motion_only_where_that_was_asked_for(images: Path, arguments: tuple[str, ...]) -> None:
    assert settings_of(images, *arguments)["reid"] is None


def test_its_name_is_a_model_too_unless_there_is_a_folder_of_that_name(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images)
    calibrated = AppearanceEncoder().max_cosine_distance
    assert settings_of(images, "--reid", DEFAULT_MODEL)["max_cosine_distance"] == calibrated
    other = images / "other"
    other.mkdir()
    for path in (*images.glob("*.png"), images / "det.txt"):
        (other / path.name).write_bytes(path.read_bytes())
    films = [str(images), str(other), "--detections", "{source}/det.txt", "--save-dir", "many"]
    assert track([*films, "--quiet", "--reid", DEFAULT_MODEL]) == 0
    own = shutil.copytree(default_model(), images / DEFAULT_MODEL)
    description = json.loads((own / "encoder.json").read_text())
    (own / "encoder.json").write_text(json.dumps(description | {"max_cosine_distance": 0.123}))
    (own / "SHA256SUMS").write_text(
        "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in sorted(own.iterdir())
            if path.name != "SHA256SUMS"
        )
    )
    assert settings_of(images, "--reid", DEFAULT_MODEL)["max_cosine_distance"] == 0.123
    assert settings_of(images)["max_cosine_distance"] == calibrated


def test_it_needs_no_paddle() -> None:
    script = (
        "import sys; sys.modules['paddle'] = None; import numpy as np; "
        "from deepsort_paddle import AppearanceEncoder; "
        "print(AppearanceEncoder()(np.zeros((100, 60, 3), np.uint8), [(0, 0, 40, 90)]).shape)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 256)\n"


def test_a_sequence_without_images_is_tracked_by_motion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "det").mkdir()
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nseqLength=4\n")
    det = tmp_path / "det" / "det.txt"
    det.write_text("".join(f"{number},-1,31,21,40,80,0.9\n" for number in range(1, 5)))
    assert track([str(tmp_path), "--detections", str(det), "--output", str(tmp_path / "o.txt")]) == 0
    assert "tracking by motion only: the source has no images" in capsys.readouterr().err


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_checksums_cover_files_of_any_length(tmp_path: Path, more: int) -> None:
    content = bytes(range(256)) * 4096 + b"x"  # a byte more than is read at a time
    (tmp_path / "a.bin").write_bytes(content[: (1 << 20) + more])
    digest = hashlib.sha256(content[: (1 << 20) + more]).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  a.bin\n")
    verify_checksums(tmp_path, ["a.bin"])
    (tmp_path / "a.bin").write_bytes(content[: (1 << 20) + more - 1] + b"?")
    with pytest.raises(OSError, match="wrong checksum"):
        verify_checksums(tmp_path, ["a.bin"])
