"""A fixed image that identifies weights, and the tolerance for embeddings of the same weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARITY_TOLERANCE", "probe_image"]

# Largest difference of any value of two float32 unit rows, computed by any two libraries.
PARITY_TOLERANCE = 1e-4


def probe_image(height: int, width: int) -> NDArray[np.uint8]:
    """Make an image of smooth colours, with integer arithmetic that does not depend on a library.

    Args:
        height: pixels.
        width: pixels.

    Returns:
        ``(1, height, width, 3)`` uint8.
    """
    y, x = np.mgrid[:height, :width]
    channels = [(3 * y + 5 * x) % 256, (7 * y + 2 * x + 40) % 256, (y * x // 16 + 80) % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)[None]
