"""Lower precision for an export: adds an int8 form, and checks whether bfloat16 changes its embeddings.

Static quantization: the weights of each convolution become int8 with a scale per channel, activations uint8
with the range measured on crops of the training set. The result is an ONNX file of the float graph with
pairs of QuantizeLinear and DequantizeLinear (QDQ), which ONNX Runtime and OpenVINO replace by integer
kernels. `precisions` measures the loss of accuracy on persons held out of training, with the final files.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.inference.libraries import import_onnxruntime
from deepsort_paddle.part_files import writing
from reid_train.data.datasets import ImageIndex
from reid_train.data.image_cache import decode_images
from reid_train.export.export import onnx_predictor, reworked
from reid_train.export.model_card import with_precisions
from reid_train.export.precisions import Precision, measure_precisions
from reid_train.training.transforms import Preprocessing

__all__ = ["INT8_FILE", "quantize"]

INT8_FILE = "inference_int8.onnx"
CALIBRATION_IMAGES = 256
_BATCH = 16


def quantize(
    folder: Path,
    calibration: ImageIndex,
    dev: ImageIndex,
    *,
    images: int = CALIBRATION_IMAGES,
    seed: int = 0,
) -> tuple[Precision, ...]:
    """Add an int8 form to an export, and the accuracy of int8 and bfloat16 to its description.

    Args:
        folder: an export; unchanged until everything succeeded.
        calibration: images of the training set, for the ranges of activations.
        dev: images of persons held out of training, for the accuracy.
        images: number of ``calibration`` images used, chosen at random.
        seed: seed of the choice.

    Returns:
        float32, int8 and, if this CPU computes in it, bfloat16.

    Raises:
        FileNotFoundError: the folder has no export.
        ValueError: a set is empty, ``images`` is below 1, the description is not that of an export, or the
            package onnx or ml_dtypes is not installed.
        OSError: the folder cannot be written.
    """
    folder = folder.resolve()
    if images < 1:
        raise ValueError(f"images must be 1 or more, got {images}")
    if len(calibration) == 0 or len(dev) == 0:
        raise ValueError("quantize needs images for calibration and for measurement, got none")
    description, prepare = _described(folder)
    rows = np.random.default_rng(seed).permutation(len(calibration))[:images]
    crops = _decoded([calibration.paths[row] for row in rows], prepare)
    held_out = _decoded(dev.paths, prepare)
    with reworked(folder) as part:
        with tempfile.TemporaryDirectory() as scratch:
            source = _onnx_of(part, description, Path(scratch))
            _write_int8(source, part / INT8_FILE, crops, Path(scratch))
            description["files"]["int8"] = INT8_FILE
            description["int8"] = {"calibration_images": len(crops), "seed": seed}
            found = measure_precisions(part, description, held_out, dev, onnx=source)
        with writing(folder):
            (part / "encoder.json").write_text(json.dumps(description, indent=2) + "\n")
            card = part / "MODEL_CARD.md"
            if card.is_file():
                card.write_text(with_precisions(card.read_text(encoding="utf-8"), description))
    return found


def _described(folder: Path) -> tuple[dict[str, Any], Preprocessing]:
    """Return the description of an export, and its preprocessing."""
    path = folder / "encoder.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a folder written by reid-train export")
    try:
        description = json.loads(path.read_bytes())
        size, resize = description["input"], description["resize"]
        own = (size["layout"], size["dtype"], size["channels"]) == ("NHWC", "uint8", "BGR")
        prepare = Preprocessing(size["height"], size["width"], resize["mode"], resize["interpolation"])
        own = own and not str(description["files"]["model"]).endswith(".onnx")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not the description of an export: {error!r}") from error
    if not own:
        raise ValueError(f"{path}: expected a network exported by reid-train")
    return description, prepare


def _decoded(paths: Any, prepare: Preprocessing) -> NDArray[np.uint8]:
    return decode_images(paths, prepare.height, prepare.width, prepare)


def _onnx_of(folder: Path, description: dict[str, Any], scratch: Path) -> Path:
    """Return the float32 network as ONNX: the folder's copy, or a temporary one."""
    name = description["files"].get("onnx")
    if name is not None:
        return folder / str(name)
    for ending in ("json", "pdmodel", "pdiparams"):
        for file in folder.glob(f"inference.{ending}"):
            shutil.copy(file, scratch)
    onnx_predictor(scratch)
    return scratch / "inference.onnx"


class _Crops:
    """Batches of crops for ONNX Runtime's calibration."""

    def __init__(self, name: str, crops: NDArray[np.uint8]) -> None:
        self._name = name
        self._batches = iter([crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next batch by the input's name; None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _write_int8(source: Path, target: Path, crops: NDArray[np.uint8], scratch: Path) -> None:
    """Quantize ``source``, an ONNX file, into ``target``."""
    onnxruntime = import_onnxruntime()
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ValueError(f"int8 needs {error.name}: pip install onnx ml_dtypes") from None
    session = onnxruntime.InferenceSession(str(source), _quiet_options(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    prepared = scratch / "prepared.onnx"
    with _silence():
        # Batch norms are folded into their convolutions first: otherwise values would be rounded twice.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Crops(name, crops),
            quant_format=QuantFormat.QDQ,
            # int8 activations cost OSNet x0.25 1.3 points of mAP and a third of its speed, uint8 ones 0.3.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )


def _quiet_options() -> Any:
    options = import_onnxruntime().SessionOptions()
    options.log_severity_level = 3
    return options


@contextmanager
def _silence() -> Iterator[None]:
    """Hide debug messages of the quantizer."""
    onnxruntime = import_onnxruntime()
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(3)
    try:
        yield
    finally:
        logger.setLevel(level)
        onnxruntime.set_default_logger_severity(2)
