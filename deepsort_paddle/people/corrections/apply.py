"""Applies corrections to a track index: splits, certain links, names, and what answers say of a camera.

The answers are pairs that the model was unsure of. They shift the log odds of all links of this index by one
number, which is kept in it and used whenever its tracks are joined: a camera in whose light strangers look
alike gets fewer links. The shift is the most likely one, given that most cameras need none.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from deepsort_paddle.part_files import commit, temporary_path
from deepsort_paddle.people.corrections.answers import Answers, groups
from deepsort_paddle.people.corrections.file import Corrections
from deepsort_paddle.people.corrections.splits import make_splits, undo_splits
from deepsort_paddle.people.identities import Identities, find_identities, seen_together
from deepsort_paddle.people.index_file import TrackIndex, connect, save_people

__all__ = ["Corrected", "apply_corrections", "link_shift"]

# Standard deviation of the shift among cameras, log odds; and the largest.
_SHIFTS, _MOST = 1.0, 4.0


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected index.

    Attributes:
        index: as it is now.
        identities: of its tracks.
        names: by person.
    """

    index: TrackIndex
    identities: Identities
    names: dict[int, str]

    @property
    def persons(self) -> dict[int, int]:
        """Person of each track."""
        return dict(zip(self.index.ids.tolist(), self.index.persons.tolist(), strict=True))


def apply_corrections(path: str | Path, corrections: Corrections) -> Corrected:
    """Correct an index; what earlier corrections changed is taken back first.

    Args:
        path: of the index of a finished run. It is replaced when everything is right, else it stays.
        corrections: everything that is known.

    Raises:
        FileNotFoundError: there is no such index.
        ValueError: it is no index, or of an unfinished run; or the corrections are of another run, name
            tracks that do not exist, or contradict each other.
        OSError: it can't be written.

    Example:
        >>> said = Corrections.read("corrections.json")  # doctest: +SKIP
        >>> now = apply_corrections("street.sqlite", said)  # doctest: +SKIP
        >>> print(len(set(now.persons.values())), "people")  # doctest: +SKIP
        13 people
    """
    before = TrackIndex.read(path)
    part = temporary_path(path)
    try:
        shutil.copyfile(path, part)
        corrected = _correct(part, before, corrections)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    commit(path)
    return replace(corrected, index=TrackIndex.read(path))


def _correct(part: Path, before: TrackIndex, corrections: Corrections) -> Corrected:
    """Correct a copy of an index."""
    path = before.path
    with closing(connect(part, write=True)) as database, database:
        try:
            (frames,) = database.execute("SELECT count(*) FROM frames").fetchone()
            if before.meta.frames and not frames:
                raise ValueError(f"{path}: the index of a camera, which does not keep what corrections need")
            undo_splits(database, before.meta.fps)
            (tracks,) = database.execute("SELECT count(*) FROM tracks").fetchone()
            corrections.check_run(path, before.meta, tracks)
            make_splits(database, corrections.splits, before.meta.fps, where=corrections.path)
            _keep(database, "tracks", tracks)
            _keep(database, "link_shift", 0.0)
            _keep(database, "corrections", corrections.as_dict())
        except sqlite3.Error as error:
            raise ValueError(f"{path}: damaged track index ({error})") from None
    split = TrackIndex.read(part)
    answers = _answers(split, corrections)
    shift = _learn(split, answers)
    with closing(connect(part, write=True)) as database, database:
        _keep(database, "link_shift", shift)
    split = TrackIndex.read(part)
    found = find_identities(split, answers=answers)
    persons = split.ids[found.labels]
    names = {int(persons[split.row(track)]): name for track, name in corrections.names.items()}
    save_people(part, split.ids, persons, found.probability, names)
    return Corrected(split, found, names)


def _keep(database: sqlite3.Connection, key: str, value: object) -> None:
    """Write one value of the table ``meta``."""
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))


def _answers(index: TrackIndex, corrections: Corrections) -> Answers:
    """What was said of rows of the index; tracks of one name are one person, tracks of two names two.

    Raises:
        ValueError: a track does not exist, or what was said can't all be true.
    """
    where = corrections.path
    named = sorted(corrections.names)
    known = set(index.ids.tolist())
    for track in (*named, *(track for link in corrections.links for track in (link.first, link.second))):
        if track not in known:
            raise ValueError(f"{where}: there is no track {track}, the run has {len(known)} tracks")
    same = [(link.first, link.second) for link in corrections.links if link.same]
    different = [(link.first, link.second) for link in corrections.links if not link.same]
    for place, first in enumerate(named):
        for second in named[place + 1 :]:
            alike = corrections.names[first] == corrections.names[second]
            (same if alike else different).append((first, second))
    rows = [(index.row(first), index.row(second)) for first, second in same]
    person = groups(len(index), rows)
    together = [(int(index.ids[a]), int(index.ids[b])) for a, b in seen_together(index)]
    for pairs, why in ((different, "are two people"), (together, "are seen at the same time")):
        for first, second in pairs:
            if person[index.row(first)] == person[index.row(second)]:
                raise ValueError(f"{where}: tracks {first} and {second} can't be one person: they {why}")
    apart = tuple((index.row(first), index.row(second)) for first, second in different)
    return Answers(tuple(rows), apart)


def _learn(index: TrackIndex, answers: Answers) -> float:
    """The shift of an index's links that its answers ask for."""
    if not (answers.same or answers.different):
        return 0.0
    found = find_identities(index)
    odds = {
        (first, second): odd
        for (first, second), odd in zip(found.pairs.tolist(), found.log_odds.tolist(), strict=True)
    }
    known, said = [], []
    for pairs, same in ((answers.same, True), (answers.different, False)):
        for pair in pairs:
            odd = odds.get((min(pair), max(pair)), -np.inf)
            if odd > -np.inf:  # others are too unlike to say anything
                known.append(odd)
                said.append(same)
    return link_shift(known, said)


def link_shift(log_odds: ArrayLike, same: ArrayLike) -> float:
    """The shift of log odds that makes answers most likely.

    Args:
        log_odds: ``(A,)`` of the pairs, by the model.
        same: ``(A,)`` whether they are one person.

    Returns:
        0 without answers; at most 4 in size.

    Example:
        >>> round(link_shift([0.5, 0.8, 1.0], [False, False, False]), 2)
        -1.19
    """
    odds, said = np.asarray(log_odds, float), np.asarray(same, bool)
    shift = 0.0
    for _ in range(50):  # Newton's method on a concave function
        sure = 1.0 / (1.0 + np.exp(-(odds + shift)))
        slope = float((said - sure).sum()) - shift / _SHIFTS**2
        bend = float((sure * (1 - sure)).sum()) + 1 / _SHIFTS**2
        shift += slope / bend
        if abs(slope / bend) < 1e-9:
            break
    return float(np.clip(shift, -_MOST, _MOST))
