"""The state of a tracker: its live tracks as a struct of arrays, oldest track first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.boxes import iou, xyxy_from_xyah
from deepsort_paddle.tracking import kalman

__all__ = ["TrackState"]


@dataclass(slots=True)
class TrackState:
    """What is known of each of T live tracks; the tracker updates the arrays in place.

    Attributes:
        ids: ``(T,)`` int64, ascending.
        class_id: ``(T,)`` int64 of the last matched detection.
        confidence: ``(T,)`` float32 of the last matched detection.
        hits: ``(T,)`` int64, number of matched detections.
        streak: ``(T,)`` int64, number of successive frames with a match, up to the last match.
        frames_since_update: ``(T,)`` int64, 0 when matched in this frame.
        confirmed: ``(T,)`` bool; the others are tentative.
        slots: ``(T,)`` int64 slot in the gallery, -1 while there is no gallery.
        observed: ``(T, 4)`` float64 xyah of the last matched detection, in pixels.
        states: ``(5, T, 4)`` float64 Kalman states, as in `kalman`.
        anchors: ``(5, T, 4)`` float64, the states right after the last match; ``(5, T, 0)`` if the
            tracker does not use them (``observation_centred``).
        sizes: ``(T, 2)`` float64 running mean of the detections' width and height, in pixels; the first
            ones where the tracker does not use it (``size_momentum``).
        hidden: ``(T,)`` bool, whether the track has been hidden since it was missed; True while matched, and
            where the tracker does not use it (``hidden_coast``).
    """

    ids: NDArray[np.int64]
    class_id: NDArray[np.int64]
    confidence: NDArray[np.float32]
    hits: NDArray[np.int64]
    streak: NDArray[np.int64]
    frames_since_update: NDArray[np.int64]
    confirmed: NDArray[np.bool_]
    slots: NDArray[np.int64]
    observed: NDArray[np.float64]
    states: NDArray[np.float64]
    anchors: NDArray[np.float64]
    sizes: NDArray[np.float64]
    hidden: NDArray[np.bool_]

    @classmethod
    def empty(cls, *, anchored: bool = False) -> Self:
        """Return the state without tracks; ``anchored``: it has ``anchors``."""
        return cls(
            ids=np.zeros(0, np.int64),
            class_id=np.zeros(0, np.int64),
            confidence=np.zeros(0, np.float32),
            hits=np.zeros(0, np.int64),
            streak=np.zeros(0, np.int64),
            frames_since_update=np.zeros(0, np.int64),
            confirmed=np.zeros(0, np.bool_),
            slots=np.zeros(0, np.int64),
            observed=np.zeros((0, 4)),
            states=np.zeros((kalman.PLANES, 0, 4)),
            anchors=np.zeros((kalman.PLANES, 0, 4 if anchored else 0)),
            sizes=np.zeros((0, 2)),
            hidden=np.zeros(0, np.bool_),
        )

    @classmethod
    def restored(cls, columns: Mapping[str, NDArray[Any]], *, anchored: bool) -> Self:
        """Return the state that saved arrays describe.

        Args:
            columns: the arrays by attribute name; files of earlier versions have no ``sizes``, ``hidden`` and
                ``streak``.
            anchored: whether they have ``anchors``.

        Raises:
            ValueError: an array is missing, unknown, of another dtype or shape, or not finite.
        """
        later: dict[str, NDArray[Any]] = {}
        if "sizes" not in columns:
            observed = columns["observed"]
            later["sizes"] = np.column_stack([observed[:, 2] * observed[:, 3], observed[:, 3]])
            later["hidden"] = np.ones(len(observed), np.bool_)
        if "streak" not in columns:
            later["streak"] = columns["hits"].copy()
        state, pattern = cls(**columns, **later), cls.empty(anchored=anchored)
        for name, axis in _axes(state).items():
            column, like = getattr(state, name), getattr(pattern, name)
            shape = (*like.shape[:axis], len(state), *like.shape[axis + 1 :])
            if column.dtype != like.dtype or column.shape != shape:
                raise ValueError(f"{name} must be {like.dtype} {shape}, got {column.dtype} {column.shape}")
            if not np.isfinite(column).all():
                raise ValueError(f"{name} must be finite")
        return state

    def __len__(self) -> int:
        return len(self.ids)

    def warp(self, camera_motion: NDArray[np.float64]) -> None:
        """Move the positions of all tracks by a ``(2, 3)`` affine map from the previous frame's pixels."""
        self.states = kalman.warp(self.states, camera_motion)
        self.observed = kalman.warp(self.observed[None], camera_motion)[0]
        self.sizes = self.sizes * np.sqrt(abs(np.linalg.det(camera_motion[:, :2])))
        if self.anchors.shape[2]:
            self.anchors = kalman.warp(self.anchors, camera_motion)

    def duplicates(self, max_iou: float) -> NDArray[np.bool_]:
        """Return which confirmed tracks duplicate another one.

        Args:
            max_iou: a lost track and a track matched in this frame that overlap more are one person; the one
                with fewer detections is the duplicate.

        Returns:
            ``(T,)`` bool.
        """
        positions = self.states[kalman.POSITION]
        duplicate = np.zeros(len(self), bool)
        seen = np.flatnonzero(self.confirmed & (self.frames_since_update == 0))
        lost = np.flatnonzero(self.confirmed & (self.frames_since_update > 0))
        overlap = iou(xyxy_from_xyah(positions[seen]), xyxy_from_xyah(positions[lost]))
        row, column = np.nonzero(overlap > max_iou)
        older = self.hits[seen[row]] >= self.hits[lost[column]]
        duplicate[lost[column[older]]] = True
        duplicate[seen[row[~older]]] = True
        return duplicate

    def selected(self, keep: NDArray[np.bool_]) -> Self:
        """Return a copy of the tracks for which ``keep``, ``(T,)`` bool, is true."""
        return type(self)(
            *(np.compress(keep, getattr(self, name), axis=axis) for name, axis in _axes(self).items())
        )

    def joined(self, later: TrackState) -> Self:
        """Return a copy of these tracks followed by those of ``later``."""
        return type(self)(
            *(
                np.concatenate([getattr(self, name), getattr(later, name)], axis=axis)
                for name, axis in _axes(self).items()
            )
        )


def _axes(state: TrackState) -> dict[str, int]:
    """Return the axis of each array that runs over the tracks."""
    return {field.name: int(field.name in ("states", "anchors")) for field in fields(state)}
