"""Apply corrections to a track index: splits, certain links, names, and a shift of the camera's log odds.

The answers are about pairs that the model was unsure of. They shift the log odds of all links of this index
by one number, which is stored in the index and used whenever its tracks are joined: a camera in whose light
different people look alike gets fewer links. The shift is the most likely one, with a prior around 0, or
around the shift of an earlier video of this camera.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from deepsort_paddle.annotations.annotation import Annotation
from deepsort_paddle.part_files import commit, temporary_path
from deepsort_paddle.people.corrections.annotate import annotate, restore_run
from deepsort_paddle.people.corrections.answers import Answers
from deepsort_paddle.people.corrections.collected import collect_answers
from deepsort_paddle.people.corrections.file import Corrections
from deepsort_paddle.people.corrections.splits import make_splits, undo_splits
from deepsort_paddle.people.identities import Identities, find_identities
from deepsort_paddle.people.index_file import IndexMeta, TrackIndex, connect, save_people

__all__ = ["Corrected", "apply_corrections", "corrected_copy", "link_shift"]

# Standard deviation of the shift between cameras, and its largest size, in log odds.
_SHIFTS, _MOST = 1.0, 4.0


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected index.

    Attributes:
        index: the index after the corrections.
        identities: the persons of its tracks.
        names: names by person.
    """

    index: TrackIndex
    identities: Identities
    names: Mapping[int, str]

    @property
    def persons(self) -> dict[int, int]:
        """The person of each track."""
        return dict(zip(self.index.ids.tolist(), self.index.persons.tolist(), strict=True))


def apply_corrections(path: str | Path, corrections: Corrections) -> Corrected:
    """Correct an index; earlier corrections are undone first.

    Args:
        path: the index of a finished run; on an error it is unchanged.
        corrections: all corrections.

    Returns:
        The corrected index.

    Raises:
        FileNotFoundError: there is no such index.
        ValueError: it is not an index, or that of an unfinished run; or the corrections are for another run,
            name missing tracks, or contradict each other.
        OSError: it cannot be written.

    Example:
        >>> said = Corrections.read("corrections.json")  # doctest: +SKIP
        >>> now = apply_corrections("street.sqlite", said)  # doctest: +SKIP
        >>> print(len(set(now.persons.values())), "people")  # doctest: +SKIP
        13 people
    """
    with corrected_copy(path, corrections) as corrected:
        return corrected


@contextmanager
def corrected_copy(
    path: str | Path, corrections: Corrections, annotation: Annotation | None = None
) -> Iterator[Corrected]:
    """Yield a corrected copy of an index, which replaces it at the end; on an error the index is unchanged.

    Args:
        path: the index.
        corrections: all corrections.
        annotation: persons that replace the tracks.

    Yields:
        The corrected index; raises as `apply_corrections`.
    """
    meta = IndexMeta.read(path)
    part = temporary_path(path)
    try:
        shutil.copyfile(path, part)
        yield _correct(part, Path(path), meta, corrections, annotation)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    commit(path)


def _correct(
    part: Path, path: Path, meta: IndexMeta, corrections: Corrections, annotation: Annotation | None
) -> Corrected:
    """Correct the copy of an index."""
    with closing(connect(part, write=True)) as database, database:
        try:
            (frames,) = database.execute("SELECT count(*) FROM frames").fetchone()
            if meta.frames and not frames:
                raise ValueError(f"{path}: the index of a camera, which does not keep what corrections need")
            if annotation is not None:
                labels = meta.run.get("about", {}).get("class_names", ())
                groups, names = annotate(database, annotation, meta, labels)
                corrections = replace(corrections, annotated=True, names=names)
                _keep(database, "annotated", groups)
            elif not corrections.annotated:
                undo_splits(database, meta.fps)
                restore_run(database)
                _keep(database, "annotated", None)
            elif meta.annotated is None:
                raise ValueError(f"{corrections.path}: for annotations, but {path} has the run's own tracks")
            undo_splits(database, meta.fps)
            (tracks,) = database.execute("SELECT count(*) FROM tracks").fetchone()
            corrections.check_run(path, meta, tracks)
            make_splits(database, corrections.splits, meta.fps, where=corrections.path)
            _keep(database, "tracks", tracks)
            _keep(database, "link_shift", meta.camera_shift)
            _keep(database, "corrections", corrections.as_dict())
        except sqlite3.Error as error:
            raise ValueError(f"{path}: damaged track index ({error})") from None
    split = TrackIndex.read(part)
    answers, named = collect_answers([split], [corrections])
    shift = _learn(split, answers)
    with closing(connect(part, write=True)) as database, database:
        _keep(database, "link_shift", shift)
    split = replace(split, path=path, meta=replace(split.meta, link_shift=shift))
    found = find_identities(split, answers=answers)
    persons = split.ids[found.labels]
    by_person = {int(persons[row]): name for row, name in named.items()}
    save_people(part, split.ids, persons, found.probability, by_person)
    index = replace(split, persons=persons, probability=found.probability, names=by_person)
    return Corrected(index, found, by_person)


def _keep(database: sqlite3.Connection, key: str, value: object) -> None:
    """Write one value of the table ``meta``."""
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))


def _learn(index: TrackIndex, answers: Answers) -> float:
    """Return the shift of an index's links, from its answers."""
    taken_over = index.meta.camera_shift
    if not (answers.same or answers.different):
        return taken_over
    found = find_identities(index)
    odds = {
        (first, second): odd
        for (first, second), odd in zip(found.pairs.tolist(), found.log_odds.tolist(), strict=True)
    }
    known, said = [], []
    for pairs, same in ((answers.same, True), (answers.different, False)):
        for pair in pairs:
            odd = odds.get((min(pair), max(pair)), -np.inf)
            if odd > -np.inf:  # pairs with impossible links carry no information
                known.append(odd)
                said.append(same)
    return float(np.clip(taken_over + link_shift(known, said), -_MOST, _MOST))


def link_shift(log_odds: ArrayLike, same: ArrayLike) -> float:
    """Return the shift of log odds that makes the answers most likely.

    Args:
        log_odds: ``(A,)`` log odds of the pairs, by the model.
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
