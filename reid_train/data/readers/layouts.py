"""Read folder layouts: known file names, one folder per person, a pattern, or label files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from reid_train.data.image_index import ImageIndex, of_dataset
from reid_train.data.readers.image_files import image_files, image_files_below, is_leftover
from reid_train.data.readers.naming import (
    Naming,
    dataset_name,
    identify,
    naming_of,
)

__all__ = [
    "GROUPS",
    "folders_with_images",
    "is_vehicle_id",
    "read_named",
    "read_pattern",
    "read_person_folders",
    "read_vehicle_id",
]

GROUPS = ("pid", "camid", "seq", "frame")
_VEHICLE_ID = "VehicleID"
_VEHICLE_LISTS = "train_test_split"
# Numbers in names below this are used as they are; other texts are mapped to numbers from this on (48 bits).
_LARGEST = 10**15


def read_named(folder: Path, naming: Naming) -> ImageIndex:
    """Index the images of a folder by the naming of their data set.

    Args:
        folder: folder of images; if it has none itself, its subfolders are searched.
        naming: naming of the data set.

    Returns:
        The images, sorted by name.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: there is no image, or an image has another name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    paths = image_files(folder) or image_files_below(folder)
    if not paths:
        raise ValueError(f"{folder}: contains no image")
    columns = []
    for path in paths:
        match = naming.pattern.match(path.name)
        if match is None:
            raise ValueError(f"{path}: name must be {naming.words}")
        columns.append(naming.ids(match))
    pids, camids = np.array(columns, np.int64).T
    index = ImageIndex(tuple(paths), pids.copy(), camids.copy())
    return of_dataset(index, dataset_name(paths[0].parent, naming))


def folders_with_images(folder: Path) -> list[Path]:
    """List the folders directly in a folder that contain images, sorted."""
    children = [path for path in folder.iterdir() if path.is_dir() and not is_leftover(path.name)]
    return sorted(path for path in children if image_files(path))


def read_person_folders(folder: Path) -> ImageIndex:
    """Index a folder with one subfolder per person, ``PERSON/anything.jpg``.

    The folder's name gives the person's number: a number from 1 is used as it is, any other text is mapped to
    a fixed number. Cameras are unknown, unless the file names are those of a known data set and agree with
    the folders.

    Args:
        folder: folder of the persons' folders.

    Returns:
        The images, sorted by path.

    Raises:
        ValueError: no subfolder contains images, or the file names of a known data set contradict the
            folders.
    """
    persons = folders_with_images(folder)
    if not persons:
        raise ValueError(f"{folder}: contains no folders of images")
    numbers = [_number(person.name) for person in persons]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{folder}: two folders have the same number, such as 7 and 007")
    paths, pids = [], []
    for person, number in zip(persons, numbers, strict=True):
        images = image_files(person)
        paths += images
        pids += [number] * len(images)
    labels = np.array(pids, np.int64)
    naming = naming_of(paths[0].name)
    if naming is not None and all(naming.pattern.match(path.name) for path in paths):
        if not all(identify(paths, labels).datasets):
            raise ValueError(
                f"{folder}: expected one folder per person, but the {naming.dataset} file names contradict "
                f"that; pass one of {', '.join(person.name for person in persons[:6])}"
            )
        return read_named(folder, naming)
    index = ImageIndex(tuple(paths), labels, np.zeros(len(paths), np.int64))
    return of_dataset(index, dataset_name(folder.resolve(), None))


def read_pattern(folder: Path, pattern: str) -> ImageIndex:
    r"""Index all images in a folder and its subfolders by a regular expression with named groups.

    The expression is searched in each path relative to the folder, with ``/`` as separator. Group ``pid`` is
    the person, ``camid`` the camera (unknown without this group); ``seq`` and ``frame`` are allowed and
    ignored. A number from 1 is used as it is, any other text is mapped to a fixed number.

    Args:
        folder: the folder to search.
        pattern: such as ``cam_(?P<camid>[ab])/(?P<pid>\d+)_``.

    Returns:
        The images, sorted by path.

    Raises:
        ValueError: the expression is invalid, lacks ``pid``, has another group, or does not match an image.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r}: not a regular expression: {error}") from error
    groups = set(expression.groupindex)
    if "pid" not in groups or not groups <= set(GROUPS):
        raise ValueError(
            f"pattern must have the group pid, and may have camid, seq and frame, got {pattern!r} "
            f"with {', '.join(sorted(groups)) or 'no named group'}"
        )
    paths = image_files_below(folder)
    if not paths:
        raise ValueError(f"{folder}: contains no image")
    matches: list[re.Match[str]] = []
    for path in paths:
        found = expression.search(path.relative_to(folder).as_posix())
        if found is None or found["pid"] is None:
            raise ValueError(f"{path}: its path in {folder} must match the pattern {pattern}")
        matches.append(found)
    pids = np.array([_number(match["pid"]) for match in matches], np.int64)
    camids = np.zeros(len(paths), np.int64)
    if "camid" in groups:  # an optional group may not match: then the camera is unknown
        camids[:] = [_number(match["camid"]) if match["camid"] else 0 for match in matches]
    index = ImageIndex(tuple(paths), pids, camids)
    return of_dataset(index, dataset_name(folder.resolve(), None))


def is_vehicle_id(folder: Path) -> bool:
    """Return whether a folder is the root of PKU VehicleID, with images and label lists."""
    return (folder / "image").is_dir() and (folder / _VEHICLE_LISTS).is_dir()


def read_vehicle_id(root: Path, name: str | None = None) -> ImageIndex:
    """Index PKU VehicleID (Liu et al., CVPR 2016): consecutive image numbers, vehicles in label files.

    Args:
        root: the folder that contains ``image`` and ``train_test_split``.
        name: a list in ``train_test_split``, such as ``train_list.txt``; None reads all of them.

    Returns:
        The images of the lists.

    Raises:
        FileNotFoundError: the list or an image is missing.
        ValueError: a line does not consist of an image and a vehicle.
    """
    lists = [root / _VEHICLE_LISTS / name] if name else sorted((root / _VEHICLE_LISTS).glob("*.txt"))
    found: dict[str, int] = {}
    for path in lists:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such list of VehicleID")
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
            fields = line.split()
            if fields and (len(fields) != 2 or not all(field.isdigit() for field in fields)):
                raise ValueError(f"{path}: line {number} must be two numbers: image and vehicle")
            if fields:
                found[fields[0]] = int(fields[1])
    files = {path.stem: path for path in image_files(root / "image")}
    missing = [image for image in found if image not in files]
    if missing or not found:
        raise FileNotFoundError(
            f"{root}: {len(missing)} of {len(found)} images that its lists name are missing"
            + (f", the first is {missing[0]}" if missing else "")
        )
    names = sorted(found)
    vehicles = np.array([found[image] for image in names], np.int64) + 1
    index = ImageIndex(tuple(files[image] for image in names), vehicles, np.zeros(len(names), np.int64))
    return of_dataset(index, _VEHICLE_ID)


def _number(text: str) -> int:
    """Map a text to a fixed number from 1, as query and gallery are read separately."""
    if text.isascii() and text.isdigit() and 0 < int(text) < _LARGEST:
        return int(text)
    return _LARGEST + int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")
