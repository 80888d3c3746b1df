"""The commands of ``reid-train``. Each yields the lines to print."""

from __future__ import annotations

import json
import platform
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from reid_train.checkpoints.checkpoint import Checkpoint, read_checkpoint, restore_layer
from reid_train.checkpoints.exported import describe_export, is_export, read_weights, weights_path
from reid_train.checkpoints.fluid import holds_fluid_parameters
from reid_train.checkpoints.pretrained import load_pretrained
from reid_train.checkpoints.run_files import best_hint, newest_checkpoint
from reid_train.config import Stage, TrainConfig, config_from_dict, resolve
from reid_train.data.datasets import (
    Identity,
    ImageIndex,
    dataset_counts,
    identities,
    identities_by_dataset,
    leak_between,
    persons_only,
    read_dataset,
    recorded_identities,
    require_no_leak,
)
from reid_train.data.evaluation_sets import named_sets, read_evaluation_set
from reid_train.data.preparation import prepare
from reid_train.evaluate_commands import choose_device, eval, infer, open_checkpoint
from reid_train.evaluation.calibration import Calibration
from reid_train.evaluation.figures import CAMERAS_UNKNOWN, PROTOCOL, unknown_cameras
from reid_train.evaluation.tables import aligned, condition_rows, figure_lines
from reid_train.export.export import export as export_network
from reid_train.training.engine import train as train_run
from reid_train.training.parallel import World, join
from reid_train.training.trainer import Trainer, check_same_network

# Share of different-person pairs; a calibrated threshold accepts 1 % unless even the smallest accepts more.
USELESS_FALSE_ACCEPTS = 0.1

__all__ = ["calibrate", "elem", "eval", "export", "infer", "pair", "prepare"]


def elem(**options: Any) -> Iterator[str]:
    """Train with a classification-type loss."""
    return _train("elem", **options)


def pair(**options: Any) -> Iterator[str]:
    """Fine-tune with a pair loss."""
    return _train("pair", **options)


def export(
    pretrained_model: Path,
    data: Sequence[Path],
    model_save_dir: Path,
    onnx: bool,
    float16: bool,
    use_gpu: str,
    batch_size: int,
    **expected: Any,
) -> Iterator[str]:
    """Export a network into a folder that the tracker opens."""
    choose_device(use_gpu)
    checkpoint = open_checkpoint(pretrained_model, expected)
    sets = _dev_sets(data)
    for dev in sets.values():
        require_no_leak(recorded_identities(checkpoint.origin), identities(dev))
    _, _, calibration = export_network(
        checkpoint, sets, model_save_dir, onnx=onnx, float16=float16, batch_size=batch_size
    )
    if not is_export(pretrained_model):
        yield from (f"note: {line}" for line in best_hint(pretrained_model))
    if calibration is None:
        yield (
            "warning: exported without evaluation: the threshold is not calibrated and there are no metrics; "
            "pass images of persons not trained on with --data"
        )
    else:
        yield from _measured_lines(model_save_dir, sets, calibration)
    yield f"written: {model_save_dir}"


def calibrate(folder: Path, data: Sequence[Path]) -> Iterator[str]:
    """Evaluate an export on other development sets, and calibrate its threshold on them."""
    from reid_train.export.recalibration import recalibrate

    sets = _dev_sets(data)
    trained = recorded_identities(describe_export(folder).checkpoint.origin)
    for dev in sets.values():
        require_no_leak(trained, identities(dev))
    before, calibration = recalibrate(folder, sets)
    yield from _measured_lines(folder, sets, calibration)
    yield f"max_cosine_distance was {before:g}"
    yield f"written: {folder}"


def _dev_sets(data: Sequence[Path]) -> dict[str, ImageIndex]:
    """Read development sets by name of their data set, without junk and distractors."""
    sets = [read_evaluation_set(_list_in(source, "dev.txt")) for source in data]
    named = []
    for each in sets:
        datasets = [name for name in dataset_counts(each.gallery) if name]
        named.append(replace(each, name=datasets[0]) if len(datasets) == 1 else each)
    return {each.name: persons_only(each.gallery) for each in named_sets(named)}


def _measured_lines(folder: Path, sets: Mapping[str, ImageIndex], calibration: Calibration) -> Iterator[str]:
    """Yield the metrics of an export."""
    evaluation = json.loads((folder / "encoder.json").read_text())["evaluation"]
    for name, dev in sets.items():
        measured = evaluation.get("sets", {}).get(name, evaluation)
        if len(sets) > 1:
            yield f"{name}:"
        yield from figure_lines(
            {
                "market": measured if "rank1" in measured else None,
                "protocol": CAMERAS_UNKNOWN if unknown_cameras(dev) else PROTOCOL,
                "recall": {"recall1": measured["recall1"]},
                "roc": measured if "tar_at_far_0_01" in measured else None,
                "casts": measured.get("casts", ()),
            }
        )
    yield (
        f"max_cosine_distance {calibration.max_cosine_distance}: false accepts "
        f"{calibration.false_accept_rate:.2%}, false rejects {calibration.false_reject_rate:.1%}"
    )
    yield from aligned(condition_rows(calibration))
    if calibration.false_accept_rate > USELESS_FALSE_ACCEPTS:
        yield (
            f"warning: even this threshold accepts {calibration.false_accept_rate:.0%} of different-person "
            "pairs: the network is untrained or collapsed, and does not help a tracker"
        )
    if not calibration.across_cameras:
        yield (
            "note: cameras unknown: same-person pairs of one camera were used to calibrate the threshold, so "
            "it rejects more across cameras; put the cameras into the column camera_id of a list"
        )


def quantize(folder: Path, data: Path, calibration: Path | None, images: int, seed: int) -> Iterator[str]:
    """Add an int8 version to an export; measure the accuracy of int8 and bfloat16."""
    from reid_train.export.quantization import quantize as quantize_export

    dev = persons_only(read_dataset(_list_in(data, "dev.txt")))
    train_list = calibration or data / "train.txt"
    if not train_list.exists():
        raise FileNotFoundError(f"{train_list}: no such list; pass training images with --calibration")
    for one in quantize_export(folder, read_dataset(train_list), dev, images=images, seed=seed):
        ranking = (
            "" if one.figures is None else f"rank-1 {one.figures.rank1:.2%}, mAP {one.figures.mean_ap:.2%}, "
        )
        yield (
            f"{one.name}: {ranking}Recall@Rank-1 {one.recall1:.2%}, "
            f"cosine with float32 {one.min_cosine:.4f} at least, {one.mean_cosine:.5f} on average"
        )
    yield f"written: {folder}"


def onnx(folder: Path, output: Path | None) -> Iterator[str]:
    """Add an ONNX copy to an export."""
    from reid_train.export.onnx_copy import add_onnx

    error = add_onnx(folder, output)
    yield f"parity: its embeddings differ by {error:.1e} at most"
    yield f"written: {folder if output is None else output}"


def _train(
    stage: Stage,
    data: Path | None,
    train: Path | None,
    dev: Sequence[Path],
    recipe: str | None,
    model_save_dir: Path,
    checkpoint: Path | None,
    pretrained_model: Path | None,
    use_gpu: str,
    command_line: Sequence[str],
    **flags: Any,
) -> Iterator[str]:
    if (data is None) == (train is None):
        raise ValueError("name either --data, a folder written by prepare, or --train")
    if checkpoint is not None and pretrained_model is not None:
        raise ValueError("name either --checkpoint, to continue a run, or --pretrained_model, to start one")
    resume = None if checkpoint is None else read_checkpoint(newest_checkpoint(checkpoint))
    source = None
    chosen: tuple[str, ...] = ()
    if pretrained_model is not None and pretrained_model.suffix != ".pdparams":
        named, pretrained_model = pretrained_model, weights_path(pretrained_model)
        if pretrained_model.suffix != ".pdparams" and not holds_fluid_parameters(pretrained_model):
            chosen = () if is_export(named) else best_hint(named)
            source = read_weights(pretrained_model)
    config = resolve(stage, recipe, flags, resumed=None if resume is None else resume.config)
    if config.teacher:
        # The file itself: the other run may have a newer checkpoint when this run is resumed.
        config = replace(config, teacher=str(weights_path(Path(config.teacher))))
    if data is not None and not (data / "train.txt").is_file():
        raise FileNotFoundError(
            f"{data / 'train.txt'}: no such list; run reid-train prepare, or pass images with --train"
        )
    train_list = data / "train.txt" if data is not None else train
    dev_lists = list(dev)
    if not dev_lists and data is not None and (data / "dev.txt").is_file():
        dev_lists = [data / "dev.txt"]
    assert train_list is not None
    choose_device(use_gpu)
    index = read_dataset(train_list)
    dev_sets = {
        each.name: each.gallery for each in named_sets([read_evaluation_set(source) for source in dev_lists])
    }
    known = _persons_seen(index, (resume, source), config.teacher)
    world = join()
    log = _print if world.rank == 0 else _silent
    log(json.dumps(config.as_dict(), indent=2))
    for line in chosen:
        log(f"note: {line}")
    if config.amp and not paddle.device.get_device().startswith("gpu"):
        log("note: amp has no effect on CPUs")
    if not dev_sets:
        log("note: no dev set, so no evaluation and no best checkpoint")
    for name, dev_index in dev_sets.items():
        if leak := leak_between(known, identities(dev_index)).seen:
            which = f"the dev set {name}" if len(dev_sets) > 1 else "the dev set"
            log(
                f"warning: {len(leak)} persons of {which} are in the training set of this run or of its "
                "initial weights: the metrics are meaningless"
            )
    images = {"train_images": len(index), "train_ids": len(np.unique(index.pids))}
    if resume is not None:
        before = {**resume.config, **{name: resume.origin.get(name, images[name]) for name in images}}
        for line in _changes(before, {**config.as_dict(), **images}):
            log(line)

    def start(trainer: Trainer) -> None:
        if source is not None:
            log(_load_weights(trainer, config, source, str(pretrained_model)))
        elif pretrained_model is not None:
            log(str(load_pretrained(trainer.network, pretrained_model)))

    last = train_run(
        config,
        index,
        dev_sets,
        model_save_dir,
        world,
        resume=resume,
        start=start,
        origin={
            "data": ", ".join(dataset_counts(index)),
            **images,
            "identities": identities_by_dataset(known),
            "datasets": dataset_counts(index),
            **_beginning(resume, pretrained_model, config.teacher),
            "command": _command(command_line),
            "machine": _machine(world),
        },
        log=log,
    )
    if world.rank == 0:
        yield f"written: {last}"


def _persons_seen(
    index: ImageIndex, checkpoints: Sequence[Checkpoint | None], teacher: str
) -> frozenset[Identity]:
    """Return the identities of the training set, and of those of the initial weights and the teacher."""
    seen = identities(index)
    if teacher:
        checkpoints = [*checkpoints, read_weights(Path(teacher))]
    for checkpoint in checkpoints:
        if checkpoint is not None:
            seen |= recorded_identities(checkpoint.origin)
    return seen


def _beginning(resume: Checkpoint | None, pretrained_model: Path | None, teacher: str) -> dict[str, str]:
    """Describe what a run started from; a resumed run keeps its record."""
    if resume is not None:
        return {}
    start = "From scratch" if pretrained_model is None else f"From {_run_name(pretrained_model)}"
    return {"start": f"{start}, taught by {_run_name(Path(teacher))}" if teacher else start}


def _run_name(path: Path) -> str:
    """Return the readable name of weights: the folder of a checkpoint's run, else the file name."""
    return path.resolve().parent.name if path.suffix == ".safetensors" else path.name


def _command(arguments: Sequence[str]) -> str:
    """Return the command line for the model card, without the folders of this machine."""
    plain = [re.sub(r"^(--[\w-]+=)?/(?:.*/)?", r"\1", argument) for argument in arguments]
    return shlex.join(["reid-train", *plain])


def _machine(world: World) -> str:
    processes = f"{world.size} process{'es' if world.size > 1 else ''}"
    return f"{processes} ({platform.machine()}, {paddle.device.get_device()})"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one line for each setting or training set size that differs from the checkpoint's."""
    return [
        f"note: {name} was {before[name]} up to the checkpoint, is now {now[name]}"
        for name in now
        if name in before and before[name] != now[name]
    ]


def _load_weights(trainer: Trainer, config: TrainConfig, checkpoint: Checkpoint, path: str) -> str:
    """Load a checkpoint's weights into a new trainer's network; return a description."""
    other = config_from_dict(checkpoint.config, path)
    check_same_network(config, other, path)
    restore_layer(trainer.network, checkpoint.part("ema" if other.ema_decay else "network"), path)
    return f"weights of {path}, iteration {checkpoint.iteration}"


def _list_in(path: Path, name: str) -> Path:
    """Return the list in a folder written by ``prepare``, or the path itself."""
    return path / name if (path / name).is_file() else path


def _print(line: str) -> None:
    print(line, flush=True)


def _silent(line: str) -> None:
    del line
