"""A journal of a tracker's decisions: why an id was born, matched, lost, found again or deleted.

    tracker.journal = Journal()
    ...
    print(explain(tracker.journal, 7))          # explain.py puts it into words

A decision is one row of a few numbers, under 80 bytes: what happened, in which stage, at what cost against
what limit, and by what other id. Matches are looked at before the tracks are corrected, so that
the journal sees the costs that the stages saw. It only reads: the tracker's results are the same with it,
and without it the tracker does no more than ask whether there is one.

A tracker can't know that it switched an id. What it can know is that a detection lies (or looks) nearer to
another track than to the one that took it, and which lost track was nearest when a new id was born. Both
are kept (``rival``): there switches are found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou, xyxy_from_xyah
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.association import STAGES, Match, Scene, look_cost
from deepsort_paddle.tracking.track_state import TrackTable

__all__ = ["EVENT", "KINDS", "STAGE_NAMES", "Journal"]

KINDS = ("born", "confirmed", "matched", "found", "lost", "deleted", "duplicate")
STAGE_NAMES = ("", *STAGES)
# frame: counted from 1 by calls of update. gap: frames since the match before. cost, limit: of the stage.
# gate: squared Mahalanobis distance, at most 9.49 inside the gate. cosine: to the gallery. All of the
# track and the detection; NaN where there is no such thing. rival: of a born id, the missed track nearest
# to its detection; of a matched one, another track nearer to its detection; of a lost one, who took
# the detection that overlaps it most; 0 for none. rival_*: between that detection and the rival.
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
    """What happened to every id, frame by frame; give it to ``DeepSort.journal``.

    Attributes:
        frame: frames seen so far.
        max_cosine_distance: of the tracker whose journal it is; NaN before the first frame.
    """

    def __init__(self) -> None:
        self.frame = 0
        self.max_cosine_distance = np.nan
        self._chunks: list[NDArray[Any]] = []
        self._ids = np.zeros(0, np.int64)
        self._confirmed = np.zeros(0, np.bool_)
        self._gaps = np.zeros(0, np.int64)
        self._alive_by_age = np.zeros(0, np.bool_)

    def events(self, track_id: int | None = None) -> NDArray[Any]:
        """The rows, of dtype `EVENT`, of one id or of all, in the order in which they happened."""
        if len(self._chunks) > 1:
            self._chunks = [np.concatenate(self._chunks)]
        rows = self._chunks[0] if self._chunks else np.zeros(0, EVENT)
        return rows if track_id is None else rows[rows["id"] == track_id]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Every id that was born, ascending."""
        rows = self.events()
        return np.unique(rows["id"][rows["kind"] == KINDS.index("born")]).astype(np.int64)

    def decide(self, scene: Scene, found: Match, next_id: int) -> None:
        """Take down matches, losses and births; called by the tracker before it corrects its tracks.

        Args:
            scene: tracks as predicted, and the detections.
            found: who took what.
            next_id: of the first track to be born.
        """
        self.frame += 1
        self.max_cosine_distance = scene.options.max_cosine_distance
        rows = scene.rows
        self._ids, self._confirmed = rows.ids.copy(), rows.confirmed.copy()
        self._gaps = rows.frames_since_update.copy()
        young = self._gaps <= scene.options.max_age
        self._alive_by_age = (found.detection >= 0) | (self._confirmed & young)
        closeness = _Closeness(scene)
        for name, stage in found.stages:
            cost, limit = STAGES[name]
            costs = cost(scene, stage.rows, stage.columns).diagonal()
            self._matched(closeness, stage.rows, stage.columns, name, costs, getattr(scene.options, limit))
        self._lost(closeness, found)
        self._born(closeness, found, next_id)

    def settle(self, rows: TrackTable) -> None:
        """Take down who was confirmed and who is gone; called by the tracker at the end of a frame."""
        alive = np.isin(self._ids, rows.ids)
        now = np.isin(self._ids, rows.ids[rows.confirmed])
        duplicate = ~alive & self._alive_by_age
        for kind, which in (
            ("confirmed", now & ~self._confirmed),
            ("deleted", ~alive & ~duplicate),
            ("duplicate", duplicate),
        ):
            events = self._new(kind, int(which.sum()))
            events["id"], events["gap"] = self._ids[which], self._gaps[which]

    def _matched(
        self,
        closeness: _Closeness,
        tracks: NDArray[np.int64],
        columns: NDArray[np.int64],
        stage: str,
        costs: NDArray[np.float64],
        limit: float,
    ) -> None:
        gaps = self._gaps[tracks]
        for kind, which in (("matched", gaps <= 1), ("found", gaps > 1)):
            rows, taken = tracks[which], columns[which]
            events = self._new(kind, len(rows))
            events["id"], events["gap"] = self._ids[rows], gaps[which]
            events["stage"] = STAGE_NAMES.index(stage)
            events["cost"], events["limit"] = costs[which], limit
            closeness.describe(events, taken)
            closeness.measure(events, "", rows, taken)
            rival = closeness.nearer_to(rows, taken)
            known = rival >= 0
            part = events[known]
            part["rival"], part["rival_gap"] = self._ids[rival[known]], self._gaps[rival[known]]
            closeness.measure(part, "rival_", rival[known], taken[known])
            events[known] = part

    def _lost(self, closeness: _Closeness, found: Match) -> None:
        lost = np.flatnonzero((found.detection < 0) & self._confirmed & (self._gaps == 1))
        events = self._new("lost", len(lost))
        events["id"], events["gap"] = self._ids[lost], 1
        overlap = closeness.overlap[lost]
        if overlap.shape[1] == 0:
            return
        best = overlap.argmax(axis=1)
        near = overlap[np.arange(len(lost)), best] > 0
        part, columns = events[near], best[near]
        closeness.describe(part, columns)
        closeness.measure(part, "", lost[near], columns)
        taker = np.full(overlap.shape[1], -1)
        taken = found.detection >= 0
        taker[found.detection[taken]] = np.flatnonzero(taken)
        rival = taker[columns]
        by_other = rival >= 0
        other = part[by_other]
        other["rival"] = self._ids[rival[by_other]]
        other["rival_gap"] = self._gaps[rival[by_other]]
        closeness.measure(other, "rival_", rival[by_other], columns[by_other])
        part[by_other] = other
        events[near] = part

    def _born(self, closeness: _Closeness, found: Match, next_id: int) -> None:
        events = self._new("born", len(found.free))
        events["id"] = np.arange(next_id, next_id + len(found.free))
        closeness.describe(events, found.free)
        missed = np.flatnonzero((found.detection < 0) & self._confirmed)
        if len(missed) == 0 or len(found.free) == 0:
            return
        # In appearance where there is one, else in place.
        looks, gate = closeness.looks[np.ix_(missed, found.free)], closeness.gate[np.ix_(missed, found.free)]
        nearest = missed[np.where(np.isfinite(looks).any(axis=0), looks.argmin(axis=0), gate.argmin(axis=0))]
        events["rival"], events["rival_gap"] = self._ids[nearest], self._gaps[nearest]
        closeness.measure(events, "rival_", nearest, found.free)

    def _new(self, kind: str, count: int) -> NDArray[Any]:
        """Rows of this frame, appended, to be filled in."""
        events = np.zeros(count, EVENT)
        for name in EVENT.names or ():
            if EVENT[name] == np.float32:
                events[name] = np.nan
        events["frame"], events["kind"], events["detection"] = self.frame, KINDS.index(kind), -1
        if count:
            self._chunks.append(events)
        return events


class _Closeness:
    """How near every track is to every detection of a frame: ``(T, N)`` each."""

    def __init__(self, scene: Scene) -> None:
        rows, frame = scene.rows, scene.frame
        tracks, columns = np.arange(len(rows)), np.arange(len(frame.boxes_xyah))
        self.scene = scene
        self.overlap = iou(xyxy_from_xyah(rows.states[0]), frame.detections.boxes)
        self.gate = kalman.distance(rows.states, frame.boxes_xyah)
        self.looks = look_cost(scene, tracks, columns)

    def describe(self, events: NDArray[Any], columns: NDArray[np.int64]) -> None:
        """Fill in which detections, by the caller's rows, and where they are."""
        frame = self.scene.frame
        events["detection"] = frame.index[columns]
        events["x"], events["y"] = frame.boxes_xyah[columns, 0], frame.boxes_xyah[columns, 1]
        events["confidence"] = frame.detections.confidence[columns]

    def measure(
        self, events: NDArray[Any], prefix: str, tracks: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> None:
        """Fill in how near tracks and detections are, pair by pair."""
        looks = self.looks[tracks, columns]
        events[f"{prefix}iou"] = self.overlap[tracks, columns]
        events[f"{prefix}gate"] = self.gate[tracks, columns]
        events[f"{prefix}cosine"] = np.where(np.isfinite(looks), looks, np.nan)

    def nearer_to(self, tracks: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The confirmed track nearer to each detection than the one that took it, -1 for none.

        In appearance where both have one and motion allows both, else in overlap.
        """
        confirmed = np.flatnonzero(self.scene.rows.confirmed)
        if len(confirmed) == 0 or len(tracks) == 0:
            return np.full(len(tracks), -1)
        looks = np.where(self.gate <= kalman.GATE, self.looks, np.inf)
        by_look = np.isfinite(looks[tracks, columns])
        cost = np.where(by_look, looks[:, columns], 1.0 - self.overlap[:, columns])  # (T, K)
        best = confirmed[cost[confirmed].argmin(axis=0)]
        place = np.arange(len(tracks))
        return np.where(cost[best, place] < cost[tracks, place], best, -1)
