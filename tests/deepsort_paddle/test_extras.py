"""What runs without the optional packages, and what a missing one says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.extras import needs
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.output.page import PageTemplate
from deepsort_paddle.research import evaluate
from reid_train.config import recipe

ROOT = Path(__file__).resolve().parents[2]
OF_EXTRAS = (
    "motmetrics",
    "trackeval",
    "pandas",
    "matplotlib",
    "jinja2",
    "yaml",
    "safetensors",
    "tensorboardX",
)

WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
UPDATE = """
import numpy as np
from deepsort_paddle import DeepSort, Detections
tracker = DeepSort()
for step in range(5):
    tracks = tracker.update(Detections.of(np.array([[10.0 + step, 20, 40 + step, 90]]), [0.9]))
print(len(tracks.ids))
"""
IMPORT_ALL = """
import importlib, pkgutil
import deepsort_paddle
names = [module.name for module in pkgutil.walk_packages(deepsort_paddle.__path__, "deepsort_paddle.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def run_without(absent: tuple[str, ...], code: str) -> str:
    """What a program prints where some packages are not installed."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent) + code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_tracker_of_arrays_needs_no_other_library_than_numpy_scipy_and_lap() -> None:
    absent = (*OF_EXTRAS, "cv2", "av", "onnxruntime", "paddle", "openvino", "tqdm", "filterpy", "filelock")
    assert run_without(absent, UPDATE) == "1"


def test_every_module_of_the_tracker_can_be_imported_without_extras() -> None:
    assert int(run_without((*OF_EXTRAS, "paddle", "openvino", "ray"), IMPORT_ALL)) > 50


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip of five frames and its detections, and none of the optional packages."""
    with VideoWriter(tmp_path / "a.mp4", fps=10) as video:
        for _ in range(5):
            video.write(np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "a.txt").write_text("".join(f"{number},-1,5,6,12,30,0.9\n" for number in range(1, 6)))
    for name in OF_EXTRAS:
        for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_default_command_runs_without_extras(scene: Path) -> None:
    words = ["a.mp4", "--detections", "a.txt", "--reid", "none", "--output", "out.txt", "--quiet"]
    assert track(words) == 0
    assert len((scene / "out.txt").read_text().splitlines()) > 0


def test_a_report_without_jinja2_is_one_line_before_the_first_frame(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["a.mp4", "--detections", "a.txt", "--reid", "none", "--report", "page.html", "--quiet"]
    assert track(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "deepsort-track: error: jinja2 is not installed: pip install jinja2 (part of the extra report)"
    ]
    assert not list(scene.glob("page*"))


def test_an_evaluation_needs_no_extra_and_trackevals_counts_name_theirs(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scene / "gt.txt").write_text("".join(f"{number},1,5,6,12,30,1,1,1\n" for number in range(1, 6)))
    (scene / "out.txt").write_text("".join(f"{number},1,5,6,12,30,1,-1,-1,-1\n" for number in range(1, 6)))
    assert evaluate.main(["gt.txt", "out.txt"]) == 0
    assert "100" in capsys.readouterr().out
    assert evaluate.main(["gt.txt", "out.txt", "--clear", "trackeval"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("trackeval is not installed: pip install trackeval (part of the extra eval)")


def test_a_recipe_without_yaml_is_one_line(scene: Path) -> None:
    with pytest.raises(
        ImportError, match=r"^yaml is not installed: pip install pyyaml \(part of the extra train\)$"
    ):
        recipe("quick", "elem")


def test_training_without_safetensors_is_one_line() -> None:
    code = """
from reid_train.command_line import main
sys.stderr = sys.stdout
print(main(["elem", "--train", "x", "--recipe", "quick"]))
"""
    line = (
        "reid-train: error: safetensors is not installed: pip install safetensors (part of the extra train)"
    )
    assert run_without(("safetensors",), code).splitlines() == [line, "2"]


@pytest.mark.parametrize("extra", ["eval", "train"])
def test_a_missing_package_is_named_with_its_extra(extra: str) -> None:
    lacks = rf"^no_such_package is not installed: pip install no_such_package \(part of the extra {extra}\)$"
    with pytest.raises(ImportError, match=lacks), needs(extra):
        import no_such_package.part  # type: ignore[import-not-found]  # noqa: F401


def test_a_missing_module_of_our_own_stays_what_it_is() -> None:
    with pytest.raises(ModuleNotFoundError, match="deepsort_paddle.nothing"), needs("eval"):
        import deepsort_paddle.nothing  # noqa: F401


def test_a_template_cannot_be_opened_without_jinja2(scene: Path) -> None:
    with pytest.raises(ImportError, match="jinja2 is not installed"):
        PageTemplate("deepsort_paddle.output", "report_page")
