"""Decode images and keep them in memory.

A data set of Market-1501's size fits in memory as uint8. Decoding it in every epoch would take longer than
the augmentation. Errors name the path of the image.
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
    """Decode one image; grey, transparent and 16-bit images are converted.

    Args:
        path: the image file.

    Returns:
        ``(H, W, 3)`` uint8 BGR.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged or not an image; the message names it.
    """
    path = Path(path)
    if path.is_fifo() or path.is_char_device():  # reading may never end
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
        height: of the output in pixels.
        width: of the output in pixels.
        preprocess: resizes an image to that size, such as `transforms.Preprocessing`; by default images are
            stretched.

    Returns:
        ``(N, height, width, 3)`` uint8 BGR.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file cannot be decoded, or ``preprocess`` returns another size; the message names it.
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
    """Images of any size, decoded on first use and cached up to a memory budget.

    Beyond the budget, images are decoded on each use: a data set larger than memory is slower but works. The
    cache is thread-safe. `cache[row]` is ``(H, W, 3)`` uint8 BGR, read-only.

    Args:
        paths: image files.
        budget_bytes: largest number of bytes of decoded pixels to keep.

    Example:
        >>> len(ImageCache([Path("a.jpg"), Path("b.jpg")]))
        2
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
        """Return the image of a row.

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
        """Number of bytes of decoded pixels in memory, at most the budget."""
        return self._budget - self._left
