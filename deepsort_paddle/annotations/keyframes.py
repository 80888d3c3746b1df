"""Select the key frames of a track, between which an annotation tool interpolates.

Boxes in every frame would have to be corrected frame by frame. So a frame only becomes a key frame if the
line between its neighbours deviates by more than a tolerance (Douglas and Peucker, Cartographica 1973).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["key_frames", "tolerance"]

# Smaller changes of a box are not worth a correction: share of its height (IoU is about 0.9), and pixels.
# On vtest.avi every fourth box becomes a key frame, with 0.02 six of ten.
_SHARE, _LEAST = 0.05, 1.0


def tolerance(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the tolerance of a corner in pixels, ``(N,)``."""
    allowed: NDArray[np.float64] = np.maximum(_SHARE * (boxes[:, 3] - boxes[:, 1]), _LEAST)
    return allowed


def key_frames(frames: NDArray[np.int64], boxes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows of the key frames; the first and the last are always included.

    Args:
        frames: ``(N,)`` ascending, N at least 1.
        boxes: ``(N, 4)`` xyxy pixels.

    Returns:
        ``(K,)`` rows, ascending.

    Example:
        >>> x = np.array([0.0, 10, 20, 30, 30])
        >>> key_frames(np.arange(5), np.column_stack([x, 0 * x, x + 40, 0 * x + 100])).tolist()
        [0, 3, 4]
    """
    allowed = tolerance(boxes)
    kept = {0, len(frames) - 1}
    pending = [(0, len(frames) - 1)]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        inside = slice(first + 1, last)
        share = (frames[inside] - frames[first]) / (frames[last] - frames[first])
        line = boxes[first] + share[:, None] * (boxes[last] - boxes[first])
        off = np.abs(boxes[inside] - line).max(axis=1) / allowed[inside]
        worst = first + 1 + int(np.argmax(off))
        if off[worst - first - 1] > 1.0:
            kept.add(worst)
            pending += [(first, worst), (worst, last)]
    return np.array(sorted(kept), np.int64)
