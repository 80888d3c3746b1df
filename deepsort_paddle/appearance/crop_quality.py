"""How good a crop of a person is, for re-ID and for people who look at it.

Small, cut off, hidden and blurred crops say more about the frame than about the person. Size counts up to the
height that networks take: beyond it a crop is no better, so a large one that is half hidden does not win.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import boxes as box_ops
from deepsort_paddle.appearance.preprocess import pixel_regions

__all__ = ["Quality", "measure_boxes", "sharp_factor", "sharpness", "thumbnail"]

# A crop as high as this in pixels, or higher, has full quality for its size: re-ID networks take 128 or 256.
_FULL_HEIGHT = 128.0
# Variance of the Laplacian of a grey crop of 128 x 64 at which a crop counts half.
_HALF_SHARP = 50.0
_SHARP_SIZE = (64, 128)  # width, height, for cv2


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
