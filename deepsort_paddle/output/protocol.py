"""The protocol of outputs: write one tracked frame after another, then close."""

from __future__ import annotations

from typing import Protocol

from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["Output", "StopTracking"]


class Output(Protocol):
    """Receives the frames of a run, in order.

    Example:
        >>> class Totals:
        ...     def __init__(self) -> None:
        ...         self.boxes = 0
        ...     def write(self, tracked: TrackedFrame) -> None:
        ...         self.boxes += len(tracked.tracks)
        ...     def close(self) -> None:
        ...         print(self.boxes, "boxes")
    """

    def write(self, tracked: TrackedFrame) -> None:
        """Write one frame.

        Raises:
            StopTracking: end the run after this frame.
        """

    def close(self) -> None:
        """Finish; called once, even if the run failed."""


class StopTracking(Exception):  # noqa: N818 (nothing is wrong)
    """Raised by an output or a callback to end a run after the current frame; outputs are complete.

    Example:
        >>> def stop_at_100(tracked):
        ...     if tracked.frame.number == 100:
        ...         raise StopTracking
        >>> # track_video("street.mp4", on_frame=stop_at_100)
    """
