"""Read the trained network of an export (``weights/<name>/``) as a checkpoint.

So shipped weights, whose checkpoints are not shipped, can be fine-tuned, evaluated or distilled. The graph
keeps Paddle's parameter names (``conv2d_7.w_0``), which number the layers of a kind in the order of their
creation; a new network with the same settings has the same order. The loaded network must reproduce the
probe embedding in ``encoder.json``.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from reid_train.checkpoints.checkpoint import Checkpoint, read_checkpoint
from reid_train.checkpoints.fluid import holds_fluid_parameters
from reid_train.checkpoints.probe import PARITY_TOLERANCE, probe_image
from reid_train.checkpoints.run_files import newest_checkpoint
from reid_train.config import TrainConfig, config_from_dict
from reid_train.evaluation.features import embed
from reid_train.models import build_network

__all__ = ["ExportDescription", "describe_export", "is_export", "read_export", "read_weights", "weights_path"]

DESCRIPTION = "encoder.json"
PARAMETER = re.compile(r"(.+)_(\d+)\.([wb]_\d+)")


@dataclass(frozen=True)
class ExportDescription:
    """What ``encoder.json`` says of an export of this project.

    Attributes:
        checkpoint: iteration, settings and origin, without arrays.
        config: the settings.
        params: file of the arrays.
        probe: ``(D,)`` embedding that the network must give for the probe image.
    """

    checkpoint: Checkpoint
    config: TrainConfig
    params: Path
    probe: NDArray[np.float32]


def is_export(path: Path) -> bool:
    """Whether a path is a folder that `reid-train export` wrote."""
    return (path / DESCRIPTION).is_file()


def weights_path(path: Path) -> Path:
    """What a user's path to weights stands for: an export, a checkpoint, the newest one of a run, .pdparams.

    The ending .pdparams may be left out, as Paddle 1 did. A folder of parameters of Paddle 1 is itself.

    Raises:
        FileNotFoundError: it is a folder without any.
    """
    if is_export(path):
        return path
    if not path.exists() and path.with_name(f"{path.name}.pdparams").is_file():
        return path.with_name(f"{path.name}.pdparams")
    if holds_fluid_parameters(path):
        return path
    return newest_checkpoint(path)


def read_weights(path: Path) -> Checkpoint:
    """A checkpoint, the newest one of a run, or an export.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or no such thing.
    """
    path = weights_path(path)
    if holds_fluid_parameters(path):
        raise ValueError(f"{path}: holds parameters of Paddle 1 (fluid), which only start a training")
    return read_export(path) if is_export(path) else read_checkpoint(path)


def describe_export(folder: Path) -> ExportDescription:
    """What an export says of its network and its training, without opening the network.

    Raises:
        ValueError: it was not made by this project.
    """
    source = folder / DESCRIPTION
    try:
        description = json.loads(source.read_text())
        provenance = dict(description["provenance"])
        settings = {**provenance.pop("config"), "teacher": ""}  # only its name was kept
        iteration = int(provenance.pop("iteration"))
        probe = np.asarray(description["probe"]["embedding"], np.float32)
        params = folder / str(description["files"]["params"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{source}: not an export of reid-train: {type(error).__name__} {error}") from error
    # The arrays are the deployed ones: the average, where the run had one.
    config = replace(config_from_dict(settings, str(source)), ema_decay=0.0)
    checkpoint = Checkpoint(iteration, {}, config.as_dict(), best={}, origin=provenance)
    return ExportDescription(checkpoint, config, params, probe)


def read_export(folder: Path) -> Checkpoint:
    """The network of an export, without optimiser and class weights.

    Raises:
        FileNotFoundError: a file of the export is missing.
        ValueError: it was not made by this project, or its files do not belong together.
    """
    description = describe_export(folder)
    params, probe = description.params, description.probe
    if not params.is_file():
        raise FileNotFoundError(f"{params}: no such file, which {DESCRIPTION} names")
    config = description.config
    network = build_network(
        config.model,
        config.embedding_size,
        last_stride=config.last_stride,
        neck=config.neck,
        pooling=config.pooling,
    )
    _fill(network, params)
    network.eval()
    found = embed(network, probe_image(*config.image_shape[1:]))[0]
    if found.shape != probe.shape or not np.abs(found - probe).max() <= PARITY_TOLERANCE:
        raise ValueError(f"{folder}: its network does not give the probe embedding of {DESCRIPTION}")
    arrays = {f"network/{name}": value.numpy() for name, value in network.state_dict().items()}
    return replace(description.checkpoint, arrays=arrays)


def _fill(network: nn.Layer, params: Path) -> None:
    """Put an exported graph's arrays into a fresh network of the same settings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Paddle about its own operators
            graph = paddle.jit.load(str(params.with_suffix("")))
        stored = _by_place((value.name, value) for value in graph.state_dict().values())
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{params}: not an exported network of Paddle: {reason}") from error
    for place, (name, value) in _by_place(
        (value.name, (name, value)) for name, value in network.state_dict().items()
    ).items():
        if place not in stored or stored[place].shape != value.shape:
            raise ValueError(f"{params}: no array that fits {name}, {tuple(value.shape)}")
        value.set_value(stored[place].cast(value.dtype))  # of weights stored as float16


def _by_place(items: Iterable[tuple[str, Any]]) -> dict[tuple[str, int, str], Any]:
    """Values by kind of layer, rank among the layers of that kind, and role, from Paddle's names."""
    found: dict[tuple[str, int, str], Any] = {}
    for name, value in items:
        if match := PARAMETER.match(name):
            kind, number, role = match.groups()
            found[kind, int(number), role] = value
    numbers: dict[str, list[int]] = {}
    for kind, number, _ in sorted(found):
        if number not in numbers.setdefault(kind, []):
            numbers[kind].append(number)
    return {(kind, numbers[kind].index(number), role): value for (kind, number, role), value in found.items()}
