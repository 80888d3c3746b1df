"""Decoding from the last key frame before ``--start`` gives the frames that decoding everything gives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deepsort_paddle.frames import Frame
from deepsort_paddle.media.entry import find_entry
from deepsort_paddle.media.source import open_source

FRAMES, FPS = 60, 20
H264 = {"g": "12", "bf": "3", "sc_threshold": "0", "preset": "ultrafast"}
OPEN_GOP = {
    "x265-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:log-level=none",
    "preset": "ultrafast",
}
CLIPS = {
    "closed.mp4": ("libx264", H264),
    "closed.mkv": ("libx264", H264),
    "closed.ts": ("libx264", H264),
    "open.mp4": ("libx265", OPEN_GOP),
    "open_h264.mp4": ("libx264", {**H264, "x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=12"}),
    "vp9.webm": ("libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    "variable.mp4": ("libx264", H264),
    "packed.avi": ("mpeg4", {"g": "12", "bf": "2"}),
    "vp8.webm": ("libvpx", {"g": "12", "deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "8"}),
}
# Packets of these do not say which frame is which, or cannot be decoded from a key frame on.
FROM_THE_BEGINNING = {"packed.avi", "vp8.webm", "open_h264.mp4"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of noise that moves, three seconds each."""
    folder = tmp_path_factory.mktemp("clips")
    noise = np.random.default_rng(0).integers(0, 255, (48, 64 + FRAMES, 3), np.uint8)
    for name, (codec, options) in CLIPS.items():
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=FPS, options=options)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            if not name.endswith(".avi"):  # which counts frames in these units
                stream.codec_context.time_base = Fraction(1, 1000)
            for number in range(FRAMES):
                image = np.ascontiguousarray(noise[:, number : number + 64])
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                late = number % 3 * 10 if name.startswith("variable") else 0
                frame.pts, frame.time_base = 50 * number + late, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return folder


def frames_of(path: Path, start: float, end: float | None = None, *, skip: bool) -> list[Frame]:
    source = open_source(path, start=start if skip else 0.0)
    part = source.between(start, end)
    numbers = part.frame_numbers
    frames = list(part)
    assert part.first_frame == frames[0].number
    if numbers is not None and part.frame_count is not None:
        assert list(numbers) == [frame.number for frame in frames]
    assert not source.note
    return frames


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("start", [0.3, 1.2, 1.75, 2.9])
def test_the_frames_are_those_of_a_whole_decoding(clips: Path, name: str, start: float) -> None:
    end = 2.0 if start < 1.5 else None
    found, expected = (frames_of(clips / name, start, end, skip=skip) for skip in (True, False))
    assert [frame.number for frame in found] == [frame.number for frame in expected]
    times = [[frame.timestamp for frame in frames] for frames in (found, expected)]
    np.testing.assert_allclose(times[0], times[1], atol=1e-9)
    for one, two in zip(found, expected, strict=True):
        assert one.image is not None
        assert two.image is not None
        np.testing.assert_array_equal(one.image, two.image)


@pytest.mark.parametrize("name", CLIPS)
def test_decoding_begins_at_the_last_key_frame_where_packets_are_exact(clips: Path, name: str) -> None:
    entry = find_entry(str(clips / name), 0, 1.75)
    if name in FROM_THE_BEGINNING:
        assert entry is None
    else:
        assert entry is not None
        assert entry.number == 25
    assert find_entry(str(clips / name), 0, 0.1) is None


def test_a_start_after_the_end_is_one_line(clips: Path) -> None:
    with pytest.raises(ValueError, match=r"^closed ends at 3.0 s, before the start at 9 s$"):
        open_source(clips / "closed.mp4", start=9.0).between(9.0)


def test_a_file_that_breaks_off_has_no_entry_after_its_end(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes((clips / "closed.mkv").read_bytes()[:3000])
    assert find_entry(str(tmp_path / "no.mp4"), 0, 1.0) is None


@pytest.mark.parametrize(
    ("name", "cut"), [("closed.ts", 5), ("closed.mkv", 5), ("open.mp4", 5), ("open.mp4", 12)]
)
def test_a_file_that_begins_between_two_key_frames_keeps_its_numbers(
    clips: Path, tmp_path: Path, name: str, cut: int
) -> None:
    path = tmp_path / name
    with av.open(str(clips / name)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if number >= cut and packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    found, expected = (list(open_source(path, start=start).between(1.5, None)) for start in (1.5, 0.0))
    times = [[(frame.number, frame.timestamp) for frame in frames] for frames in (found, expected)]
    assert times[0] == times[1]
    for one, two in zip(found, expected, strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(two.image))
