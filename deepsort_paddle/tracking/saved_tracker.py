"""A tracker as a file: its options, its live tracks and their embeddings, in an ``.npz`` without pickles."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.part_files import commit, temporary_path
from deepsort_paddle.tracking.gallery import Gallery
from deepsort_paddle.tracking.options import TrackerOptions, current_name
from deepsort_paddle.tracking.report import NOWHERE
from deepsort_paddle.tracking.track_state import TrackState

__all__ = ["SavedTracker", "new_gallery", "read_tracker", "write_tracker"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SavedTracker:
    """All that a tracker needs to continue.

    Attributes:
        options: its settings.
        state: its live tracks.
        gallery: their embeddings; None before the first embedding.
        next_id: the id of the next new track.
        area: ``(4,)`` xyxy pixels around all boxes matched so far.
    """

    options: TrackerOptions
    state: TrackState
    gallery: Gallery | None
    next_id: int
    area: NDArray[np.float64]


def new_gallery(options: TrackerOptions, dimension: int) -> Gallery:
    """Return an empty gallery for embeddings of this length, as the options say."""
    return Gallery(
        options.gallery_size,
        dimension,
        momentum=options.gallery_momentum,
        neighbours=options.gallery_neighbours,
    )


def write_tracker(path: str | PathLike[str], tracker: SavedTracker) -> None:
    """Write a tracker to a file.

    Raises:
        OSError: the file cannot be written.
    """
    state = tracker.state
    columns: dict[str, NDArray[Any]] = {field.name: getattr(state, field.name) for field in fields(state)}
    header = {"format": _FORMAT, "next_id": tracker.next_id, "parameters": asdict(tracker.options)}
    columns["header"] = np.array(json.dumps(header))
    columns["area"] = tracker.area
    if tracker.gallery is not None:
        columns["samples"], columns["added"] = tracker.gallery.samples(state.slots)
    final = Path(path)
    with temporary_path(final).open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
    commit(final)


def read_tracker(path: str | PathLike[str]) -> SavedTracker:
    """Read a tracker from a file that `write_tracker` wrote, today or in an earlier version.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it holds something else, or another format; the message names the file.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            columns = dict(archive)
        return _restored(columns)
    except OSError:
        raise
    # A damaged archive fails in as many ways as zip, zlib, numpy and json know.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{os.fspath(path)} is not a saved tracker: {reason}") from error


def _restored(columns: dict[str, NDArray[Any]]) -> SavedTracker:
    """Return the tracker that the arrays of a file describe."""
    header = json.loads(str(columns.pop("header")))
    if header["format"] != _FORMAT:
        raise ValueError(f"format must be {_FORMAT}, got {header['format']}")
    options = _restored_options({current_name(name): value for name, value in header["parameters"].items()})
    samples, added = columns.pop("samples", None), columns.pop("added", None)
    area = columns.pop("area", NOWHERE)  # files of earlier versions have none
    if area.shape != (4,) or area.dtype != np.float64:
        raise ValueError(f"area must be float64 (4,), got {area.dtype} {area.shape}")
    state = TrackState.restored(columns, anchored=options.observation_centred)
    gallery = None
    if samples is not None and added is not None:
        if not np.isfinite(samples).all():
            raise ValueError("samples must be finite")
        gallery = new_gallery(options, samples.shape[2])
        state.slots = gallery.restore(samples, added)
    return SavedTracker(options, state, gallery, int(header["next_id"]), area)


def _restored_options(parameters: dict[str, Any]) -> TrackerOptions:
    """Return the options of a saved tracker.

    Before options were fixed, a saved age in frames could disagree with one in seconds, and the frame rate
    could be 0. The ages in frames are those that the tracker used.
    """
    try:
        return TrackerOptions(**parameters)
    except ValueError:
        in_frames = {"max_seconds": 0.0, "reactivate_seconds": 0.0}
        rate = parameters["frame_rate"] or TrackerOptions().frame_rate
        return TrackerOptions(**parameters | in_frames | {"frame_rate": rate})
