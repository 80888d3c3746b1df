"""Read and write data lists: the original trainer's format with a camera column.

A list is text with the header ``image_id class_id super_class_id path camera_id`` and one row per image,
separated by spaces. ``class_id`` numbers persons from 1, ``camera_id`` cameras from 1 (0: unknown). The path
may contain spaces: the header defines how many columns come before and after it. Super classes are ignored.
Two optional columns follow: ``dataset`` and ``person_id``, the person's number in that data set, which
identifies persons across lists. Lists of the original trainer end with the path.

Missing columns are derived from the file names of known data sets (see `naming`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.part_files import replacing
from reid_train.data.image_index import ImageIndex
from reid_train.data.readers.naming import identify

__all__ = ["LIST_HEADER", "list_columns", "read_list_file", "split_row", "write_list_file"]

LIST_HEADER = "image_id class_id super_class_id path"
CAMERA = "camera_id"
IDENTITY = ("dataset", "person_id")


def list_columns(line: str) -> tuple[str, ...]:
    """Parse a header line into columns; empty if it is not the header of a list."""
    columns = tuple(line.split())
    optional = {CAMERA, *IDENTITY}
    required = LIST_HEADER.split()
    known = len(set(columns)) == len(columns) and set(columns) - optional == set(required)
    in_order = [column for column in columns if column in required] == required
    return columns if known and in_order and ("dataset" in columns) == ("person_id" in columns) else ()


def split_row(line: str, columns: Sequence[str]) -> dict[str, str]:
    """Split a row into fields by column; empty if there are too few."""
    place = columns.index("path")
    before = line.split(maxsplit=place)
    if len(before) <= place:
        return {}
    after = len(columns) - place - 1
    rest = before[place].rsplit(maxsplit=after) if after else [before[place].rstrip()]
    fields = [*before[:place], *rest]
    return dict(zip(columns, fields, strict=True)) if len(fields) == len(columns) else {}


def read_list_file(path: str | Path, root: str | Path | None = None) -> ImageIndex:
    """Index the images of a list, in its order; person ids are its class ids.

    A list with cameras may describe a gallery: class 0 marks distractors, -1 junk.

    Args:
        path: the list file.
        root: base of relative image paths; by default the folder of the list.

    Returns:
        The index.

    Raises:
        FileNotFoundError: the list or one of its images is missing.
        ValueError: it is not such a list, or has no rows; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list file")
    base = path.parent if root is None else Path(root)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file: {error.reason} at byte {error.start}") from error
    columns = list_columns(lines[0]) if lines else ()
    if not columns:
        raise ValueError(f"{path}: line 1 must be '{LIST_HEADER}', with or without {CAMERA} after it")
    rows = [
        _checked(split_row(line, columns), columns, f"{path}: line {number}")
        for number, line in enumerate(lines[1:], start=2)
        if line.strip()
    ]
    if not rows:
        raise ValueError(f"{path}: the list is empty, it has only a header")
    paths = tuple(base / row["path"] for row in rows)
    missing = [image for image in paths if not image.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{path}: {len(missing)} of {len(paths)} images are missing, the first is {missing[0]}; "
            f"is {base} the right root?"
        )
    pids = np.array([int(row["class_id"]) for row in rows], np.int64)
    named = identify(paths, pids)
    camids, datasets, source_pids = named.cameras, named.datasets, named.persons
    if CAMERA in columns:
        camids = np.array([int(row[CAMERA]) for row in rows], np.int64)
    if "dataset" in columns:
        datasets = tuple(row["dataset"] for row in rows)
        source_pids = np.array([int(row["person_id"]) for row in rows], np.int64)
    names = tuple(dict.fromkeys(datasets))
    domains = np.array([names.index(dataset) for dataset in datasets], np.int64)
    unnamed = np.array([not dataset for dataset in datasets], np.bool_)
    return ImageIndex(paths, pids, camids, domains, names, np.where(unnamed, pids, source_pids))


def _checked(row: dict[str, str], columns: Sequence[str], where: str) -> dict[str, str]:
    """Check the numbers of a row.

    Raises:
        ValueError: a field is missing, not a number, or out of range.
    """
    numbers = [name for name in columns if name not in ("path", "dataset")]
    if not row or not all(_is_number(row[name]) for name in numbers):
        raise ValueError(f"{where} must be '{' '.join(columns)}': numbers, and a path")
    least = -1 if CAMERA in columns else 1
    for name, lowest in (("class_id", least), (CAMERA, 0), ("person_id", -1)):
        text = row.get(name, "1")
        if len(text) > 18 or int(text) < lowest:  # more digits do not fit int64
            count = "counts from 1" if lowest == 1 else f"must be at least {lowest}"
            raise ValueError(f"{where}: {name} {count}, got {text[:20]}")
    return row


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()


def write_list_file(
    path: str | Path,
    index: ImageIndex,
    root: str | Path | None = None,
    *,
    numbering: NDArray[np.int64] | None = None,
) -> None:
    """Write an index as a list; persons are renumbered from 1 in ascending order of their ids.

    Data set and person number are also written, unless the file names already contain them.

    Args:
        path: the list file to write; an existing file is replaced.
        index: images with persons among them.
        root: base of relative image paths, by default the folder of the list; images outside of it get
            absolute paths.
        numbering: all person ids to number, for query and gallery lists that belong together; junk and
            distractors then keep -1 and 0.

    Raises:
        ValueError: the index is empty, or has junk or distractors without a ``numbering``.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if len(index) == 0:
        raise ValueError(f"{path}: not written, the index is empty")
    if numbering is None and (index.pids < 1).any():
        raise ValueError(f"{path}: not written, the index contains junk or distractors")
    base = (path.parent if root is None else Path(root)).resolve()
    persons = np.unique(index.pids if numbering is None else numbering)
    labels = 1 + np.searchsorted(persons[persons > 0], index.pids)
    classes = np.where(index.pids > 0, labels, index.pids)
    datasets = [index.domain_names[domain] for domain in index.domains.tolist()]
    with_identity = all(datasets) and not _names_say_the_same(index, datasets)
    rows = [" ".join([LIST_HEADER, CAMERA, *(IDENTITY if with_identity else ())])]
    for row, image in enumerate(index.paths):
        image = image.resolve()
        shown = image.relative_to(base) if image.is_relative_to(base) else image
        line = f"{row + 1} {classes[row]} {classes[row]} {shown.as_posix()} {index.camids[row]}"
        rows.append(f"{line} {datasets[row]} {index.source_pids[row]}" if with_identity else line)
    with replacing(path) as file:
        file.write("".join(f"{row}\n" for row in rows).encode())


def _names_say_the_same(index: ImageIndex, datasets: Sequence[str]) -> bool:
    named = identify(index.paths, index.pids)
    return (
        not named.borrowed
        and list(named.datasets) == list(datasets)
        and bool(np.array_equal(named.persons, index.source_pids))
    )
