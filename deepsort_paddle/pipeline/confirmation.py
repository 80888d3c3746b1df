"""Notice a run with many detections and no track."""

from __future__ import annotations

from collections.abc import Generator

from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.tracking.options import TrackerOptions

__all__ = ["ConfirmationCheck"]

_THRESHOLDS = ("new_track_confidence", "high_confidence")
_MANY = 10  # detections that should have given a track


class ConfirmationCheck:
    """Counts detections and tracks of the frames that pass through `watch`."""

    def __init__(self) -> None:
        self._frames = self._detected_frames = self._detections = 0
        self._best = 0.0
        self._tracked = False

    def watch(
        self, tracked_frames: Generator[TrackedFrame, None, None]
    ) -> Generator[TrackedFrame, None, None]:
        """The same frames, counted; closing it closes ``tracked_frames``."""
        try:
            for tracked in tracked_frames:
                self._frames += 1
                self._detected_frames += len(tracked.detections) > 0
                self._detections += len(tracked.detections)
                self._best = max(self._best, *tracked.detections.confidence.tolist(), 0.0)
                self._tracked |= len(tracked.tracks) > 0
                yield tracked
        finally:
            tracked_frames.close()

    def warning(self, options: TrackerOptions) -> str:
        """Why no track was confirmed; empty when one was, or when there were few detections.

        Args:
            options: of the tracker.
        """
        if self._tracked or self._detections < _MANY:
            return ""
        if self._best < options.new_track_confidence:
            lower = f"{self._best / 2:.1g}"
            names = [name for name in _THRESHOLDS if getattr(options, name) > self._best]
            return (
                f"no track was started: the best of {self._detections} detections has a confidence of "
                f"{self._best:.2g}, and a track starts from {options.new_track_confidence:g} "
                f"({' '.join(f'--set {name}={lower}' for name in names)})"
            )
        return (
            f"no track was confirmed: {self._detections} detections in {self._detected_frames} of "
            f"{self._frames} frames, and a track needs one in each of {max(options.n_init, 2)} frames in "
            "a row (--n-init)"
        )
