"""From a detector's many candidate boxes to the detections of a frame.

Every detector that reads images ends in the same steps: drop what is below the threshold or of a
class not asked for, suppress overlapping boxes of the same class, cut to the frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeGuard

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import boxes as geometry
from deepsort_paddle.arguments import check_frame
from deepsort_paddle.structures import Detections

__all__ = ["class_confidences", "class_ids", "confident", "has_pixels", "select", "suppress"]

# Candidates that enter suppression, whose cost grows with their square; the most confident stay.
MAX_CANDIDATES = 1000
PRECISIONS = ("auto", "float32", "bfloat16")
NO_BFLOAT16 = "precision bfloat16 is not there: this processor has no instructions for it"
NO_CLASSES: Mapping[int, float] = MappingProxyType({})


def select(
    boxes: NDArray[np.floating],
    confidence: NDArray[np.floating],
    class_id: NDArray[np.integer],
    *,
    frame_shape: tuple[int, ...],
    min_confidence: float,
    classes: Sequence[int] | None,
    max_iou: float,
    class_confidence: Mapping[int, float] = NO_CLASSES,
) -> Detections:
    """The detections among candidate boxes, in falling order of confidence.

    Args:
        boxes: ``(N, 4)`` xyxy pixels of the frame; rows that are not finite or empty once they are cut to
            the frame are dropped.
        confidence: ``(N,)`` in [0, 1].
        class_id: ``(N,)``.
        frame_shape: height and width of the frame, and whatever follows.
        min_confidence: candidates below it are dropped.
        classes: classes to keep; None keeps all.
        max_iou: of two boxes of a class that overlap more, the less confident is dropped; 1 keeps all.
        class_confidence: thresholds of single classes, instead of ``min_confidence``.
    """
    keep = np.isfinite(boxes).all(axis=1) & confident(confidence, class_id, min_confidence, class_confidence)
    if classes is not None:
        keep &= np.isin(class_id, list(classes))
    index = np.flatnonzero(keep)
    index = index[np.argsort(-confidence[index], kind="stable")[:MAX_CANDIDATES]]
    whole = np.asarray(boxes[index], dtype=np.float64)
    if max_iou < 1 and len(index):
        kept = suppress(whole, confidence[index], class_id[index], max_iou=max_iou)
        index, whole = index[kept], whole[kept]
    cut = geometry.clip(whole, frame_shape[0], frame_shape[1])
    visible = (cut[:, 2:] > cut[:, :2]).all(axis=1)
    index = index[visible]
    return Detections.of(cut[visible], np.clip(confidence[index], 0, 1), class_id[index])


def suppress(
    boxes: NDArray[np.float64],
    confidence: NDArray[np.floating],
    class_id: NDArray[np.integer],
    *,
    max_iou: float,
) -> NDArray[np.int64]:
    """Indices that OpenCV's greedy non-maximum suppression keeps, in falling order of confidence.

    Args:
        boxes: ``(N, 4)`` xyxy.
        confidence: ``(N,)``; equal values keep their order.
        class_id: ``(N,)``; a box never suppresses one of another class.
        max_iou: a box is dropped when its IoU with a kept one of its class is above this.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    kept = cv2.dnn.NMSBoxesBatched(
        geometry.tlwh_from_xyxy(boxes).tolist(), confidence.tolist(), class_id.tolist(), -np.inf, max_iou
    )
    return np.asarray(kept, dtype=np.int64).reshape(-1)


def confident(
    confidence: NDArray[np.floating],
    class_id: NDArray[np.integer],
    min_confidence: float,
    class_confidence: Mapping[int, float] = NO_CLASSES,
) -> NDArray[np.bool_]:
    """``(N,)`` which detections reach the threshold of their class, or ``min_confidence`` where it has none.

    Thresholds are compared in the precision of the scores: a score of 0.3 passes 0.3.
    """
    enough: NDArray[np.bool_] = confidence >= confidence.dtype.type(min_confidence)
    for number, least in class_confidence.items():
        enough = np.where(class_id == number, confidence >= confidence.dtype.type(least), enough)
    return enough


def class_confidences(
    given: Mapping[int | str, float] | None, labels: Sequence[str], classes: Sequence[int]
) -> dict[int, float]:
    """Thresholds by class number, from ones by number or name.

    Raises:
        ValueError: a class is unknown, not among ``classes`` or named twice, or a threshold outside [0, 1].
    """
    found: dict[int, float] = {}
    for name, confidence in (given or {}).items():
        (number,) = class_ids([name], labels)
        if number not in classes:
            raise ValueError(f"a threshold for class {name}, which is not among those to detect")
        if number in found:
            raise ValueError(f"two thresholds for class {labels[number]}")
        found[number] = expect_confidence(confidence)
    return found


def class_ids(
    classes: Sequence[int | str] | None, labels: Sequence[str], default: Sequence[int] = (0,)
) -> list[int]:
    """Class numbers of a mix of numbers and names.

    Args:
        classes: numbers or names of classes, in any case; None takes the default.
        labels: the detector's class names, by number.
        default: the numbers to take for None.

    Raises:
        ValueError: a number or name that the detector doesn't have; the message lists those it has. Or one
            name or number without a list around it.
    """
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Iterable)):
        raise ValueError(f"classes must be a list of names or numbers, got {classes!r}")
    found = []
    numbers = {label.casefold(): number for number, label in reversed(list(enumerate(labels)))}
    for one in default if classes is None else classes:
        if isinstance(one, str) and not one.isdigit():
            if one.casefold() not in numbers:
                near = get_close_matches(one.casefold(), numbers, n=1)
                hint = f" (did you mean {labels[numbers[near[0]]]}?)" if near else ""
                raise ValueError(f"class {one!r} is not among the detector's{hint}: {', '.join(labels)}")
            found.append(numbers[one.casefold()])
        elif 0 <= int(one) < len(labels):
            found.append(int(one))
        else:
            raise ValueError(
                f"class {one} is not among the detector's {len(labels)} classes, "
                f"0 ({labels[0]}) to {len(labels) - 1} ({labels[-1]})"
            )
    return found


def has_pixels(image: NDArray[np.uint8] | None) -> TypeGuard[NDArray[np.uint8]]:
    """Whether there is an image to search; a detector reports nothing where there is none.

    Raises:
        ValueError: it is not ``(H, W, 3)`` uint8.
    """
    if image is None:
        return False
    check_frame(image)
    return image.size > 0


def check_precision(precision: str) -> None:
    """Raise ValueError unless ``precision`` is one that detectors compute in."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")


def expect_confidence(confidence: float) -> float:
    """The threshold itself.

    Raises:
        ValueError: it is outside [0, 1].
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be in [0, 1], got {confidence}")
    return float(confidence)
