"""What an output is: it takes one tracked frame after the other, then it is closed."""

from __future__ import annotations

from typing import Protocol

from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["Output", "StopTracking"]


class Output(Protocol):
    """Takes the frames of a run, in order.

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
        """Take in one frame.

        Raises:
            StopTracking: this frame is to be the last one.
        """

    def close(self) -> None:
        """Finish; called once, also when the run has failed."""


class StopTracking(Exception):  # noqa: N818 (nothing is wrong)
    """Raised by an output or a callback to end a run after the current frame; what is written is complete."""
