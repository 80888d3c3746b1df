"""A user's answers about pairs of tracks, as constraints on joining."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "groups"]

# Log odds of a pair that is certainly one person: larger than any sum of others.
_CERTAIN = 1e6


@dataclass(frozen=True, slots=True)
class Answers:
    """Pairs of rows of an index that are, or are not, one person.

    Attributes:
        same: pairs that are.
        different: pairs that are not.
        complete: whether the answers decide all pairs.

    Example:
        >>> answers = Answers(same=((0, 1), (1, 2)))
        >>> pairs, odds = answers.certain(np.array([[0, 1]]), np.array([-3.0]))
        >>> pairs.tolist(), odds.tolist()
        ([[0, 1], [1, 2]], [1000000.0, 1000000.0])
        >>> answers.allow([(0, 2), (2, 3)])
        [(2, 3)]
    """

    same: tuple[tuple[int, int], ...] = ()
    different: tuple[tuple[int, int], ...] = ()
    complete: bool = False

    def certain(
        self, pairs: NDArray[np.int64], log_odds: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Add the certain pairs to the links.

        Args:
            pairs: ``(E, 2)`` rows, the smaller one first.
            log_odds: ``(E,)`` log odds of each.

        Returns:
            Pairs and log odds; those of certain pairs are 1e6.
        """
        known = {tuple(sorted(pair)) for pair in self.same}
        other = np.array([tuple(pair) not in known for pair in pairs.tolist()], bool)
        sure = np.array(sorted(known), np.int64).reshape(-1, 2)
        odds = np.concatenate([log_odds[other], np.full(len(sure), _CERTAIN)])
        order = np.lexsort(np.concatenate([pairs[other], sure]).T[::-1])
        return np.concatenate([pairs[other], sure])[order], odds[order]

    def allow(self, apart: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the pairs that must stay apart, without those that the answers join."""
        known = list(apart)
        count = 1 + max((max(pair) for pair in (*known, *self.same)), default=0)
        person = groups(count, self.same)
        return [pair for pair in known if person[pair[0]] != person[pair[1]]]


def groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return the smallest item of each item's group, given pairs that belong together."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(item) for item in range(count)]
