"""Read official splits: the training, query and gallery images defined by a data set's authors.

Published metrics use these splits. Some data sets have folders (Market-1501, DukeMTMC-reID, VeRi-776, the
converted new protocol of CUHK03), others have lists (MSMT17, VehicleID) or a Matlab file next to the images
(the new protocol of CUHK03, Zhong et al., CVPR 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_train.data.datasets import read_dataset
from reid_train.data.image_index import ImageIndex, concatenate_indexes, empty_index
from reid_train.data.readers.layouts import is_vehicle_id, read_named, read_vehicle_id
from reid_train.data.readers.market1501 import OFFICIAL_COUNTS, OfficialSplit, count_differences
from reid_train.data.readers.naming import CUHK03, MSMT17

__all__ = ["find_official_root", "read_official_split"]

# Folder names of training, queries and gallery.
_FOLDERS = (
    ("bounding_box_train", "query", "bounding_box_test"),
    ("image_train", "image_query", "image_test"),
)
_MSMT17_LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")
_NEW_PROTOCOL = "cuhk03_new_protocol_config_*.mat"
# Number of images and persons: DukeMTMC-reID (Zheng et al., ICCV 2017), MSMT17 (Wei et al., CVPR 2018).
_PUBLISHED = {
    "Market-1501": OFFICIAL_COUNTS,
    "DukeMTMC-reID": {"train": (16522, 702), "query": (2228, 702), "gallery": (17661, 1110)},
    "MSMT17": {"train": (32621, 1041), "query": (11659, 3060), "gallery": (82161, 3060)},
}


def find_official_root(root: Path) -> Path | None:
    """Return ``root`` or the folder directly in it that contains an official split; None without one."""
    if not root.is_dir():
        return None
    within = sorted(path for path in root.iterdir() if path.is_dir())
    return next((base for base in (root, *within) if _reader_of(base) is not None), None)


def read_official_split(root: str | Path, seed: int = 0) -> OfficialSplit:
    """Read the official split of a data set.

    Args:
        root: folder of the data set, or its parent.
        seed: seed of VehicleID's protocol, which draws one gallery image per vehicle.

    Returns:
        The split.

    Raises:
        FileNotFoundError: the root, an image or a list is missing.
        ValueError: there is no known official split.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    base = find_official_root(root)
    reader = None if base is None else _reader_of(base)
    if base is None or reader is None:
        raise ValueError(
            f"{root}: no known official split; expected folders bounding_box_train, query and "
            "bounding_box_test (Market-1501, DukeMTMC-reID, CUHK03's new protocol), image_train, image_query "
            f"and image_test (VeRi-776), lists of MSMT17 or VehicleID, or {_NEW_PROTOCOL}"
        )
    train, query, gallery = reader(base, seed)
    gallery = gallery[gallery.pids >= 0]
    name = next((name.removesuffix("-test") for name in query.domain_names if name), "")
    return OfficialSplit(
        train, query, gallery, count_differences(_PUBLISHED.get(name, {}), train, query, gallery)
    )


def _reader_of(base: Path) -> Callable[[Path, int], tuple[ImageIndex, ImageIndex, ImageIndex]] | None:
    for names in _FOLDERS:
        if all((base / name).is_dir() for name in names[1:]):
            return _read_folders
    if all((base / name).is_file() for name in _MSMT17_LISTS[2:]):
        return _read_msmt17
    if is_vehicle_id(base):
        return _read_vehicle_id
    if any(base.glob(_NEW_PROTOCOL)):
        return _read_new_protocol
    return None


def _read_folders(base: Path, seed: int) -> tuple[ImageIndex, ImageIndex, ImageIndex]:
    del seed
    names = next(names for names in _FOLDERS if all((base / name).is_dir() for name in names[1:]))
    train, query, gallery = (
        read_dataset(base / name) if (base / name).is_dir() else empty_index() for name in names
    )
    return train, query, gallery


def _read_msmt17(base: Path, seed: int) -> tuple[ImageIndex, ImageIndex, ImageIndex]:
    """Read MSMT17: lists of ``path person`` with paths in ``train`` or ``test`` (``mask_train_v2``, ...)."""
    del seed
    train_root, test_root = _msmt17_folder(base, "train"), _msmt17_folder(base, "test")
    train, test = read_named(train_root, MSMT17), read_named(test_root, MSMT17)
    train_lists = [base / name for name in _MSMT17_LISTS[:2] if (base / name).is_file()]
    return (
        concatenate_indexes([_listed(path, train_root, train) for path in train_lists]),
        _listed(base / _MSMT17_LISTS[2], test_root, test),
        _listed(base / _MSMT17_LISTS[3], test_root, test),
    )


def _msmt17_folder(base: Path, part: str) -> Path:
    found = sorted(path for path in base.iterdir() if path.is_dir() and part in path.name)
    if not found:
        raise FileNotFoundError(f"{base}: no folder {part} of MSMT17")
    return found[0]


def _listed(path: Path, root: Path, index: ImageIndex) -> ImageIndex:
    """Return the rows of an index that a list names, in its order."""
    rows = {image: row for row, image in enumerate(index.paths)}
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    images = [root / line.rsplit(maxsplit=1)[0] for line in lines if line.strip()]
    missing = [image for image in images if image not in rows]
    if missing:
        raise FileNotFoundError(
            f"{path}: {len(missing)} of {len(images)} images are missing, the first is {missing[0]}"
        )
    return index[np.array([rows[image] for image in images], np.int64)]


def _read_vehicle_id(base: Path, seed: int) -> tuple[ImageIndex, ImageIndex, ImageIndex]:
    """Read VehicleID's small test set: one random image per vehicle is the gallery."""
    train, test = (read_vehicle_id(base, name) for name in ("train_list.txt", "test_list_800.txt"))
    rng = np.random.default_rng(seed)
    drawn = np.array([rng.choice(np.flatnonzero(test.pids == pid)) for pid in np.unique(test.pids)], np.int64)
    mask = np.isin(np.arange(len(test)), drawn)
    return train, test[~mask], test[mask]


def _read_new_protocol(base: Path, seed: int) -> tuple[ImageIndex, ImageIndex, ImageIndex]:
    """Read CUHK03's new protocol: a Matlab file selects rows of ``images_detected`` or ``images_labeled``."""
    del seed
    from scipy.io import loadmat

    for config in sorted(base.glob(_NEW_PROTOCOL)):
        kind = config.stem.rsplit("_", 1)[1]
        folder = base / f"images_{kind}"
        if folder.is_dir():
            break
    else:
        raise FileNotFoundError(f"{base}: no folder images_detected or images_labeled beside {config.name}")
    try:
        content = loadmat(config)
        files = [str(np.asarray(entry).ravel()[0]) for entry in content["filelist"].ravel()]
        parts: list[NDArray[np.int64]] = [
            content[f"{part}_idx"].ravel().astype(np.int64) - 1 for part in ("train", "query", "gallery")
        ]
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{config}: not the configuration of CUHK03's new protocol: {error}") from error
    index = read_named(folder, CUHK03)
    places = {path.name: row for row, path in enumerate(index.paths)}
    missing = [name for name in files if name not in places]
    if missing:
        raise FileNotFoundError(f"{folder}: {len(missing)} images that {config.name} lists are missing")
    order = np.array([places[name] for name in files], np.int64)
    train, query, gallery = (index[order[rows]] for rows in parts)
    return train, query, gallery
