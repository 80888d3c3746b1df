"""Lower precision for an export: adds an int8 form, and checks whether bfloat16 changes its embeddings.

Static quantization: the weights of each convolution become int8 with a scale per channel, activations uint8
with the range measured on crops of the training set. The result is an ONNX file of the float graph with
pairs of QuantizeLinear and DequantizeLinear (QDQ), which ONNX Runtime and OpenVINO replace by integer
kernels. The loss of accuracy is measured on persons held out of training, with the final files; bfloat16 is
allowed if every embedding stays within `BFLOAT16_COSINE`.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from deepsort_paddle.inference.libraries import import_onnxruntime
from deepsort_paddle.part_files import writing
from reid_train.data.datasets import ImageIndex
from reid_train.data.image_cache import decode_images
from reid_train.evaluation.figures import RankingFigures, ranking_figures, recall_at
from reid_train.export.export import (
    exported_predictor,
    onnx_predictor,
    onnx_runner,
    reworked,
)
from reid_train.export.model_card import with_precisions
from reid_train.training.transforms import Preprocessing

__all__ = ["BFLOAT16_COSINE", "INT8_FILE", "Precision", "quantize"]

INT8_FILE = "inference_int8.onnx"
# A lower cosine is more than rounding.
BFLOAT16_COSINE = 0.999
CALIBRATION_IMAGES = 256
_BATCH = 16
Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Precision:
    """The accuracy of a network in one precision, on held-out images.

    Attributes:
        name: float32, bfloat16 or int8.
        min_cosine: smallest cosine similarity of an embedding with that of float32.
        mean_cosine: mean cosine similarity.
        recall1: Recall@1, all against all.
        figures: ranking figures; None if cameras are unknown.
    """

    name: str
    min_cosine: float
    mean_cosine: float
    recall1: float
    figures: RankingFigures | None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``encoder.json``."""
        ranking = {} if self.figures is None else asdict(self.figures)
        return {
            "min_cosine": self.min_cosine,
            "mean_cosine": self.mean_cosine,
            "evaluation": {**ranking, "recall1": self.recall1},
        }


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
        float32, int8 and, if this CPU supports it, bfloat16 (in Paddle).

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
    pictures = _decoded(dev.paths, prepare)
    with reworked(folder) as part:
        with tempfile.TemporaryDirectory() as scratch:
            source = _onnx_of(part, description, Path(scratch))
            _write_int8(source, part / INT8_FILE, crops, Path(scratch))
            plain = _embedded(onnx_runner(source), pictures)
        found = [
            _judged("float32", plain, plain, dev),
            _judged("int8", _embedded(onnx_runner(part / INT8_FILE), pictures), plain, dev),
        ]
        description["files"]["int8"] = INT8_FILE
        description["int8"] = {"calibration_images": len(crops), "seed": seed, **found[1].as_dict()}
        if paddle.base.core.supports_bfloat16_fast_performance():
            run = exported_predictor(part, bfloat16=True)
            found.append(_judged("bfloat16", _embedded(run, pictures), plain, dev))
            allowed = found[2].min_cosine >= BFLOAT16_COSINE
            description["bfloat16"] = {"allowed": allowed, **found[2].as_dict()}
        with writing(folder):
            (part / "encoder.json").write_text(json.dumps(description, indent=2) + "\n")
            card = part / "MODEL_CARD.md"
            if card.is_file():
                card.write_text(with_precisions(card.read_text(encoding="utf-8"), description))
    return tuple(found)


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


def _embedded(run: Run, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ``(N, D)`` unit rows."""
    rows = [run(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    return np.concatenate(rows).astype(np.float32, copy=False)


def _judged(
    name: str, embeddings: NDArray[np.float32], plain: NDArray[np.float32], dev: ImageIndex
) -> Precision:
    cosine = np.einsum("nd,nd->n", embeddings.astype(np.float64), plain.astype(np.float64))
    cosine /= np.linalg.norm(embeddings, axis=1) * np.linalg.norm(plain, axis=1)
    # Rounding changes the length of rows slightly; the ranking needs exact unit rows.
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Precision(
        name=name,
        min_cosine=float(cosine.min()),
        mean_cosine=float(cosine.mean()),
        recall1=recall_at(unit, dev.pids),
        figures=ranking_figures(unit, dev),
    )
