"""An ONNX copy of a large Paddle export, made on first use and kept in the user's cache.

Large networks are shipped without one, since it is as large as their weights. OpenVINO runs it in bfloat16
faster than Paddle runs the export (benchmarks/encoder). paddle2onnx converts in a process of its own: it
writes to the terminal, and a crash in it must not end the run.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from filelock import FileLock

from deepsort_paddle.appearance.preprocess import network_input
from deepsort_paddle.appearance.spec import EncoderSpec
from deepsort_paddle.inference.predictor import Predictor
from deepsort_paddle.structures import unit_rows
from deepsort_paddle.user_cache import cache_folder

__all__ = ["cached_copy"]

_LOGGER = logging.getLogger("deepsort_paddle")

# Its default optimiser installs packages from the network.
_CONVERT = (
    "import sys, paddle2onnx; paddle2onnx.export(*sys.argv[1:4], opset_version=17, verbose=False, "
    "optimize_tool='none')"
)
_MOST_SECONDS = 300
_CROPS = 7
# Largest difference of a value of the unit embeddings in float32; for resnet50vd it is 1e-6.
_TOLERANCE = 1e-4


def cached_copy(folder: Path, spec: EncoderSpec) -> Path | None:
    """Return the ONNX copy of an export; make and verify it if the cache lacks it.

    Args:
        folder: the export.
        spec: its description; the model and its parameters are Paddle's.

    Returns:
        Path of the copy; None if paddle2onnx is missing or cannot convert the network, its embeddings differ
        from Paddle's, or the cache cannot be written. The log says why.
    """
    content = hashlib.sha256()
    for name in (spec.model, str(spec.params)):
        content.update((folder / name).read_bytes())
    copy = cache_folder() / "appearance" / f"{folder.resolve().name}-{content.hexdigest()[:16]}.onnx"
    if copy.is_file():
        return copy
    if find_spec("paddle2onnx") is None:
        return None
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(copy.with_suffix(".lock")):
            if not copy.is_file():  # another process may have made it
                _LOGGER.info("making an ONNX copy of %s, once", folder.name)
                _make(folder, spec, copy)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _LOGGER.info("no ONNX copy of %s, Paddle runs it: %s", folder.name, error)
        return None
    return copy


def _make(folder: Path, spec: EncoderSpec, copy: Path) -> None:
    """Convert an export and verify the result before it gets its name.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the embeddings differ.
        subprocess.SubprocessError: the conversion failed.
    """
    part = copy.with_name("part-" + copy.name)  # readers go by the suffix
    model, params = folder / spec.model, folder / str(spec.params)
    try:
        command = [sys.executable, "-c", _CONVERT, str(model), str(params), str(part)]
        subprocess.run(command, check=True, capture_output=True, timeout=_MOST_SECONDS)
        crops = np.random.default_rng(0).integers(
            0, 256, (_CROPS, spec.height, spec.width, 3), dtype=np.uint8
        )
        batch = network_input(crops, spec)
        paddle = Predictor(model, params, device="cpu", exported_with=spec.paddle).run(batch)
        other = Predictor(part, device="cpu").run(batch)
        difference = float(np.abs(unit_rows(paddle, _CROPS) - unit_rows(other, _CROPS)).max())
        if not difference <= _TOLERANCE:
            raise ValueError(f"expected the same embeddings, got a difference of {difference:.1g}")
        part.replace(copy)
    finally:
        part.unlink(missing_ok=True)
