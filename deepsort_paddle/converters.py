"""Detections and tracks from and to the structures of other trackers.

``to_*`` hands this project's detections, their embeddings included, to another package; ``from_*`` takes its
results back as this project's structs, so that `TrackWriter`, `draw_tracks` and `deepsort-eval` work on
them. The other packages load when a converter that makes their objects is called; those that only read
attributes need no import at all.
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

# The key of `supervision.Detections.data` under which embeddings travel.
EMBEDDINGS = "embeddings"


def to_supervision(objects: Detections | Tracks) -> Any:
    """Detections or tracks as ``supervision.Detections``, for its annotators, zones and trackers.

    Args:
        objects: detections, whose embeddings go to ``data["embeddings"]``; or tracks, whose ids go to
            ``tracker_id``.

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
    """Detections from ``supervision.Detections``; masks and tracker ids are left behind.

    Args:
        objects: confidence is 1 and class 0 where it has none; ``data["embeddings"]``, ``(N, D)``, are
            taken along.

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
    """The two arguments of deep-sort-realtime's ``update_tracks(raw_detections, embeds=embeds)``.

    Returns:
        ``([left, top, width, height], confidence, class)`` for each detection, and the ``(N, D)`` embeddings.

    Raises:
        ValueError: the detections carry no embeddings.
    """
    if detections.embeddings is None:
        raise ValueError("detections carry no embeddings, and deep-sort-realtime needs one each")
    corners = detections.boxes[:, :2]
    boxes_tlwh = np.concatenate([corners, detections.boxes[:, 2:] - corners], axis=1)
    columns = zip(
        boxes_tlwh.tolist(), detections.confidence.tolist(), detections.class_id.tolist(), strict=True
    )
    return list(columns), detections.embeddings


def from_deep_sort_realtime(tracks: Iterable[Any]) -> Tracks:
    """Tracks from deep-sort-realtime's confirmed tracks; tentative ones are left out.

    Its ids are texts of numbers unless ``today`` is set. The confidence of a track that took no
    detection in this frame is 0: deep-sort-realtime forgets it. ``detection_index`` is -1: it is not told.

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
    """A list of ``norfair.Detection``: two corner points, the confidence twice, the class, the embedding.

    A zero embedding, 'no appearance', becomes None.

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
    """Tracks from the ``TrackedObject`` list that ``norfair.Tracker.update`` returns.

    norfair moves both corners by themselves: a box that has turned inside out on the way has no size here.

    Args:
        objects: whose detections were two corner points, as `to_norfair` makes them.
        detections: the list that ``update`` got in this frame. Without it ``detection_index`` is -1, and
            ``frames_since_update`` is 0 too where norfair has forgotten it: it keeps the age of some
            detections only.

    Raises:
        ValueError: an object is not made of two points, or its label is not a number.
    """
    rows = [one for one in objects if one.id is not None]
    for one in rows:
        if np.shape(one.estimate) != (2, 2):
            raise ValueError(
                f"object {one.id}: wanted two corner points (2, 2), got {np.shape(one.estimate)}"
            )
    boxes = np.array([np.ravel(one.estimate) for one in rows], np.float64).reshape(-1, 4)
    np.maximum(boxes[:, 2:], boxes[:, :2], out=boxes[:, 2:])
    last = [one.last_detection for one in rows]
    missed = [
        0 if seen.age is None else max(0, one.age - seen.age) for one, seen in zip(rows, last, strict=True)
    ]
    index = None
    if detections is not None:
        places = {id(one): row for row, one in enumerate(detections)}
        index = [places.get(id(seen), -1) for seen in last]
        missed = [0 if row >= 0 else max(1, frames) for row, frames in zip(index, missed, strict=True)]
    return _tracks(
        ids=[one.id for one in rows],
        boxes=list(boxes),
        confidence=[1.0 if one.scores is None else float(np.mean(one.scores)) for one in last],
        class_id=[one.label or 0 for one in last],
        frames_since_update=missed,
        detection_index=index,
    )


def to_boxmot(detections: Detections) -> NDArray[np.float32]:
    """``(N, 6)`` rows x1, y1, x2, y2, confidence, class, as boxmot's trackers take them.

    Embeddings don't fit in: give the tracker an object with ``get_features(boxes, frame)`` as ``reid_model``
    (``demo/with_boxmot.py``).
    """
    columns = (detections.boxes, detections.confidence[:, None], detections.class_id[:, None])
    return np.concatenate(columns, axis=1).astype(np.float32)


def from_boxmot(rows: NDArray[np.floating[Any]]) -> Tracks:
    """Tracks from the array that a boxmot tracker's ``update`` returns; its ids count from 0, here from 1.

    Args:
        rows: ``(M, 8)`` x1, y1, x2, y2, id, confidence, class, row of the detection; empty: no track.

    Raises:
        ValueError: the array has another shape.
    """
    table: NDArray[np.float64] = np.array(rows, np.float64)
    if table.size == 0:
        return Tracks.empty()
    if table.ndim != 2 or table.shape[1] != 8:
        raise ValueError(f"boxmot's tracks: wanted (M, 8), got {table.shape}")
    return Tracks(
        ids=table[:, 4].astype(np.int64) + 1,
        boxes=table[:, :4],
        confidence=table[:, 5].astype(np.float32),
        class_id=table[:, 6].astype(np.int64),
        detection_index=table[:, 7].astype(np.int64),
        frames_since_update=np.zeros(len(table), np.int64),
    )


def from_ultralytics(result: Any) -> Detections:
    """Detections from one of the ``Results`` that an ultralytics model returns, without masks and ids.

    Raises:
        ValueError: it holds no boxes, as the result of a classifier.
    """
    if result.boxes is None:
        raise ValueError("ultralytics' result holds no boxes: wanted that of a detector")
    found = result.boxes.cpu().numpy()
    return Detections.of(found.xyxy, found.conf, found.cls.astype(np.int64))


def _tracks(
    *,
    ids: list[Any],
    boxes: list[Any],
    confidence: list[float],
    class_id: list[Any],
    frames_since_update: list[int],
    detection_index: list[int] | None = None,
) -> Tracks:
    """Columns as `Tracks`; ids and classes may be texts of numbers; without ``detection_index`` it is -1."""
    try:
        numbers = np.array([int(value) for value in (*ids, *class_id)], np.int64).reshape(2, -1)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"track ids and classes: wanted whole numbers, got {[*ids, *class_id]!r:.80}"
        ) from error
    return Tracks(
        ids=numbers[0],
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        confidence=np.array(confidence, np.float32),
        class_id=numbers[1],
        detection_index=np.array([-1] * len(ids) if detection_index is None else detection_index, np.int64),
        frames_since_update=np.array(frames_since_update, np.int64),
    )
