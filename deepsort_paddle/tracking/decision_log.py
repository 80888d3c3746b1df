"""Log a tracker's decisions: why an id was born, matched, lost, found again or deleted.

    tracker.journal = Journal()
    ...
    print(explain(tracker.journal, 7))          # explain.py formats it as text

A decision is one row of numbers, under 80 bytes: the event, its stage, cost and limit, and the other id.
Matches are recorded before the tracks are corrected, so the costs are those that the stages used. The log
only reads: it does not change the tracker's results. Without it the tracker only checks for one.

A tracker cannot know that it switched an id. It can know that a detection is nearer, in place or
appearance, to another track than to the one that took it, and which lost track was nearest when a new id was
born. Both are recorded (``rival``): that is where switches are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou, xyxy_from_xyah
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.association import STAGES, Match
from deepsort_paddle.tracking.costs import AssociationInput, appearance_cost
from deepsort_paddle.tracking.track_state import TrackState

__all__ = ["EVENT", "KINDS", "STAGE_NAMES", "Journal"]

KINDS = ("born", "confirmed", "matched", "found", "lost", "deleted", "duplicate")
STAGE_NAMES = ("", *STAGES)
# frame: calls of update, from 1, or their frame_numbers. gap: frames since the previous match.
# cost, limit: of the stage.
# gate: squared Mahalanobis distance, at most 9.49 inside the gate. cosine: distance to the gallery. Both, and
# iou, are between the track and the detection; NaN where undefined. rival: for a born id, the missed track
# nearest to its detection; for a matched one, another track nearer to its detection; for a lost one, the
# track that took the detection with the largest overlap; 0 for none. rival_*: that detection and the rival.
EVENT = np.dtype(
    [
        ("frame", np.int32),
        ("id", np.int32),
        ("kind", np.uint8),
        ("stage", np.uint8),
        ("detection", np.int32),
        ("x", np.float32),
        ("y", np.float32),
        ("confidence", np.float32),
        ("gap", np.int32),
        ("cost", np.float32),
        ("limit", np.float32),
        ("iou", np.float32),
        ("gate", np.float32),
        ("cosine", np.float32),
        ("rival", np.int32),
        ("rival_gap", np.int32),
        ("rival_iou", np.float32),
        ("rival_gate", np.float32),
        ("rival_cosine", np.float32),
    ]
)


class Journal:
    """All events of every id, frame by frame; assign it to ``DeepSort.journal``.

    Attributes:
        frame: number of frames seen.
        max_cosine_distance: of the tracker that writes it; NaN before the first frame.

    Example:
        >>> from deepsort_paddle import DeepSort, Detections
        >>> tracker = DeepSort()
        >>> tracker.journal = Journal()
        >>> _ = tracker.update(Detections.of([[10, 50, 50, 150]], [0.9]))
        >>> tracker.journal.ids.tolist()
        [1]
    """

    def __init__(self, frame_numbers: Sequence[int] | None = None) -> None:
        """Begin before the first frame.

        Args:
            frame_numbers: number of each frame in order, for a source whose file names give it, as
                ``FrameSource.frame_numbers``; None: 1, 2, 3...
        """
        self.frame = 0
        self._frame_numbers = frame_numbers
        self.max_cosine_distance = np.nan
        self._chunks: list[NDArray[Any]] = []
        self._ids = np.zeros(0, np.int64)
        self._confirmed = np.zeros(0, np.bool_)
        self._gaps = np.zeros(0, np.int64)
        self._alive_by_age = np.zeros(0, np.bool_)

    def events(self, track_id: int | None = None) -> NDArray[Any]:
        """Return the events in order, ``(E,)`` of dtype `EVENT`, of one id or of all."""
        if len(self._chunks) > 1:
            self._chunks = [np.concatenate(self._chunks)]
        rows = self._chunks[0] if self._chunks else np.zeros(0, EVENT)
        return rows if track_id is None else rows[rows["id"] == track_id]

    @property
    def ids(self) -> NDArray[np.int64]:
        """All ids that were born, ``(I,)``, ascending."""
        rows = self.events()
        return np.unique(rows["id"][rows["kind"] == KINDS.index("born")]).astype(np.int64)

    def decide(self, inputs: AssociationInput, found: Match, next_id: int) -> None:
        """Record matches, losses and births; the tracker calls it before it corrects its tracks.

        Args:
            inputs: predicted tracks and the detections.
            found: the association.
            next_id: of the first track to be born.
        """
        self.frame += 1
        self.max_cosine_distance = inputs.options.max_cosine_distance
        state = inputs.tracks
        self._ids, self._confirmed = state.ids.copy(), state.confirmed.copy()
        self._gaps = state.frames_since_update.copy()
        young = self._gaps <= inputs.options.max_age
        self._alive_by_age = (found.detection >= 0) | (self._confirmed & young)
        closeness = _Closeness(inputs)
        for name, stage in found.stages:
            cost, option = STAGES[name]
            costs, limit = cost(inputs, stage.rows, stage.columns).diagonal(), getattr(inputs.options, option)
            self._matched(closeness, stage.rows, stage.columns, name, costs, limit)
        self._lost(closeness, found)
        self._born(closeness, found, next_id)

    def settle(self, state: TrackState) -> None:
        """Record who was confirmed and who is gone; the tracker calls it at the end of a frame.

        Args:
            state: the tracks now alive.
        """
        alive = np.isin(self._ids, state.ids)
        confirmed = np.isin(self._ids, state.ids[state.confirmed])
        duplicate = ~alive & self._alive_by_age
        for kind, which in (
            ("confirmed", confirmed & ~self._confirmed),
            ("deleted", ~alive & ~duplicate),
            ("duplicate", duplicate),
        ):
            events = self._new(kind, int(which.sum()))
            events["id"], events["gap"] = self._ids[which], self._gaps[which]

    def _matched(
        self,
        closeness: _Closeness,
        tracks: NDArray[np.int64],
        detections: NDArray[np.int64],
        stage: str,
        costs: NDArray[np.float64],
        limit: float,
    ) -> None:
        gaps = self._gaps[tracks]
        for kind, which in (("matched", gaps <= 1), ("found", gaps > 1)):
            matched, taken = tracks[which], detections[which]
            events = self._new(kind, len(matched))
            events["id"], events["gap"] = self._ids[matched], gaps[which]
            events["stage"] = STAGE_NAMES.index(stage)
            events["cost"], events["limit"] = costs[which], limit
            closeness.describe(events, taken)
            closeness.measure(events, "", matched, taken)
            rival = closeness.nearer_to(matched, taken)
            known = rival >= 0
            with_rival = events[known]
            with_rival["rival"], with_rival["rival_gap"] = self._ids[rival[known]], self._gaps[rival[known]]
            closeness.measure(with_rival, "rival_", rival[known], taken[known])
            events[known] = with_rival

    def _lost(self, closeness: _Closeness, found: Match) -> None:
        lost = np.flatnonzero((found.detection < 0) & self._confirmed & (self._gaps == 1))
        events = self._new("lost", len(lost))
        events["id"], events["gap"] = self._ids[lost], 1
        overlap = closeness.overlap[lost]
        if overlap.shape[1] == 0:
            return
        best = overlap.argmax(axis=1)
        near = overlap[np.arange(len(lost)), best] > 0
        overlapped, detections = events[near], best[near]
        closeness.describe(overlapped, detections)
        closeness.measure(overlapped, "", lost[near], detections)
        taker = np.full(overlap.shape[1], -1)
        taken = found.detection >= 0
        taker[found.detection[taken]] = np.flatnonzero(taken)
        rival = taker[detections]
        known = rival >= 0
        with_rival = overlapped[known]
        with_rival["rival"], with_rival["rival_gap"] = self._ids[rival[known]], self._gaps[rival[known]]
        closeness.measure(with_rival, "rival_", rival[known], detections[known])
        overlapped[known] = with_rival
        events[near] = overlapped

    def _born(self, closeness: _Closeness, found: Match, next_id: int) -> None:
        born = found.unmatched
        events = self._new("born", len(born))
        events["id"] = np.arange(next_id, next_id + len(born))
        closeness.describe(events, born)
        missed = np.flatnonzero((found.detection < 0) & self._confirmed)
        if len(missed) == 0 or len(born) == 0:
            return
        # By appearance where there is one, else by place.
        cosine, gate = closeness.cosine[np.ix_(missed, born)], closeness.gate[np.ix_(missed, born)]
        by_cosine = np.isfinite(cosine).any(axis=0)
        nearest = missed[np.where(by_cosine, cosine.argmin(axis=0), gate.argmin(axis=0))]
        events["rival"], events["rival_gap"] = self._ids[nearest], self._gaps[nearest]
        closeness.measure(events, "rival_", nearest, born)

    def _new(self, kind: str, count: int) -> NDArray[Any]:
        """Append ``count`` events of this frame and return them, to be filled in."""
        events = np.zeros(count, EVENT)
        for name in EVENT.names or ():
            if EVENT[name] == np.float32:
                events[name] = np.nan
        number = self._frame_numbers[self.frame - 1] if self._frame_numbers else self.frame
        events["frame"], events["kind"], events["detection"] = number, KINDS.index(kind), -1
        if count:
            self._chunks.append(events)
        return events


class _Closeness:
    """How near every track is to every detection of a frame: ``(T, N)`` each."""

    def __init__(self, inputs: AssociationInput) -> None:
        state, usable = inputs.tracks, inputs.detections
        self.inputs = inputs
        self.overlap = iou(xyxy_from_xyah(state.states[kalman.POSITION]), usable.detections.boxes)
        self.gate = kalman.distance(state.states, usable.boxes_xyah)
        self.cosine = appearance_cost(inputs, np.arange(len(state)), np.arange(len(usable.index)))

    def describe(self, events: NDArray[Any], detections: NDArray[np.int64]) -> None:
        """Fill in the detections, by the caller's rows, and their places."""
        usable = self.inputs.detections
        events["detection"] = usable.index[detections]
        events["x"], events["y"] = usable.boxes_xyah[detections, 0], usable.boxes_xyah[detections, 1]
        events["confidence"] = usable.detections.confidence[detections]

    def measure(
        self, events: NDArray[Any], prefix: str, tracks: NDArray[np.int64], detections: NDArray[np.int64]
    ) -> None:
        """Fill in how near tracks and detections are, pair by pair."""
        cosine = self.cosine[tracks, detections]
        events[f"{prefix}iou"] = self.overlap[tracks, detections]
        events[f"{prefix}gate"] = self.gate[tracks, detections]
        events[f"{prefix}cosine"] = np.where(np.isfinite(cosine), cosine, np.nan)

    def nearer_to(self, tracks: NDArray[np.int64], detections: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the confirmed track nearer to each detection than the one that took it.

        Args:
            tracks: ``(K,)`` that took a detection.
            detections: ``(K,)`` taken.

        Returns:
            ``(K,)`` tracks, -1 for none: nearer by appearance where both have one and motion allows both,
            else by overlap.
        """
        confirmed = np.flatnonzero(self.inputs.tracks.confirmed)
        if len(confirmed) == 0 or len(tracks) == 0:
            return np.full(len(tracks), -1)
        cosine = np.where(self.gate <= kalman.GATE, self.cosine, np.inf)
        by_cosine = np.isfinite(cosine[tracks, detections])
        cost = np.where(by_cosine, cosine[:, detections], 1.0 - self.overlap[:, detections])  # (T, K)
        best = confirmed[cost[confirmed].argmin(axis=0)]
        pair = np.arange(len(tracks))
        return np.where(cost[best, pair] < cost[tracks, pair], best, -1)
