"""The best crop of each track: not hidden, not cut off, sharp, of a confident detection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.appearance.crop_quality import measure_boxes, sharp_factor, sharpness, thumbnail
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["BestCrops"]

_LARGEST = (160, 120)  # height, width of a thumbnail
_CLEARLY = 1.05  # times better: a new crop costs a JPEG


class BestCrops:
    """Keeps one thumbnail of each track while a video is tracked.

    Example:
        >>> BestCrops().of(7)
        b''
    """

    def __init__(self) -> None:
        """Start without any."""
        self._best: dict[int, tuple[float, bytes]] = {}

    def add(self, image: NDArray[np.uint8], tracked: TrackedFrame) -> None:
        """Look at the detections of one frame.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            tracked: its tracks and detections.
        """
        tracks, detections = tracked.tracks, tracked.detections
        matched = tracks[tracks.detection_index >= 0]
        boxes = detections.boxes[matched.detection_index]
        confidence = detections.confidence[matched.detection_index]
        scores = measure_boxes(boxes, confidence, *image.shape[:2]).score()
        for track_id, score, box in zip(matched.ids.tolist(), scores.tolist(), boxes, strict=True):
            known = self._best.get(track_id)
            least = -1.0 if known is None else _CLEARLY * known[0]  # any image is better than none
            if score <= least:  # sharpness can only lower it
                continue
            score *= sharp_factor(sharpness(image, box))
            if score > least and (content := thumbnail(image, box, _LARGEST)):
                self._best[track_id] = score, content

    def of(self, track_id: int) -> bytes:
        """JPEG of a track; empty where it has none."""
        return self._best.get(track_id, (0.0, b""))[1]
