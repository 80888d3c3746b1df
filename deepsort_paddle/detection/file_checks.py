"""Warn of detection files that no setting of the tracker tracks well.

A detector that ran on every n-th frame, boxes without non-maximum suppression, scores that are all the same,
and the file of another video give few tracks or twice as many, without an error anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from deepsort_paddle.boxes import iou
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.structures import Detections

__all__ = ["file_warnings"]

_MOST = 0.8  # share of the steps between frames that have the same length
_REGULAR = 4  # frames with detections from which on equal steps are no chance
_DUPLICATE_IOU = 0.9
_MANY_DUPLICATES = 0.2  # share of the detections that lie on another one
_ENOUGH = 20  # detections from which on equal scores are no chance
_SAMPLED_FRAMES = 200


def file_warnings(detections: Mapping[int, Detections], source: FrameSource) -> list[str]:
    """Return one warning per problem, with the option that helps.

    Args:
        detections: by frame number, those that reach the threshold.
        source: of the frames.
    """
    frames = sorted(number for number, found in detections.items() if len(found))
    if not frames:
        return []
    warnings = [_outside(frames, source), _every_nth(frames, source), _duplicates(detections, frames)]
    warnings.append(_equal_scores(detections))
    return [warning for warning in warnings if warning]


def _outside(frames: list[int], source: FrameSource) -> str:
    """Detections on frames that the source does not have."""
    first, last = source.first_frame, source.last_frame
    if last is None or (first <= frames[0] and frames[-1] <= last):
        return ""
    where = (
        f"detections go from frame {frames[0]} to {frames[-1]}, {source.name} has frames {first} to {last}"
    )
    if frames[-1] < first or frames[0] > last:
        return f"{where}: none is used; give the file of this video (--detections)"
    outside = sum(not first <= number <= last for number in frames)
    return f"{where}: those of {outside} frames are not used"


def _every_nth(frames: list[int], source: FrameSource) -> str:
    """Detections on every n-th frame of the source only."""
    numbers = source.frame_numbers or range(1, frames[-1] + 1)
    places = {number: place for place, number in enumerate(numbers)}
    taken = [places[number] for number in frames if number in places]
    steps = Counter(later - earlier for earlier, later in pairwise(taken))
    if len(taken) < _REGULAR:
        return ""
    step, times = steps.most_common(1)[0]
    if step == 1 or times < _MOST * (len(taken) - 1):
        return ""
    option = f"--stride {step}" + ("" if taken[0] == 0 else f":{numbers[taken[0]]}")
    total = "" if source.frame_count is None else f" of {source.frame_count}"
    return (
        f"detections on {len(frames)}{total} frames only, every {step} frames: a new track that is missed in "
        f"the next frame ends; {option} tracks these frames only"
    )


def _duplicates(detections: Mapping[int, Detections], frames: list[int]) -> str:
    """Boxes that lie on another one of their frame."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, _SAMPLED_FRAMES).round().astype(int))
    total = doubled = 0
    for place in chosen:
        found = detections[frames[place]]
        overlap = iou(found.boxes, found.boxes)
        overlap[found.class_id[:, None] != found.class_id[None, :]] = 0.0
        np.fill_diagonal(overlap, 0.0)
        doubled += int((overlap > _DUPLICATE_IOU).any(axis=1).sum())
        total += len(found)
    if total < _ENOUGH or doubled < _MANY_DUPLICATES * total:
        return ""
    return (
        f"{100 * doubled / total:.0f} % of the detections lie on another one of their frame, and each gets a "
        "track: --nms 0.7 keeps the most confident"
    )


def _equal_scores(detections: Mapping[int, Detections]) -> str:
    """Scores that say nothing."""
    scores = np.concatenate([found.confidence for found in detections.values()])
    if len(scores) < _ENOUGH or np.ptp(scores) > 0:
        return ""
    return (
        f"all {len(scores)} detections have the score {scores[0]:g}: neither --min-confidence nor a preset "
        "can tell true from false ones; write the detector's scores into the seventh column"
    )
