"""Open any data set of person images; all readers can be imported from here.

Each reader returns an `ImageIndex`; the modules describe the layouts they read.
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
    """Index a list file or a folder of images; the layout and the file names identify the data set.

    Args:
        source: a list file; a folder of images of a known data set (`data.readers.naming`), or a folder that
            contains exactly one such folder; a folder with one folder per person; or the root of VehicleID.
        root: base of a list's relative paths.
        pattern: a regular expression with named groups for person and camera of each image in the folder, see
            `read_pattern`.

    Returns:
        The index.

    Raises:
        FileNotFoundError: there is no such file or folder, or a listed image is missing.
        ValueError: there are no images, several folders of images, or file names of an unknown data set.
    """
    source = Path(source)
    if source.is_file():
        if pattern is not None:
            raise ValueError(
                f"{source}: a list contains persons and cameras, --pattern only applies to folders"
            )
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
            raise ValueError(f"{source}: contains no images; expected the folder with the images")
        if len(folders) > 1 and any(is_generic(path.name) for path in folders):
            names = ", ".join(path.name for path in folders[:6])
            raise ValueError(f"{source}: contains several folders of images, expected one of them: {names}")
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
        f"{source}: {first} is not a name of Market-1501 ({', '.join(MARKET_FOLDERS)}) or another known data "
        "set; pass a pattern, use one folder per person, or write a list file"
    )


def _is_counted_through(folder: Path) -> bool:
    """Return whether seven digits are image numbers (VehicleID) rather than person and image (CUHK01)."""
    return any(
        path.stem.isdigit() and len(path.stem) == 7 and not CUHK01.pattern.match(path.name)
        for path in image_files(folder)
    )


def first_image(folder: Path) -> str:
    """Return the name of the first image of a folder; empty if there is none."""
    return next((path.name for path in image_files(folder)), "")
