"""``deepsort-tune``: ranges, the chosen options and the leave-one-out rounds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from deepsort_paddle import Detections, Frame, TrackedFrame, Tracks
from deepsort_paddle.cli import track
from deepsort_paddle.detection.saved_detections import AboutDetections
from deepsort_paddle.output.detection_writer import DetectionWriter
from deepsort_paddle.research.search import parse_measure, search_space
from deepsort_paddle.research.tune import main
from deepsort_paddle.tracked_frame import StageSeconds
from deepsort_paddle.tracking.presets import PRESETS

FRAMES = 20


def make_sequence(folder: Path, name: str, false_score: float) -> None:
    """Two people with a score of 0.9, and a post detected as a third person."""
    truth = folder / "truth" / name / "gt"
    truth.mkdir(parents=True)
    (folder / "saved").mkdir(exist_ok=True)
    lines = []
    with DetectionWriter(folder / "saved" / f"{name}.npz", lambda: AboutDetections(source=name)) as writer:
        for number in range(1, FRAMES + 1):
            x = 10.0 + 3 * number
            boxes = [[x, 10, x + 20, 50], [200 - x, 80, 220 - x, 120], [300, 10, 320, 50]]
            found = Detections.of(boxes, [0.9, 0.9, false_score])
            frame = Frame(number, None, number / 25)
            writer.write(TrackedFrame(frame, found, Tracks.empty(), StageSeconds(0, 0, 0, 0)))
            lines += [
                f"{number},{i + 1},{b[0] + 1},{b[1] + 1},20,40,1,1,1\n" for i, b in enumerate(boxes[:2])
            ]
    (truth / "gt.txt").write_text("".join(lines))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three sequences; a new_track_confidence above 0.5 is best in all of them."""
    for name, score in (("a", 0.5), ("b", 0.4), ("c", 0.45)):
        make_sequence(tmp_path, name, score)
    return tmp_path


def run(data: Path, *words: str) -> int:
    common = ["--preset", "deepsort", "--option", "new_track_confidence", "--trials", "6"]
    return main([str(data / "truth"), str(data / "saved"), *common, *words])


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_better_option_is_chosen_with_and_without_each_sequence(
    data: Path, capsys: pytest.CaptureFixture[str], sampler: str
) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    assert run(data, "--sampler", sampler, "--output", str(data / "best.yaml")) == 0
    output = capsys.readouterr().out
    report = yaml.safe_load(output)
    assert report == yaml.safe_load((data / "best.yaml").read_text())
    chosen = report["options"]["new_track_confidence"]
    assert 0.5 < chosen <= 0.9
    assert list(report["left_out"]) == ["a", "b", "c"]
    figures = report["figures"]
    assert figures["left_out"]["MOTA"] == figures["fitted"]["MOTA"] > figures["preset"]["MOTA"] + 20
    flags = output.splitlines()[-1].split("SOURCE ")[1]
    assert flags == f"--preset deepsort --set new_track_confidence={chosen}"
    words = [str(data / "saved" / "a.npz"), *flags.split(), "--output", str(data / "a.txt"), "--quiet"]
    assert track(words) == 0
    ids = {line.split(",")[1] for line in (data / "a.txt").read_text().splitlines()}
    assert len(ids) == 2


def test_a_seed_gives_the_same_answer_each_time(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    answers = []
    for seed in ("1", "1", "2"):
        assert run(data, "--seed", seed) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_the_preset_is_kept_if_no_trial_is_better(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    words = [str(data / "truth"), str(data / "saved"), "--preset", "deepsort", "--trials", "2"]
    assert main([*words, "--option", "gallery_size"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["options"] == {}


def test_one_sequence_has_no_leave_one_out_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    make_sequence(tmp_path, "a", 0.5)
    assert run(tmp_path) == 0
    assert "left_out" not in yaml.safe_load(capsys.readouterr().out)


def test_a_missing_optuna_is_one_line_with_the_pip_command(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(data) == 2
    error = capsys.readouterr().err
    assert (
        error
        == "deepsort-tune: error: optuna is not installed: pip install optuna (part of the extra tune)\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--option", "n_innit"], "did you mean n_init?"),
        (["--option", "n_init=0:3"], "expected LOW below HIGH within 1 to inf"),
        (["--option", "n_init=1.5:3"], "expected whole numbers"),
        (["--option", "max_iou_distance=a:b"], "expected NAME=LOW:HIGH"),
        (["--measure", "FPS"], "expected HOTA, ASSA"),
        (["--output", "none/best.yaml"], "no folder none"),
    ],
)
def test_an_error_is_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    assert run(data, *words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_folder_without_saved_detections_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    assert main([str(data / "truth"), str(data / "truth")]) == 2
    assert "expected a.npz, b.npz, c.npz" in capsys.readouterr().err


def test_ranges_are_clipped_to_valid_values() -> None:
    own = PRESETS["strong"]["max_iou_distance"]
    found = {one.name: one for one in search_space("strong")}
    assert "min_confidence" not in found
    assert (found["max_iou_distance"].low, found["max_iou_distance"].high) == (pytest.approx(own / 3), 1.0)
    assert (found["n_init"].kind, found["n_init"].low, found["n_init"].high) == ("int", 1, 9)
    (switch,) = search_space("strong", ["confirmed_first"])
    assert switch.kind == "switch"
    (named,) = search_space("deepsort", ["reactivate_part=0.1:2"])
    assert (named.name, named.low, named.high) == ("reactivate_ratio", 0.1, 2)


def test_measures_are_ratios() -> None:
    assert parse_measure("hota + IDF1") == (0, 3)
    with pytest.raises(ValueError, match="expected HOTA"):
        parse_measure("switches")


def test_no_trial_is_out_of_range() -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    (one,) = search_space("motion", ["max_iou_distance=0.12345:0.12346"])
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    assert one.low <= one.suggest(trial) <= one.high
    assert np.isfinite(one.high)
