"""How a command line is read."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command.parser import make_parser, normalise, parse
from deepsort_paddle.console.one_line import OneLineParser
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.option import options
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.plan.tracker_settings import tracker_options
from deepsort_paddle.tracking.options import TrackerOptions

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--Max_Age", "5"], ["--max-age", "5"]),
        (["--save_dir=a_b"], ["--save-dir=a_b"]),
        (["a_b.mp4"], ["a_b.mp4"]),
        (["--use_gpu", "True", "x"], ["--use-gpu", "x"]),
        (["--use_gpu=false", "x"], ["x"]),
        (["--display", "0"], ["--show", "0"]),
        (["--emb_model_dir", "w", "--det_model_dir=d"], ["--reid", "w", "--detector=d"]),
        (["--", "--use_gpu"], ["--", "--use_gpu"]),
    ],
)
def test_options_are_spelled_one_way(given: list[str], wanted: list[str]) -> None:
    assert normalise(given) == wanted


def run_of(words: list[str]) -> RunPlan:
    """The plan of a command line over one source."""
    plan = parse(words)
    assert isinstance(plan, RunPlan)
    return plan


def test_options_may_stand_on_both_sides_of_the_source() -> None:
    for words in (["--quiet", "a"], ["a", "--quiet"], ["--quiet", "--", "a"]):
        plan = run_of(words)
        assert (plan.source, plan.quiet) == ("a", True)
    assert run_of(["--", "-a"]).source == "-a"


def test_patterns_that_no_shell_filled_in_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4", "c[1].mp4"):
        (tmp_path / name).touch()
    batch = parse(["?.mp4"])
    assert isinstance(batch, BatchPlan)
    assert batch.sources == ("a.mp4", "b.mp4")
    assert run_of(["a.m*"]).source == "a.mp4"  # one: a run on one video
    for kept in ("c[1].mp4", "*.avi", "http://host/a.mp4?x=*"):
        assert run_of([kept]).source == kept


def test_the_command_line_gives_the_plan_that_python_gives() -> None:
    words = ["a.mp4", "--line", "door:1,2,3,4", "--set", "box-margin=0.1", "--min-confidence=0.2,car=0.5"]
    words += ["--no-class-gate", "--output", "a.txt", "--explain", "3,7", "--use-gpu", "--offline"]
    assert parse(words) == RunPlan(
        source="a.mp4",
        lines=["door:1,2,3,4"],  # type: ignore[arg-type]
        tracker_options={"box_margin": 0.1},  # type: ignore[arg-type]
        min_confidence={"": 0.2, "car": 0.5},  # type: ignore[arg-type]
        class_gate=False,
        output=Path("a.txt"),  # type: ignore[arg-type]
        explain=[3, 7],  # type: ignore[arg-type]
        device="gpu",
        offline=True,
    )


def test_without_an_output_results_go_to_the_standard_folder() -> None:
    assert run_of(["a.mp4"]).save_dir == "output"
    assert run_of(["a.mp4", "--explain", "3"]).save_dir == "output"
    for words in (["--csv", "a.csv"], ["--save-crops", "d"], ["--show"]):
        assert run_of(["a.mp4", *words]).save_dir is None


def test_every_option_of_a_plan_is_in_the_help() -> None:
    text = make_parser().format_help()
    for plan in (RunPlan, BatchPlan):
        for name, known in options(plan).items():
            assert f"  {known.spelled(name)} " in text.replace("\n", " \n"), name


def test_the_published_preset_has_the_defaults_of_the_tracker() -> None:
    defaults, settled = TrackerOptions(), tracker_options(RunPlan(source="x", preset="deepsort"))
    for name, value in settled.items():
        assert value in (None, getattr(defaults, name)), name
    for name in ("max_iou_distance", "max_age", "n_init", "gallery_size", "coast"):
        assert options(RunPlan)[name].help.endswith("[from the preset]"), name
    assert defaults.max_cosine_distance == 0.2
    assert options(RunPlan)["max_cosine_distance"].help.endswith("else 0.2]")
    assert defaults.iou_max_age == 1


@pytest.mark.parametrize("flag", ["--vdeo-path", "-x", "--weather"])
def test_an_option_is_suggested_only_where_one_is_near(flag: str) -> None:
    message = f"unrecognized arguments: {flag}"
    parser = make_parser()
    assert isinstance(parser, OneLineParser)
    assert parser.with_nearest(message) == message


@pytest.mark.parametrize(
    "statement",
    ["import deepsort_paddle", "from deepsort_paddle.cli import track; assert track(['--help']) == 0"],
)
def test_help_and_the_package_import_no_module_that_takes_long(statement: str) -> None:
    slow = {"argparse", "dataclasses", "inspect", "pathlib", "re", "typing"}
    slow |= {"av", "cv2", "filelock", "lap", "numpy", "onnxruntime", "openvino", "paddle", "scipy", "tqdm"}
    slow |= {"deepsort_paddle.command.parser", "deepsort_paddle.plan.run_plan"}
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{statement}\n"
    script += f"print(sorted({slow!r} & set(sys.modules)))"
    # -S: an environment's own start-up files may import anything.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_page_of_help_has_all_options_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    help_text = runpy.run_path(str(ROOT / "tools" / "docs" / "help_text.py"))["help_text"]
    for words in (["--help"], ["a.mp4", "-h"]):
        assert track(words) == 0
        shown = capsys.readouterr().out
        assert shown.split() == help_text().split(), "run python tools/docs/help_text.py"
        assert max(map(len, shown.splitlines())) <= 80
    assert track(["--", "--help"]) == 2  # a source


@pytest.mark.parametrize("words", [" frame_rate=10", "frame_rate = 10", "frame-rate=10 "])
def test_spaces_around_a_tracker_option_do_not_change_it(words: str) -> None:
    plan = parse(["a.mp4", "--set", words])
    assert isinstance(plan, RunPlan)
    assert tracker_options(plan)["frame_rate"] == 10
