"""Augmented batches, made ahead of their use by threads.

OpenCV releases the interpreter while it works, so threads are enough, and they share the decoded
images. Which images an iteration gets and how they are changed depends on seed and iteration
alone: the number of threads and processes cannot be seen in the result.
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
    """What one process needs for one iteration.

    Attributes:
        iteration: from 0.
        images: ``(b, H, W, 3)`` uint8 BGR, this process' share.
        labels: ``(B,)`` int64 of the whole batch.
        rows: ``(B,)`` int64 rows of the training set that the whole batch is of.
    """

    iteration: int
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


def augmentation_at(config: TrainConfig, iteration: int) -> Augmentation:
    """The training transform of an iteration, at its input size and strength."""
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
    """Batches of the iterations from ``first`` to the end of the run.

    Args:
        config: the settings.
        images: decoded training images, such as an `ImageCache`.
        labels: ``(N,)`` class labels.
        sampler: which images an iteration gets.
        share: rows of the batch that this process works on.
        first: first iteration, from 0.
    """

    def make(iteration: int) -> Batch:
        rows = sampler.batch(iteration)
        augment = augmentation_at(config, iteration)
        # The position in the whole batch keys the randomness, so any number of processes agrees.
        own = [
            augment(images[rows[position]], sample_generator(config.seed, iteration, position))
            for position in range(len(rows))[share]
        ]
        return Batch(iteration, np.stack(own), labels[rows], rows)

    ahead: deque[Future[Batch]] = deque()
    upcoming = iter(range(first, config.total_iter_num))
    with ThreadPoolExecutor(config.num_workers) as workers:
        for _ in range(2 * config.num_workers):
            ahead.extend(workers.submit(make, iteration) for iteration in _take_one(upcoming))
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(workers.submit(make, iteration) for iteration in _take_one(upcoming))
            yield batch


def _take_one(numbers: Iterator[int]) -> list[int]:
    """The next number, or nothing at the end."""
    return [number for number in [next(numbers, -1)] if number >= 0]
