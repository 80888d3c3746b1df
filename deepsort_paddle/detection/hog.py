"""OpenCV's HOG people detector: weak, but it needs no download and no other library.

Histograms of oriented gradients with a linear classifier on a sliding window of 64 x 128 (Dalal and
Triggs, CVPR 2005). It sees upright people only, wholly visible, no smaller than the window.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.candidates import expect_confidence, has_pixels, select
from deepsort_paddle.structures import Detections

__all__ = ["HogDetector"]

WINDOW_HEIGHT, WINDOW_WIDTH = 128, 64
# A frame wider than this, in heights, is searched at less than the full height: its area is bounded.
MAX_ASPECT = 4
# The window holds a margin around the person. With these parts of it cut off on each side the boxes fit
# the ground truth of PETS09 and MOT17-mini best (on PETS09 average precision 0.81; 0.74 with 0.15, 0.08).
MARGIN_X, MARGIN_Y = 0.20, 0.10
# Padding around the image in pixels, so that people at its edge are found.
PADDING = 8
# Steps of 1.05, OpenCV's default, take twice the time (average precision on PETS09 0.81 against 0.78).
PYRAMID_STEP = 1.1
MAX_IOU = 0.4
# Confidence is the logistic function of the classifier's margin, SLOPE * margin + OFFSET, as Platt
# proposed (1999), fitted to hits and misses on every third of PETS09 frames 1 to 50 and on MOT17-mini.
SLOPE, OFFSET = 2.25, -2.41


class HogDetector:
    """Finds people by HOG.

    Attributes:
        labels: class names by number.
        confidence: its threshold.
    """

    labels = ("person",)

    default_confidence = 0.4

    def __init__(self, *, confidence: float | None = None, image_height: int = 864) -> None:
        """Make the detector.

        Args:
            confidence: boxes below it are dropped; None takes 0.4: 8 of 10 detections are right
                then on PETS09 frames 1 to 50 and on MOT17-mini.
            image_height: pixels to which a frame's height is resized before the search. The window is 128
                high and a person fills four fifths of it: at 864 people are found from an eighth of the
                frame's height. Time grows with its square.

        Raises:
            ValueError: an argument is out of range.
        """
        if image_height < WINDOW_HEIGHT:
            raise ValueError(f"image_height must be {WINDOW_HEIGHT} or more, got {image_height}")
        self.confidence = expect_confidence(self.default_confidence if confidence is None else confidence)
        self._image_height = image_height
        self._descriptor = cv2.HOGDescriptor()
        self._descriptor.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    def pace(self, images: Sequence[NDArray[np.uint8]], frame_count: int | None = None) -> str:
        """Return how long this machine takes, in words, measured on some images.

        Args:
            images: at least one, ``(H, W, 3)`` uint8 BGR.
            frame_count: of the video; None if unknown.
        """
        began = time.perf_counter()
        for number, image in enumerate(images, start=1):
            self(number, image)
        seconds = (time.perf_counter() - began) / len(images)
        text = f"HOG takes {seconds:.2g} s per frame"
        if frame_count is None:
            return text
        return f"{text}: about {_duration(seconds * frame_count)} for {frame_count} frames"

    def __call__(self, frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        """Detections of one frame, in falling order of confidence.

        Args:
            frame_number: not used.
            image: ``(H, W, 3)`` uint8 BGR; without one, or without pixels, nothing is detected.

        Raises:
            ValueError: the image has another shape or dtype.
        """
        if not has_pixels(image):
            return Detections.empty()
        height, width = image.shape[:2]
        scale = min(self._image_height / height, MAX_ASPECT * self._image_height / width)
        new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
        if new_height + 2 * PADDING < WINDOW_HEIGHT or new_width + 2 * PADDING < WINDOW_WIDTH:
            return Detections.empty()
        resized = cv2.resize(image, (new_width, new_height))
        windows, margins = self._descriptor.detectMultiScale(
            resized,
            winStride=(8, 8),
            padding=(PADDING, PADDING),
            scale=PYRAMID_STEP,
            # No grouping: it averages boxes and loses their margins. Suppression is done on them here.
            groupThreshold=0,
        )
        if len(windows) == 0:
            return Detections.empty()
        left, top, wide, high = np.asarray(windows, dtype=np.float64).T
        boxes = np.column_stack([left, top, left + wide, top + high])
        boxes += np.column_stack([wide * MARGIN_X, high * MARGIN_Y, -wide * MARGIN_X, -high * MARGIN_Y])
        confidence = 1 / (1 + np.exp(-(SLOPE * np.asarray(margins, dtype=np.float64).ravel() + OFFSET)))
        return select(
            boxes / np.tile([new_width / width, new_height / height], 2),
            confidence,
            np.zeros(len(boxes), np.int64),
            frame_shape=image.shape,
            min_confidence=self.confidence,
            classes=None,
            max_iou=MAX_IOU,
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
