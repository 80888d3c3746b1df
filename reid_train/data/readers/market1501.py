"""Read Market-1501 (Zheng et al., ICCV 2015) and its official split.

The data set consists of folders of images whose names contain person and camera. `bounding_box_train`,
`query` and `bounding_box_test` are the official split (detected boxes). `gt_bbox` has hand-drawn boxes of all
1,501 persons and is the basis of the article's split. The two splits overlap: the article's training set
contains at least 670 of the 750 official test persons, so a network trained on it must not be evaluated on
the official test set. `reid_train.data.identities` detects this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid_train.data.image_index import ImageIndex, empty_index
from reid_train.data.readers.layouts import read_named
from reid_train.data.readers.naming import MARKET_1501

__all__ = [
    "MARKET_FOLDERS",
    "OFFICIAL_COUNTS",
    "Market1501",
    "OfficialSplit",
    "count_differences",
    "official_split",
    "read_market1501",
    "read_market1501_folder",
]

MARKET_FOLDERS = {
    "bounding_box_train": "train",
    "query": "query",
    "bounding_box_test": "gallery",
    "gt_bbox": "hand_drawn",
}
# Number of images and persons of the official split without junk (Zheng et al., section 3, and the data set's
# readme). The gallery also has distractors of id 0.
OFFICIAL_COUNTS = {"train": (12936, 751), "query": (3368, 750), "gallery": (15913, 750)}


@dataclass(frozen=True)
class Market1501:
    """The folders of a Market-1501 root; a missing folder is an empty index.

    Attributes:
        train: ``bounding_box_train``.
        query: ``query``.
        gallery: ``bounding_box_test``, with junk (-1) and distractors (0).
        hand_drawn: ``gt_bbox``.
    """

    train: ImageIndex
    query: ImageIndex
    gallery: ImageIndex
    hand_drawn: ImageIndex


@dataclass(frozen=True)
class OfficialSplit:
    """The split used for published metrics.

    Attributes:
        train: training images; empty if the folder is missing.
        query: queries.
        gallery: gallery without junk; id 0 marks distractors.
        differences: one line for each count that differs from the published one; empty for the complete
            data set.
    """

    train: ImageIndex
    query: ImageIndex
    gallery: ImageIndex
    differences: tuple[str, ...]


def read_market1501_folder(folder: str | Path) -> ImageIndex:
    """Index one Market-1501 folder.

    Args:
        folder: ``bounding_box_train``, ``query`` or another folder of images.

    Returns:
        The images, sorted by file name.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: there is no image, or an image's name is not ``PPPP_cCsS_FFFFFF_BB.jpg``.
    """
    return read_named(Path(folder), MARKET_1501)


def read_market1501(root: str | Path) -> Market1501:
    """Index the folders of Market-1501.

    Args:
        root: the folder that contains them, or its parent.

    Returns:
        An index per folder.

    Raises:
        FileNotFoundError: the root is missing, or contains none of the folders.
        ValueError: a folder is empty, or an image has another name.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    within = sorted(path for path in root.iterdir() if path.is_dir())
    for base in (root, *within):
        present = {field: base / name for name, field in MARKET_FOLDERS.items() if (base / name).is_dir()}
        if present:
            break
    else:
        raise FileNotFoundError(f"{root}: contains none of {', '.join(MARKET_FOLDERS)}")
    return Market1501(
        **{
            field: read_market1501_folder(present[field]) if field in present else empty_index()
            for field in MARKET_FOLDERS.values()
        }
    )


def official_split(market: Market1501) -> OfficialSplit:
    """Return the official split; the gallery keeps distractors but no junk.

    Args:
        market: the folders.

    Returns:
        The split.

    Raises:
        ValueError: the query or the gallery folder is missing.
    """
    for name, index in (("query", market.query), ("bounding_box_test", market.gallery)):
        if len(index) == 0:
            raise ValueError(f"the official split needs the folder {name} of Market-1501")
    gallery = market.gallery[market.gallery.pids >= 0]
    differences = count_differences(OFFICIAL_COUNTS, market.train, market.query, gallery)
    return OfficialSplit(market.train, market.query, gallery, differences)


def count_differences(
    published: Mapping[str, tuple[int, int]], train: ImageIndex, query: ImageIndex, gallery: ImageIndex
) -> tuple[str, ...]:
    """Return one line for each part of a split whose image or person count differs from the published one."""
    lines = []
    for name, index in (("train", train), ("query", query), ("gallery", gallery)):
        found = len(index), len(np.unique(index.pids[index.pids > 0]))
        images, ids = published.get(name, found)
        if found != (images, ids) and len(index):
            lines.append(f"{name}: {found[0]} images of {found[1]} ids, the data set has {images} of {ids}")
    return tuple(lines)
