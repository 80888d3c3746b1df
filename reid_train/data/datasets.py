"""Data sets of person images: one place to import their readers from, and to open any of them.

Each reader gives an `ImageIndex`; see the modules for the layouts that they read.
"""

from __future__ import annotations

from pathlib import Path

from reid_train.data.archives import extract_archive
from reid_train.data.cuhk import read_cuhk01, read_cuhk03, read_named
from reid_train.data.identities import (
    Identity,
    Leak,
    identities,
    identities_by_dataset,
    leak_between,
    recorded_identities,
    require_no_leak,
)
from reid_train.data.image_cache import ImageCache, decode_images, read_image
from reid_train.data.image_files import image_files
from reid_train.data.image_index import (
    ImageIndex,
    concatenate_indexes,
    empty_index,
    labels_of,
    merge_indexes,
    of_dataset,
    persons_only,
)
from reid_train.data.list_files import read_list_file, write_list_file
from reid_train.data.market1501 import (
    MARKET_FOLDERS,
    Market1501,
    OfficialSplit,
    official_split,
    read_market1501,
    read_market1501_folder,
)
from reid_train.data.naming import naming_of
from reid_train.data.splits import article_split, hold_out_ids

__all__ = [
    "Identity",
    "ImageCache",
    "ImageIndex",
    "Leak",
    "Market1501",
    "OfficialSplit",
    "article_split",
    "concatenate_indexes",
    "decode_images",
    "empty_index",
    "extract_archive",
    "first_image",
    "hold_out_ids",
    "identities",
    "identities_by_dataset",
    "labels_of",
    "leak_between",
    "merge_indexes",
    "of_dataset",
    "official_split",
    "persons_only",
    "read_cuhk01",
    "read_cuhk03",
    "read_dataset",
    "read_image",
    "read_list_file",
    "read_market1501",
    "read_market1501_folder",
    "recorded_identities",
    "require_no_leak",
    "write_list_file",
]


def read_dataset(source: str | Path, root: str | Path | None = None) -> ImageIndex:
    """Index a list file or a folder of images, known by how its first image is named.

    Args:
        source: a list file, a folder of images of Market-1501, CUHK01 or CUHK03, or a folder with exactly
            one such folder in it.
        root: what a list's relative paths start from.

    Raises:
        FileNotFoundError: there is no such file or folder, or a listed image is missing.
        ValueError: it holds no images, several folders of them, or names of an unknown data set.
    """
    source = Path(source)
    if source.is_file():
        return read_list_file(source, root)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such list file or folder")
    first = first_image(source)
    if not first:
        folders = sorted(path for path in source.iterdir() if path.is_dir() and first_image(path))
        if not folders:
            raise ValueError(f"{source}: holds no images; name the folder that does")
        if len(folders) > 1:
            names = ", ".join(path.name for path in folders[:6])
            raise ValueError(f"{source}: holds several folders of images, name one of {names}")
        source = folders[0]
        first = first_image(source)
    naming = naming_of(first)
    if naming is not None:
        return read_cuhk03(source) if naming.dataset.startswith("CUHK03") else read_named(source, naming)
    raise ValueError(
        f"{source}: {first} is not named as in {', '.join(MARKET_FOLDERS)} of Market-1501, CUHK01 or CUHK03; "
        "write a list file for other data sets"
    )


def first_image(folder: Path) -> str:
    """Name of the first image of a folder; empty without any."""
    return next((path.name for path in image_files(folder)), "")
