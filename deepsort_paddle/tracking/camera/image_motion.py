"""Estimate the camera motion from images: track corners of the background from frame to frame.

The result is a similarity transform (translation, rotation, scale) on which most corners agree. Boxes mask
out people, and RANSAC rejects other moving objects. On a small greyscale image this takes about a millisecond
per frame. `motion_from_boxes` in `box_motion` takes a fraction of that, but needs people who appear in both
frames.

Most cameras stand still or turn steadily. So the corners are first searched for where the last motion leads,
on the image itself. Only where too few of them agree does the search go through an image pyramid, which finds
any motion and costs three times as much.

Sources: Shi and Tomasi, "Good features to track", CVPR 1994; Bouguet, "Pyramidal implementation of the Lucas
Kanade feature tracker", 2000; OpenCV's implementations.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageMotion"]

# Longer side of the greyscale image, pixels: frames are halved until they are no longer. Other factors take
# OpenCV 50 times as long. Corners are located to about a tenth of a pixel.
_LONGEST = 512
_MAX_CORNERS = 100
_QUALITY = 0.01
_MIN_CORNER_DISTANCE = 10  # pixels
# Pixels around the boxes that are masked too: boxes are slightly tight, and windows of the flow reach across.
_MARGIN = 4
_WINDOW = (15, 15)
# A corner tracked forward and back must return within this distance, pixels.
_MAX_RETURN_ERROR = 0.5
_MAX_REPROJECTION_ERROR = 1.0  # of RANSAC's inliers, pixels
# With fewer corners, or a smaller share of inliers, the result is the identity.
_MIN_CORNERS = 12
_MIN_INLIERS = 0.4
# The share of corners that must agree on a motion near the last one.
_MIN_AGREEMENT = 0.7
_PYRAMID_LEVELS = 3


class ImageMotion:
    """Estimates the camera motion of a video; call it on every frame, in order.

    It keeps a small greyscale copy of the last frame. A frame that is missing, has another size, or shows too
    little background gives the identity.

    Example:
        >>> import numpy as np
        >>> camera_motion = ImageMotion()
        >>> image = np.zeros((240, 320, 3), np.uint8)
        >>> camera_motion(image, np.zeros((0, 4)))  # no previous frame
        array([[1., 0., 0.],
               [0., 1., 0.]])
    """

    def __init__(self) -> None:
        self._grey: NDArray[np.uint8] | None = None
        self._corners = np.zeros((0, 1, 2), np.float32)
        self._size = (0, 0)
        self._motion = np.eye(2, 3)  # the last one, in pixels of the greyscale image

    def __call__(self, image: NDArray[np.uint8] | None, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimate the map from the previous frame's pixels to this frame's.

        Args:
            image: ``(H, W, 3)`` BGR, or None for a missing image; not kept.
            boxes: ``(N, 4)`` xyxy of the moving objects in this frame.

        Returns:
            ``(2, 3)`` affine map.
        """
        if image is None:
            self._grey = None
            return np.eye(2, 3)
        grey, scale = _small_grey(image)
        background = _background(grey.shape, boxes * scale)
        motion = None
        if self._grey is not None and self._size == image.shape[:2] and len(self._corners) >= _MIN_CORNERS:
            motion = _motion(self._grey, grey, self._corners, background, self._motion)
        self._motion = np.eye(2, 3) if motion is None else motion
        corners = cv2.goodFeaturesToTrack(grey, _MAX_CORNERS, _QUALITY, _MIN_CORNER_DISTANCE, mask=background)
        self._corners = np.zeros((0, 1, 2), np.float32) if corners is None else np.asarray(corners)
        self._grey, self._size = grey, image.shape[:2]
        # From pixel centres of the small image to frame coordinates, whose origin is the corner of the frame.
        found = self._motion.copy()
        found[:, 2] = (found[:, 2] + 0.5 - found[:, :2] @ [0.5, 0.5]) / scale
        return found


def _small_grey(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Return a greyscale image whose longer side is at most `_LONGEST`, and its scale."""
    grey, scale = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.0
    while max(grey.shape) > _LONGEST and min(grey.shape) > 1:
        height, width = grey.shape[0] // 2, grey.shape[1] // 2  # an odd row or column is left out
        even = grey[: 2 * height, : 2 * width]
        grey, scale = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), scale / 2
    return np.asarray(grey, np.uint8), scale


def _motion(
    grey: NDArray[np.uint8],
    later: NDArray[np.uint8],
    corners: NDArray[np.float32],
    background: NDArray[np.uint8],
    last: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Estimate the similarity transform from one greyscale image to the next.

    Args:
        grey: the first image.
        later: the next image.
        corners: ``(N, 1, 2)`` of the first image.
        background: mask of the next image.
        last: the motion to try first.

    Returns:
        ``(2, 3)``; None if it cannot be estimated.
    """
    expected = (corners @ last[:, :2].T + last[:, 2]).astype(np.float32)
    motion = _similarity(grey, later, corners, expected, background, 0, _MIN_AGREEMENT)
    if motion is None:
        motion = _similarity(grey, later, corners, corners, background, _PYRAMID_LEVELS, _MIN_INLIERS)
    return motion


def _similarity(
    grey: NDArray[np.uint8],
    later: NDArray[np.uint8],
    corners: NDArray[np.float32],
    expected: NDArray[np.float32],
    background: NDArray[np.uint8],
    levels: int,
    agreement: float,
) -> NDArray[np.float64] | None:
    """Track corners forward and back, and fit a similarity transform on which enough of them agree."""
    moved, found = _flow(grey, later, corners, expected, levels)
    back, found_back = _flow(later, grey, moved, moved + (corners - expected), levels)
    pixel = np.rint(moved[:, 0]).astype(int)  # (N, 2)
    height, width = later.shape
    kept = found & found_back & (np.abs(back - corners).max(axis=(1, 2)) <= _MAX_RETURN_ERROR)
    inside = (pixel >= 0).all(axis=1) & (pixel[:, 0] < width) & (pixel[:, 1] < height)
    inside[inside] = background[pixel[inside, 1], pixel[inside, 0]] > 0
    kept &= inside
    if kept.sum() < _MIN_CORNERS:
        return None
    motion, inliers = cv2.estimateAffinePartial2D(
        corners[kept], moved[kept], method=cv2.RANSAC, ransacReprojThreshold=_MAX_REPROJECTION_ERROR
    )
    needed = max(_MIN_CORNERS, agreement * (inside if levels == 0 else kept).sum())
    if motion is None or inliers.sum() < needed:
        return None
    return np.asarray(motion, np.float64)


def _flow(
    grey: NDArray[np.uint8],
    later: NDArray[np.uint8],
    corners: NDArray[np.float32],
    expected: NDArray[np.float32],
    levels: int,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Track corners to the next image; return their new positions and whether they were found."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        grey,
        later,
        corners,
        expected.copy(),  # overwritten
        winSize=_WINDOW,
        maxLevel=levels,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(moved, np.float32), np.asarray(found)[:, 0] == 1


def _background(size: tuple[int, ...], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a mask that is 0 in the boxes and 255 outside."""
    mask = np.full(size, 255, np.uint8)
    height, width = size
    for x1, y1, x2, y2 in np.clip(boxes, [0, 0, 0, 0], [width, height, width, height]).astype(int).tolist():
        mask[max(0, y1 - _MARGIN) : y2 + _MARGIN + 1, max(0, x1 - _MARGIN) : x2 + _MARGIN + 1] = 0
    return mask
