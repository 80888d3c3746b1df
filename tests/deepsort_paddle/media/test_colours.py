"""Colours of high and standard definition, turned pixels and mirror images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.frames import Frame, FrameSource, Tally
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter

RED, GREEN = (200, 50, 50), (50, 180, 60)  # RGB
# Weights of red and blue in the luma, by the code of ISO 23091-2.
LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}


def planes(rgb: tuple[int, int, int], code: int) -> tuple[int, ...]:
    """Y, U, V of a colour in the limited range, written out (BT.709-6 and BT.601-7, section 3)."""
    kr, kb = LUMA[code]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    return round(16 + 219 * y), round(128 + 224 * u), round(128 + 224 * v)


def make(path: Path, size: tuple[int, int], rgb: tuple[int, int, int], code: int, *, said: bool) -> None:
    """A clip of one colour whose planes are of the matrix ``code``."""
    height, width = size
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if said:
            stream.codec_context.colorspace = code
        frame = av.VideoFrame(width, height, "yuv420p")
        for number, value in enumerate(planes(rgb, code)):
            rows = height if number == 0 else height // 2
            frame.planes[number].update(np.full(frame.planes[number].line_size * rows, value, np.uint8))
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def colour_of(path: Path) -> Any:
    """The colour of the first frame, RGB."""
    with open_source(str(path)) as source:
        image = next(source).image
    assert image is not None
    return image[image.shape[0] // 2, image.shape[1] // 2, ::-1].astype(int)


@pytest.mark.parametrize("rgb", [RED, GREEN])
@pytest.mark.parametrize(
    ("size", "code", "said"),
    [
        ((720, 1280), 1, True),
        ((720, 1280), 1, False),
        ((1280, 720), 1, False),
        ((480, 640), 6, True),
        ((480, 640), 6, False),
        ((720, 1280), 6, True),
        ((480, 640), 1, True),
    ],
)
def test_colours_are_read_by_the_matrix_of_the_file_or_of_its_size(
    tmp_path: Path, rgb: tuple[int, int, int], size: tuple[int, int], code: int, said: bool
) -> None:
    make(tmp_path / "a.mp4", size, rgb, code, said=said)
    assert np.abs(colour_of(tmp_path / "a.mp4") - rgb).max() <= 4


@pytest.mark.parametrize(("size", "code"), [((720, 1280), 1), ((480, 640), 6), ((577, 640), 1)])
def test_written_colours_say_their_matrix_and_are_of_it(
    tmp_path: Path, size: tuple[int, int], code: int
) -> None:
    image = np.full((*size, 3), RED[::-1], np.uint8)
    with VideoWriter(tmp_path / "a.mp4", fps=25, crf=1) as video:
        video.write(image)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame: Any = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (code, 1)
        values = [np.frombuffer(bytes(plane), np.uint8)[plane.line_size * 9 + 9] for plane in frame.planes]
    assert np.abs(np.subtract(values, planes(RED, code), dtype=int)).max() <= 2
    assert np.abs(colour_of(tmp_path / "a.mp4") - RED).max() <= 4


def test_the_shape_of_a_pixel_turns_with_its_image() -> None:
    for turned, aspect in ((False, Fraction(4, 3)), (True, Fraction(3, 4))):
        frames = iter([Frame(n, np.zeros((4, 6, 3), np.uint8), n / 10) for n in range(1, 6)])
        source = FrameSource(
            frames, Tally(turned=turned), name="a", fps=10, frame_count=5, pixel_aspect=Fraction(4, 3)
        )
        assert source.pixel_aspect == aspect
        assert source.between(0.2).every(2).mirrored().pixel_aspect == aspect


def test_a_mirror_exchanges_left_and_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :50] = 255
    with VideoWriter("a.mp4", fps=10) as video:
        for _ in range(4):
            video.write(image)
    Path("det.txt").write_text("".join(f"{n},-1,150,20,30,60,0.9\n" for n in range(1, 5)))
    words = ["a.mp4", "--detections", "det.txt", "--reid", "none", "--quiet", "--start", "0.1", "--offline"]
    assert track([*words, "--mirror", "--save-video", "b.mp4"]) == 0
    with open_source("b.mp4") as source:
        frames = [frame.image for frame in source]
    assert len(frames) == 3
    assert all(
        image is not None and image[:, 190:].mean() > 230 > 20 > image[:, :140].mean() for image in frames
    )
