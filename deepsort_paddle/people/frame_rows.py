"""Store the tracked boxes of every frame in a track index, so that every output can be written again.

A frame is one row of the table ``frames``; its tracks are one blob of fixed records with boxes in full
precision, so that an output written from the index equals that of the run. Detections without a track have id
0, as ``--blur`` also hides them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame
from deepsort_paddle.people.index_file import connect
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

__all__ = ["ROW", "frame_numbers", "frame_rows", "replay"]

# One track of one frame; ``detection`` is NaN if the track had no detection. Id 0: no track.
ROW = np.dtype(
    [
        ("id", "<i4"),
        ("class_id", "<i4"),
        ("missed", "<i4"),
        ("confidence", "<f4"),
        ("box", "<f8", 4),
        ("detection", "<f8", 4),
        ("detection_confidence", "<f4"),
    ]
)
_NO_TIME = StageSeconds(0.0, 0.0, 0.0, 0.0)


def frame_rows(tracked: TrackedFrame) -> bytes:
    """Return the tracks and other detections of a frame as the blob of the table ``frames``."""
    tracks, found = tracked.tracks, tracked.detections
    rows = np.zeros(len(tracks), ROW)
    rows["id"], rows["class_id"] = tracks.ids, tracks.class_id
    rows["missed"], rows["confidence"] = tracks.frames_since_update, tracks.confidence
    rows["box"], rows["detection"] = tracks.boxes, np.nan
    matched = tracks.detection_index >= 0
    rows["detection"][matched] = found.boxes[tracks.detection_index[matched]]
    rows["detection_confidence"][matched] = found.confidence[tracks.detection_index[matched]]
    alone = found[np.setdiff1d(np.arange(len(found)), tracks.detection_index)]
    others = np.zeros(len(alone), ROW)
    others["detection"], others["detection_confidence"] = alone.boxes, alone.confidence
    others["class_id"] = alone.class_id
    return rows.tobytes() + others.tobytes()


def frame_numbers(path: str | Path) -> NDArray[np.int64]:
    """Return the frame numbers of a run in order, ``(F,)``.

    Raises:
        FileNotFoundError: there is no such index.
        ValueError: it is not a track index.
    """
    with closing(connect(Path(path))) as database:
        try:
            rows = database.execute("SELECT number FROM frames ORDER BY place").fetchall()
        except sqlite3.Error as error:
            raise ValueError(f"{path}: damaged track index ({error})") from None
    return np.array(rows, np.int64).reshape(-1)


def replay(path: str | Path, images: Iterable[Frame] | None = None) -> Generator[TrackedFrame, None, None]:
    """Yield the tracked frames of a run in order, for outputs.

    Args:
        path: the track index.
        images: the frames of the same source, read again for their images; None: frames have no images.

    Yields:
        The frames. Detections are those of the tracks, without embeddings.

    Raises:
        FileNotFoundError: there is no such index.
        ValueError: it is not a track index, has no frames, or ``images`` are from another source.
    """
    database = connect(Path(path))
    try:
        again = repeat(None) if images is None else iter(images)
        for number, timestamp, blob in database.execute(
            "SELECT number, seconds, rows FROM frames ORDER BY place"
        ):
            second = next(again, None)
            if images is not None and (second is None or second.number != number):
                got = "the end" if second is None else f"frame {second.number}"
                raise ValueError(
                    f"{path}: expected frame {number} of its video, got {got}; is it another one?"
                )
            frame = Frame(number, None if second is None else second.image, timestamp)
            yield _tracked(frame, np.frombuffer(blob, ROW))
    except sqlite3.Error as error:
        raise ValueError(f"{path}: damaged track index ({error})") from None
    finally:
        database.close()


def _tracked(frame: Frame, rows: np.ndarray) -> TrackedFrame:
    """Convert rows to a frame."""
    detected = ~np.isnan(rows["detection"][:, 0])
    index = np.where(detected, np.cumsum(detected) - 1, -1)
    own = rows[detected]
    index, rows = index[rows["id"] > 0], rows[rows["id"] > 0]
    return TrackedFrame(
        frame=frame,
        detections=Detections(
            own["detection"].copy(),
            own["detection_confidence"].copy(),
            own["class_id"].astype(np.int64),
        ),
        tracks=Tracks(
            ids=rows["id"].astype(np.int64),
            boxes=rows["box"].copy(),
            confidence=rows["confidence"].copy(),
            class_id=rows["class_id"].astype(np.int64),
            detection_index=index.astype(np.int64),
            frames_since_update=rows["missed"].astype(np.int64),
        ),
        seconds=_NO_TIME,
    )
