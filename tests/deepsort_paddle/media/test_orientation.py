"""Decoded frames as images. All eight display matrices are in test_unusual_files.py."""

from __future__ import annotations

import gc
from pathlib import Path

import av
import numpy as np

from deepsort_paddle.frames import Tally
from deepsort_paddle.media.orientation import UprightImages
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter


class Decoded:
    """A decoded frame of red pixels with another angle."""

    def __init__(self, rotation: float, matrix: tuple[int, int, int, int]) -> None:
        self.rotation, self.width, self.height = rotation, 4, 2
        values = np.zeros((3, 3), np.int32)
        values[:2, :2] = np.reshape(matrix, (2, 2))
        self.side_data = {"DISPLAYMATRIX": values.tobytes()}
        self.colorspace, self.color_range = 1, 1

    def to_ndarray(self, **_: object) -> np.ndarray:
        return np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_a_frame_with_another_angle_is_turned_by_it() -> None:
    tally = Tally()
    image_of = UprightImages(tally)
    plain = image_of(Decoded(0, (1, 0, 0, 1)))
    assert (plain.shape, tally.turned) == ((2, 4, 3), False)
    turned = image_of(Decoded(-90, (0, 1, -1, 0)))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))
    assert tally.turned
    np.testing.assert_array_equal(image_of(Decoded(0, (1, 0, 0, 1))), plain)
    assert not tally.turned


def test_decoded_frames_are_freed_without_the_collector(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as video:
        for number in range(30):
            video.write(np.full((48, 64, 3), number, np.uint8))
    gc.collect()
    gc.disable()
    try:
        with open_source(tmp_path / "clip.mp4") as source:
            for _ in source:
                alive = sum(isinstance(value, av.VideoFrame) for value in gc.get_objects())
                assert alive <= 10, "frames wait for the collector"  # the decoder has a few
    finally:
        gc.enable()
