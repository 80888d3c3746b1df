"""Ends a run at Ctrl-C and ``kill``, but only between two frames."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Stop"]


class Stop:
    """Delays Ctrl-C and ``kill`` to the end of a frame, so that every output ends with a whole frame."""

    def __init__(self, signals: Sequence[int] = (signal.SIGINT, signal.SIGTERM)) -> None:
        """Create it for these signals; they are handled inside ``with``."""
        self.signal = 0
        self._signals = tuple(signals)
        self._holding = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                # A shell starts background jobs with SIGINT ignored; keep that.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.default_int_handler)  # a second one ends at once
        if not self._holding:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Delay signals until the end of the block."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self.signal:
            raise KeyboardInterrupt
