"""``deepsort-track --offline``: track the whole video first, refine the tracks, then write.

The outputs take one frame after the other and know nothing of it: they get the same frames as in a plain run,
with other tracks. No picture is kept; a second pass over the video reads those that an output needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame
from deepsort_paddle.motchallenge.text import TrackTable
from deepsort_paddle.pipeline.stages import TrackedFrame
from deepsort_paddle.structures import Tracks
from deepsort_paddle.tracking.smooth import refine

__all__ = ["Recorder"]

_LINK_SECONDS = 10.0


class Recorder:
    """Takes in the tracked frames of a video and gives them back with refined tracks.

    A row is a matched track with the detection's own box: filtered boxes of missed tracks are what
    the smoother replaces. Embeddings are summed up track by track.

    Attributes:
        linked: id of the tracker to the id it became, for all that were linked; known after `frames`.
    """

    def __init__(self) -> None:
        self.linked: dict[int, int] = {}
        self._frames: list[TrackedFrame] = []
        self._sums: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, tracked: TrackedFrame) -> None:
        """Take in one frame."""
        tracks, detections = tracked.tracks, tracked.detections
        matched = tracks[tracks.detection_index >= 0]
        if detections.embeddings is not None:
            for one, embedding in zip(
                matched.ids.tolist(), detections.embeddings[matched.detection_index], strict=True
            ):
                self._sums[one] = self._sums.get(one, 0.0) + embedding
        frame = replace(tracked.frame, image=None)
        plain = replace(detections, embeddings=None)
        self._frames.append(replace(tracked, frame=frame, detections=plain, tracks=matched))

    def frames(
        self, pictures: Iterable[Frame] = (), *, max_cosine_distance: float = 0.2, fps: float = 25.0
    ) -> Iterator[TrackedFrame]:
        """The frames taken in, in order, with refined tracks.

        Args:
            pictures: the frames of the same source once more, for their images.
            max_cosine_distance: of the tracker; see `refine`.
            fps: frames a second.
        """
        table, index = self._table()
        looks = {
            one: total / norm for one, total in self._sums.items() if (norm := np.linalg.norm(total)) > 0
        }
        refined = refine(
            table,
            looks,
            max_cosine_distance=max_cosine_distance,
            max_link_gap=round(_LINK_SECONDS * fps),
            fps=fps,
        )
        kept = refined.row >= 0
        old, new = table.ids[refined.row[kept]].tolist(), refined.table.ids[kept].tolist()
        self.linked = {one: other for one, other in zip(old, new, strict=True) if one != other}
        rows = refined.table
        tracks = Tracks(
            ids=rows.ids,
            boxes=rows.boxes,
            confidence=rows.confidence.astype(np.float32),
            class_id=rows.class_id,
            detection_index=np.where(kept, index[refined.row], -1) if len(index) else index,
            frames_since_update=refined.missed,
        )
        places = np.searchsorted(rows.frame, np.arange(1, len(self._frames) + 1))
        ends = [*places[1:].tolist(), len(rows)]
        later = chain(pictures, repeat(None))
        for tracked, start, stop, picture in zip(self._frames, places.tolist(), ends, later, strict=False):
            frame = tracked.frame if picture is None else replace(tracked.frame, image=picture.image)
            yield replace(tracked, frame=frame, tracks=tracks[start:stop])

    def _table(self) -> tuple[TrackTable, NDArray[np.int64]]:
        """All rows taken in, and the row of its frame's detections that each has.

        Frames count from 1 without gaps: numbers from file names may leave some out, and only frames that
        exist can be filled in.
        """
        frames = self._frames
        if not frames:
            none = np.zeros(0, np.int64)
            no = np.zeros(0)
            return TrackTable(none, none, np.zeros((0, 4)), no, none, no), none
        counts = [len(tracked.tracks) for tracked in frames]
        index = np.concatenate([tracked.tracks.detection_index for tracked in frames])
        table = TrackTable(
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
