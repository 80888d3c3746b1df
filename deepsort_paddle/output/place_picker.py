"""The page of ``--pick``: draw lines and zones on a frame, and copy the matching options."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.counting.places import Line, Zone
from deepsort_paddle.output.page import PageTemplate, data_uri
from deepsort_paddle.part_files import replacing

__all__ = ["write_pick_page"]

_LARGEST = 1600  # side of the image in the page, pixels


def write_pick_page(
    path: str | Path,
    image: NDArray[np.uint8],
    *,
    title: str = "",
    lines: Sequence[Line] = (),
    zones: Sequence[Zone] = (),
    pixel_aspect: Fraction | float = 1,
) -> None:
    """Write a self-contained page.

    Args:
        path: the page.
        image: ``(H, W, 3)`` uint8 BGR, the frame to draw on.
        title: name of the video.
        lines: initial lines, in pixels of the frame.
        zones: initial zones, in pixels of the frame.
        pixel_aspect: displayed width / height of a stored pixel.

    Raises:
        OSError: the page cannot be written.
        ImportError: Jinja2 is not installed.
    """
    height, width = image.shape[:2]
    shown = (width * float(pixel_aspect), float(height))
    scale = min(1.0, _LARGEST / max(shown))
    size = (max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    places = [
        *(("line", line.name, (line.start, line.end), line.directions) for line in lines),
        *(("zone", zone.name, zone.polygon, ()) for zone in zones),
    ]
    page = PageTemplate("deepsort_paddle.output", "pick_page").render(
        title=title,
        image=data_uri("image/jpeg", content.tobytes()),
        shown=size,
        scene={
            "width": width,
            "height": height,
            "shown": list(size),
            "places": [
                {
                    "kind": kind,
                    "name": name,
                    "directions": list(directions),
                    "points": [[x / width, y / height] for x, y in points],
                }
                for kind, name, points, directions in places
            ],
        },
    )
    with replacing(path) as file:
        file.write(page.encode())
