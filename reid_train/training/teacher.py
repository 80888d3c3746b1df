"""A teacher's embeddings of the training images, for a network that learns to give the same.

They are computed once, of each image and its mirror image as they are, and not of the altered images of a
batch: the pupil then learns to see through colour casts, loose boxes and low resolution, a small input early
in the run does not blur the targets, and each image passes the teacher twice in the whole run. Beyer et al.
(arXiv 2106.05237) show the teacher the altered images instead; the two were not compared here. The rows are
kept in the run's folder, so that a resumed run starts at once.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from deepsort_paddle.part_files import replacing
from reid_train.checkpoints.checkpoint import Checkpoint
from reid_train.checkpoints.exported import read_weights, weights_path
from reid_train.config import config_from_dict
from reid_train.evaluation.features import embed
from reid_train.training.batches import Images
from reid_train.training.parallel import World
from reid_train.training.trainer import network_of
from reid_train.training.transforms import Preprocessing, preprocessing_of

__all__ = ["ROWS_FILE", "Teacher"]

ROWS_FILE = "teacher_rows.npz"
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
        self._network = network_of(self._checkpoint)
        self.embedding_size: int = self._network.embedding_size

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
        file = folder / ROWS_FILE
        key = self._key(paths)
        if (kept := _read_rows(file, key, (len(paths), self.embedding_size))) is not None:
            return kept
        config = config_from_dict(self._checkpoint.config, str(self._path))
        prepare = preprocessing_of(config)
        own = range(world.rank, len(paths), world.size)
        parts = []
        for start in tqdm(range(0, len(own), _CHUNK), "teacher", disable=None if world.rank == 0 else True):
            batch = _prepared(images, own[start : start + _CHUNK], prepare)
            parts.append(
                embed(self._network, batch) + embed(self._network, np.ascontiguousarray(batch[:, :, ::-1]))
            )
        rows = world.interleave(np.concatenate(parts), len(paths))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        if world.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as out:
                np.savez(out, key=np.array(key), rows=rows)
        return rows

    def _key(self, paths: tuple[Path, ...]) -> str:
        digest = hashlib.sha256()
        for name in sorted(self._checkpoint.arrays):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self._checkpoint.arrays[name]).tobytes())
        for path in paths:
            digest.update(f"{path}\n".encode())
        return digest.hexdigest()


def _read_rows(file: Path, key: str, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Rows kept by an earlier call; None where they are absent, damaged or of something else."""
    try:
        with np.load(file, allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            rows = np.asarray(content["rows"], np.float32)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return rows if rows.shape == shape else None


def _prepared(images: Images, rows: range, prepare: Preprocessing) -> NDArray[np.uint8]:
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(lambda row: prepare(images[row]), rows)))
