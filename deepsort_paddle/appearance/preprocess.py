"""From a frame to a network's input: crop boxes, resize, and convert to the network's layout.

Tracking, training and evaluation all resize with `resize_into`, so that a network gets the same input in the
tracker as in training. Everything before the network is uint8 BGR.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepsort_paddle.appearance.spec import INTERPOLATIONS, RESIZE_MODES, EncoderSpec
from deepsort_paddle.arguments import check_frame
from deepsort_paddle.boxes import as_boxes, clip

__all__ = ["check_resize", "crop_boxes", "crop_into", "network_input", "pixel_regions", "resize_into"]

_CV2_CODES = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


def pixel_regions(boxes: ArrayLike, height: int, width: int) -> NDArray[np.int64]:
    """Whole-pixel regions of boxes within a frame, ``(N, 4)`` x1, y1, x2, y2, end exclusive.

    Edges are rounded to the nearest pixel edge; a box without a pixel in the frame has an empty region.

    Raises:
        ValueError: boxes are not ``(N, 4)``, or hold NaN or infinity.
    """
    array = as_boxes(boxes)
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(f"boxes must be finite, row {row} is not")
    # Clipped first: beyond 2**63 the conversion to integers would wrap.
    return np.floor(clip(array, height, width) + 0.5).astype(np.int64)


def crop_boxes(
    frame: NDArray[np.uint8],
    boxes: ArrayLike,
    height: int,
    width: int,
    *,
    interpolation: str = "linear",
    resize_mode: str = "stretch",
) -> NDArray[np.uint8]:
    """Crop and resize boxes of a frame, as input of an encoder.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR; strided views are fine.
        boxes: ``(N, 4)`` xyxy pixels.
        height: of the crops.
        width: of the crops.
        interpolation: nearest, linear, cubic or area.
        resize_mode: stretch or short_side_crop, as in `EncoderSpec`.

    Returns:
        ``(N, height, width, 3)`` uint8 BGR; black for a box without a pixel in the frame.

    Raises:
        ValueError: the frame or the boxes have the wrong shape or dtype, or a way to resize is unknown.
    """
    check_frame(frame)
    check_resize(resize_mode, interpolation)
    regions = pixel_regions(boxes, *frame.shape[:2])
    crops = np.zeros((len(regions), height, width, 3), np.uint8)
    for crop, region in zip(crops, regions, strict=True):
        if (region[2:] > region[:2]).all():
            crop_into(crop, frame, region, resize_mode, interpolation)
    return crops


def check_resize(resize_mode: str, interpolation: str) -> None:
    """Check the names of a resize mode and an interpolation.

    Args:
        resize_mode: one of `RESIZE_MODES`.
        interpolation: one of `INTERPOLATIONS`.

    Raises:
        ValueError: one of the two is unknown.
    """
    if resize_mode not in RESIZE_MODES:
        raise ValueError(f"resize_mode must be one of {', '.join(RESIZE_MODES)}, got {resize_mode!r}")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}")


def crop_into(
    out: NDArray[np.uint8],
    frame: NDArray[np.uint8],
    region: NDArray[np.int64],
    resize_mode: str,
    interpolation: str,
) -> None:
    """Cut one region out of a frame and resize it.

    Args:
        out: ``(height, width, 3)`` uint8, overwritten with the crop.
        frame: ``(H, W, 3)`` uint8 BGR.
        region: ``(4,)`` x1, y1, x2, y2, whole pixels, end exclusive, from `pixel_regions`; not empty.
        resize_mode: stretch or short_side_crop, as in `EncoderSpec`.
        interpolation: nearest, linear, cubic or area.
    """
    x1, y1, x2, y2 = region
    resize_into(out, frame[y1:y2, x1:x2], resize_mode, interpolation)


def resize_into(
    out: NDArray[np.uint8], image: NDArray[np.uint8], resize_mode: str, interpolation: str
) -> None:
    """Resize an image of a person to a network's input size; the image is not modified.

    Args:
        out: ``(height, width, 3)`` uint8, overwritten with the result.
        image: ``(H, W, 3)`` uint8, not empty; any strides.
        resize_mode: ``stretch`` (the whole image), or ``short_side_crop`` (the image keeps its shape, just
            covers ``out``, and its centre is cut out).
        interpolation: nearest, linear, cubic or area.
    """
    if image.strides[2] != 1 or image.strides[1] != 3:
        # OpenCV accepts strided rows, but neither mirrored images nor swapped channels.
        image = np.ascontiguousarray(image)
    height, width = out.shape[:2]
    code = _CV2_CODES[interpolation]
    if resize_mode == "stretch":
        # cv2 expects (width, height).
        cv2.resize(image, (width, height), dst=out, interpolation=code)
        return
    scale = max(height / image.shape[0], width / image.shape[1])
    full_height = max(height, round(image.shape[0] * scale))
    full_width = max(width, round(image.shape[1] * scale))
    resized = cv2.resize(image, (full_width, full_height), interpolation=code)
    top, left = (full_height - height) // 2, (full_width - width) // 2
    out[:] = resized[top : top + height, left : left + width]


def network_input(crops: NDArray[np.uint8], spec: EncoderSpec) -> NDArray[Any]:
    """Convert a batch of crops to the network's layout, colour order and range.

    Args:
        crops: ``(N, height, width, 3)`` uint8 BGR.
        spec: description of the network.

    Returns:
        ``(N, height, width, 3)`` or ``(N, 3, height, width)``; uint8, or float32 (x * scale - mean) / std.
        The crops themselves if no conversion is needed.
    """
    pixels = crops if spec.channels == "BGR" else crops[..., ::-1]
    gain = np.float32(spec.scale) / np.array(spec.std, np.float32)
    bias = np.array(spec.mean, np.float32) / np.array(spec.std, np.float32)
    if spec.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
        gain, bias = gain.reshape(3, 1, 1), bias.reshape(3, 1, 1)
    if spec.dtype == "uint8":
        return np.ascontiguousarray(pixels)
    batch = np.empty(pixels.shape, np.float32)
    np.multiply(pixels, gain, out=batch)
    return np.subtract(batch, bias, out=batch)
