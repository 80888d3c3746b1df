"""Whether a detector finds the same boxes in bfloat16 as in float32, measured once for each file.

A detector file does not say whether a lower precision is good enough, so both precisions search some frames
of the user's first video. The result is kept in the user's cache. `Agreement` states the tolerance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou
from deepsort_paddle.detection.downloads import cache_folder
from deepsort_paddle.detection.onnx import OnnxDetector
from deepsort_paddle.inference.libraries import import_openvino
from deepsort_paddle.inference.openvino import computes_bfloat16
from deepsort_paddle.part_files import replacing
from deepsort_paddle.structures import Detections

__all__ = ["Agreement", "compare", "fastest"]

# Boxes below this are left out: they lie around thresholds in any precision.
_CONFIDENCE = 0.3
_SAME_BOX = 0.5  # IoU
_MIN_BOXES = 20
# Three scenes with YOLOX-nano, 416 x 416 in float32 against 416 x 256 or 416 x 320 in bfloat16: 98 % or more
# matched, mean IoU 0.971 to 0.980, mean difference of scores 0.005 to 0.010.
_MIN_MATCHED = 0.95
_MIN_IOU = 0.95
_MAX_SCORE_DIFFERENCE = 0.02


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two detectors agree on the same images, over boxes with confidence 0.3 or more.

    Attributes:
        boxes: number of boxes of either detector.
        matched: share of them that the other detector has too, with IoU 0.5 or more, at any confidence.
        mean_iou: of matched boxes.
        score_difference: mean difference of confidence of matched boxes.
    """

    boxes: int
    matched: float
    mean_iou: float
    score_difference: float

    @property
    def is_close(self) -> bool:
        """Whether 95 % of boxes match, with a mean IoU of 0.95 and scores that differ by 0.02 at most."""
        return (
            self.matched >= _MIN_MATCHED
            and self.mean_iou >= _MIN_IOU
            and self.score_difference <= _MAX_SCORE_DIFFERENCE
        )


def compare(first: Sequence[Detections], second: Sequence[Detections]) -> Agreement:
    """Measure the agreement of two detectors.

    Args:
        first: detections of each image by one detector.
        second: detections of each image by the other one.
    """
    boxes, overlaps, differences = 0, [], []
    for one, other in [*zip(first, second, strict=True), *zip(second, first, strict=True)]:
        one = one[one.confidence >= _CONFIDENCE]
        boxes += len(one)
        if len(one) == 0 or len(other) == 0:
            continue
        overlap = iou(one.boxes, other.boxes)  # (N, M)
        overlap[one.class_id[:, None] != other.class_id] = 0
        nearest = overlap.argmax(axis=1)
        best = overlap[np.arange(len(one)), nearest]
        matched = best >= _SAME_BOX
        overlaps += best[matched].tolist()
        differences += np.abs(one.confidence - other.confidence[nearest])[matched].tolist()
    if not overlaps:
        return Agreement(boxes, float(boxes == 0), 1.0, 0.0)
    return Agreement(boxes, len(overlaps) / boxes, float(np.mean(overlaps)), float(np.mean(differences)))


def fastest(
    detector: OnnxDetector,
    images: Callable[[], Sequence[NDArray[np.uint8]]],
    note: Callable[[str], None] = lambda line: None,
) -> OnnxDetector:
    """Return the detector in bfloat16 where that is faster and finds the same boxes, else the detector.

    Args:
        detector: in float32.
        images: returns frames to compare on, ``(H, W, 3)`` uint8 BGR; called only if this file was not
            compared before.
        note: called with one line when this call compared the two.
    """
    try:
        if detector.on_gpu or not computes_bfloat16():
            return detector
        fast = detector.in_bfloat16()
    except ImportError:  # OpenVINO is optional
        return detector
    record = _record(detector.path)
    found = _remembered(record)
    if found is None:
        frames = images()
        exact = [detector(number, frame) for number, frame in enumerate(frames, start=1)]
        try:
            found = compare(exact, [fast(number, frame) for number, frame in enumerate(frames, start=1)])
        except (OSError, ValueError) as error:  # an operator that OpenVINO lacks
            note(f"{detector.path.name} runs by {detector.computed_by}: {error}")
            return detector
        if found.boxes < _MIN_BOXES:  # they say too little
            return detector
        _remember(record, found)
        runs = (fast if found.is_close else detector).computed_by
        note(
            f"{detector.path.name} runs by {runs}: in bfloat16 {found.matched:.0%} of {found.boxes} boxes "
            f"match float32, with IoU {found.mean_iou:.2f}; --detector-precision chooses"
        )
    return fast if found.is_close else detector


def _record(path: Path) -> Path:
    """Return where the agreement of a file is kept, by its content and OpenVINO's version."""
    content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    version = str(import_openvino().__version__).split("-", maxsplit=1)[0]
    return cache_folder() / "detectors" / f"bfloat16-{content}-openvino-{version}.json"


def _remembered(record: Path) -> Agreement | None:
    try:
        return Agreement(**json.loads(record.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _remember(record: Path, found: Agreement) -> None:
    """Keep an agreement; without a cache to write to, the next run compares again."""
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        with replacing(record) as file:
            file.write(json.dumps(asdict(found)).encode())
