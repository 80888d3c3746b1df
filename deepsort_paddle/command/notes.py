"""Notes of a run: its own and the warnings of Python, each shown once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from typing_extensions import Self

__all__ = ["Notes"]


class Notes:
    """Collects the notes of a run, and inside ``with`` the warnings that Python issues.

    Notes are held back until `release`, so that if opening fails, the user sees only the error. Warnings are
    recorded by ``warnings.catch_warnings``, which is global to the process: of two runs in two threads, one
    may collect the other's.

    Attributes:
        lines: all notes so far.

    Example:
        >>> with Notes(print) as notes:
        ...     notes("no detector named: using HOG")
        ...     notes.release()
        no detector named: using HOG
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        """Create it; ``show`` is called with each note from `release` on."""
        self.lines: list[str] = []
        self._show = show
        self._released = False
        self._warned: set[str] = set()
        self._caught: list[warnings.WarningMessage] = []
        self._stack = ExitStack()

    def __call__(self, line: str) -> None:
        """Add a note."""
        self.collect()
        self._add(line)

    def collect(self) -> None:
        """Add the warnings that Python issued since the last call, without repetitions."""
        while self._caught:  # threads may add to it
            line = str(self._caught.pop(0).message)
            if line not in self._warned:  # every frame may cause the same one
                self._warned.add(line)
                self._add(line)

    def release(self) -> None:
        """Show the notes held back, and from now on each note at once."""
        self.collect()
        for line in self.lines:
            self._show(line)
        self._released = True

    def _add(self, line: str) -> None:
        self.lines.append(line)
        if self._released:
            self._show(line)

    def __enter__(self) -> Self:
        self._caught = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always", UserWarning)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.collect()
        self._stack.close()
