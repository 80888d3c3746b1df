"""Detections and tracks as structs of arrays.

Columns that belong to the same objects travel together in one frozen dataclass: indexing
it moves all columns, so an embedding can never end up beside another person's box. They are
validated once, when they are made, and the code behind trusts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from deepsort_paddle.boxes import as_boxes

__all__ = ["Detections", "Tracks"]

_SQUARE_OVERFLOWS = 1e15  # with some thousand of them in a row, in float32


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector found in one frame.

    Attributes:
        boxes: ``(N, 4)`` float64 xyxy pixels, finite.
        confidence: ``(N,)`` float32, should be in [0, 1]; only options by confidence depend on it.
        class_id: ``(N,)`` int64.
        embeddings: ``(N, D)`` float32 unit rows, a zero row meaning 'no appearance'; or None.

    Raises:
        ValueError: a column has the wrong shape or holds NaN or infinity.
    """

    boxes: NDArray[np.float64]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    embeddings: NDArray[np.float32] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        expect_column("boxes", self.boxes, (count, 4))
        expect_column("confidence", self.confidence, (count,))
        expect_column("class_id", self.class_id, (count,))
        if self.embeddings is not None:
            expect_column("embeddings", self.embeddings, (count, -1))

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        confidence: ArrayLike | None = None,
        class_id: ArrayLike | None = None,
        embeddings: ArrayLike | None = None,
    ) -> Self:
        """Make detections from anything array-like, converting dtypes once.

        Args:
            boxes: ``(N, 4)`` xyxy pixels; `deepsort_paddle.boxes.xyxy_from_tlwh` makes them of left, top,
                width and height.
            confidence: ``(N,)``; 1 when left out.
            class_id: ``(N,)`` whole numbers; 0 when left out.
            embeddings: ``(N, D)``; scaled to unit rows here, zero rows stay zero.

        Raises:
            ValueError: a column has the wrong shape or holds NaN, infinity or text, or a class is no whole
                number.
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
        """No detections: the value for a frame in which nothing was found."""
        return cls.of(np.zeros((0, 4)))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Self:
        """Rows by slice, mask or index array; all columns move together."""
        rows = row_index(index)
        return type(self)(
            boxes=self.boxes[rows],
            confidence=self.confidence[rows],
            class_id=self.class_id[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
        )


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks that the tracker reports for one frame.

    Attributes:
        ids: ``(M,)`` int64, from 1, unique within one tracker.
        boxes: ``(M, 4)`` float64 xyxy pixels, from the filter.
        confidence: ``(M,)`` float32 of the last matched detection.
        class_id: ``(M,)`` int64.
        detection_index: ``(M,)`` int64 row of this frame's detections, -1 when unmatched.
        frames_since_update: ``(M,)`` int64, 0 when matched in this frame.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    detection_index: NDArray[np.int64]
    frames_since_update: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """No tracks."""
        none = np.zeros(0, np.int64)
        return cls(none, np.zeros((0, 4)), np.zeros(0, np.float32), none, none, none)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Self:
        """Rows by slice, mask or index array; all columns move together."""
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
    """What picks rows of a column by slice, mask, index array or list, also an empty one, or one number."""
    if isinstance(index, slice):
        return index
    rows = np.atleast_1d(index)
    return rows.astype(np.int64) if rows.size == 0 and rows.dtype.kind == "f" else rows  # [] is float64


def _numbers(name: str, column: ArrayLike, kind: type[np.generic]) -> NDArray[Any]:
    """A column as numbers of one kind; whole ones stay what they are.

    Raises:
        ValueError: it holds text or, where whole numbers are wanted, fractions.
    """
    try:
        given = np.asarray(column)
        if given.dtype.kind in "SU":
            raise TypeError  # NumPy would read numbers in text
        with np.errstate(over="ignore", invalid="ignore"):  # what comes out is refused
            wanted = np.ascontiguousarray(given, dtype=kind)
    except (TypeError, ValueError):
        got = " ".join(repr(column).split())  # of arrays in many lines
        got = got if len(got) <= 80 else f"{got[:80]}..."
        raise ValueError(f"{name} must be numbers, got {got}") from None
    if kind is np.int64 and given.dtype.kind == "f" and not (wanted == given).all():
        raise ValueError(f"{name} must be whole numbers, got {given[wanted != given][0]:g}")
    return wanted


def unit_rows(embeddings: ArrayLike, count: int) -> NDArray[np.float32]:
    """``(count, D)`` embeddings scaled to unit length in float32; zero rows stay zero."""
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which is refused below
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    if rows.size == 0 and count == 0 and rows.ndim != 2:
        rows = np.zeros((0, 0), np.float32)
    expect_column("embeddings", rows, (count, -1))
    if np.abs(rows).max(initial=0.0) > _SQUARE_OVERFLOWS:
        rows = rows / np.abs(rows).max(axis=1, keepdims=True, initial=1.0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return scaled


def expect_column(name: str, column: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless ``column`` has ``shape`` (-1: any size) and only finite values."""
    fits = column.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, column.shape, strict=True)
    )
    if not fits:
        wanted = (
            "("
            + ", ".join("D" if side == -1 else str(side) for side in shape)
            + ("," if len(shape) == 1 else "")
            + ")"
        )
        raise ValueError(f"{name} must be {wanted}, got {column.shape}")
    if not np.isfinite(column).all():
        raise ValueError(f"{name} must be finite, row {int(np.argwhere(~np.isfinite(column))[0][0])} is not")
