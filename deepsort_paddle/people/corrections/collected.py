"""Collect the corrections of one or several videos as answers about rows of their indexes.

Tracks of one name are one person, also in two videos; tracks of two names are two people.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations, pairwise

import numpy as np

from deepsort_paddle.people.corrections.answers import Answers, groups
from deepsort_paddle.people.corrections.file import Corrections
from deepsort_paddle.people.identities import seen_together
from deepsort_paddle.people.index_file import TrackIndex

__all__ = ["collect_answers", "kept_corrections"]


def kept_corrections(index: TrackIndex) -> Corrections:
    """Return the corrections stored in an index; empty ones if it has none."""
    known = index.meta.corrections
    return Corrections() if known is None else Corrections.of(known, str(index.path))


def collect_answers(
    indexes: Sequence[TrackIndex], said: Sequence[Corrections]
) -> tuple[Answers, dict[int, str]]:
    """Collect answers and names.

    Args:
        indexes: indexes of the videos, after all splits.
        said: corrections of each video.

    Returns:
        Answers about rows of the concatenated indexes, and names by row.

    Raises:
        ValueError: a track does not exist, or the corrections contradict each other.

    Example:
        >>> answers, names = collect_answers([index], [corrections])  # doctest: +SKIP
        >>> answers.same, names  # doctest: +SKIP
        (((0, 3),), {0: 'Anna', 3: 'Anna'})
    """
    begins = np.cumsum([0, *map(len, indexes)]).tolist()
    same: list[tuple[int, int]] = []
    different: list[tuple[int, int]] = []
    together: list[tuple[int, int]] = []
    names: dict[int, str] = {}
    for index, one, begin in zip(indexes, said, begins, strict=False):
        known = set(index.ids.tolist())
        mentioned = [track for link in one.links for track in (link.first, link.second)]
        for track in (*sorted(one.names), *mentioned):
            if track not in known:
                raise ValueError(f"{one.path}: there is no track {track}, the run has {len(known)} tracks")
        for link in one.links:
            pair = begin + index.row(link.first), begin + index.row(link.second)
            (same if link.same else different).append(pair)
        names |= {begin + index.row(track): name for track, name in one.names.items()}
        together += [(begin + first, begin + second) for first, second in seen_together(index)]
    for first, second in combinations(sorted(names), 2):
        (same if names[first] == names[second] else different).append((first, second))
    annotated = [_annotated(index, begin) for index, begin in zip(indexes, begins, strict=False)]
    same += [pair for persons in annotated for rows in persons for pair in pairwise(rows)]
    person = groups(begins[-1], same)
    for persons in annotated:  # later answers about annotated persons have precedence
        first_rows = sorted({person[rows[0]] for rows in persons})
        different += combinations(first_rows, 2)
    for pairs, why in ((different, "are two people"), (together, "are seen at the same time")):
        for first, second in pairs:
            if person[first] == person[second]:
                videos = [int(np.searchsorted(begins, row, side="right")) - 1 for row in (first, second)]
                rows = (row - begins[video] for row, video in zip((first, second), videos, strict=True))
                tracks = " and ".join(map(partial(_called, indexes), videos, rows))
                raise ValueError(f"{said[videos[0]].path}: tracks {tracks} can't be one person: they {why}")
    complete = len(indexes) == 1 and indexes[0].meta.annotated is not None
    return Answers(tuple(same), tuple(different), complete), names


def _annotated(index: TrackIndex, begin: int) -> list[list[int]]:
    """Return the rows of each annotated person; of a track that was split later, the first piece."""
    known = set(index.ids.tolist())
    kept = ([track for track in tracks if track in known] for tracks in index.meta.annotated or ())
    return [[begin + index.row(track) for track in tracks] for tracks in kept if tracks]


def _called(indexes: Sequence[TrackIndex], video: int, row: int) -> str:
    """Describe a track: its id, and with several videos the name of its video."""
    track = str(indexes[video].ids[row])
    return track if len(indexes) == 1 else f"{indexes[video].meta.name}:{track}"
