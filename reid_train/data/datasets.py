"""Data sets of person images: one place to import their readers from, and to open any of them.

Each reader gives an `ImageIndex`; see the modules for the layouts that they read.
"""

from __future__ import annotations

from pathlib import Path

from reid_train.data.archives import extract_archive
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
from reid_train.data.image_index import (
    ImageIndex,
    concatenate_indexes,
    dataset_counts,
    empty_index,
    labels_of,
    merge_indexes,
    of_dataset,
    persons_only,
)
from reid_train.data.readers.cuhk import read_cuhk01, read_cuhk03
from reid_train.data.readers.image_files import image_files
from reid_train.data.readers.layouts import (
    folders_with_images,
    is_vehicle_id,
    read_named,
    read_pattern,
    read_person_folders,
    read_vehicle_id,
)
from reid_train.data.readers.list_files import read_list_file, write_list_file
from reid_train.data.readers.market1501 import (
    MARKET_FOLDERS,
    Market1501,
    OfficialSplit,
    official_split,
    read_market1501,
    read_market1501_folder,
)
from reid_train.data.readers.naming import CUHK01, is_generic, naming_of
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
    "dataset_counts",
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


def read_dataset(
    source: str | Path, root: str | Path | None = None, *, pattern: str | None = None
) -> ImageIndex:
    """Index a list file or a folder of images, known by its layout and by how its images are named.

    Args:
        source: a list file; a folder of images of a known data set (`data.readers.naming`), or with
            exactly one such folder in it; one folder a person; or the root of VehicleID.
        root: what a list's relative paths start from.
        pattern: a regular expression with named groups that gives person and camera of each image below the
            folder, see `read_pattern`.

    Raises:
        FileNotFoundError: there is no such file or folder, or a listed image is missing.
        ValueError: it holds no images, several folders of them, or names of an unknown data set.
    """
    source = Path(source)
    if source.is_file():
        if pattern is not None:
            raise ValueError(f"{source}: a list names persons and cameras itself, a pattern is for folders")
        return read_list_file(source, root)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such list file or folder")
    if pattern is not None:
        return read_pattern(source, pattern)
    for folder in (source, source.parent):
        if is_vehicle_id(folder) and (folder == source or source.name == "image"):
            return read_vehicle_id(folder)
    first = first_image(source)
    if not first:
        folders = folders_with_images(source)
        if not folders:
            raise ValueError(f"{source}: holds no images; name the folder that does")
        if len(folders) > 1 and any(is_generic(path.name) for path in folders):
            names = ", ".join(path.name for path in folders[:6])
            raise ValueError(f"{source}: holds several folders of images, name one of {names}")
        if len(folders) > 1:
            return read_person_folders(source)
        source = folders[0]
        first = first_image(source)
    naming = naming_of(first)
    if naming is CUHK01 and _is_counted_through(source):
        naming = None
    if naming is not None:
        return read_cuhk03(source) if naming.dataset.startswith("CUHK03") else read_named(source, naming)
    raise ValueError(
        f"{source}: {first} is not named as in {', '.join(MARKET_FOLDERS)} of Market-1501 or another known "
        "data set; give a pattern, put each person into a folder of its own, or write a list file"
    )


def _is_counted_through(folder: Path) -> bool:
    """Whether seven digits are numbers of images, as in VehicleID, not person and image, as in CUHK01."""
    return any(
        path.stem.isdigit() and len(path.stem) == 7 and not CUHK01.pattern.match(path.name)
        for path in image_files(folder)
    )


def first_image(folder: Path) -> str:
    """Name of the first image of a folder; empty without any."""
    return next((path.name for path in image_files(folder)), "")
