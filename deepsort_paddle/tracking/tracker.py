"""DeepSORT: tracks people over frames by motion and appearance.

Each frame: predict every track; pair confirmed tracks with detections by appearance inside the motion
gate, those seen most recently first (the cascade); pair what is left, tentative tracks
among it, by overlap (the IoU stage); correct matched tracks, start new ones, delete lost ones.
Tracks are rows of arrays, oldest first, and every step works on all rows at once.

The results are those of the published code on the same detections and embeddings; docs/tracker.md
lists what differs on purpose. The pairing is in `association`, the options are in `options`: what goes
beyond the paper has its place there and is off by default.

Source: Wojke, Bewley and Paulus, "Simple online and realtime tracking with a deep association
metric", ICIP 2017 (arXiv 1703.07402).
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.arguments import affine, expect_kind
from deepsort_paddle.boxes import iou, xyah_from_xyxy, xyxy_from_xyah
from deepsort_paddle.part_files import part_path, publish
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.association import Frame, Match, Scene, match
from deepsort_paddle.tracking.box_motion import motion_from_boxes
from deepsort_paddle.tracking.decision_log import Journal
from deepsort_paddle.tracking.gallery import Gallery
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.track_state import TrackTable

__all__ = ["DeepSort"]

_STATE_FORMAT = 1
# A side below, or a coordinate beyond, can't be a person in pixels, and squares of it lose all digits.
_MIN_SIDE = 1e-6
_MAX_COORDINATE = 1e9
# No detector is so sure that its box has no error at all.
_LEAST_NOISE = 0.05
_TURNED = (
    "most boxes end left of or above where they begin and are ignored: x1, y1, x2, y2 are wanted, "
    "deepsort_paddle.boxes.xyxy_from_tlwh makes them of left, top, width, height"
)


class DeepSort(TrackerOptions):
    """The tracker. One instance follows one camera; instances share nothing.

    Call ``update`` on every frame that the detector has looked at, also on those in which it found nobody:
    ages count its calls. Leave out frames that it has not looked at: no detections mean that nobody is there.

    Its options are those of `TrackerOptions`, keyword only; the defaults are DeepSORT as published,
    ``DeepSort(**PRESETS["strong"])`` are those that go well together.

    Attributes:
        journal: takes down the reason of every decision when there is one; None by default. `reset` puts
            an empty one in its place, `save` leaves it out.

    Raises:
        ValueError: an option is out of range; the message names it.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.journal: Journal | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and start at id 1 again, as for a new video."""
        self._rows = TrackTable.empty(anchored=self.observation_centred)
        self._gallery: Gallery | None = None
        self._next_id = 1
        if self.journal is not None:
            self.journal = Journal()

    def update(self, detections: Detections, *, camera_motion: NDArray[np.float64] | None = None) -> Tracks:
        """Track one frame.

        Args:
            detections: what was found in it, possibly nothing; not modified, not kept. Boxes without width or
                height neither match nor start a track. Without embeddings the appearance stage is empty.
            camera_motion: ``(2, 3)`` affine map from the previous frame's pixels to this frame's.

        Returns:
            Confirmed tracks that were matched in this frame (or at most ``coast`` frames ago), oldest first.

        Raises:
            ValueError: no `Detections`, embeddings of another length than before, a wrong ``camera_motion``.
                The tracker is then as it was before the call.
        """
        scene = self.scene(detections, camera_motion=camera_motion)
        self._rows, frame = scene.rows, scene.frame
        found = match(scene)
        if self.journal is not None:
            self.journal.decide(scene, found, self._next_id)
        self._correct(frame, found)
        detection_index = self._renew(frame, found.detection, found.free)
        if self.journal is not None:
            self.journal.settle(self._rows)
        return self._report(detection_index)

    def scene(self, detections: Detections, *, camera_motion: NDArray[np.float64] | None = None) -> Scene:
        """What `update` with the same arguments will look at: tracks as predicted, usable detections.

        Nothing is decided and no track changes. The columns are the tracker's own: read them, before the next
        ``update``.

        Raises:
            ValueError: as `update`.
        """
        expect_kind("detections", detections, Detections, "as Detections.of(boxes, confidence) makes them")
        if camera_motion is not None:
            camera_motion = affine(camera_motion)
        frame = self._prepare(detections)
        rows = replace(
            self._rows,
            states=kalman.predict(self._rows.states, velocity_noise=self.velocity_noise),
            frames_since_update=self._rows.frames_since_update + 1,
        )
        if camera_motion is not None:
            self._move(rows, camera_motion)
        if self.min_camera_pairs:
            self._move(rows, self._common_motion(rows, frame))
        return Scene(self, rows, self._gallery, frame)

    def _prepare(self, detections: Detections) -> Frame:
        """Drop what can't be tracked; check the embeddings and open the gallery for the first ones."""
        embeddings = detections.embeddings
        if embeddings is not None and len(embeddings):
            if embeddings.shape[1] == 0:
                raise ValueError("embeddings must be (N, D) with D at least 1, got D = 0")
            if self._gallery is None:
                self._open_gallery(embeddings.shape[1])
            elif embeddings.shape[1] != self._gallery.dimension:
                raise ValueError(
                    f"embeddings must be (N, {self._gallery.dimension}) as in earlier frames, "
                    f"got {embeddings.shape}"
                )
        boxes = detections.boxes
        usable = detections.confidence >= self.min_confidence
        if np.abs(boxes).max(initial=0.0) > _MAX_COORDINATE:
            usable &= np.abs(boxes).max(axis=1) <= _MAX_COORDINATE
            boxes = np.clip(boxes, -_MAX_COORDINATE, _MAX_COORDINATE)  # their differences could overflow
        sides = boxes[:, 2:] - boxes[:, :2]  # (N, 2)
        wide_enough = sides >= _MIN_SIDE
        usable &= wide_enough[:, 0] & wide_enough[:, 1]
        if not usable.all():
            if 2 * (sides < -1.0).any(axis=1).sum() > len(sides):  # a broken box or two may be
                warnings.warn(_TURNED, stacklevel=4)
            detections = detections[usable]
        return Frame(detections, xyah_from_xyxy(detections.boxes), usable.nonzero()[0])

    def _common_motion(self, rows: TrackTable, frame: Frame) -> NDArray[np.float64]:
        """What the tracks seen one frame ago have moved in common against their prediction."""
        recent = rows.confirmed & (rows.frames_since_update == 1)
        sure = frame.detections.confidence >= np.float32(self.high_confidence)
        predicted = xyxy_from_xyah(rows.states[0, recent])
        return motion_from_boxes(predicted, frame.detections.boxes[sure], min_pairs=self.min_camera_pairs)

    def _move(self, rows: TrackTable, camera_motion: NDArray[np.float64]) -> None:
        """Carry all that is known of the tracks' places over to this frame's picture."""
        rows.states = kalman.warp(rows.states, camera_motion)
        rows.observed = kalman.warp(rows.observed[None], camera_motion)[0]
        if self.observation_centred:
            rows.anchors = kalman.warp(rows.anchors, camera_motion)

    def _correct(self, frame: Frame, found: Match) -> None:
        """Update the rows that got a detection."""
        rows, detections = self._rows, frame.detections
        hit = (found.detection >= 0).nonzero()[0]
        columns = found.detection[hit]
        boxes_xyah = frame.boxes_xyah[columns]
        states = rows.states[:, hit]
        if self.observation_centred:
            gaps = rows.frames_since_update[hit]
            again = np.flatnonzero(gaps > 1)
            states[:, again] = kalman.reupdate(
                rows.anchors[:, hit[again]],
                rows.observed[hit[again]],
                boxes_xyah[again],
                gaps[again],
                velocity_noise=self.velocity_noise,
            )
        noise = None
        if self.noise_by_confidence:
            noise = np.maximum(1.0 - detections.confidence[columns].astype(np.float64), _LEAST_NOISE)
        states = kalman.update(states, boxes_xyah, noise)
        rows.states[:, hit] = states
        if len(found.restarted):
            again = found.restarted
            rows.states[:, again] = kalman.initiate(frame.boxes_xyah[found.detection[again]])
        rows.observed[hit] = boxes_xyah
        if self.observation_centred:
            rows.anchors[:, hit] = rows.states[:, hit]
        rows.hits[hit] += 1
        rows.frames_since_update[hit] = 0
        rows.class_id[hit] = detections.class_id[columns]
        rows.confidence[hit] = detections.confidence[columns]
        rows.confirmed[hit] |= rows.hits[hit] >= self.n_init

    def _renew(self, frame: Frame, matched: NDArray[np.int64], free: NDArray[np.int64]) -> NDArray[np.int64]:
        """Delete dead rows, append new ones and store the embeddings.

        Returns:
            ``(T,)`` for the rows now alive: the row of the caller's detections that each took, or -1.
        """
        detections = frame.detections
        rows = self._rows
        alive = (matched >= 0) | (rows.confirmed & (rows.frames_since_update <= self.max_age))
        if self.max_duplicate_iou < 1:
            alive &= ~self._duplicates()
        if not alive.all():
            if self._gallery is not None:
                self._gallery.release(rows.slots[~alive])
            rows, matched = rows.selected(alive), matched[alive]
        if len(free):
            rows = rows.joined(self._born(frame, free))
            matched = np.concatenate([matched, free])
        self._rows = rows
        taken = (matched >= 0).nonzero()[0]
        columns = matched[taken]
        if self._gallery is not None and detections.embeddings is not None:
            self._gallery.add(rows.slots[taken], detections.embeddings[columns])
        detection_index = np.full(len(rows), -1)
        detection_index[taken] = frame.index[columns]
        return detection_index

    def _duplicates(self) -> NDArray[np.bool_]:
        """Of each lost and matched track that overlap too much, the one with fewer detections."""
        rows = self._rows
        duplicate = np.zeros(len(rows), bool)
        seen = np.flatnonzero(rows.confirmed & (rows.frames_since_update == 0))
        lost = np.flatnonzero(rows.confirmed & (rows.frames_since_update > 0))
        overlap = iou(xyxy_from_xyah(rows.states[0, seen]), xyxy_from_xyah(rows.states[0, lost]))
        row, column = np.nonzero(overlap > self.max_duplicate_iou)
        older = rows.hits[seen[row]] >= rows.hits[lost[column]]
        duplicate[lost[column[older]]] = True
        duplicate[seen[row[~older]]] = True
        return duplicate

    def _born(self, frame: Frame, columns: NDArray[np.int64]) -> TrackTable:
        """Tentative tracks at unmatched detections, with the next ids."""
        count = len(columns)
        ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        states = kalman.initiate(frame.boxes_xyah[columns])
        return TrackTable(
            ids=ids,
            class_id=frame.detections.class_id[columns],
            confidence=frame.detections.confidence[columns],
            hits=np.ones(count, np.int64),
            frames_since_update=np.zeros(count, np.int64),
            confirmed=np.zeros(count, bool),
            slots=np.full(count, -1) if self._gallery is None else self._gallery.allocate(count),
            observed=frame.boxes_xyah[columns],
            states=states,
            anchors=states if self.observation_centred else np.zeros((5, count, 0)),
        )

    def _report(self, detection_index: NDArray[np.int64]) -> Tracks:
        """Confirmed rows seen recently enough, copied."""
        rows = self._rows
        shown = (rows.confirmed & (rows.frames_since_update <= self.coast)).nonzero()[0]
        boxes_xyah = rows.states[0, shown]
        # A long extrapolation can shrink a box beyond nothing.
        np.maximum(boxes_xyah[:, 2:], 0.0, out=boxes_xyah[:, 2:])
        boxes = xyxy_from_xyah(boxes_xyah)
        if self.detection_weight:
            weight = self.detection_weight * (rows.frames_since_update[shown, None] == 0)
            boxes += weight * (xyxy_from_xyah(rows.observed[shown]) - boxes)
        return Tracks(
            ids=rows.ids[shown],
            boxes=boxes,
            confidence=rows.confidence[shown],
            class_id=rows.class_id[shown],
            detection_index=detection_index[shown],
            frames_since_update=rows.frames_since_update[shown],
        )

    def _open_gallery(self, dimension: int) -> None:
        """Make the gallery when the first embeddings come; tracks that live already get slots."""
        self._gallery = self._new_gallery(dimension)
        self._rows.slots = self._gallery.allocate(len(self._rows))

    def _new_gallery(self, dimension: int) -> Gallery:
        """An empty gallery, as the options want it."""
        return Gallery(
            self.gallery_size,
            dimension,
            momentum=self.gallery_momentum,
            neighbours=self.gallery_neighbours,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write parameters and state to ``path``, an ``.npz`` file without pickles.

        A tracker loaded from it goes on exactly as this one would.

        Raises:
            OSError: the file can't be written.
        """
        state: dict[str, NDArray[Any]] = {
            field.name: getattr(self._rows, field.name) for field in fields(self._rows)
        }
        parameters = {field.name: getattr(self, field.name) for field in fields(TrackerOptions)}
        state["header"] = np.array(
            json.dumps({"format": _STATE_FORMAT, "next_id": self._next_id, "parameters": parameters})
        )
        if self._gallery is not None:
            state["samples"], state["added"] = self._gallery.samples(self._rows.slots)
        final = Path(path)
        with part_path(final).open("wb") as file:
            np.savez(file, **state)  # type: ignore[arg-type]
        publish(final)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """The tracker that ``save`` wrote to ``path``.

        Raises:
            OSError: the file is missing or can't be read.
            ValueError: it holds something else, or another format; the message names the file.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                state = dict(archive)
            header = json.loads(str(state.pop("header")))
            if header["format"] != _STATE_FORMAT:
                raise ValueError(f"format must be {_STATE_FORMAT}, got {header['format']}")
            tracker = cls(**header["parameters"])
            samples, added = state.pop("samples", None), state.pop("added", None)
            tracker._rows = TrackTable.restored(state, anchored=tracker.observation_centred)
            tracker._next_id = int(header["next_id"])
            if samples is not None and added is not None:
                if not np.isfinite(samples).all():
                    raise ValueError("samples must be finite")
                tracker._gallery = tracker._new_gallery(samples.shape[2])
                tracker._rows.slots = tracker._gallery.restore(samples, added)
        except OSError:
            raise
        # A damaged archive fails in as many ways as zip, zlib, numpy and json know.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{os.fspath(path)} is not a saved tracker: {reason}") from error
        return tracker
