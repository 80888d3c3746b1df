"""Checkpoints: one safetensors file with everything that a run needs to continue.

safetensors contains only arrays and a text header, so reading a checkpoint never executes code. A file is
written under a temporary name, flushed to disk and renamed. After a kill or with a full disk, there is either
the old checkpoint or the new one, never an incomplete file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from deepsort_paddle.part_files import replacing

__all__ = [
    "Checkpoint",
    "layer_arrays",
    "optimizer_arrays",
    "read_checkpoint",
    "restore_layer",
    "restore_optimizer",
    "write_checkpoint",
]

FORMAT = "deepsort-paddle.checkpoint.1"


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint file.

    Attributes:
        iteration: number of finished iterations.
        arrays: ``<part>/<name>`` to array, with the parts network, ema, objective and optimizer.
        config: the run's resolved configuration.
        best: the best evaluation so far, by name of the figure.
        scaler: state of the loss scaling of mixed precision; empty without it.
        origin: data, command and hours so far, for the model card.

    Example:
        >>> checkpoint = Checkpoint(100, {"ema/fc.bias": np.zeros(3)}, config={}, best={})
        >>> list(checkpoint.part("ema"))
        ['fc.bias']
    """

    iteration: int
    arrays: dict[str, NDArray[Any]]
    config: dict[str, Any]
    best: dict[str, float]
    scaler: dict[str, float] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of one part by name, without its prefix."""
        return {
            key[len(name) + 1 :]: value for key, value in self.arrays.items() if key.startswith(name + "/")
        }


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; on an error the previous file stays unchanged.

    Args:
        path: the file.
        checkpoint: its contents.

    Raises:
        OSError: the file cannot be written (disk full, no permission).
    """
    header = {
        "format": FORMAT,
        "iteration": str(checkpoint.iteration),
        "config": json.dumps(checkpoint.config),
        "best": json.dumps(checkpoint.best),
        "scaler": json.dumps(checkpoint.scaler),
        "origin": json.dumps(checkpoint.origin),
    }
    # Not save_file, which creates files that only their owner may read.
    content = save(checkpoint.arrays, metadata=header)
    with replacing(path, "checkpoint not written, earlier ones stay") as file:
        file.write(content)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the file.

    Returns:
        Its contents.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of this project, or is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    if path.suffix == ".pdparams":
        raise ValueError(
            f"{path}: .pdparams holds weights only; to start a training from it use --pretrained_model"
        )
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise ValueError(f"expected format {FORMAT}, got {header.get('format')!r:.60}")
            parts = {name: json.loads(header.get(name, "{}")) for name in ("scaler", "origin")}
            parts |= {name: json.loads(header[name]) for name in ("config", "best")}
            for name, part in parts.items():
                if not isinstance(part, dict):
                    raise ValueError(f"{name} must be fields, got {part!r:.40}")
            return Checkpoint(
                iteration=int(header["iteration"]),
                arrays={key: file.get_tensor(key) for key in file.keys()},  # noqa: SIM118 (not a dict)
                **parts,
            )
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: damaged, or not a checkpoint of reid-train: {reason}") from error


def layer_arrays(layer: nn.Layer) -> dict[str, NDArray[Any]]:
    """Return a layer's parameters and buffers as arrays, by structured name."""
    return {name: np.ascontiguousarray(value.numpy()) for name, value in layer.state_dict().items()}


def restore_layer(layer: nn.Layer, arrays: Mapping[str, NDArray[Any]], what: str) -> None:
    """Load a layer's parameters and buffers.

    Args:
        layer: the layer to change.
        arrays: from `layer_arrays`.
        what: name of the layer, for errors.

    Raises:
        ValueError: names or shapes differ; the message has the first one, and the layer is unchanged.
    """
    state = layer.state_dict()
    for name in sorted(state.keys() ^ arrays.keys()):
        side = "missing from the checkpoint" if name in state else "unknown to the model"
        raise ValueError(f"{what}: {name} is {side}")
    for name, value in state.items():
        if tuple(value.shape) != arrays[name].shape:
            raise ValueError(f"{what}: {name} must be {tuple(value.shape)}, got {arrays[name].shape}")
    for name, value in state.items():
        value.set_value(arrays[name])


def optimizer_arrays(
    optimizer: paddle.optimizer.Optimizer, names: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Return an optimiser's state as arrays.

    Args:
        optimizer: the optimiser.
        names: Paddle's parameter name to structured name.

    Returns:
        ``<structured name>|<kind of state>`` to array.
    """
    arrays = {}
    for key, value in optimizer.state_dict().items():
        # Paddle's names depend on how many layers the process has built so far.
        owner = max((name for name in names if key.startswith(name + "_")), key=len, default=None)
        if owner is not None:
            arrays[f"{names[owner]}|{key[len(owner) + 1 :]}"] = np.ascontiguousarray(value.numpy())
    return arrays


def restore_optimizer(
    optimizer: paddle.optimizer.Optimizer, arrays: Mapping[str, NDArray[Any]], names: Mapping[str, str]
) -> None:
    """Load an optimiser's state.

    Args:
        optimizer: of the same kind and parameters.
        arrays: from `optimizer_arrays`.
        names: Paddle's parameter name to structured name.

    Raises:
        ValueError: a parameter is unknown; the message names it.
    """
    own = {structured: name for name, structured in names.items()}
    state = {}
    for key, value in arrays.items():
        structured, _, slot = key.partition("|")
        if structured not in own:
            raise ValueError(f"checkpoint: optimizer: {structured} is unknown to the model")
        state[f"{own[structured]}_{slot}"] = paddle.to_tensor(value)
    optimizer.set_state_dict(state)
