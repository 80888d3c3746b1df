"""Which detections need an embedding: those whose motion alone does not say whose they are.

Encoding is what a run spends most of its time on, and most people walk where nobody else is. A detection is
left out when one track, matched in the frame before, overlaps it well and neither of the two has a rival: no
other detection lies inside the track's motion gate or overlaps it, no other track overlaps the detection, and
no other one matched in the frame before has it inside its gate. The gates of lost tracks are wide and would
leave little to save; the cascade lets them choose last for the same reason.

Galleries must keep up with how people look: the first detections of a track and every so many after them are
encoded all the same. The turn goes by hits and id, so that tracks take turns and a tracker that was saved
goes on alike. A detection without embedding matches nothing by appearance; in the overlap stage it has one
track to match.

It costs accuracy: motion that looks certain can be wrong, and appearance would have seen it.
benchmarks/README.md says how much.
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

__all__ = ["EncodeNeeded"]


class EncodeNeeded:
    """Chooses the detections to encode; for the option ``needed`` of `track_frames`.

    Args:
        tracker: the one that will get the detections.
        refresh: of a track's detections the first so many and every so-manieth after them are encoded; 1
            encodes all.
        min_iou: smallest overlap of predicted box and detection that motion alone may match, in [0, 1].
        max_rival_iou: largest overlap with another that makes it no rival, in [0, 1].

    Raises:
        ValueError: an argument is out of range; the message names it.
    """

    def __init__(
        self, tracker: DeepSort, *, refresh: int = 5, min_iou: float = 0.5, max_rival_iou: float = 0.1
    ) -> None:
        self.tracker = tracker
        self.refresh = check_int("refresh", refresh, 1)
        self.min_iou = check_number("min_iou", min_iou, 1.0)
        self.max_rival_iou = check_number("max_rival_iou", max_rival_iou, 1.0)

    def __call__(
        self, detections: Detections, *, camera_motion: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """The rows of ``detections`` to encode, ascending, ``(K,)``, before the tracker is updated with them.

        Rows that the tracker will ignore are not among them.

        Args:
            detections: of the frame that comes next, without embeddings.
            camera_motion: as the tracker's ``update`` will get it.
        """
        inputs = self.tracker.prepare_association(detections, camera_motion=camera_motion)
        state, usable = inputs.tracks, inputs.detections
        tracks, columns = np.arange(len(state)), np.arange(len(usable.index))
        recent = state.frames_since_update == 1
        overlap = iou(xyxy_from_xyah(state.states[kalman.POSITION]), usable.detections.boxes)
        overlap = 1.0 - mask_other_classes(inputs, tracks, columns, 1.0 - overlap)  # -inf for another class
        possible = overlap > self.max_rival_iou
        row, column, _ = gated_pairs(inputs, recent.nonzero()[0], columns)
        possible[recent.nonzero()[0][row], column] = True
        alone = (possible.sum(axis=0) == 1) & (possible.sum(axis=1) == 1)[:, None]  # (T, N)
        fresh = (state.hits >= self.refresh) & ((state.hits + state.ids) % self.refresh > 0)
        calm = state.confirmed & recent & fresh
        sure = possible & alone & calm[:, None] & (overlap >= self.min_iou)
        chosen: NDArray[np.int64] = usable.index[~sure.any(axis=0)]
        return chosen
