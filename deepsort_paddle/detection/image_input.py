"""From a frame to a network's input: resized and padded once, into one buffer."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.heads.head import ImageFormat

__all__ = ["fit", "planes"]


def fit(
    image: NDArray[np.uint8], height: int, width: int, image_format: ImageFormat
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Resize an image to a network's input.

    Args:
        image: ``(H, W, 3)`` uint8.
        height: of the input.
        width: of the input.
        image_format: how the image is fitted.

    Returns:
        ``(height, width, 3)`` uint8, and how: input = scale * image + offset, each x, y.
    """
    canvas = np.empty((height, width, 3), np.uint8)
    inner_height, inner_width, top, left = height, width, 0, 0
    if image_format.keep_ratio:
        ratio = min(height / image.shape[0], width / image.shape[1])
        # At least a pixel is left of an image that is nothing but wide or high.
        inner_height = max(1, round(image.shape[0] * ratio))
        inner_width = max(1, round(image.shape[1] * ratio))
        if image_format.centred:
            top, left = (height - inner_height) // 2, (width - inner_width) // 2
        canvas[:top] = canvas[top + inner_height :] = image_format.padding
        canvas[:, :left] = canvas[:, left + inner_width :] = image_format.padding
    cv2.resize(
        image, (inner_width, inner_height), dst=canvas[top : top + inner_height, left : left + inner_width]
    )
    scale = np.array([inner_width / image.shape[1], inner_height / image.shape[0]])
    return canvas, scale, np.array([left, top], dtype=np.float64)


def planes(canvas: NDArray[np.uint8], image_format: ImageFormat) -> NDArray[np.float32]:
    """``(1, 3, H, W)`` float32 in the network's channel order, normalised, from ``(H, W, 3)`` BGR."""
    batch = np.empty((1, 3, *canvas.shape[:2]), np.float32)
    for channel, plane in enumerate(cv2.split(canvas)):
        place = 2 - channel if image_format.rgb else channel
        mean, scale = image_format.mean[place], image_format.scale[place]
        np.multiply(plane, np.float32(scale), out=batch[0, place])
        if mean:
            batch[0, place] -= np.float32(mean * scale)
    return batch
