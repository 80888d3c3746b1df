"""How data sets lie in folders: by file names, one folder a person, by a pattern, or with label files."""

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
# Numbers in names are taken as they are below it, other texts become numbers from it on (48 bits).
_LARGEST = 10**15


def read_named(folder: Path, naming: Naming) -> ImageIndex:
    """Index the images of a folder by how the data set names them.

    Args:
        folder: its images, or where it holds none itself, those below it.
        naming: of the data set.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it holds no image, or one with another name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    paths = image_files(folder) or image_files_below(folder)
    if not paths:
        raise ValueError(f"{folder}: holds no image")
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
    """Folders directly in a folder that hold images, sorted."""
    children = [path for path in folder.iterdir() if path.is_dir() and not is_leftover(path.name)]
    return sorted(path for path in children if image_files(path))


def read_person_folders(folder: Path) -> ImageIndex:
    """Index one folder a person, ``PERSON/anything.jpg``.

    A folder's name gives the person's number, the same in every folder of persons: a number from 1 itself,
    another text one of its own. Cameras are unknown, unless the file names are those of a known data set
    and agree with the folders.

    Raises:
        ValueError: no folder in it holds images, or the file names of a known data set disagree with the
            folders.
    """
    persons = folders_with_images(folder)
    if not persons:
        raise ValueError(f"{folder}: holds no folders of images")
    numbers = [_number(person.name) for person in persons]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{folder}: two folders are of one number, such as 7 and 007")
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
                f"{folder}: its folders are not one for each person, as the {naming.dataset} names in them "
                f"say: name one of {', '.join(person.name for person in persons[:6])}"
            )
        return read_named(folder, naming)
    index = ImageIndex(tuple(paths), labels, np.zeros(len(paths), np.int64))
    return of_dataset(index, dataset_name(folder.resolve(), None))


def read_pattern(folder: Path, pattern: str) -> ImageIndex:
    r"""Index all images below a folder by a regular expression with named groups.

    The expression is searched in each path relative to the folder, with ``/`` between its parts. Group
    ``pid`` is the person, ``camid`` the camera (without it cameras are unknown); ``seq`` and ``frame`` may
    be named too, and are not used. A number from 1 is taken as it is, another text gives one of its own, the
    same wherever it comes.

    Args:
        folder: to look into.
        pattern: such as ``cam_(?P<camid>[ab])/(?P<pid>\d+)_``.

    Raises:
        ValueError: the expression is not valid, lacks ``pid``, has another group, or does not match an image.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r}: not a regular expression: {error}") from error
    groups = set(expression.groupindex)
    if "pid" not in groups or not groups <= set(GROUPS):
        raise ValueError(
            f"pattern must name the group pid, and may name camid, seq and frame, got {pattern!r} "
            f"with {', '.join(sorted(groups)) or 'no named group'}"
        )
    paths = image_files_below(folder)
    if not paths:
        raise ValueError(f"{folder}: holds no image")
    matches: list[re.Match[str]] = []
    for path in paths:
        found = expression.search(path.relative_to(folder).as_posix())
        if found is None or found["pid"] is None:
            raise ValueError(f"{path}: its path in {folder} must match the pattern {pattern}")
        matches.append(found)
    pids = np.array([_number(match["pid"]) for match in matches], np.int64)
    camids = np.zeros(len(paths), np.int64)
    if "camid" in groups:  # an optional group may be absent: the camera is unknown then
        camids[:] = [_number(match["camid"]) if match["camid"] else 0 for match in matches]
    index = ImageIndex(tuple(paths), pids, camids)
    return of_dataset(index, dataset_name(folder.resolve(), None))


def is_vehicle_id(folder: Path) -> bool:
    """Whether a folder is the root of PKU VehicleID, with images and the lists that label them."""
    return (folder / "image").is_dir() and (folder / _VEHICLE_LISTS).is_dir()


def read_vehicle_id(root: Path, name: str | None = None) -> ImageIndex:
    """Index PKU VehicleID (Liu et al., CVPR 2016): images numbered through, vehicles in label files.

    Args:
        root: the folder that holds ``image`` and ``train_test_split``.
        name: a list in ``train_test_split``, such as ``train_list.txt``; None takes all of them.

    Raises:
        FileNotFoundError: the list or an image is missing.
        ValueError: a line is not an image and a vehicle.
    """
    lists = [root / _VEHICLE_LISTS / name] if name else sorted((root / _VEHICLE_LISTS).glob("*.txt"))
    found: dict[str, int] = {}
    for path in lists:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such list of VehicleID")
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
            fields = line.split()
            if fields and (len(fields) != 2 or not all(field.isdigit() for field in fields)):
                raise ValueError(f"{path}: line {number} must be an image and a vehicle, two numbers")
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
    """A number from 1 for a text, always the same: query and gallery are read apart."""
    if text.isascii() and text.isdigit() and 0 < int(text) < _LARGEST:
        return int(text)
    return _LARGEST + int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")
