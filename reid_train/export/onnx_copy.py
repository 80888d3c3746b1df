"""Adds an ONNX copy to an export, so that other libraries can run it.

Large networks are shipped without one: it is as large as their weights and can be made in seconds. The graph
is built from the export's weights, as `export` would write it today, and checked for the same parity.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from reid_train.checkpoints.exported import DESCRIPTION, read_export
from reid_train.checkpoints.probe import probe_image
from reid_train.config import config_from_dict
from reid_train.export.export import ONNX_FILE, onnx_predictor, parity_errors, reworked, write_graph
from reid_train.export.half_storage import store_as_float16
from reid_train.training.trainer import network_of
from reid_train.training.transforms import preprocessing_of

__all__ = ["add_onnx"]


def add_onnx(folder: Path, output: Path | None = None) -> float:
    """Add ``inference.onnx`` to an export, and name it in its description and checksums.

    Args:
        folder: an export; unchanged until everything succeeded.
        output: folder for the export with the copy; an earlier export there is replaced. None changes
            ``folder``.

    Returns:
        Largest difference of embedding values between the copy and the network.

    Raises:
        FileNotFoundError: the folder has no export.
        ValueError: another project made it, paddle2onnx is not installed or cannot convert it, the copy's
            embeddings differ, or ``output`` contains something other than an export or lies in ``folder``.
        OSError: the output cannot be written.
    """
    folder = folder.resolve()
    checkpoint = read_export(folder)
    network = network_of(checkpoint)
    prepare = preprocessing_of(config_from_dict(checkpoint.config, str(folder)))
    probe = probe_image(prepare.height, prepare.width)[0]
    images = np.stack([np.roll(probe, 5 * shift, axis=0) for shift in range(7)])
    stored = json.loads((folder / DESCRIPTION).read_bytes()).get("parameters", {})
    if stored.get("dtype") == "float16":
        store_as_float16(network)
    with reworked(folder, output) as part, tempfile.TemporaryDirectory() as scratch:
        write_graph(network, prepare, Path(scratch))
        run = onnx_predictor(Path(scratch))
        errors = parity_errors(network, {"onnx_": run}, images)
        shutil.copyfile(Path(scratch) / ONNX_FILE, part / ONNX_FILE)
        path = part / DESCRIPTION
        description = json.loads(path.read_bytes())
        description["files"]["onnx"] = ONNX_FILE
        described = description.setdefault("parity", {}).setdefault("max_abs_error", {})
        described.update(errors)
        path.write_text(json.dumps(description, indent=2) + "\n")
    return max(errors.values())
