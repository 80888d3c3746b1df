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

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import boxes as box_ops
from deepsort_paddle.appearance.preprocess import pixel_regions

__all__ = ["Moment", "MomentGallery", "Quality", "measure_boxes", "sharpness", "thumbnail"]

# A crop as high as this in pixels, or higher, has full quality for its size: re-ID networks take 128 or 256.
_FULL_HEIGHT = 128.0
# Variance of the Laplacian of a grey crop of 128 x 64 at which a crop counts half.
_HALF_SHARP = 50.0
_SHARP_SIZE = (64, 128)  # width, height, for cv2
# Worth of a crop that is the same as another one kept, as a distance.
_LEAST_WORTH = 0.05


@dataclass(frozen=True, slots=True)
class Quality:
    """What makes the boxes of one frame good or bad crops; one row a box.

    Attributes:
        height: ``(N,)`` pixels inside the frame.
        inside: ``(N,)`` share of the box inside the frame.
        occlusion: ``(N,)`` largest IoU with another box of the frame.
        confidence: ``(N,)`` of the detections.
    """

    height: NDArray[np.float64]
    inside: NDArray[np.float64]
    occlusion: NDArray[np.float64]
    confidence: NDArray[np.float64]

    def score(self) -> NDArray[np.float64]:
        """One number in [0, 1] for each box, without sharpness."""
        size = np.minimum(self.height / _FULL_HEIGHT, 1.0)
        score: NDArray[np.float64] = size * self.inside**2 * (1.0 - self.occlusion) * self.confidence
        return score


def measure_boxes(
    boxes: NDArray[np.float64], confidence: NDArray[np.float32], height: float, width: float
) -> Quality:
    """The quality of all tracked boxes of one frame.

    Args:
        boxes: ``(N, 4)``.
        confidence: ``(N,)``.
        height: of the frame, pixels.
        width: of the frame, pixels.
    """
    visible = box_ops.clip(boxes, height, width)
    overlap = box_ops.iou(boxes, boxes)
    np.fill_diagonal(overlap, 0.0)
    return Quality(
        height=np.maximum(visible[:, 3] - visible[:, 1], 0.0),
        inside=box_ops.area(visible) / np.maximum(box_ops.area(boxes), 1e-9),
        occlusion=overlap.max(axis=1, initial=0.0),
        confidence=np.clip(confidence.astype(np.float64), 0.0, 1.0),
    )


def sharpness(image: NDArray[np.uint8], box: NDArray[np.float64]) -> float:
    """Variance of the Laplacian of a crop at a common size; 0 for a box without a pixel in the frame."""
    left, top, right, bottom = pixel_regions(box[None], *image.shape[:2])[0].tolist()
    if right <= left or bottom <= top:
        return 0.0
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, _SHARP_SIZE, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var())


def sharp_factor(value: float) -> float:
    """From a sharpness to a factor in [0.5, 1): blur makes a crop worse, never worthless."""
    return 0.5 + 0.5 * value / (value + _HALF_SHARP)


def thumbnail(image: NDArray[np.uint8], box: NDArray[np.float64], largest: tuple[int, int]) -> bytes:
    """A small JPEG of a box, at most ``largest`` (height, width); empty without a pixel in the frame."""
    left, top, right, bottom = pixel_regions(box[None], *image.shape[:2])[0].tolist()
    if right <= left or bottom <= top:
        return b""
    crop = image[top:bottom, left:right]
    scale = min(1.0, largest[0] / crop.shape[0], largest[1] / crop.shape[1])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    content: bytes = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    return content


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
