"""Compare identities of training and test sets; an identity is a pair of data set and person number.

A network must not be evaluated on persons that it was trained on. Person numbers are only unique within a
data set. Images of unnamed data have no identity to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid_train.data.image_index import ImageIndex

__all__ = [
    "Identity",
    "Leak",
    "identities",
    "identities_by_dataset",
    "leak_between",
    "recorded_identities",
    "require_no_leak",
]

# Name of the data set, and person number in it.
Identity = tuple[str, int]


@dataclass(frozen=True)
class Leak:
    """Persons of a test set that were in training.

    Attributes:
        seen: their identities, ascending.
        test_ids: number of persons in the test set.

    Example:
        >>> leak_between({("market", 1), ("market", 2)}, {("market", 2), ("market", 3)}).seen
        (('market', 2),)
    """

    seen: tuple[Identity, ...]
    test_ids: int

    def __str__(self) -> str:
        """Return one line for a warning or an error; empty without a leak."""
        if not self.seen:
            return ""
        examples = ", ".join(f"{pid:04d}" for _, pid in self.seen[:3])
        more = ", ..." if len(self.seen) > 3 else ""
        datasets = ", ".join(sorted({dataset for dataset, _ in self.seen}))
        return (
            f"the network has seen {len(self.seen)} of the {self.test_ids} test ids in training "
            f"({examples}{more} of {datasets}), so its metrics on them are meaningless; "
            "evaluate on ids that are not in its training set"
        )


def identities(index: ImageIndex) -> frozenset[Identity]:
    """Return the identities in an index; junk, distractors and unnamed data have none."""
    named = np.array([bool(name) for name in index.domain_names], np.bool_)
    rows = np.flatnonzero((index.source_pids > 0) & named[index.domains])
    pairs = np.unique(np.stack([index.domains[rows], index.source_pids[rows]], axis=1), axis=0)
    return frozenset((index.domain_names[domain], pid) for domain, pid in pairs.tolist())


def leak_between(trained: Iterable[Identity], test: Iterable[Identity]) -> Leak:
    """Find the persons of a test set that a network was trained on.

    Args:
        trained: identities of the training set.
        test: identities of the test set.

    Returns:
        The common identities.
    """
    tested = frozenset(test)
    return Leak(tuple(sorted(tested.intersection(trained))), len(tested))


def require_no_leak(trained: Iterable[Identity], test: Iterable[Identity]) -> None:
    """Check that a network was not trained on persons of the test set.

    Args:
        trained: identities of the training set.
        test: identities of the test set.

    Raises:
        ValueError: the sets share persons; the message gives their number.
    """
    leak = leak_between(trained, test)
    if leak.seen:
        raise ValueError(str(leak))


def identities_by_dataset(known: Iterable[Identity]) -> dict[str, list[int]]:
    """Return sorted person numbers by data set, as stored in a checkpoint or an export."""
    found: dict[str, list[int]] = {}
    for dataset, pid in sorted(known):
        found.setdefault(dataset, []).append(pid)
    return found


def recorded_identities(origin: Mapping[str, Any]) -> frozenset[Identity]:
    """Return the identities recorded in the origin of a checkpoint or an export.

    Earlier versions recorded ``pids``, the person numbers of Market-1501.

    Raises:
        ValueError: the record is damaged.
    """
    record = origin.get("identities")
    if record is None:
        record = {"Market-1501": origin.get("pids", [])}
    try:
        return frozenset((str(dataset), int(pid)) for dataset, pids in record.items() for pid in pids)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"identities of the training set are unreadable: {error}") from error
