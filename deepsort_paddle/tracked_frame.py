"""A frame with what was found in it: detections, tracks, and how long that took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame
from deepsort_paddle.structures import Detections, Tracks

__all__ = ["StageSeconds", "TrackedFrame"]


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Wall-clock seconds that one frame took in each stage; a batch's time is divided evenly.

    Example:
        >>> seconds = StageSeconds(read=0.002, detect=0.030, encode=0.008, track=0.001)
        >>> seconds.detect
        0.03
    """

    read: float
    detect: float
    encode: float
    track: float


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """One frame with its detections and tracks.

    Attributes:
        frame: the frame; nothing is drawn on it.
        detections: the detections that the tracker received; `Tracks.detection_index` is a row of them.
        tracks: the tracks that the tracker returned.
        seconds: how long each stage took.
        camera_motion: ``(2, 3)``, the camera's motion that the tracker received; None without.

    Example:
        >>> from deepsort_paddle import DeepSort, track_frames
        >>> frames = [Frame(1, None, None), Frame(2, None, None)]
        >>> for tracked in track_frames(frames, lambda number, image: Detections.empty(), None, DeepSort()):
        ...     print(tracked.frame.number, len(tracked.tracks))
        1 0
        2 0
    """

    frame: Frame
    detections: Detections
    tracks: Tracks
    seconds: StageSeconds
    camera_motion: NDArray[np.float64] | None = None
