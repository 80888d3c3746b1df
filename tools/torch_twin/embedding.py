"""Open networks of checkpoints and compute embeddings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from networks import TwinNetwork, paddle_arrays, restore, with_instance_norm
from safetensors import safe_open

from reid_train.config import TrainConfig, config_from_dict
from reid_train.data.datasets import ImageCache, ImageIndex
from reid_train.training.teacher_rows import keep_rows, kept_rows, rows_key
from reid_train.training.transforms import resize

__all__ = ["build", "embed", "read_twin", "teacher_rows"]

CHUNK = 512  # images in memory at the teacher's size


def read_twin(path: Path, model: str = "") -> tuple[TwinNetwork, dict[str, Any]]:
    """The deployed network of a checkpoint, or its IBN-a form where ``model`` names that, and its origin."""
    with safe_open(path, framework="np") as file:
        header = file.metadata()
        config = config_from_dict(json.loads(header["config"]), str(path))
        part = "ema/" if config.ema_decay else "network/"
        arrays = {key[len(part) :]: file.get_tensor(key) for key in file.keys() if key.startswith(part)}  # noqa: SIM118
    if model == f"{config.model}_ibn_a":
        config, arrays = replace(config, model=model), with_instance_norm(arrays)
    network = build(config)
    restore(network, arrays)
    return network, {**json.loads(header["origin"]), "iteration": int(header["iteration"])}


def build(config: TrainConfig) -> TwinNetwork:
    """The network that a configuration describes, with fresh weights."""
    network = TwinNetwork(config.model, config.embedding_size, config.last_stride, config.neck)
    network.input_size = config.image_shape[1:]
    return network.to(memory_format=torch.channels_last)


@torch.no_grad()
def embed(network: TwinNetwork, images: np.ndarray, *, bf16: bool = False) -> np.ndarray:
    """``(N, D)`` unit rows of ``(N, H, W, 3)`` uint8 images."""
    network.eval()
    rows = []
    for part in np.array_split(images, len(images) // 50 + 1):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            found = network(torch.from_numpy(part))
        rows.append(F.normalize(found.float()))
    return torch.cat(rows).numpy()


def teacher_rows(
    path: Path, images: ImageCache, index: ImageIndex, folder: Path, *, bf16: bool
) -> np.ndarray:
    """``(N, D)`` unit rows to imitate: a teacher's, of each image and its mirror image at the teacher's size.

    They are kept in the folder of the run.
    """
    teacher, _ = read_twin(path)
    key = rows_key(paddle_arrays(teacher), index.paths)
    if (kept := kept_rows(folder, key, (len(index), teacher.embedding_size))) is not None:
        return kept
    height, width = teacher.input_size
    rows = []
    for start in range(0, len(index), CHUNK):
        batch = np.stack(
            [resize(images[row], height, width) for row in range(start, min(start + CHUNK, len(index)))]
        )
        mirrored = np.ascontiguousarray(batch[:, :, ::-1])
        rows.append(embed(teacher, batch, bf16=bf16) + embed(teacher, mirrored, bf16=bf16))
    found = np.concatenate(rows)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    keep_rows(folder, key, found)
    return found
