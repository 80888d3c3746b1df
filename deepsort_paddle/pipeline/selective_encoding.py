"""Select the detections that need an embedding: those that motion alone does not identify.

Encoding takes most of a run's time, and most people walk apart from others. A detection is skipped if one
track, matched in the previous frame, overlaps it well and neither has a rival. That is, no other detection
lies inside the track's motion gate or overlaps the track, no other track overlaps the detection, and no other
track matched in the previous frame has the detection inside its gate. The gates of lost tracks do not count,
as they are wide and would leave little to skip; for the same reason the cascade lets lost tracks choose last.

Galleries must follow changes of appearance, so the first ``refresh`` detections of a track and every
``refresh``-th one after that are always encoded. Hits and id determine the frame, so tracks take turns, and a
tracker that is saved and loaded continues the same way. A detection without embedding matches no track by
appearance; in the overlap stage it has one track to match.

Selective encoding costs accuracy, because confident motion can be wrong. Metrics: benchmarks/README.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.arguments import check_int, check_number
from deepsort_paddle.boxes import iou, xyxy_from_xyah
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.costs import gated_pairs, mask_other_classes
from deepsort_paddle.tracking.tracker import DeepSort

__all__ = ["SelectiveEncoding"]


class SelectiveEncoding:
    """Selects the detections to encode; for the option ``select`` of `track_frames`.

    Args:
        tracker: the tracker that will get the detections.
        refresh: the first ``refresh`` detections of a track and every ``refresh``-th one after that are
            encoded; 1 encodes all.
        min_iou: smallest IoU of predicted box and detection that motion alone may match, in [0, 1].
        max_rival_iou: a box with a larger IoU is a rival, in [0, 1].

    Raises:
        ValueError: an argument is out of range; the message names it.

    Example:
        >>> from deepsort_paddle import DeepSort, Detections
        >>> select = SelectiveEncoding(DeepSort(), refresh=5)
        >>> select(Detections.of([[10, 20, 60, 170]]))  # a new person
        array([0])
    """

    def __init__(
        self, tracker: DeepSort, *, refresh: int = 5, min_iou: float = 0.5, max_rival_iou: float = 0.1
    ) -> None:
        self.tracker = tracker
        self.refresh = check_int("refresh", refresh, 1)
        self.min_iou = check_number("min_iou", min_iou, 1.0)
        self.max_rival_iou = check_number("max_rival_iou", max_rival_iou, 1.0)

    def __call__(
        self,
        detections: Detections,
        *,
        camera_motion: NDArray[np.float64] | None = None,
        intervals: int = 1,
    ) -> NDArray[np.int64]:
        """Select the detections of the next frame to encode, before the tracker is updated with them.

        Args:
            detections: of the next frame, without embeddings.
            camera_motion: the ``camera_motion`` of the tracker's next ``update``.
            intervals: likewise.

        Returns:
            ``(K,)`` int64 rows of ``detections``, ascending, without those that the tracker will ignore.
        """
        inputs = self.tracker.prepare_association(
            detections, camera_motion=camera_motion, intervals=intervals
        )
        state, usable = inputs.tracks, inputs.detections
        tracks, columns = np.arange(len(state)), np.arange(len(usable.index))
        recent = state.frames_since_update == 1
        overlap = iou(xyxy_from_xyah(state.states[kalman.POSITION]), usable.detections.boxes)
        overlap = 1.0 - mask_other_classes(inputs, tracks, columns, 1.0 - overlap)  # -inf for another class
        possible = overlap > self.max_rival_iou
        row, column, _ = gated_pairs(inputs, recent.nonzero()[0], columns)
        possible[recent.nonzero()[0][row], column] = True
        without_rival = (possible.sum(axis=0) == 1) & (possible.sum(axis=1) == 1)[:, None]  # (T, N)
        gallery_is_fresh = (state.hits >= self.refresh) & ((state.hits + state.ids) % self.refresh > 0)
        eligible = state.confirmed & recent & gallery_is_fresh
        identified = possible & without_rival & eligible[:, None] & (overlap >= self.min_iou)
        selected: NDArray[np.int64] = usable.index[~identified.any(axis=0)]
        return selected
