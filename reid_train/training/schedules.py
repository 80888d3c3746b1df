"""The learning rate as a function of the iteration, so that a checkpoint need not save it."""

from __future__ import annotations

import math

from reid_train.config import TrainConfig

__all__ = ["learning_rate", "ramp"]


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Compute the learning rate: linear warm-up, then steps to a tenth, or a half cosine.

    The cosine (Loshchilov and Hutter, arXiv 1608.03983) reaches zero at the end of the run.

    Args:
        config: the settings.
        iteration: from 0.

    Returns:
        The learning rate.
    """
    if iteration < config.warmup_iter_num:
        return config.lr * (iteration + 1) / config.warmup_iter_num
    if config.lr_strategy == "piecewise_decay":
        passed = sum(iteration >= step for step in config.lr_steps)
        return float(config.lr * 0.1**passed)
    done = (iteration - config.warmup_iter_num) / max(config.total_iter_num - config.warmup_iter_num, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def ramp(config: TrainConfig, iteration: int, share: float) -> float:
    """Rise linearly from 0 to 1 over the first part of a run.

    Args:
        config: the settings.
        iteration: from 0.
        share: length of the rise as a share of the run, in [0, 1]; with 0 the result is always 1.

    Returns:
        A factor in [0, 1].
    """
    return min(1.0, iteration / (share * config.total_iter_num)) if share > 0 else 1.0
