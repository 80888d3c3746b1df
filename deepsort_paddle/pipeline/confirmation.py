"""Notice a run with many detections and no track."""

from __future__ import annotations

from collections.abc import Generator

from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["ConfirmationCheck"]

_MANY = 10  # detections that should have given a track


class ConfirmationCheck:
    """Counts detections and tracks of the frames that pass through `watch`."""

    def __init__(self) -> None:
        self._frames = self._detected_frames = self._detections = 0
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
                self._tracked |= len(tracked.tracks) > 0
                yield tracked
        finally:
            tracked_frames.close()

    def warning(self, n_init: int) -> str:
        """Why no track was confirmed; empty when one was, or when there were few detections.

        Args:
            n_init: detections in consecutive frames that confirm a track.
        """
        if self._tracked or self._detections < _MANY:
            return ""
        return (
            f"no track was confirmed: {self._detections} detections in {self._detected_frames} of "
            f"{self._frames} frames, and a track needs one in each of {max(n_init, 2)} frames in a row "
            "(--n-init)"
        )
