"""Which images form the batch of an iteration.

Samplers are functions of (seed, iteration): they keep no state, so a resumed run, a second
worker or another process draws the same batches without anything being saved or sent. Every
batch has exactly the asked number of rows. A person with fewer images than a batch wants of it
gives each of them before any comes twice; groups behind it never shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["PKSampler", "Sampler", "ShuffledSampler", "TripletSampler", "make_sampler"]


class Sampler(Protocol):
    """What every sampler is."""

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """``(batch_size,)`` image rows of an iteration, from 0."""
        ...


@dataclass(frozen=True)
class ShuffledSampler:
    """Every image once an epoch, in an order that changes each epoch.

    Attributes:
        count: number of images.
        batch_size: images a batch; the stream of epochs is cut without regard to their ends.
        seed: of the order.

    Raises:
        ValueError: there is no image, or the batch is empty.
    """

    count: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("the data set is empty: a sampler needs at least one image")
        require_positive("train_batch_size", self.batch_size)

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """``(batch_size,)`` image rows of an iteration, from 0."""
        positions = np.arange(iteration * self.batch_size, (iteration + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, self.count)
        rows = np.empty(len(positions), np.int64)
        for epoch in np.unique(epochs):
            order = np.random.default_rng([self.seed, int(epoch)]).permutation(self.count)
            rows[epochs == epoch] = order[offsets[epochs == epoch]]
        return rows


class PKSampler:
    """``P`` persons times ``K`` images each, for losses that compare within the batch.

    Persons come in a shuffled cycle, P different ones a batch, so each is seen about equally often;
    where C is no multiple of P the rest of a cycle, another one each time, is left out. Images of a
    person are drawn without replacement, K more than it has: each of them at least ``K // n`` times.

    With several domains (datasets) each domain has a cycle of its own and the same share of every batch, up
    to one person, who changes domain from batch to batch. A small dataset is then seen as often as a large
    one, and hard negatives are from the same cameras.

    Args:
        labels: ``(N,)`` labels of any values.
        persons: P.
        images: K.
        seed: of the order.
        domains: ``(N,)`` domain of each image; None: all are of one.

    Raises:
        ValueError: there is one person only or fewer than P, a person is in two domains, a domain has
            fewer persons than its share of a batch, or P or K is not positive.

    Example:
        >>> sampler = PKSampler(np.array([0, 0, 1, 1, 2, 2]), persons=2, images=2, seed=0)
        >>> sampler.batch(0).shape
        (4,)
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        persons: int,
        images: int,
        seed: int,
        domains: NDArray[np.int64] | None = None,
    ) -> None:
        self._rows = rows_by_person(labels)
        require_positive("persons of a batch", persons)
        require_positive("samples_each_class", images)
        if len(self._rows) < persons:
            raise ValueError(
                f"a batch needs {persons} persons, the data set has {len(self._rows)}: "
                f"take train_batch_size of at most {len(self._rows) * images} at {images} images each"
            )
        self._persons = persons
        self._images = images
        self._seed = seed
        self._domains = [np.arange(len(self._rows))]
        if domains is not None and len(np.unique(domains)) > 1:
            self._domains = _persons_by_domain(self._rows, domains)
        most = -(-persons // len(self._domains))
        if (smallest := min(map(len, self._domains))) < most:
            raise ValueError(
                f"a batch needs {most} persons of each dataset, the smallest has {smallest}: "
                f"take train_batch_size of at most {smallest * len(self._domains) * images}"
            )

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """``(P * K,)`` image rows of an iteration, K of each person side by side."""
        if len(self._domains) == 1:
            chosen, keys = self._of_cycle(0, self._persons, iteration)
        else:
            share, rest = divmod(self._persons, len(self._domains))
            parts = []
            for domain in range(len(self._domains)):
                # The domains take turns at the persons that do not divide.
                extra = (domain - iteration) % len(self._domains) < rest
                chosen, _ = self._of_cycle(domain, share + bool(rest), iteration)
                parts.append(chosen if extra or not rest else chosen[:share])
            chosen, keys = np.concatenate(parts), [iteration]
        rng = np.random.default_rng([self._seed, *keys])
        return np.concatenate([draw(self._rows[label], self._images, rng) for label in chosen])

    def _of_cycle(self, domain: int, count: int, iteration: int) -> tuple[NDArray[np.int64], list[int]]:
        """The persons at an iteration's place in the cycle of a domain, and what names that place."""
        members = self._domains[domain]
        cycle, step = divmod(iteration, len(members) // count)
        key = [self._seed, cycle, domain] if domain else [self._seed, cycle]
        order = np.random.default_rng(key).permutation(len(members))
        return members[order[step * count : (step + 1) * count]], [cycle, step]


def _persons_by_domain(rows: list[NDArray[np.int64]], domains: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Numbers of the persons of each domain, domains in ascending order."""
    of_person = np.array([domains[own[0]] for own in rows])
    for own, domain in zip(rows, of_person, strict=True):
        if (domains[own] != domain).any():
            raise ValueError(f"a person is in two datasets, the first image is row {own[0]}")
    return [np.flatnonzero(of_person == domain) for domain in np.unique(of_person)]


class TripletSampler:
    """A stream of anchor, positive and negative, each triplet from two random persons.

    Anchors are of persons with two images or more, negatives of any other person.

    Args:
        labels: ``(N,)`` labels of any values.
        batch_size: images a batch, a multiple of 3.
        seed: of the draws.

    Raises:
        ValueError: there is one person only, nobody has two images, or the batch size is no
            positive multiple of 3.
    """

    def __init__(self, labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._rows = rows_by_person(labels)
        require_positive("train_batch_size", batch_size)
        if batch_size % 3:
            raise ValueError(
                f"train_batch_size must be a multiple of 3 for triplets, got {batch_size}: "
                f"take {batch_size // 3 * 3 or 3}"
            )
        self._anchors = np.flatnonzero([len(rows) > 1 for rows in self._rows])
        if len(self._anchors) == 0:
            raise ValueError("triplets need a person with two images: every id of the data set has one")
        self._triplets = batch_size // 3
        self._seed = seed

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """``(batch_size,)`` image rows of an iteration: anchor, positive, negative, anchor, ..."""
        rng = np.random.default_rng([self._seed, iteration])
        rows = np.empty((self._triplets, 3), np.int64)
        for triplet in rows:
            person = rng.choice(self._anchors)
            # A draw among the others: the own number is jumped over.
            other = rng.integers(len(self._rows) - 1)
            other += other >= person
            triplet[:2] = rng.choice(self._rows[person], 2, replace=False)
            triplet[2] = rng.choice(self._rows[other])
        return rows.reshape(-1)


def make_sampler(
    kind: str,
    labels: NDArray[np.int64],
    batch_size: int,
    *,
    samples_each_class: int,
    seed: int,
    domains: NDArray[np.int64] | None = None,
) -> Sampler:
    """Build the sampler that a loss needs (`losses.LOSSES` tells its kind).

    Args:
        kind: ``shuffled``, ``triplet``, ``pk`` or ``pairs`` (pk with two images a person).
        labels: ``(N,)`` labels.
        batch_size: images a batch.
        samples_each_class: K of ``pk``.
        seed: of all draws.
        domains: ``(N,)`` dataset of each image, which ``pk`` and ``pairs`` balance; None: one.

    Raises:
        ValueError: the kind is unknown, the batch size does not divide, or the data set is too small.
    """
    if kind == "shuffled":
        rows_by_person(labels)
        return ShuffledSampler(len(labels), batch_size, seed)
    if kind == "triplet":
        return TripletSampler(labels, batch_size, seed)
    if kind not in ("pk", "pairs"):
        raise ValueError(f"sampler must be shuffled, triplet, pk or pairs, got {kind!r}")
    images = 2 if kind == "pairs" else samples_each_class
    require_positive("samples_each_class", images)
    require_positive("train_batch_size", batch_size)
    if batch_size % images:
        raise ValueError(
            f"train_batch_size must be a multiple of {images} images a person, got {batch_size}: "
            f"take {batch_size // images * images or images}"
        )
    return PKSampler(labels, batch_size // images, images, seed, domains)


def rows_by_person(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Image rows of each person, persons in ascending order of their labels.

    Raises:
        ValueError: there are fewer than two persons.
    """
    ids, counts = np.unique(labels, return_counts=True)
    if len(ids) == 0:
        raise ValueError("the data set is empty: a sampler needs at least one image")
    if len(ids) == 1:
        raise ValueError("the data set has one id only: training needs at least two to tell apart")
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])


def draw(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` of the rows in random order, none twice before all came once."""
    if count <= len(rows):
        return rng.choice(rows, count, replace=False)
    rounds = [rng.permutation(rows) for _ in range(count // len(rows))]
    return np.concatenate([*rounds, rng.choice(rows, count % len(rows), replace=False)])


def require_positive(name: str, value: int) -> None:
    """Refuse a count below 1.

    Raises:
        ValueError: it is.
    """
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
