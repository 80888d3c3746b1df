"""Public data sets by the names of their image files: which data set, which person, which camera.

A person's number means something only within its data set: CUHK03's person 729 is not Market-1501's.
So a file name gives all three, and `Naming.dataset` travels with the images (`ImageIndex.domain_names`).
Numbers count from 1 in an index; data sets that count from 0 are moved by one.
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
    """How a data set names its images.

    Attributes:
        dataset: name of the data set.
        pattern: what a file name of it matches.
        words: the pattern in words, for messages.
        ids: person (-1 junk, 0 distractor) and camera (0 unknown) of a match.
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
# Two cameras, two images in each: images 1 and 2 are of camera 1. VehicleID names images by seven digits
# too, but counts them through, so its last three digits take any value.
CUHK01 = _named(
    "CUHK01",
    r"(\d{4})(00[1-4])",
    "PPPPIII.png as in CUHK01",
    lambda match: (int(match[1]), (int(match[2]) + 1) // 2),
)
# Persons are numbered per camera pair, and each pair has two cameras of its own. The pairs have 843, 440, 77,
# 58 and 49 persons (Li et al., CVPR 2014): with them persons are numbered through, as in the other layout.
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
# Persons of all pairs numbered through from 0; images 0 to 4 are of view 1, 5 to 9 of view 2.
CUHK03_NUMBERED = _named(
    "CUHK03",
    r"(\d{4})_(0\d)",
    "PPPP_II.jpg as in CUHK03, numbered through",
    lambda match: _cuhk03_numbered(int(match[1]), int(match[2])),
)
DUKE = _named(
    "DukeMTMC-reID",
    r"(\d{4})_c(\d)_f\d{7}",
    "PPPP_cC_fFFFFFFF.jpg as in DukeMTMC-reID",
    lambda match: (int(match[1]), int(match[2])),
)
# Persons of train and of test are both counted from 0.
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
# Rendered people: each scene has cameras of its own, persons are counted from 0.
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

# Data sets that borrow another one's file names, known by a folder's name.
_BORROWED = (
    (MARKET_1501, re.compile(r"pku(?:v1a)?(?:[-_ ].*)?", re.IGNORECASE), "PKU-Reid"),
    (MSMT17, re.compile(r"(?:mask_)?test(?:_v\d)?", re.IGNORECASE), "MSMT17-test"),
    (RANDPERSON, re.compile(r"cloned_?person.*", re.IGNORECASE), "ClonedPerson"),
)
# Folder names that say nothing about the data set in them.
_GENERIC = frozenset(
    {"images", "image", "img", "data", "dataset", "train", "test", "query", "gallery", "val", "dev"}
    | {"bounding_box_train", "bounding_box_test", "bbox_train", "bbox_test"}
    | {"image_train", "image_test", "image_query", "images_detected", "images_labeled", "detected", "labeled"}
)


@dataclass(frozen=True, eq=False)
class Identified:
    """What the file names of a list say, a row for each image.

    Attributes:
        datasets: name of the data set; empty where the name is of none.
        persons: ``(N,)`` the person's number there; 0 where unknown.
        cameras: ``(N,)`` the camera; 0 where unknown.
        borrowed: whether a folder's name decided on a data set.
    """

    datasets: tuple[str, ...]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    borrowed: bool


def naming_of(name: str) -> Naming | None:
    """The naming that a file name follows; None for a name of no known data set."""
    return next((naming for naming in NAMINGS if naming.pattern.match(name)), None)


def is_generic(folder: str) -> bool:
    """Whether a folder's name is that of a part of a data set, or says nothing."""
    return folder.lower() in _GENERIC or folder == "gt_bbox"


def dataset_name(path: Path, naming: Naming | None) -> str:
    """Name of the data set of a folder, or of an image.

    Args:
        path: of the folder or the image.
        naming: what the images' names follow; None names the data set after the folder.
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

    A name is believed only where it agrees with the labels: all images of one person (by name) must carry one
    label and the other way round, else these files only look like the data set's.

    Args:
        paths: ``N`` image files.
        pids: ``(N,)`` labels.
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
    # A person is in one data set: one with a few foreign names is of data without a name.
    labelled = {(pid, dataset) for pid, dataset in zip(pids.tolist(), datasets, strict=True) if pid > 0}
    mixed = {pid for pid, count in Counter(pid for pid, _ in labelled).items() if count > 1}
    for row in np.flatnonzero(np.isin(pids, sorted(mixed))).tolist():
        datasets[row], persons[row] = "", 0
    return Identified(tuple(datasets), persons, cameras, borrowed)
