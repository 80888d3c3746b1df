"""Blur people in frames before any output gets them.

All boxes of a frame are blurred: tracks, and unmatched detections, such as people in their first frame. A
missed box stays blurred for some frames, as detections flicker. Pixels are replaced by means over large
cells, so nothing can be sharpened again. Undetected people are not blurred.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import clip, iou
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["BLUR_PARTS", "PersonBlur"]

BLUR_PARTS = ("head", "person")
# Head and neck are the upper quarter of a standing person; of a person who sits or is cut off below, as much
# as of a person twice as high as wide. Boxes are inaccurate, so a margin is blurred on each side.
_HEAD, _HEIGHT, _MARGIN = 0.25, 2.0, 0.08
_CELLS = 5  # along the shorter side of the blurred area
_KEPT_FRAMES = 12  # in which a missed box stays blurred
_SAME = 0.3  # IoU with a box of this frame that replaces it


class PersonBlur:
    """Blur the people of successive frames; frames are copied, not modified.

    Example:
        >>> from deepsort_paddle import DeepSort, Detections, Frame, track_frames
        >>> image = np.random.default_rng(0).integers(0, 256, (90, 60, 3)).astype(np.uint8)
        >>> found = Detections.of([[10, 10, 40, 80]])
        >>> (tracked,) = track_frames([Frame(1, image, 0.0)], lambda *_: found, None, DeepSort())
        >>> hidden = PersonBlur("person")(tracked).frame.image
        >>> bool(hidden[20:70, 15:35].std() < 0.5 * image[20:70, 15:35].std())
        True
    """

    def __init__(self, part: str = "head", *, classes: Collection[int] | None = None) -> None:
        """Start without boxes.

        Args:
            part: what to blur: the head, or the whole person.
            classes: class numbers of people; None: all boxes are people.

        Raises:
            ValueError: ``part`` is neither.
        """
        if part not in BLUR_PARTS:
            raise ValueError(f"part must be head or person, got {part!r}")
        self._part, self._classes = part, classes
        self._boxes = np.zeros((0, 4))
        self._missed = np.zeros(0, np.int64)

    def __call__(self, tracked: TrackedFrame) -> TrackedFrame:
        """Return the frame with its people blurred."""
        image = tracked.frame.image
        boxes = self._update(tracked)
        if image is None or not len(boxes):
            return tracked
        hidden = image.copy()
        regions = _heads(boxes) if self._part == "head" else boxes
        margin = _MARGIN * (regions[:, 2:] - regions[:, :2])
        grown = clip(np.hstack([regions[:, :2] - margin, regions[:, 2:] + margin]), *image.shape[:2])
        corners = np.hstack([np.floor(grown[:, :2]), np.ceil(grown[:, 2:])]).astype(int)
        for left, top, right, bottom in corners.tolist():
            _blur(hidden[top:bottom, left:right])
        return replace(tracked, frame=replace(tracked.frame, image=hidden))

    def of(self, frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
        """Yield all frames blurred."""
        return map(self, frames)

    def _update(self, tracked: TrackedFrame) -> NDArray[np.float64]:
        """Return the boxes to blur, ``(N, 4)``: those of this frame, and recently missed ones."""
        parts = (tracked.detections, tracked.tracks)
        boxes = np.concatenate([part.boxes for part in parts])
        if self._classes is not None:
            kinds = np.concatenate([part.class_id for part in parts])
            boxes = boxes[np.isin(kinds, list(self._classes))]
        missed = np.ones(len(self._boxes), bool)
        if len(boxes) and len(self._boxes):
            missed = iou(self._boxes, boxes).max(axis=1) < _SAME
        missed &= self._missed < _KEPT_FRAMES
        self._missed = np.concatenate([np.zeros(len(boxes), np.int64), self._missed[missed] + 1])
        self._boxes = np.concatenate([boxes, self._boxes[missed]])
        return self._boxes


def _heads(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the head of each box, ``(N, 4)``."""
    size = boxes[:, 2:] - boxes[:, :2]
    height = np.minimum(_HEAD * np.maximum(size[:, 1], _HEIGHT * size[:, 0]), size[:, 1])
    return np.column_stack([boxes[:, :3], boxes[:, 1] + height])


def _blur(area: NDArray[np.uint8]) -> None:
    """Replace an area in place by a smooth surface through the means of a few cells."""
    height, width = area.shape[:2]
    if not area.size:
        return
    cell = max(min(height, width) / _CELLS, 1.0)
    cells = (max(1, round(width / cell)), max(1, round(height / cell)))
    if min(height, width) <= _CELLS:  # of a few pixels only the mean remains
        cells = (1, 1)
    means = cv2.resize(area, cells, interpolation=cv2.INTER_AREA)
    area[:] = cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR).reshape(area.shape)
