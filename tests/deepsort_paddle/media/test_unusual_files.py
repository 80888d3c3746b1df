"""Display matrices, pixels that are not square, raw streams, rates of 0, and files of macOS and Windows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.cli import track
from deepsort_paddle.media.source import VideoWriter, open_source


def make_image(number: int = 20) -> NDArray[np.uint8]:
    """A frame that differs in all eight orientations."""
    image = np.full((64, 96, 3), (40, 90, 160), np.uint8)
    image[4:12, 2 : 2 + number] = 255
    image[-20:, :10] = (200, 30, 30)
    return image


def write_clip(path: Path, frames: int = 3, pixel_aspect: Fraction = Fraction(1)) -> Path:
    with VideoWriter(path, fps=10, crf=4, pixel_aspect=pixel_aspect) as video:
        for number in range(frames):
            video.write(make_image(20 + number))
    return path


def fixed_point(*values: int) -> bytes:
    return b"".join((value * 65536 & 0xFFFFFFFF).to_bytes(4, "big") for value in values)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),  # a front camera
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # a phone held upright
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
    ],
)
def test_a_display_matrix_turns_and_mirrors_frames(tmp_path: Path, matrix, shown) -> None:  # type: ignore[no-untyped-def]
    """Equal to what ffmpeg shows for each of the eight matrices."""
    content = bytearray(write_clip(tmp_path / "clip.mp4").read_bytes())
    plain = next(open_source(tmp_path / "clip.mp4")).image
    identity = fixed_point(1, 0, 0, 0, 1) + bytes(12) + (1 << 30).to_bytes(4, "big")
    start = content.index(identity, content.index(b"tkhd"))
    a, b, c, d = matrix
    content[start : start + 20] = fixed_point(a, b, 0, c, d)
    (tmp_path / "turned.mp4").write_bytes(content)
    np.testing.assert_array_equal(next(open_source(tmp_path / "turned.mp4")).image, shown(plain))


def test_pixels_that_are_not_square_are_noted_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "wide.mp4", pixel_aspect=Fraction(16, 11))
    with open_source(clip) as source:
        assert next(source).image.shape == (64, 96, 3)
        assert source.pixel_aspect == Fraction(16, 11)
        assert source.note == "pixels are 16/11 times as wide as high: boxes are in stored pixels"
    (tmp_path / "det.txt").write_text("1,-1,9,9,10,20,0.9\n")
    arguments = [str(clip), "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
    assert track([*arguments, "--save-video", str(tmp_path / "o.mp4")]) == 0
    assert "note: pixels are 16/11 times as wide as high" in capsys.readouterr().err
    with av.open(str(tmp_path / "o.mp4")) as video:
        assert video.streams.video[0].sample_aspect_ratio == Fraction(16, 11)
    with open_source(write_clip(tmp_path / "square.mp4")) as source:
        assert (source.pixel_aspect, source.note) == (1, "")


def write_raw(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(make_image(20 + number), format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("clip.h264", "libx264", 10), ("clip.mjpeg", "mjpeg", 25), ("clip.m2v", "mpeg2video", 10)],
)
def test_a_raw_stream_takes_its_rate_from_its_header_or_from_the_option(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    path = write_raw(tmp_path / name, codec)
    for fps in (None, 50.0):
        with open_source(path, fps=fps) as source:
            stamps = [frame.timestamp for frame in source]
        assert source.fps == (fps or rate)
        np.testing.assert_allclose(stamps, np.arange(12) / (fps or rate), atol=1e-9)
    with open_source(path) as source:
        expected = f"a raw stream has no timestamps: its frame rate is taken as {rate} (--fps N sets it)"
        assert source.note == expected


def test_the_command_sets_the_rate_of_a_raw_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_raw(tmp_path / "clip.h264", "libx264")
    (tmp_path / "det.txt").write_text("1,-1,9,9,10,20,0.9\n")
    arguments = [str(path), "--detections", str(tmp_path / "det.txt"), "--reid", "none", "--fps", "5"]
    arguments += ["--preset", "deepsort"]
    assert track([*arguments, "--save-video", str(tmp_path / "o.mp4")]) == 0
    assert capsys.readouterr().err == ""
    with open_source(tmp_path / "o.mp4") as video:
        assert (video.fps, video.frame_count) == (5, 12)


@pytest.mark.parametrize("rate", ["0", "0.0", ""])
def test_a_frame_rate_of_zero_is_unknown(tmp_path: Path, rate: str) -> None:
    (tmp_path / "img1").mkdir()
    cv2.imwrite(str(tmp_path / "img1" / "000001.png"), make_image())
    (tmp_path / "seqinfo.ini").write_text(f"[Sequence]\nname=street\nframeRate={rate}\nseqLength=1\n")
    with open_source(tmp_path) as source:
        assert source.fps is None
        assert [frame.timestamp for frame in source] == [None]


def test_files_of_macos_and_windows_are_no_frames(tmp_path: Path) -> None:
    folder = tmp_path / "seq" / "img1"
    folder.mkdir(parents=True)
    for number in (1, 2):
        cv2.imwrite(str(folder / f"{number:06d}.JPG"), make_image())
    for name in ("._000001.JPG", ".DS_Store", "Thumbs.db", "desktop.ini", "._000003.jpg"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    (folder / "@eaDir").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    for source in (folder, folder.parent):
        with open_source(source) as frames:
            assert [frame.image is not None for frame in frames] == [True, True]
            assert frames.note == ""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "._a.mp4"):
        (videos / name).touch()
    with pytest.raises(ValueError, match="it contains a video: name the file"):
        open_source(videos)
