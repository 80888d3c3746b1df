"""Convert detections and tracks to and from other packages.

``to_*`` converts detections, with their embeddings, for another package. ``from_*`` converts its results to
this project's structs, so that `TrackWriter`, `draw_tracks` and `deepsort-eval` work on them. A converter
imports the other package only if it creates that package's objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.structures import Detections, Tracks

__all__ = [
    "from_boxmot",
    "from_deep_sort_realtime",
    "from_norfair",
    "from_supervision",
    "from_ultralytics",
    "to_boxmot",
    "to_deep_sort_realtime",
    "to_norfair",
    "to_supervision",
]

# The key of the embeddings in `supervision.Detections.data`.
EMBEDDINGS = "embeddings"


def to_supervision(objects: Detections | Tracks) -> Any:
    """Convert detections or tracks for supervision's annotators, zones and trackers.

    Args:
        objects: detections, whose embeddings become ``data["embeddings"]``; or tracks, whose ids become
            ``tracker_id``.

    Returns:
        ``supervision.Detections``.

    Raises:
        ImportError: supervision is not installed.
    """
    import supervision

    ids, extra = None, {}
    if isinstance(objects, Tracks):
        ids = objects.ids.copy()
    elif objects.embeddings is not None:
        extra = {EMBEDDINGS: objects.embeddings.copy()}
    return supervision.Detections(
        xyxy=objects.boxes.astype(np.float32),
        confidence=objects.confidence.copy(),
        class_id=objects.class_id.copy(),
        tracker_id=ids,
        data=extra,
    )


def from_supervision(objects: Any) -> Detections:
    """Convert ``supervision.Detections``, without masks and tracker ids.

    Args:
        objects: the detections. Confidence is 1 and class 0 by default; ``data["embeddings"]``, ``(N, D)``,
            become the embeddings.

    Returns:
        The detections.

    Raises:
        ValueError: a column has the wrong shape or holds NaN or infinity.
    """
    return Detections.of(
        objects.xyxy,
        objects.confidence,
        objects.class_id,
        objects.data.get(EMBEDDINGS) if objects.data else None,
    )


def to_deep_sort_realtime(
    detections: Detections,
) -> tuple[list[tuple[list[float], float, int]], NDArray[np.float32]]:
    """Convert to the arguments of deep-sort-realtime's ``update_tracks(raw_detections, embeds=embeds)``.

    Args:
        detections: with embeddings.

    Returns:
        ``([left, top, width, height], confidence, class)`` for each detection, and the ``(N, D)`` embeddings.

    Raises:
        ValueError: the detections have no embeddings.
    """
    if detections.embeddings is None:
        raise ValueError("detections must have embeddings for deep-sort-realtime, got none")
    corners = detections.boxes[:, :2]
    boxes_tlwh = np.concatenate([corners, detections.boxes[:, 2:] - corners], axis=1)
    columns = zip(
        boxes_tlwh.tolist(), detections.confidence.tolist(), detections.class_id.tolist(), strict=True
    )
    return list(columns), detections.embeddings


def from_deep_sort_realtime(tracks: Iterable[Any]) -> Tracks:
    """Convert deep-sort-realtime's confirmed tracks.

    Its ids are strings of digits unless ``today`` is set. The confidence of a track without a detection in
    this frame is 0, as deep-sort-realtime does not keep it. ``detection_index`` is unknown (-1).

    Args:
        tracks: the list that ``update_tracks`` returns; tentative tracks are skipped.

    Returns:
        The tracks.

    Raises:
        ValueError: an id is not a number.
    """
    rows = [track for track in tracks if track.is_confirmed()]
    return _tracks(
        ids=[track.track_id for track in rows],
        boxes=[track.to_ltrb() for track in rows],
        confidence=[track.get_det_conf() or 0.0 for track in rows],
        class_id=[track.get_det_class() or 0 for track in rows],
        frames_since_update=[track.time_since_update for track in rows],
    )


def to_norfair(detections: Detections) -> list[Any]:
    """Convert detections to ``norfair.Detection``.

    Args:
        detections: a zero embedding ("no appearance") becomes None.

    Returns:
        One ``norfair.Detection`` each: two corner points, the confidence for both, class and embedding.

    Raises:
        ImportError: norfair is not installed.
    """
    import norfair

    embeddings: list[NDArray[np.float32] | None] = [None] * len(detections)
    if detections.embeddings is not None:
        embeddings = [row if row.any() else None for row in detections.embeddings]
    return [
        norfair.Detection(
            points=box.reshape(2, 2).copy(),  # (2, 2): x1, y1 and x2, y2
            scores=np.full(2, confidence, np.float64),
            label=int(class_id),
            embedding=embedding,
        )
        for box, confidence, class_id, embedding in zip(
            detections.boxes, detections.confidence, detections.class_id, embeddings, strict=True
        )
    ]


def from_norfair(objects: Iterable[Any], detections: Sequence[Any] | None = None) -> Tracks:
    """Convert the ``TrackedObject`` list that ``norfair.Tracker.update`` returns.

    norfair moves the two corners independently; a box whose corners have swapped gets zero size.

    Args:
        objects: tracked objects made from detections of two corner points, as from `to_norfair`.
        detections: the list passed to ``update`` in this frame. Without it ``detection_index`` is -1, and
            ``frames_since_update`` may be 0 for a missed track, as norfair keeps the age of some detections
            only.

    Returns:
        The tracks.

    Raises:
        ValueError: an object does not have two points, or its label is not a number.
    """
    tracked = [item for item in objects if item.id is not None]
    for item in tracked:
        if np.shape(item.estimate) != (2, 2):
            raise ValueError(
                f"object {item.id}: expected two corner points (2, 2), got {np.shape(item.estimate)}"
            )
    boxes = np.array([np.ravel(item.estimate) for item in tracked], np.float64).reshape(-1, 4)
    np.maximum(boxes[:, 2:], boxes[:, :2], out=boxes[:, 2:])
    last = [item.last_detection for item in tracked]
    missed = [
        0 if detection.age is None else max(0, item.age - detection.age)
        for item, detection in zip(tracked, last, strict=True)
    ]
    index = None
    if detections is not None:
        rows = {id(detection): row for row, detection in enumerate(detections)}
        index = [rows.get(id(detection), -1) for detection in last]
        missed = [0 if row >= 0 else max(1, frames) for row, frames in zip(index, missed, strict=True)]
    return _tracks(
        ids=[item.id for item in tracked],
        boxes=list(boxes),
        confidence=[
            1.0 if detection.scores is None else float(np.mean(detection.scores)) for detection in last
        ],
        class_id=[detection.label or 0 for detection in last],
        frames_since_update=missed,
        detection_index=index,
    )


def to_boxmot(detections: Detections) -> NDArray[np.float32]:
    """Convert detections for boxmot's trackers.

    The array has no embeddings: pass the tracker an object with ``get_features(boxes, frame)`` as
    ``reid_model`` (``demo/with_boxmot.py``).

    Args:
        detections: of one frame.

    Returns:
        ``(N, 6)`` float32 rows x1, y1, x2, y2, confidence, class.
    """
    columns = (detections.boxes, detections.confidence[:, None], detections.class_id[:, None])
    return np.concatenate(columns, axis=1).astype(np.float32)


def from_boxmot(rows: NDArray[np.floating[Any]]) -> Tracks:
    """Convert the array that a boxmot tracker's ``update`` returns.

    Args:
        rows: ``(M, 8)`` x1, y1, x2, y2, id, confidence, class, row of the detection; may be empty.

    Returns:
        The tracks. Ids are one larger than boxmot's, which start at 0.

    Raises:
        ValueError: the array has another shape.
    """
    table: NDArray[np.float64] = np.array(rows, np.float64)
    if table.size == 0:
        return Tracks.empty()
    if table.ndim != 2 or table.shape[1] != 8:
        raise ValueError(f"boxmot's tracks must be (M, 8), got {table.shape}")
    return Tracks(
        ids=table[:, 4].astype(np.int64) + 1,
        boxes=table[:, :4],
        confidence=table[:, 5].astype(np.float32),
        class_id=table[:, 6].astype(np.int64),
        detection_index=table[:, 7].astype(np.int64),
        frames_since_update=np.zeros(len(table), np.int64),
    )


def from_ultralytics(result: Any) -> Detections:
    """Convert one of the ``Results`` of an ultralytics model, without masks and ids.

    Args:
        result: of a detector.

    Returns:
        The detections.

    Raises:
        ValueError: the result has no boxes, as that of a classifier.
    """
    if result.boxes is None:
        raise ValueError("ultralytics' result must be that of a detector, got one without boxes")
    boxes = result.boxes.cpu().numpy()
    return Detections.of(boxes.xyxy, boxes.conf, boxes.cls.astype(np.int64))


def _tracks(
    *,
    ids: list[Any],
    boxes: list[Any],
    confidence: list[float],
    class_id: list[Any],
    frames_since_update: list[int],
    detection_index: list[int] | None = None,
) -> Tracks:
    """Make `Tracks` from lists; ids and classes may be strings of digits."""
    try:
        numbers = np.array([int(value) for value in (*ids, *class_id)], np.int64).reshape(2, -1)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"track ids and classes must be whole numbers, got {[*ids, *class_id]!r:.80}"
        ) from error
    return Tracks(
        ids=numbers[0],
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        confidence=np.array(confidence, np.float32),
        class_id=numbers[1],
        detection_index=np.array([-1] * len(ids) if detection_index is None else detection_index, np.int64),
        frames_since_update=np.array(frames_since_update, np.int64),
    )
