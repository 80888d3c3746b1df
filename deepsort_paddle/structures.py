"""Detections and tracks as structs of arrays.

A frozen dataclass holds the columns of the same objects. Indexing selects rows of all columns together, so an
embedding always stays with its box. Columns are validated once, on construction; later code relies on that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from deepsort_paddle.boxes import as_boxes

__all__ = ["Detections", "Tracks"]

_SQUARE_OVERFLOWS = 1e15  # the sum of some thousand squares of this overflows float32


@dataclass(frozen=True, slots=True)
class Detections:
    """The detections of one frame.

    Attributes:
        boxes: ``(N, 4)`` float64 xyxy pixels, finite.
        confidence: ``(N,)`` float32, normally in [0, 1]; only thresholds on confidence depend on the range.
        class_id: ``(N,)`` int64.
        embeddings: ``(N, D)`` float32 unit rows, where a zero row means "no appearance"; or None.

    Raises:
        ValueError: a column has the wrong shape or holds NaN or infinity.

    Example:
        >>> detections = Detections.of([[10, 20, 60, 170], [100, 20, 150, 170]], confidence=[0.9, 0.4])
        >>> detections[detections.confidence > 0.5].boxes
        array([[ 10.,  20.,  60., 170.]])
    """

    boxes: NDArray[np.float64]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    embeddings: NDArray[np.float32] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        check_column("boxes", self.boxes, (count, 4))
        check_column("confidence", self.confidence, (count,))
        check_column("class_id", self.class_id, (count,))
        if self.embeddings is not None:
            check_column("embeddings", self.embeddings, (count, -1))

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        confidence: ArrayLike | None = None,
        class_id: ArrayLike | None = None,
        embeddings: ArrayLike | None = None,
    ) -> Self:
        """Make detections from arrays or sequences of any dtype.

        Args:
            boxes: ``(N, 4)`` xyxy pixels; `deepsort_paddle.boxes.xyxy_from_tlwh` converts from left, top,
                width and height.
            confidence: ``(N,)``; 1 by default.
            class_id: ``(N,)`` whole numbers; 0 by default.
            embeddings: ``(N, D)``; scaled to unit length, zero rows stay zero.

        Returns:
            The detections, with the dtypes of `Detections`.

        Raises:
            ValueError: a column has the wrong shape or holds NaN, infinity or text, or a class is not a
                whole number.
        """
        array = as_boxes(boxes)
        count = len(array)
        return cls(
            boxes=array,
            confidence=np.ones(count, np.float32)
            if confidence is None
            else _numbers("confidence", confidence, np.float32),
            class_id=np.zeros(count, np.int64)
            if class_id is None
            else _numbers("class_id", class_id, np.int64),
            embeddings=None if embeddings is None else unit_rows(embeddings, count),
        )

    @classmethod
    def empty(cls) -> Self:
        """Return zero detections, the value for a frame without any."""
        return cls.of(np.zeros((0, 4)))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Self:
        """Select rows of all columns by slice, mask or index array."""
        rows = row_index(index)
        return type(self)(
            boxes=self.boxes[rows],
            confidence=self.confidence[rows],
            class_id=self.class_id[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
        )


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks that a tracker reports for one frame.

    Attributes:
        ids: ``(M,)`` int64, from 1, unique within one tracker.
        boxes: ``(M, 4)`` float64 xyxy pixels, from the Kalman filter.
        confidence: ``(M,)`` float32, of the last matched detection.
        class_id: ``(M,)`` int64.
        detection_index: ``(M,)`` int64, row of the matched detection in this frame, -1 if unmatched.
        frames_since_update: ``(M,)`` int64, 0 if matched in this frame.

    Example:
        >>> from deepsort_paddle import DeepSort
        >>> tracker, detections = DeepSort(n_init=1), Detections.of([[10, 20, 60, 170]])
        >>> for _ in range(2):
        ...     tracks = tracker.update(detections)
        >>> tracks.ids, tracks[tracks.detection_index >= 0].boxes.round()
        (array([1]), array([[ 10.,  20.,  60., 170.]]))
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    detection_index: NDArray[np.int64]
    frames_since_update: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """Return zero tracks."""
        none = np.zeros(0, np.int64)
        return cls(none, np.zeros((0, 4)), np.zeros(0, np.float32), none, none, none)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Self:
        """Select rows of all columns by slice, mask or index array."""
        rows = row_index(index)
        return type(self)(
            ids=self.ids[rows],
            boxes=self.boxes[rows],
            confidence=self.confidence[rows],
            class_id=self.class_id[rows],
            detection_index=self.detection_index[rows],
            frames_since_update=self.frames_since_update[rows],
        )


def row_index(index: Any) -> Any:
    """Convert a row selection to one that indexes a column.

    Args:
        index: a slice, mask, index array, list (also empty) or single row number.

    Returns:
        A slice, or a one-dimensional array.
    """
    if isinstance(index, slice):
        return index
    rows = np.atleast_1d(index)
    return rows.astype(np.int64) if rows.size == 0 and rows.dtype.kind == "f" else rows  # [] is float64


def _numbers(name: str, column: ArrayLike, kind: type[np.generic]) -> NDArray[Any]:
    """Convert a column to ``kind``.

    Raises:
        ValueError: the column holds text, or holds fractions and ``kind`` is an integer.
    """
    try:
        given = np.asarray(column)
        if given.dtype.kind in "SU":
            raise TypeError  # NumPy would convert text to numbers
        with np.errstate(over="ignore", invalid="ignore"):  # the result is refused later
            converted = np.ascontiguousarray(given, dtype=kind)
    except (TypeError, ValueError):
        got = " ".join(repr(column).split())  # one line, also for arrays
        got = got if len(got) <= 80 else f"{got[:80]}..."
        raise ValueError(f"{name} must be numbers, got {got}") from None
    if kind is np.int64 and given.dtype.kind == "f" and not (converted == given).all():
        raise ValueError(f"{name} must be whole numbers, got {given[converted != given][0]:g}")
    return converted


def unit_rows(embeddings: ArrayLike, count: int) -> NDArray[np.float32]:
    """Scale embeddings to unit length.

    Args:
        embeddings: ``(count, D)``.
        count: the expected number of rows.

    Returns:
        ``(count, D)`` float32; zero rows stay zero.

    Raises:
        ValueError: the shape differs, or a value is NaN, infinite or beyond float32.
    """
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, which is refused below
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    if rows.size == 0 and count == 0 and rows.ndim != 2:
        rows = np.zeros((0, 0), np.float32)
    check_column("embeddings", rows, (count, -1))
    if np.abs(rows).max(initial=0.0) > _SQUARE_OVERFLOWS:
        rows = rows / np.abs(rows).max(axis=1, keepdims=True, initial=1.0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return scaled


def check_column(name: str, column: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless ``column`` has ``shape`` (-1: any size) and only finite values."""
    fits = column.ndim == len(shape) and all(
        size in (-1, got) for size, got in zip(shape, column.shape, strict=True)
    )
    if not fits:
        expected = (
            "("
            + ", ".join("D" if size == -1 else str(size) for size in shape)
            + ("," if len(shape) == 1 else "")
            + ")"
        )
        raise ValueError(f"{name} must be {expected}, got {column.shape}")
    if not np.isfinite(column).all():
        raise ValueError(f"{name} must be finite, row {int(np.argwhere(~np.isfinite(column))[0][0])} is not")
