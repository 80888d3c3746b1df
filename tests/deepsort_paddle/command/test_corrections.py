"""``--apply`` on the command line: what it may replace, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import TrackIndex, track_video
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
