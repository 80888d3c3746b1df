"""Output files that are renamed to their final name when they are complete.

A long run must neither lose its output nor leave an incomplete file that looks complete. So a file is written
as ``NAME.part`` and renamed to ``NAME``, atomically, when it is closed. After ``kill -9`` or a crash,
``NAME.part`` holds everything written until then, and an older ``NAME`` is untouched. Devices and pipes
(``/dev/stdout``) cannot be renamed, so they are written directly. `replacing` does all of this for a file
that is written at once.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = [
    "CompletedOnExit",
    "check_absent",
    "check_writable",
    "commit",
    "lock",
    "lock_output",
    "name_disk_errors",
    "real_path",
    "replacing",
    "temporary_path",
    "writing",
]

_DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class CompletedOnExit(ABC):
    """Context manager of a writer: an error leaves the output incomplete, Ctrl-C completes it.

    Subclasses define ``close``, and `abandon` if an error leaves something open.
    """

    @abstractmethod
    def close(self) -> None:
        """Complete the output."""

    def abandon(self) -> None:  # noqa: B027 - most writers have nothing to release
        """Release what is open, without completing the output."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.abandon()


def real_path(path: str | Path) -> Path:
    """Resolve the links of a path; unlike ``Path.resolve`` of Python 3.12, accept links in a circle."""
    return Path(os.path.realpath(path))


def temporary_path(path: str | Path) -> Path:
    """Return the file to write: ``NAME.part`` beside ``path``, or ``path`` itself for a device or pipe."""
    final = real_path(path)  # a link stays a link: its target is replaced
    if final.exists() and not final.is_file():
        return final
    return final.with_name(final.name + ".part")


def commit(path: str | Path) -> None:
    """Rename the complete and closed temporary file of ``path`` to ``path``, replacing an older file.

    Raises:
        OSError: the file cannot be renamed.
    """
    temporary = temporary_path(path)
    final = real_path(path)
    if temporary != final:
        temporary.replace(final)


def check_absent(path: str | Path, flag: str) -> None:
    """Check that no file with content would be replaced; an empty file, a device or a pipe may be there.

    Args:
        path: the file to write.
        flag: the option that names it, for the error.

    Raises:
        FileExistsError: the file exists.
    """
    final = real_path(path)
    if final.is_file() and not _is_empty(final):
        raise FileExistsError(f"{flag} {path} exists: choose another name, or add --overwrite to replace it")


def check_writable(path: str | Path) -> None:
    """Check before the work starts that ``path`` can be written; leave no trace.

    Raises:
        OSError: the folder is missing or not writable, ``path`` is a folder, or another run is writing it.
    """
    final = real_path(path)
    if final.is_dir():
        raise IsADirectoryError(f"{path}: expected a file name, got a folder")
    if not final.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {Path(path).parent}")
    with lock_output(path):
        pass


@contextmanager
def lock_output(path: str | Path) -> Iterator[None]:
    """Create and lock the temporary file of ``path``, so that no other run writes to it.

    The lock ends with the process, however that ends. A temporary file that stays empty is removed at the
    end. Nothing is locked on Windows, which cannot rename open files. Devices and pipes may be shared.

    Raises:
        OSError: the file cannot be written, or another run is writing it.
    """
    temporary = temporary_path(path)
    while True:
        try:
            existed = temporary.exists()
            file = temporary.open("ab")
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}") from None
        with file:
            if os.name == "nt":
                break
            if temporary.is_file() and not lock(file):
                raise OSError(f"cannot write {path}: another run is writing it")
            if not _is_same_file(temporary, file):
                continue  # the previous holder renamed or removed the file after it was opened here
            try:
                yield
            finally:
                if not existed and _is_same_file(temporary, file) and _is_empty(temporary):
                    temporary.unlink()
        return
    if not existed:
        temporary.unlink()
    yield


@contextmanager
def name_disk_errors(path: str | Path) -> Iterator[None]:
    """Add the file name to disk-full errors; Python names the file if opening fails, not if writing does."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _DISK_FULL:
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
    part, final = temporary_path(path), real_path(path)
    with writing(path, trouble):
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                if part != final:
                    os.fsync(file.fileno())
            commit(path)
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


def _is_empty(path: Path) -> bool:
    """Whether ``path`` is a regular file without content."""
    return path.is_file() and path.stat().st_size == 0


def _is_same_file(path: Path, file: BinaryIO) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
