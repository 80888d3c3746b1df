"""The few moments of a track that are worth keeping: good crops that show different sides.

A mean over all crops of a track blurs front and back into one vector, and a crop at the edge of the frame or
behind another person says more about the edge or the other person. So each crop gets a quality, and a
track keeps up to K of them: each new one replaces the one that is least worth keeping. The worth of a crop
is its quality times how far its embedding is from the nearest other one, up to a small distance: beyond
it crops are different enough, and quality decides (without this bound the odd crops win, and half as many
tracks of one person are found at the same error, PETS09). Memory stays the same however long the track is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moment", "MomentGallery"]

# Worth of a crop that is the same as another one kept, as a distance.
_LEAST_WORTH = 0.05


@dataclass(frozen=True, slots=True)
class Moment:
    """One kept crop of a track.

    Attributes:
        frame: number of the frame, from 1.
        seconds: since the first frame.
        box: ``(4,)`` xyxy pixels.
        confidence: of the detection.
        sharpness: variance of the Laplacian; NaN where the run had no images.
        inside: share of the box inside the frame.
        occlusion: largest IoU with another box.
        quality: one number in [0, 1].
        embedding: ``(D,)`` float32 unit row.
        thumbnail: JPEG; empty where the run had no images.
    """

    frame: int
    seconds: float
    box: NDArray[np.float64]
    confidence: float
    sharpness: float
    inside: float
    occlusion: float
    quality: float
    embedding: NDArray[np.float32] = field(repr=False)
    thumbnail: bytes = field(default=b"", repr=False)


class MomentGallery:
    """Up to ``size`` moments of one track.

    Args:
        size: most moments.
        enough: cosine distance from which on two crops are different enough.

    Example:
        >>> gallery = MomentGallery(size=8, enough=0.1)
        >>> gallery.place(np.array([1.0, 0.0], np.float32), quality=0.5)
        0
    """

    def __init__(self, size: int, enough: float) -> None:
        self.moments: list[Moment] = []
        self._size, self._enough = size, enough

    def place(self, embedding: NDArray[np.float32], quality: float) -> int | None:
        """Where a new crop belongs: a row of `moments` to replace, their number to append; None: nowhere.

        Args:
            embedding: ``(D,)`` unit row.
            quality: in [0, 1].
        """
        count = len(self.moments)
        if count < self._size:
            return count
        rows = np.stack([*(moment.embedding for moment in self.moments), embedding])  # (K + 1, D)
        distance = 1.0 - rows @ rows.T
        np.fill_diagonal(distance, np.inf)
        scores = np.array([*(moment.quality for moment in self.moments), quality])
        worth = scores * (_LEAST_WORTH + np.clip(distance.min(axis=1), 0.0, self._enough))
        worst = int(np.argmin(worth))
        return None if worst == count else worst

    def put(self, row: int, moment: Moment) -> None:
        """Store a moment at the row that `place` gave."""
        self.moments[row : row + 1] = [moment]
