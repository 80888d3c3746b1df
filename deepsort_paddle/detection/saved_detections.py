"""Detections and embeddings of a whole run in one ``.npz`` file, so that the next run computes neither.

The file holds arrays only and is read without pickle: ``frame``, ``boxes``, ``confidence``, ``class_id``,
``described`` and ``embeddings`` have a row for each detection, ``frame_number`` and ``timestamp`` one for
each frame, ``about`` is one JSON text. A run that took the camera's motion from the images adds it as
``camera_motion``, a map for each frame, so that the next run reads no images for it. Numbers keep the types
that the tracker computes with (boxes float64, embeddings float32), so that a run from the file gives the same
tracks to the last digit; float16 would halve the file and change distances that lie near a threshold.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.detection.candidates import suppress
from deepsort_paddle.frames import Frame, FrameSource, Tally
from deepsort_paddle.structures import Detections

__all__ = ["COLUMNS", "SUFFIX", "AboutDetections", "SavedDetections", "SavedMotion"]

SUFFIX = ".npz"
FORMAT = 1
# Type and shape of each array; N detections, F frames.
COLUMNS: Mapping[str, tuple[type[np.generic], tuple[str | int, ...]]] = {
    "frame": (np.int64, ("N",)),
    "boxes": (np.float64, ("N", 4)),
    "confidence": (np.float32, ("N",)),
    "class_id": (np.int64, ("N",)),
    "described": (np.bool_, ("N",)),  # whether the frame of the detection has embeddings
    "embeddings": (np.float32, ("N", "D")),
    "frame_number": (np.int64, ("F",)),
    "timestamp": (np.float64, ("F",)),  # NaN: unknown
}
# Arrays that a file may lack.
_OPTIONAL: Mapping[str, tuple[type[np.generic], tuple[str | int, ...]]] = {
    "camera_motion": (np.float64, ("F", 2, 3)),  # from the pixels of the frame before to this frame's
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutDetections:
    """Where saved detections come from.

    Attributes:
        source: name of the video or sequence.
        fps: frames per second of the frames that were tracked; None when unknown.
        width: width of the frames in pixels; None if unknown.
        height: height of the frames in pixels; None if unknown.
        pixel_aspect: width over height of a stored pixel, as ``4/3``.
        every: step and first frame, where only every N-th frame was tracked.
        start: seconds at which the run began; None: at the first frame.
        end: seconds at which it ended; None: at the last frame.
        mirror: whether left and right of the frames were exchanged.
        broken: frames that could not be read.
        detector: name of the detector, or of the detection file.
        labels: class names by number.
        min_confidence: detections below it were not saved.
        class_confidence: the same for single classes, by number.
        default_confidence: threshold of the detector where nothing else asks for one; None when unknown.
        min_height: detections less high, in pixels, were not saved.
        encoder: name of the appearance model; None: there are no embeddings, or a detection file had them.
        encoder_checksum: SHA-256 of what runs of it; None when unknown.
        max_cosine_distance: the encoder's threshold; None without encoder.
        calibrated: whether that was measured for the encoder.
    """

    source: str
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    pixel_aspect: str = "1"
    every: tuple[int, ...] | None = None
    start: float | None = None
    end: float | None = None
    mirror: bool = False
    broken: int = 0
    detector: str | None = None
    labels: tuple[str, ...] = ("person",)
    min_confidence: float = 0.0
    default_confidence: float | None = None
    class_confidence: Mapping[int, float] = field(default_factory=dict)
    min_height: float = 0.0
    encoder: str | None = None
    encoder_checksum: str | None = None
    max_cosine_distance: float | None = None
    calibrated: bool = False

    def as_json(self) -> str:
        """The text of the array ``about``."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` described.

        Raises:
            ValueError: it is no such text, or of a later version.
        """
        known = json.loads(text)
        if not isinstance(known, dict) or known.pop("format", None) != FORMAT or "source" not in known:
            raise ValueError(f"expected format {FORMAT}")
        known = {name: value for name, value in known.items() if name in {one.name for one in fields(cls)}}
        scores = known.get("class_confidence") or {}
        return cls(
            **{
                **known,
                "class_confidence": {int(number): float(score) for number, score in scores.items()},
                "labels": tuple(map(str, known.get("labels", ()))),
                "every": None if known.get("every") is None else tuple(map(int, known["every"])),
            }
        )


@dataclass(frozen=True, slots=True, eq=False)
class SavedDetections:
    """The detections of a whole run; a detector that answers from a file.

    Attributes:
        path: the file.
        about: where they come from.
        frame_number: ``(F,)`` int64 number of each frame, with or without detections.
        timestamp: ``(F,)`` float64 seconds of each frame, NaN when unknown.
        has_embeddings: whether any frame has embeddings.
        camera_motion: ``(F, 2, 3)`` float64 map from the previous frame's pixels to each frame's, as taken
            from the images; None where the run did not.

    Example:
        >>> saved = SavedDetections.read("street.npz")  # doctest: +SKIP
        >>> saved(1, None).embeddings.shape  # doctest: +SKIP
        (7, 512)
    """

    path: Path
    about: AboutDetections
    frame_number: NDArray[np.int64]
    timestamp: NDArray[np.float64]
    has_embeddings: bool
    camera_motion: NDArray[np.float64] | None
    _by_frame: dict[int, Detections] = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file that ``--save-detections`` has written.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not a file of saved detections, or its columns differ in length.
        """
        path = Path(path)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                columns = {name: arrays[name] for name in (*COLUMNS, "about")}
                columns |= {name: arrays[name] for name in _OPTIONAL if name in arrays}
            about = AboutDetections.from_json(str(columns.pop("about")))
            _check_columns(columns)
            by_frame = _by_frame(columns)
        except KeyError as error:
            raise ValueError(f"{path} is no file of --save-detections: {error.args[0]}") from None
        except (ValueError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is no file of --save-detections: {error}") from None
        described = bool(columns["described"].any())
        motion = columns.get("camera_motion")
        return cls(path, about, columns["frame_number"], columns["timestamp"], described, motion, by_frame)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by number."""
        return self.about.labels

    def __call__(self, frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        """Detections of one frame as they were saved; ``image`` is not looked at."""
        found = self._by_frame.get(frame_number)
        return Detections.empty() if found is None else found

    def by_frame(self) -> dict[int, Detections]:
        """All detections, by frame number."""
        return dict(self._by_frame)

    def all_boxes(self) -> NDArray[np.float64]:
        """``(N, 4)`` the boxes of all frames."""
        return np.concatenate([np.zeros((0, 4)), *(found.boxes for found in self._by_frame.values())])

    def without_embeddings(self) -> Self:
        """The same boxes, for tracking by motion alone."""
        plain = {number: replace(found, embeddings=None) for number, found in self._by_frame.items()}
        return replace(self, has_embeddings=False, _by_frame=plain)

    def of_classes(self, classes: list[int]) -> Self:
        """Those of some classes only."""
        return self._kept(lambda found: np.isin(found.class_id, classes))

    def suppressed(self, max_iou: float) -> Self:
        """Of two detections that overlap more, only the more confident."""
        return self._kept(
            lambda one: np.sort(suppress(one.boxes, one.confidence, one.class_id, max_iou=max_iou))
        )

    def _kept(self, rows: Callable[[Detections], NDArray[Any]]) -> Self:
        return replace(self, _by_frame={number: one[rows(one)] for number, one in self._by_frame.items()})

    def source(self) -> FrameSource:
        """Return the frames of the detections, without images."""
        about = self.about
        seconds = [None if np.isnan(one) else float(one) for one in self.timestamp]
        numbers = tuple(self.frame_number.tolist())
        frames = (Frame(number, None, second) for number, second in zip(numbers, seconds, strict=True))
        return FrameSource(
            frames,
            Tally(broken=about.broken),
            name=about.source,
            fps=about.fps,
            frame_count=len(numbers),
            size=(about.height, about.width),
            has_images=False,
            frame_numbers=numbers,
            pixel_aspect=Fraction(about.pixel_aspect),
        )


class SavedMotion:
    """The camera's motion from a file, for `track_frames`; called once on each frame, in order.

    Args:
        saved: with ``camera_motion``.
        frame_numbers: of the frames to come; those in between count, as with ``--stride``.

    Example:
        >>> saved = SavedDetections.read("street.npz")  # doctest: +SKIP
        >>> SavedMotion(saved, [1, 3, 5])(None, boxes).shape  # doctest: +SKIP
        (2, 3)
    """

    def __init__(self, saved: SavedDetections, frame_numbers: Sequence[int]) -> None:
        if saved.camera_motion is None:
            raise ValueError(f"{saved.path} holds no camera motion")
        self._maps = _composed(saved.frame_number, saved.camera_motion, frame_numbers)

    def __call__(self, image: NDArray[np.uint8] | None, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The ``(2, 3)`` map of the next frame; neither argument is looked at."""
        return next(self._maps, np.eye(2, 3))


def _composed(
    numbers: NDArray[np.int64], maps: NDArray[np.float64], wanted: Sequence[int]
) -> Iterator[NDArray[np.float64]]:
    """The map of each frame asked for from the one before it."""
    full = np.tile(np.eye(3), (len(maps), 1, 1))
    full[:, :2] = maps
    start = int(np.searchsorted(numbers, wanted[0], side="right")) if len(wanted) else 0
    yield np.eye(2, 3)
    for number in wanted[1:]:
        stop = int(np.searchsorted(numbers, number, side="right"))
        total = np.eye(3)
        for one in full[start:stop]:
            total = one @ total
        start = stop
        yield total[:2]


def _check_columns(columns: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError unless all arrays have the type and the shape that `COLUMNS` gives."""
    sizes: dict[str | int, int] = {}
    for name, (kind, shape) in {**COLUMNS, **_OPTIONAL}.items():
        if name not in columns:
            continue
        column = columns[name]
        if column.dtype != kind or column.ndim != len(shape):
            expected = f"{np.dtype(kind)} with {len(shape)} axes"
            raise ValueError(f"{name} must be {expected}, got {column.dtype} {column.shape}")
        for side, got in zip(shape, column.shape, strict=True):
            expected_size = side if isinstance(side, int) else sizes.setdefault(side, got)
            if got != expected_size:
                raise ValueError(f"{name} must have {expected_size} for {side}, got {column.shape}")
    if not np.isfinite(columns.get("camera_motion", 0.0)).all():
        raise ValueError("camera_motion must be finite")
    numbers = columns["frame_number"]
    if len(numbers) and (numbers[0] < 1 or (np.diff(numbers) <= 0).any()):
        raise ValueError("frame_number must rise, from 1 on")
    if not np.isin(columns["frame"], numbers).all() or (np.diff(columns["frame"]) < 0).any():
        raise ValueError("frame must hold numbers of frame_number, rising")


def _by_frame(columns: Mapping[str, NDArray[Any]]) -> dict[int, Detections]:
    """The rows of each frame."""
    numbers, starts = np.unique(columns["frame"], return_index=True)
    edges = [*starts.tolist(), len(columns["frame"])]
    found = {}
    for number, (start, stop) in zip(numbers.tolist(), pairwise(edges), strict=True):
        rows = slice(start, stop)
        described = bool(columns["described"][rows].all())
        found[number] = Detections(
            boxes=columns["boxes"][rows],
            confidence=columns["confidence"][rows],
            class_id=columns["class_id"][rows],
            embeddings=columns["embeddings"][rows] if described else None,
        )
    return found
