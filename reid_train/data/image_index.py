"""Indexes of person images: what is where, who it shows and which camera took it.

An index is three columns of equal length; everything else (splits, relabelling, merging) is
a function from index to index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageIndex", "concatenate_indexes", "empty_index", "labels_of", "merge_indexes", "persons_only"]


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """Images of persons, one row each.

    Attributes:
        paths: ``N`` image files.
        pids: ``(N,)`` int64 person ids from 1; -1 marks junk, 0 distractors (Market-1501).
        camids: ``(N,)`` int64 camera ids, from 1; 0 where unknown.

    Raises:
        ValueError: the columns differ in length.
    """

    paths: tuple[Path, ...]
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not self.pids.shape == self.camids.shape == (len(self.paths),):
            raise ValueError(
                f"pids and camids must be ({len(self.paths)},) as paths, "
                f"got {self.pids.shape} and {self.camids.shape}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[Any]) -> ImageIndex:
        """Rows by mask or index array."""
        indices = np.arange(len(self))[rows]
        return ImageIndex(tuple(self.paths[i] for i in indices), self.pids[indices], self.camids[indices])


def empty_index() -> ImageIndex:
    """An index without images."""
    return ImageIndex((), np.zeros(0, np.int64), np.zeros(0, np.int64))


def labels_of(pids: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Map person ids to class labels 0..C-1 in ascending order; returns labels and C."""
    ids, labels = np.unique(pids, return_inverse=True)
    return labels.astype(np.int64), len(ids)


def persons_only(index: ImageIndex) -> ImageIndex:
    """The rows of known persons: no junk (-1), no distractors (0)."""
    return index[index.pids > 0]


def concatenate_indexes(indexes: Sequence[ImageIndex]) -> ImageIndex:
    """Rows of several folders of one data set: equal ids are the same person and camera."""
    indexes = [empty_index(), *indexes]
    return ImageIndex(
        tuple(path for index in indexes for path in index.paths),
        np.concatenate([index.pids for index in indexes]),
        np.concatenate([index.camids for index in indexes]),
    )


def merge_indexes(indexes: Sequence[ImageIndex]) -> ImageIndex:
    """Rows of several data sets, their persons and cameras kept apart.

    The first index keeps its ids; those of each further one are moved behind the largest so far. Junk
    (-1), distractors (0) and unknown cameras (0) stay what they are.
    """
    moved: list[ImageIndex] = []
    last_pid = last_camid = 0
    for index in indexes:
        pids = np.where(index.pids > 0, index.pids + last_pid, index.pids)
        camids = np.where(index.camids > 0, index.camids + last_camid, index.camids)
        last_pid = max(last_pid, int(pids.max(initial=0)))
        last_camid = max(last_camid, int(camids.max(initial=0)))
        moved.append(ImageIndex(index.paths, pids, camids))
    return concatenate_indexes(moved)
