"""Time stamps that fall or jump within one file: they count as one frame, as with the ffmpeg command."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.media.clock import FrameClock
from deepsort_paddle.media.source import open_source

PART = 15  # frames of a part


def write_part(path: Path, start: float, codec: str = "libx264", fps: int = 10, audio: bool = False) -> bytes:
    """A clip of `PART` frames whose first frame is shown at ``start`` seconds; returns its bytes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": "2", "x264-params": "bframes=2"}
        base = Fraction(1, fps) if codec == "mpeg2video" else Fraction(1, 90000)
        stream.codec_context.time_base, stream.codec_context.thread_count = base, 1
        sound = container.add_stream("aac", rate=48000) if audio else None
        for number in range(PART):
            image = np.full((48, 64, 3), (40, 90, 160), np.uint8)
            image[4:12, 2 : 4 + 2 * number] = 255
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round((start + number / fps) / base), base
            container.mux(stream.encode(frame))
        for block in range(PART * 48000 // fps // 1024 if sound else 0):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate, silence.time_base = 48000, Fraction(1, 48000)
            silence.pts = round(start * 48000) + 1024 * block
            container.mux(sound.encode(silence))
        for encoder in (stream, sound) if sound else (stream,):
            container.mux(encoder.encode(None))
    return path.read_bytes()


def join(folder: Path, starts: list[float], suffix: str = ".ts", **how: object) -> Path:
    """Parts that begin at ``starts``, joined as ``cat`` does it."""
    parts = [write_part(folder / f"part{suffix}", start, **how) for start in starts]  # type: ignore[arg-type]
    path = folder / f"joined{suffix}"
    path.write_bytes(b"".join(parts))
    return path


def stamps_of(path: Path) -> tuple[list[float], str]:
    with open_source(path) as source:
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    assert source.broken == 0
    return [frame.timestamp for frame in frames if frame.timestamp is not None], source.note


@pytest.mark.parametrize(
    "starts",
    [
        [500.0, 0.0],  # an encoder that was restarted
        [500.0, 500.0],  # the same part twice
        [500.0, 500.5],  # an overlap of a second
        [500.0, 20500.0],  # a clock that was set
        [500.0, 512.0],  # the shortest jump ahead that ffmpeg removes is 10 seconds
        [500.0, 0.0, 20000.0, 3.0],
    ],
)
@pytest.mark.parametrize("audio", [False, True])
def test_a_jump_in_a_transport_stream_counts_as_one_frame(
    tmp_path: Path, starts: list[float], audio: bool
) -> None:
    stamps, note = stamps_of(join(tmp_path, starts, audio=audio))
    np.testing.assert_allclose(stamps, np.arange(PART * len(starts)) / 10, atol=1e-6)
    times = "once" if len(starts) == 2 else "3 times, first"
    assert note.startswith(f"the file's clock jumps {times} by ")
    assert note.endswith("each jump counts as one frame")


def test_a_gap_below_ten_seconds_is_kept(tmp_path: Path) -> None:
    stamps, note = stamps_of(join(tmp_path, [500.0, 505.0]))
    np.testing.assert_allclose(stamps, [*np.arange(PART) / 10, *(5 + np.arange(PART) / 10)], atol=1e-6)
    assert note == ""


def test_a_clock_that_reaches_its_last_bit_goes_on(tmp_path: Path) -> None:
    last = 2**33 / 90000  # seconds that the 33 bits of MPEG-TS hold
    stamps, note = stamps_of(join(tmp_path, [last - 2.2]))
    np.testing.assert_allclose(stamps, np.arange(PART) / 10, atol=1e-6)
    assert note == ""


def test_a_jump_in_a_program_stream_counts_as_one_frame(tmp_path: Path) -> None:
    stamps, note = stamps_of(join(tmp_path, [300.0, 0.0], ".mpg", codec="mpeg2video", fps=25))
    np.testing.assert_allclose(np.diff(stamps), 1 / 25, atol=1e-6)
    assert "jumps once" in note


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_in_matroska_falls_and_jumps_of_days_count_as_one_frame(tmp_path: Path, suffix: str) -> None:
    codec = "libx264" if suffix == ".mkv" else "libvpx"
    for starts in ([3.0, 0.0], [3.0, 1e6]):
        stamps, note = stamps_of(join(tmp_path, starts, suffix, codec=codec))
        np.testing.assert_allclose(stamps, np.arange(2 * PART) / 10, atol=2e-3)
        assert "jumps once" in note


def test_a_true_gap_of_an_hour_is_kept_in_matroska(tmp_path: Path) -> None:
    stamps, note = stamps_of(join(tmp_path, [3.0, 3603.0], ".mkv"))
    assert stamps[PART] == pytest.approx(3600, abs=2e-3)
    assert note == ""


def test_no_output_falls_or_lasts_for_hours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = join(tmp_path, [500.0, 95000.0])
    rows = "".join(f"{frame},-1,11,9,19,30,0.9\n" for frame in range(1, 2 * PART + 1))
    (tmp_path / "det.txt").write_text(rows)
    arguments = [str(source), "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
    arguments += ["--preset", "deepsort"]
    arguments += ["--json", str(tmp_path / "o.json"), "--save-video", str(tmp_path / "o.mp4")]
    assert track([*arguments, "--zone", "all:0,0,64,0,64,48,0,48"]) == 0
    assert "note: the file's clock jumps once by +94498.5 s" in capsys.readouterr().err
    document = json.loads((tmp_path / "o.json").read_text())
    stamps = [frame["timestamp"] for frame in document["frames"]]
    assert stamps == pytest.approx(np.arange(2 * PART) / 10)
    (zone,) = document["summary"]["counts"]["zones"]
    assert zone["dwell_seconds"] == {"1": pytest.approx(2.7)}
    with av.open(str(tmp_path / "o.mp4")) as video:
        assert video.duration / 1e6 == pytest.approx(3.0, abs=1e-3)


def test_a_frame_clock_never_falls() -> None:
    clock = FrameClock(interval=0.1)
    times = [7.0, 7.1, 7.05, 7.2, 2.0, 2.1, 2e6, 2e6 + 0.1, 1.0]
    elapsed = [clock.elapsed(time) for time in times]
    assert elapsed == pytest.approx([0.0, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert all(later >= earlier for earlier, later in pairwise(elapsed))
    assert (clock.jumps, clock.first_jump) == (3, pytest.approx(-5.3))
    assert clock.skip() == pytest.approx(0.8)
    assert FrameClock(0.1).note == ""
