"""From seconds of a video to date and time."""

from __future__ import annotations

import pytest

from deepsort_paddle.wall_clock import WallClock, interval_words, video_time


def test_a_clock_keeps_its_offset_and_rounds_to_milliseconds() -> None:
    assert WallClock.parse("2026-05-01 08:00:59.9+02:00").iso(0.1004) == "2026-05-01T08:01:00.000+02:00"
    assert WallClock.parse("2026-05-01T08:00Z").iso(0) == "2026-05-01T08:00:00.000+00:00"
    assert WallClock.parse("2026-05-01T08:10").seconds_of_day() == 8 * 3600 + 600


@pytest.mark.parametrize("text", ["", "8 o'clock", "2026-05-01", "08:00", "2026-13-01T08:00"])
def test_anything_but_date_and_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected date and time as 2026-05-01T08:00, got"):
        WallClock.parse(text)


def test_an_interval_shows_the_date_where_it_passes_midnight() -> None:
    clock = WallClock.parse("2026-05-01T23:50")
    assert interval_words(clock, 0, 300) == "23:50:00 to 23:55:00"
    assert interval_words(clock, 0, 900) == "2026-05-01 23:50:00 to 2026-05-02 00:05:00"
    assert interval_words(None, 59.6, 3723) == "1:00 to 1:02:03"
    assert video_time(0) == "0:00"
