"""``--apply`` on the command line: what it may replace, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import TrackIndex, track_video
from deepsort_paddle.annotations.annotation import read_annotation
from deepsort_paddle.cli import track
from deepsort_paddle.command import write_frames
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.structures import Detections

FRAMES = 12


class OneColor:
    """An appearance model to which everybody looks alike."""

    max_cosine_distance = 0.2

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.tile(np.float32([1, 0, 0]), (len(boxes), 1))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run over a clip of two people, with an index and corrections; the working directory."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter("clip.mp4", fps=10) as writer:
        for number in range(FRAMES):
            writer.write(np.full((120, 200, 3), 100 + number, np.uint8))
    track_video(
        "clip.mp4",
        detector=lambda *_: Detections.of([[20, 20, 50, 100], [130, 20, 160, 100]]),
        reid=OneColor(),
        index="clip.sqlite",
        output="a.txt",
        csv="a.csv",
        identities=True,
        preset="deepsort",
    )
    known = {"kind": "deepsort-paddle corrections", "format": 1, "index": "clip.sqlite"}
    Path("c.json").write_text(json.dumps({**known, "names": {"1": "Anna"}}))
    return tmp_path


def test_a_stop_leaves_the_outputs_as_they_were(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: Path(name).read_bytes() for name in ("a.txt", "a.csv")}
    replay = write_frames.replay

    def stopped(*arguments: Any) -> Iterator[Any]:
        with closing(replay(*arguments)) as frames:
            yield next(frames)
            raise KeyboardInterrupt

    monkeypatch.setattr(write_frames, "replay", stopped)
    assert track(["clip.mp4", "--apply", "c.json"]) == 130
    assert {name: Path(name).read_bytes() for name in before} == before
    assert "the index is corrected, the outputs stay as they were" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(run)
    assert track(["clip.mp4", "--apply", "c.json", "--json", "a.json"]) == 0
    assert json.loads(Path("a.json").read_text())["summary"]["names"] == {"1": "Anna"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--json", "c.json", "--overwrite"], "--json c.json would replace an input"),
        (["--csv", "clip.sqlite", "--overwrite"], "clip.sqlite is the index of the run"),
        (["--blur", "person"], "--blur does not go with --apply"),
        (["--save-detections", "x.npz"], "--save-detections does not go with --apply"),
        (["--explain-csv", "x.csv"], "--explain-csv does not go with --apply"),
    ],
)
def test_what_would_be_lost_or_not_written_is_refused(
    words: list[str], expected: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert track(["clip.mp4", "--apply", "c.json", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_run_on_saved_detections_is_corrected_too(run: Path) -> None:
    common: dict[str, Any] = {"preset": "deepsort", "reid": None}
    track_video(
        "clip.mp4",
        detector=lambda *_: Detections.of([[20, 20, 50, 100], [130, 20, 160, 100]]),
        **{**common, "reid": OneColor()},
        save_detections="clip.npz",
    )
    track_video("clip.npz", **common, index="saved.sqlite", csv="s.csv", identities=True)
    known = {"kind": "deepsort-paddle corrections", "format": 1, "index": "saved.sqlite"}
    Path("s.json").write_text(json.dumps({**known, "names": {"2": "Bob"}}))
    before = Path("s.csv").read_bytes()
    assert track(["clip.npz", "--apply", "s.json", "--quiet"]) == 0
    assert Path("s.csv").read_bytes() == before
    assert TrackIndex.read("saved.sqlite").meta.corrections is not None


def test_a_page_to_pick_places_is_never_blurred(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track(["clip.mp4", "--pick", "page.html", "--blur", "head"]) == 2
    assert "leave out --blur" in capsys.readouterr().err
    assert not Path("page.html").exists()


def outputs(*names: str) -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in names}


@pytest.mark.parametrize("format", ["cvat", "ground-truth"])
def test_a_result_comes_back_from_an_annotation_tool(run: Path, format: str) -> None:
    name = "persons.xml" if format == "cvat" else "persons.txt"
    assert track(["clip.mp4", "--apply", "c.json", f"--{format}", name, "--quiet"]) == 0
    before = outputs("a.txt", "a.csv")
    words = ["clip.mp4", "--apply", name, "--index", "clip.sqlite", "--quiet"]
    assert track(words) == 0
    assert outputs("a.txt", "a.csv") == before
    assert TrackIndex.read("clip.sqlite").names == {1: "Anna"}
    text = Path(name).read_text()
    if format == "cvat":  # delete the second person
        begin, end = text.index('<track id="2"'), text.rindex("</track>") + len("</track>")
        Path(name).write_text(text[:begin] + text[end:])
    else:
        Path(name).write_text("".join(line for line in text.splitlines(True) if line.split(",")[1] == "1"))
    assert track([*words, "--json", "a.json"]) == 0
    summary = json.loads(Path("a.json").read_text())["summary"]
    assert (summary["people"], summary["people_interval"], summary["names"]) == (1, [1, 1], {"1": "Anna"})
    assert track(["clip.mp4", "--apply", "c.json", "--quiet"]) == 0  # as it was
    assert outputs("a.txt", "a.csv") == before


def test_a_run_writes_annotations_of_persons(run: Path) -> None:
    detect = {"detector": lambda *_: Detections.of([[20, 20, 50, 100], [130, 20, 160, 100]])}
    common: dict[str, Any] = {"reid": OneColor(), "preset": "deepsort", "identities": True}
    track_video("clip.mp4", **detect, **common, cvat="p.xml", ground_truth="gt.txt")
    annotation = read_annotation("p.xml", np.arange(1, FRAMES + 1))
    assert annotation.size == (200, 120)
    assert set(annotation.labels.values()) == {"person"}
    truth = read_annotation("gt.txt", np.arange(1, FRAMES + 1))
    assert np.array_equal(truth.frame, annotation.frame)
    assert np.allclose(truth.boxes, annotation.boxes, atol=0.01)
    with pytest.raises(ValueError, match="--cvat does not go with --mirror"):
        track_video("clip.mp4", **detect, **common, cvat="q.xml", mirror=True)
    with pytest.raises(ValueError, match="--cvat does not go with --stride"):
        track_video("clip.mp4", **detect, **common, cvat="q.xml", stride=2)
    with pytest.raises(ValueError, match="--cvat does not go with --start and --end of images"):
        track_video(".", **detect, **common, cvat="q.xml", start=0.2)


def test_ground_truth_comes_back_to_a_run_with_a_stride_and_cvat_does_not(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detect = {"detector": lambda *_: Detections.of([[20, 20, 50, 100], [130, 20, 160, 100]])}
    common: dict[str, Any] = {"reid": OneColor(), "preset": "deepsort", "identities": True, "stride": 2}
    track_video("clip.mp4", **detect, **common, index="s.sqlite", output="s.txt", ground_truth="gt.txt")
    before = outputs("s.txt")
    assert track(["clip.mp4", "--apply", "gt.txt", "--index", "s.sqlite", "--quiet"]) == 0
    assert outputs("s.txt") == before
    Path("a.xml").write_text("<annotations></annotations>")
    assert track(["clip.mp4", "--apply", "a.xml", "--index", "s.sqlite", "--quiet"]) == 2
    assert "of a run with --stride, whose frames annotations do not fit" in capsys.readouterr().err
    assert outputs("s.txt") == before


def test_images_of_a_folder_count_by_their_order(run: Path) -> None:
    Path("images").mkdir()
    for number in range(5, 5 + FRAMES):
        cv2.imwrite(f"images/{number:06}.png", np.full((120, 200, 3), 100 + number, np.uint8))
    common: dict[str, Any] = {"reid": OneColor(), "preset": "deepsort", "identities": True, "fps": 10}
    boxes = [[20, 20, 50, 100], [130, 20, 160, 100]]
    track_video(
        "images",
        detector=lambda *_: Detections.of(boxes),
        **common,
        index="i.sqlite",
        cvat="i.xml",
        csv="i.csv",
    )
    assert f'frame="{FRAMES - 1}"' in Path("i.xml").read_text()
    assert f'frame="{FRAMES}"' not in Path("i.xml").read_text()
    before = Path("i.csv").read_bytes()
    assert track(["images", "--apply", "i.xml", "--index", "i.sqlite", "--quiet"]) == 0
    assert Path("i.csv").read_bytes() == before


GOOD = (
    "<annotations><meta><task><original_size><width>200</width><height>120</height></original_size></task>"
    '</meta><track id="0" label="person"><box frame="3" xtl="20" ytl="20" xbr="50" ybr="100"/></track>'
    "</annotations>"
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD.replace("200", "640"), "expected frames of 200 x 120 pixels, got 640 x 120"),
        (GOOD.replace("person", "giraffe"), "unknown label 'giraffe', expected"),
        (GOOD.replace('frame="3"', 'frame="12"'), "has a box in frame 12, the video has the frames 0 to 11"),
        (GOOD[:-20], "broken XML"),
        (f'<!DOCTYPE a [<!ENTITY b "c">]>{GOOD}', "expected no document type"),
    ],
)
def test_annotations_that_do_not_fit_are_refused_and_nothing_is_lost(
    content: str, expected: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("p.xml").write_text(content)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert track(["clip.mp4", "--apply", "p.xml", "--index", "clip.sqlite"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert track(["clip.mp4", "--apply", "p.xml"]) == 2
    assert "names no index: name it with --index" in capsys.readouterr().err
