"""Boxes of a whole video in the pixels of one frame, as a moving camera saw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_MAGNIFICATION", "CameraPath", "magnification"]

# Beyond this, mapping boxes to the first frame and back loses digits: 1e12 costs 0.6 pixels.
MAX_MAGNIFICATION = 1e6


def magnification(motions: NDArray[np.float64]) -> float:
    """Return the largest over the smallest scale of a camera's path; a camera that moves forward magnifies.

    Args:
        motions: ``(F, 2, 3)`` affine maps from the previous frame's pixels to each frame's; that of the first
            frame is ignored.
    """
    scales = np.sqrt(np.abs(np.linalg.det(motions[1:, :, :2])))
    path = np.cumsum(np.log(np.maximum(scales, 1e-9)))
    return float(np.exp(min(np.ptp(np.append(path, 0.0)), 700.0)))


class CameraPath:
    """The camera's motion through a video: maps boxes to the pixels of the first frame and back.

    Centres are mapped exactly; sizes by the scale of the motion, as the tracker's filter does it.

    Args:
        motions: ``(F, 2, 3)`` affine maps from the previous frame's pixels to each frame's; that of the first
            frame is ignored.

    Example:
        >>> shake = np.array([np.eye(2, 3), [[1.0, 0, 5], [0, 1, 0]]])
        >>> CameraPath(shake).stabilized(np.array([[15.0, 10, 25, 30]]), np.array([2]))
        array([[10., 10., 20., 30.]])
    """

    def __init__(self, motions: NDArray[np.float64]) -> None:
        self._maps = np.tile(np.eye(3), (len(motions), 1, 1))  # from the first frame to each
        for number in range(1, len(motions)):
            self._maps[number, :2] = motions[number] @ self._maps[number - 1]

    def stabilized(self, boxes: NDArray[np.float64], frame: NDArray[np.int64]) -> NDArray[np.float64]:
        """Map boxes to the first frame.

        Args:
            boxes: ``(N, 4)`` xyxy pixels.
            frame: ``(N,)`` the frame of each, from 1.
        """
        return _mapped(boxes, np.asarray(np.linalg.inv(self._maps), np.float64)[frame - 1])

    def as_seen(self, boxes: NDArray[np.float64], frame: NDArray[np.int64]) -> NDArray[np.float64]:
        """Map boxes in pixels of the first frame to the frames, ``(N,)`` from 1, in which they are."""
        return _mapped(boxes, self._maps[frame - 1])


def _mapped(boxes: NDArray[np.float64], maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map each of ``(N, 4)`` boxes by its own ``(N, 3, 3)`` affine map."""
    centre = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    moved = (maps[:, :2, :2] @ centre[:, :, None])[:, :, 0] + maps[:, :2, 2]
    scale = np.sqrt(np.abs(np.linalg.det(maps[:, :2, :2])))[:, None]
    half = 0.5 * scale * (boxes[:, 2:] - boxes[:, :2])
    return np.hstack([moved - half, moved + half])
