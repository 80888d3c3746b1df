"""The learning rate as a function of the iteration, so that nothing of it needs saving."""

from __future__ import annotations

import math

from reid_train.config import TrainConfig

__all__ = ["learning_rate", "ramp"]


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Learning rate of an iteration, from 0: linear warm-up, then steps by a tenth or half a cosine.

    The cosine (Loshchilov and Hutter, arXiv 1608.03983) ends at zero with the run.
    """
    if iteration < config.warmup_iter_num:
        return config.lr * (iteration + 1) / config.warmup_iter_num
    if config.lr_strategy == "piecewise_decay":
        passed = sum(iteration >= step for step in config.lr_steps)
        return float(config.lr * 0.1**passed)
    done = (iteration - config.warmup_iter_num) / max(config.total_iter_num - config.warmup_iter_num, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def ramp(config: TrainConfig, iteration: int, share: float) -> float:
    """Rises from 0 to 1 over the first ``share`` of the run; 1 throughout when the share is 0."""
    return min(1.0, iteration / (share * config.total_iter_num)) if share > 0 else 1.0
