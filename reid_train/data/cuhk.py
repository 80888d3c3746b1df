"""CUHK01 and CUHK03: folders of extracted images whose names tell person and camera.

CUHK01 (Li et al., ACCV 2012) comes as such a folder, ``campus``. CUHK03 (Li et al., CVPR 2014) comes
as a Matlab file; what is read here is what the usual converters write, in either of two layouts:

- ``images_labeled`` or ``images_detected`` with ``P_NNN_V_II.png``: camera pair P (1 to 5), person NNN
  of that pair, view V (1 or 2), image II;
- ``bounding_box_train``, ``query``, ``bounding_box_test`` of the new protocol (Zhong et al., CVPR 2017)
  with ``PPPP_cC_I.png``: person, camera, image.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reid_train.data.image_index import ImageIndex

__all__ = ["CUHK01_NAME", "CUHK03_NAME", "CUHK03_NP_NAME", "read_cuhk01", "read_cuhk03"]

SUFFIX = r"\.(?:png|jpg|jpeg|bmp)$"
CUHK01_NAME = re.compile(r"^(\d{4})(\d{3})" + SUFFIX)
CUHK03_NAME = re.compile(r"^([1-5])_(\d{3})_([12])_(\d{2})" + SUFFIX)
CUHK03_NP_NAME = re.compile(r"^(\d{4})_c(\d)_(\d+)" + SUFFIX)


def read_cuhk01(folder: str | Path) -> ImageIndex:
    """Index CUHK01: ``folder`` is ``campus`` or holds it; names are ``PPPPIII.png``.

    Images 1 and 2 of a person are of camera 1, 3 and 4 of camera 2. Sorted by file name.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it holds no image, or one with another name.
    """
    folder = Path(folder)
    if (folder / "campus").is_dir():
        folder = folder / "campus"
    return read_named(
        folder,
        CUHK01_NAME,
        lambda match: (int(match[1]), (int(match[2]) + 1) // 2),
        "PPPPIII.png as in CUHK01",
    )


def read_cuhk03(folder: str | Path) -> ImageIndex:
    """Index one folder of extracted CUHK03 images, in either layout, sorted by file name.

    In the first layout persons are numbered per camera pair and the pairs have cameras of their own:
    person N of pair P becomes id 1000 P + N, view V of pair P camera 2 (P - 1) + V.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it holds no image, or one with another name.
    """
    folder = Path(folder)
    if folder.is_dir() and any(CUHK03_NP_NAME.match(path.name) for path in folder.iterdir()):
        return read_named(
            folder,
            CUHK03_NP_NAME,
            lambda match: (int(match[1]), int(match[2])),
            "PPPP_cC_I.png as in CUHK03's new protocol",
        )
    return read_named(
        folder,
        CUHK03_NAME,
        lambda match: (1000 * int(match[1]) + int(match[2]), 2 * (int(match[1]) - 1) + int(match[3])),
        "P_NNN_V_II.png as in CUHK03",
    )


def read_named(
    folder: Path, pattern: re.Pattern[str], ids: Callable[[re.Match[str]], tuple[int, int]], wanted: str
) -> ImageIndex:
    """Index the images of a folder by a name pattern.

    Args:
        folder: looked into without its subfolders.
        pattern: what an image's whole name must match.
        ids: person and camera id of a match.
        wanted: the pattern in words, for the error.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it holds no image, or one with another name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if re.search(SUFFIX, path.name))
    if not paths:
        raise ValueError(f"{folder}: holds no image")
    columns = []
    for path in paths:
        match = pattern.match(path.name)
        if match is None:
            raise ValueError(f"{path}: name must be {wanted}")
        columns.append(ids(match))
    pids, camids = np.array(columns, np.int64).T
    return ImageIndex(tuple(paths), pids.copy(), camids.copy())
