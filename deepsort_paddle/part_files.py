"""Files that get their name when they are complete.

A run of hours must neither lose what it has written nor leave half a file that looks like
a whole one. So a file grows as ``NAME.part`` and is renamed to ``NAME``, in one step of the file
system, when it is closed. After ``kill -9`` or a crash ``NAME.part`` holds everything
handed over until then, and an older ``NAME`` is untouched. Devices and pipes (``/dev/stdout``) can't be
renamed: they are written to directly. `replacing` is all of that for a file written at once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "check_writable",
    "claimed",
    "lock",
    "naming",
    "part_path",
    "publish",
    "real_path",
    "replacing",
    "writing",
]

_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def real_path(path: str | Path) -> Path:
    """Where a path leads. Unlike ``Path.resolve`` of Python 3.12 it raises nothing for links in a circle."""
    return Path(os.path.realpath(path))


def part_path(path: str | Path) -> Path:
    """Where the content of ``path`` grows: ``NAME.part`` beside it, or a device or pipe itself."""
    final = real_path(path)  # a link stays a link: its target is what gets replaced
    if final.exists() and not final.is_file():
        return final
    return final.with_name(final.name + ".part")


def publish(path: str | Path) -> None:
    """Give the finished and closed part file of ``path`` its name, replacing an older file.

    Raises:
        OSError: the file can't be renamed.
    """
    part = part_path(path)
    final = real_path(path)
    if part != final:
        part.replace(final)


def check_writable(path: str | Path) -> None:
    """Find out before the work starts whether ``path`` can be written; leaves no trace.

    Raises:
        OSError: the folder is missing or not writable, ``path`` is a folder, or another run is writing it.
    """
    final = real_path(path)
    if final.is_dir():
        raise IsADirectoryError(f"{path} is a folder, a file name was wanted")
    if not final.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {Path(path).parent}")
    with claimed(path):
        pass


@contextmanager
def claimed(path: str | Path) -> Iterator[None]:
    """Hold ``path`` for this run: its part file is there and locked, so that no second run writes to it.

    The lock ends with the process, however that ends, and a part file that stayed empty goes with it.
    Windows renames no open file, so nothing is locked there. Devices and pipes may be shared.

    Raises:
        OSError: it can't be written, or another run is writing it.
    """
    part = part_path(path)
    while True:
        try:
            existed = part.exists()
            file = part.open("ab")
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}") from None
        with file:
            if os.name == "nt":
                break
            if part.is_file() and not lock(file):
                raise OSError(f"cannot write {path}: another run is writing it")
            if not _same(part, file):
                continue  # who held it before has renamed or removed it since it was opened here
            try:
                yield
            finally:
                if not existed and part.is_file() and _same(part, file) and part.stat().st_size == 0:
                    part.unlink()
        return
    if not existed:
        part.unlink()
    yield


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file that a full disk broke: Python does where opening fails, and not where writing does."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _FULL:
            error.filename = str(path)
        raise


@contextmanager
def writing(path: str | Path, trouble: str = "not written") -> Iterator[None]:
    """Turn errors of the system that come from writing a file or folder into one line that names it.

    Args:
        path: the file or folder.
        trouble: what the error means for it.

    Raises:
        OSError: as raised inside, with path and trouble in front; errors in our own words pass unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(f"{path}: {trouble}: {error.strerror}") from error


@contextmanager
def replacing(path: str | Path, trouble: str = "not written") -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` when it is complete and on the disk.

    Args:
        path: the file; a device or pipe is written to directly.
        trouble: what an error means for it.

    Raises:
        OSError: as `writing` raises it; nothing of the new file is left, an older one stays.
    """
    part, final = part_path(path), real_path(path)
    with writing(path, trouble):
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                if part != final:
                    os.fsync(file.fileno())
            publish(path)
        finally:
            if part != final:
                part.unlink(missing_ok=True)


def lock(file: BinaryIO) -> bool:
    """Lock an open file until it is closed.

    Returns:
        False where another run has locked it; True on file systems without locks.
    """
    from filelock import lock_descriptor  # not needed for --help

    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError:  # a file system without locks
        return True


def _same(path: Path, file: BinaryIO) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
