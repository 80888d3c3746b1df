"""Errors of the disk that say which file they are about.

Python names the file where opening it fails, and not where the disk is full while it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["writing"]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name a file or folder in errors of the system that come from writing it.

    Raises:
        OSError: as raised inside, with the path in front; errors in words of our own pass as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(f"{path}: not written: {error.strerror}") from error
