"""``deepsort-track --offline``: track the whole video, refine the tracks, then write.

The outputs receive the same frames as in an online run, one at a time, with the refined tracks. No image is
kept; if an output needs images, a second pass over the video reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou
from deepsort_paddle.frames import Frame
from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.structures import Tracks
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.tracking.smooth import LEAST_RUN, refine

__all__ = ["Recorder", "with_births"]

_LINK_SECONDS = 10.0
# Overlap of a track's detections in successive frames: what DeepSORT's IoU stage asks for.
_BIRTH_IOU = 0.3


class Recorder:
    """Records the tracked frames of a video and returns them with refined tracks.

    A row is a matched track with the box of its detection; the smoother replaces the predicted boxes of
    missed tracks. Embeddings are summed by track.

    Attributes:
        linked: for every id that was linked to an earlier track, the id it became; set by `frames`.

    Example:
        >>> from deepsort_paddle import DeepSort, Detections, Frame, track_frames
        >>> frames = [Frame(number, None, None) for number in range(1, 6)]
        >>> recorder = Recorder()
        >>> for tracked in track_frames(
        ...     frames, lambda number, image: Detections.of([[10, 20, 60, 170]]), None, DeepSort()
        ... ):
        ...     recorder.add(tracked)
        >>> [len(tracked.tracks) for tracked in recorder.frames()]
        [0, 0, 1, 1, 1]
    """

    def __init__(self, *, keep_embeddings: bool = False) -> None:
        """Start with no frames.

        Args:
            keep_embeddings: the frames given back bring their detections' embeddings, which takes memory.
        """
        self._keep_embeddings = keep_embeddings
        self.linked: dict[int, int] = {}
        self._frames: list[TrackedFrame] = []
        self._sums: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, tracked: TrackedFrame) -> None:
        """Record one frame."""
        tracks, detections = tracked.tracks, tracked.detections
        matched = tracks[tracks.detection_index >= 0]
        if detections.embeddings is not None:
            for track_id, embedding in zip(
                matched.ids.tolist(), detections.embeddings[matched.detection_index], strict=True
            ):
                self._sums[track_id] = self._sums.get(track_id, 0.0) + embedding
        frame = replace(tracked.frame, image=None)
        plain = detections if self._keep_embeddings else replace(detections, embeddings=None)
        self._frames.append(replace(tracked, frame=frame, detections=plain, tracks=matched))

    def frames(
        self,
        images: Iterable[Frame] = (),
        *,
        max_cosine_distance: float | None = 0.2,
        fps: float = 25.0,
        n_init: int = 3,
    ) -> Iterator[TrackedFrame]:
        """Refine the tracks and yield the recorded frames in order.

        Args:
            images: the frames of the same source, read a second time for their images.
            max_cosine_distance: of the tracker; see `refine`. None links no tracks: for a tracker that
                reactivates lost tracks by appearance itself.
            fps: frames per second.
            n_init: of the tracker; each track also gets its detections from before it was confirmed.

        Yields:
            The frames with refined tracks; without images unless ``images`` are given.
        """
        self._frames = with_births(self._frames, n_init - 1)
        table, index = self._table()
        embeddings = {
            track_id: total / norm
            for track_id, total in self._sums.items()
            if (norm := np.linalg.norm(total)) > 0
        }
        refined = refine(
            table,
            embeddings if max_cosine_distance is not None else None,
            max_cosine_distance=max_cosine_distance or 0.0,
            max_link_gap=round(_LINK_SECONDS * fps),
            fps=fps,
            camera_motion=self._camera_motion(),
        )
        kept = refined.row >= 0
        old, new = table.ids[refined.row[kept]].tolist(), refined.table.ids[kept].tolist()
        self.linked = {
            tracker_id: linked_id
            for tracker_id, linked_id in zip(old, new, strict=True)
            if tracker_id != linked_id
        }
        rows = refined.table
        tracks = Tracks(
            ids=rows.ids,
            boxes=rows.boxes,
            confidence=rows.confidence.astype(np.float32),
            class_id=rows.class_id,
            detection_index=np.where(kept, index[refined.row], -1) if len(index) else index,
            frames_since_update=refined.missed,
        )
        starts = np.searchsorted(rows.frame, np.arange(1, len(self._frames) + 1))
        stops = [*starts[1:].tolist(), len(rows)]
        read_again = chain(images, repeat(None))
        for tracked, start, stop, second in zip(
            self._frames, starts.tolist(), stops, read_again, strict=False
        ):
            frame = tracked.frame if second is None else replace(tracked.frame, image=second.image)
            yield replace(tracked, frame=frame, tracks=tracks[start:stop])

    def _camera_motion(self) -> NDArray[np.float64] | None:
        """The camera's motion in each recorded frame, ``(F, 2, 3)``; None if the tracker received none."""
        motions = [tracked.camera_motion for tracked in self._frames]
        if all(motion is None for motion in motions):
            return None
        return np.array([np.eye(2, 3) if motion is None else motion for motion in motions])

    def _table(self) -> tuple[TrackRecords, NDArray[np.int64]]:
        """Return all recorded rows, and for each the row of its detection in its frame, ``(N,)``.

        Frames are numbered from 1 without gaps: numbers from file names may skip some, and only existing
        frames can be filled in.
        """
        frames = self._frames
        if not frames:
            no_ints, no_floats = np.zeros(0, np.int64), np.zeros(0)
            return TrackRecords(no_ints, no_ints, np.zeros((0, 4)), no_floats, no_ints, no_floats), no_ints
        counts = [len(tracked.tracks) for tracked in frames]
        index = np.concatenate([tracked.tracks.detection_index for tracked in frames])
        table = TrackRecords(
            frame=np.repeat(np.arange(1, len(frames) + 1), counts),
            ids=np.concatenate([tracked.tracks.ids for tracked in frames]),
            boxes=np.concatenate(
                [tracked.detections.boxes[tracked.tracks.detection_index] for tracked in frames]
            ),
            confidence=np.concatenate([tracked.tracks.confidence for tracked in frames], dtype=np.float64),
            class_id=np.concatenate([tracked.tracks.class_id for tracked in frames]),
            visibility=np.ones(len(index)),
        )
        return table, index


def with_births(frames: Sequence[TrackedFrame], most: int, *, least: int = LEAST_RUN) -> list[TrackedFrame]:
    """Give each track its detections from the frames before it was confirmed.

    A tracker reports a track from its confirmation on. Afterwards the track is known to be real, so the
    detections that led to it count: going back from its first box, the free detection that overlaps most.

    Args:
        frames: in order; all tracks are matched.
        most: frames to go back, at most.
        least: only tracks matched in at least this many successive frames from their first are extended.

    Returns:
        The same frames; those before a track began may have one more row.
    """
    free = [np.ones(len(tracked.detections), bool) for tracked in frames]
    for tracked, unclaimed in zip(frames, free, strict=True):
        unclaimed[tracked.tracks.detection_index] = False
    born: dict[int, list[tuple[int, int]]] = {}  # by frame: track id and detection
    ids = [tracked.tracks.ids.tolist() for tracked in frames]
    known: set[int] = set()
    for place, tracked in enumerate(frames):
        new = [(row, track_id) for row, track_id in enumerate(ids[place]) if track_id not in known]
        known.update(ids[place])
        for row, track_id in new:
            following = ids[place : place + least]
            if len(following) < least or not all(track_id in one for one in following):
                continue
            class_id = tracked.tracks.class_id[row]
            box = tracked.detections.boxes[tracked.tracks.detection_index[row], None]
            for earlier in range(place - 1, max(place - 1 - most, -1), -1):
                detections = frames[earlier].detections
                overlap = iou(box, detections.boxes)[0] * (free[earlier] & (detections.class_id == class_id))
                if overlap.max(initial=0.0) < _BIRTH_IOU:
                    break
                best = int(overlap.argmax())
                free[earlier][best] = False
                born.setdefault(earlier, []).append((track_id, best))
                box = detections.boxes[best, None]
    return [
        tracked if place not in born else replace(tracked, tracks=_joined(tracked, born[place]))
        for place, tracked in enumerate(frames)
    ]


def _joined(tracked: TrackedFrame, born: Sequence[tuple[int, int]]) -> Tracks:
    """The tracks of a frame and those of ``born``, pairs of id and detection."""
    tracks, detections = tracked.tracks, tracked.detections
    ids, index = np.array(born, np.int64).T
    return Tracks(
        ids=np.concatenate([tracks.ids, ids]),
        boxes=np.concatenate([tracks.boxes, detections.boxes[index]]),
        confidence=np.concatenate([tracks.confidence, detections.confidence[index]]),
        class_id=np.concatenate([tracks.class_id, detections.class_id[index]]),
        detection_index=np.concatenate([tracks.detection_index, index]),
        frames_since_update=np.concatenate([tracks.frames_since_update, np.zeros(len(ids), np.int64)]),
    )
