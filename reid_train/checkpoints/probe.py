"""A fixed picture by which weights are recognised, and how far embeddings of the same weights may differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARITY_TOLERANCE", "probe_image"]

# Largest difference of any value of two unit rows, float32, whatever library computed them.
PARITY_TOLERANCE = 1e-4


def probe_image(height: int, width: int) -> NDArray[np.uint8]:
    """``(1, height, width, 3)`` uint8: a picture of smooth colours, by arithmetic that no library changes."""
    y, x = np.mgrid[:height, :width]
    channels = [(3 * y + 5 * x) % 256, (7 * y + 2 * x + 40) % 256, (y * x // 16 + 80) % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)[None]
