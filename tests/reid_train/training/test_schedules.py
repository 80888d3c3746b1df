from __future__ import annotations

import itertools
import math

import pytest

from reid_train.config import TrainConfig
from reid_train.training.schedules import learning_rate, ramp


def test_piecewise_decay_falls_to_a_tenth_at_each_step():
    config = TrainConfig(lr=0.1, lr_steps=(3, 5), total_iter_num=8)
    rates = [learning_rate(config, iteration) for iteration in range(8)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001], rel=1e-12)


def test_warm_up_rises_in_a_line_to_the_base_rate():
    config = TrainConfig(lr=0.1, lr_steps=(100,), warmup_iter_num=4)
    assert [learning_rate(config, i) for i in range(6)] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_cosine_decay_goes_from_the_base_rate_through_half_of_it_to_nearly_nothing():
    config = TrainConfig(lr=0.2, lr_strategy="cosine_decay", warmup_iter_num=10, total_iter_num=110)
    assert learning_rate(config, 10) == pytest.approx(0.2)
    assert learning_rate(config, 60) == pytest.approx(0.1)
    assert learning_rate(config, 109) == pytest.approx(0.1 * (1 + math.cos(math.pi * 0.99)))
    rates = [learning_rate(config, iteration) for iteration in range(10, 110)]
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))


def test_cosine_decay_survives_a_run_of_warm_up_alone():
    config = TrainConfig(lr=0.2, lr_strategy="cosine_decay", warmup_iter_num=5, total_iter_num=5)
    assert [learning_rate(config, i) for i in range(5)] == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2])


def test_ramp_rises_over_its_share_of_the_run():
    config = TrainConfig(total_iter_num=10)
    assert [ramp(config, i, 0.4) for i in range(6)] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    assert ramp(config, 0, 0.0) == 1.0
