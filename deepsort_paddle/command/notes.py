"""What is worth knowing about a run: its own notes and the warnings of Python, each said once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from typing_extensions import Self

__all__ = ["Notes"]


class Notes:
    """Collects the notes of a run, and inside ``with`` the warnings that Python issues.

    Notes wait until `release`: where opening fails, the error is the only line that a user sees. Warnings
    of user code are recorded by ``warnings.catch_warnings``, which belongs to the process: two runs in two
    threads may take each other's.

    Attributes:
        lines: all notes so far.

    Example:
        >>> with Notes(print) as notes:
        ...     notes("no detector named: using HOG")
        ...     notes.release()
        no detector named: using HOG
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        """Hand each note to ``show``, once `release` was called."""
        self.lines: list[str] = []
        self._show = show
        self._released = False
        self._warned: set[str] = set()
        self._caught: list[warnings.WarningMessage] = []
        self._stack = ExitStack()

    def __call__(self, line: str) -> None:
        """Take a note."""
        self.collect()
        self._add(line)

    def collect(self) -> None:
        """Take what Python has warned of since the last call; a warning that comes again is left out."""
        while self._caught:  # threads may add to it
            line = str(self._caught.pop(0).message)
            if line not in self._warned:  # each frame may give the same
                self._warned.add(line)
                self._add(line)

    def release(self) -> None:
        """Show what waits, and from now on each note as it comes."""
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
