"""The live tracks of a tracker as columns, one row a track, oldest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

__all__ = ["TrackTable"]


@dataclass(slots=True)
class TrackTable:
    """What is known of each of T live tracks; the tracker changes the columns in place.

    Attributes:
        ids: ``(T,)`` int64, rising.
        class_id: ``(T,)`` int64 of the last matched detection.
        confidence: ``(T,)`` float32 of the last matched detection.
        hits: ``(T,)`` int64, detections taken so far.
        frames_since_update: ``(T,)`` int64, 0 when matched in this frame.
        confirmed: ``(T,)`` bool; the others are tentative.
        slots: ``(T,)`` int64 slot in the gallery, -1 while there is no gallery.
        observed: ``(T, 4)`` float64 xyah of the last matched detection.
        states: ``(5, T, 4)`` float64, as in ``kalman``.
        anchors: ``(5, T, 4)`` float64, the states right after the last match; ``(5, T, 0)`` where the
            tracker does not use them.
    """

    ids: NDArray[np.int64]
    class_id: NDArray[np.int64]
    confidence: NDArray[np.float32]
    hits: NDArray[np.int64]
    frames_since_update: NDArray[np.int64]
    confirmed: NDArray[np.bool_]
    slots: NDArray[np.int64]
    observed: NDArray[np.float64]
    states: NDArray[np.float64]
    anchors: NDArray[np.float64]

    @classmethod
    def empty(cls, *, anchored: bool = False) -> Self:
        """No tracks; ``anchored`` keeps ``anchors``."""
        return cls(
            ids=np.zeros(0, np.int64),
            class_id=np.zeros(0, np.int64),
            confidence=np.zeros(0, np.float32),
            hits=np.zeros(0, np.int64),
            frames_since_update=np.zeros(0, np.int64),
            confirmed=np.zeros(0, np.bool_),
            slots=np.zeros(0, np.int64),
            observed=np.zeros((0, 4)),
            states=np.zeros((5, 0, 4)),
            anchors=np.zeros((5, 0, 4 if anchored else 0)),
        )

    @classmethod
    def restored(cls, columns: Mapping[str, NDArray[Any]], *, anchored: bool) -> Self:
        """The table of stored columns.

        Raises:
            ValueError: one is missing, unknown, of another dtype or length, or not finite.
        """
        table, pattern = cls(**columns), cls.empty(anchored=anchored)
        for name, axis in _axes(table).items():
            column, like = getattr(table, name), getattr(pattern, name)
            wanted = (*like.shape[:axis], len(table), *like.shape[axis + 1 :])
            if column.dtype != like.dtype or column.shape != wanted:
                raise ValueError(f"{name} must be {like.dtype} {wanted}, got {column.dtype} {column.shape}")
            if not np.isfinite(column).all():
                raise ValueError(f"{name} must be finite")
        return table

    def __len__(self) -> int:
        return len(self.ids)

    def selected(self, keep: NDArray[np.bool_]) -> Self:
        """The rows in ``keep``, ``(T,)``, copied."""
        return type(self)(
            *(np.compress(keep, getattr(self, name), axis=axis) for name, axis in _axes(self).items())
        )

    def joined(self, other: TrackTable) -> Self:
        """These rows, then those of ``other``, copied."""
        return type(self)(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)], axis=axis)
                for name, axis in _axes(self).items()
            )
        )


def _axes(table: TrackTable) -> dict[str, int]:
    """The axis of each column along which the tracks lie."""
    return {field.name: int(field.name in ("states", "anchors")) for field in fields(table)}
