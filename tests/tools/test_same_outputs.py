"""The comparison of two checkouts: what counts as a difference."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PLACE = Path(__file__).resolve().parents[2] / "tools" / "same_outputs.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location(PLACE.stem, PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, PLACE.stem, module)
    spec.loader.exec_module(module)
    return module


def write(top: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def test_paths_dates_and_speeds_are_no_difference(tool: ModuleType, tmp_path: Path) -> None:
    folders = [
        write(tmp_path / name, {"out.log": f"{tmp_path / name} 2026-01-0{day}: {day}.5 fps (read {day}.25)"})
        for name, day in (("one", 1), ("two", 2))
    ]
    assert tool.differences(folders, folders) == (1, [])


def test_other_bytes_and_missing_files_are_differences(tool: ModuleType, tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"tracks.txt": "1,1,10", "a.jpg": "1 s", "only.csv": "", "same.txt": "x"})
    two = write(tmp_path / "two", {"tracks.txt": "1,1,11", "a.jpg": "2 s", "same.txt": "x"})
    assert tool.differences([one, two], [one, two]) == (4, ["only.csv", "a.jpg", "tracks.txt"])


def test_a_folder_that_is_no_checkout_is_refused_in_one_line(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        tool.main([str(tmp_path), str(tmp_path)])
    assert f"{tmp_path} is not a checkout: it has no setup.cfg" in capsys.readouterr().err
