"""Draw boxes, ids and trails on a frame.

The colour of an id depends on the id only. Hues advance by the golden ratio, so that consecutive ids, which
often stand side by side, differ most. Such hues come close again after Fibonacci numbers of ids (8, 13, 21,
34, 55), so six shades alternate: the first Fibonacci number that is a multiple of 6 is 144. Line widths and
text scale with the frame's shorter side.
"""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.arguments import check_frame, check_type
from deepsort_paddle.boxes import shared_area
from deepsort_paddle.output.lettering import draw_text, text_scale, text_size
from deepsort_paddle.structures import Tracks

__all__ = ["Trails", "draw_tracks", "track_color"]

_GOLDEN_RATIO = 0.618033988749895
# Pairs of saturation and value, the best of several hundred sets by the smallest CIELAB distance: 13.8 among
# any 20 consecutive ids, 11.1 among 40, 5.5 among 100 (below 1 with one shade).
_SHADES = ((0.9, 1.0), (0.9, 0.65), (0.5, 0.75), (0.45, 1.0), (0.7, 0.85), (0.3, 0.85))


class Trails:
    """Keep the recent positions of each track (the bottom centres of its boxes).

    Example:
        >>> from deepsort_paddle import DeepSort, Detections
        >>> tracker, trails = DeepSort(n_init=1), Trails(length=2)
        >>> for x in (0, 10, 20):
        ...     points = trails.update(tracker.update(Detections.of([[x, 0, x + 40, 100]])))
        >>> points[1].shape
        (2, 2)
    """

    def __init__(self, length: int = 40) -> None:
        """Start without positions.

        Args:
            length: number of frames to keep.
        """
        self._length = length
        self._frame = 0
        self._points: dict[int, deque[tuple[int, float, float]]] = {}

    def update(self, tracks: Tracks) -> dict[int, NDArray[np.float64]]:
        """Add the tracks of one frame.

        Args:
            tracks: of the next frame.

        Returns:
            For every id in ``tracks`` its positions, ``(T, 2)`` x, y pixels, oldest first.
        """
        self._frame += 1
        for track_id, (left, _, right, bottom) in zip(
            tracks.ids.tolist(), tracks.boxes.tolist(), strict=True
        ):
            self._points.setdefault(track_id, deque()).append((self._frame, (left + right) / 2, bottom))
        oldest = self._frame - self._length
        for track_id, points in list(self._points.items()):
            while points and points[0][0] <= oldest:
                points.popleft()
            if not points:
                del self._points[track_id]
        return {
            track_id: np.array([point[1:] for point in self._points.get(track_id, ())]).reshape(-1, 2)
            for track_id in tracks.ids.tolist()
        }


def track_color(track_id: int) -> tuple[int, int, int]:
    """Return the BGR colour of an id, each in 0 to 255; the same in every run."""
    hue = track_id * _GOLDEN_RATIO % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, *_SHADES[(track_id - 1) % len(_SHADES)])
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_tracks(
    image: NDArray[np.uint8],
    tracks: Tracks,
    *,
    trails: Mapping[int, NDArray[np.float64]] | None = None,
    label: Callable[[Tracks, int], str] | None = None,
) -> NDArray[np.uint8]:
    """Draw a box and a label for each track.

    Nearer people (with a lower box edge) are drawn over farther ones, and labels over all boxes. Each label
    is inside the frame and does not overlap other labels if there is room. Tracks without a detection in this
    frame have a thin box.

    Args:
        image: ``(H, W, 3)`` uint8 BGR of any size; not modified.
        tracks: of this frame; boxes may extend beyond the frame.
        trails: ``(T, 2)`` points by id, as from `Trails.update`.
        label: ``label(tracks, row)`` returns the label of a row; None: the id.

    Returns:
        ``(H, W, 3)`` uint8 BGR, a copy.

    Raises:
        ValueError: the image has another shape or dtype, or ``tracks`` are not `Tracks`.
    """
    check_frame(image)
    check_type("tracks", tracks, Tracks, "as a tracker's update returns them")
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    thickness = max(1, round(min(height, width) / 300))
    order = np.argsort(tracks.boxes[:, 3], kind="stable") if len(tracks) else np.zeros(0, np.int64)
    colors = [track_color(track_id) for track_id in tracks.ids.tolist()]
    for row in order.tolist():
        if trails is not None:
            _draw_trail(canvas, trails.get(int(tracks.ids[row])), colors[row], thickness)
    # OpenCV's coordinates are 32-bit: a box far outside must not wrap around.
    boxes = np.clip(tracks.boxes, -10_000, [width + 10_000, height + 10_000] * 2)
    corners = np.rint(boxes).astype(int).tolist()
    for row in order.tolist():
        left, top, right, bottom = corners[row]
        weight = thickness if tracks.detection_index[row] >= 0 else max(1, thickness // 2)
        cv2.rectangle(canvas, (left, top), (right, bottom), colors[row], weight)
    taken = np.zeros((len(tracks), 4))
    for row in reversed(order.tolist()):
        text = str(tracks.ids[row]) if label is None else label(tracks, row)
        taken[row] = _draw_label(canvas, text, corners[row], colors[row], taken)
    return canvas


def _draw_trail(
    canvas: NDArray[np.uint8],
    points: NDArray[np.float64] | None,
    color: tuple[int, int, int],
    thickness: int,
) -> None:
    """Draw a line through ``(T, 2)`` points; the older half is thinner."""
    if points is None or len(points) < 2:
        return
    path = np.rint(np.clip(points, -10_000, 30_000)).astype(np.int32)
    middle = len(path) // 2
    for half, weight in ((path[: middle + 1], max(1, thickness // 2)), (path[middle:], thickness)):
        if len(half) > 1:
            cv2.polylines(canvas, [half[:, None, :]], False, color, weight, cv2.LINE_AA)


def _draw_label(
    canvas: NDArray[np.uint8],
    text: str,
    box: list[int],
    color: tuple[int, int, int],
    taken: NDArray[np.float64],
) -> tuple[int, int, int, int]:
    """Draw a filled tag near the box, at the place inside the frame with the least overlap with other tags.

    Places above the box come first, then inside, below, beside it, and one or two lines farther away.

    Args:
        canvas: to draw on.
        text: the label; an empty one is not drawn.
        box: x1, y1, x2, y2; no tag is drawn for a box outside the frame.
        color: of the tag, BGR.
        taken: ``(N, 4)`` xyxy of other tags; zeros for none.

    Returns:
        The tag's x1, y1, x2, y2; zeros for no tag.
    """
    height, width = canvas.shape[:2]
    left, top, right, bottom = box
    if not text or right < 0 or bottom < 0 or left >= width or top >= height:
        return 0, 0, 0, 0
    scale, weight = text_scale(height, width)
    text_width, text_height = text_size(text, scale, weight)
    pad = max(2, text_height // 4)
    tag_width, tag_height = text_width + 2 * pad, text_height + 2 * pad
    x = min(max(left, 0), max(width - tag_width, 0))
    right_x = min(max(right - tag_width, 0), max(width - tag_width, 0))
    above = top - tag_height
    places = [(x, above), (right_x, above), (x, top), (x, bottom), (right_x, bottom)]
    places += [(left - tag_width, top), (right, top), (x, above - tag_height), (right_x, above - tag_height)]
    places += [
        (left - tag_width, above),
        (right, above),
        (x, above - 2 * tag_height),
        (x, bottom + tag_height),
    ]
    inside = [
        (px, py, px + tag_width, py + tag_height)
        for px, py in places
        if 0 <= py <= height - tag_height and 0 <= px <= max(width - tag_width, 0)
    ]
    clamped = min(max(top, 0), max(height - tag_height, 0))
    fallback = (x, clamped, x + tag_width, clamped + tag_height)
    inside = inside or [fallback]
    tag = inside[int(shared_area(np.array(inside, float), taken).sum(axis=1).argmin())]
    cv2.rectangle(canvas, tag[:2], (tag[2] - 1, tag[3] - 1), color, cv2.FILLED)
    blue, green, red = color
    ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 120 else (255, 255, 255)
    corner = (tag[0] + pad, tag[3] - pad - 1 - text_height)
    draw_text(canvas, text, corner, scale=scale, weight=weight, color=ink)
    return tag
