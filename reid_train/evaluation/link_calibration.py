"""Calibrate the joining of tracks on images of people held out from training.

Tracks of one person are joined by normalised distances (`deepsort_paddle.people.linking`). Here all images of
a person in one camera form a track. Random groups, from few to many people and cameras, are normalised as in
a run, and the scores of same-person and different-person pairs are counted. Group size matters: statistics of
few tracks are uncertain, so scores spread wider.

The normalisation uses the calibration itself, to exclude likely pairs; so the calibration is iterated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from deepsort_paddle.people.linking import TrackLinks, track_means
from deepsort_paddle.people.model import LinkCalibration

__all__ = ["SeenPeople", "calibrate_links"]

# Largest number of images per track, as in a track index.
_CROPS = 8
# Share of the people and number of cameras (0: all) of each kind of group; each kind is drawn repeatedly.
_GROUPS = ((1.0, 0), (0.7, 4), (0.5, 3), (0.3, 4), (0.3, 2), (0.2, 3), (0.13, 2), (0.13, 0), (0.25, 1))
_DRAWS, _ROUNDS = 6, 2
_STEP, _LOWEST, _HIGHEST = 0.5, -6.0, 0.5
_FEWEST_PEOPLE, _MOST_PEOPLE = 10, 100
# Tracks from which the distances of different people are estimated.
_MOST_TRACKS = 2000


@dataclass(frozen=True)
class SeenPeople:
    """Images of persons of one data set.

    Attributes:
        embeddings: ``(N, D)`` unit rows.
        pids: ``(N,)`` person ids.
        camids: ``(N,)`` camera ids; images with an unknown camera (0) are ignored.
    """

    embeddings: NDArray[np.float32]
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]


@dataclass(frozen=True)
class _Tracks:
    """The tracks of a data set: one track per person and camera."""

    rows: NDArray[np.float32]
    owner: NDArray[np.int64]
    person: NDArray[np.int64]
    camera: NDArray[np.int64]


def calibrate_links(sets: Sequence[SeenPeople], *, seed: int = 0) -> LinkCalibration | None:
    """Calibrate the joining of tracks on all data sets together.

    Args:
        sets: images of persons held out from training.
        seed: seed of the random groups.

    Returns:
        The calibration; None if no set has 10 people in two known cameras.
    """
    usable = [tracks for each in sets if (tracks := _tracks(each)) is not None]
    if not usable:
        return None
    links = LinkCalibration(different=_different(usable))
    for _ in range(_ROUNDS):
        counts = np.sum([_counts(tracks, links, np.random.default_rng(seed)) for tracks in usable], axis=0)
        scores = np.arange(_LOWEST, _HIGHEST + _STEP / 2, _STEP)
        links = LinkCalibration(tuple(scores.tolist()), _log_ratios(*counts), links.different)
    return links


def _tracks(seen: SeenPeople) -> _Tracks | None:
    """Return the tracks of a data set; None if too few people are in two cameras."""
    known = seen.camids > 0
    keys, owner = np.unique(
        np.stack([seen.pids, seen.camids], axis=1)[known], axis=0, return_inverse=True
    )  # (T, 2)
    if (np.unique(keys[:, 0], return_counts=True)[1] > 1).sum() < _FEWEST_PEOPLE:
        return None
    rows, owner = _crops(seen.embeddings[known], owner.reshape(-1))
    person, camera = (_numbered(column) for column in keys.T)
    return _Tracks(rows, owner, person, camera)


def _counts(tracks: _Tracks, links: LinkCalibration, generator: np.random.Generator) -> NDArray[np.float64]:
    """Count same-person and different-person pairs by score, ``(2, B)``."""
    bins = round((_HIGHEST - _LOWEST) / _STEP) + 1
    counts = np.zeros((2, bins))
    for group in _groups(tracks.person, tracks.camera, generator):
        inside = np.isin(tracks.owner, group)
        owner = np.searchsorted(group, tracks.owner[inside])
        normalised = TrackLinks(tracks.rows[inside], owner, _numbered(tracks.camera[group]), links)
        pairs = np.column_stack(np.triu_indices(len(group), 1))
        place = np.round((normalised.scores(pairs) - _LOWEST) / _STEP).clip(0, bins - 1).astype(np.int64)
        person = tracks.person[group]
        same = person[pairs[:, 0]] == person[pairs[:, 1]]
        counts += [np.bincount(place[which], minlength=bins) for which in (same, ~same)]
    return counts


def _crops(
    embeddings: NDArray[np.float32], owner: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return up to `_CROPS` evenly spaced images of each track, sorted by track."""
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    rows = np.concatenate(
        [
            own[np.unique(np.linspace(0, len(own) - 1, min(len(own), _CROPS)).astype(np.int64))]
            for own in np.split(order, starts[1:])
        ]
    )
    return embeddings[rows], owner[rows]


def _different(sets: Sequence[_Tracks]) -> tuple[float, float]:
    """Return mean and standard deviation of the distances between tracks of different people."""
    distances = []
    for tracks in sets:
        means = track_means(tracks.rows, tracks.owner, tracks.camera)[:_MOST_TRACKS]
        person = tracks.person[:_MOST_TRACKS]
        distances.append((1.0 - means @ means.T)[person[:, None] != person])
    every = np.concatenate(distances)
    return round(float(every.mean()), 4), round(float(every.std()), 4)


def _groups(
    person: NDArray[np.int64], camera: NDArray[np.int64], generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the track rows of random people in random cameras."""
    people, cameras = int(person.max()) + 1, int(camera.max()) + 1
    for share, most in _GROUPS:
        for _ in range(_DRAWS):
            number = max(round(share * min(people, _MOST_PEOPLE)), 2)
            chosen = generator.choice(people, number, replace=False)
            places = generator.choice(cameras, min(most or cameras, cameras), replace=False)
            group = np.flatnonzero(np.isin(person, chosen) & np.isin(camera, places))
            if len(group) > 1:
                yield group


def _numbered(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace values by their ranks, from 0."""
    ranks: NDArray[np.int64] = np.unique(values, return_inverse=True)[1]
    return ranks


def _log_ratios(same: NDArray[np.float64], different: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the log likelihood ratio of each bin, made non-increasing in the distance."""
    bins = len(same)
    ratios = np.log((same + 1) / (same.sum() + bins)) - np.log((different + 1) / (different.sum() + bins))
    falling = isotonic_regression(ratios, weights=same + different + 1, increasing=False).x
    return tuple(np.round(falling, 3).tolist())
