"""``--config FILE``: the options of the command line, from YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command.parser import parse
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.config_file import read_config
from deepsort_paddle.plan.run_plan import RunPlan

pytest.importorskip("yaml")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of options, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = Path("run.yaml")
    path.write_text(
        "source: a.mp4\nstart: 1:30\nstride: 5:2\nreid: none\nno-download: true\nquiet: yes\nend:\n"
        "line:\n- door:0,0.5,1,0.5\n- gate:0,0,1,1\nset: {coast: 2, box-margin: 0.1}\n"
        "zone: yard:0,0,9,0,9,9\nmin_confidence: {person: 0.4, car: 0.6}\n"
        "classes: [person, car]\nexplain: 3,7\nclass-gate: false\n"
    )
    return path


def test_a_file_means_what_the_same_words_mean_on_the_command_line(config: Path) -> None:
    words = ["a.mp4", "--start=1:30", "--stride=5:2", "--reid=none", "--no-download", "--quiet"]
    words += ["--line=door:0,0.5,1,0.5", "--line=gate:0,0,1,1", "--zone=yard:0,0,9,0,9,9", "--explain=3,7"]
    words += ["--set=coast=2", "--set=box-margin=0.1", "--min-confidence=person=0.4,car=0.6"]
    words += ["--classes=person,car", "--no-class-gate"]
    assert parse(["--config", str(config)]) == parse(words)


def test_the_command_line_goes_before_the_file(config: Path) -> None:
    plan = parse(["b.mp4", "--config", str(config), "--stride", "3", "--quiet=false", "--set", "coast=1"])
    assert isinstance(plan, RunPlan)
    assert (plan.source, plan.stride, plan.quiet, plan.start) == ("b.mp4", (3,), False, 90.0)
    assert plan.tracker_options == (("coast", 1),)
    assert len(plan.lines) == 2
    old = parse(["--video_path", "c.mp4", "--config", str(config)])
    assert isinstance(old, RunPlan)
    assert old.source == "c.mp4"


def test_a_file_may_name_many_videos(config: Path) -> None:
    config.write_text("source: [a.mp4, b.mp4]\nworkers: 2\noutput: out/{name}.txt\n")
    plan = parse(["--config", str(config)])
    assert isinstance(plan, BatchPlan)
    assert (plan.sources, plan.workers, plan.run.save_dir) == (("a.mp4", "b.mp4"), 2, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("strid: 5", "there is no option 'strid' (did you mean stride?)"),
        ("config: x.yaml", "there is no option 'config'"),
        ("7: 5", "there is no option '7'"),
        ("stride: 0", "stride: expected a whole number from 1, got '0'"),
        ("stride: {a: 1}", "stride: expected a whole number from 1, got 'a'"),
        ("quiet: maybe", "quiet: expected true or false, got 'maybe'"),
        ("quiet: [true]", "quiet: expected true or false, got ['true']"),
        ("source: {a: b}", "source: expected a source or a list of them"),
        ("output: [a, b]", "output: expected a name or a path, got ['a', 'b']"),
        ("line: door", "line: expected a line NAME:x1,y1,x2,y2 or NAME:x1,y1,x2,y2:RIGHT/LEFT, got 'door'"),
        ("lines: ['a:0,0,9,9']\nline: b:0,0,9,9", "line is given twice"),
        ("set: {coast: many}", "set: expected a number, true or false for coast, got 'many'"),
        ("a: [", "not YAML: "),
        ("- a", "expected options by name, got ['a']"),
        ("", "expected options by name, got "),
    ],
)
def test_a_wrong_file_is_one_line(
    config: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(content)
    assert track(["--config", "run.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"deepsort-track: error: run.yaml: {message}")
    assert error.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track(["--config", "no.yaml"]) == 2
    assert capsys.readouterr().err == "deepsort-track: error: no.yaml: No such file or directory\n"


def test_values_are_checked_where_they_are_read(config: Path) -> None:
    known = read_config(config)
    assert (known["start"], known["stride"], known["download"]) == (90.0, (5, 2), False)
    assert "end" not in known
