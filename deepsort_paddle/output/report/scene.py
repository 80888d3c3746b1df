"""The place that a video shows, without the people who pass: the median of a few frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Scene"]

_MOST = 16  # frames at once
_LARGEST = 960  # pixels of the longer side


class Scene:
    """Keeps up to 16 small frames, evenly spread over a video of any length.

    Example:
        >>> scene = Scene()
        >>> for level in (10, 10, 250):
        ...     scene.add(np.full((40, 60, 3), level, np.uint8))
        >>> int(scene.image().max())
        10
    """

    def __init__(self) -> None:
        """Start without frames."""
        self._kept: list[NDArray[np.uint8]] = []
        self._step, self._count = 1, 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Look at the next frame, ``(H, W, 3)`` uint8 BGR."""
        if self._count % self._step == 0:
            scale = min(1.0, _LARGEST / max(image.shape[:2]))
            size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
            small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            if not self._kept or self._kept[0].shape == small.shape:
                self._kept.append(small)
            if len(self._kept) > _MOST:
                self._kept = self._kept[::2]
                self._step *= 2
        self._count += 1

    def image(self) -> NDArray[np.uint8] | None:
        """The median of the frames, ``(h, w, 3)`` uint8 BGR; None without any."""
        if not self._kept:
            return None
        median: NDArray[np.uint8] = np.median(np.stack(self._kept), axis=0).astype(np.uint8)
        return median
