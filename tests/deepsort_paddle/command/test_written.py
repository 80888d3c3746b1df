from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsort_paddle.cli import track


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for a folder of four grey frames with the same detection, the working directory beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames").mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), np.full((40, 60, 3), 90, np.uint8))
    (tmp_path / "det.txt").write_text("".join(f"{number},-1,5,5,10,20,1\n" for number in range(1, 5)))
    return ["frames", "--detections", "det.txt", "--reid", "none"]


def test_a_run_without_output_options_says_where_the_files_are(
    frames: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track(frames) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    names = last.removeprefix("written: ").split(", ")
    assert len(names) == 2
    assert all((tmp_path / name).is_file() for name in names)


def test_every_file_asked_for_is_named(frames: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--json", "a.json", "--csv", "b.csv", "--output", "c.txt", "--save-crops", "crops"]
    assert track([*frames, *words, "--explain-csv", "d.csv", "--explain", "1"]) == 0
    _, written, *explained = capsys.readouterr().out.splitlines()
    assert written == "written: c.txt, a.json, b.csv, d.csv, crops"
    assert explained[0].startswith("id 1: ")


def test_a_quiet_run_says_nothing(frames: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert track([*frames, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
