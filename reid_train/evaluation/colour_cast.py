"""A white balance of its own for each camera: how much a network relies on colours that a light shifts.

Each camera draws one gain for each colour channel, and all its images are multiplied by it (``v * gain``,
clipped). Within a camera nothing changes; between cameras colours no longer agree, as with real cameras. No
second data set is needed to see whether a network would hold in another place.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CASTS", "CastFigures", "cast", "cast_table"]

# Largest relative change of a channel, of the casts that are reported.
CASTS = (0.15, 0.3)
# One draw of gains is lucky or not: with osnet_x0_25, 60 ids and ±15 %, seeds 0 to 4 gave rank-1 66.7, 60.2,
# 70.3, 36.1 and 60.2. This one is near their mean, 58.7.
SEED = 1


@dataclass(frozen=True)
class CastFigures:
    """Ranking figures with a colour cast of its own in each camera.

    Attributes:
        strength: largest relative change of a channel, such as 0.15 for gains from 0.85 to 1.15.
        rank1: CMC at 1.
        mean_ap: mAP.
    """

    strength: float
    rank1: float
    mean_ap: float


def cast_table(camera: int, strength: float, seed: int = SEED) -> NDArray[np.uint8]:
    """The change of pixel values in one camera.

    Args:
        camera: id of the camera; the gains depend on it and on the seed alone.
        strength: largest relative change of a channel.
        seed: of the gains.

    Returns:
        ``(256, 3)`` uint8: the new value of each old one, by channel.
    """
    gains = 1.0 + strength * np.random.default_rng([seed, camera]).uniform(-1.0, 1.0, 3)
    return np.clip(np.rint(np.arange(256)[:, None] * gains), 0, 255).astype(np.uint8)


def cast(image: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 with the values of a `cast_table`."""
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)
