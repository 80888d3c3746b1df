"""Read the queries and the gallery of an evaluation.

A folder written by ``prepare`` contains ``query.txt`` and ``gallery.txt`` (official split) or ``dev.txt``
(held-out ids); the root of a data set may contain its official split. A single set of images is both query
and gallery.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_train.data.datasets import read_dataset
from reid_train.data.image_index import ImageIndex, merge_indexes
from reid_train.data.official import find_official_root, read_official_split
from reid_train.data.readers.naming import dataset_name

__all__ = ["EvaluationSet", "named_sets", "query_rows", "read_evaluation_set", "read_query_and_gallery"]


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Queries and a gallery.

    Attributes:
        name: name for tables and files.
        query: the queries; they may be part of the gallery.
        gallery: the gallery.
    """

    name: str
    query: ImageIndex
    gallery: ImageIndex


def query_rows(index: ImageIndex) -> NDArray[np.int64]:
    """Select one query per person and camera: the first image by name, no junk and no distractors."""
    names = np.array([path.name for path in index.paths])
    order = np.argsort(names, kind="stable")
    order = order[index.pids[order] > 0]
    keys = np.stack([index.pids, index.camids], axis=1)[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    return np.sort(order[first])


def read_evaluation_set(source: Path, pattern: str | None = None) -> EvaluationSet:
    """Read an evaluation set.

    Args:
        source: a folder written by ``prepare``, the root of a data set, a folder of images, or a list.
        pattern: see `read_dataset`.

    Returns:
        The set.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is none of these.
    """
    if (source / "query.txt").is_file() and (source / "gallery.txt").is_file():
        return read_query_and_gallery(source / "query.txt", source / "gallery.txt", _name_of(source))
    if (source / "dev.txt").is_file():
        return _one_set(read_dataset(source / "dev.txt"), _name_of(source))
    if pattern is None and find_official_root(source) is not None:
        split = read_official_split(source)
        return EvaluationSet(_name_of(source), split.query, split.gallery)
    return _one_set(read_dataset(source, pattern=pattern), _name_of(source))


def read_query_and_gallery(
    query: Path, gallery: Path, name: str, pattern: str | None = None
) -> EvaluationSet:
    """Read queries and gallery from separate sources.

    Class ids of two lists are independent: if both name their data set, persons are matched by their number
    in it.
    """
    queries, images = read_dataset(query, pattern=pattern), read_dataset(gallery, pattern=pattern)
    named = {index.domain_names[domain] for index in (queries, images) for domain in index.domains.tolist()}
    if "" not in named and named <= {images.domain_names[domain] for domain in images.domains.tolist()}:
        together = merge_indexes([images, queries])
        rows = np.arange(len(together))
        images, queries = together[rows < len(images)], together[rows >= len(images)]
    return EvaluationSet(name, queries, images)


def named_sets(sets: list[EvaluationSet]) -> list[EvaluationSet]:
    """Make the names of the sets unique."""
    found: list[EvaluationSet] = []
    for each in sets:
        taken = sum(other.name.partition("#")[0] == each.name for other in found)
        name = f"{each.name}#{taken + 1}" if taken else each.name
        found.append(EvaluationSet(name, each.query, each.gallery))
    return found


def _name_of(source: Path) -> str:
    """Return a name for tables and folders; ``market/dev.txt`` and ``market/query`` give ``market``."""
    source = source.resolve()
    if source.is_file() and source.stem in ("train", "dev", "query", "gallery"):
        source = source.parent
    elif source.is_file():
        return source.stem
    return dataset_name(source, None).replace("/", "_")


def _one_set(index: ImageIndex, name: str) -> EvaluationSet:
    return EvaluationSet(name, index[query_rows(index)], index)
