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

from deepsort_paddle.media.image_header import KINDS, decode_image

__all__ = ["ImageCache", "decode_images", "read_image"]


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
    image = decode_image(content)
    if image is None:
        raise ValueError(f"{path}: not a readable image ({KINDS})")
    return image


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
