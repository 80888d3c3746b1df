"""Recognise public data sets by their file names: data set, person and camera.

A person number is only unique within its data set: person 729 of CUHK03 is not person 729 of Market-1501. So
`Naming.dataset` is stored with the images (`ImageIndex.domain_names`). Numbers in an index start at 1; data
sets that start at 0 are shifted by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["NAMINGS", "Identified", "Naming", "dataset_name", "identify", "is_generic", "naming_of"]

_SUFFIX = r"\.(?:png|jpg|jpeg|bmp|tif|tiff|webp|pgm|ppm)$"


@dataclass(frozen=True)
class Naming:
    """The file naming of a data set.

    Attributes:
        dataset: name of the data set.
        pattern: regular expression of its file names.
        words: readable form of the pattern, for messages.
        ids: returns person (-1 junk, 0 distractor) and camera (0 unknown) of a match.

    Example:
        >>> naming_of("0002_c1s1_000451_03.jpg").dataset
        'Market-1501'
    """

    dataset: str
    pattern: re.Pattern[str]
    words: str
    ids: Callable[[re.Match[str]], tuple[int, int]]


def _named(dataset: str, pattern: str, words: str, ids: Callable[[re.Match[str]], tuple[int, int]]) -> Naming:
    return Naming(dataset, re.compile("^" + pattern + _SUFFIX, re.IGNORECASE), words, ids)


def _cuhk03_numbered(person: int, image: int) -> tuple[int, int]:
    pair = sum(person >= start for start in _CUHK03_PAIR_STARTS)
    return person + 1, 2 * (pair - 1) + 1 + image // 5


# A few files of Market-1501 end in .jpg twice.
MARKET_1501 = _named(
    "Market-1501",
    r"(-1|\d{4})_c(\d)s\d_\d{6}_\d{2}(?:\.jpg)?",
    "PPPP_cCsS_FFFFFF_BB.jpg as in Market-1501",
    lambda match: (int(match[1]), int(match[2])),
)
# Two cameras with two images each: images 1 and 2 are from camera 1. VehicleID also names images by seven
# digits, but numbers them consecutively, so their last three digits take any value.
CUHK01 = _named(
    "CUHK01",
    r"(\d{4})(00[1-4])",
    "PPPPIII.png as in CUHK01",
    lambda match: (int(match[1]), (int(match[2]) + 1) // 2),
)
# Persons are numbered per pair of cameras. The pairs have 843, 440, 77, 58 and 49 persons (Li et al., CVPR
# 2014), so persons can be numbered consecutively, as in the other layout.
_CUHK03_PAIR_STARTS = (0, 843, 1283, 1360, 1418)
CUHK03 = _named(
    "CUHK03",
    r"([1-5])_(\d{3})_([12])_(\d{2})",
    "P_NNN_V_II.png as in CUHK03",
    lambda match: (
        _CUHK03_PAIR_STARTS[int(match[1]) - 1] + int(match[2]),
        2 * (int(match[1]) - 1) + int(match[3]),
    ),
)
CUHK03_NEW_PROTOCOL = _named(
    "CUHK03-NP",
    r"(\d{4})_c(\d)_(\d+)",
    "PPPP_cC_I.png as in CUHK03's new protocol",
    lambda match: (int(match[1]), int(match[2])),
)
# Persons of all pairs are numbered from 0; images 0 to 4 are from view 1, 5 to 9 from view 2.
CUHK03_NUMBERED = _named(
    "CUHK03",
    r"(\d{4})_(0\d)",
    "PPPP_II.jpg as in CUHK03, numbered consecutively",
    lambda match: _cuhk03_numbered(int(match[1]), int(match[2])),
)
DUKE = _named(
    "DukeMTMC-reID",
    r"(\d{4})_c(\d)_f\d{7}",
    "PPPP_cC_fFFFFFFF.jpg as in DukeMTMC-reID",
    lambda match: (int(match[1]), int(match[2])),
)
# Persons of train and test are both numbered from 0.
MSMT17 = _named(
    "MSMT17",
    r"(\d{4})_\d{3}_(\d{2})_\d{4}[a-z]+_\d{4}_\d(?:_\w+)?",
    "PPPP_III_CC_MMDDtime_FFFF_N.jpg as in MSMT17",
    lambda match: (int(match[1]) + 1, int(match[2])),
)
VERI = _named(
    "VeRi-776",
    r"(\d{4})_c(\d{3})_\d{8}_\d+",
    "VVVV_cCCC_FFFFFFFF_N.jpg as in VeRi-776",
    lambda match: (int(match[1]), int(match[2])),
)
# Person 00-1 is junk, 0000 distractors.
MARS = _named(
    "MARS",
    r"(\d{4}|00-1)C(\d)T\d{4}F\d{3,}",
    "PPPPCcTtttFfff.jpg as in MARS",
    lambda match: (int(match[1].removeprefix("00")), int(match[2])),
)
# Rendered people: cameras are numbered per scene, persons from 0.
RANDPERSON = _named(
    "RandPerson",
    r"(\d+)_s(\d+)_c(\d+)_f\d+",
    "P_sS_cC_fF.jpg as in RandPerson",
    lambda match: (int(match[1]) + 1, 1 + 1000 * int(match[2]) + int(match[3])),
)
NAMINGS = (
    MARKET_1501,
    CUHK01,
    CUHK03,
    CUHK03_NEW_PROTOCOL,
    CUHK03_NUMBERED,
    DUKE,
    MSMT17,
    VERI,
    MARS,
    RANDPERSON,
)

# Data sets that use the file names of another one, recognised by a folder's name.
_BORROWED = (
    (MARKET_1501, re.compile(r"pku(?:v1a)?(?:[-_ ].*)?", re.IGNORECASE), "PKU-Reid"),
    (MSMT17, re.compile(r"(?:mask_)?test(?:_v\d)?", re.IGNORECASE), "MSMT17-test"),
    (RANDPERSON, re.compile(r"cloned_?person.*", re.IGNORECASE), "ClonedPerson"),
)
# Folder names that do not identify a data set.
_GENERIC = frozenset(
    {"images", "image", "img", "data", "dataset", "train", "test", "query", "gallery", "val", "dev"}
    | {"bounding_box_train", "bounding_box_test", "bbox_train", "bbox_test"}
    | {"image_train", "image_test", "image_query", "images_detected", "images_labeled", "detected", "labeled"}
)


@dataclass(frozen=True, eq=False)
class Identified:
    """Data set, person and camera derived from file names, one row per image.

    Attributes:
        datasets: name of the data set; empty if unknown.
        persons: ``(N,)`` person number in it; 0 if unknown.
        cameras: ``(N,)`` camera; 0 if unknown.
        borrowed: whether a data set was recognised by the name of a folder.
    """

    datasets: tuple[str, ...]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    borrowed: bool


def naming_of(name: str) -> Naming | None:
    """Return the naming that a file name follows; None if it is unknown."""
    return next((naming for naming in NAMINGS if naming.pattern.match(name)), None)


def is_generic(folder: str) -> bool:
    """Return whether a folder's name is that of a split, or does not identify a data set."""
    return folder.lower() in _GENERIC or folder == "gt_bbox"


def dataset_name(path: Path, naming: Naming | None) -> str:
    """Return the name of the data set of a folder or an image.

    Args:
        path: the folder or the image.
        naming: naming of the images; None names the data set after the folder.
    """
    folders = [part for part in path.parts if part not in ("/", ".", "..")]
    if naming is not None:
        for borrower, pattern, dataset in _BORROWED:
            if naming is borrower and any(pattern.fullmatch(folder) for folder in folders[-4:]):
                return dataset
        return naming.dataset
    kept = folders[-2:] if folders and folders[-1].lower() in _GENERIC else folders[-1:]
    return re.sub(r"\s+", "_", "/".join(kept))


def identify(paths: Sequence[Path], pids: NDArray[np.int64]) -> Identified:
    """Read data set, person and camera of each image from its file name.

    A name is only used if it agrees with the labels: all images of one person (by name) must have one label
    and vice versa. Otherwise the files only resemble the data set's.

    Args:
        paths: ``N`` image files.
        pids: ``(N,)`` labels.

    Returns:
        One row per image.
    """
    datasets = [""] * len(paths)
    persons, cameras = np.zeros((2, len(paths)), np.int64)
    borrowed = False
    for row, path in enumerate(paths):
        naming = naming_of(path.name)
        if naming is None:
            continue
        match = naming.pattern.match(path.name)
        assert match is not None
        datasets[row] = dataset_name(path, naming)
        borrowed |= datasets[row] != naming.dataset
        persons[row], cameras[row] = naming.ids(match)
    names = np.array(datasets)
    for dataset in set(datasets) - {""}:
        rows = np.flatnonzero((names == dataset) & (persons > 0))
        pairs = np.unique(np.stack([persons[rows], pids[rows]], axis=1), axis=0)
        if any(len(np.unique(column)) != len(pairs) for column in pairs.T):
            wrong = np.flatnonzero(names == dataset)
            persons[wrong] = cameras[wrong] = 0
            for row in wrong.tolist():
                datasets[row] = ""
    # A person belongs to one data set; with names of several, the data set is unknown.
    labelled = {(pid, dataset) for pid, dataset in zip(pids.tolist(), datasets, strict=True) if pid > 0}
    mixed = {pid for pid, count in Counter(pid for pid, _ in labelled).items() if count > 1}
    for row in np.flatnonzero(np.isin(pids, sorted(mixed))).tolist():
        datasets[row], persons[row] = "", 0
    return Identified(tuple(datasets), persons, cameras, borrowed)
