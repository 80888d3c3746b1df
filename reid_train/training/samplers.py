"""Select the images of the batch of an iteration.

Samplers are functions of (seed, iteration) without state, so a resumed run, a second worker and another
process draw the same batches, and nothing is saved or sent. Every batch has exactly the requested number of
rows. If a batch needs more images of a person than there are, it contains each of them before it repeats any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["PKSampler", "Sampler", "ShuffledSampler", "TripletSampler", "make_sampler"]


class Sampler(Protocol):
    """The interface of samplers."""

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Return the ``(batch_size,)`` image rows of an iteration, from 0."""
        ...


@dataclass(frozen=True)
class ShuffledSampler:
    """Draws every image once per epoch, in a new order each epoch.

    Attributes:
        count: number of images.
        batch_size: images per batch; a batch may span two epochs.
        seed: of the order.

    Raises:
        ValueError: there is no image, or the batch is empty.

    Example:
        >>> sorted(ShuffledSampler(count=4, batch_size=4, seed=0).batch(0).tolist())
        [0, 1, 2, 3]
    """

    count: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("the data set is empty: a sampler needs at least one image")
        check_positive("train_batch_size", self.batch_size)

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Return the ``(batch_size,)`` image rows of an iteration, from 0."""
        positions = np.arange(iteration * self.batch_size, (iteration + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, self.count)
        rows = np.empty(len(positions), np.int64)
        for epoch in np.unique(epochs):
            order = np.random.default_rng([self.seed, int(epoch)]).permutation(self.count)
            rows[epochs == epoch] = order[offsets[epochs == epoch]]
        return rows


class PKSampler:
    """Draws P persons with K images each, for losses that compare images within the batch.

    Persons come from a shuffled cycle, P different ones per batch, so each is drawn about equally often. If
    the number of persons is not a multiple of P, the rest of each cycle is skipped. Images of a person are
    drawn without replacement; a person with n < K images gives each of them at least ``K // n`` times.

    With several domains (datasets), each domain has its own cycle and an equal share of every batch. A
    remaining person comes from a different domain in each batch. So a small dataset is drawn as often as a
    large one, and hard negatives come from the same cameras.

    Args:
        labels: ``(N,)`` labels of any values.
        persons: P.
        images: K.
        seed: of the order.
        domains: ``(N,)`` domain of each image; None: a single domain.

    Raises:
        ValueError: there are fewer than two or fewer than P persons, a person is in two domains, a domain has
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
        check_positive("persons of a batch", persons)
        check_positive("samples_each_class", images)
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
        """Return the ``(P * K,)`` image rows of an iteration, K consecutive ones of each person."""
        if len(self._domains) == 1:
            chosen, keys = self._of_cycle(0, self._persons, iteration)
        else:
            share, rest = divmod(self._persons, len(self._domains))
            shares = []
            for domain in range(len(self._domains)):
                # The domains take turns with the remaining persons.
                extra = (domain - iteration) % len(self._domains) < rest
                chosen, _ = self._of_cycle(domain, share + bool(rest), iteration)
                shares.append(chosen if extra or not rest else chosen[:share])
            chosen, keys = np.concatenate(shares), [iteration]
        rng = np.random.default_rng([self._seed, *keys])
        return np.concatenate([draw(self._rows[label], self._images, rng) for label in chosen])

    def _of_cycle(self, domain: int, count: int, iteration: int) -> tuple[NDArray[np.int64], list[int]]:
        """Return an iteration's persons in the cycle of a domain, and its position in the cycle."""
        members = self._domains[domain]
        cycle, step = divmod(iteration, len(members) // count)
        key = [self._seed, cycle, domain] if domain else [self._seed, cycle]
        order = np.random.default_rng(key).permutation(len(members))
        return members[order[step * count : (step + 1) * count]], [cycle, step]


def _persons_by_domain(rows: list[NDArray[np.int64]], domains: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the indices of the persons of each domain, domains in ascending order."""
    of_person = np.array([domains[own[0]] for own in rows])
    for own, domain in zip(rows, of_person, strict=True):
        if (domains[own] != domain).any():
            raise ValueError(f"a person is in two datasets, the first image is row {own[0]}")
    return [np.flatnonzero(of_person == domain) for domain in np.unique(of_person)]


class TripletSampler:
    """Draws triplets of anchor, positive and negative, each from two random persons.

    Anchors are of persons with two images or more, negatives of any other person.

    Args:
        labels: ``(N,)`` labels of any values.
        batch_size: images per batch, a multiple of 3.
        seed: of the draws.

    Raises:
        ValueError: there is only one person, no person has two images, or the batch size is not a positive
            multiple of 3.

    Example:
        >>> TripletSampler(np.array([0, 0, 1]), batch_size=3, seed=0).batch(0).tolist()[2]
        2
    """

    def __init__(self, labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._rows = rows_by_person(labels)
        check_positive("train_batch_size", batch_size)
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
        """Return the ``(batch_size,)`` image rows of an iteration: anchor, positive, negative, anchor, ..."""
        rng = np.random.default_rng([self._seed, iteration])
        rows = np.empty((self._triplets, 3), np.int64)
        for triplet in rows:
            person = rng.choice(self._anchors)
            # Draw among the other persons: skip the index of this one.
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
    """Build the sampler that a loss needs (see `losses.LOSSES`).

    Args:
        kind: ``shuffled``, ``triplet``, ``pk`` or ``pairs`` (pk with two images per person).
        labels: ``(N,)`` labels.
        batch_size: images per batch.
        samples_each_class: K of ``pk``.
        seed: of all draws.
        domains: ``(N,)`` dataset of each image, balanced by ``pk`` and ``pairs``; None: a single dataset.

    Returns:
        The sampler.

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
    check_positive("samples_each_class", images)
    check_positive("train_batch_size", batch_size)
    if batch_size % images:
        raise ValueError(
            f"train_batch_size must be a multiple of {images} images a person, got {batch_size}: "
            f"take {batch_size // images * images or images}"
        )
    return PKSampler(labels, batch_size // images, images, seed, domains)


def rows_by_person(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the image rows of each person, persons in ascending order of their labels.

    Args:
        labels: ``(N,)``.

    Returns:
        A list of row arrays.

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
    """Draw ``count`` of the rows in random order, each once before any is repeated."""
    if count <= len(rows):
        return rng.choice(rows, count, replace=False)
    rounds = [rng.permutation(rows) for _ in range(count // len(rows))]
    return np.concatenate([*rounds, rng.choice(rows, count % len(rows), replace=False)])


def check_positive(name: str, value: int) -> None:
    """Raise ValueError if ``value`` is below 1."""
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
