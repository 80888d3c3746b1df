"""Find the image files of a folder; all readers and commands share this rule.

Suffixes are case-insensitive. Leftovers of operating systems and archives are ignored: resource forks
(``._a.jpg``), other hidden files, and the folder ``__MACOSX``.
"""

from __future__ import annotations

import os
from pathlib import Path

from deepsort_paddle.media.image_header import IMAGE_SUFFIXES

__all__ = ["image_files", "image_files_below", "is_image_name", "is_leftover"]

_LEFTOVERS = frozenset({"__MACOSX"})


def is_leftover(name: str) -> bool:
    """Return whether the name is that of a hidden file or folder, or a leftover of a macOS archive."""
    return name.startswith(".") or name in _LEFTOVERS


def is_image_name(name: str) -> bool:
    """Return whether the name is that of an image of a data set."""
    return not is_leftover(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES


def image_files(folder: Path) -> list[Path]:
    """List the images directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if is_image_name(path.name) and not path.is_dir())


def image_files_below(folder: Path) -> list[Path]:
    """List the images in a folder and its subfolders, sorted by path; hidden folders are skipped."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_leftover(name)]
        found += [Path(place) / name for name in names if is_image_name(name)]
    return sorted(found)
