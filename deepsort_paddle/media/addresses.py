"""Tell addresses of streams from names of files.

A name of an existing file or folder is never an address: cameras name recordings by their start
(``12:30:05.mp4``), which FFmpeg takes for a protocol ``12``.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["ffmpeg_address", "is_address", "is_film"]

_FILMS = ("http://", "https://", "ftp://", "file:")


def is_address(source: str) -> bool:
    """Whether a source is the address of a stream, as ``rtsp://camera/1``, and no existing file or folder."""
    return "://" in source and not os.path.lexists(source)


def ffmpeg_address(path: Path) -> str:
    """The address under which FFmpeg opens a file, whatever characters its name has."""
    return f"file:{path}"


def is_film(address: str) -> bool:
    """Whether an address may name a file on a server, which waits to be read; others send in real time."""
    return address.startswith(_FILMS)
