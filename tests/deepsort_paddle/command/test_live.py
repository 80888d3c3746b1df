"""deepsort-track with a live source, and with a part of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command import saved_run
from deepsort_paddle.command.track import track_video
from deepsort_paddle.frames import Frame, FrameSource, Tally
from deepsort_paddle.media.stream_clock import StreamClock
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.plan.argument_types import seconds
from deepsort_paddle.structures import Detections

COUNT, FPS = 24, 4.0  # frames of the stream that are taken: one in a quarter of a second


class Stream:
    """A stream of 25 fps of which every frame that the tracker takes is a quarter of a second later."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tally = Tally(now=lambda: self.now)
        self.asked: dict[str, Any] = {}

    def open(self, address: str, **options: Any) -> FrameSource:
        self.asked = options
        return FrameSource(self.frames(), self.tally, name="door", fps=25.0, live=True)

    def frames(self) -> Iterator[Frame]:
        clock = StreamClock(self.tally, now=lambda: self.now, wall=lambda: 5e8)
        for index in range(COUNT):
            seconds = clock.stamp(70.0 + index / FPS)
            self.now += 0.125  # the tracker's
            yield Frame(6 * index + 1, np.zeros((120, 200, 3), np.uint8), seconds)
            self.now += 0.125
            self.tally.skipped += 5


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    stream = Stream()
    monkeypatch.setattr(saved_run, "open_source", stream.open)
    return stream


def detect(number: int, image: object) -> Detections:
    """One who stands, and walks off after 16 frames."""
    stands = number <= 6 * 16
    return Detections.of([[100, 40, 140, 110]], [0.9]) if stands else Detections.empty()


def test_a_live_run_says_how_late_it_was_and_counts_real_seconds(stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    result = track_video(
        "rtsp://door", detector=detect, reid="none", zones=["mat:90,90,150,90,150,119,90,119"], json=path
    )
    assert stream.asked["every_frame"] is False
    assert (result.frames, result.skipped_frames, result.started) == (COUNT, 5 * COUNT, 5e8)
    assert result.lag == pytest.approx(0.125)
    assert result.max_lag == pytest.approx(0.125)
    assert result.counts is not None
    # Seen from his second frame to his 16th, a quarter of a second apart.
    assert result.counts.zones[0].dwell == {1: pytest.approx(14 / FPS)}
    document = json.loads(path.read_text())
    assert document["summary"]["skipped_frames"] == 5 * COUNT
    assert document["meta"]["settings"]["frame_rate"] == 25
    assert [frame["timestamp"] for frame in document["frames"]] == [index / FPS for index in range(COUNT)]


def test_the_summary_of_a_live_run_shows_lag_and_skipped_frames(
    stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "det.txt").write_text("1,-1,100,40,40,70,0.9\n")
    words = ["rtsp://door", "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
    assert track([*words, "--csv", str(tmp_path / "o.csv"), "--every-frame"]) == 0
    assert stream.asked["every_frame"] is True
    assert "; 120 frames skipped, 0.12 s late, at most 0.12 s" in capsys.readouterr().out


def test_times_and_ends_are_for_files(stream: Stream, capsys: pytest.CaptureFixture[str]) -> None:
    assert track(["rtsp://door", "--start", "10", "--show"]) == 2
    message = capsys.readouterr().err
    assert "--show needs" in message or "--start and --end apply only" in message
    assert track(["rtsp://door", "--end", "10", "--csv", "o.csv"]) == 2
    assert "door is live: --start and --end apply only to files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("1:30", 90), ("01:00:02.5", 3602.5), (7, 7.0), ("0", 0)]
)
def test_times_are_seconds_or_hours_minutes_seconds(text: Any, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["1:75", "a", "1:2:3:4", "-1", "nan", ""])
def test_a_wrong_time_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected seconds or hh:mm:ss, got '"):
        seconds(text)


def test_a_part_of_a_file_keeps_its_numbers_and_the_rest_of_the_rate(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as video:
        for number in range(40):
            video.write(np.full((48, 96, 3), number, np.uint8))
    rows = "".join(f"{number},-1,9,9,10,20,0.9\n" for number in range(1, 41))
    (tmp_path / "det.txt").write_text(rows)
    words = [str(tmp_path / "clip.mp4"), "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
    words += ["--json", str(tmp_path / "o.json"), "--save-video", str(tmp_path / "o.mp4"), "--quiet"]
    assert track([*words, "--start", "1", "--end", "0:03", "--stride", "5"]) == 0
    document = json.loads((tmp_path / "o.json").read_text())
    assert [frame["frame"] for frame in document["frames"]] == [11, 16, 21, 26]
    assert [frame["timestamp"] for frame in document["frames"]] == [1.0, 1.5, 2.0, 2.5]
    assert document["meta"]["fps"] == document["meta"]["settings"]["frame_rate"] == 2
    with saved_run.open_source(tmp_path / "o.mp4") as video:
        assert [frame.timestamp for frame in video] == pytest.approx([0, 0.5, 1.0, 1.5])
