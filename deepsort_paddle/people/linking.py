"""How likely two tracks, of one or several cameras, are one person.

Raw distances mean something else in every camera and for every network: light, viewpoint and compression move
all embeddings of a camera together, and some clothes have many lookalikes. So a distance is never compared
with a constant. Three steps make it comparable:

1. The mean embedding of each camera is subtracted from its tracks.
2. The distance of two tracks is given in standard deviations of the distances that each of them has to other
   people in the other one's camera, the mean of both (adaptive symmetric score normalisation, as in speaker
   verification: Matejka et al., Interspeech 2017). Tracks that are probably the same person count less, and
   a camera with few tracks leans on all cameras, and these on the model's calibration.
3. The model's calibration says how much more often one person has such a score than two people have.

The share of pairs that are one person is not known beforehand: the scores themselves tell it, by expectation
maximisation (Saerens et al., Neural Computation 2002) that starts from one further track for each track.

Work and memory stay bounded: the statistics come from at most `_COHORT` tracks, and pairs are compared in
blocks of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.people.model import LinkCalibration
from deepsort_paddle.structures import unit_rows

__all__ = ["Links", "TrackLinks"]

# How many tracks of its own a camera's mean, a track's statistics, and its statistics in one camera are worth
# before they count as much as what they lean on.
_CENTRE_TRACKS, _TRACK_PAIRS, _CAMERA_PAIRS = 5.0, 20.0, 10.0
_ROUNDS = 3
# Further tracks of one person, before any is seen, and the number of tracks which that counts as.
_MATCHES, _MATCH_TRACKS = 1.0, 4.0
_EXPECTATIONS = 15
# Most tracks that statistics come from, rows compared at a time, pairs kept of a track, cameras apart,
# and pairs or crops looked at at a time.
_COHORT, _BLOCK, _MOST_PAIRS, _MOST_CAMERAS, _PAIRS = 1024, 512, 64, 64, 1 << 16
# Distances held at once, and pairs kept in all: 100,000 tracks keep their ten likeliest ones.
_CELLS, _ALL_PAIRS = 1 << 23, 1_000_000
_LEAST, _ROUNDING = 1e-3, 1e-5


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of tracks that may be one person.

    Attributes:
        pairs: ``(P, 2)`` int64 rows of tracks, the smaller one first.
        log_odds: ``(P,)`` float64 that the pair is one person.
    """

    pairs: NDArray[np.int64]
    log_odds: NDArray[np.float64]


class TrackLinks:
    """Log odds of pairs among the tracks of one or several cameras.

    Example:
        >>> crops = np.eye(4, dtype=np.float32)[[0, 1, 0, 2]]
        >>> links = TrackLinks(crops, np.arange(4), np.array([0, 0, 1, 1]))
        >>> links.scores(np.array([[0, 2]])).round() < links.scores(np.array([[0, 1]])).round()
        array([ True])
    """

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        owner: NDArray[np.int64],
        camera: NDArray[np.int64],
        calibration: LinkCalibration | None = None,
    ) -> None:
        """Centre the tracks and learn how far apart different people are.

        Args:
            embeddings: ``(M, D)`` unit rows.
            owner: ``(M,)`` track of each, in [0, T), rising.
            camera: ``(T,)`` camera of each track, from 0.
            calibration: of the model; None takes the default one.
        """
        self._camera = self._place = camera
        self._means = track_means(embeddings, owner, camera)
        self._known: NDArray[np.bool_] = (self._means != 0).any(axis=1)
        self._calibration = calibration or LinkCalibration()
        rows = np.flatnonzero(self._known)
        self._cohort = _spread(rows, camera, _COHORT)  # (C,)
        # Many cameras share their statistics, so that memory does not grow with tracks times cameras.
        self._cameras = int(camera.max(initial=-1)) + 1
        if self._cameras > _MOST_CAMERAS:
            self._camera, self._cameras = np.zeros_like(camera), 1
        of_cohort = self._distances(self._cohort, self._cohort)
        np.fill_diagonal(of_cohort, np.nan)
        mean, deviation = self._calibration.different
        self._prior = np.array([mean]), np.array([deviation])
        count = len(rows)
        # Statistics of tracks with people of each camera: (T, K) each.
        self._mean = np.full((len(camera), self._cameras), mean)
        self._deviation = np.full((len(camera), self._cameras), deviation)
        self._log_prior = np.zeros(2)  # of pairs of two cameras, and of one
        within = self._is_within(self._cohort[:, None], self._cohort)
        for _ in range(_ROUNDS + 1):  # the first one, with the calibration alone, finds the likely matches
            scores = self._normalised(of_cohort, self._cohort, self._cohort)
            ratio = self._calibration.log_ratio(scores)
            self._log_prior = np.array(
                [_log_prior(np.where(within == kind, ratio, np.nan), count) for kind in (False, True)]
            )
            self._learn(of_cohort, ratio, self._cohort)
        for start in range(0, count, _BLOCK):
            block = rows[start : start + _BLOCK]
            distances = self._distances(block, self._cohort)
            distances[block[:, None] == self._cohort] = np.nan
            for _ in range(_ROUNDS):
                ratio = self._calibration.log_ratio(self._normalised(distances, block, self._cohort))
                self._learn(distances, ratio, block)

    def scores(
        self, pairs: NDArray[np.int64], distance: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Normalised distances of pairs, ``(P,)``; about 0 for different people, lower for one person.

        Args:
            pairs: ``(P, 2)`` tracks.
            distance: ``(P,)`` cosine distances, where they are known.
        """
        first, second = pairs.T
        if distance is None:
            distance = np.empty(len(pairs))
            for start in range(0, len(pairs), _PAIRS):  # two rows of embeddings a pair would not fit
                block = slice(start, start + _PAIRS)
                product = np.einsum("pd,pd->p", self._means[first[block]], self._means[second[block]])
                distance[block] = 1.0 - product
        sides = []
        for track, other in ((first, second), (second, first)):
            place = track, self._camera[other]
            sides.append((distance - self._mean[place]) / self._deviation[place])
        scores: NDArray[np.float64] = 0.5 * (sides[0] + sides[1])
        return scores

    def log_odds(
        self, pairs: NDArray[np.int64], distance: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Log odds that pairs are one person, ``(P,)``; minus infinity where a track has no embedding.

        Args:
            pairs: ``(P, 2)`` tracks.
            distance: ``(P,)`` cosine distances, where they are known.
        """
        odds = (
            self._calibration.log_ratio(self.scores(pairs, distance))
            + self._log_prior[self._is_within(*pairs.T)]
        )
        return np.where(self._known[pairs].all(axis=1), odds, -np.inf)

    def likely(self, least: float) -> Links:
        """All pairs with log odds of at least ``least``; where there are very many, the likeliest ones."""
        found: list[NDArray[np.int64]] = []
        odds: list[NDArray[np.float64]] = []
        rows = np.flatnonzero(self._known)
        limit = self._calibration.score_at(least - self._log_prior.max())
        # Beyond both tracks' own limits no score is low enough.
        most = (self._mean[rows] + limit * self._deviation[rows]).max(axis=1, initial=-np.inf)
        size = int(np.clip(_CELLS // max(len(rows), 1), 1, _BLOCK))
        for start in range(0, len(rows), size):
            block, later = rows[start : start + size], rows[start:]
            distance = 1.0 - self._means[block] @ self._means[later].T  # float32, for memory
            near = distance <= np.maximum(most[start : start + size, None], most[start:]) + _ROUNDING
            first, second = np.nonzero(np.triu(near, 1))
            pairs = np.column_stack([block[first], later[second]])
            values = self.log_odds(pairs, distance[first, second].astype(np.float64))
            kept = np.flatnonzero(values >= least)
            kept = kept[np.lexsort((-values[kept], first[kept]))]
            place = np.arange(len(kept)) - np.searchsorted(first[kept], first[kept])
            kept = kept[place < _MOST_PAIRS]
            found.append(pairs[kept])
            odds.append(values[kept])
        if not found:
            return Links(np.zeros((0, 2), np.int64), np.zeros(0))
        pairs, values = np.concatenate(found), np.concatenate(odds)
        if len(values) > _ALL_PAIRS:
            best = np.sort(np.argpartition(-values, _ALL_PAIRS)[:_ALL_PAIRS])
            pairs, values = pairs[best], values[best]
        return Links(pairs, values)

    def _is_within(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """1 where both tracks are of one camera, else 0."""
        within: NDArray[np.int64] = np.equal(self._place[rows], self._place[columns]).astype(np.int64)
        return within

    def _distances(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        return 1.0 - (self._means[rows] @ self._means[columns].T).astype(np.float64)

    def _normalised(
        self, distances: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Scores of a matrix of distances."""
        of_rows = np.ix_(rows, self._camera[columns])
        of_columns = np.ix_(columns, self._camera[rows])
        scores: NDArray[np.float64] = 0.5 * (
            (distances - self._mean[of_rows]) / self._deviation[of_rows]
            + (distances - self._mean[of_columns].T) / self._deviation[of_columns].T
        )
        return scores

    def _learn(
        self, distances: NDArray[np.float64], ratio: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> None:
        """Mean and deviation of the distances of ``rows`` to other people in each camera.

        Args:
            distances: ``(R, C)`` to the cohort; NaN for a track and itself.
            ratio: ``(R, C)`` log likelihood ratios that a pair is one person.
            rows: ``(R,)`` tracks.
        """
        own = np.isnan(distances)
        prior = self._log_prior[self._is_within(rows[:, None], self._cohort)]
        weights = np.where(own, 0.0, 1.0 / (1.0 + np.exp(np.where(own, 0.0, ratio) + prior)))
        distances = np.where(own, 0.0, distances)
        cameras = self._camera[self._cohort]
        inside = (cameras[:, None] == np.arange(self._cameras)).astype(np.float64)  # (C, K)
        prior_mean, prior_deviation = self._prior
        total = weights.sum(axis=1, keepdims=True)
        mean = _leaning((weights * distances).sum(axis=1, keepdims=True), total, prior_mean, _TRACK_PAIRS)
        square = (weights * (distances - mean) ** 2).sum(axis=1, keepdims=True)
        variance = _leaning(square, total, prior_deviation**2, _TRACK_PAIRS)
        totals = weights @ inside  # (R, K)
        means = _leaning((weights * distances) @ inside, totals, mean, _CAMERA_PAIRS)
        squares = (weights * (distances - means[:, cameras]) ** 2) @ inside
        variances = _leaning(squares, totals, variance, _CAMERA_PAIRS)
        self._mean[rows] = means
        self._deviation[rows] = np.maximum(np.sqrt(variances), _LEAST)


def track_means(
    embeddings: NDArray[np.float32], owner: NDArray[np.int64], camera: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Mean embedding of each track, less that of its camera; ``(T, D)`` unit rows, zero without embeddings.

    Args:
        embeddings: ``(M, D)`` unit rows.
        owner: ``(M,)`` track of each, rising.
        camera: ``(T,)`` camera of each track.
    """
    count, dimensions = len(camera), embeddings.shape[1]
    sizes = np.bincount(owner, minlength=count)
    known = sizes > 0
    raw = _sums(embeddings, owner, count)[known] / sizes[known, None]
    centres = np.zeros((int(camera.max(initial=-1)) + 1, dimensions), np.float32)
    np.add.at(centres, camera[known], raw)
    centres /= np.bincount(camera[known], minlength=len(centres))[:, None] + _CENTRE_TRACKS
    return unit_rows(_sums(embeddings, owner, count, centres[camera]), count)


def _sums(
    embeddings: NDArray[np.float32],
    owner: NDArray[np.int64],
    count: int,
    centres: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Sum of the crops of each track, ``(T, D)``; as unit rows less the centre of each track where given."""
    sums = np.zeros((count, embeddings.shape[1]), np.float32)
    for start in range(0, len(owner), _PAIRS):
        rows, own = embeddings[start : start + _PAIRS], owner[start : start + _PAIRS]
        if centres is not None:
            rows = rows - centres[own]
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _ROUNDING)
        first = np.flatnonzero(np.diff(own, prepend=-1))
        sums[own[first]] += np.add.reduceat(rows, first, axis=0)
    return sums


def _leaning(
    sums: NDArray[np.float64], counts: NDArray[np.float64], prior: NDArray[np.float64], worth: float
) -> NDArray[np.float64]:
    """Means of ``counts`` values that lean on a prior which is worth some values."""
    means: NDArray[np.float64] = (sums + worth * prior) / (counts + worth)
    return means


def _log_prior(ratio: NDArray[np.float64], count: int) -> float:
    """Log odds that a pair is one person, from the likelihood ratios of the pairs of a cohort.

    Args:
        ratio: ``(C, C)`` log likelihood ratios; NaN where a pair is not of the kind that is looked at.
        count: number of tracks; the cohort is a part of them.
    """
    usable = np.isfinite(ratio)
    tracks = max(len(ratio), 1)
    others = max(float(usable.sum()) / tracks * count / tracks, 1.0)  # of this kind, to each track
    matches = _MATCHES
    log_prior = 0.0
    for _ in range(_EXPECTATIONS):
        share = min(matches / others, 0.5)
        log_prior = float(np.log(share / (1.0 - share)))
        likely = 1.0 / (1.0 + np.exp(-ratio[usable] - log_prior))
        seen = float(likely.mean()) * others if len(likely) else _MATCHES
        matches = (seen * tracks + _MATCHES * _MATCH_TRACKS) / (tracks + _MATCH_TRACKS)
    return log_prior


def _spread(rows: NDArray[np.int64], camera: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most about ``most`` of the rows, evenly from each camera."""
    if len(rows) <= most:
        return rows
    cameras = np.unique(camera[rows])
    each = max(most // len(cameras), 16)
    kept = []
    for number in cameras.tolist():
        own = rows[camera[rows] == number]
        kept.append(own[np.unique(np.linspace(0, len(own) - 1, min(each, len(own))).astype(np.int64))])
    return np.sort(np.concatenate(kept))
