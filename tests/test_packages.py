"""What setup.cfg puts into the wheel is what the checkout holds."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

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


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    shutil.copytree(
        ROOT,
        tmp_path / "checkout",
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
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=tmp_path / "checkout",
        capture_output=True,
        text=True,
        check=False,
    )
    if "bdist_wheel" in done.stderr and done.returncode:
        pytest.skip("setuptools builds no wheels here")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
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
