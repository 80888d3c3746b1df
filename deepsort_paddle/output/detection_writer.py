"""Write detections and embeddings of a run, for ``--detections`` of a later run."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from deepsort_paddle.detection.saved_detections import COLUMNS, AboutDetections
from deepsort_paddle.part_files import CompletedOnExit, commit, name_disk_errors, temporary_path
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["DetectionWriter"]


class DetectionWriter(CompletedOnExit):
    """Collect the detections of a run and write them when closed; see `SavedDetections`.

    Embeddings are written to a temporary file next to the result, so memory does not grow with them.
    """

    def __init__(self, path: str | Path, about: Callable[[], AboutDetections]) -> None:
        """Open the temporary file.

        Args:
            path: the ``.npz`` file.
            about: called when the file is closed.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.path = Path(path)
        self._about = about
        self._detections: list[Detections] = []
        self._frames: list[int] = []
        self._seconds: list[float] = []
        self._counts: list[int] = []
        self._motions: list[NDArray[np.float64] | None] = []
        self._size = 0
        self._rows: IO[bytes] = tempfile.TemporaryFile(dir=temporary_path(path).parent)  # noqa: SIM115
        self._waiting = 0  # detections without embeddings whose zero rows are not written yet
        self._closed = False

    def watch(self, frames: Generator[TrackedFrame, None, None]) -> Generator[TrackedFrame, None, None]:
        """Yield the same frames and write each; closing it closes ``frames``."""
        try:
            for tracked in frames:
                with name_disk_errors(self.path):
                    self.write(tracked)
                yield tracked
        finally:
            frames.close()

    def write(self, tracked: TrackedFrame) -> None:
        """Add one frame."""
        frame, found = tracked.frame, tracked.detections
        self._frames.append(frame.number)
        self._seconds.append(np.nan if frame.timestamp is None else frame.timestamp)
        self._counts.append(len(found))
        self._motions.append(tracked.camera_motion)
        rows = found.embeddings
        if rows is not None and len(rows):
            if self._size == 0:
                self._size = rows.shape[1]
                self._fill()
            elif rows.shape[1] != self._size:
                raise ValueError(f"embeddings must have {self._size} values, got {rows.shape[1]}")
            self._rows.write(np.ascontiguousarray(rows, np.float32).tobytes())
        else:
            self._waiting += len(found)
            if self._size:
                self._fill()
        self._detections.append(
            Detections(found.boxes, found.confidence, found.class_id, None if rows is None else rows[:, :0])
        )

    def _fill(self) -> None:
        """Write zero rows for detections without embeddings."""
        zeros = np.zeros((1, self._size), np.float32).tobytes()
        for _ in range(self._waiting):
            self._rows.write(zeros)
        self._waiting = 0

    def close(self) -> None:
        """Write the file; closing twice is allowed.

        Raises:
            OSError: the disk is full.
        """
        if self._closed:
            return
        self._closed = True
        with self._rows, name_disk_errors(self.path):
            with zipfile.ZipFile(temporary_path(self.path), "w", zipfile.ZIP_STORED) as archive:
                for name, column in self._columns().items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        npy.write_array(member, column, allow_pickle=False)
                shape = (sum(self._counts), self._size)
                with archive.open("embeddings.npy", "w", force_zip64=True) as member:
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    npy.write_array_header_1_0(member, header)
                    self._rows.seek(0)
                    shutil.copyfileobj(self._rows, member, 1 << 20)
            commit(self.path)

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Return all arrays except the embeddings."""
        all_, counts = self._detections, np.array(self._counts, np.int64)
        described = np.array([found.embeddings is not None for found in all_], bool)
        columns: dict[str, Any] = {
            "frame": np.repeat(np.array(self._frames, np.int64), counts),
            "boxes": np.concatenate([np.zeros((0, 4)), *(found.boxes for found in all_)]),
            "confidence": np.concatenate([np.zeros(0, np.float32), *(found.confidence for found in all_)]),
            "class_id": np.concatenate([np.zeros(0, np.int64), *(found.class_id for found in all_)]),
            "described": np.repeat(described, counts),
            "frame_number": np.array(self._frames, np.int64),
            "timestamp": np.array(self._seconds, np.float64),
        }
        kept = {name: np.asarray(column, COLUMNS[name][0]) for name, column in columns.items()}
        if any(motion is not None for motion in self._motions):
            still = np.eye(2, 3)
            kept["camera_motion"] = np.array([still if one is None else one for one in self._motions])
        return {**kept, "about": np.array(self._about().as_json())}

    def abandon(self) -> None:
        """Delete the temporary file."""
        self._rows.close()
