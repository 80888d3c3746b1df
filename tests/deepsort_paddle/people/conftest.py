"""Small runs, as the tracker would hand them to an output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

SIZE = (120, 200)  # height, width of the frames
DIMENSIONS = 16

# Track id: frame: (x of the left edge, person).
Run = Mapping[int, Mapping[int, tuple[float, int]]]


def person_embedding(person: int, wobble: int = 0) -> NDArray[np.float32]:
    """A unit row near the person's own axis; ``wobble`` turns it a little."""
    row = np.zeros(DIMENSIONS, np.float32)
    row[person] = 1.0
    row += 0.05 * np.random.default_rng(1000 * person + wobble).normal(size=DIMENSIONS).astype(np.float32)
    unit: NDArray[np.float32] = row / np.linalg.norm(row)
    return unit


@pytest.fixture
def model() -> ReidModel:
    """A model whose single images of one person are 0.2 apart, of different persons 1."""
    edges = tuple(np.linspace(0.0, 2.0, 21).tolist())
    same, different = np.zeros((2, 20))
    same[:4] = 0.25
    different[7:13] = 1 / 6
    return ReidModel("toy", "ab" * 32, 0.4, edges, tuple(same), tuple(different))


@pytest.fixture
def tracked_frame() -> Callable[..., TrackedFrame]:
    """Function that makes a tracked frame of boxes, ids and embeddings; the image is noise."""

    def make(
        number: int,
        ids: Sequence[int],
        lefts: Sequence[float],
        embeddings: NDArray[np.float32] | None,
        *,
        image: bool = True,
        timestamp: float | None = None,
    ) -> TrackedFrame:
        x = np.array(lefts, float)
        boxes = np.column_stack([x, np.full(len(x), 20.0), x + 30, np.full(len(x), 100.0)]).reshape(-1, 4)
        detections = Detections.of(boxes, np.full(len(x), 0.9), embeddings=embeddings)
        zeros = np.zeros(len(x), np.int64)
        tracks = Tracks(
            np.array(ids, np.int64), boxes, detections.confidence, zeros, np.arange(len(x)), zeros
        )
        pixels = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8) if image else None
        return TrackedFrame(Frame(number, pixels, timestamp), detections, tracks, StageSeconds(0, 0, 0, 0))

    return make


@pytest.fixture
def write_run(model: ReidModel, tracked_frame: Callable[..., TrackedFrame]) -> Callable[..., TrackIndex]:
    """Function that writes the index of a run, 10 frames a second, and reads it."""

    def write(path: Path, run: Run, *, name: str = "cam", reid: ReidModel = model) -> TrackIndex:
        last = max(frame for frames in run.values() for frame in frames)
        with TrackIndexWriter(path, model=reid, name=name, fps=10.0) as writer:
            for number in range(1, last + 1):
                here = {track: frames[number] for track, frames in run.items() if number in frames}
                rows = [person_embedding(person, 100 * track + number) for track, (_, person) in here.items()]
                embeddings = np.array(rows, np.float32).reshape(-1, DIMENSIONS)
                lefts = [left for left, _ in here.values()]
                writer.write(tracked_frame(number, list(here), lefts, embeddings))
        return TrackIndex.read(path)

    return write
