"""What everybody meets in the first minutes: examples, folders, names of results, flags of other tools."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command.parser import EXAMPLES, make_parser
from deepsort_paddle.command.track import track_video
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.plan.run_plan import RunPlan


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clip in which one walks from left to right, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rows = []
    with VideoWriter("clip.mp4", fps=10) as video:
        for number in range(1, 13):
            video.write(np.full((100, 200, 3), 20 * number, np.uint8))
            rows.append(f"{number},-1,{10 * number},21,20,60,0.9\n")
    Path("det.txt").write_text("".join(rows))
    words = ["clip.mp4", "--detections", "det.txt", "--reid", "none", "--quiet"]
    return SimpleNamespace(words=words)


def test_without_arguments_there_are_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert track([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n  deepsort-track ") == 3
    assert all(len(line) <= 80 for line in captured.err.splitlines())
    assert EXAMPLES in make_parser().format_help()


def test_results_of_an_earlier_run_stay(scene: SimpleNamespace) -> None:
    for _ in range(3):
        assert track(scene.words) == 0
    names = [f"clip{number}.{ending}" for number in ("-2", "-3", "") for ending in ("mp4", "txt")]
    assert sorted(path.name for path in Path("output").iterdir()) == sorted(names)
    before = Path("output/clip.txt").stat().st_mtime_ns
    assert track([*scene.words, "--save-dir", "output", "--overwrite"]) == 0
    assert len(list(Path("output").iterdir())) == 6
    assert Path("output/clip.txt").stat().st_mtime_ns > before


def test_only_what_a_run_would_write_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    plan = RunPlan(source="a.mp4", save_dir=str(tmp_path))
    assert plan.named("a", has_images=True).output == str(tmp_path / "a-2.txt")
    own = RunPlan(source="a.mp4", save_dir=str(tmp_path), output="mine.txt")
    assert own.named("a", has_images=True).save_video == str(tmp_path / "a.mp4")
    batch = RunPlan(source="a.mp4", save_dir=str(tmp_path), name="a")  # one of many, which may go on
    assert batch.named("a", has_images=True).output == str(tmp_path / "a.txt")


@pytest.mark.parametrize("option", ["output", "csv", "json", "save-video", "explain-csv"])
def test_a_named_output_that_exists_is_an_error(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    name = "old.mp4" if option == "save-video" else "old"
    Path(name).write_text("mine")
    words = [*scene.words, f"--{option}", name]
    assert track(words) == 2
    error = f"deepsort-track: error: --{option} {name} exists: choose another name, or add --overwrite to"
    assert capsys.readouterr().err == f"{error} replace it\n"
    assert Path(name).read_text() == "mine"
    assert track([*words, "--overwrite"]) == 0
    assert Path(name).read_bytes() != b"mine"


def test_the_video_of_a_report_does_not_replace_one_that_exists(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("page.mp4").write_text("mine")
    assert track([*scene.words, "--report", "page.html"]) == 2
    assert "--save-video page.mp4 exists" in capsys.readouterr().err
    assert not Path("page.html").exists()


def test_an_empty_file_holds_nothing_to_lose(scene: SimpleNamespace) -> None:
    Path("new.txt").touch()  # as mktemp makes it
    assert track([*scene.words, "--output", "new.txt"]) == 0
    assert Path("new.txt").stat().st_size > 0


def test_folders_of_named_outputs_are_made(scene: SimpleNamespace) -> None:
    assert track([*scene.words, "--csv", "new/table/o.csv", "--save-crops", "new/crops"]) == 0
    assert Path("new/table/o.csv").stat().st_size > 0
    assert list(Path("new/crops").glob("*/*.jpg"))


def test_a_wrong_run_makes_no_folder(scene: SimpleNamespace) -> None:
    assert track([*scene.words, "--csv", "new/o.csv", "--start", "99"]) == 2
    assert not Path("new").exists()


def test_lines_and_zones_may_be_fractions(scene: SimpleNamespace) -> None:
    for line, zone in (
        ("gate:0.5,0,0.5,1", "left:0,0,0.5,0,0.5,1,0,1"),
        ("gate:100,0,100,100", "left:0,0,100,0,100,100,0,100"),
    ):
        counts = track_video("clip.mp4", detections="det.txt", reid="none", lines=[line], zones=[zone]).counts
        assert counts is not None
        assert (counts.lines[0].to_right, counts.lines[0].to_left) == (0, 1)
        assert counts.zones[0].exits == 1
        assert counts.lines[0].line.end == (100, 100)
