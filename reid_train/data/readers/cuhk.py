"""CUHK01 and CUHK03: folders of extracted images whose names give person and camera.

CUHK01 (Li et al., ACCV 2012) comes as such a folder, ``campus``. CUHK03 (Li et al., CVPR 2014) comes
as a Matlab file; what is read here is what the usual converters write, in one of three layouts:

- ``images_labeled`` or ``images_detected`` with ``P_NNN_V_II.png``: camera pair P (1 to 5), person NNN
  of that pair, view V (1 or 2), image II;
- ``bounding_box_train``, ``query``, ``bounding_box_test`` of the new protocol (Zhong et al., CVPR 2017)
  with ``PPPP_cC_I.png``: person, camera, image;
- one folder of ``PPPP_II.jpg``: persons of all pairs numbered through from 0, images 00 to 04 of view 1,
  05 to 09 of view 2.
"""

from __future__ import annotations

from pathlib import Path

from reid_train.data.image_index import ImageIndex
from reid_train.data.readers.layouts import read_named
from reid_train.data.readers.naming import CUHK01, CUHK03, CUHK03_NEW_PROTOCOL, CUHK03_NUMBERED, naming_of

__all__ = ["read_cuhk01", "read_cuhk03"]


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
    return read_named(folder, CUHK01)


def read_cuhk03(folder: str | Path) -> ImageIndex:
    """Index one folder of extracted CUHK03 images, in either layout, sorted by file name.

    In the first layout persons are numbered per camera pair and the pairs have cameras of their own: persons
    are numbered through (pair 2 begins at 844), view V of pair P becomes camera 2 (P - 1) + V.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it holds no image, or one with another name.
    """
    folder = Path(folder)
    layouts = (CUHK03_NEW_PROTOCOL, CUHK03_NUMBERED)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = {naming_of(name) for name in names}
    return read_named(folder, next((layout for layout in layouts if layout in found), CUHK03))
