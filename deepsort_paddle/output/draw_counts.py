"""Draw lines, zones and their counts on a frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import shared_area
from deepsort_paddle.counting.places import Counts, LineCount, ZoneCount
from deepsort_paddle.output.lettering import can_draw, draw_text, text_scale, text_size

__all__ = ["draw_counts", "shown_name"]

_Text = tuple[str, NDArray[np.float64]]
# Vertical offsets of a name from its point, in its own heights; the nearest come first.
_ROWS = (0, -1, 1, -2, 2, -3, 3)
_LINE, _ZONE, _DARK = (255, 255, 255), (255, 220, 120), (30, 30, 30)


def draw_counts(image: NDArray[np.uint8], counts: Counts) -> NDArray[np.uint8]:
    """Draw all lines and zones with their counts.

    A line has an arrow for each direction, with the count at the tip. Names avoid counts and each other.
    A name without a suitable font becomes its number, such as line 1 or zone 2.

    Args:
        image: ``(H, W, 3)`` uint8 BGR; not modified.
        counts: as from `TrackCounter.counts`.

    Returns:
        ``(H, W, 3)`` uint8 BGR, a copy.
    """
    canvas = np.ascontiguousarray(image).copy()
    texts = [
        _draw_zone(canvas, zone, shown_name("zone", zone.zone.name, number))
        for number, zone in enumerate(counts.zones, 1)
    ]
    names = [shown_name("line", line.line.name, number) for number, line in enumerate(counts.lines, 1)]
    taken: list[NDArray[np.float64]] = []
    for line, name in zip(counts.lines, names, strict=True):
        numbers = _draw_line(canvas, line)
        for text, middle in numbers:
            _draw_text(canvas, text, middle, taken, fixed=True)
        texts.append((name, np.array(line.line.start, float)))
    for text, middle in texts:
        _draw_text(canvas, text, middle, taken)
    return canvas


def shown_name(kind: str, name: str, number: int) -> str:
    """Return the text to draw for a name.

    Args:
        kind: ``line`` or ``zone``.
        name: the name.
        number: its number among the lines or zones, from 1; drawn where no font here has the name.
    """
    return name if can_draw(name) else f"{kind} {number}"


def _pixels(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Round to whole pixels in the range that OpenCV can draw."""
    return np.rint(np.clip(points, -30_000, 30_000)).astype(np.int32)


def _draw_zone(canvas: NDArray[np.uint8], count: ZoneCount, name: str) -> _Text:
    """Draw the outline; return the text for its topmost corner."""
    corners = _pixels(np.array(count.zone.polygon, float))
    weight = max(1, round(min(canvas.shape[:2]) / 360))
    cv2.polylines(canvas, [corners[:, None]], True, _DARK, weight + 2, cv2.LINE_AA)
    cv2.polylines(canvas, [corners[:, None]], True, _ZONE, weight, cv2.LINE_AA)
    text = f"{name}: {count.occupancy} here, {count.entries} in, {count.exits} out"
    return text, corners[corners[:, 1].argmin()].astype(float)


def _draw_line(canvas: NDArray[np.uint8], count: LineCount) -> list[_Text]:
    """Draw the line and its arrows; return the counts for their tips."""
    start, end = np.array(count.line.start, float), np.array(count.line.end, float)
    along = (end - start) / np.hypot(*(end - start))
    right = np.array([-along[1], along[0]])
    weight = max(1, round(min(canvas.shape[:2]) / 360))
    reach = max(10.0, min(canvas.shape[:2]) / 22)
    ends = [point.tolist() for point in _pixels(np.stack([start, end]))]
    cv2.line(canvas, ends[0], ends[1], _DARK, weight + 2, cv2.LINE_AA)
    cv2.line(canvas, ends[0], ends[1], _LINE, weight, cv2.LINE_AA)
    numbers = []
    right_name, left_name = (f"{word} " if count.line.is_named else "" for word in count.line.directions)
    for sign, text, place in (
        (1, f"{right_name if can_draw(right_name) else ''}{count.to_right}", 0.55),
        (-1, f"{left_name if can_draw(left_name) else ''}{count.to_left}", 0.45),
    ):
        foot = start + place * (end - start)
        tip = foot + sign * reach * right
        root, head = (point.tolist() for point in _pixels(np.stack([foot, tip])))
        cv2.arrowedLine(canvas, root, head, _DARK, weight + 2, cv2.LINE_AA, tipLength=0.35)
        cv2.arrowedLine(canvas, root, head, _LINE, weight, cv2.LINE_AA, tipLength=0.35)
        numbers.append((text, tip + sign * 0.5 * reach * right))
    return numbers


def _draw_text(
    canvas: NDArray[np.uint8],
    text: str,
    middle: NDArray[np.float64],
    taken: list[NDArray[np.float64]],
    *,
    fixed: bool = False,
) -> None:
    """Draw dark text on white at a point, inside the frame; unless ``fixed``, avoid the tags in ``taken``."""
    height, width = canvas.shape[:2]
    scale, weight = text_scale(height, width)
    text_width, text_height = text_size(text, scale, weight)
    pad = max(2, text_height // 4)
    tag = np.array([text_width + 2 * pad, text_height + 2 * pad])
    steps = np.outer((0,) if fixed else _ROWS, [0, tag[1]])  # (P, 2)
    places = np.trunc(np.clip(middle - tag / 2 + steps, 0, np.maximum([width, height] - tag, 0)))
    tags = np.hstack([places, places + tag])  # (P, 4)
    others = np.array(taken).reshape(-1, 4)
    chosen = tags[shared_area(tags, others).sum(axis=1).argmin()]
    taken.append(chosen)
    left, top = chosen[:2].astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (left + int(tag[0]), top + int(tag[1])), _LINE, cv2.FILLED)
    draw_text(canvas, text, (left + pad, top + pad), scale=scale, weight=weight, color=_DARK)
