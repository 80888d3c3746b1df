"""Time stamps that never fall.

Parts of a transport stream joined by ``cat``, a recorder whose clock was set, and a restarted encoder leave
jumps in a file's time stamps. Taken as they are, a clip of 3 seconds lasts 26 hours, or half of it 2
milliseconds. The ``ffmpeg`` command corrects such files, by rules that are the same here:

- In formats whose clock may restart (MPEG-TS, MPEG-PS, HLS, Ogg) a jump of more than 10 seconds in either
  direction, or a fall by more than 0.1 seconds, counts as one frame.
- In other formats a jump ahead counts as one frame only above 30 hours: a recording that pauses between
  movements has true gaps of hours. A fall counts as one frame too (``ffmpeg`` drops these frames).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import av

__all__ = ["FrameClock", "frame_rate", "is_raw", "without_jumps"]

_RESTARTING_JUMP = 10.0  # seconds; ffmpeg's -dts_delta_threshold
_OTHER_JUMP = 30 * 3600.0  # seconds; ffmpeg's -dts_error_threshold
_FALL = 0.1  # seconds
_PROBED_PACKETS = 100  # of which the median interval is taken


class FrameClock:
    """The time of each frame since the first one.

    ```python
    clock = FrameClock(interval=0.1)
    assert [clock.elapsed(time) for time in (500.0, 500.1, 20.0)] == [0.0, 0.1, 0.2]
    ```

    Attributes:
        interval: seconds between two frames.
        now: seconds of the last frame since the first.
        jumps: how many jumps were corrected.
        first_jump: seconds of the first of them; negative for a fall.
    """

    def __init__(self, interval: float, origin: float | None = None) -> None:
        """Start before the first frame.

        Args:
            interval: seconds that jumps and lost frames take.
            origin: what the file shows at time 0; None: what it shows at the first frame.
        """
        self.now = 0.0
        self.jumps = 0
        self.first_jump = 0.0
        self.interval = interval
        self._offset = None if origin is None else -origin

    def elapsed(self, time: float) -> float:
        """Seconds since the first frame of one that the file shows at ``time``, in order of presentation."""
        if self._offset is None:
            self._offset = self.now - time
        elapsed = time + self._offset
        if not self.now - _FALL <= elapsed <= self.now + _OTHER_JUMP:
            self.jumped(elapsed - self.now - self.interval)
            self._offset += self.now + self.interval - elapsed
            elapsed = self.now + self.interval
        self.now = max(self.now, elapsed)
        return self.now

    @property
    def origin(self) -> float | None:
        """Seconds that the file shows at time 0; None before the first frame and after a jump."""
        return None if self.jumps or self._offset is None else -self._offset

    def skip(self) -> float:
        """Seconds since the first frame of one without a time stamp, an interval after the last frame."""
        self.now += self.interval
        return self.now

    def jumped(self, seconds: float) -> None:
        """Count a jump that was corrected."""
        self.jumps += 1
        self.first_jump = self.first_jump or seconds

    @property
    def note(self) -> str:
        """A line about the jumps; empty when there were none."""
        if not self.jumps:
            return ""
        times = "once" if self.jumps == 1 else f"{self.jumps} times, first"
        return f"the file's clock jumps {times} by {self.first_jump:+.1f} s: each jump counts as one frame"


def is_raw(container: Any) -> bool:
    """Whether a file is a raw stream (``.h264``, ``.mjpeg``), which has no time stamps and often no rate."""
    return bool(container.format.flags & av.format.Flags.no_timestamps.value)


def frame_rate(address: str, container: Any, stream: Any) -> float | None:
    """Frames per second of a file; None when unknown.

    FFmpeg's own estimate takes a jump of the clock among the first packets for a low or high rate. In formats
    whose clock may restart it is replaced by the median over packets where the two disagree.

    Args:
        address: of the file, to be opened once more.
        container: the open container.
        stream: its video stream.
    """
    if is_raw(container):  # the average is FFmpeg's assumption, the guess that of the stream's own header
        rate = stream.guessed_rate or stream.average_rate
    else:
        rate = stream.average_rate or stream.guessed_rate
    stated = float(rate) if rate else None
    if is_raw(container) or not _may_restart(container):
        return stated
    with av.open(address) as probed:
        packets = islice(probed.demux(probed.streams[stream.index]), _PROBED_PACKETS)
        stamps = [packet.dts for packet in packets if packet.dts is not None]
    intervals = sorted(later - earlier for earlier, later in pairwise(stamps) if later > earlier)
    if not intervals:
        return stated
    measured = float(1 / (intervals[len(intervals) // 2] * stream.time_base))
    return stated if stated and abs(stated / measured - 1) < 0.1 else measured


def _may_restart(container: Any) -> bool:
    return bool(container.format.flags & av.format.Flags.ts_discont.value)


def without_jumps(packets: Iterator[Any], container: Any, stream: Any, clock: FrameClock) -> Iterator[Any]:
    """Shift packets after a jump so that it counts as one frame, in formats whose clock may restart.

    Args:
        packets: of ``stream``, in decoding order; their time stamps are changed in place.
        container: the open container.
        stream: the video stream.
        clock: counts the jumps.
    """
    if not _may_restart(container):
        yield from packets
        return
    second = float(1 / stream.time_base)
    offset = expected = 0
    latest: int | None = None
    for packet in packets:
        if packet.dts is not None:
            dts = packet.dts + offset
            if latest is not None and (
                abs(dts - expected) > _RESTARTING_JUMP * second or dts < latest - _FALL * second
            ):
                clock.jumped((dts - expected) / second)
                offset += expected - dts
                dts = expected
            packet.dts = latest = dts
            expected = dts + (packet.duration or round(clock.interval * second))
        if packet.pts is not None:
            packet.pts += offset
        yield packet
