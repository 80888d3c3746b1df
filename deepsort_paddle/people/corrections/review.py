"""Collect what the report page needs to check and correct persons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deepsort_paddle.output.review import Review
from deepsort_paddle.people.corrections.doubts import doubtful_links
from deepsort_paddle.people.corrections.file import Corrections
from deepsort_paddle.people.identities import Identities
from deepsort_paddle.people.index_file import TrackIndex

__all__ = ["review_of"]

_THUMBNAILS = 3  # of a track in a question


def review_of(index: TrackIndex, found: Identities, name: str | None) -> Review:
    """Collect questions, thumbnails and earlier corrections.

    Args:
        index: index of a finished run, with its people.
        found: its people.
        name: name of the index on the command line; None: it is temporary, so corrections are impossible.

    Returns:
        The review.
    """
    meta, model = index.meta, index.meta.model
    said = Corrections() if meta.corrections is None else Corrections.of(meta.corrections)
    document = replace(
        said,
        index=name,
        video=meta.name,
        model=(model.name, model.sha256),
        tracks=meta.tracks or len(index),
        annotated=meta.annotated is not None,
    )
    known = [(link.first, link.second) for link in said.links]
    doubts = doubtful_links(index, found, known=known)
    asked = {track for doubt in doubts for track in (doubt.first, doubt.second)}
    wanted = []
    for row, track in enumerate(index.ids.tolist()):
        moments = index.moments(row)
        best = np.argsort(-index.quality[moments], kind="stable")[: _THUMBNAILS if track in asked else 1]
        wanted += [(track, frame) for frame in index.moment_frames[moments][best].tolist()]
    thumbnails: dict[int, list[bytes]] = {}
    for (track, _), jpeg in index.thumbnails(wanted).items():
        thumbnails.setdefault(track, []).append(jpeg)
    return Review(
        corrections=document.as_dict() if name else None,
        questions=tuple((doubt.first, doubt.second, doubt.probability, doubt.joined) for doubt in doubts),
        thumbnails=thumbnails,
    )
