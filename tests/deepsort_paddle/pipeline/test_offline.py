"""--offline: all outputs of a run hold the same refined tracks."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle import Detections, Tracks
from deepsort_paddle.cli import track
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import read_tracks
from deepsort_paddle.pipeline import offline
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

FRAMES = 40
HIDDEN = range(15, 20)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of one person who walks 3 pixels a frame, and detections without those of some frames."""
    lines = []
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for number in range(1, FRAMES + 1):
            image = np.full((120, 200, 3), 128, np.uint8)
            image[30:70, 3 * number : 3 * number + 16] = (200, 60, 20)
            writer.write(image)
            if number not in HIDDEN:
                lines.append(f"{number},-1,{3 * number + 1},31,16,40,0.9,-1,-1,-1")
    (tmp_path / "det.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    video, det = str(folder / "clip.mp4"), str(folder / "det.txt")
    words = [video, "--detections", det, "--reid", "none", "--preset", "deepsort", "--quiet", "--offline"]
    return track([*words, *arguments])


def test_all_outputs_agree_and_the_gap_is_filled(clip: Path) -> None:
    outputs = ["--output", str(clip / "out.txt"), "--csv", str(clip / "out.csv")]
    outputs += ["--json", str(clip / "out.json"), "--save-video", str(clip / "out.mp4")]
    assert run(clip, *outputs, "--save-crops", str(clip / "crops")) == 0
    table = read_tracks(clip / "out.txt")
    assert table.frame.tolist() == list(range(1, FRAMES + 1))
    assert set(table.ids.tolist()) == {1}
    assert table.boxes[:, 0] == pytest.approx(3 * table.frame, abs=0.5)
    document = json.loads((clip / "out.json").read_text())
    assert document["meta"]["settings"]["offline"] is True
    assert document["summary"]["frames"] == FRAMES
    tracks = [frame["tracks"] for frame in document["frames"]]
    assert [len(one) for one in tracks] == [1] * FRAMES
    filled = [number for number, (one,) in enumerate(tracks, 1) if one["detection"] is None]
    assert filled == list(HIDDEN)
    with (clip / "out.csv").open() as file:
        left = [float(row["x1"]) for row in csv.DictReader(file)]
    assert left == pytest.approx(table.boxes[:, 0], abs=2e-3)
    crops = sorted(int(path.stem) for path in (clip / "crops" / "1").iterdir())
    assert crops == [number for number in range(1, FRAMES + 1) if number not in HIDDEN]
    with open_source(clip / "out.mp4") as video:
        images = [frame.image for frame in video]
    assert len(images) == FRAMES
    # The person is in the image of the second pass, with a box drawn around in the gap, too.
    gap = images[16]
    assert gap is not None
    blue, _, red = gap[50, 3 * 17 + 8].astype(int)
    assert blue > red + 80
    assert np.abs(gap[30:70, 3 * 17 - 3 : 3 * 17 + 3].astype(int) - 128).max() > 60


def test_counts_and_explanations_follow_the_refined_tracks(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(clip / "out.json")
    assert run(clip, "--json", output, "--line", "gate:60,0,60,120", "--explain", "1") == 0
    counts = json.loads((clip / "out.json").read_text())["summary"]["counts"]
    assert counts["lines"][0]["to_left"] + counts["lines"][0]["to_right"] == 1
    assert "id 1: frames 1 to 40, 35 detections, lost once" in capsys.readouterr().out


def test_a_preset_that_coasts_leaves_the_gaps_to_the_smoother(clip: Path) -> None:
    assert run(clip, "--preset", "motion", "--output", str(clip / "out.txt")) == 0
    assert read_tracks(clip / "out.txt").frame.tolist() == list(range(1, FRAMES + 1))


def test_linked_ids_are_explained_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Embeddings are columns of the file; the person is away for longer than max_age.
    lines = [
        f"{number},-1,{100 + number},31,16,40,0.9,-1,-1,-1,1,0" for number in [*range(1, 11), *range(20, 31)]
    ]
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "det.txt").write_text("\n".join(lines) + "\n")
    det = str(tmp_path / "det" / "det.txt")
    arguments = [str(tmp_path), "--detections", det, "--output", str(tmp_path / "out.txt"), "--quiet"]
    arguments += ["--max-age", "3", "--offline", "--preset", "deepsort"]
    assert track([*arguments, "--explain", "1"]) == 0
    assert set(read_tracks(tmp_path / "out.txt").ids.tolist()) == {1}
    told = capsys.readouterr().out
    assert "id 1: frames 1 to 10" in told
    assert "id 2: frames 20 to 30" in told
    assert "--offline made it id 1" in told


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--coast", "2"], "--coast cannot be combined with --offline"),
        (["--set", "coast=1"], "--coast cannot be combined with --offline"),
        (["--set", "hidden_coast=9"], "--set hidden_coast cannot be combined with --offline"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_work(
    clip: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(clip, "--output", str(clip / "out.txt"), *more) == 2
    assert message in capsys.readouterr().err
    assert not (clip / "out.txt").exists()


def test_a_live_source_and_a_window_are_refused(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsort_paddle.command import saved_run

    def open_live(*arguments: object, **options: object) -> object:
        source = open_source(clip / "clip.mp4")
        source.live = True
        return source

    with monkeypatch.context() as patched:
        patched.setattr(saved_run, "open_source", open_live)
        assert run(clip, "--output", str(clip / "out.txt")) == 2
    assert "is live and has no end: leave out --offline" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":9")
    assert run(clip, "--show") == 2
    assert "--show cannot be combined with --offline" in capsys.readouterr().err


@pytest.mark.usefixtures("interruptible")
def test_a_stopped_run_writes_what_was_tracked(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = offline.Recorder.add

    def add_and_stop(self: offline.Recorder, tracked: TrackedFrame) -> None:
        add(self, tracked)
        if len(self) == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(offline.Recorder, "add", add_and_stop)
    assert run(clip, "--output", str(clip / "out.txt")) == 130
    assert read_tracks(clip / "out.txt").frame.tolist() == list(range(1, 13))
    assert "stopped by SIGINT; the outputs contain 12 frames" in capsys.readouterr().err


def test_a_video_without_people_is_an_empty_result(clip: Path) -> None:
    (clip / "det.txt").write_text("")
    assert run(clip, "--output", str(clip / "out.txt"), "--json", str(clip / "out.json")) == 0
    assert (clip / "out.txt").read_text() == ""
    assert len(json.loads((clip / "out.json").read_text())["frames"]) == FRAMES


def tracked(number: int, boxes: list[list[float]], ids: list[int], index: list[int]) -> TrackedFrame:
    """A frame with detections, and tracks that took some of them."""
    detections = Detections.of(np.reshape(boxes, (-1, 4)))
    rows = np.array(index, np.int64)
    tracks = Tracks(
        ids=np.array(ids, np.int64),
        boxes=detections.boxes[rows],
        confidence=detections.confidence[rows],
        class_id=detections.class_id[rows],
        detection_index=rows,
        frames_since_update=np.zeros(len(rows), np.int64),
    )
    return TrackedFrame(Frame(number, None, None), detections, tracks, StageSeconds(0, 0, 0, 0))


def test_a_track_gets_its_free_detections_from_before_it_was_confirmed() -> None:
    box, beside, far = [10.0, 10, 30, 60], [12.0, 10, 32, 60], [200.0, 10, 220, 60]
    frames = [
        tracked(1, [box], [], []),
        tracked(2, [], [], []),
        tracked(3, [far, box, beside], [9], [1]),  # the nearest one is another track's
        tracked(4, [box], [], []),
        tracked(5, [far, box], [1, 2], [1, 0]),
    ]
    for most, third, fourth in ((0, [9], []), (1, [9], [1]), (2, [9, 1], [1])):
        filled = offline.with_births(frames, most, least=1)
        assert filled[2].tracks.ids.tolist() == third
        assert filled[3].tracks.ids.tolist() == fourth
        assert [len(frame.tracks) for frame in filled[:2]] == [0, 0]
    assert filled[2].tracks.detection_index.tolist() == [1, 2]
    short = offline.with_births(frames, 2, least=2)  # no track has two detections
    assert [len(frame.tracks) for frame in short] == [0, 0, 1, 0, 2]


def test_a_track_that_is_missed_soon_after_its_start_gets_no_births() -> None:
    box = [10.0, 10, 30, 60]
    for seen, births in (([3, 4, 5, 6], 1), ([3, 4, 6, 7, 8, 9], 0)):
        frames = [tracked(n, [box], [1] * (n in seen), [0] * (n in seen)) for n in range(1, 10)]
        filled = offline.with_births(frames, 1)
        assert [len(frame.tracks) for frame in filled[:2]] == [0, births]


@pytest.mark.parametrize("frames", [[], [tracked(1, [], [], [])]])
def test_births_of_no_frame_and_of_an_empty_one(frames: list[TrackedFrame]) -> None:
    assert len(offline.with_births(frames, 2)) == len(frames)
