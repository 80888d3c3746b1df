"""Index person images: file, person, camera and data set of each image.

An index is a set of columns of equal length. Splitting, relabelling and merging are functions from index to
index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ImageIndex",
    "concatenate_indexes",
    "dataset_counts",
    "empty_index",
    "labels_of",
    "merge_indexes",
    "of_dataset",
    "persons_only",
]


def _no_rows() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """Images of persons, one row each.

    A person's identity is the pair ``(domain_names[domains[i]], source_pids[i])`` of data set and number in
    it; ``pids`` are labels that are unique within this index.

    Attributes:
        paths: ``N`` image files.
        pids: ``(N,)`` int64 person ids from 1; -1 marks junk, 0 distractors (Market-1501).
        camids: ``(N,)`` int64 camera ids from 1; 0 if unknown.
        domains: ``(N,)`` int64 rows of ``domain_names``, the data set of each image; by default the first.
        domain_names: names of the data sets; an empty name marks data whose identities cannot be compared
            with another index.
        source_pids: ``(N,)`` int64 person numbers within the data set; by default ``pids``.

    Raises:
        ValueError: the columns differ in length, or a domain has no name.

    Example:
        >>> index = ImageIndex((Path("a.jpg"), Path("b.jpg")), np.array([1, 2]), np.array([1, 1]))
        >>> len(index[index.pids == 2])
        1
    """

    paths: tuple[Path, ...]
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]
    domains: NDArray[np.int64] = field(default_factory=_no_rows)
    domain_names: tuple[str, ...] = ("",)
    source_pids: NDArray[np.int64] = field(default_factory=_no_rows)

    def __post_init__(self) -> None:
        shape = (len(self.paths),)
        if not self.pids.shape == self.camids.shape == shape:
            raise ValueError(
                f"pids and camids must be ({len(self.paths)},) as paths, "
                f"got {self.pids.shape} and {self.camids.shape}"
            )
        if len(self.domains) == 0:
            object.__setattr__(self, "domains", np.zeros(shape, np.int64))
        if len(self.source_pids) == 0:
            object.__setattr__(self, "source_pids", self.pids)
        if not self.domains.shape == self.source_pids.shape == shape:
            raise ValueError(
                f"domains and source_pids must be ({len(self.paths)},) as paths, "
                f"got {self.domains.shape} and {self.source_pids.shape}"
            )
        if len(self) and not 0 <= self.domains.min() <= self.domains.max() < len(self.domain_names):
            raise ValueError(
                f"domains must be in [0, {len(self.domain_names) - 1}], the rows of domain_names, "
                f"got {self.domains.min()} to {self.domains.max()}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[Any]) -> ImageIndex:
        """Select rows by a mask or an index array."""
        indices = np.arange(len(self))[rows]
        return replace(
            self,
            paths=tuple(self.paths[i] for i in indices),
            pids=self.pids[indices],
            camids=self.camids[indices],
            domains=self.domains[indices],
            source_pids=self.source_pids[indices],
        )


def empty_index() -> ImageIndex:
    """Return an index without images."""
    return ImageIndex((), np.zeros(0, np.int64), np.zeros(0, np.int64))


def dataset_counts(index: ImageIndex) -> dict[str, dict[str, int]]:
    """Count ``images`` and ``ids`` per data set; unnamed data is listed by its folder."""
    found = {}
    for domain in np.unique(index.domains).tolist():
        rows = index[index.domains == domain]
        name = index.domain_names[domain] or rows.paths[0].parent.name
        found[name] = {"images": len(rows), "ids": len(np.unique(rows.pids))}
    return found


def labels_of(pids: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Map person ids to class labels 0..C-1 in ascending order.

    Args:
        pids: ``(N,)`` person ids.

    Returns:
        ``(N,)`` int64 labels, and C.
    """
    ids, labels = np.unique(pids, return_inverse=True)
    return labels.astype(np.int64), len(ids)


def persons_only(index: ImageIndex) -> ImageIndex:
    """Select the rows of persons: no junk (-1), no distractors (0)."""
    return index[index.pids > 0]


def of_dataset(index: ImageIndex, name: str) -> ImageIndex:
    """Assign all images of an index to one data set."""
    return replace(index, domains=np.zeros(len(index), np.int64), domain_names=(name,))


def concatenate_indexes(indexes: Sequence[ImageIndex]) -> ImageIndex:
    """Join several folders of one data set; equal ids are the same person and camera."""
    indexes = [empty_index(), *indexes]
    names = tuple(dict.fromkeys(name for index in indexes for name in _used_names(index))) or ("",)
    return _joined(indexes, names, [[names.index(name) for name in _used_names(index)] for index in indexes])


def merge_indexes(indexes: Sequence[ImageIndex]) -> ImageIndex:
    """Join several data sets and keep their persons, cameras and domains distinct.

    The first index keeps its ids; ids of each further index are shifted beyond the largest so far. Equal
    persons (`source_pids`) and cameras coincide only if two indexes name the same data set. Junk (-1),
    distractors (0) and unknown cameras (0) are unchanged.

    Args:
        indexes: at least one index.

    Returns:
        The joined index, in order.
    """
    moved: list[ImageIndex] = []
    places: list[list[int]] = []
    names: list[str] = []
    known: dict[tuple[str, int], int] = {}
    camera_offsets: dict[str, int] = {}
    last_pid = last_camid = 0
    for index in indexes:
        own = _used_names(index)
        places.append([])
        offsets = np.zeros(len(index.domain_names), np.int64)
        for domain, name in zip(_used_domains(index), own, strict=True):
            if not name or name not in names:  # unnamed data never matches another index
                names.append(name)
            places[-1].append(names.index(name) if name else len(names) - 1)
            offsets[domain] = camera_offsets.setdefault(name, last_camid) if name else last_camid
        ids, first = np.unique(index.pids, return_index=True)
        numbers = ids.copy()
        for place, row in enumerate(first.tolist()):
            if ids[place] > 0:
                identity = (index.domain_names[index.domains[row]], int(index.source_pids[row]))
                number = int(ids[place]) + last_pid
                numbers[place] = known.setdefault(identity, number) if identity[0] else number
        pids = numbers[np.searchsorted(ids, index.pids)] if len(index) else index.pids
        camids = np.where(index.camids > 0, index.camids + offsets[index.domains], index.camids)
        last_pid = max(last_pid, int(pids.max(initial=0)))
        last_camid = max(last_camid, int(camids.max(initial=0)))
        moved.append(replace(index, pids=pids, camids=camids))
    return _joined([empty_index(), *moved], tuple(names) or ("",), [[], *places])


def _used_domains(index: ImageIndex) -> list[int]:
    """Return the domains that have images in an index."""
    used: list[int] = np.unique(index.domains).tolist()
    return used


def _used_names(index: ImageIndex) -> list[str]:
    return [index.domain_names[domain] for domain in _used_domains(index)]


def _joined(
    indexes: Sequence[ImageIndex], names: tuple[str, ...], places: Sequence[Sequence[int]]
) -> ImageIndex:
    """Concatenate columns; ``places`` maps each used domain of an index to its row of ``names``."""
    domains = []
    for index, rows in zip(indexes, places, strict=True):
        new = np.zeros(len(index.domain_names), np.int64)
        new[_used_domains(index)] = rows
        domains.append(new[index.domains])
    return ImageIndex(
        tuple(path for index in indexes for path in index.paths),
        np.concatenate([index.pids for index in indexes]),
        np.concatenate([index.camids for index in indexes]),
        np.concatenate(domains),
        names,
        np.concatenate([index.source_pids for index in indexes]),
    )
