"""The sound of a video in its annotated copy."""

from __future__ import annotations

import errno
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import Detections, track_video
from deepsort_paddle.media.sound import Sound, sound_codec
from deepsort_paddle.media.video_writer import VideoWriter

RATE, FPS, SECONDS, CLICK = 48_000, 25, 4, 2.0
FORMATS = [("clip.mp4", "aac"), ("clip.mkv", "libopus"), ("clip.ts", "aac"), ("clip.mp4", "libmp3lame")]


def make_clip(path: Path, codec: str) -> Path:
    """Four seconds of grey frames in silence, with a click after two seconds."""
    signal = np.zeros(RATE * SECONDS, np.float32)
    place = round(CLICK * RATE)
    signal[place : place + RATE // 50] = 0.8 * np.sin(np.arange(RATE // 50) * 2 * np.pi * 1000 / RATE)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(codec, rate=RATE, layout="mono")
        resampler = av.AudioResampler(format=sound.format.name, layout="mono", rate=RATE)
        for number in range(FPS * SECONDS):
            image = np.full((48, 64, 3), number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        for start in range(0, len(signal), 960):
            frame = av.AudioFrame.from_ndarray(signal[None, start : start + 960], "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            for resampled in resampler.resample(frame):
                container.mux(sound.encode(resampled))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def packets(path: Path) -> list[bytes]:
    """The bytes of each packet of sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def click(path: Path) -> float:
    """Seconds from the first frame to the click."""
    parts: list[NDArray[Any]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        begins = None
        for frame in container.decode(stream):
            begins = frame.time if begins is None else begins
            parts.append(frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)])
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    loud = np.abs(np.concatenate(parts).astype(float))
    return float(begins + np.argmax(loud > 0.3 * loud.max()) / RATE - first)


def run(source: Path, target: Path, **options: Any) -> list[str]:
    done = track_video(
        source, detector=lambda number, image: Detections.empty(), reid="none", save_video=target, **options
    )
    return list(done.warnings)


@pytest.mark.parametrize(("name", "codec"), FORMATS)
def test_sound_is_copied_and_stays_in_time(tmp_path: Path, name: str, codec: str) -> None:
    source, target = make_clip(tmp_path / name, codec), tmp_path / "out.mp4"
    assert not [note for note in run(source, target) if "sound" in note]
    given, copied = packets(source), packets(target)
    if name != "clip.ts":  # a transport stream wraps each packet, which mp4 does not
        assert b"".join(copied) in b"".join(given)
    assert len(copied) >= len(given) - 2
    assert click(target) == pytest.approx(click(source), abs=0.03)
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("options", "expected", "seconds"),
    [
        ({"start": 1.0}, 1.0, 3.0),
        ({"start": 1.52, "end": 3.0}, 0.48, 1.48),
        ({"end": 2.6}, 2.0, 2.6),
        ({"stride": 5}, 2.0, 4.0),
        ({"start": 1.0, "stride": 5, "offline": True}, 1.0, 3.0),
    ],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts"])
def test_sound_is_cut_with_the_frames(
    tmp_path: Path, name: str, options: dict[str, Any], expected: float, seconds: float
) -> None:
    source, target = make_clip(tmp_path / name, "aac"), tmp_path / "out.mp4"
    run(source, target, **options)
    assert click(target) == pytest.approx(expected, abs=0.03)
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.1)


def test_sound_that_mp4_does_not_take_is_left_out_with_a_note(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "clip.avi", "pcm_s16le"), tmp_path / "out.mp4"
    (note,) = [note for note in run(source, target) if "sound" in note]
    assert note.startswith("the sound of clip is left out: it is pcm_s16le, an mp4 takes aac, ac3, ")
    assert sound_codec(target) is None


@pytest.mark.parametrize("reads", [0, 20])
def test_sound_that_cannot_be_read_is_left_out_and_the_video_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reads: int
) -> None:
    source, target = make_clip(tmp_path / "clip.mp4", "aac"), tmp_path / "out.mp4"

    class Failing:
        """A file that cannot be opened, or breaks off after some packets."""

        def __init__(self, container: Any) -> None:
            self.container, self.streams = container, container.streams

        def demux(self, stream: Any) -> Any:
            yield from islice(self.container.demux(stream), reads)
            raise av.error.OSError(errno.EIO, "Input/output error")

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.container.close()

    def failing_open(path: str, *arguments: Any, **options: Any) -> Any:
        if not path.endswith(source.name):
            return opened(path, *arguments, **options)
        if not reads:
            raise av.error.FileNotFoundError(errno.ENOENT, "No such file or directory")
        return Failing(opened(path, *arguments, **options))

    opened = av.open
    monkeypatch.setattr("deepsort_paddle.media.sound.av.open", failing_open)
    with VideoWriter(target, fps=FPS) as video:
        video.find_sound = lambda: Sound(source, 0.0)
        for number in range(FPS * SECONDS):
            video.write(np.full((48, 64, 3), number, np.uint8))
    assert ["sound is left out" in record.message for record in caplog.records] == [True]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["clip.mp4", "out.mp4"]
    with av.open(str(target)) as container:
        assert container.streams.video[0].frames == FPS * SECONDS


def test_a_file_without_sound_and_one_that_is_no_video_have_no_codec(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    assert sound_codec(tmp_path / "text.mp4") is None
    assert sound_codec(make_clip(tmp_path / "clip.mp4", "aac")) == "aac"
