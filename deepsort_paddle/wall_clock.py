"""The wall clock of a video: from seconds of the video to date and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from typing_extensions import Self

__all__ = ["WallClock", "interval_words"]


@dataclass(frozen=True, slots=True)
class WallClock:
    """Date and time of timestamp 0.

    Example:
        >>> clock = WallClock.parse("2026-05-01T08:00")
        >>> clock.iso(12.5)
        '2026-05-01T08:00:12.500'
    """

    start: datetime

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ISO 8601: a date and a time, with or without an offset from UTC.

        Raises:
            ValueError: it is something else.
        """
        words = text.strip().replace(" ", "T", 1)
        try:
            if "T" not in words.upper():
                raise ValueError
            return cls(datetime.fromisoformat(words.removesuffix("Z") + "+00:00" * words.endswith("Z")))
        except ValueError:
            raise ValueError(f"expected date and time as 2026-05-01T08:00, got {text!r}") from None

    @classmethod
    def of_epoch(cls, seconds: float) -> Self:
        """The clock of this machine's time zone.

        Args:
            seconds: since 1970, of timestamp 0.
        """
        return cls(datetime.fromtimestamp(seconds).astimezone())

    def at(self, seconds: float) -> datetime:
        """Date and time of a timestamp, to the millisecond."""
        return self.start + timedelta(milliseconds=round(1000 * seconds))

    def iso(self, seconds: float) -> str:
        """Date and time of a timestamp in ISO 8601, with milliseconds."""
        return self.at(seconds).isoformat(timespec="milliseconds")

    def seconds_of_day(self) -> float:
        """Seconds from midnight to timestamp 0."""
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        return (self.start - midnight).total_seconds()

    def show(self, seconds: float, *, date: bool = False) -> str:
        """The time of day of a timestamp, as 08:00:12; with ``date`` as 2026-05-01 08:00:12."""
        at = self.at(seconds)
        return f"{at:%Y-%m-%d %H:%M:%S}" if date else f"{at:%H:%M:%S}"


def interval_words(clock: WallClock | None, start: float, end: float) -> str:
    """An interval of a video in words: of the wall clock, or minutes and seconds of the video.

    Example:
        >>> interval_words(None, 0.0, 900.0)
        '0:00 to 15:00'
        >>> interval_words(WallClock.parse("2026-05-01T23:59"), 0.0, 90.0)
        '2026-05-01 23:59:00 to 2026-05-02 00:00:30'
    """
    if clock is None:
        return f"{video_time(start)} to {video_time(end)}"
    date = clock.at(start).date() != clock.at(end).date()
    return f"{clock.show(start, date=date)} to {clock.show(end, date=date)}"


def video_time(seconds: float) -> str:
    """Seconds as a player shows them: 0:06, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
