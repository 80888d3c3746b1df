"""Silence libraries that write to stdout and stderr from C++, bypassing Python's streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

__all__ = ["without_output"]


@contextmanager
def without_output() -> Iterator[None]:
    """Discard what is written to the process' stdout and stderr in the meantime."""
    kept = []
    with Path(os.devnull).open("wb") as nowhere:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            kept.append((os.dup(number), number))
            os.dup2(nowhere.fileno(), number)
    try:
        with Path(os.devnull).open("w") as silent, redirect_stdout(silent), redirect_stderr(silent):
            yield
    finally:
        for copy, number in kept:
            os.dup2(copy, number)
            os.close(copy)
