"""The clock of live sources."""

from __future__ import annotations

import pytest

from deepsort_paddle.frames import Tally
from deepsort_paddle.media.stream_clock import StreamClock


class FakeTime:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def stamps(
    frames: list[tuple[float, float | None]], tally: Tally, reconnect_before: int | None = None
) -> list[float]:
    """Times of frames that arrive at these seconds with these stamps of the stream."""
    fake = FakeTime()
    clock = StreamClock(tally, now=fake, wall=lambda: 5e8)
    found = []
    for index, (arrival, pts) in enumerate(frames):
        if index == reconnect_before:
            clock.reconnected()
        fake.now = 1000.0 + arrival
        found.append(clock.stamp(pts))
    return found


def test_the_streams_own_stamps_count_and_not_the_network() -> None:
    tally = Tally()
    found = stamps([(0, 70.0), (0.9, 70.04), (0.91, 70.08), (1.0, 70.12)], tally)
    assert found == pytest.approx([0, 0.04, 0.08, 0.12])
    assert tally.started == 5e8


def test_without_stamps_arrivals_count() -> None:
    assert stamps([(0, None), (0.1, None), (0.5, None)], Tally()) == pytest.approx([0, 0.1, 0.5])


@pytest.mark.parametrize("jump", [-50.0, 30.0, 1e5])
def test_where_stamps_jump_arrivals_count(jump: float) -> None:
    found = stamps([(0, 70.0), (0.1, 70.1), (0.2, 70.2 + jump), (0.3, 70.3 + jump)], Tally())
    assert found == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_gap_without_connection_takes_the_time_it_took() -> None:
    found = stamps([(0, 70.0), (0.1, 70.1), (8.1, 0.0), (8.2, 0.1)], Tally(), reconnect_before=2)
    assert found == pytest.approx([0, 0.1, 8.1, 8.2])


def test_stored_frames_that_come_at_once_keep_their_own_times() -> None:
    found = stamps([(0, 0.0), (0.01, 2.0), (0.02, 4.0)], Tally())
    assert found == [0, 2, 4]


def test_the_lag_is_counted_from_the_frame_that_came_soonest() -> None:
    fake = FakeTime()
    tally = Tally(now=fake)
    assert tally.lag(0.0) is None
    clock = StreamClock(tally, now=fake)
    for arrival, pts in ((0.0, 5.0), (1.5, 6.0), (2.0, 7.0)):
        fake.now = 1000.0 + arrival
        seconds = clock.stamp(pts)
    fake.now += 0.25
    assert tally.lag(seconds) == pytest.approx(0.25)
    assert tally.lag(0.0) == pytest.approx(2.25)
