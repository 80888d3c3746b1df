"""The training run: iterations, evaluations, checkpoints, log.

The run counts iterations, as in the original trainer. Samplers, augmentation and learning rate are functions
of the iteration number, so a checkpoint only needs weights, optimiser state and that number for a resumed run
to continue with the same figures. Evaluation has its own interval; the original evaluated in every iteration
of its pair stage, which made the stage several times slower.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from deepsort_paddle.part_files import replacing
from reid_train.checkpoints.checkpoint import Checkpoint, write_checkpoint
from reid_train.checkpoints.run_files import (
    BEST,
    checkpoint_path,
    numbered_checkpoints,
    remove_old_checkpoints,
)
from reid_train.config import TrainConfig
from reid_train.data.datasets import ImageIndex, labels_of
from reid_train.data.image_cache import ImageCache, decode_images
from reid_train.data.validation import check_training
from reid_train.evaluation.features import embed
from reid_train.evaluation.figures import across_cameras, ranking_figures, recall_at
from reid_train.evaluation.tables import dev_table
from reid_train.training.batches import stream
from reid_train.training.losses import LOSSES
from reid_train.training.parallel import World
from reid_train.training.run_log import RunLog
from reid_train.training.samplers import Sampler, make_sampler
from reid_train.training.schedules import learning_rate
from reid_train.training.teacher import Teacher
from reid_train.training.trainer import Trainer
from reid_train.training.transforms import preprocessing_of

__all__ = ["DevEvaluator", "train"]

_LOGGER = logging.getLogger("reid_train")
# Locked by the run that writes into the folder; it stays, empty.
LOCK = ".lock"
# Images decoded at a time.
DECODED_AT_ONCE = 256


def train(
    config: TrainConfig,
    index: ImageIndex,
    dev: Mapping[str, ImageIndex] | ImageIndex | None,
    folder: Path,
    world: World,
    *,
    resume: Checkpoint | None = None,
    start: Callable[[Trainer], None] | None = None,
    origin: Mapping[str, Any] | None = None,
    log: Callable[[str], None] = _LOGGER.info,
) -> Path:
    """Train on ``index``, evaluate on ``dev`` and write into ``folder``.

    Args:
        config: the settings.
        index: training images.
        dev: images of identities held out from training: a set, several by name, or None. The best checkpoint
            has the highest mean of their mAP (Recall@Rank-1 if cameras are unknown).
        folder: for ``config.json``, numbered checkpoints, ``best.safetensors``, ``log.jsonl`` and TensorBoard
            events.
        world: the processes that share the work; only the first one writes and logs.
        resume: checkpoint to continue from.
        start: prepares a fresh trainer, for example loads weights; not called on resuming.
        origin: for the model card: ``data``, ``train_images``, ``train_ids``, ``command``; the ``hours`` of
            the run are added.
        log: called with each line of the log.

    Returns:
        The last checkpoint.

    Raises:
        ValueError: there is too little data, the checkpoint does not fit, the folder holds checkpoints of
            another run, or an image cannot be read.
        FloatingPointError: the loss or a weight is not finite; the message has the iteration.
        OSError: a checkpoint cannot be written (earlier ones stay), or another run is writing into the
            folder.
    """
    cv2.setNumThreads(1)
    labels, classes = labels_of(index.pids)
    kind, images_each = _sampling(config)
    has_classes = LOSSES[config.loss_name].classes or config.center_weight
    check_training(
        index,
        class_dim=(config.class_dim or None) if has_classes else None,
        samples_each_class=images_each if kind in ("pk", "pairs") else None,
    )
    sampler = _sampler(config, labels, index.domains)
    share = world.shard(config.train_batch_size)
    done = 0 if resume is None else resume.iteration
    if done >= config.total_iter_num:
        raise ValueError(f"the checkpoint is at iteration {done} of {config.total_iter_num}: nothing to do")
    _check_folder(folder, done)
    sets = {"dev": dev} if isinstance(dev, ImageIndex) else dict(dev or {})
    evaluator = DevEvaluator(config, sets, world) if sets else None
    images = ImageCache(index.paths)
    teacher = Teacher(Path(config.teacher)) if config.teacher else None
    trainer = Trainer(
        config,
        config.class_dim or classes,
        world,
        teacher_size=0 if teacher is None else teacher.embedding_size,
    )
    if resume is not None:
        trainer.restore(resume)
    elif start is not None:
        start(trainer)
        trainer.follow_network()
    _decode(images, config.num_workers)
    if teacher is not None:
        trainer.goals = teacher.rows(images, index.paths, folder, world)
        del teacher  # frees its weights
    trainer.origin |= dict(origin or {})
    began, hours_before = time.monotonic(), float(trainer.origin.get("hours", 0.0))
    with ExitStack() as stack:
        run_log: RunLog | None = None
        if world.rank == 0:
            stack.enter_context(_lock_folder(folder))
            _prepare_folder(folder, config)
            run_log = stack.enter_context(RunLog(config, folder, trainer.iteration, log))
        for batch in stream(config, images, labels, sampler, share, trainer.iteration):
            loss = trainer.step(batch)
            if run_log is not None:
                rate = learning_rate(config, batch.iteration)
                run_log.step(trainer.iteration, loss, rate, trainer.objective.accuracy())
            finished = trainer.iteration == config.total_iter_num
            saves = finished or trainer.iteration % config.save_iter_step == 0
            tests = evaluator is not None and (finished or trainer.iteration % config.test_iter_step == 0)
            if not (saves or tests):
                continue
            paused = time.monotonic()
            trainer.synchronize()
            trainer.origin["hours"] = hours_before + (paused - began) / 3600
            if evaluator is not None and tests:
                embeddings = evaluator.embed(trainer)
                if run_log is not None:
                    figures = evaluator.figures(embeddings)
                    run_log.report(trainer.iteration, figures)
                    for line in evaluator.table(figures):
                        log(line)
                    if figures[evaluator.key] > trainer.best.get(evaluator.key, -1.0):
                        trainer.best = {**figures, "iteration": trainer.iteration}
                        write_checkpoint(folder / BEST, trainer.checkpoint())
            if run_log is None:
                continue
            if saves:
                write_checkpoint(checkpoint_path(folder, trainer.iteration), trainer.checkpoint())
                remove_old_checkpoints(folder, trainer.iteration, config.keep_checkpoints)
            run_log.resume(time.monotonic() - paused, saves)
    world.barrier()
    return checkpoint_path(folder, config.total_iter_num)


def _sampling(config: TrainConfig) -> tuple[str, int]:
    """Return the kind of sampler that a run needs, and K."""
    kind = LOSSES[config.loss_name].sampler
    if kind == "shuffled" and config.samples_each_class:
        kind = "pk"
    return kind, 2 if kind == "pairs" else config.samples_each_class


def _sampler(config: TrainConfig, labels: NDArray[np.int64], domains: NDArray[np.int64]) -> Sampler:
    kind, images_each = _sampling(config)
    return make_sampler(
        kind,
        labels,
        config.train_batch_size,
        samples_each_class=images_each,
        seed=config.seed,
        domains=domains,
    )


def _check_folder(folder: Path, iteration: int) -> None:
    """Refuse a folder with checkpoints that this run would treat as its own later ones and delete.

    Raises:
        ValueError: it holds checkpoints after ``iteration``.
    """
    later = [path for number, path in numbered_checkpoints(folder) if number > iteration]
    if later and iteration == 0:
        raise ValueError(
            f"{folder}: holds checkpoints of a run; continue it with --checkpoint {folder}, or name another "
            "folder with --model_save_dir"
        )
    if later:
        raise ValueError(
            f"{folder}: holds checkpoints after iteration {iteration}, the last is {later[-1].name}; "
            "continue from that one, move them away, or name another folder with --model_save_dir"
        )


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Create the folder if needed and lock it for this process.

    Raises:
        OSError: another run is writing into it, or it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder, got a file")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, blocking=False):
            yield
    except Timeout:
        raise OSError(f"{folder}: another run is writing into it") from None


def _prepare_folder(folder: Path, config: TrainConfig) -> None:
    # Left by a run that was killed while writing.
    for path in folder.glob("*.safetensors.part"):
        path.unlink()
    with replacing(folder / "config.json") as file:
        file.write(f"{json.dumps(config.as_dict(), indent=2)}\n".encode())


def _decode(images: ImageCache, threads: int) -> None:
    """Decode all images to find unreadable ones before the training; keep those that fit into memory."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(images), DECODED_AT_ONCE):
            rows = range(start, min(start + DECODED_AT_ONCE, len(images)))
            for _ in pool.map(lambda row: images[row].nbytes, rows):
                pass


class DevEvaluator:
    """Evaluates the network to export on the development sets, whose images are decoded once.

    Args:
        config: the settings.
        sets: images of each set, by its name.
        world: the processes that share the work.

    Attributes:
        key: the figure that selects the best checkpoint.

    Raises:
        ValueError: no identity of a set has two images, or an image cannot be read.
    """

    def __init__(self, config: TrainConfig, sets: Mapping[str, ImageIndex], world: World) -> None:
        self._sets = dict(sets)
        self._world = world
        self._batch_size = config.test_batch_size
        for dev in sets.values():
            persons, counts = np.unique(dev.pids[dev.pids > 0], return_counts=True)
            if not (counts > 1).any():
                raise ValueError(
                    f"the dev set must have an identity with two images, got {len(persons)} with one each"
                )
        self._keys = {name: "mean_ap" if across_cameras(dev) else "recall1" for name, dev in sets.items()}
        self.key = next(iter(self._keys.values())) if len(sets) == 1 else "dev_mean"
        prepare = preprocessing_of(config)
        paths = [path for dev in sets.values() for path in dev.paths]
        self._count = len(paths)
        own = paths[world.rank :: world.size]
        self._images = decode_images(own, prepare.height, prepare.width, prepare)

    def embed(self, trainer: Trainer) -> NDArray[np.float32]:
        """Compute the ``(N, D)`` embeddings of all sets, in order; all processes must call it."""
        own = embed(trainer.deployed, self._images, self._batch_size)
        return self._world.interleave(own, self._count)

    def figures(self, embeddings: NDArray[np.float32]) -> dict[str, float]:
        """Compute Recall@Rank-1 and, if cameras are known, the ranking figures.

        With several sets each figure is named ``set/figure``, and ``dev_mean`` is the mean that selects the
        best checkpoint.
        """
        ends = np.cumsum([len(dev) for dev in self._sets.values()])
        rows = np.split(embeddings, ends[:-1])
        found = {
            name: _figures_of(part, dev) for part, (name, dev) in zip(rows, self._sets.items(), strict=True)
        }
        if len(found) == 1:
            return next(iter(found.values()))
        mean = float(np.mean([found[name][key] for name, key in self._keys.items()]))
        flat = {f"{name}/{key}": value for name, of in found.items() for key, value in of.items()}
        return {**flat, "dev_mean": mean}

    def table(self, figures: Mapping[str, float]) -> list[str]:
        """Return the lines of a table with a row for each set; none for a single set."""
        if len(self._sets) == 1:
            return []
        return dev_table(
            {
                name: {
                    key.removeprefix(f"{name}/"): value
                    for key, value in figures.items()
                    if key.startswith(f"{name}/")
                }
                for name in self._sets
            }
        )


def _figures_of(embeddings: NDArray[np.float32], dev: ImageIndex) -> dict[str, float]:
    figures = ranking_figures(embeddings, dev)
    ranking = {} if figures is None else asdict(figures)
    return {**ranking, "recall1": recall_at(embeddings, dev.pids)}
