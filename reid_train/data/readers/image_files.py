"""Which files of a folder are images: one rule for all readers of all commands.

Endings are taken in any case. What operating systems and archives leave behind is no image of a data set:
resource forks (``._a.jpg``) and the other hidden files, and the folder ``__MACOSX``.
"""

from __future__ import annotations

import os
from pathlib import Path

from deepsort_paddle.media.image_header import IMAGE_SUFFIXES

__all__ = ["image_files", "image_files_below", "is_image_name", "is_leftover"]

_LEFTOVERS = frozenset({"__MACOSX"})


def is_leftover(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or was left behind by an archive of macOS."""
    return name.startswith(".") or name in _LEFTOVERS


def is_image_name(name: str) -> bool:
    """Whether a file of that name is an image of a data set."""
    return not is_leftover(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES


def image_files(folder: Path) -> list[Path]:
    """The images in a folder, without its subfolders, sorted by name."""
    return sorted(path for path in folder.iterdir() if is_image_name(path.name) and not path.is_dir())


def image_files_below(folder: Path) -> list[Path]:
    """The images in a folder and below it, sorted by path; hidden folders are left out."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_leftover(name)]
        found += [Path(place) / name for name in names if is_image_name(name)]
    return sorted(found)
