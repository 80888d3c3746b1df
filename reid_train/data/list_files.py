"""Data lists in the original trainer's format.

A text file with the header ``image_id class_id super_class_id path`` and a row for each image, separated
by spaces. Ids count from 1; the last column may itself hold spaces. Super classes are not used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid_train.data.image_index import ImageIndex, labels_of
from reid_train.data.market1501 import MARKET_NAME
from reid_train.writing import replacing

__all__ = ["LIST_HEADER", "read_list_file", "write_list_file"]

LIST_HEADER = "image_id class_id super_class_id path"


def read_list_file(path: str | Path, root: str | Path | None = None) -> ImageIndex:
    """Index the images of a list, in its order; person ids are its class ids.

    Cameras are read from file names where these are Market-1501's, and unknown (0) elsewhere.

    Args:
        path: of the list.
        root: what relative image paths start from; the list's folder by default.

    Raises:
        FileNotFoundError: the list or one of its images is missing.
        ValueError: it is not such a list, or has no rows; the message tells the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list file")
    base = path.parent if root is None else Path(root)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file: {error.reason} at byte {error.start}") from error
    if not lines or lines[0].split() != LIST_HEADER.split():
        raise ValueError(f"{path}: line 1 must be '{LIST_HEADER}'")
    paths: list[Path] = []
    pids: list[int] = []
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split(maxsplit=3)
        if not fields:
            continue
        if len(fields) != 4 or not all(field.isascii() and field.isdigit() for field in fields[:3]):
            raise ValueError(f"{path}: line {number} must be '{LIST_HEADER}', three numbers and a path")
        if len(fields[1]) > 18 or int(fields[1]) < 1:  # beyond that it is no int64
            raise ValueError(f"{path}: line {number}: class_id counts from 1, got {fields[1][:20]}")
        paths.append(base / fields[3].rstrip())
        pids.append(int(fields[1]))
    if not paths:
        raise ValueError(f"{path}: the list is empty, it has only a header")
    missing = [image for image in paths if not image.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{path}: {len(missing)} of {len(paths)} images are missing, the first is {missing[0]}; "
            f"is {base} the right root?"
        )
    matches = [MARKET_NAME.match(image.name) for image in paths]
    camids = [int(match[2]) if match else 0 for match in matches]
    return ImageIndex(tuple(paths), np.array(pids, np.int64), np.array(camids, np.int64))


def write_list_file(path: str | Path, index: ImageIndex, root: str | Path | None = None) -> None:
    """Write an index as a list; persons are numbered anew from 1 in ascending order of their ids.

    Args:
        path: of the list; replaced when it exists.
        index: images of persons only.
        root: what image paths are written relative to, the list's folder by default; an image
            outside of it is written with its absolute path.

    Raises:
        ValueError: the index is empty or holds junk or distractors.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if len(index) == 0:
        raise ValueError(f"{path}: not written, the index is empty")
    if (index.pids < 1).any():
        raise ValueError(f"{path}: not written, a list holds persons only, no junk or distractors")
    base = (path.parent if root is None else Path(root)).resolve()
    rows = [LIST_HEADER]
    for number, (label, image) in enumerate(zip(labels_of(index.pids)[0], index.paths, strict=True), start=1):
        image = image.resolve()
        shown = image.relative_to(base) if image.is_relative_to(base) else image
        rows.append(f"{number} {label + 1} {label + 1} {shown.as_posix()}")
    with replacing(path) as file:
        file.write("".join(f"{row}\n" for row in rows).encode())
