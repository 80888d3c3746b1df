"""The newest frame of a live source: a thread reads all frames and keeps the last one.

A tracker that is slower than the camera and processes every frame lags more and more. One that takes the
newest frame skips some and keeps up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from deepsort_paddle.frames import Frame, Tally

__all__ = ["NewestFrames"]

# On Windows, Ctrl-C cannot interrupt a wait without a timeout.
_WAKE_SECONDS = 0.2
_CLOSE_SECONDS = 1.0


class NewestFrames(Iterator[Frame]):
    """An iterator over the newest frames of another iterator, which a thread reads.

    Skipped frames are counted in ``tally.skipped``. Numbers and times begin with the first frame taken after
    `put_back`, so frames sent while models are loaded are not part of a run.

    Args:
        frames: read and closed by the thread.
        tally: counts skipped frames.
    """

    def __init__(self, frames: Iterator[Frame], tally: Tally) -> None:
        self._tally = tally
        self._changed = threading.Condition()
        self._latest: Frame | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._fresh = True  # nothing was taken since the source was opened
        self._origin: Frame | None = None
        self._thread = threading.Thread(target=self._read, args=(frames,), daemon=True)
        self._thread.start()

    def __next__(self) -> Frame:
        with self._changed:
            while self._latest is None and self._error is None:
                self._changed.wait(_WAKE_SECONDS)
            frame, self._latest = self._latest, None
            if frame is None:
                assert self._error is not None
                raise self._error
            if self._fresh:
                self._fresh = False
                self._begin(frame)
        return self._shifted(frame)

    def put_back(self, frame: Frame) -> None:
        """Hand back the first frame, which was only looked at; a newer one takes its place."""
        with self._changed:
            self._fresh, self._origin = True, None
            if self._latest is None:
                self._latest = frame

    def close(self) -> None:
        """End the thread. One that waits for the network ends when that answers, which is not waited for."""
        with self._changed:
            self._closed = True
            self._error = self._error or StopIteration()
            self._latest = None
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)

    def _begin(self, frame: Frame) -> None:
        """Let numbers and times begin with this frame."""
        self._tally.skipped = 0
        if self._origin is None:
            self._origin = frame
            self._tally.shift(frame.timestamp or 0.0)

    def _shifted(self, frame: Frame) -> Frame:
        origin = self._origin
        if origin is None:
            return frame
        seconds = None if frame.timestamp is None else frame.timestamp - (origin.timestamp or 0.0)
        return replace(frame, number=frame.number - origin.number + 1, timestamp=seconds)

    def _read(self, frames: Iterator[Frame]) -> None:
        """What the thread does."""
        error: BaseException = StopIteration()
        try:
            for frame in frames:
                with self._changed:
                    if self._closed:
                        break
                    self._tally.skipped += self._latest is not None
                    self._latest = frame
                    self._changed.notify_all()
        except BaseException as caught:  # the reader of the frames raises it
            error = caught
        with suppress(ValueError, AttributeError):
            frames.close()  # type: ignore[attr-defined]
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
