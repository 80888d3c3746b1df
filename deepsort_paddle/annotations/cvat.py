"""CVAT's XML for videos, version 1.1.

A track is one object: boxes at key frames, linear in between, and a box marked ``outside`` where the object
disappears. Frames and pixels start at 0, and coordinates are continuous. Only key frames are written, as CVAT
reads no others. No attributes are written: a task whose label does not declare them could not be loaded. So
CVAT renumbers the tracks, and persons are identified by their boxes afterwards.

Source: https://docs.cvat.ai/docs/other/xml_format

XML may declare entities that expand without bounds or read other files. Annotations need no document type, so
a file with one is refused before its content is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

__all__ = ["CvatFile", "CvatTrack", "read_cvat", "write_cvat"]

_KIND = "export the task from CVAT as 'CVAT for video 1.1'"
_COORDINATES = ("xtl", "ytl", "xbr", "ybr")
_OTHER_SHAPES = ("polygon", "polyline", "points", "cuboid", "ellipse", "mask", "skeleton")
_LAST_FRAME = 10_000_000
_LARGEST = 1e6  # a coordinate in pixels
_MOST_TRACKS = 100_000  # a small archive can hold millions of empty ones


@dataclass(frozen=True, slots=True)
class CvatTrack:
    """One track of a file.

    Attributes:
        name: its id in the file.
        label: its class.
        frames: ``(K,)`` int64 from 0, ascending.
        boxes: ``(K, 4)`` float64 xyxy pixels.
        outside: ``(K,)`` whether the object is not visible from this frame on.
        occluded: ``(K,)`` whether it is partly hidden.

    Example:
        >>> track = CvatTrack("0", "person", np.array([0, 10]), np.array([[0, 0, 9, 9], [20, 0, 29, 9.0]]),
        ...                   np.zeros(2, bool), np.zeros(2, bool))
        >>> places, boxes = track.at(np.array([5, 99]))
        >>> places.tolist(), boxes.tolist()
        ([0], [[10.0, 0.0, 19.0, 9.0]])
    """

    name: str
    label: str
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    outside: NDArray[np.bool_]
    occluded: NDArray[np.bool_]

    @property
    def last(self) -> int:
        """The last frame with a visible box; -1 without any."""
        return int(self.frames[~self.outside].max(initial=-1))

    def at(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Interpolate the boxes in some frames.

        Args:
            frames: ``(F,)`` frames from 0, ascending.

        Returns:
            ``(V,)`` indices of the frames in which the object is visible, and ``(V, 4)`` its boxes there.
        """
        before = np.searchsorted(self.frames, frames, side="right") - 1
        places = np.flatnonzero((before >= 0) & (frames <= self.last))
        places = places[~self.outside[before[places]]]
        here = before[places]
        after = np.minimum(here + 1, len(self.frames) - 1)
        after = np.where(self.outside[after], here, after)  # the box is constant until the object disappears
        span = np.maximum(self.frames[after] - self.frames[here], 1)
        share = ((frames[places] - self.frames[here]) / span)[:, None]
        share = np.where((after == here)[:, None], 0.0, share)
        return places, self.boxes[here] + share * (self.boxes[after] - self.boxes[here])


@dataclass(frozen=True, slots=True)
class CvatFile:
    """The content of a file.

    Attributes:
        tracks: tracks in the order of the file.
        size: width and height of the frames in pixels; None if unknown.
    """

    tracks: tuple[CvatTrack, ...]
    size: tuple[int, int] | None = None


def read_cvat(file: IO[bytes], shown: str) -> CvatFile:
    """Read the tracks of a file.

    Args:
        file: file opened for reading bytes.
        shown: its name, for errors.

    Returns:
        The content.

    Raises:
        ValueError: it is damaged, or not a CVAT annotation of a video with boxes; the message has the reason.
    """
    reader = _Reader(shown)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.ParseFile(file)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise ValueError(f"{shown}, line {error.lineno}: broken XML ({reason})") from None
    except LookupError as error:
        raise ValueError(f"{shown}: broken XML ({error})") from None
    return reader.result()


class _Reader:
    """Handle the events of the parser."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._open: list[str] = []
        self._words = ""
        self._size: dict[str, str] = {}
        self._sizes: set[tuple[str | None, str | None]] = set()
        self._tasks: set[str] = set()
        self._track: dict[str, str] | None = None
        self._rows: list[tuple[float, ...]] = []
        self._tracks: list[CvatTrack] = []

    def refuse_doctype(self, *_: Any) -> None:
        raise ValueError(f"{self._shown}: expected no document type (DOCTYPE), which CVAT never writes")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "annotations":
            raise ValueError(f"{self._shown}: expected CVAT annotations, got <{name[:40]}>: {_KIND}")
        within = self._open[-1] if self._open else ""
        self._open.append(name)
        self._words = ""
        if within == "annotations" and name == "image":
            raise ValueError(f"{self._shown}: boxes of single images without tracks: {_KIND}")
        if within == "annotations" and name == "track":
            self._track, self._rows = attributes, []
            self._tasks.add(attributes.get("task_id", ""))
            if len(self._tasks) > 1:
                raise ValueError(f"{self._shown}: expected the annotations of one task, got several")
        elif within == "track" and name in _OTHER_SHAPES:
            raise ValueError(f"{self._shown}: track {self._name()}: expected boxes, got a {name}")
        elif within == "track" and name == "box":
            self._rows.append(self._box(attributes))

    def end(self, name: str) -> None:
        self._open.pop()
        within = self._open[-1] if self._open else ""
        if within == "original_size" and name in ("width", "height"):
            self._size[name] = self._words.strip()
        elif name == "original_size":
            self._sizes.add((self._size.get("width"), self._size.get("height")))
        elif within == "annotations" and name == "track":
            self._end_track()

    def text(self, words: str) -> None:
        if len(self._words) < 100:
            self._words += words

    def result(self) -> CvatFile:
        if len(self._sizes) > 1:
            raise ValueError(f"{self._shown}: expected frames of one size, got several")
        for width, height in self._sizes:
            if not (width and height and width.isdecimal() and height.isdecimal()):
                raise ValueError(
                    f"{self._shown}: original_size must be whole numbers, got {width} x {height}"
                )
            return CvatFile(tuple(self._tracks), (int(width), int(height)))
        return CvatFile(tuple(self._tracks))

    def _name(self) -> str:
        return (self._track or {}).get("id", str(len(self._tracks)))[:40]

    def _box(self, attributes: dict[str, str]) -> tuple[float, ...]:
        """Parse frame, coordinates, outside and occluded."""
        where = f"{self._shown}: track {self._name()}"
        try:
            frame = int(attributes["frame"])
            corners = [float(attributes[name]) for name in _COORDINATES]
            turned = float(attributes.get("rotation", 0))
        except KeyError as error:
            raise ValueError(f"{where}: a box has no {error.args[0]}") from None
        except ValueError as error:
            raise ValueError(f"{where}: a box has a wrong number ({error})") from None
        if not 0 <= frame <= _LAST_FRAME:
            raise ValueError(f"{where}: expected a frame from 0 to {_LAST_FRAME}, got {frame}")
        if not (np.isfinite(corners).all() and max(map(abs, corners)) <= _LARGEST):
            raise ValueError(f"{where}, frame {frame}: expected coordinates in pixels, got {corners}")
        outside = attributes.get("outside", "0") == "1"
        if not outside and not (corners[0] < corners[2] and corners[1] < corners[3]):
            raise ValueError(f"{where}, frame {frame}: expected a box with an area, got {corners}")
        if turned % 360:
            raise ValueError(f"{where}, frame {frame}: expected an upright box, got one turned by {turned:g}")
        return (frame, *corners, outside, attributes.get("occluded", "0") == "1")

    def _end_track(self) -> None:
        if len(self._tracks) == _MOST_TRACKS:
            raise ValueError(f"{self._shown}: more than {_MOST_TRACKS:,} tracks")
        rows = sorted(self._rows)
        frames = np.array([row[0] for row in rows], np.int64)
        twice = np.flatnonzero(np.diff(frames) == 0)
        if len(twice):
            raise ValueError(f"{self._shown}: track {self._name()} has two boxes in frame {frames[twice[0]]}")
        label = (self._track or {}).get("label")
        if label is None:
            raise ValueError(f"{self._shown}: track {self._name()} has no label")
        self._tracks.append(
            CvatTrack(
                self._name(),
                label,
                frames,
                np.array([row[1:5] for row in rows], np.float64).reshape(-1, 4),
                np.array([row[5] for row in rows], bool),
                np.array([row[6] for row in rows], bool),
            )
        )


def write_cvat(
    file: IO[str],
    tracks: Sequence[CvatTrack],
    *,
    name: str,
    frames: int,
    size: tuple[int, int] | None,
    labels: Sequence[str],
) -> None:
    """Write a file.

    Args:
        file: file opened for writing UTF-8 text.
        tracks: tracks in any order.
        name: name of the video.
        frames: number of frames.
        size: width and height of the frames in pixels; None if unknown.
        labels: class names.
    """
    file.write(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task>\n'
    )
    file.write(f"<name>{_text(name)}</name>\n<size>{frames}</size>\n<mode>interpolation</mode>\n<labels>")
    file.write("".join(f"<label><name>{_text(label)}</name></label>" for label in labels) + "</labels>\n")
    if size is not None:
        file.write(f"<original_size><width>{size[0]}</width><height>{size[1]}</height></original_size>\n")
    file.write("</task></meta>\n")
    for track in tracks:
        file.write(f'<track id="{track.name}" label={quoteattr(_plain(track.label))} source="auto">\n')
        columns = (track.frames, track.boxes, track.outside, track.occluded)
        for frame, box, outside, occluded in zip(*(one.tolist() for one in columns), strict=True):
            corners = " ".join(f'{key}="{value:.2f}"' for key, value in zip(_COORDINATES, box, strict=True))
            file.write(
                f'<box frame="{frame}" {corners} outside="{outside:d}" occluded="{occluded:d}" '
                'keyframe="1" z_order="0"></box>\n'
            )
        file.write("</track>\n")
    file.write("</annotations>\n")


def _text(words: str) -> str:
    """Escape the text of an element."""
    return escape(_plain(words))


def _plain(words: str) -> str:
    """Remove control characters and surrogates, which XML cannot represent."""
    return "".join(one for one in words if one.isprintable())
