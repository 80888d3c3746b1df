"""Frame numbers from the file names of images.

Datasets name the images of a sequence by frame: ``000372.jpg``, ``img000372.png``, ``cam1_000372_left.jpg``.
The digits that differ between the names are the number. Annotations and detection files refer to it, so a
missing image must not shift the numbers of the images after it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LARGEST_NUMBER", "NumberedImages", "first_frame", "number_images"]

LARGEST_NUMBER = 10_000_000  # frames of four days at 30 a second; larger numbers are dates and clocks


@dataclass(frozen=True, slots=True)
class NumberedImages:
    """Images with their frame numbers.

    Attributes:
        images: path by frame number, in ascending order; numbers start at 1 or above.
        counted: the names hold no frame numbers, so the images were counted from 1.
        note: what was unusual about the names; empty when nothing was.
    """

    images: dict[int, Path]
    counted: bool = False
    note: str = ""


def number_images(paths: Sequence[Path], *, drop_strays: bool = False) -> NumberedImages:
    """Number images by their file names.

    Names agree when they are the same apart from one run of digits, which is the frame number. Names that
    count from 0 get numbers from 1. Images whose names do not agree are counted from 1 in the given order.

    Args:
        paths: images in natural order.
        drop_strays: leave out images whose names do not agree with those of the majority, and images of a
            number that another image has. False: count all images when there is one of either.

    Raises:
        ValueError: ``drop_strays``, and a number is above ten million.
    """
    shapes = [_shape(path) for path in paths]
    common = Counter(shapes).most_common(1)[0][0] if shapes else ()
    kept = [path for path, shape in zip(paths, shapes, strict=True) if shape == common]
    runs = [re.findall(r"\d+", path.stem) for path in kept]
    differing = [place for place, texts in enumerate(zip(*runs, strict=True)) if len(set(texts)) > 1]
    if len(kept) == 1 and runs[0]:
        differing = [len(runs[0]) - 1]
    readable = len(differing) == 1 and 2 * len(kept) > len(paths)
    numbers = [int(run[differing[0]]) for run in runs] if readable else []
    images: dict[int, Path] = {}
    for number, path in zip(numbers, kept, strict=False):
        images.setdefault(number, path)
    strays = len(paths) - len(images)
    if drop_strays and images and max(images) > LARGEST_NUMBER:
        raise ValueError(f"{images[max(images)]}: frame numbers go up to {LARGEST_NUMBER}, got {max(images)}")
    if not images or max(images) > LARGEST_NUMBER or (strays and not drop_strays):
        note = "the file names hold no frame numbers: images are counted from 1" if drop_strays else ""
        return NumberedImages(dict(enumerate(paths, 1)), counted=True, note=note)
    notes = []
    if strays:
        taken = set(images.values())
        example = next(path.name for path in paths if path not in taken)
        notes.append(f"{strays} images without a frame number of their own are left out, as {example}")
    if 0 in images:
        notes.append(f"file names count from 0: {images[0].name} is frame 1")
        images = {number + 1: path for number, path in images.items()}
    return NumberedImages(dict(sorted(images.items())), note="; ".join(notes))


def first_frame(images: dict[int, Path], length: int | None) -> int:
    """Number of the first frame of a sequence whose first images may be missing.

    A sequence begins at frame 1 when its length says that numbers count from 1 and only few images are
    missing in front; otherwise with its first image, as a clip cut from a longer sequence does.

    Args:
        images: path by frame number, not empty.
        length: ``seqLength`` of ``seqinfo.ini``; None when unknown.
    """
    first, last = min(images), max(images)
    return 1 if length is not None and last <= length and first - 1 < len(images) else first


def _shape(path: Path) -> tuple[str, ...]:
    """The parts of a file name around its runs of digits."""
    return tuple(re.split(r"\d+", path.stem.lower()))
