"""DeepSORT: tracks people through frames by motion and appearance.

Each frame: predict all tracks; match confirmed tracks with detections by appearance inside the motion gate,
those seen most recently first (the matching cascade); match the rest, tentative tracks included, by IoU;
correct matched tracks, start new ones, delete lost ones. Tracks are rows of arrays, oldest first, and every
step works on all rows at once.

The results are those of the published code on the same detections and embeddings; docs/tracker.md lists the
deliberate differences. `association` holds the matching, `costs` its costs, and `options` the settings:
everything beyond the paper is off by default.

Source: Wojke, Bewley and Paulus, "Simple online and realtime tracking with a deep association
metric", ICIP 2017 (arXiv 1703.07402).
"""

from __future__ import annotations

import warnings
from os import PathLike
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.arguments import check_affine, check_int, check_type
from deepsort_paddle.boxes import xyah_from_xyxy
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.association import Match, match
from deepsort_paddle.tracking.costs import AssociationInput, UsableDetections
from deepsort_paddle.tracking.decision_log import Journal
from deepsort_paddle.tracking.gallery import Gallery
from deepsort_paddle.tracking.options import TrackerOptions, current_name
from deepsort_paddle.tracking.prediction import estimate_camera_motion, predict_tracks
from deepsort_paddle.tracking.report import NOWHERE, extended_area, report_tracks, update_mean_sizes
from deepsort_paddle.tracking.saved_tracker import SavedTracker, new_gallery, read_tracker, write_tracker
from deepsort_paddle.tracking.track_state import TrackState

__all__ = ["DeepSort"]

# A side below this, or a coordinate beyond, cannot be a person in pixels, and its square loses all digits.
_MIN_SIDE = 1e-6
_MAX_COORDINATE = 1e9
# Smallest factor on the measurement variance: no detector's box is exact.
_LEAST_NOISE = 0.05
_TURNED = (
    "most boxes end left of or above where they begin and are ignored: expected x1, y1, x2, y2; "
    "deepsort_paddle.boxes.xyxy_from_tlwh converts left, top, width, height"
)


class _Calibrated(Protocol):
    """An encoder that knows its appearance threshold, as `AppearanceEncoder`."""

    @property
    def max_cosine_distance(self) -> float: ...


class DeepSort:
    """Tracks the people of one camera. Instances share nothing.

    Call ``update`` for every frame that the detector processed, also without detections: ages count these
    calls. Skip frames that it did not process: a call without detections means that no person is there.

    Without arguments it is DeepSORT as published; `from_preset` builds the stronger trackers.

    Args:
        options: the settings, fixed for the tracker's life.
        **settings: or the options by name, as ``max_age=30``; see `TrackerOptions`.

    Attributes:
        journal: records the reason of every decision while it is set; None by default. `reset` replaces it
            with an empty one, `save` omits it.

    Raises:
        ValueError: a setting is out of range; the message names it.
        TypeError: there is no setting of that name, or both options and settings are given.

    Example:
        >>> from deepsort_paddle import DeepSort, Detections
        >>> tracker = DeepSort(n_init=2)
        >>> for x in (10, 12, 14):
        ...     tracks = tracker.update(Detections.of([[x, 50, x + 40, 150]], [0.9]))
        >>> tracks.ids.tolist()
        [1]
    """

    # No other attributes: setting an option that could not take effect fails.
    __slots__ = ("__weakref__", "_area", "_gallery", "_next_id", "_options", "_state", "journal")

    def __init__(self, options: TrackerOptions | None = None, **settings: Any) -> None:
        if options is None:
            options = TrackerOptions(**{current_name(name): value for name, value in settings.items()})
        elif settings:
            raise TypeError(f"expected options or settings by name, got both ({', '.join(settings)})")
        check_type("options", options, TrackerOptions, "settings by name make them, as max_age=30")
        self._options = options
        self.journal: Journal | None = None
        self.reset()

    @classmethod
    def from_preset(
        cls,
        preset: str,
        *,
        encoder: _Calibrated | None = None,
        frame_rate: float | None = None,
        **settings: Any,
    ) -> Self:
        """Build a tracker from a preset; what you name takes effect or is refused.

        Args:
            preset: ``deepsort`` (as published), ``motion`` (without appearance) or ``strong``.
            encoder: its calibrated ``max_cosine_distance`` is used, unless you name another.
            frame_rate: frames per second of the video, for ages in seconds; None, if unknown, is 25.
            **settings: options of `TrackerOptions` on top of the preset. An age named in frames replaces the
                preset's ages in seconds, and the other way round.

        Raises:
            ValueError: there is no such preset, the encoder has no threshold, a setting is out of range, or
                two ages disagree.
            TypeError: there is no setting of that name.

        Example:
            >>> from deepsort_paddle import DeepSort
            >>> DeepSort.from_preset("strong", frame_rate=30, max_age=60).options.max_age
            60
        """
        if encoder is not None and "max_cosine_distance" not in settings:
            settings["max_cosine_distance"] = getattr(encoder, "max_cosine_distance", None)
            if settings["max_cosine_distance"] is None:
                kind = type(encoder).__name__
                raise ValueError(f"encoder must have max_cosine_distance, got {kind}: name it instead")
        if frame_rate is not None:
            settings["frame_rate"] = frame_rate
        return cls(TrackerOptions.from_preset(preset, **settings))

    @property
    def options(self) -> TrackerOptions:
        """The settings. They are fixed: build another tracker to change them."""
        return self._options

    def __repr__(self) -> str:
        """The options that are not at their defaults."""
        return repr(self._options).replace("TrackerOptions", type(self).__name__, 1)

    def reset(self) -> None:
        """Forget all tracks and start at id 1 again, as for a new video."""
        self._state = TrackState.empty(anchored=self._options.observation_centred)
        self._gallery: Gallery | None = None
        self._next_id = 1
        self._area = NOWHERE
        if self.journal is not None:
            self.journal = Journal()

    def update(
        self,
        detections: Detections,
        *,
        camera_motion: NDArray[np.float64] | None = None,
        intervals: int = 1,
    ) -> Tracks:
        """Track one frame.

        Args:
            detections: of this frame, possibly none; not modified, not kept. Boxes without width or height
                neither match nor start a track. Without embeddings, appearance decides nothing.
            camera_motion: ``(2, 3)`` affine map from the previous frame's pixels to this frame's.
            intervals: time since the last update, in frames of ``frame_rate``. More than 1 where a live
                source skips frames: tracks move and age by that time.

        Returns:
            Confirmed tracks that were matched in this frame (or at most ``coast`` frames ago), oldest first.

        Raises:
            ValueError: not `Detections`, embeddings of another length than before, or an invalid
                ``camera_motion`` or ``intervals``. The tracker is then unchanged.
        """
        inputs = self.prepare_association(detections, camera_motion=camera_motion, intervals=intervals)
        self._state, usable = inputs.tracks, inputs.detections
        found = match(inputs)
        if self.journal is not None:
            self.journal.decide(inputs, found, self._next_id)
        self._correct(usable, found)
        detection_index = self._renew(usable, found.detection, found.unmatched)
        if self.journal is not None:
            self.journal.settle(self._state)
        boxes = usable.detections.boxes[found.detection[found.detection >= 0]]
        self._area = extended_area(self._area, boxes)
        return report_tracks(self._options, self._state, detection_index, self._area)

    def prepare_association(
        self,
        detections: Detections,
        *,
        camera_motion: NDArray[np.float64] | None = None,
        intervals: int = 1,
    ) -> AssociationInput:
        """Return what `update` with the same arguments will match: predicted tracks, usable detections.

        Nothing is decided and no track changes. The arrays are the tracker's own: only read them, before the
        next ``update``.

        Args:
            detections: as for `update`.
            camera_motion: as for `update`.
            intervals: as for `update`.

        Raises:
            ValueError: as `update`.
        """
        check_type("detections", detections, Detections, "as Detections.of(boxes, confidence) makes them")
        if camera_motion is not None:
            camera_motion = check_affine(camera_motion)
        intervals = check_int("intervals", intervals, 1)
        usable = self._select_usable(detections)
        state = predict_tracks(self._options, self._state, intervals)
        if camera_motion is not None:
            state.warp(camera_motion)
        if self._options.min_camera_pairs:
            state.warp(estimate_camera_motion(self._options, state, usable))
        return AssociationInput(self._options, state, self._gallery, usable)

    def _select_usable(self, detections: Detections) -> UsableDetections:
        """Drop what cannot be tracked; check the embeddings, and open the gallery for the first ones."""
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
        usable = detections.confidence >= self._options.min_confidence
        if np.abs(boxes).max(initial=0.0) > _MAX_COORDINATE:
            usable &= np.abs(boxes).max(axis=1) <= _MAX_COORDINATE
            boxes = np.clip(boxes, -_MAX_COORDINATE, _MAX_COORDINATE)  # their differences could overflow
        sides = boxes[:, 2:] - boxes[:, :2]  # (N, 2)
        wide_enough = sides >= _MIN_SIDE
        usable &= wide_enough[:, 0] & wide_enough[:, 1]
        if not usable.all():
            if 2 * (sides < -1.0).any(axis=1).sum() > len(sides):  # one or two broken boxes are no mistake
                warnings.warn(_TURNED, stacklevel=4)
            detections = detections[usable]
        return UsableDetections(detections, xyah_from_xyxy(detections.boxes), usable.nonzero()[0])

    def _correct(self, usable: UsableDetections, found: Match) -> None:
        """Update the tracks that got a detection."""
        options, state, detections = self._options, self._state, usable.detections
        tracks = (found.detection >= 0).nonzero()[0]
        matched = found.detection[tracks]
        boxes_xyah = usable.boxes_xyah[matched]
        states = state.states[:, tracks]
        gaps = state.frames_since_update[tracks]
        if options.observation_centred:
            again = np.flatnonzero(gaps > 1)
            states[:, again] = kalman.reupdate(
                state.anchors[:, tracks[again]],
                state.observed[tracks[again]],
                boxes_xyah[again],
                gaps[again],
                velocity_noise=options.frame_velocity_noise,
            )
        noise = None
        if options.noise_by_confidence:
            noise = np.maximum(1.0 - detections.confidence[matched].astype(np.float64), _LEAST_NOISE)
        state.states[:, tracks] = kalman.update(states, boxes_xyah, noise)
        if len(found.restarted):
            again = found.restarted
            state.states[:, again] = kalman.initiate(usable.boxes_xyah[found.detection[again]])
        state.observed[tracks] = boxes_xyah
        if options.observation_centred:
            state.anchors[:, tracks] = state.states[:, tracks]
        state.hits[tracks] += 1
        state.streak[tracks] = np.where(gaps == 1, state.streak[tracks] + 1, 1)
        state.frames_since_update[tracks] = 0
        state.class_id[tracks] = detections.class_id[matched]
        state.confidence[tracks] = detections.confidence[matched]
        if options.size_momentum:
            update_mean_sizes(options, state, tracks, gaps)
        state.confirmed[tracks] |= state.hits[tracks] >= options.n_init
        if options.early_confirmation:
            confident = detections.confidence[matched] >= np.float32(options.early_confirmation)
            state.confirmed[tracks] |= confident

    def _renew(
        self, usable: UsableDetections, matched: NDArray[np.int64], unmatched: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Delete dead tracks, append new ones and store the embeddings.

        Args:
            usable: detections of this frame.
            matched: ``(T,)`` detection of each track so far, -1 for none.
            unmatched: ``(R,)`` detections that start tracks.

        Returns:
            ``(T,)`` for the tracks now alive: the row of each one's detection in what the caller gave, or -1.
        """
        options, state, embeddings = self._options, self._state, usable.detections.embeddings
        alive = (matched >= 0) | (state.confirmed & (state.frames_since_update <= options.max_age))
        if options.max_duplicate_iou < 1:
            alive &= ~state.duplicates(options.max_duplicate_iou)
        if not alive.all():
            if self._gallery is not None:
                self._gallery.release(state.slots[~alive])
            state, matched = state.selected(alive), matched[alive]
        if len(unmatched):
            state = state.joined(self._start_tracks(usable, unmatched))
            matched = np.concatenate([matched, unmatched])
        self._state = state
        tracks = (matched >= 0).nonzero()[0]
        if self._gallery is not None and embeddings is not None:
            self._gallery.add(state.slots[tracks], embeddings[matched[tracks]])
        detection_index = np.full(len(state), -1)
        detection_index[tracks] = usable.index[matched[tracks]]
        return detection_index

    def _start_tracks(self, usable: UsableDetections, unmatched: NDArray[np.int64]) -> TrackState:
        """Return tentative tracks at unmatched detections, with the next ids."""
        count = len(unmatched)
        ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        boxes_xyah = usable.boxes_xyah[unmatched]
        states = kalman.initiate(boxes_xyah)
        return TrackState(
            ids=ids,
            class_id=usable.detections.class_id[unmatched],
            confidence=usable.detections.confidence[unmatched],
            hits=np.ones(count, np.int64),
            streak=np.ones(count, np.int64),
            frames_since_update=np.zeros(count, np.int64),
            confirmed=np.zeros(count, bool),
            slots=np.full(count, -1) if self._gallery is None else self._gallery.allocate(count),
            observed=boxes_xyah,
            states=states,
            anchors=states if self._options.observation_centred else np.zeros((kalman.PLANES, count, 0)),
            sizes=np.column_stack([boxes_xyah[:, 2] * boxes_xyah[:, 3], boxes_xyah[:, 3]]),
            hidden=np.ones(count, bool),
        )

    def _open_gallery(self, dimension: int) -> None:
        """Create the gallery for the first embeddings; live tracks get slots."""
        self._gallery = new_gallery(self._options, dimension)
        self._state.slots = self._gallery.allocate(len(self._state))

    def save(self, path: str | PathLike[str]) -> None:
        """Write options and state to ``path``, an ``.npz`` file without pickles.

        A tracker loaded from it continues exactly as this one would.

        Raises:
            OSError: the file cannot be written.
        """
        write_tracker(
            path, SavedTracker(self._options, self._state, self._gallery, self._next_id, self._area)
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Return the tracker that ``save`` wrote to ``path``.

        Raises:
            OSError: the file is missing or cannot be read.
            ValueError: it holds something else, or another format; the message names the file.
        """
        saved = read_tracker(path)
        tracker = cls(saved.options)
        tracker._state, tracker._gallery, tracker._next_id = saved.state, saved.gallery, saved.next_id
        tracker._area = saved.area
        return tracker
