"""Augmented batches, prefetched by threads.

OpenCV releases the GIL while it works, so threads suffice, and they share the decoded images. The images of
an iteration and their augmentation depend only on seed and iteration, not on the number of threads and
processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reid_train.config import AUGMENTATIONS, TrainConfig
from reid_train.training.samplers import Sampler
from reid_train.training.schedules import ramp
from reid_train.training.transforms import RandomResizedCrop, StrongAugmentation, sample_generator

__all__ = ["Batch", "augmentation_at", "stream"]

Augmentation = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


class Images(Protocol):
    """Decoded training images by row."""

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 BGR."""
        ...


@dataclass(frozen=True)
class Batch:
    """The data of one iteration for one process.

    Attributes:
        iteration: from 0.
        images: ``(b, H, W, 3)`` uint8 BGR, this process's share of the batch.
        labels: ``(B,)`` int64 labels of the whole batch.
        rows: ``(B,)`` int64 rows of the whole batch in the training set.
    """

    iteration: int
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


def augmentation_at(config: TrainConfig, iteration: int) -> Augmentation:
    """Return the training transform of an iteration, at its input size and strength.

    Args:
        config: the settings.
        iteration: from 0.

    Returns:
        ``augment(image, generator)``, from ``(h, w, 3)`` to ``(H, W, 3)`` uint8 BGR.
    """
    height, width = config.input_size(iteration)
    if config.augmentation == "seed":
        return RandomResizedCrop(height, width)
    strength = ramp(config, iteration, config.augmentation_warmup)
    return StrongAugmentation(
        height, width, **{name: getattr(config, name) * strength for name in AUGMENTATIONS}
    )


def stream(
    config: TrainConfig,
    images: Images,
    labels: NDArray[np.int64],
    sampler: Sampler,
    share: slice,
    first: int,
) -> Iterator[Batch]:
    """Yield the batches of the iterations from ``first`` to the end of the run.

    Args:
        config: the settings.
        images: decoded training images, such as an `ImageCache`.
        labels: ``(N,)`` class labels.
        sampler: selects the images of an iteration.
        share: rows of the batch that this process works on.
        first: first iteration, from 0.

    Yields:
        The batches in order.
    """

    def make(iteration: int) -> Batch:
        rows = sampler.batch(iteration)
        augment = augmentation_at(config, iteration)
        # The position in the whole batch seeds the randomness, so the number of processes does not matter.
        own = [
            augment(images[rows[position]], sample_generator(config.seed, iteration, position))
            for position in range(len(rows))[share]
        ]
        return Batch(iteration, np.stack(own), labels[rows], rows)

    prefetched: deque[Future[Batch]] = deque()
    upcoming = iter(range(first, config.total_iter_num))
    with ThreadPoolExecutor(config.num_workers) as workers:
        for _ in range(2 * config.num_workers):
            prefetched.extend(workers.submit(make, iteration) for iteration in _take_next(upcoming))
        while prefetched:
            batch = prefetched.popleft().result()
            prefetched.extend(workers.submit(make, iteration) for iteration in _take_next(upcoming))
            yield batch


def _take_next(numbers: Iterator[int]) -> list[int]:
    """Return a list of the next number, or an empty list at the end."""
    return [number for number in [next(numbers, -1)] if number >= 0]
