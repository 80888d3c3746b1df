"""Decoded images in memory.

A Market-sized set is decoded once, as uint8: it fits in memory, and decoding it in every epoch
would cost more than the augmentation. What cannot be decoded is always named by its path.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageCache", "decode_images", "read_image"]

_PNG = b"\x89PNG\r\n\x1a\n"
_DEFLATE_RATIO = 1032  # zlib packs at most so many bytes into one


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Decode one image to ``(H, W, 3)`` uint8 BGR; grey, transparent and 16-bit images are converted.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an image, or a damaged one; the message names it.
    """
    path = Path(path)
    if path.is_fifo() or path.is_char_device():  # reading one may never end
        raise OSError(f"{path}: cannot be read: not a file")
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise OSError(f"{path}: cannot be read: {error.strerror or error}") from error
    image = decoded(content)
    if image is None:
        raise ValueError(f"{path}: not a readable image")
    return image


def decoded(content: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """``(H, W, 3)`` uint8 BGR of a picture file's bytes; None where they are none, or damaged."""
    if _promises_too_much(content.tobytes()):
        return None
    try:
        # imdecode, not imread: it takes any path, and its silence leaves the report to us.
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except cv2.error:  # more pixels than OpenCV takes
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _promises_too_much(content: bytes) -> bool:
    """Whether the size that a picture's header names is more than its bytes can hold.

    OpenCV believes it before it looks for the pixels: 133 damaged bytes of PNG made it fill 3.6 GB.
    deepsort_paddle/_readers.py has the same check: the two packages never import each other.
    """
    if content[: len(_PNG)] == _PNG:
        return _png_promises_too_much(content)
    if content[:2] == b"\xff\xd8":
        return _jpeg_promises_too_much(content)
    if content[:2] == b"BM" and len(content) >= 34 and content[14] >= 40:
        width, height = (abs(int.from_bytes(content[at : at + 4], "little", signed=True)) for at in (18, 22))
        bits, packed = content[28], content[30] in (1, 2)  # packed runs are two bytes for 255 pixels at most
        return width * height > 128 * len(content) if packed else width * height * bits > 8 * len(content)
    return False


def _jpeg_promises_too_much(content: bytes) -> bool:
    """For a JPEG: each block of 8 x 8 takes a bit or more (ITU-T T.81, F.1.2)."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[at + n : at + n + 2], "big") for n in (5, 7))
            return height * width > 64 * 8 * len(content)
        at += 1 if marker == 0xFF else 2 + length
    return False


def _png_promises_too_much(content: bytes) -> bool:
    """For a PNG, by all of its chunks."""
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if at + 12 + length > len(content):
            return True
        if kind == b"IHDR":
            width, height = (int.from_bytes(content[at + n : at + n + 4], "big") for n in (8, 12))
            if height * (1 + width // 8) > _DEFLATE_RATIO * len(content):
                return True
        if kind == b"IEND":
            return False
        at += 12 + length
    return False


def decode_images(
    paths: Iterable[Path],
    height: int,
    width: int,
    preprocess: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> NDArray[np.uint8]:
    """Decode all images into one array.

    Args:
        paths: image files.
        height: of every row.
        width: of every row.
        preprocess: brings an image to that size, such as `transforms.Preprocessing`; without it
            images of another size are stretched.

    Returns:
        ``(N, height, width, 3)`` uint8 BGR.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file cannot be decoded, or its preprocessed size is another; the message names it.
    """
    paths = list(paths)
    images = np.empty((len(paths), height, width, 3), np.uint8)
    for image, path in zip(images, paths, strict=True):
        decoded = read_image(path)
        if preprocess is not None:
            decoded = preprocess(decoded)
            if decoded.shape != image.shape:
                raise ValueError(f"{path}: preprocessed must be {image.shape}, got {decoded.shape}")
        if decoded.shape == image.shape:
            image[:] = decoded
        else:
            cv2.resize(decoded, (width, height), dst=image, interpolation=cv2.INTER_LINEAR)
    return images


class ImageCache:
    """Images of any sizes, decoded at first use and kept as far as a memory budget goes.

    Behind the budget an image is decoded at each use, so a data set larger than the memory is slower but
    works. Several threads may use one cache. `cache[row]` is ``(H, W, 3)`` uint8 BGR, read-only.

    Args:
        paths: image files.
        budget_bytes: of decoded pixels.
    """

    def __init__(self, paths: Sequence[Path], *, budget_bytes: int = 2 << 30) -> None:
        self._paths = tuple(paths)
        self._images: list[NDArray[np.uint8] | None] = [None] * len(self._paths)
        self._left = budget_bytes
        self._budget = budget_bytes
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """The image of a row.

        Raises:
            OSError: the file cannot be read.
            ValueError: it cannot be decoded; the message names it.
            IndexError: there is no such row.
        """
        cached = self._images[row]
        if cached is not None:
            return cached
        image = read_image(self._paths[row])
        image.setflags(write=False)
        with self._lock:
            if self._images[row] is None and image.nbytes <= self._left:
                self._images[row] = image
                self._left -= image.nbytes
        return image

    @property
    def bytes_used(self) -> int:
        """Bytes of decoded pixels in memory, at most the budget."""
        return self._budget - self._left
