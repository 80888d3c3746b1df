"""A folder of sequences as source, and the archive for the MOTChallenge server."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from deepsort_paddle import track_videos
from deepsort_paddle.batch.submission import write_submission
from deepsort_paddle.batch.video_result import VideoResult
from deepsort_paddle.cli import track
from deepsort_paddle.motchallenge.sequence import sequence_folders

FRAMES = 8


def make_sequence(folder: Path, shift: int = 0) -> Path:
    """A sequence without images: two people who walk."""
    (folder / "det").mkdir(parents=True)
    lines = [f"{f},-1,{100 * i + 3 * f + shift},50,20,40,0.9\n" for f in range(1, FRAMES + 1) for i in (1, 2)]
    (folder / "det" / "det.txt").write_text("".join(lines))
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nseqLength={FRAMES}\n")
    return folder


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (["MOT17-02-DPM", "MOT17-02-FRCNN"], ["MOT17-02-DPM", "MOT17-02-FRCNN"]),
        (["train/MOT20-01", "test/MOT20-04"], ["MOT20-04", "MOT20-01"]),
        (["train1/dancetrack0001", "val/dancetrack0004"], ["dancetrack0001", "dancetrack0004"]),
        (["b", "a", "train/c"], ["a", "b"]),
        (["other/a"], []),
    ],
)
def test_sequences_are_found_as_benchmarks_lay_them_out(
    tmp_path: Path, made: list[str], found: list[str]
) -> None:
    for name in made:
        make_sequence(tmp_path / name)
    (tmp_path / "readme.txt").touch()
    assert [folder.name for folder in sequence_folders(tmp_path)] == found
    assert sequence_folders(tmp_path / made[0]) == []
    assert sequence_folders(tmp_path / "readme.txt") == []


def test_a_folder_of_sequences_gives_a_text_for_each_and_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a", "b")):
        make_sequence(tmp_path / "root" / "train" / name, number)
    words = ["root", "--detections", "{source}/det/det.txt", "--output", "results/{name}.txt"]
    assert track([*words, "--submission", "all.zip", "--workers", "1", "--quiet"]) == 0
    texts = {path.name: path.read_bytes() for path in sorted(Path("results").glob("*.txt"))}
    assert list(texts) == ["a.txt", "b.txt"]
    with zipfile.ZipFile("all.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == texts
    before = Path("all.zip").read_bytes()
    assert track([*words, "--submission", "all.zip", "--quiet"]) == 0  # all done before
    assert Path("all.zip").read_bytes() == before


def test_the_python_call_takes_a_folder_of_sequences(tmp_path: Path) -> None:
    make_sequence(tmp_path / "root" / "a")
    results = track_videos(
        [tmp_path / "root"], detections="{source}/det/det.txt", save_dir=tmp_path / "results", workers=1
    )
    assert [(result.name, result.status) for result in results] == [("a", "done")]


def result_of(name: str, folder: Path) -> VideoResult:
    (folder / f"{name}.txt").write_text(name)
    return VideoResult(name, name, "done", files=(str(folder / f"{name}.txt"),))


def test_results_of_ones_own_detector_stand_for_all_three_of_mot17(tmp_path: Path) -> None:
    assert write_submission(tmp_path / "a.zip", [result_of("MOT17-01", tmp_path)]) == []
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["MOT17-01-DPM.txt", "MOT17-01-FRCNN.txt", "MOT17-01-SDP.txt"]


def test_results_of_one_detector_of_mot17_are_noted(tmp_path: Path) -> None:
    notes = write_submission(tmp_path / "a.zip", [result_of("MOT17-01-SDP", tmp_path)])
    assert len(notes) == 1
    assert "MOT17-01-DPM, MOT17-01-FRCNN" in notes[0]


def test_a_sequence_without_results_leaves_no_archive(tmp_path: Path) -> None:
    results = [result_of("a", tmp_path), VideoResult("b", "b", "failed")]
    with pytest.raises(ValueError, match="is not written: b failed"):
        write_submission(tmp_path / "a.zip", results)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--submission", "a.tar"], r"ends in \.zip"),
        (["--submission", "a.zip", "--csv", "{name}.csv", "--save-dir", ""], "needs the results as text"),
        (["--submission", "none/a.zip"], "no folder none"),
    ],
)
def test_what_cannot_be_submitted_is_found_before_the_first_frame(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_sequence(tmp_path / "root" / "a")
    code = track(["root", "--detections", "{source}/det/det.txt", *words])
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1), error
    assert not list(tmp_path.glob("output*"))
    assert __import__("re").search(message, error), error
