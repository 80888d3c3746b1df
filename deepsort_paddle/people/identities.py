"""From tracks to people: which tracks of one or several videos are the same person.

Tracks end where somebody walks behind a column or out of the frame. Two tracks are joined when their sets
of good crops are alike enough (`linking`), unless they can't be one person: both were seen in the same
frame, or one begins where nobody could have got to from where the other ended. Within a video joining is
conservative, as the tracker has joined already what was easy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.people.clustering import cluster
from deepsort_paddle.people.corrections.answers import Answers
from deepsort_paddle.people.head_count import people_interval
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.linking import TrackLinks
from deepsort_paddle.people.similarity import LinkModel, pair_distances, to_probability

__all__ = ["MIN_PROBABILITY", "Identities", "find_identities", "seen_together", "stacked"]

# How far a person can get: heights of the box, and heights a second, twice a fast run.
_STEP, _HEIGHTS_A_SECOND = 1.0, 6.0
# How far people usually get while they are lost, as standard deviations: heights, and heights a second.
_PLACE, _WALK = 0.5, 1.0
# Least probability of a join.
MIN_PROBABILITY = 0.5
# How much less likely two tracks of one video are one person than two of two videos, as log odds: the tracker
# has joined what was easy, so who looks alike there is often somebody else. With log 4 a run on PETS09 1-400
# loses 3 IDF1 by one wrong join; with log 12 and log 40 none of 48 runs loses, and log 12 gains more.
_WITHIN = float(np.log(12.0))
# Two sets of tracks are as likely one person as their mean pair, plus this: of several pairs that agree, each
# says something of its own. On groups of Market-1501's held-out people F is the same from 0 to log 4, with
# log 3 the number of people is right on average.
_ACROSS = float(np.log(3.0))
# Who is seen for less, in seconds, may be a wrong box, or a piece of somebody else's track.
_BRIEF_SECONDS, _UNKNOWN_FPS = 2.0, 25.0
# Wrong boxes, and pieces of tracks that look like nobody else, are in no join's probability. So the lower end
# for one video is multiplied by what nine of ten other runs need (split conformal prediction): the tenth
# percentile of the true number over the lower end, 0.75 to 0.77 whichever of five scenes is left out. In
# the scene that was left out the interval then holds the truth in 18 of 18 runs with YOLOX-nano (13 without),
# in 14 of 18 with public detections (7), in 6 of 6 of the synthetic crowd, and in none of 6 of MOT17-05,
# whose detections lack 22 people.
_FEWEST = 0.75
# Pairs of people seen together that are looked at.
_ENOUGH_PAIRS = 20_000
# Joins with less log odds are impossible, also for the interval.
_LEAST = -6.0


@dataclass(frozen=True, slots=True)
class Identities:
    """The persons of one or several videos.

    Attributes:
        labels: ``(T,)`` int64 row of the first track of each track's person; the tracks of several videos
            follow one another.
        probability: ``(T,)`` float64 of the weakest join that brought the track to its person; NaN for a
            track that stayed alone.
        interval: fewest and most people, with a probability of 0.9.
        pairs: ``(E, 2)`` rows that may be one person, the smaller one first.
        log_odds: ``(E,)`` that they are.
        threshold: least mean log odds of a join.
    """

    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    interval: tuple[int, int]
    pairs: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64), repr=False)
    log_odds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    threshold: float = 0.0

    def __len__(self) -> int:
        """Number of people."""
        return len(np.unique(self.labels))


def find_identities(
    *indexes: TrackIndex, min_probability: float = MIN_PROBABILITY, answers: Answers | None = None
) -> Identities:
    """Join the tracks of one or several videos to persons.

    Args:
        indexes: indexes of the videos, all of one model.
        min_probability: smallest probability of a join, in (0, 1).
        answers: a user's answers about pairs of tracks; rows are those of the concatenated indexes.

    Returns:
        The person of each track, in the order of the concatenated indexes.

    Raises:
        ValueError: ``min_probability`` is not in (0, 1), or the embeddings are of different sizes.

    Example:
        >>> index = TrackIndex.read("camera1.sqlite")  # doctest: +SKIP
        >>> people = find_identities(index)  # doctest: +SKIP
        >>> print(len(index), "tracks,", len(people), "people,", people.interval)  # doctest: +SKIP
        24 tracks, 14 people (13, 16)
    """
    if not 0 < min_probability < 1:
        raise ValueError(f"min_probability must be between 0 and 1, got {min_probability}")
    count = sum(map(len, indexes))
    if count == 0:
        return Identities(np.zeros(0, np.int64), np.zeros(0), (0, 0))
    embeddings, owner = stacked(indexes)
    camera = np.repeat(np.arange(len(indexes)), [len(index) for index in indexes])
    model = indexes[0].meta.model
    links = TrackLinks(embeddings, owner, camera, model.links).likely(_LEAST)
    classes = np.concatenate([index.class_id for index in indexes])
    alike = classes[links.pairs[:, 0]] == classes[links.pairs[:, 1]]
    pairs, log_odds = links.pairs[alike], links.log_odds[alike] + _ACROSS
    doubted = log_odds.copy()  # what tracks alone say, without the caution within a video
    calibrated = LinkModel.of(model)
    apart: list[tuple[int, int]] = []
    begin = 0
    for index in indexes:
        inside = np.flatnonzero(((pairs >= begin) & (pairs < begin + len(index))).all(axis=1))
        own = pairs[inside] - begin
        together = np.array(seen_together(index), np.int64).reshape(-1, 2)
        moved = _moved(index, *own.T)
        doubted[inside] += _by_motion(index, moved) - _ACROSS + index.meta.link_shift
        odds = _by_crops(index, calibrated, own, together) + _by_motion(index, moved) + index.meta.link_shift
        log_odds[inside] = np.minimum(doubted[inside], odds) - _WITHIN
        too_far = (moved[:, 0] >= 0) & (moved[:, 1] > _STEP + _HEIGHTS_A_SECOND * moved[:, 0])
        for forbidden in (together + begin, pairs[inside][too_far]):
            apart += [(first, second) for first, second in forbidden.tolist()]
        begin += len(index)
    threshold = float(np.log(min_probability / (1 - min_probability)))
    candidates, odds = pairs, log_odds
    if answers is not None:
        _, doubted = answers.certain(pairs, doubted)
        pairs, log_odds = answers.certain(pairs, log_odds)
        apart = [*answers.allow(apart), *answers.different]
    clusters = cluster(count, pairs, log_odds, apart=apart, threshold=threshold, considered=_LEAST)
    people = len(np.unique(clusters.labels))
    fewest, most = people_interval(clusters.joins, count, people)
    if answers is not None and answers.complete:
        fewest = most = people
    else:  # caution makes joins rare, not people many
        joins = cluster(count, pairs, doubted, apart=apart, threshold=_LEAST).joins
        fewest = min(fewest, people_interval(joins, count, people, brief=_brief(indexes, clusters.labels))[0])
        if len(indexes) == 1:
            fewest = min(fewest, max(int(_FEWEST * fewest), _most_at_once(indexes[0])))
    probability = to_probability(clusters.strength)
    return Identities(clusters.labels, probability, (fewest, most), candidates, odds, threshold)


def _brief(indexes: Sequence[TrackIndex], labels: NDArray[np.int64]) -> int:
    """Number of people who were seen for a moment only."""
    seconds = [index.frame_count / (index.meta.fps or _UNKNOWN_FPS) for index in indexes]
    seen = np.bincount(labels, weights=np.concatenate(seconds))
    return int(((seen > 0) & (seen < _BRIEF_SECONDS)).sum())


def _most_at_once(index: TrackIndex) -> int:
    """Most tracks that are in one frame."""
    if not len(index):
        return 0
    runs = np.concatenate(index.runs)
    begins, ends = np.sort(runs[:, 0]), np.sort(runs[:, 1])
    there = np.arange(1, len(begins) + 1) - np.searchsorted(ends, begins)
    return int(there.max())


def stacked(indexes: Sequence[TrackIndex]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All embeddings, ``(M, D)``, and the track of each, ``(M,)``; the tracks of all follow one another.

    Raises:
        ValueError: the embeddings are of different sizes.
    """
    begins = np.cumsum([0, *map(len, indexes)])
    owner = [index.owner + begin for index, begin in zip(indexes, begins, strict=False)]
    filled = [index.embeddings for index in indexes if len(index.embeddings)]
    if len({rows.shape[1] for rows in filled}) > 1:
        raise ValueError("indexes must have embeddings of one size")
    return (np.concatenate(filled) if filled else np.zeros((0, 1), np.float32)), np.concatenate(owner)


def seen_together(index: TrackIndex) -> list[tuple[int, int]]:
    """Pairs of rows of tracks that were seen in the same frame, each once."""
    order = np.argsort(index.frames[:, 0], kind="stable")
    # The tracks that begin while another one is there follow it in this order.
    stops = np.searchsorted(index.frames[order, 0], index.frames[order, 1], side="right")
    runs = [index.runs[row] for row in order.tolist()]
    pairs = []
    for place, stop in enumerate(stops.tolist()):
        pairs += [
            (place, other) for other in range(place + 1, stop) if _share_a_frame(runs[place], runs[other])
        ]
    rows = np.sort(order[np.array(pairs, np.int64).reshape(-1, 2)], axis=1)
    return sorted((first, second) for first, second in rows.tolist())


def _share_a_frame(runs: NDArray[np.int32], others: NDArray[np.int32]) -> bool:
    """Whether any run of the one overlaps a run of the other; both sorted."""
    if len(runs) == len(others) == 1:
        return bool(runs[0, 0] <= others[0, 1] and others[0, 0] <= runs[0, 1])
    place = np.searchsorted(others[:, 1], runs[:, 0])  # first run of the other that ends at or after
    inside = place < len(others)
    return bool((others[place[inside], 0] <= runs[inside, 1]).any())


def _by_crops(
    index: TrackIndex, links: LinkModel, pairs: NDArray[np.int64], together: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log odds of pairs of one video by their most alike crops, ``(E,)``.

    People who are seen together, ``(S, 2)``, are different, so they say how alike different people look here.
    """
    together = together[:: max(1, len(together) // _ENOUGH_PAIRS)]
    distance, known = (
        pair_distances(index.embeddings, index.owner, len(index), which) for which in (pairs, together)
    )
    odds = links.adapted(known).log_odds(distance, tracks=len(index))
    return np.where(distance <= index.meta.model.max_cosine_distance, odds, -np.inf)


def _moved(index: TrackIndex, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """From the end of one track to the begin of the other: ``(E, 2)`` seconds and heights of the box.

    Seconds are negative where one lies in a gap of the other.
    """
    swap = index.seconds[rows, 0] > index.seconds[columns, 0]
    early, late = np.where(swap, columns, rows), np.where(swap, rows, columns)
    gap = index.seconds[late, 0] - index.seconds[early, 1]
    end, begin = index.end_boxes[early, 1], index.end_boxes[late, 0]  # (E, 4)
    away = 0.5 * np.hypot(*(end[:, :2] + end[:, 2:] - begin[:, :2] - begin[:, 2:]).T)
    height = np.maximum(end[:, 3] - end[:, 1], begin[:, 3] - begin[:, 1])
    return np.column_stack([gap, away / np.maximum(height, 1.0)])


def _by_motion(index: TrackIndex, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log likelihood ratio of where and when the second track of each pair begins, ``(E,)``.

    Half of those who are lost come back near the place, spread as far as they can walk; everybody else
    begins anywhere in the frame.
    """
    if not (index.meta.width and index.meta.height) or not len(moved):
        return np.zeros(len(moved))
    gap, away = moved.T
    side = np.median(index.end_boxes[:, :, 3] - index.end_boxes[:, :, 1])
    frame = index.meta.width * index.meta.height / max(side, 1.0) ** 2  # in square heights
    spread = _PLACE + _WALK * np.maximum(gap, 0.0)
    near = frame / (2 * np.pi * spread**2) * np.exp(-0.5 * (away / spread) ** 2)
    ratio: NDArray[np.float64] = np.where(gap < 0, 0.0, np.log(0.5 + 0.5 * near))
    return ratio
