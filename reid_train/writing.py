"""Files that appear only when they are complete, and errors of the disk that say which file they are about.

Python names the file where opening it fails, and not where the disk is full while it is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing", "writing"]


@contextmanager
def writing(path: Path, trouble: str = "not written") -> Iterator[None]:
    """Name a file or folder in errors of the system that come from writing it.

    Raises:
        OSError: as raised inside, with path and trouble in front; errors in our own words pass as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(f"{path}: {trouble}: {error.strerror}") from error


@contextmanager
def replacing(path: Path, trouble: str = "not written") -> Iterator[BinaryIO]:
    """A file to write that gets its name when it is complete and on the disk; until then an older one stays.

    Raises:
        OSError: as `writing` raises it; nothing of the new file is left.
    """
    part = path.with_name(path.name + ".part")
    with writing(path, trouble):
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
