"""Where a track was and when, in little memory: its box every 0.2 seconds."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLE", "TrackPath"]

SAMPLE = 5  # numbers: seconds, x, y, width, height
_SAMPLE_SECONDS = 0.2


@dataclass(slots=True)
class TrackPath:
    """The path of one track, in runs without a gap; times are seconds of the page's video.

    Attributes:
        first: number of the first frame.
        class_id: class of the track.
        last: number of the last frame.
        frames: how many frames it is in.
        runs: a flat list of samples each: seconds, x, y, width, height.
        run_ends: seconds of the last frame of each run.

    Example:
        >>> path = TrackPath(first=1, class_id=0)
        >>> for number in (1, 2, 3, 7):
        ...     path.add(number, number, 0.1 * number, np.array([0.0, 0.0, 20.0, 60.0]))
        >>> [run[0] for run in path.runs], [round(end, 1) for end in path.run_ends]
        ([0.1, 0.7], [0.3, 0.7])
    """

    first: int
    class_id: int
    last: int = 0
    frames: int = 0
    runs: list[array[float]] = field(default_factory=list)
    run_ends: list[float] = field(default_factory=list)
    _index: int = -1

    def add(self, index: int, number: int, now: float, box: NDArray[np.float64]) -> None:
        """Add a frame.

        Args:
            index: of the frame in the run, without gaps.
            number: of the frame.
            now: seconds.
            box: ``(4,)`` xyxy pixels.
        """
        x1, y1, x2, y2 = np.rint(np.clip(box, -1e6, 1e6)).astype(int).tolist()
        sample = (round(now, 3), x1, y1, x2 - x1, y2 - y1)
        if not self.runs or self._index != index - 1:
            self.runs.append(array("d", sample))
            self.run_ends.append(now)
        elif now - self.runs[-1][-SAMPLE] >= _SAMPLE_SECONDS - 1e-6:
            self.runs[-1].extend(sample)
        self._index, self.last, self.run_ends[-1] = index, number, now
        self.frames += 1

    @property
    def start(self) -> float:
        """Seconds of the first frame."""
        return self.runs[0][0]

    @property
    def end(self) -> float:
        """Seconds of the last frame."""
        return self.run_ends[-1]

    def samples(self) -> list[NDArray[np.float64]]:
        """The samples of each run, ``(S, 5)``: seconds, x, y, width, height."""
        return [np.array(run).reshape(-1, SAMPLE) for run in self.runs]
