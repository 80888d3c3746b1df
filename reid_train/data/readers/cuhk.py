"""Read CUHK01 and CUHK03: folders of extracted images whose names contain person and camera.

CUHK01 (Li et al., ACCV 2012) is distributed as the folder ``campus``. CUHK03 (Li et al., CVPR 2014) is
distributed as a Matlab file; this module reads the output of the usual converters, in one of three layouts:

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
    """Index CUHK01, whose names are ``PPPPIII.png``.

    Images 1 and 2 of a person are from camera 1, images 3 and 4 from camera 2.

    Args:
        folder: ``campus``, or its parent.

    Returns:
        The images, sorted by file name.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: there is no image, or an image has another name.
    """
    folder = Path(folder)
    if (folder / "campus").is_dir():
        folder = folder / "campus"
    return read_named(folder, CUHK01)


def read_cuhk03(folder: str | Path) -> ImageIndex:
    """Index one folder of extracted CUHK03 images in any of the layouts.

    The first layout numbers persons and views per camera pair. Here persons are numbered consecutively (pair
    2 begins at 844), and view V of pair P becomes camera 2 (P - 1) + V.

    Args:
        folder: the folder of images.

    Returns:
        The images, sorted by file name.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: there is no image, or an image has another name.
    """
    folder = Path(folder)
    layouts = (CUHK03_NEW_PROTOCOL, CUHK03_NUMBERED)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = {naming_of(name) for name in names}
    return read_named(folder, next((layout for layout in layouts if layout in found), CUHK03))
