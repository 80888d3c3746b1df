"""Where people stood and where they walked, as images to lay over the scene.

Both maps are of the feet: the bottom centre of the boxes. The first sums the seconds that anybody stood
within a small distance of a place, so it shows where people wait. The second counts the people who passed
within that distance, each once, so it shows where they walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.output.report.track_path import TrackPath

__all__ = ["HeatMap", "heat_maps"]

_CELLS = 160  # along the longer side of the frame
_REACH = 2.5  # cells
_ALPHA = 210  # of the hottest place, out of 255


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A value for each cell of the frame.

    Attributes:
        values: ``(h, w)`` float64.
        reach: distance from a place that counts, pixels of the frame.
    """

    values: NDArray[np.float64]
    reach: float

    @property
    def most(self) -> float:
        """The largest value."""
        return float(self.values.max(initial=0.0))

    def png(self) -> bytes:
        """The map in colours: transparent where nothing was, yellow where most was.

        Colours follow the square root, so that one person who stood for long does not hide all others.
        """
        share = np.sqrt(self.values / max(self.most, 1e-9))
        colours = cv2.applyColorMap(np.rint(55 + 200 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)
        alpha = np.rint(_ALPHA * np.minimum(share * 2.5, 1.0)).astype(np.uint8)
        content: bytes = cv2.imencode(".png", np.dstack([colours, alpha]))[1].tobytes()
        return content


def heat_maps(
    paths: Mapping[int, TrackPath], width: int, height: int, persons: Iterable[int] | None = None
) -> tuple[HeatMap, HeatMap]:
    """Draw both maps.

    Args:
        paths: by track id.
        width: of the frame, pixels.
        height: of the frame, pixels.
        persons: of the paths, in their order; None: each is a person of its own.

    Returns:
        seconds that people stood, and how many people passed, within ``reach`` of each place.

    Example:
        >>> path = TrackPath(first=1, class_id=0)
        >>> for number in range(11):
        ...     path.add(number, number, 0.1 * number, np.array([10.0, 10.0, 30.0, 50.0]))
        >>> stood, passed = heat_maps({1: path}, 160, 120)
        >>> stood.most, passed.most
        (1.0, 1.0)
    """
    cell = max(width, height) / _CELLS
    shape = (max(1, int(np.ceil(height / cell))), max(1, int(np.ceil(width / cell))))
    seconds, passed = np.zeros(shape), np.zeros(shape)
    by_person: dict[int, list[TrackPath]] = {}
    for person, path in zip(paths if persons is None else persons, paths.values(), strict=True):
        by_person.setdefault(person, []).append(path)
    for own in by_person.values():
        mask = np.zeros(shape, np.uint8)
        for path in own:
            for samples, end in zip(path.samples(), path.run_ends, strict=True):
                feet = np.column_stack([samples[:, 1] + samples[:, 3] / 2, samples[:, 2] + samples[:, 4]])
                cells = np.clip((feet / cell).astype(int), 0, [shape[1] - 1, shape[0] - 1])  # (S, 2) x, y
                stays = np.diff(samples[:, 0], append=max(end, samples[-1, 0]))
                np.add.at(seconds, (cells[:, 1], cells[:, 0]), stays)
                cv2.polylines(mask, [cells[:, None].astype(np.int32)], False, 1)
                mask[cells[:, 1], cells[:, 0]] = 1  # a line of one point draws nothing
        left, top, wide, high = cv2.boundingRect(mask)
        around = int(np.ceil(_REACH))
        part = np.s_[max(top - around, 0) : top + high + around, max(left - around, 0) : left + wide + around]
        passed[part] += cv2.dilate(mask[part], _disc())
    near = cv2.filter2D(seconds, -1, _disc().astype(np.float64), borderType=cv2.BORDER_CONSTANT)
    return HeatMap(np.maximum(near, 0.0), _REACH * cell), HeatMap(passed, _REACH * cell)


def _disc() -> NDArray[np.uint8]:
    """The cells within reach of the middle one, as ones."""
    side = np.arange(-int(_REACH), int(_REACH) + 1)
    return (np.hypot(*np.meshgrid(side, side)) <= _REACH).astype(np.uint8)
