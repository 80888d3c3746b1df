"""``deepsort-eval`` with several results."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from deepsort_paddle.research.comparison_report import tracker_names
from deepsort_paddle.research.evaluate import main

FRAMES = 120


def line(frame: int, number: int, track: int) -> str:
    return f"{frame},{track},{100 * number},50,20,40,1,1,1\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two sequences; tracker A misses person 2 in every third frame, tracker B has one id switch."""
    everyone = [(f, i) for f in range(1, FRAMES + 1) for i in (1, 2)]
    a = "".join(line(f, i, i) for f, i in everyone if i == 1 or f % 3)
    b = "".join(line(f, i, i + 7 * (i == 2 and f > 60)) for f, i in everyone)
    for name in ("one", "two"):
        (tmp_path / "truth" / "train" / name / "gt").mkdir(parents=True)
        truth = "".join(line(f, i, i) for f, i in everyone)
        (tmp_path / "truth" / "train" / name / "gt" / "gt.txt").write_text(truth)
        for folder, text in (("A", a), ("B", b)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.txt").write_text(text)
    return tmp_path


def run(data: Path, *words: str) -> int:
    return main([str(data / "truth"), *words])


def test_each_tracker_is_compared_with_the_first_per_sequence_and_overall(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, str(data / "A"), str(data / "B")) == 0
    output = capsys.readouterr()
    rows = [line.split() for line in output.out.splitlines()]
    assert rows[0] == ["HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW"]
    assert [row[0] for row in rows[1:7]] == ["one", "B", "two", "B", "overall", "B"]
    # A misses 40 of 240 boxes, B has one switch.
    assert rows[5][-2:] == [f"{100 * (1 - 40 / 240):.2f}", "0"]
    assert rows[6][-4:] == [f"{100 * (1 - 1 / 240):.2f}", f"({100 * 39 / 240:+.2f})", "2", "(+2)"]
    assert "95 % interval over sequences and blocks of 50 frames" in output.out
    assert rows[-2][:2] == ["minus", "A"]
    assert rows[-1][0] == "B"
    assert output.err == ""


def test_json_and_csv_have_scores_differences_and_intervals(data: Path) -> None:
    files = {name: data / f"report.{name}" for name in ("json", "csv")}
    words = [f"--{name}={path}" for name, path in files.items()]
    assert run(data, str(data / "A"), str(data / "B"), *words) == 0
    report = json.loads(files["json"].read_text())
    assert report["first"] == "A"
    overall = report["trackers"]["B"]["overall"]
    assert overall["difference"]["mota"] == pytest.approx(39 / 240)
    low, high = overall["interval"]["mota"]
    assert low < 39 / 240 < high
    assert "difference" not in report["trackers"]["A"]["overall"]
    with files["csv"].open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["tracker"], row["name"]) for row in rows][2:4] == [("A", "overall"), ("B", "one")]
    assert rows[2]["mota_difference"] == ""
    assert float(rows[5]["mota_low"]) == low


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_plot_is_drawn(data: Path, ending: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert run(data, str(data / "A"), str(data / "B"), f"--plot={data / 'plot'}.{ending}") == 0
    assert (data / f"plot.{ending}").stat().st_size > 1000


def test_only_the_plot_needs_matplotlib(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(data, str(data / "A"), str(data / "B")) == 0
    assert run(data, str(data / "A"), str(data / "B"), f"--plot={data / 'plot.png'}") == 2
    assert "pip install matplotlib (part of the extra report)" in capsys.readouterr().err


def test_a_sequence_without_results_of_every_tracker_is_skipped(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "B" / "one.txt").unlink()
    assert run(data, str(data / "A"), str(data / "B")) == 0
    output = capsys.readouterr()
    assert "one: skipped, not every tracker has results" in output.err
    assert output.out.splitlines()[1].startswith("two")
    assert "interval over blocks" in output.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "A"], "is given twice"),
        (["A", "--plot", "a.png"], "needs at least two RESULTS"),
        (["A", "B", "--plot", "a.txt"], "expected a name that ends in .png"),
        (["A", "B", "--json", "A/one.txt"], "would replace an input"),
        (["A", "B", "--json", "x", "--csv", "x"], "name the same file"),
        (["A", "C"], "no such file or folder"),
    ],
)
def test_an_error_is_one_line(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(data)
    assert run(data, *words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_names_are_the_shortest_unique_path_ends(tmp_path: Path) -> None:
    assert tracker_names([Path("x/a"), Path("y/a"), Path("b")]) == ["x/a", "y/a", f"{Path.cwd().name}/b"]
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).touch()
    assert tracker_names([tmp_path / "one.txt", tmp_path / "two.txt"]) == ["one", "two"]
    assert tracker_names([Path("age_0.5"), Path("age_0.7")]) == ["age_0.5", "age_0.7"]
