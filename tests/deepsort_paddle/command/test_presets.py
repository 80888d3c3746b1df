"""--preset and --set of deepsort-track."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.presets import PRESETS


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """A sequence without images: a sure person and one whose confidence falls to 0.2."""
    (tmp_path / "det").mkdir()
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nseqLength=8\n")
    lines = []
    for number in range(1, 9):
        lines.append(f"{number},-1,{100 + number},50,20,60,0.9")
        lines.append(f"{number},-1,{300 - number},50,20,60,{0.9 if number < 5 else 0.2}")
    (tmp_path / "det" / "det.txt").write_text("\n".join(lines))
    return tmp_path


def run(folder: Path, *arguments: str) -> dict[str, object]:
    """Track and return the JSON document."""
    output = folder / "out.json"
    det = str(folder / "det" / "det.txt")
    assert (
        track([str(folder), "--detections", det, "--json", str(output), "--quiet", "--overwrite", *arguments])
        == 0
    )
    document: dict[str, object] = json.loads(output.read_text())
    return document


def settings(document: dict[str, object]) -> dict[str, object]:
    return document["meta"]["settings"]  # type: ignore[index,no-any-return]


def test_without_preset_a_sequence_without_images_is_tracked_with_motion(
    sequence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = settings(run(sequence))
    assert found == settings(run(sequence, "--preset", "motion"))
    assert found["preset"] == "motion"
    det, output = str(sequence / "det" / "det.txt"), str(sequence / "out.csv")
    for more, notes in (([], 1), (["--preset", "motion"], 0)):
        assert track([str(sequence), "--detections", det, "--csv", output, "--overwrite", *more]) == 0
        assert capsys.readouterr().err.count("--preset deepsort is DeepSORT as published") == notes


def test_without_preset_embeddings_are_tracked_with_strong(sequence: Path) -> None:
    file = sequence / "det" / "det.txt"
    file.write_text("".join(f"{line},-1,-1,-1,1,0\n" for line in file.read_text().splitlines()))
    assert settings(run(sequence)) == settings(run(sequence, "--preset", "strong"))


def test_the_preset_deepsort_has_the_options_of_the_tracker(sequence: Path) -> None:
    found, defaults = settings(run(sequence, "--preset", "deepsort")), TrackerOptions()
    assert found["preset"] == "deepsort"
    assert found["min_confidence"] == 0.3
    for name in ("max_age", "high_confidence", "appearance_weight", "min_camera_pairs"):
        assert found[name] == getattr(defaults, name)


def test_a_preset_sets_options_and_flags_go_over_it(sequence: Path) -> None:
    found = settings(run(sequence, "--preset", "motion", "--max-age", "12"))
    assert found["max_age"] == 12
    for name in ("min_confidence", "high_confidence", "iou_max_age", "n_init", "confirmed_first"):
        assert found[name] == PRESETS["motion"][name], name


@pytest.mark.parametrize(
    ("more", "age"),
    [([], 100), (["--max-age", "12"], 12), (["--set", "max_age=13"], 13), (["--fps", "20"], 200)],
)
def test_the_strong_preset_has_its_ages_in_seconds(sequence: Path, more: list[str], age: int) -> None:
    (sequence / "seqinfo.ini").write_text("[Sequence]\nseqLength=8\nframeRate=10\n")
    assert settings(run(sequence, "--preset", "strong", *more))["max_age"] == age


def test_the_motion_preset_follows_a_person_of_low_confidence(sequence: Path) -> None:
    last = [
        run(sequence, "--preset", preset)["frames"][-1]["tracks"]  # type: ignore[index]
        for preset in ("deepsort", "motion")
    ]
    assert [len(tracks) for tracks in last] == [1, 2]


def test_a_frame_rate_that_is_set_goes_over_that_of_the_source(sequence: Path) -> None:
    (sequence / "seqinfo.ini").write_text("[Sequence]\nseqLength=8\nframeRate=12\n")
    assert settings(run(sequence))["frame_rate"] == 12
    assert settings(run(sequence, "--set", " frame_rate=10"))["frame_rate"] == 10


def test_set_reaches_options_that_have_no_flag(sequence: Path) -> None:
    found = settings(run(sequence, "--set", "direction_weight=0.2", "--set", "noise-by-confidence=true"))
    assert found["direction_weight"] == 0.2
    assert found["noise_by_confidence"] is True


def test_set_understands_former_names(sequence: Path) -> None:
    assert settings(run(sequence, "--set", "reactivate_part=0.4"))["reactivate_ratio"] == 0.4


@pytest.mark.parametrize(
    ("arguments", "ages"),
    [
        (["--max-age", "12"], (12, 30)),
        (["--set", "iou_max_age=20"], (30, 20)),
        (["--set", "max_seconds=5"], (125, 125)),
        (["--max-age", "12", "--preset", "motion"], (12, 30)),
    ],
)
def test_a_named_age_replaces_those_of_the_preset(
    sequence: Path, arguments: list[str], ages: tuple[int, int]
) -> None:
    found = settings(run(sequence, "--preset", "strong", "--set", "reactivate_ratio=0", *arguments))
    assert (found["max_age"], found["iou_max_age"]) == ages


def test_ages_in_frames_and_in_seconds_are_refused(
    sequence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    det = str(sequence / "det" / "det.txt")
    assert track([str(sequence), "--detections", det, "--max-age", "12", "--set", "max_seconds=5"]) == 2
    message = "max_age must agree with max_seconds 5, 125 frames at frame_rate 25, got 12"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=3", "--set: unknown option 'speed'"),
        ("max_age=long", "--set: expected a number, true or false for max_age, got 'long'"),
        ("box_margin=-1", "box_margin must be a number from 0 to 4, got -1"),
        ("max_age=2.5", "max_age must be a whole number of at least 1, got 2.5"),
    ],
)
def test_a_wrong_set_is_one_line_on_stderr(
    sequence: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    det = str(sequence / "det" / "det.txt")
    assert track([str(sequence), "--detections", det, "--set", text]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert message in errors[0]


def test_explain_tells_the_life_of_an_id(sequence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = sequence / "why.csv"
    run(sequence, "--preset", "deepsort", "--explain", "1,2", "--explain-csv", str(table))
    text = capsys.readouterr().out
    assert "id 1: frames 1 to 8, 8 detections, lost 0 times" in text
    # The second person's confidence falls below 0.3 in frame 5.
    assert "5  lost       no detection overlaps the predicted place" in text
    assert table.read_text().startswith("frame,id,kind,stage,")


@pytest.mark.parametrize(
    ("ids", "message"), [("3", "no id 3 to explain; there were ids 1 to 2"), ("a", "a whole number from 1")]
)
def test_a_wrong_id_to_explain_is_one_line_and_the_outputs_stay(
    sequence: Path, capsys: pytest.CaptureFixture[str], ids: str, message: str
) -> None:
    det, output = str(sequence / "det" / "det.txt"), sequence / "out.txt"
    arguments = [str(sequence), "--detections", det, "--output", str(output), "--explain", ids]
    try:
        code = track(arguments)
    except SystemExit as stop:
        code = int(str(stop.code))
    assert code == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "note: " not in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert output.exists() == (ids == "3") == (f"written: {output}" in captured.out)
