"""The commands ``eval`` and ``infer`` of ``reid-train``. Each yields the lines to print."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import paddle

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.part_files import replacing
from reid_train.argument_types import shown
from reid_train.checkpoints.checkpoint import Checkpoint
from reid_train.checkpoints.exported import describe_export, is_export, read_weights, weights_path
from reid_train.checkpoints.run_files import best_hint
from reid_train.config import config_from_dict
from reid_train.data.datasets import identities, recorded_identities, require_no_leak
from reid_train.data.evaluation_sets import (
    EvaluationSet,
    named_sets,
    read_evaluation_set,
    read_query_and_gallery,
)
from reid_train.evaluation.features import infer as infer_features
from reid_train.evaluation.features import list_images, write_npz, write_text
from reid_train.evaluation.report import Report
from reid_train.evaluation.report import evaluate as evaluate_network
from reid_train.evaluation.report_page import write_joint_page
from reid_train.evaluation.tables import aligned, figure_lines, summary_row
from reid_train.training.trainer import network_of
from reid_train.training.transforms import Preprocessing, preprocessing_of

__all__ = ["choose_device", "eval", "infer", "open_checkpoint"]


@dataclass(frozen=True, eq=False)
class OpenedNetwork:
    """A network that is ready to embed images.

    Attributes:
        network: the network of a checkpoint, or the encoder of an export.
        preprocessing: test-time preprocessing of its images.
        checkpoint: its settings and origin.
        notes: lines that describe what was opened.
    """

    network: Any
    preprocessing: Preprocessing
    checkpoint: Checkpoint
    notes: tuple[str, ...]


def eval(
    pretrained_model: Path,
    data: Sequence[Path],
    query: Path | None,
    gallery: Path | None,
    rerank: bool,
    report: Path | None,
    report_dir: Path | None,
    use_gpu: str,
    batch_size: int,
    pattern: str | None = None,
    casts: Sequence[float] = (),
    precision: str = "auto",
    **expected: Any,
) -> Iterator[str]:
    """Evaluate a network within sets of images, or on queries against a gallery."""
    if bool(data) == (query is not None) or (query is None) != (gallery is None):
        raise ValueError("name either --data, or both --query and --gallery")
    opened = _open_network(pretrained_model, expected, use_gpu, batch_size, precision)
    if query is not None and gallery is not None:
        sets = [read_query_and_gallery(query, gallery, gallery.name, pattern)]
    else:
        sets = named_sets([read_evaluation_set(source, pattern) for source in data])
    trained = recorded_identities(opened.checkpoint.origin)
    for data_set in sets:
        require_no_leak(trained, identities(data_set.query))
    several = len(sets) > 1
    evaluations: list[tuple[Callable[[Path | None], Report], dict[str, Any], Path | None]] = []
    for data_set in sets:
        settings = {
            "network": pretrained_model.name,
            "iteration": opened.checkpoint.iteration,
            "model": opened.checkpoint.config.get("model"),
            "set": data_set.name,
            "query": query.name if query else data_set.name,
            "gallery": gallery.name if gallery else data_set.name,
        }
        folder = report_dir / data_set.name if report_dir is not None and several else report_dir
        evaluations.append(
            (
                partial(_evaluate, opened, data_set, rerank=rerank, batch_size=batch_size, casts=casts),
                settings,
                folder,
            )
        )
    if report is None:
        reports = [evaluate(folder) for evaluate, _, folder in evaluations]
    else:
        reports = write_joint_page(report, evaluations)
    for data_set, figures in zip(sets, reports, strict=True):
        if several:
            yield f"{data_set.name}:"
        yield from figure_lines(figures.as_dict())
    if several:
        yield from aligned(
            [summary_row(data_set.name, figures) for data_set, figures in zip(sets, reports, strict=True)]
        )
    yield from opened.notes
    for (_, _, folder), figures in zip(evaluations, reports, strict=True):
        if folder is not None:
            path = folder / "report.json"
            with replacing(path) as file:
                file.write(f"{json.dumps(figures.as_dict(), indent=2)}\n".encode())
            yield f"written: {path} and {', '.join(figures.images)}"
    if report is not None:
        yield f"written: {report}"


def _evaluate(
    opened: OpenedNetwork,
    data: EvaluationSet,
    plots: Path | None,
    *,
    rerank: bool,
    batch_size: int,
    casts: Sequence[float],
) -> Report:
    return evaluate_network(
        opened.network,
        data.query,
        data.gallery,
        opened.preprocessing,
        batch_size=batch_size,
        rerank=rerank,
        plots=plots,
        casts=casts,
        progress=True,
    )


def infer(
    pretrained_model: Path,
    data: Path,
    output: Path,
    use_gpu: str,
    batch_size: int,
    precision: str = "auto",
    **expected: Any,
) -> Iterator[str]:
    """Write the embeddings of a list, a folder or an image, in order, with the file names."""
    paths = list_images(data)
    if output.resolve() in {data.resolve(), *(path.resolve() for path in paths)}:
        raise ValueError(f"--output {output} would replace an input")
    opened = _open_network(pretrained_model, expected, use_gpu, batch_size, precision)
    features = infer_features(
        opened.network, paths, opened.preprocessing, batch_size=batch_size, progress=True
    )
    if not len(features):
        first = features.unreadable[0]
        raise ValueError(
            f"{data}: none of {len(paths)} images can be read, the first is {first.name}: {first.reason}"
        )
    (write_npz if output.suffix == ".npz" else write_text)(output, features)
    for image in features.unreadable:
        yield f"skipped: {image.name}: {image.reason}"
    yield from opened.notes
    yield f"written: {output}, {len(features.names)} of {len(paths)} images"


def _open_network(
    path: Path, expected: Mapping[str, Any], use_gpu: str, batch_size: int, precision: str
) -> OpenedNetwork:
    """Open a checkpoint's network in Paddle, or an export on its fastest backend."""
    if is_export(path):
        description = describe_export(path)
        _check_expected(path, description.checkpoint, expected)
        device = {"true": "gpu", "1": "gpu", "false": "cpu", "0": "cpu"}.get(use_gpu, "auto")
        encoder = AppearanceEncoder(path, device=device, batch_size=batch_size, precision=precision)
        spec = encoder.spec
        prepare = Preprocessing(spec.height, spec.width, spec.resize_mode, spec.interpolation)
        return OpenedNetwork(
            encoder, prepare, description.checkpoint, (f"network run by {encoder.computed_by}",)
        )
    if precision not in ("auto", "float32"):
        raise ValueError(f"precision {precision} is for exported folders, {path} is a checkpoint")
    choose_device(use_gpu)
    checkpoint = open_checkpoint(path, expected)
    prepare = preprocessing_of(config_from_dict(checkpoint.config, str(path)))
    notes = tuple(f"note: {line}" for line in best_hint(path))
    return OpenedNetwork(network_of(checkpoint), prepare, checkpoint, notes)


def open_checkpoint(path: Path, expected: Mapping[str, Any]) -> Checkpoint:
    """Read weights and check that they match the flags.

    Args:
        path: a checkpoint, the folder of a run, or an exported folder.
        expected: settings that the weights must have, by name.

    Returns:
        The weights with their settings.

    Raises:
        FileNotFoundError: there are none.
        ValueError: they are damaged, or a setting differs from the expected one.
    """
    checkpoint = read_weights(weights_path(path))
    _check_expected(path, checkpoint, expected)
    return checkpoint


def _check_expected(path: Path, checkpoint: Checkpoint, expected: Mapping[str, Any]) -> None:
    config = config_from_dict(checkpoint.config, str(path))
    for name, value in expected.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"{path}: {name} is {shown(getattr(config, name))}, --{name} says {shown(value)}"
            )


def choose_device(use_gpu: str) -> None:
    """Select the device on which Paddle computes.

    Args:
        use_gpu: ``auto``, ``true`` or ``1``, ``false`` or ``0``.

    Raises:
        ValueError: a GPU is required, but Paddle sees none.
    """
    required = use_gpu in ("true", "1")
    gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if required and not gpu:
        raise ValueError(
            "use_gpu is true, but this Paddle sees no GPU: install paddlepaddle-gpu, or leave it out"
        )
    paddle.set_device("gpu" if gpu and use_gpu not in ("false", "0") else "cpu")
