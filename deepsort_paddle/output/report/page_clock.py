"""The times on the report page: of day where that is known, else of the video."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timezone

from deepsort_paddle.wall_clock import WallClock, video_time

__all__ = ["PageClock"]

_TENTHS = 120.0  # seconds: in a shorter video times have tenths


@dataclass(frozen=True, slots=True)
class PageClock:
    """Turns seconds of the page's video, which begins at 0, into text.

    Attributes:
        duration: seconds of the video.
        start: timestamp of its first frame.
        wall: the wall clock; None when unknown.

    Example:
        >>> PageClock(600.0, 5.0, WallClock.parse("2026-05-01T08:00")).show(60.2)
        '08:01:05'
        >>> PageClock(60.0).show(60.2), PageClock(600.0).show(60.2)
        ('60.2 s', '1:00')
    """

    duration: float
    start: float = 0.0
    wall: WallClock | None = None

    @property
    def dated(self) -> bool:
        """Whether times of day need their date."""
        if self.wall is None:
            return False
        return self.wall.at(self.start).date() != self.wall.at(self.start + self.duration).date()

    def show(self, seconds: float) -> str:
        """A time of the page in words."""
        if self.wall is not None:
            return self.wall.show(self.start + seconds, date=self.dated)
        return f"{seconds:.1f} s" if self.duration < _TENTHS else video_time(seconds)

    def span(self, start: float, end: float) -> str:
        """From one time to another in words."""
        first, last = self.show(start), self.show(end)
        if self.wall is None and first.endswith(" s"):
            first = first.removesuffix(" s")
        return f"{first} to {last}"

    def axis(self) -> list[str]:
        """Times at both ends of an axis over the whole video, and at its quarters."""
        quarters = [self.duration * quarter / 4 for quarter in range(5)]
        if self.wall is not None:
            return [self.wall.show(round(self.start + time)) for time in quarters]
        if self.duration < 10:  # otherwise neighbours could round to the same second
            return [f"{time:.1f} s" for time in quarters]
        return [video_time(time) for time in quarters]

    def whole(self) -> str:
        """Date and time of the whole video; empty when unknown."""
        if self.wall is None:
            return ""
        end = self.wall.show(self.start + self.duration, date=self.dated)
        return f"{self.wall.show(self.start, date=True)} to {end}"

    def for_script(self) -> dict[str, float | bool | None]:
        """What the page's script needs to write the same times."""
        epoch = None
        if self.wall is not None:  # the time of day there, as if it were in UTC
            local = self.wall.at(self.start).replace(tzinfo=timezone.utc)
            epoch = round(1000 * local.timestamp())
        return {"epoch": epoch, "dated": self.dated, "tenths": self.duration < _TENTHS}

    def day_seconds(self) -> float:
        """Seconds from midnight to the first frame, or from the begin of the file where that is unknown."""
        return self.start + (0.0 if self.wall is None else self.wall.seconds_of_day())
