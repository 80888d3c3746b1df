"""How a command line is read."""

import subprocess
import sys
from pathlib import Path

import pytest

from deepsort_paddle.command.one_line import OneLineParser
from deepsort_paddle.command.parser import make_parser, normalise, parse
from deepsort_paddle.tracking.options import TrackerOptions


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


def test_options_may_stand_on_both_sides_of_the_source() -> None:
    for words in (["--quiet", "a"], ["a", "--quiet"], ["--quiet", "--", "a"]):
        options = parse(words)
        assert (options.source, options.quiet) == ("a", True)
    assert parse(["--", "-a"]).source == "-a"


def test_patterns_that_no_shell_filled_in_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4", "c[1].mp4"):
        (tmp_path / name).touch()
    options = parse(["?.mp4"])
    assert (options.videos, options.many) == (["a.mp4", "b.mp4"], True)
    assert parse(["a.m*"]).source == "a.mp4"  # one: a run on one video
    assert not parse(["a.m*"]).many
    for kept in ("c[1].mp4", "*.avi", "http://host/a.mp4?x=*"):
        assert parse([kept]).source == kept


def test_tracker_defaults_are_those_of_the_tracker() -> None:
    defaults = TrackerOptions()
    options = vars(make_parser().parse_args(["x"]))
    for name in ("max_iou_distance", "n_init", "gallery_size", "coast", "class_gate"):
        assert options[name] == getattr(defaults, name), name
    assert options["max_age"] is None
    help_text = make_parser().format_help()
    assert "else 0.2]" in " ".join(help_text.split())
    assert "this long [70]" in " ".join(help_text.split())
    assert (defaults.max_cosine_distance, defaults.max_age, defaults.iou_max_age) == (0.2, 70, 1)


@pytest.mark.parametrize("flag", ["--input", "--gpu", "--vdeo-path", "-o", "--iou"])
def test_an_option_is_suggested_only_where_one_is_near(flag: str) -> None:
    message = f"unrecognized arguments: {flag}"
    parser = make_parser()
    assert isinstance(parser, OneLineParser)
    assert parser.with_nearest(message) == message


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from deepsort_paddle.cli import track\n"
        "try: track(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print(sorted({'numpy', 'cv2', 'av', 'paddle', 'scipy', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--reid DIR" in done.stdout
