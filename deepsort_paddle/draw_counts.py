"""Lines, zones and their counts on a frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.counts import Counts, LineCount, ZoneCount

__all__ = ["draw_counts"]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINE, _ZONE, _DARK = (255, 255, 255), (255, 220, 120), (30, 30, 30)


def draw_counts(image: NDArray[np.uint8], counts: Counts) -> NDArray[np.uint8]:
    """A copy of ``image`` with every line and zone and what was counted there.

    At a line an arrow points each way, its count at the tip. OpenCV draws ASCII only: another name shows
    as #1, its place among the lines or zones.

    Args:
        image: ``(H, W, 3)`` uint8 BGR; not modified.
        counts: as from `TrackCounter.counts`.
    """
    canvas = np.ascontiguousarray(image).copy()
    for number, zone in enumerate(counts.zones, 1):
        _draw_zone(canvas, zone, _shown(zone.zone.name, number))
    for number, line in enumerate(counts.lines, 1):
        _draw_line(canvas, line, _shown(line.line.name, number))
    return canvas


def _shown(name: str, number: int) -> str:
    return name if name.isascii() and name.isprintable() else f"#{number}"


def _pixels(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Whole pixels within what OpenCV can draw."""
    return np.rint(np.clip(points, -30_000, 30_000)).astype(np.int32)


def _draw_zone(canvas: NDArray[np.uint8], count: ZoneCount, name: str) -> None:
    corners = _pixels(np.array(count.zone.polygon, float))
    weight = max(1, round(min(canvas.shape[:2]) / 360))
    cv2.polylines(canvas, [corners[:, None]], True, _DARK, weight + 2, cv2.LINE_AA)
    cv2.polylines(canvas, [corners[:, None]], True, _ZONE, weight, cv2.LINE_AA)
    text = f"{name}: {count.occupancy} here, {count.entries} in, {count.exits} out"
    _draw_text(canvas, text, corners[corners[:, 1].argmin()].astype(float))


def _draw_line(canvas: NDArray[np.uint8], count: LineCount, name: str) -> None:
    start, end = np.array(count.line.start, float), np.array(count.line.end, float)
    along = (end - start) / np.hypot(*(end - start))
    right = np.array([-along[1], along[0]])
    weight = max(1, round(min(canvas.shape[:2]) / 360))
    reach = max(10.0, min(canvas.shape[:2]) / 22)
    ends = [point.tolist() for point in _pixels(np.stack([start, end]))]
    cv2.line(canvas, ends[0], ends[1], _DARK, weight + 2, cv2.LINE_AA)
    cv2.line(canvas, ends[0], ends[1], _LINE, weight, cv2.LINE_AA)
    for sign, number, place in ((1, count.to_right, 0.55), (-1, count.to_left, 0.45)):
        foot = start + place * (end - start)
        tip = foot + sign * reach * right
        root, head = (point.tolist() for point in _pixels(np.stack([foot, tip])))
        cv2.arrowedLine(canvas, root, head, _DARK, weight + 2, cv2.LINE_AA, tipLength=0.35)
        cv2.arrowedLine(canvas, root, head, _LINE, weight, cv2.LINE_AA, tipLength=0.35)
        _draw_text(canvas, str(number), tip + sign * 0.5 * reach * right)
    _draw_text(canvas, name, start)


def _draw_text(canvas: NDArray[np.uint8], text: str, middle: NDArray[np.float64]) -> None:
    """Dark on white around a point, moved into the frame."""
    height, width = canvas.shape[:2]
    scale = max(0.35, min(height, width) / 1100)
    weight = max(1, round(scale * 1.6))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, weight)
    pad = max(2, text_height // 4)
    tag = np.array([text_width + 2 * pad, text_height + 2 * pad])
    left, top = np.clip(middle - tag / 2, 0, np.maximum([width, height] - tag, 0)).astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (left + int(tag[0]), top + int(tag[1])), _LINE, cv2.FILLED)
    cv2.putText(canvas, text, (left + pad, top + pad + text_height), _FONT, scale, _DARK, weight, cv2.LINE_AA)
