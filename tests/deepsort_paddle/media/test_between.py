"""A part of a source: --start, --end, --stride."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle.frames import Frame, FrameSource, Tally


def source(count: int = 50, fps: float | None = 10.0) -> FrameSource:
    image = np.zeros((4, 6, 3), np.uint8)
    frames = (Frame(number, image, fps and (number - 1) / fps) for number in range(1, count + 1))
    return FrameSource(frames, Tally(), name="clip", fps=fps, frame_count=count)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(0.0, None, 1, 50), (2.0, None, 21, 50), (0.0, 1.0, 1, 10), (1.95, 2.05, 21, 21), (4.9, 99.0, 50, 50)],
)
def test_frames_of_a_time_keep_their_numbers_and_times(
    start: float, end: float | None, first: int, last: int
) -> None:
    part = source().between(start, end)
    assert (part.first_frame, part.last_frame, part.frame_count) == (first, last, last - first + 1)
    frames = list(part)
    assert [frame.number for frame in frames] == list(range(first, last + 1))
    assert frames[0].timestamp == pytest.approx((first - 1) / 10)


def test_a_stride_inside_a_time_leaves_the_rest_of_the_frame_rate() -> None:
    part = source().between(1.0, 2.0).every(4)
    assert part.fps == 2.5
    assert [frame.number for frame in part] == [11, 15, 19]
    assert part.frame_count == 3


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (5.0, None, "clip ends at 5.0 s, before the start at 5 s"),
        (2.0, 2.0, "clip has no frame from 2 to 2 s"),
        (3.0, 1.0, "clip has no frame from 3 to 1 s"),
    ],
)
def test_a_time_without_frames_is_one_line(start: float, end: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        source().between(start, end)


def test_a_source_without_a_rate_has_no_times() -> None:
    with pytest.raises(ValueError, match="clip has no frame rate"):
        source(fps=None).between(1.0)
