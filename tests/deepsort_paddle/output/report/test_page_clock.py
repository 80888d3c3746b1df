"""Times on the report page."""

from deepsort_paddle.output.report.page_clock import PageClock
from deepsort_paddle.wall_clock import WallClock


def test_times_are_of_the_day_where_it_is_known() -> None:
    clock = PageClock(100.0, 5.0, WallClock.parse("2026-05-01T08:00:00.500+02:00"))
    assert clock.show(2.0) == "08:00:07"
    assert clock.span(2.0, 61.0) == "08:00:07 to 08:01:06"
    assert clock.whole() == "2026-05-01 08:00:05 to 08:01:45"
    assert clock.for_script() == {"epoch": 1777622405500, "dated": False, "tenths": True}


def test_times_have_a_date_where_midnight_is_passed() -> None:
    clock = PageClock(100.0, 0.0, WallClock.parse("2026-05-01T23:59:30"))
    assert clock.show(40.0) == "2026-05-02 00:00:10"
    assert clock.whole() == "2026-05-01 23:59:30 to 2026-05-02 00:01:10"
    assert clock.axis()[2] == "00:00:20"


def test_without_a_clock_times_are_of_the_video() -> None:
    assert PageClock(79.5).span(2.0, 61.25) == "2.0 to 61.2 s"
    assert PageClock(7300.0).span(2.0, 3661.0) == "0:02 to 1:01:01"
    assert PageClock(8.0).axis() == ["0.0 s", "2.0 s", "4.0 s", "6.0 s", "8.0 s"]
    assert PageClock(8.0).whole() == ""
    assert PageClock(8.0).for_script()["epoch"] is None


def test_intervals_are_those_of_the_file_or_of_the_day() -> None:
    assert PageClock(100.0, 10.0).day_seconds() == 10
    assert PageClock(100.0, 10.0, WallClock.parse("2026-05-01T00:01:00")).day_seconds() == 70
