"""Writers of annotations: CVAT XML, and MOTChallenge ground truth.

An annotation knows no tracks, only persons: with ``persons`` all tracks of one person are one annotated
track. Both files come back by ``--apply`` after they were corrected in an annotation tool.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.annotations.cvat import CvatTrack, write_cvat
from deepsort_paddle.annotations.keyframes import key_frames
from deepsort_paddle.boxes import tlwh_from_xyxy
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.writers import TextFile
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["CvatWriter", "GroundTruthWriter"]


class CvatWriter(TextFile):
    """Collects the boxes of all persons, and writes them as key frames when it is closed.

    A box without a detection is marked as occluded. Memory: 45 bytes for each box, until it is closed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str,
        size: tuple[int, int] | None,
        labels: Sequence[str],
        persons: Persons | None = None,
        places: Mapping[int, int] | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: of the file.
            name: of the video.
            size: width and height of the frames in pixels; None when unknown.
            labels: class names by number.
            persons: of the run; None: each track is a person.
            places: CVAT's number of each frame; None: one less than the frame's own.
        """
        super().__init__(path)
        self._name, self._size, self._labels = name, size, labels or ("person",)
        self._persons = persons or Persons({})
        self._places = places
        self._numbers = array("q")  # of all frames, as CVAT counts them
        self._class: dict[int, int] = {}
        self._rows: dict[int, array[float]] = {}

    def write(self, tracked: TrackedFrame) -> None:
        """Take in one frame."""
        number, tracks = tracked.frame.number, tracked.tracks
        place = len(self._numbers)
        self._numbers.append(number - 1 if self._places is None else self._places[number])
        for track, class_id, box, detection in zip(
            tracks.ids.tolist(),
            tracks.class_id.tolist(),
            tracks.boxes.tolist(),
            tracks.detection_index.tolist(),
            strict=True,
        ):
            person = self._persons.of(track)
            self._class.setdefault(person, class_id)
            self._rows.setdefault(person, array("d")).extend((place, *box, detection < 0))

    def _finish(self) -> None:
        numbers = np.array(self._numbers, np.int64)
        tracks = []
        for person, values in sorted(self._rows.items()):
            rows = np.array(values).reshape(-1, 6)
            # Two tracks of a person in one frame: the first one stays.
            rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
            tracks.append(self._track(person, rows, numbers))
        used = sorted(set(self._class.values())) or [0]
        write_cvat(
            self._file,
            tracks,
            name=self._name,
            frames=int(numbers.max(initial=-1)) + 1,
            size=self._size,
            labels=[self._label(number) for number in used],
        )

    def _label(self, number: int) -> str:
        return self._labels[number] if number < len(self._labels) else f"class {number}"

    def _track(self, person: int, rows: NDArray[np.float64], numbers: NDArray[np.int64]) -> CvatTrack:
        """One person; ``rows`` are ``(N, 6)`` place, box and whether nothing was detected."""
        places, boxes, occluded = rows[:, 0].astype(np.int64), rows[:, 1:5], rows[:, 5] > 0
        frames: list[int] = []
        kept: list[NDArray[np.float64]] = []
        marks: list[tuple[bool, bool]] = []
        # A person is there in a row of frames without a gap, and in each of them until that changes.
        breaks = np.flatnonzero((np.diff(places) > 1) | (np.diff(occluded.astype(int)) != 0)) + 1
        for part in np.split(np.arange(len(places)), breaks):
            for row in part[key_frames(numbers[places[part]], boxes[part])].tolist():
                frames.append(int(numbers[places[row]]))
                kept.append(boxes[row])
                marks.append((False, bool(occluded[row])))
            end = int(places[part[-1]]) + 1
            if end < len(numbers) and not (part[-1] + 1 < len(places) and places[part[-1] + 1] == end):
                frames.append(int(numbers[end]))
                kept.append(boxes[part[-1]])
                marks.append((True, False))
        outside, hidden = np.array(marks, bool).T
        label = self._label(self._class[person])
        return CvatTrack(str(person), label, np.array(frames, np.int64), np.array(kept), outside, hidden)


class GroundTruthWriter(TextFile):
    """Writes rows ``frame,id,left,top,width,height,1,1,visibility``: to be considered, a pedestrian.

    Visibility is 1 where the person was detected, else 0.
    """

    def __init__(self, path: str | Path, persons: Persons | None = None) -> None:
        """Open the file.

        Args:
            path: of the file.
            persons: of the run; None: each track is a person.
        """
        super().__init__(path)
        self._persons = persons or Persons({})

    def write(self, tracked: TrackedFrame) -> None:
        """Append one frame."""
        tracks = self._persons.relabelled(tracked.tracks)
        written: set[int] = set()
        for person, (left, top, width, height), detection in zip(
            tracks.ids.tolist(),
            tlwh_from_xyxy(tracks.boxes).tolist(),
            tracks.detection_index.tolist(),
            strict=True,
        ):
            if person not in written:  # two tracks of a person in one frame: the first one stays
                written.add(person)
                self._file.write(
                    f"{tracked.frame.number},{person},{left + 1:.3f},{top + 1:.3f},{width:.3f},{height:.3f},"
                    f"1,1,{int(detection >= 0)}\n"
                )
        self._file.flush()
