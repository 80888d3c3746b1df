"""Estimate the camera motion from images: track corners of the background from frame to frame.

The result is a similarity transform (translation, rotation, scale) on which most corners agree. Boxes mask
out people, and RANSAC rejects other moving objects. On a small greyscale image this takes a few milliseconds
per frame. `motion_from_boxes` in `box_motion` takes a fraction of one, but needs people who appear in both
frames.

Sources: Shi and Tomasi, "Good features to track", CVPR 1994; Bouguet, "Pyramidal implementation of the Lucas
Kanade feature tracker", 2000; OpenCV's implementations.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageMotion"]

# Longer side of the greyscale image, pixels. Corners are located to about a tenth of a pixel.
_LONGEST = 480
_MAX_CORNERS = 150
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
        scale = min(1.0, _LONGEST / max(image.shape[:2]))
        small = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if scale < 1:
            small = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey: NDArray[np.uint8] = np.asarray(small, np.uint8)
        background = _background(grey.shape, boxes * scale)
        motion = np.eye(2, 3)
        if self._grey is not None and self._size == image.shape[:2] and len(self._corners) >= _MIN_CORNERS:
            motion = _similarity(self._grey, grey, self._corners, background)
        corners = cv2.goodFeaturesToTrack(grey, _MAX_CORNERS, _QUALITY, _MIN_CORNER_DISTANCE, mask=background)
        self._corners = np.zeros((0, 1, 2), np.float32) if corners is None else np.asarray(corners)
        self._grey, self._size = grey, image.shape[:2]
        # From pixel centres of the small image to frame coordinates, whose origin is the corner of the frame.
        offset = 0.5 - motion[:, :2] @ [0.5, 0.5]
        motion[:, 2] = (motion[:, 2] + offset) / scale
        return motion


def _similarity(
    grey: NDArray[np.uint8],
    later: NDArray[np.uint8],
    corners: NDArray[np.float32],
    background: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Estimate the similarity transform from one greyscale image to the next from ``(N, 1, 2)`` corners."""
    moved, found = _flow(grey, later, corners)
    back, found_back = _flow(later, grey, moved)
    pixel = np.rint(moved[:, 0]).astype(int)  # (N, 2)
    height, width = later.shape
    kept = found & found_back & (np.abs(back - corners).max(axis=(1, 2)) <= _MAX_RETURN_ERROR)
    kept &= (pixel >= 0).all(axis=1) & (pixel[:, 0] < width) & (pixel[:, 1] < height)
    kept[kept] = background[pixel[kept, 1], pixel[kept, 0]] > 0
    if kept.sum() < _MIN_CORNERS:
        return np.eye(2, 3)
    motion, inliers = cv2.estimateAffinePartial2D(
        corners[kept], moved[kept], method=cv2.RANSAC, ransacReprojThreshold=_MAX_REPROJECTION_ERROR
    )
    if motion is None or inliers.sum() < max(_MIN_CORNERS, _MIN_INLIERS * kept.sum()):
        return np.eye(2, 3)
    return np.asarray(motion, np.float64)


def _flow(
    grey: NDArray[np.uint8], later: NDArray[np.uint8], corners: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Track corners to the next image; return their new positions and whether they were found."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(grey, later, corners, np.empty_like(corners), winSize=_WINDOW)
    return np.asarray(moved, np.float32), np.asarray(found)[:, 0] == 1


def _background(size: tuple[int, ...], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a mask that is 0 in the boxes and 255 outside."""
    mask = np.full(size, 255, np.uint8)
    height, width = size
    for x1, y1, x2, y2 in np.clip(boxes, [0, 0, 0, 0], [width, height, width, height]).astype(int).tolist():
        mask[max(0, y1 - _MARGIN) : y2 + _MARGIN + 1, max(0, x1 - _MARGIN) : x2 + _MARGIN + 1] = 0
    return mask
