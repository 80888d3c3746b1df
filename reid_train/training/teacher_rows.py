"""A teacher's embeddings kept in the folder of a run, so that a resumed run need not compute them again.

A digest ties the file to the teacher's weights and to the images. This module imports no Paddle: the PyTorch
twin (`tools/torch_twin`) keeps its rows in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.part_files import replacing

__all__ = ["ROWS_FILE", "keep_rows", "kept_rows", "rows_key"]

ROWS_FILE = "teacher_rows.npz"


def rows_key(arrays: Mapping[str, NDArray[np.float32]], paths: Sequence[Path]) -> str:
    """Return the digest of a teacher's arrays and of the names of the images, in their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    for path in paths:
        digest.update(f"{path}\n".encode())
    return digest.hexdigest()


def kept_rows(folder: Path, key: str, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return the ``shape`` rows kept under a key; None if they are absent, damaged or of something else."""
    try:
        with np.load(folder / ROWS_FILE, allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            rows = np.asarray(content["rows"], np.float32)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return rows if rows.shape == shape else None


def keep_rows(folder: Path, key: str, rows: NDArray[np.float32]) -> None:
    """Keep ``(N, D)`` rows in the folder of a run, which is made if needed.

    Raises:
        OSError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / ROWS_FILE) as file:
        np.savez(file, key=np.array(key), rows=rows)
