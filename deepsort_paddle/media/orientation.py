"""Images of decoded frames, rotated and mirrored as a player shows them."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.frames import Tally
from deepsort_paddle.media.colours import unsaid_matrix

__all__ = ["UprightImages", "upright"]


class UprightImages:
    """Converts decoded frames of one source to images.

    PyAV's ``side_data``, which holds the display matrix, makes a frame part of a reference cycle. Then its
    memory and the threads that convert it stay until Python's collector runs. So the matrix is read once, and
    again where the angle or the size of frames changes, and the frame is collected at the next one.

    Args:
        tally: gets whether images are turned by 90 degrees.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._known: tuple[float, int, int] | None = None
        self._matrix: NDArray[np.int32] | None = None
        self._in_cycle = False

    def __call__(self, decoded: Any) -> NDArray[np.uint8]:
        """Return ``(H, W, 3)`` uint8 BGR of a frame that PyAV decoded."""
        matrix_of_colours = unsaid_matrix(decoded)
        known = {} if matrix_of_colours is None else {"src_colorspace": matrix_of_colours}
        image: NDArray[np.uint8] = decoded.to_ndarray(format="bgr24", **known)
        if self._in_cycle:
            gc.collect(1)  # the young generations: the frame before
            self._in_cycle = False
        seen = (decoded.rotation, decoded.width, decoded.height)
        if seen != self._known:
            self._known, self._matrix, self._in_cycle = seen, _display_matrix(decoded), True
            self._tally.turned = self._matrix is not None and _is_turned(self._matrix)
        return image if self._matrix is None else upright(image, self._matrix)


def _display_matrix(decoded: Any) -> NDArray[np.int32] | None:
    """Return the ``(3, 3)`` display matrix of a decoded frame; None if it has none."""
    matrix = decoded.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)


def _is_turned(matrix: NDArray[np.int32]) -> bool:
    """Whether a display matrix turns an image by about 90 degrees, to either side."""
    (a, b), (c, d) = matrix[:2, :2].tolist()
    return bool(abs(a) + abs(d) < abs(b) + abs(c))


def upright(image: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Rotate and mirror an image by a display matrix, to the nearest of the eight upright views.

    Args:
        image: ``(H, W, 3)``, as stored.
        matrix: ``(3, 3)``; maps a stored point ``x, y, 1`` to the displayed point (ISO 14496-12).
    """
    (a, b), (c, d) = matrix[:2, :2].tolist()
    if _is_turned(matrix):
        image, left, up = image.swapaxes(0, 1), c < 0, b < 0
    else:
        left, up = a < 0, d < 0
    return np.ascontiguousarray(image[:: -1 if up else 1, :: -1 if left else 1])
