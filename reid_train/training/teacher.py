"""A teacher's embeddings of the training images, for a network that learns to give the same.

They are computed once, of each image and its mirror image as they are, and not of the altered images of a
batch: the pupil then learns to see through colour casts, loose boxes and low resolution, a small input early
in the run does not blur the targets, and each image passes the teacher twice in the whole run. Beyer et al.
(arXiv 2106.05237) show the teacher the altered images instead; the two were not compared here. The rows are
kept in the run's folder, so that a resumed run starts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray
from tqdm import tqdm

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.appearance.spec import EncoderSpec
from reid_train.checkpoints.checkpoint import Checkpoint
from reid_train.checkpoints.exported import is_export, read_weights, weights_path
from reid_train.config import config_from_dict
from reid_train.evaluation.features import embed
from reid_train.training.batches import Images
from reid_train.training.parallel import World
from reid_train.training.teacher_rows import keep_rows, kept_rows, rows_key
from reid_train.training.trainer import network_of
from reid_train.training.transforms import Preprocessing, preprocessing_of

__all__ = ["Teacher"]

_CHUNK = 512  # images in memory at the teacher's size


class Teacher:
    """The deployed network of a checkpoint, a run or an export.

    Args:
        path: of it.

    Attributes:
        embedding_size: D of its embeddings.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it holds no weights of a network of `reid_train`.
    """

    def __init__(self, path: Path) -> None:
        self._path = weights_path(path)
        self._checkpoint: Checkpoint = read_weights(self._path)
        self.embedding_size = (
            EncoderSpec.read(self._path / "encoder.json").embedding_size
            if is_export(self._path)
            else network_of(self._checkpoint).embedding_size
        )

    def rows(
        self, images: Images, paths: tuple[Path, ...], folder: Path, world: World
    ) -> NDArray[np.float32]:
        """``(N, D)`` unit embeddings of the training images; all processes must call it.

        Args:
            images: decoded, by row.
            paths: ``N`` files that they come from.
            folder: of the run; rows that an earlier call left there for the same teacher and files are used.
            world: the processes, each of which computes its share.
        """
        key = rows_key(self._checkpoint.arrays, paths)
        if (kept := kept_rows(folder, key, (len(paths), self.embedding_size))) is not None:
            return kept
        run = self._runner(threads=1 if world.size > 1 else None)
        prepare = preprocessing_of(config_from_dict(self._checkpoint.config, str(self._path)))
        own = range(world.rank, len(paths), world.size)
        parts = []
        for start in tqdm(range(0, len(own), _CHUNK), "teacher", disable=None if world.rank == 0 else True):
            batch = _prepared(images, own[start : start + _CHUNK], prepare)
            parts.append(run(batch) + run(np.ascontiguousarray(batch[:, :, ::-1])))
        rows = world.interleave(np.concatenate(parts), len(paths))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        if world.rank == 0:
            keep_rows(folder, key, rows)
        return rows

    def _runner(self, *, threads: int | None) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        """Return a function to unit rows: on a CPU, an export is run by its fastest library."""
        if is_export(self._path) and paddle.device.get_device() == "cpu":
            return AppearanceEncoder(self._path, device="cpu", threads=threads).embed_crops
        return partial(embed, network_of(self._checkpoint))


def _prepared(images: Images, rows: range, prepare: Preprocessing) -> NDArray[np.uint8]:
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(lambda row: prepare(images[row]), rows)))
