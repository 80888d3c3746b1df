"""Find the links that the model is least sure of, to ask the user about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from deepsort_paddle.people.identities import Identities, seen_together
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.similarity import to_probability

__all__ = ["Doubt", "doubtful_links"]

# A link below these log odds is not worth a question.
_WORTH_ASKING = -4.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two tracks that may be one person.

    Attributes:
        first: id of the earlier track.
        second: id of the later track.
        probability: probability that they are one person.
        joined: whether they are joined.
    """

    first: int
    second: int
    probability: float
    joined: bool


def doubtful_links(
    index: TrackIndex, found: Identities, *, known: Iterable[tuple[int, int]] = (), most: int = 12
) -> tuple[Doubt, ...]:
    """Return the most doubtful links; for any two people only the most likely one.

    Args:
        index: index of one video.
        found: its people.
        known: pairs of track ids that need no question.
        most: largest number of links.

    Returns:
        The links, most doubtful first.
    """
    asked = {tuple(sorted(pair)) for pair in known}
    together = {
        tuple(sorted((int(found.labels[one]), int(found.labels[two])))) for one, two in seen_together(index)
    }
    doubts = {}
    order = np.argsort(-found.log_odds, kind="stable")
    for row in order.tolist():
        one, two = found.pairs[row].tolist()
        labels = sorted((int(found.labels[one]), int(found.labels[two])))
        joined = labels[0] == labels[1]
        if tuple(labels) in together:
            continue
        pair = tuple(sorted((int(index.ids[one]), int(index.ids[two]))))
        # One question per pair of joined tracks, but only one per pair of people who are not joined.
        key = pair if joined else ("people", *labels)
        odds = float(found.log_odds[row])
        if not np.isfinite(odds) or key in doubts or pair in asked or (odds < _WORTH_ASKING and not joined):
            continue
        if index.seconds[one, 0] > index.seconds[two, 0]:
            one, two = two, one
        probability = float(to_probability(np.array([odds]))[0])
        doubt = Doubt(int(index.ids[one]), int(index.ids[two]), probability, joined)
        doubts[key] = (abs(odds - found.threshold), doubt)
    nearest = sorted(doubts.values(), key=lambda item: (item[0], item[1].first, item[1].second))
    return tuple(doubt for _, doubt in nearest[:most])
