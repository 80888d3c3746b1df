"""What setup.cfg puts into the wheel is what the checkout holds."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL, default_model

ROOT = Path(__file__).resolve().parents[1]
# Beside the packages of the two folders: the default appearance model, from `weights/`.
WEIGHTS = "deepsort_paddle.weights"
# What a build reads beside the packages.
FILES = {"setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"}


def options(section: str) -> configparser.SectionProxy:
    """A section of setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config[section]


def test_setup_lists_every_folder_with_code() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in ("deepsort_paddle", "reid_train")
        for path in (ROOT / package).rglob("*.py")
    }
    assert set(options("options")["packages"].split()) == folders | {WEIGHTS}


def test_every_folder_with_code_is_a_package() -> None:
    for package in ("deepsort_paddle", "reid_train"):
        for path in (ROOT / package).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path.parent


def test_setup_takes_along_every_file_that_is_no_code() -> None:
    data = options("options.package_data")
    listed = {
        file
        for package, patterns in data.items()
        if package != WEIGHTS
        for pattern in patterns.split(",")
        for file in (ROOT / package.replace(".", "/")).glob(pattern.strip())
    }
    held = {
        path
        for package in ("deepsort_paddle", "reid_train")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert listed == held


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that this checkout builds."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT,
        folder / "checkout",
        ignore=lambda folder, names: {
            name
            for name in names
            if name == "__pycache__"
            or (Path(folder) == ROOT and name not in {"deepsort_paddle", "reid_train", "weights", *FILES})
            or (Path(folder) == ROOT / "weights" and name != DEFAULT_MODEL)
        },
    )
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(folder)],
        cwd=folder / "checkout",
        capture_output=True,
        text=True,
        check=False,
    )
    if "bdist_wheel" in done.stderr and done.returncode:
        pytest.skip("setuptools builds no wheels here")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    held = {
        path.relative_to(ROOT).as_posix()
        for package in ("deepsort_paddle", "reid_train")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    model = {f"deepsort_paddle/weights/{DEFAULT_MODEL}/{path.name}" for path in default_model().iterdir()}
    assert inside == held | model


IMPORT_ALL = """
import importlib, pkgutil
from pathlib import Path
names = []
for top in ("deepsort_paddle", "reid_train"):
    package = importlib.import_module(top)
    assert Path(package.__file__).is_relative_to(Path.cwd()), package.__file__
    names += [found.name for found in pkgutil.walk_packages(package.__path__, top + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from deepsort_paddle.appearance.default_model import default_model
assert default_model().is_relative_to(Path.cwd())
print(len(names))
"""


def test_the_wheel_runs_its_commands_and_imports_every_module(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("pip")
    pytest.importorskip("paddle")
    place = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", str(place), str(wheel)], check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert int(run("-c", IMPORT_ALL)) > 100
    for program in ("deepsort-track", "deepsort-eval", "reid-train"):
        assert run(place / "bin" / program, "--version").startswith("deepsort-paddle ")
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(frames / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "det.txt").write_text("".join(f"{number},-1,5,6,12,30,0.9\n" for number in (1, 2, 3)))
    words = [str(frames), "--detections", str(tmp_path / "det.txt"), "--reid", "none", "--fps", "10"]
    files = ["--output", str(tmp_path / "out.txt"), "--report", str(tmp_path / "out.html"), "--quiet"]
    run(place / "bin" / "deepsort-track", *words, *files)
    assert "<h2>Tracks</h2>" in (tmp_path / "out.html").read_text("utf-8")
    assert (tmp_path / "out.txt").is_file()
