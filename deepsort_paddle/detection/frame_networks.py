"""A detector's networks, compiled for the shape of the frames.

A square network spends a quarter of its time on the padding of a 4:3 frame, and two fifths on that of a 16:9
frame. Networks that search a grid of cells take any multiple of the largest stride, so they are compiled for
an input with little padding.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.heads.head import Head

__all__ = ["FrameNetworks", "SizedNetwork", "fitted_size"]

_LARGEST_STRIDE = 32
# Each compiled size takes memory. Frames of further shapes are padded to the network's own input.
_MOST_SIZES = 4


@dataclass(frozen=True, slots=True)
class SizedNetwork:
    """A network for one size of input.

    Attributes:
        height: of the input, pixels.
        width: of the input, pixels.
        head: how its outputs are read.
        run: returns the outputs for ``(height, width, 3)`` uint8 BGR.
    """

    height: int
    width: int
    head: Head
    run: Callable[[NDArray[np.uint8]], list[NDArray[Any]]]


class FrameNetworks:
    """The networks of a detector by shape of frame, compiled on first use; safe to share by threads.

    Args:
        compile_for: ``compile_for(height, width)`` returns the network for this size of input; raises OSError
            or ValueError where the network cannot have it.
        height: of the network's own input.
        width: of the network's own input.
        may_fit: whether the network takes other sizes of input.

    Example:
        >>> networks = FrameNetworks(compile_for, 416, 416, may_fit=True)  # doctest: +SKIP
        >>> networks.fitting(1080, 1920).height  # doctest: +SKIP
        256
    """

    def __init__(
        self, compile_for: Callable[[int, int], SizedNetwork], height: int, width: int, *, may_fit: bool
    ) -> None:
        self._compile_for = compile_for
        self._own_size = (height, width)
        self._may_fit = may_fit
        self._networks: dict[tuple[int, int], SizedNetwork] = {}
        self._lock = threading.Lock()

    def fitting(self, height: int, width: int) -> SizedNetwork:
        """Return the network for frames of a size.

        Args:
            height: of the frame, pixels.
            width: of the frame, pixels.

        Raises:
            OSError: the network cannot be compiled.
        """
        with self._lock:
            size = fitted_size(height, width, *self._own_size) if self._may_fit else self._own_size
            if size not in self._networks and len(self._networks) >= _MOST_SIZES:
                size = self._own_size
            if size not in self._networks and size != self._own_size:
                try:
                    self._networks[size] = self._compile_for(*size)
                except (OSError, ValueError):  # the file fixes the size inside the network
                    self._may_fit, size = False, self._own_size
            if size not in self._networks:
                self._networks[size] = self._compile_for(*size)
            return self._networks[size]


def fitted_size(height: int, width: int, own_height: int, own_width: int) -> tuple[int, int]:
    """Return the height and width of the smallest input at which a frame keeps its scale.

    Args:
        height: of the frame.
        width: of the frame.
        own_height: of the network's own input.
        own_width: of the network's own input.
    """
    ratio = min(own_height / height, own_width / width)

    def padded(side: int, own: int) -> int:
        return min(own, -(-max(1, round(side * ratio)) // _LARGEST_STRIDE) * _LARGEST_STRIDE)

    return padded(height, own_height), padded(width, own_width)
