"""The progress bar of a run, and the note on a run without tracks."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.command.track import track_video
from deepsort_paddle.command.write_frames import progress_bar
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.plan.run_plan import RunPlan


class Terminal(io.StringIO):
    """A terminal of 80 columns, by the environment."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (795, "12 tracked, 24 ids"),
        (216_000, "123 tracked, 12345 ids"),
        (None, "12 tracked, 1234 ids, 12.3 s late, 123456 skipped"),
    ],
)
def test_the_progress_line_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, frames: int | None, words: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    with progress_bar(RunPlan(source="a.mp4"), frames) as bar:
        bar.start_t -= 4000  # over an hour ago
        bar.update((frames or 123_456) // 3)
        bar.set_postfix_str(words)
        bar.refresh()
    line = terminal.getvalue().split("\r")[-1].rstrip("\n")
    assert words in line
    assert len(line) <= 80
    if frames:
        assert len(line.split("|")[1]) >= 5


def test_detections_too_weak_to_start_a_track_get_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter("clip.mp4", fps=10) as video:
        for _ in range(12):
            video.write(np.zeros((100, 200, 3), np.uint8))
    Path("det.txt").write_text("".join(f"{n},-1,50,20,30,60,0.42\n" for n in range(1, 13)))
    result = track_video("clip.mp4", detections="det.txt", reid="none", preset="motion")
    (note,) = (line for line in result.warnings if "track" in line and "preset" not in line)
    assert note == (
        "no track was started: the best of 12 detections has a confidence of 0.42, and a track starts from "
        "0.6 (--set new_track_confidence=0.2 --set high_confidence=0.2)"
    )
    options = {"new_track_confidence": 0.2, "high_confidence": 0.2}
    result = track_video(
        "clip.mp4", detections="det.txt", reid="none", preset="motion", tracker_options=options
    )
    assert result.ids == (1,)
