"""Fixtures for training tests: tiny images of persons, a tiny network, short settings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reid_train.config import TrainConfig
from reid_train.data.datasets import ImageIndex, read_market1501_folder
from reid_train.training.launcher import cpu_environment

# As the command line does, so processes started by a test compute the same bits.
os.environ.update(cpu_environment())

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paddle
    from paddle import nn

    from reid_train.models import MODELS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore the warning that Paddle's batch norm gives in every training."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:When training, we now always track"))


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PADDLE_")]:
        monkeypatch.delenv(name)


def write_people(folder: Path, *, ids: int, each: int, first: int = 1, cameras: int = 2) -> Path:
    """Write images named as in Market-1501: each person has two colours, each image different noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for pid in range(first, first + ids):
        rng = np.random.default_rng(pid)
        colours = rng.integers(0, 255, (2, 1, 1, 3))
        for number in range(each):
            halves = np.concatenate([np.broadcast_to(colour, (16, 16, 3)) for colour in colours])
            image = np.clip(halves + rng.normal(0, 25, halves.shape), 0, 255).astype(np.uint8)
            name = f"{pid:04d}_c{number % cameras + 1}s1_{number:06d}_01.png"
            (folder / name).with_suffix(".jpg").write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    return folder


@pytest.fixture(scope="session", name="write_people")
def _write_people() -> Callable[..., Path]:
    """Return the function `write_people`."""
    return write_people


@pytest.fixture(scope="session")
def tiny_models() -> dict[str, Any]:
    """Return the tiny backbones by name."""
    return {"Plain": Plain, "PlainNorm": PlainNorm}


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 60 images of 10 persons in 2 cameras."""
    return write_people(tmp_path_factory.mktemp("people") / "bounding_box_train", ids=10, each=6)


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 16 images of 4 other persons in 2 cameras."""
    return write_people(tmp_path_factory.mktemp("people") / "bounding_box_test", ids=4, each=4, first=101)


@pytest.fixture(scope="session")
def train_index(people: Path) -> ImageIndex:
    return read_market1501_folder(people)


@pytest.fixture(scope="session")
def dev_index(strangers: Path) -> ImageIndex:
    return read_market1501_folder(strangers)


class Plain(nn.Layer):
    """A backbone without batch norm: its output for an image does not depend on the batch."""

    def __init__(self, last_stride: int = 2) -> None:
        super().__init__()
        self.out_channels = 8
        self.conv = nn.Conv2D(3, 8, 5, stride=4)

    def forward(self, x: Any) -> Any:
        return nn.functional.relu(self.conv(x))


class PlainNorm(Plain):
    """The backbone with batch norm."""

    def __init__(self, last_stride: int = 2) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2D(8)

    def forward(self, x: Any) -> Any:
        return nn.functional.relu(self.norm(self.conv(x)))


@pytest.fixture(autouse=True)
def _tiny_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.module.__name__.endswith("test_models"):
        return  # these tests need the real registry
    monkeypatch.setitem(MODELS, "Plain", Plain)
    monkeypatch.setitem(MODELS, "PlainNorm", PlainNorm)
    paddle.set_device("cpu")


@pytest.fixture(scope="session")
def tiny() -> Callable[..., TrainConfig]:
    """Return a function that builds settings of a very short run; keywords change them."""

    def make(**changes: Any) -> TrainConfig:
        settings: dict[str, Any] = {
            "model": "Plain",
            "embedding_size": 6,
            "image_shape": (3, 16, 16),
            "augmentation": "strong",
            "train_batch_size": 12,
            "test_batch_size": 5,
            "lr": 0.05,
            "total_iter_num": 6,
            "display_iter_step": 2,
            "test_iter_step": 3,
            "save_iter_step": 2,
        }
        return TrainConfig(**(settings | changes))

    return make
