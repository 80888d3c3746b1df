"""Shows log records as lines of a command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["log_lines"]


class _Lines(logging.Handler):
    """Writes each record as one line on stderr, above a progress bar."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelno
        kind = "error: " if level >= logging.ERROR else "" if level >= logging.WARNING else "note: "
        tqdm.write(f"{self._program}: {kind}{record.getMessage()}", file=sys.stderr)


@contextmanager
def log_lines(logger: str, program: str, *, quiet: bool = False) -> Iterator[None]:
    """Show what a package logs while a command runs: notes (INFO), warnings and errors.

    Args:
        logger: name of the package, such as ``reid_train``.
        program: the command's name, at the start of each line.
        quiet: do not show notes.

    Example:
        >>> with log_lines("reid_train", "reid-train"):
        ...     logging.getLogger("reid_train").error("no image")  # reid-train: error: no image
    """
    found = logging.getLogger(logger)
    handler, level, propagate = _Lines(program), found.level, found.propagate
    found.addHandler(handler)
    found.setLevel(logging.WARNING if quiet else logging.INFO)
    found.propagate = False  # a handler of the user would print it twice
    try:
        yield
    finally:
        found.removeHandler(handler)
        found.setLevel(level)
        found.propagate = propagate
