"""MOTChallenge text files.

A line is ``frame,id,left,top,width,height,confidence,...``. Pixel coordinates in these files are
1-based (the upper left pixel is 1, 1) while boxes here are 0-based: readers subtract 1 from left and top,
the writer adds it again. This is the only file in which boxes have left, top, width and height.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.boxes import tlwh_from_xyxy, xyxy_from_tlwh
from deepsort_paddle.motchallenge.table import read_table
from deepsort_paddle.motchallenge.variants import (
    detections_as_motchallenge,
    truth_as_motchallenge,
    why_twice,
)
from deepsort_paddle.part_files import CompletedOnExit, commit, temporary_path
from deepsort_paddle.structures import Detections, Tracks, row_index

__all__ = [
    "TrackRecords",
    "TrackWriter",
    "read_detections",
    "read_ground_truth",
    "read_tracks",
]

_EMBEDDING_START = 10


@dataclass(frozen=True, slots=True)
class TrackRecords:
    """The tracked or annotated boxes of all frames of a sequence, sorted by frame.

    Attributes:
        frame: ``(N,)`` int64 frame numbers from 1, ascending; rows of one frame keep the file's order.
        ids: ``(N,)`` int64, unique within a frame.
        boxes: ``(N, 4)`` float64 xyxy pixels, 0-based.
        confidence: ``(N,)`` float64 as in the file (0 in ground truth: ignore the box); 1 by default.
        class_id: ``(N,)`` int64 MOTChallenge class (1 is pedestrian); 1 by default.
        visibility: ``(N,)`` float64 in [0, 1]; 1 by default.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "tracks.txt")
        ...     _ = path.write_text("1,7,11,21,50,150,0.9,-1,-1,-1")
        ...     records = read_tracks(path)
        >>> records[records.frame == 1].boxes
        array([[ 10.,  20.,  60., 170.]])
    """

    frame: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    confidence: NDArray[np.float64]
    class_id: NDArray[np.int64]
    visibility: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: Any) -> Self:
        """Select rows of all columns by slice, mask or index array."""
        rows = row_index(index)
        return type(self)(
            frame=self.frame[rows],
            ids=self.ids[rows],
            boxes=self.boxes[rows],
            confidence=self.confidence[rows],
            class_id=self.class_id[rows],
            visibility=self.visibility[rows],
        )


def read_detections(path: str | Path) -> dict[int, Detections]:
    """Read the detections of a MOTChallenge ``det.txt``.

    Columns are frame, id (ignored), left, top, width, height and optionally confidence. Columns 8 to 10
    (world coordinates) are ignored. Columns from the 11th on are an embedding, the layout in which DeepSORT's
    authors published theirs. Rows of a frame keep the file's order; class_id is 0.

    The rows of PaddleDetection's detection files (``frame,left,top,width,height,score,class``, 0-based) are
    recognised and read with a warning.

    Confidence: without the column, or with -1 throughout ('unknown' in this format), it is 1. Otherwise
    values are clipped to [0, 1] with a warning, as some detectors (DPM, ACF) have unbounded scores: a
    threshold between 0 and 1 then acts as it would on the raw scores.

    Args:
        path: the file.

    Returns:
        Detections by frame number; frames without detections are absent.

    Raises:
        OSError: the file cannot be read.
        ValueError: a wrong or varying number of columns, text that is not a number, NaN, a negative width or
            height, a value beyond 1e9, or a frame number that is not a whole number from 1 to ten million.
            The message has file and line.
    """
    table, lines = read_table(path)
    if table.shape[1] == _EMBEDDING_START + 1:
        raise ValueError(
            f"{path}, line {lines[0]}: expected 6 to 10 columns (or 10 and an embedding), got 11"
        )
    table = detections_as_motchallenge(table, path)
    frame, boxes = table[:, 0].astype(np.int64), _boxes(table)
    confidence = _known_confidence(table, path)
    embeddings = table[:, _EMBEDDING_START:] if table.shape[1] > _EMBEDDING_START else None
    order = np.argsort(frame, kind="stable")
    numbers, starts = np.unique(frame[order], return_index=True)
    groups = np.split(order, starts[1:])
    return {
        int(number): Detections.of(
            boxes[rows], confidence[rows], embeddings=None if embeddings is None else embeddings[rows]
        )
        for number, rows in zip(numbers, groups, strict=False)
    }


def read_tracks(path: str | Path) -> TrackRecords:
    """Read tracking results: frame, id, left, top, width, height and, if there is one, confidence.

    Args:
        path: the text file.

    Returns:
        The rows, sorted by frame.

    Raises:
        OSError: the file cannot be read.
        ValueError: as for `read_detections`, or an id is not a whole number or is repeated in a frame.
    """
    table, lines = read_table(path)
    return _track_table(path, table, lines, has_class=False)


def read_ground_truth(path: str | Path) -> TrackRecords:
    """Read the ground truth of MOT16 and later (8 or 9 columns with class and visibility), MOT15 or VisDrone.

    Ten columns are the layout of MOT15: the last three are world coordinates, and every row is a fully
    visible pedestrian. But if the last three are the class and visibility of MOT16 and a placeholder, or
    VisDrone's category, truncation and occlusion, they are used. VisDrone's categories are converted to
    MOTChallenge classes with a warning.

    Args:
        path: the file.

    Returns:
        One row per box.

    Raises:
        OSError: the file cannot be read.
        ValueError: as for `read_tracks`, or a class is not a whole number.
    """
    table, lines = read_table(path)
    table = truth_as_motchallenge(table, path)
    return _track_table(path, table, lines, has_class=table.shape[1] in (8, 9))


class TrackWriter(CompletedOnExit):
    """Writes tracks as lines ``frame,id,left,top,width,height,score,-1,-1,-1``.

    It writes ``NAME.part``, flushes after each frame, and renames the file to ``NAME`` when it is closed. So
    ``NAME`` is always complete, and a killed run keeps its frames in ``NAME.part``. When used as a context
    manager it also renames the file after Ctrl-C. After any other error ``NAME.part`` and an older ``NAME``
    stay.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from deepsort_paddle import DeepSort
        >>> tracker = DeepSort(n_init=1)
        >>> with TemporaryDirectory() as folder:
        ...     with TrackWriter(f"{folder}/tracks.txt") as writer:
        ...         for number in (1, 2):
        ...             writer.write(number, tracker.update(Detections.of([[10, 20, 60, 170]])))
        ...     print(Path(folder, "tracks.txt").read_text().strip())
        2,1,11.000,21.000,50.000,150.000,1.0000,-1,-1,-1
    """

    def __init__(self, path: str | Path, *, classes: bool = False) -> None:
        """Open ``NAME.part``.

        Args:
            path: the text file.
            classes: write the class id into the eighth column, which is unused for 2D tracks.
        """
        self.path = Path(path)
        self._classes = classes
        self._file = temporary_path(path).open("w", encoding="ascii", newline="\n")

    def write(self, frame_number: int, tracks: Tracks) -> None:
        """Append the tracks of one frame.

        Args:
            frame_number: from 1.
            tracks: of this frame, with 0-based boxes; nothing is written if there are none.
        """
        if len(tracks) == 0:
            return
        class_id = tracks.class_id if self._classes else np.full(len(tracks), -1)
        rows = zip(tracks.ids, tlwh_from_xyxy(tracks.boxes), tracks.confidence, class_id, strict=True)
        self._file.write(
            "".join(
                f"{frame_number},{track_id},{left + 1:.3f},{top + 1:.3f},{width:.3f},{height:.3f},"
                f"{score:.4f},{number},-1,-1\n"
                for track_id, (left, top, width, height), score, number in rows
            )
        )
        self._file.flush()

    def close(self) -> None:
        """Close the file and rename it; a second call does nothing."""
        if not self._file.closed:
            self._file.close()
            commit(self.path)

    def abandon(self) -> None:
        """Close the temporary file without renaming it."""
        self._file.close()


def _boxes(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(N, 4)`` xyxy, 0-based, from 1-based left, top, width, height in columns 3 to 6."""
    return xyxy_from_tlwh(table[:, 2:6] - np.array([1.0, 1.0, 0.0, 0.0]))


def _known_confidence(table: NDArray[np.float64], path: str | Path) -> NDArray[np.float64]:
    """``(N,)`` in [0, 1]; see `read_detections`."""
    if table.shape[1] < 7 or len(table) == 0 or bool((table[:, 6] == -1).all()):
        return np.ones(len(table))
    confidence = table[:, 6]
    outside = int(np.count_nonzero((confidence < 0) | (confidence > 1)))
    if outside:
        warnings.warn(
            f"{path}: {outside} of {len(table)} confidences lie outside 0 to 1 and were clipped",
            stacklevel=3,
        )
    return np.clip(confidence, 0.0, 1.0)


def _track_table(
    path: str | Path, table: NDArray[np.float64], lines: list[int], *, has_class: bool
) -> TrackRecords:
    """Columns of identified boxes, sorted by frame, after checking ids and classes."""
    whole = [(1, "id")] + ([(7, "class")] if has_class else [])
    for column, name in whole:
        fractional = table[:, column] % 1 != 0
        if fractional.any():
            row = int(np.argmax(fractional))
            raise ValueError(
                f"{path}, line {lines[row]}: {name} {table[row, column]:g} is not a whole number"
            )
    order = np.lexsort((np.arange(len(table)), table[:, 1], table[:, 0]))
    same = (np.diff(table[order][:, :2], axis=0) == 0).all(axis=1)
    if same.any():
        first = int(np.argmax(same))
        frame, track_id = table[order[first], :2]
        raise ValueError(
            f"{path}, line {lines[order[first + 1]]}: id {track_id:g} was in frame {frame:g} already, "
            f"in line {lines[order[first]]}" + why_twice(table[order[first : first + 2]])
        )
    order = np.argsort(table[:, 0], kind="stable")
    table = table[order]
    ones = np.ones(len(table))
    return TrackRecords(
        frame=table[:, 0].astype(np.int64),
        ids=table[:, 1].astype(np.int64),
        boxes=_boxes(table),
        confidence=table[:, 6].copy() if table.shape[1] > 6 else ones,
        class_id=(table[:, 7] if has_class else ones).astype(np.int64),
        visibility=table[:, 8].copy() if has_class and table.shape[1] > 8 else ones.copy(),
    )
