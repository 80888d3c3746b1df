"""The clock of a live source: the stream's own time stamps, anchored at the wall clock of its first frame."""

from __future__ import annotations

import time
from collections.abc import Callable

from deepsort_paddle.frames import Tally

__all__ = ["StreamClock"]

# Seconds by which a time stamp may run ahead of the arrival: servers send what they have stored at once.
_AHEAD = 10.0


class StreamClock:
    """Stamps the frames of a live source; times never fall.

    Between two frames the stream's own time stamps say how much time has passed, as they do not feel the
    network. Where there are none, after a new connection, and where they jump, the times of arrival do.

    Example:
        >>> arrivals = iter([50.0, 50.3, 60.0])
        >>> clock = StreamClock(Tally(), now=lambda: next(arrivals))
        >>> [round(clock.stamp(stamp), 2) for stamp in (900.0, 900.25, None)]
        [0.0, 0.25, 9.95]
    """

    def __init__(
        self,
        tally: Tally,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Start before the first frame.

        Args:
            tally: gets the time of the start, for the lag of frames.
            now: seconds of a clock that never falls.
            wall: seconds since 1970.
        """
        self._tally, self._now, self._wall = tally, now, wall
        self._seconds = 0.0
        self._pts: float | None = None
        self._arrival: float | None = None

    def reconnected(self) -> None:
        """Accept that the time stamps of the stream restart."""
        self._pts = None

    def stamp(self, pts: float | None) -> float:
        """Seconds since the first frame of one that has arrived just now.

        Args:
            pts: the stream's time stamp in seconds; None where it has none.
        """
        arrival = self._now()
        if self._arrival is None:
            self._tally.started = self._wall()
        else:
            step = passed = arrival - self._arrival
            if pts is not None and self._pts is not None and 0 <= pts - self._pts <= passed + _AHEAD:
                step = pts - self._pts
            self._seconds += step
        self._arrival, self._pts = arrival, pts
        self._tally.arrived(arrival - self._seconds)
        return self._seconds
