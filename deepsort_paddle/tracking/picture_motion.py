"""How the camera moved, from the pictures: corners of the background followed from frame to frame.

A similarity (shift, turn, zoom) that most corners agree on; people are left out by their boxes, and what else
moves on its own is outvoted (RANSAC). On a small grey picture that is some milliseconds a frame, where
`deepsort_paddle.tracking.box_motion.motion_from_boxes` takes a fraction of one and needs people in common.

Sources: Shi and Tomasi, "Good features to track", CVPR 1994; Bouguet, "Pyramidal implementation of the Lucas
Kanade feature tracker", 2000; OpenCV's implementations.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["PictureMotion"]

# The longer side of the grey picture, in pixels: corners are found to a tenth of its pixels.
_LONGEST = 480
_CORNERS = 150
_QUALITY = 0.01
_APART = 10  # pixels between corners
# Boxes are a little too tight, and their neighbourhood moves with them in the flow's windows.
_MARGIN = 4
_WINDOW = (15, 15)
# A corner followed there and back must come home; and inliers must agree, so near (pixels).
_HOME = 0.5
_AGREE = 1.0
# Fewer corners, or a smaller part of them in agreement, are not believed.
_FEWEST = 12
_CONSENSUS = 0.4


class PictureMotion:
    """Called on every frame of one video, in order; keeps a small grey copy of the last one.

    A frame that is missing, of another size, or with too little background gives the identity.
    """

    def __init__(self) -> None:
        self._grey: NDArray[np.uint8] | None = None
        self._corners = np.zeros((0, 1, 2), np.float32)
        self._size = (0, 0)

    def __call__(self, image: NDArray[np.uint8] | None, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The map from the previous frame's pixels to this frame's.

        Args:
            image: ``(H, W, 3)`` BGR, or None where there is none; not kept.
            boxes: ``(N, 4)`` xyxy of what moves on its own in this frame.

        Returns:
            ``(2, 3)``.
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
        if self._grey is not None and self._size == image.shape[:2] and len(self._corners) >= _FEWEST:
            motion = _similarity(self._grey, grey, self._corners, background)
        corners = cv2.goodFeaturesToTrack(grey, _CORNERS, _QUALITY, _APART, mask=background)
        self._corners = np.zeros((0, 1, 2), np.float32) if corners is None else np.asarray(corners)
        self._grey, self._size = grey, image.shape[:2]
        # Of centres of pixels in the small picture, to the plane whose 0, 0 is the frame's corner.
        off = 0.5 - motion[:, :2] @ [0.5, 0.5]
        motion[:, 2] = (motion[:, 2] + off) / scale
        return motion


def _similarity(
    grey: NDArray[np.uint8],
    later: NDArray[np.uint8],
    corners: NDArray[np.float32],
    background: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """The similarity from one grey picture to the next on which most ``(N, 1, 2)`` corners agree."""
    there, found = _flow(grey, later, corners)
    back, found_back = _flow(later, grey, there)
    place = np.rint(there[:, 0]).astype(int)
    height, width = later.shape
    kept = found & found_back & (np.abs(back - corners).max(axis=(1, 2)) <= _HOME)
    kept &= (place >= 0).all(axis=1) & (place[:, 0] < width) & (place[:, 1] < height)
    kept[kept] = background[place[kept, 1], place[kept, 0]] > 0
    if kept.sum() < _FEWEST:
        return np.eye(2, 3)
    motion, agree = cv2.estimateAffinePartial2D(
        corners[kept], there[kept], method=cv2.RANSAC, ransacReprojThreshold=_AGREE
    )
    if motion is None or agree.sum() < max(_FEWEST, _CONSENSUS * kept.sum()):
        return np.eye(2, 3)
    return np.asarray(motion, np.float64)


def _flow(
    grey: NDArray[np.uint8], later: NDArray[np.uint8], corners: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where corners went, and whether they were found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(grey, later, corners, np.empty_like(corners), winSize=_WINDOW)
    return np.asarray(there, np.float32), np.asarray(found)[:, 0] == 1


def _background(size: tuple[int, ...], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A mask, 255 outside the boxes and 0 inside."""
    mask = np.full(size, 255, np.uint8)
    height, width = size
    for x1, y1, x2, y2 in np.clip(boxes, [0, 0, 0, 0], [width, height, width, height]).astype(int).tolist():
        mask[max(0, y1 - _MARGIN) : y2 + _MARGIN + 1, max(0, x1 - _MARGIN) : x2 + _MARGIN + 1] = 0
    return mask
