"""Check a data set before a long training run.

`validate` inspects all files and reports; `check_training` raises for what would fail later. Neither modifies
anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from reid_train.data.image_cache import read_image
from reid_train.data.image_index import ImageIndex, persons_only

__all__ = [
    "DatasetReport",
    "Duplicates",
    "IndexStatistics",
    "SharedIds",
    "UnreadableImage",
    "check_training",
    "index_statistics",
    "validate",
]

# Largest number of lines for one kind of finding in a report.
SHOWN = 5


@dataclass(frozen=True)
class IndexStatistics:
    """Statistics of one index; junk (-1) and distractors (0) are counted separately.

    Attributes:
        images: number of images of persons.
        ids: number of persons.
        cameras: number of known cameras.
        fewest, median, most: images per person; 0 without persons.
        single_image_ids: number of persons with one image.
        one_camera_ids: number of persons in only one camera, which cross-camera metrics cannot use; 0 if
            cameras are unknown.
        junk: number of images with id -1.
        distractors: number of images with id 0.
    """

    images: int
    ids: int
    cameras: int
    fewest: int
    median: float
    most: int
    single_image_ids: int
    one_camera_ids: int
    junk: int
    distractors: int


@dataclass(frozen=True)
class UnreadableImage:
    """An image that cannot be decoded.

    Attributes:
        path: the file.
        reason: one line that names the file.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class Duplicates:
    """Files with the same content.

    Attributes:
        paths: two or more files, sorted.
        splits: names of the indexes that contain them, sorted; more than one is a leak.
        pids: their person ids, sorted; more than one within a split means a wrong label.
    """

    paths: tuple[Path, ...]
    splits: tuple[str, ...]
    pids: tuple[int, ...]


@dataclass(frozen=True)
class SharedIds:
    """Persons that two indexes have in common.

    Attributes:
        first, second: names of the indexes.
        pids: the persons' numbers in their data sets, ascending.
    """

    first: str
    second: str
    pids: tuple[int, ...]


@dataclass(frozen=True)
class DatasetReport:
    """The findings of `validate`; ``str(report)`` is a table followed by the findings.

    Attributes:
        statistics: statistics of each index by name, in the given order.
        unreadable: images that cannot be decoded.
        duplicates: groups of files with the same content.
        shared_ids: pairs of indexes with common persons, as query and gallery should be.
    """

    statistics: tuple[tuple[str, IndexStatistics], ...]
    unreadable: tuple[UnreadableImage, ...]
    duplicates: tuple[Duplicates, ...]
    shared_ids: tuple[SharedIds, ...]

    @property
    def across_splits(self) -> tuple[Duplicates, ...]:
        """Duplicates in more than one index."""
        return tuple(group for group in self.duplicates if len(group.splits) > 1)

    @property
    def conflicting_labels(self) -> tuple[Duplicates, ...]:
        """Duplicates within one index that have several person ids."""
        return tuple(group for group in self.duplicates if len(group.splits) == 1 and len(group.pids) > 1)

    def __str__(self) -> str:
        rows = [
            ("", "images", "ids", "cameras", "min", "median", "max", "single", "1 camera", "junk", "distr.")
        ]
        rows += [
            (
                name,
                f"{of.images:,}",
                f"{of.ids:,}",
                str(of.cameras or "?"),
                str(of.fewest),
                f"{of.median:g}",
                str(of.most),
                str(of.single_image_ids),
                str(of.one_camera_ids),
                f"{of.junk:,}",
                f"{of.distractors:,}",
            )
            for name, of in self.statistics
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
                ]
            ).rstrip()
            for row in rows
        ]
        lines.append("min, median, max: images per id; single: ids with one image; 1 camera: ids seen by one")
        lines += listed("unreadable images", [image.reason for image in self.unreadable])
        lines += listed("contents in more than one split", [describe(group) for group in self.across_splits])
        lines += listed("contents under several ids", [describe(group) for group in self.conflicting_labels])
        lines += listed(
            "other duplicate contents",
            [describe(g) for g in self.duplicates if len(g.splits) == 1 and len(g.pids) == 1],
        )
        lines += [
            f"ids in {shared.first} and {shared.second}: {len(shared.pids)} ({some(shared.pids)})"
            for shared in self.shared_ids
        ]
        return "\n".join(lines)


def validate(
    splits: Mapping[str, ImageIndex], *, threads: int = 2, progress: Callable[[int], object] | None = None
) -> DatasetReport:
    """Read every file of the indexes once and report.

    Args:
        splits: indexes by name, such as train, query and gallery.
        threads: number of threads that read and decode.
        progress: called with 1 after each file.

    Returns:
        The report. A file listed twice within a split counts as a duplicate of itself.
    """
    paths = sorted({path for index in splits.values() for path in index.paths})
    digests: dict[Path, bytes] = {}
    unreadable: list[UnreadableImage] = []
    with ThreadPoolExecutor(threads) as pool:
        for path, (digest, reason) in zip(paths, pool.map(inspect, paths), strict=True):
            if digest:
                digests[path] = digest
            if reason:
                unreadable.append(UnreadableImage(path, reason))
            if progress is not None:
                progress(1)
    groups: dict[bytes, list[tuple[Path, str, int]]] = {}
    for name, index in splits.items():
        for path, pid in zip(index.paths, index.pids.tolist(), strict=True):
            if path in digests:
                groups.setdefault(digests[path], []).append((path, name, pid))
    duplicates = [
        Duplicates(
            tuple(sorted(path for path, _, _ in group)),
            tuple(sorted({name for _, name, _ in group})),
            tuple(sorted({pid for _, _, pid in group})),
        )
        for group in groups.values()
        if len(group) > 1
    ]
    shared = []
    for (first, one), (second, two) in combinations(splits.items(), 2):
        common = _persons(one) & _persons(two)
        if common:
            shared.append(SharedIds(first, second, tuple(sorted(number for _, number in common))))
    return DatasetReport(
        tuple((name, index_statistics(index)) for name, index in splits.items()),
        tuple(unreadable),
        tuple(sorted(duplicates, key=lambda group: group.paths)),
        tuple(shared),
    )


def _persons(index: ImageIndex) -> set[tuple[str, int]]:
    """Data set and number of each person: splits merged from several data sets label them differently."""
    index = persons_only(index)
    names = [index.domain_names[domain] for domain in index.domains.tolist()]
    sources, pids = index.source_pids.tolist(), index.pids.tolist()
    # Data without a name cannot be told apart by it.
    return {(name, own if name else pid) for name, own, pid in zip(names, sources, pids, strict=True)}


def index_statistics(index: ImageIndex) -> IndexStatistics:
    """Compute statistics of an index from its columns, without opening a file."""
    persons = persons_only(index)
    counts = np.unique(persons.pids, return_counts=True)[1]
    seen = np.unique(np.stack([persons.pids, persons.camids], axis=1), axis=0)
    cameras_each = np.unique(seen[seen[:, 1] > 0, 0], return_counts=True)[1]
    return IndexStatistics(
        images=len(persons),
        ids=len(counts),
        cameras=len(np.unique(index.camids[index.camids > 0])),
        fewest=int(counts.min(initial=len(persons))),
        median=float(np.median(counts)) if len(counts) else 0.0,
        most=int(counts.max(initial=0)),
        single_image_ids=int(np.count_nonzero(counts == 1)),
        one_camera_ids=int(np.count_nonzero(cameras_each == 1)),
        junk=int(np.count_nonzero(index.pids == -1)),
        distractors=int(np.count_nonzero(index.pids == 0)),
    )


def check_training(
    index: ImageIndex, *, class_dim: int | None = None, samples_each_class: int | None = None
) -> None:
    """Check that a training set fits the settings.

    Args:
        index: training images.
        class_dim: number of classes of a classification loss; None: the number of ids.
        samples_each_class: K of a pair loss; None without one.

    Raises:
        ValueError: there is no image or only one id, there are junk or distractors, class_dim is smaller than
            the number of ids, or no id has K images.
    """
    if len(index) == 0:
        raise ValueError("the training set is empty")
    if (index.pids < 1).any():
        count = int(np.count_nonzero(index.pids < 1))
        raise ValueError(f"drop junk and distractors from the training set: {count} images have id -1 or 0")
    ids, counts = np.unique(index.pids, return_counts=True)
    if len(ids) == 1:
        raise ValueError(
            f"the training set has one id only ({ids[0]}, {len(index)} images): at least two are needed"
        )
    if class_dim is not None and class_dim < len(ids):
        raise ValueError(f"class_dim must be at least {len(ids)}, the ids in training, got {class_dim}")
    if samples_each_class is not None and samples_each_class > counts.max():
        raise ValueError(
            f"samples_each_class is {samples_each_class}, but no id has more than {counts.max()} images: "
            f"take at most {counts.max()}"
        )


def inspect(path: Path) -> tuple[bytes, str]:
    """Return the content hash of a file (empty if unreadable) and why it is not an image (empty if it is)."""
    try:
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError as error:
        return b"", f"{path}: cannot be read: {error.strerror or error}"
    try:
        read_image(path)
    except (OSError, ValueError) as error:
        return digest, str(error)
    return digest, ""


def listed(title: str, items: list[str]) -> Iterator[str]:
    """Yield a heading with the number of items, then the first few items; nothing without items."""
    if items:
        yield f"{title}: {len(items)}"
        yield from (f"  {item}" for item in items[:SHOWN])
        if len(items) > SHOWN:
            yield f"  ... and {len(items) - SHOWN} more"


def describe(group: Duplicates) -> str:
    """Describe a group of duplicates in one line."""
    paths = ", ".join(str(path) for path in group.paths[:3])
    more = f" and {len(group.paths) - 3} more" if len(group.paths) > 3 else ""
    return f"{paths}{more} (in {', '.join(group.splits)}; id {some(group.pids)})"


def some(pids: tuple[int, ...]) -> str:
    """Format the first few ids."""
    return ", ".join(str(pid) for pid in pids[:3]) + (", ..." if len(pids) > 3 else "")
