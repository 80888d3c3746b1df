"""`track_video`: in Python what the command does."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import (
    Detections,
    RunPlan,
    RunResult,
    StopTracking,
    TrackedFrame,
    read_detections,
    track_video,
)
from deepsort_paddle.cli import track
from deepsort_paddle.media.video_writer import VideoWriter

FRAMES = 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of two people who walk past each other, and its detections."""
    folder = tmp_path_factory.mktemp("clip")
    lines = []
    with VideoWriter(folder / "clip.mp4", fps=10) as writer:
        for number in range(1, FRAMES + 1):
            image = np.full((120, 200, 3), 128, np.uint8)
            for x, y, color in ((4 * number, 30, (200, 60, 20)), (180 - 4 * number, 60, (20, 60, 200))):
                image[y : y + 40, x : x + 16] = color
                lines.append(f"{number},-1,{x + 1},{y + 1},16,40,0.9,-1,-1,-1")
            writer.write(image)
    (folder / "det.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_track_video_writes_what_the_command_writes(clip: Path, tmp_path: Path) -> None:
    line = "gate:100,0,100,119"
    words = [str(clip / "clip.mp4"), "--detections", str(clip / "det.txt"), "--line", line, "--quiet"]
    words += ["--preset", "strong", "--set", "direction_weight=0.2", "--max-age", "9"]
    words += [f"--{name}={tmp_path / f'command.{name}'}" for name in ("output", "csv", "json")]
    assert track(words) == 0
    result = track_video(
        clip / "clip.mp4",
        detections=clip / "det.txt",
        lines=[line],
        preset="strong",
        tracker_options={"direction_weight": 0.2},
        max_age=9,
        **{name: tmp_path / f"python.{name}" for name in ("output", "csv", "json")},
    )
    for name in ("output", "csv", "json"):
        assert (tmp_path / f"python.{name}").read_bytes() == (tmp_path / f"command.{name}").read_bytes()
        assert result.outputs[name] == tmp_path / f"python.{name}"
    assert (result.frames, result.ids, result.broken_frames) == (FRAMES, (1, 2), 0)
    assert result.counts is not None
    assert json.loads((tmp_path / "python.json").read_text())["summary"]["counts"] == result.counts.as_dict()
    assert set(result.seconds) == {"read", "detect", "encode", "track", "write"}


def test_a_plan_can_be_run_from_its_fields(clip: Path) -> None:
    plan = RunPlan(source=str(clip / "clip.mp4"), detections=str(clip / "det.txt"), reid="none", n_init=5)
    assert track_video(**plan.as_dict()).ids == (1, 2)


def test_without_outputs_nothing_is_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    frames: list[TrackedFrame] = []
    result = track_video(
        clip / "clip.mp4", detections=clip / "det.txt", reid="none", on_frame=frames.append, progress=False
    )
    assert [tracked.frame.number for tracked in frames] == list(range(1, FRAMES + 1))
    assert {*result.ids} == {number for tracked in frames for number in tracked.tracks.ids.tolist()}
    assert result.outputs == {}
    assert list(tmp_path.iterdir()) == []
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


class Detector:
    """The detections of a file, as a callable of a user."""

    labels = ("person",)
    confidence = 0.5

    def __init__(self, path: Path) -> None:
        self.known = read_detections(path)

    def __call__(self, number: int, image: NDArray[np.uint8] | None) -> Detections:
        assert image is not None
        return self.known[number]


class Encoder:
    """One embedding for all."""

    max_cosine_distance = 0.125

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.tile(np.float32([1, 0]), (len(boxes), 1))

    def encode_batch(
        self, frames: list[NDArray[np.uint8]], boxes: list[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        return [self(frame, rows) for frame, rows in zip(frames, boxes, strict=True)]


def test_a_detector_and_an_encoder_may_be_objects(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    track_video(clip / "clip.mp4", detector=Detector(clip / "det.txt"), reid=Encoder(), json=path)
    settings = json.loads(path.read_text())["meta"]["settings"]
    assert (settings["detector"], settings["reid"]) == ("Detector", "Encoder")
    assert (settings["preset"], settings["max_cosine_distance"]) == ("strong", 0.125)
    assert settings["min_confidence"] == 0.1


class Totals:
    """An output of a user."""

    def __init__(self, last: int = FRAMES) -> None:
        self.frames, self.closed, self.last = 0, 0, last

    def write(self, tracked: TrackedFrame) -> None:
        self.frames += 1
        if self.frames == self.last:
            raise StopTracking

    def close(self) -> None:
        self.closed += 1


def test_an_output_may_end_the_run_after_a_whole_frame(clip: Path, tmp_path: Path) -> None:
    totals, text = Totals(last=7), tmp_path / "o.csv"
    seen: list[TrackedFrame] = []
    result = track_video(
        clip / "clip.mp4",
        detections=clip / "det.txt",
        reid="none",
        csv=text,
        outputs=[totals],
        on_frame=seen.append,
    )
    assert (result.frames, totals.frames, totals.closed, len(seen)) == (7, 7, 1, 7)
    assert text.read_text().splitlines()[-1].startswith("7,")


def test_an_error_of_a_callback_leaves_the_part_and_closes_the_outputs(clip: Path, tmp_path: Path) -> None:
    def fail(tracked: TrackedFrame) -> None:
        raise RuntimeError("no more")

    totals = Totals()
    with pytest.raises(RuntimeError, match="no more"):
        track_video(
            clip / "clip.mp4",
            detections=clip / "det.txt",
            reid="none",
            csv=tmp_path / "o.csv",
            outputs=[totals],
            on_frame=fail,
        )
    assert totals.closed == 1
    assert [path.name for path in tmp_path.iterdir()] == ["o.csv.part"]


@pytest.mark.parametrize("name", ["offline", "plain"])
def test_a_result_explains_its_ids(name: str, clip: Path) -> None:
    result = track_video(
        clip / "clip.mp4", detections=clip / "det.txt", reid="none", explain=[1], offline=name == "offline"
    )
    assert result.explain(2).startswith(f"id 2: frames 1 to {FRAMES}, {FRAMES} detections")
    with pytest.raises(ValueError, match="no id 9 to explain"):
        result.explain(9)


def test_a_result_cannot_be_changed_and_says_what_was_not_recorded(clip: Path) -> None:
    result = track_video(clip / "clip.mp4", detections=clip / "det.txt", reid="none")
    assert isinstance(result, RunResult)
    assert result.fps > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.frames = 0  # type: ignore[misc]
    with pytest.raises(ValueError, match="pass explain="):
        result.explain(1)
