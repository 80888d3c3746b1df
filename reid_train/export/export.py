"""Exports a checkpoint to ``weights/<name>/``, the contract with the tracker.

The exported graph takes uint8 NHWC BGR crops of one fixed size and returns unit rows, so only crop and
resize remain outside. Before the folder gets its final name, Paddle Inference runs the exported network and
its output is compared with the trained one. After any failure an earlier export of that name is unchanged.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from deepsort_paddle.inference.libraries import import_onnxruntime
from deepsort_paddle.part_files import writing
from reid_train.checkpoints.checkpoint import Checkpoint
from reid_train.checkpoints.probe import PARITY_TOLERANCE, probe_image
from reid_train.config import config_from_dict
from reid_train.data.datasets import ImageIndex
from reid_train.data.image_cache import decode_images
from reid_train.evaluation.calibration import Calibration
from reid_train.evaluation.features import embed
from reid_train.evaluation.figures import RankingFigures
from reid_train.export.half_storage import require_close, store_as_float16
from reid_train.export.measurements import Measured, measure
from reid_train.export.model_card import model_card
from reid_train.models import parameter_count
from reid_train.models.network import unit_rows
from reid_train.quiet import without_output
from reid_train.training.trainer import network_of
from reid_train.training.transforms import Preprocessing, preprocessing_of

__all__ = ["export", "write_checksums"]

ONNX_FILE = "inference.onnx"
PARITY_BATCHES = (1, 7)
COMPARED_IMAGES = 128
# From 32 up, the new IR of Paddle 3.3 loses up to half its speed to page faults.
PADDLE_BATCH = 16
# DeepSORT's threshold, for an export without images for calibration.
UNCALIBRATED = 0.2
Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Exported(nn.Layer):
    """The network, followed by normalisation to unit rows."""

    def __init__(self, network: nn.Layer) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Map ``(B, H, W, 3)`` uint8 BGR to ``(B, D)`` unit rows."""
        return unit_rows(self.network(images))


def export(
    checkpoint: Checkpoint,
    dev: Mapping[str, ImageIndex] | ImageIndex | None,
    folder: Path,
    *,
    onnx: bool = False,
    float16: bool = False,
    batch_size: int = 16,
) -> tuple[RankingFigures | None, float | None, Calibration | None]:
    """Export the network of a checkpoint.

    Args:
        checkpoint: as read by `read_checkpoint`.
        dev: images of persons kept out of training, one set or several by name. Figures and parity are of the
            first; the threshold holds in all. None exports without figures, with the tracker's own threshold
            and parity on the probe image.
        folder: ``weights/<name>``; an earlier export there is replaced.
        onnx: also write ``inference.onnx``, checked for the same parity.
        float16: store weights as float16 (`half_storage`), if the embeddings stay the same up to rounding.
        batch_size: images per forward pass.

    Returns:
        Ranking figures (None if cameras are unknown), Recall@Rank-1 and the calibration, all computed with
        the exported network; each None without images.

    Raises:
        ValueError: the checkpoint does not fit its configuration, parity is not reached, float16 changes
            embeddings, there are no images for calibration, or the folder contains something other than an
            export.
        OSError: the folder cannot be written.
    """
    folder = folder.resolve()
    _require_replaceable(folder)
    sets = {"dev": dev} if isinstance(dev, ImageIndex) else dict(dev or {})
    for name, index in sets.items():
        if len(index) == 0:
            where = f" in {name}" if len(sets) > 1 else ""
            raise ValueError(f"export needs images of persons for figures, got none{where}")
    config = config_from_dict(checkpoint.config, "checkpoint")
    network = network_of(checkpoint)
    prepare = preprocessing_of(config)
    probe = probe_image(prepare.height, prepare.width)
    images = {
        name: decode_images(index.paths, prepare.height, prepare.width, prepare)
        for name, index in sets.items()
    }
    parameters = parameter_count(network)
    rounding = {}
    if float16:
        compared = evenly_chosen(next(iter(images.values()), probe), COMPARED_IMAGES)
        plain = embed(network, compared)
        store_as_float16(network)
        cosine = require_close(plain, embed(network, compared))
        rounding = {"parameters": {"dtype": "float16", "min_cosine": cosine, "images": len(compared)}}
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        run = write_graph(network, prepare, part)
        runs = {"": run} | ({"onnx_": onnx_predictor(part)} if onnx else {})
        parity = parity_errors(network, runs, next(iter(images.values()), probe))
        measured = measure(run, images, sets, min(batch_size, PADDLE_BATCH)) if sets else Measured()
        figures, calibration, evaluation = measured.figures, measured.calibration, measured.evaluation
        trained = embed(network, probe)[0]
        description = {
            **_description(folder.name, prepare, len(trained), part),
            "max_cosine_distance": UNCALIBRATED if calibration is None else calibration.max_cosine_distance,
            **rounding,
            "parity": {"max_abs_error": parity, "tolerance": PARITY_TOLERANCE},
            # The trained network's output for `probe_image`, for checks without the checkpoint.
            "probe": {"embedding": trained.tolist()},
            "evaluation": evaluation,
            **({} if calibration is None else {"calibration": measured.calibration_dict()}),
            "provenance": {
                **checkpoint.origin,
                "iteration": checkpoint.iteration,
                "config": {
                    **checkpoint.config,
                    # Folders of this machine are left out; `start` identifies the run.
                    "teacher": Path(config.teacher).name,
                },
            },
        }
        with writing(folder):
            (part / "encoder.json").write_text(json.dumps(description, indent=2) + "\n")
            (part / "MODEL_CARD.md").write_text(model_card(description, parameters))
            write_checksums(part)
            replace_folder(folder, part)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return figures, evaluation.get("recall1"), calibration


def evenly_chosen(images: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """At most ``count`` of ``(N, H, W, 3)`` images, from the first to the last."""
    return images[np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))]


def _require_replaceable(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "encoder.json").is_file():
        raise ValueError(
            f"{folder}: contains files that are not an export and would be lost: name another folder"
        )
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder, got a file")


@contextmanager
def reworked(folder: Path, output: Path | None = None) -> Iterator[Path]:
    """Yield a copy of an export to modify; after success it gets checksums and replaces ``output``.

    Args:
        folder: the export, resolved.
        output: folder of the modified export; None replaces ``folder``.

    Raises:
        ValueError: ``output`` contains something other than an export, or lies in ``folder``.
        OSError: it cannot be written.
    """
    target = folder if output is None else output.resolve()
    if folder in target.parents:
        raise ValueError(f"{target}: lies in the export itself: name another folder")
    _require_replaceable(target)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with writing(target):
            shutil.copytree(folder, part)
        yield part
        with writing(target):
            write_checksums(part)
            replace_folder(target, part)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def replace_folder(folder: Path, part: Path) -> None:
    """Replace an earlier export by the new one, so that one of them always exists."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_graph(network: nn.Layer, prepare: Preprocessing, folder: Path) -> Run:
    """Save the network as a graph for any batch size; return a function that runs the saved graph."""
    shape = [None, prepare.height, prepare.width, 3]
    spec = paddle.static.InputSpec(shape, "uint8", "images")
    static = paddle.jit.to_static(Exported(network), input_spec=[spec], full_graph=True)
    try:
        paddle.jit.save(static, str(folder / "inference"))
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise OSError(f"{folder}: the graph cannot be written: {reason}") from error
    try:
        # Paddle does not notice a full disk while writing; it only fails to open the file.
        return exported_predictor(folder)
    except (RuntimeError, ValueError) as error:
        raise OSError(f"{folder}: the graph just written cannot be opened: is the disk full?") from error


def _description(name: str, prepare: Preprocessing, embedding_size: int, folder: Path) -> dict[str, Any]:
    """Return the entries of ``encoder.json`` about the graph."""
    files = {"model": _model_file(folder).name, "params": "inference.pdiparams"}
    if (folder / "inference.onnx").is_file():
        files["onnx"] = "inference.onnx"
    return {
        "format": 1,
        "name": name,
        "input": {
            "height": prepare.height,
            "width": prepare.width,
            "layout": "NHWC",
            "dtype": "uint8",
            "channels": "BGR",
        },
        "resize": {"mode": prepare.mode, "interpolation": prepare.interpolation},
        "output": {"embedding_size": embedding_size, "normalized": True},
        "files": files,
        "runtime": {"paddle": paddle.__version__},
        "bfloat16": {"allowed": False},
    }


def _model_file(folder: Path) -> Path:
    return next(folder.glob("inference.json"), folder / "inference.pdmodel")


def exported_predictor(folder: Path, *, bfloat16: bool = False) -> Run:
    """Return a function from ``(B, H, W, 3)`` uint8 to ``(B, D)`` by Paddle Inference."""
    from paddle import inference

    config = inference.Config(str(_model_file(folder)), str(folder / "inference.pdiparams"))
    config.disable_glog_info()
    config.enable_mkldnn()
    if bfloat16:
        config.enable_mkldnn_bfloat16()
    predictor = inference.create_predictor(config)

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        handle = predictor.get_input_handle(predictor.get_input_names()[0])
        handle.copy_from_cpu(np.ascontiguousarray(images))
        predictor.run()
        output = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
        return np.asarray(output, np.float32)

    return run


def onnx_predictor(folder: Path) -> Run:
    """Convert the export to ``inference.onnx`` in its folder and return a function that runs it.

    Raises:
        ValueError: paddle2onnx is not installed, or cannot convert the network.
    """
    try:
        import paddle2onnx
    except ImportError:
        raise ValueError(
            "ONNX needs paddle2onnx, which has wheels up to Python 3.12: pip install 'paddle2onnx>=2.0'"
        ) from None
    source, target = _model_file(folder), folder / ONNX_FILE
    try:
        with without_output():
            paddle2onnx.export(
                str(source),
                str(folder / "inference.pdiparams"),
                str(target),
                opset_version=17,
                verbose=False,
                # Its default optimiser installs packages from the network.
                optimize_tool="none",
            )
    except RuntimeError as error:
        raise ValueError(f"paddle2onnx cannot convert this network: {error}") from error
    return onnx_runner(target)


def onnx_runner(path: Path) -> Run:
    """Return a function from ``(B, H, W, 3)`` uint8 to ``(B, D)`` that runs an ONNX file by ONNX Runtime."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {name: images})[0], np.float32)

    return run


def parity_errors(
    network: nn.Layer, exports: Mapping[str, Run], images: NDArray[np.uint8]
) -> dict[str, float]:
    """Return the largest absolute difference of embedding values between trained and exported network.

    Args:
        network: the trained network.
        exports: functions that run an export, by the prefix of their names in the result.
        images: ``(N, H, W, 3)`` uint8 to compare on, repeated if there are too few.

    Returns:
        Difference by name, such as ``batch_7`` and ``onnx_batch_7``.

    Raises:
        ValueError: a difference exceeds `PARITY_TOLERANCE` or is not a number.
    """
    errors = {}
    for prefix, run in exports.items():
        for size in PARITY_BATCHES:
            batch = images[np.arange(size) % len(images)]
            errors[f"{prefix}batch_{size}"] = float(np.abs(embed(network, batch) - run(batch)).max())
    for name, error in errors.items():
        if not error <= PARITY_TOLERANCE:
            raise ValueError(
                f"the exported network differs from the trained one by {error:.2g} at {name}, "
                f"expected at most {PARITY_TOLERANCE:g}"
            )
    return errors


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` of all other files of the folder, in the format of ``sha256sum``."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))
