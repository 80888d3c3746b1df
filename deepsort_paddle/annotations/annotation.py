"""Read the boxes of annotated persons from any known format."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.annotations.cvat import read_cvat
from deepsort_paddle.motchallenge.text import read_ground_truth

__all__ = ["SUFFIXES", "Annotation", "read_annotation"]

SUFFIXES = (".xml", ".zip", ".txt")
# Names of the file in an archive of CVAT or MOTChallenge.
_IN_ARCHIVES = ("annotations.xml", "gt/gt.txt")
_LARGEST = 1 << 28  # bytes of a file in an archive


@dataclass(frozen=True, slots=True)
class Annotation:
    """Annotated persons in the frames of a run.

    Attributes:
        path: path of the file, for errors.
        frame: ``(N,)`` int64 frame numbers, ascending.
        ids: ``(N,)`` int64 annotated person of each box, numbered within the file.
        boxes: ``(N, 4)`` float64 xyxy pixels.
        labels: class name by id; persons without a class in the file are missing.
        size: width and height of the frames in pixels; None if unknown.

    Example:
        >>> annotation = read_annotation("annotations.xml", np.arange(1, 796))  # doctest: +SKIP
        >>> len(set(annotation.ids.tolist()))  # doctest: +SKIP
        13
    """

    path: str
    frame: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: Mapping[int, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None


def read_annotation(
    path: str | Path, numbers: NDArray[np.int64], *, by_place: bool = False, whole: bool = True
) -> Annotation:
    """Read CVAT XML, MOTChallenge ground truth, or an archive with one of them.

    Args:
        path: ``.xml``, ``.txt`` or ``.zip``.
        numbers: ``(F,)`` frame numbers of the run, ascending; boxes in other frames are ignored.
        by_place: whether CVAT counts the frames of the run, as for a folder of images, instead of those of
            the whole video.
        whole: whether the run covers the whole video, so that its last frame is the last of the video.

    Returns:
        The annotated boxes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or of another format, or a frame lies beyond the video.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() == ".zip":
        return _from_archive(path, numbers, by_place=by_place, whole=whole)
    if path.suffix.lower() == ".xml":
        with path.open("rb") as file:
            return _from_cvat(str(path), file, numbers, by_place=by_place, whole=whole)
    return _from_text(str(path), path, numbers, whole=whole)


def _from_archive(path: Path, numbers: NDArray[np.int64], *, by_place: bool, whole: bool) -> Annotation:
    """Read the annotations in an archive that CVAT exported."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in _IN_ARCHIVES if name in archive.namelist()]
            if len(found) != 1:
                raise ValueError(f"{path}: expected {' or '.join(_IN_ARCHIVES)} in the archive")
            if archive.getinfo(found[0]).file_size > _LARGEST:
                raise ValueError(f"{path}: {found[0]} is larger than {_LARGEST >> 20} MB")
            shown = f"{path}/{found[0]}"
            with archive.open(found[0]) as file:
                if found[0].endswith(".xml"):
                    return _from_cvat(shown, file, numbers, by_place=by_place, whole=whole)
                return _from_text(shown, file, numbers, whole=whole)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,  # encrypted, or packed by a method that is not supported
        EOFError,
    ) as error:
        raise ValueError(f"{path}: damaged archive ({' '.join(str(error).split())})") from None


def _from_cvat(
    shown: str, file: IO[bytes], numbers: NDArray[np.int64], *, by_place: bool, whole: bool
) -> Annotation:
    """Read CVAT XML."""
    known = read_cvat(file, shown)
    counted = np.arange(len(numbers)) if by_place else numbers - 1  # CVAT's frames of the run
    last = int(counted[-1]) if len(counted) else -1
    frames, ids, boxes, labels = [], [], [], {}
    for number, track in enumerate(known.tracks, 1):
        if whole and track.last > last:
            raise ValueError(
                f"{shown}: track {track.name} has a box in frame {track.last}, the video has the frames 0 to "
                f"{last}"
            )
        places, own = track.at(counted)
        frames.append(numbers[places])
        ids.append(np.full(len(places), number))
        boxes.append(own)
        labels[number] = track.label
    if not frames:
        return _sorted(shown, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), {}, known.size)
    columns = np.concatenate(frames), np.concatenate(ids), np.concatenate(boxes)
    return _sorted(shown, *columns, labels, known.size)


def _from_text(shown: str, file: Path | IO[bytes], numbers: NDArray[np.int64], *, whole: bool) -> Annotation:
    """Read MOTChallenge text without the rows to ignore."""
    if isinstance(file, Path):
        records = read_ground_truth(file)
    else:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            copy = Path(folder) / "gt.txt"
            copy.write_bytes(file.read())
            try:
                records = read_ground_truth(copy)
            except ValueError as error:
                raise ValueError(str(error).replace(str(copy), shown)) from None
    records = records[records.confidence != 0]
    last = int(numbers[-1]) if len(numbers) else 0
    if whole and len(records) and records.frame[-1] > last:
        raise ValueError(f"{shown}: frame {records.frame[-1]}, the video has the frames 1 to {last}")
    records = records[np.isin(records.frame, numbers)]
    return _sorted(shown, records.frame, records.ids, records.boxes, {}, None)


def _sorted(
    shown: str,
    frame: NDArray[np.int64],
    ids: NDArray[np.int64],
    boxes: NDArray[np.float64],
    labels: Mapping[int, str],
    size: tuple[int, int] | None,
) -> Annotation:
    order = np.lexsort((ids, frame))
    return Annotation(
        shown, frame[order].astype(np.int64), ids[order].astype(np.int64), boxes[order], labels, size
    )
