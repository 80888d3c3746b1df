"""Unpack untrusted archives safely.

Names in an archive may point anywhere and links may lead out of the target. So all members are checked before
the first is written, and only plain files and folders are accepted. The archive is unpacked next to the
target and moved there at the end: a failure leaves no files.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

__all__ = ["extract_archive"]

# What the standard library raises on damaged or encrypted archives.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OverflowError),
    RuntimeError,  # encrypted, or packed by a method that is not supported
)


def extract_archive(archive: str | Path, folder: str | Path) -> list[Path]:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive into a new folder.

    Args:
        archive: the archive file.
        folder: target folder; it must not exist or be empty.

    Returns:
        The unpacked files, sorted.

    Raises:
        FileNotFoundError: there is no such archive.
        ValueError: the file is damaged or not an archive, a member is a link, a device or outside the
            folder, or the folder is not empty.
        OSError: the disk is too full, or a file cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: no such archive")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: must be a new or empty folder to unpack {archive.name} into")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            extract_zip(archive, part)
        elif tarfile.is_tarfile(archive):
            extract_tar(archive, part)
        else:
            raise ValueError(f"{archive}: neither a tar nor a zip archive")
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except _DAMAGE as error:
        raise ValueError(f"{archive}: cannot be unpacked: {' '.join(str(error).split())}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def extract_tar(archive: Path, folder: Path) -> None:
    """Unpack a tar archive into an existing folder, after checking all members."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        for member in members:
            if not (member.isfile() or member.isdir()):
                kind = "a link" if member.issym() or member.islnk() else "not a plain file"
                raise ValueError(f"{archive}: {member.name!r} is {kind}, which is not unpacked")
            inside(archive, member.name)
        check_disk_space(archive, folder, sum(member.size for member in members))
        for member in members:
            if member.isfile():
                write(folder / inside(archive, member.name), partial(tar.extractfile, member))


def extract_zip(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into an existing folder, after checking all members."""
    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        for info in members:
            if not info.filename:
                raise ValueError(f"{archive}: a member has no name")
            # The upper half is the Unix mode if the archive was created on Unix.
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise ValueError(f"{archive}: {info.filename!r} is a link, which is not unpacked")
            inside(archive, info.filename)
        check_disk_space(archive, folder, sum(info.file_size for info in members))
        for info in members:
            if not info.is_dir():
                write(folder / inside(archive, info.filename), partial(zipped.open, info))


def inside(archive: Path, name: str) -> PurePosixPath:
    """Return a member's name as a path within the target.

    Raises:
        ValueError: the name is absolute, has a drive or leads out of the folder.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]) or "\0" in name:
        raise ValueError(f"{archive}: {name!r} leads out of the folder, nothing was unpacked")
    return path


def check_disk_space(archive: Path, folder: Path, size: int) -> None:
    """Check that the disk has room for the content of an archive.

    Raises:
        OSError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(f"{archive}: needs {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB left")


def write(path: Path, open_member: Callable[[], IO[bytes] | None]) -> None:
    """Copy a member's content to a new file.

    Raises:
        ValueError: two members have this name, or one is a file where another needs a folder.
    """
    source = open_member()
    if source is None:
        raise ValueError(f"{path.name}: has no content in the archive")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with source, path.open("xb") as target:
            shutil.copyfileobj(source, target)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"{path.name}: is twice in the archive") from error
