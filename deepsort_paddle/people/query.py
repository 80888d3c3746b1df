"""Turn images of a person, or a track of an index, into the embeddings of a query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.appearance.crop_quality import thumbnail
from deepsort_paddle.media.image_header import KINDS, worth_decoding
from deepsort_paddle.people.person_index import SUFFIXES, PersonIndex
from deepsort_paddle.pipeline.stages import Detect, Encode

__all__ = ["Query", "image_query", "split_track", "track_query"]

# An image with at least this height / width is a crop of one person.
_CROP_SHAPE = 1.4
_THUMBNAIL = (256, 192)


@dataclass(frozen=True, slots=True)
class Query:
    """One person to look for.

    Attributes:
        embeddings: ``(k, D)`` unit rows.
        images: JPEGs to show.
        note: note for the user; empty if there is none.
    """

    embeddings: NDArray[np.float32]
    images: tuple[bytes, ...] = ()
    note: str = ""


def split_track(text: str) -> tuple[Path, int] | None:
    """Parse ``index.sqlite:7`` into file and track; None for anything else."""
    path, colon, track = text.rpartition(":")
    if not (colon and track.isdecimal() and Path(path).suffix in SUFFIXES):
        return None
    return Path(path), int(track)


def track_query(people: PersonIndex, path: Path, track: int) -> Query:
    """Return the query of a track of one of the searched indexes.

    Raises:
        ValueError: there is no such index or track, or the track has no embedding.
    """
    return Query(people.embeddings_of(path, track), tuple(people.thumbnails_of(path, track)))


def image_query(path: Path, encode: Encode, detect: Callable[[], Detect]) -> Query:
    """Return the query of an image: a high and narrow image itself, else the largest person detected in it.

    Args:
        path: the image file.
        encode: encoder of the indexes' model.
        detect: creates a people detector; only called for an image that is not a crop.

    Returns:
        The query.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an image, or there is no person in it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    content = path.read_bytes()
    image = None
    if worth_decoding(content):
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: no image that can be read (expected {KINDS})")
    pixels = np.asarray(image, np.uint8)
    height, width = pixels.shape[:2]
    box, note = np.array([0.0, 0.0, width, height]), ""
    if height < _CROP_SHAPE * width:
        found = detect()(1, pixels).boxes
        if not len(found):
            raise ValueError(
                f"{path}: no person found; cut the image to one person, or name a better detector "
                "(--detector)"
            )
        size = (found[:, 2:] - found[:, :2]).prod(axis=1)
        box = found[int(np.argmax(size))]
        if len(found) > 1:
            note = f"{path}: {len(found)} people found, searching for the largest one"
    embeddings = encode(pixels, box[None])
    if not embeddings.any():
        raise ValueError(f"{path}: no person found; the image has no pixels to describe")
    return Query(embeddings, (thumbnail(pixels, box, _THUMBNAIL),), note)
