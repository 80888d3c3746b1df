"""The training run: iterations, evaluations, checkpoints, journal.

Iteration-based, as in the original trainer. Samplers, augmentation and the learning rate are
functions of the iteration number, so a checkpoint needs no more than weights, optimiser state and
that number for a resumed run to continue with the same figures. Evaluation happens at its own
steps only: the original evaluated on every iteration of its pair stage, which made that several
times slower than it had to be.
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
from reid_train.training.run_log import Journal
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
    """Train on ``index``, evaluate on ``dev``, write into ``folder``.

    Args:
        config: the settings.
        index: training images.
        dev: images of persons kept out of training: a set, several by name, or None. The best checkpoint is
            the one with the highest mean of their mAP (Recall@Rank-1 where cameras are unknown).
        folder: receives ``config.json``, numbered checkpoints, ``best.safetensors``, ``log.jsonl`` and
            TensorBoard events.
        world: the processes that share the work; only the first writes and logs.
        resume: checkpoint to continue from.
        start: prepares a fresh trainer, such as by loading weights; not called on resuming.
        origin: what the model card shall tell: ``data``, ``train_images``, ``train_ids``, ``command``;
            ``hours`` of the run so far are added.
        log: receives one line a report.

    Returns:
        The last checkpoint.

    Raises:
        ValueError: the data does not suffice, the checkpoint does not fit, the folder holds checkpoints
            that the run would mix with, or an image cannot be read.
        FloatingPointError: the loss or a weight is not finite; the message tells the iteration.
        OSError: a checkpoint cannot be written; what was written before stays; or another run is writing
            into the folder.
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
    _require_own_folder(folder, done)
    sets = {"dev": dev} if isinstance(dev, ImageIndex) else dict(dev or {})
    judge = DevEvaluator(config, sets, world) if sets else None
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
        del teacher  # its weights are not needed any more
    trainer.origin |= dict(origin or {})
    began, hours_before = time.monotonic(), float(trainer.origin.get("hours", 0.0))
    with ExitStack() as stack:
        journal: Journal | None = None
        if world.rank == 0:
            stack.enter_context(_claimed(folder))
            _open_folder(folder, config)
            journal = stack.enter_context(Journal(config, folder, trainer.iteration, log))
        for batch in stream(config, images, labels, sampler, share, trainer.iteration):
            loss = trainer.step(batch)
            if journal is not None:
                rate = learning_rate(config, batch.iteration)
                journal.step(trainer.iteration, loss, rate, trainer.objective.accuracy())
            finished = trainer.iteration == config.total_iter_num
            saves = finished or trainer.iteration % config.save_iter_step == 0
            tests = judge is not None and (finished or trainer.iteration % config.test_iter_step == 0)
            if not (saves or tests):
                continue
            paused = time.monotonic()
            trainer.synchronize()
            trainer.origin["hours"] = hours_before + (paused - began) / 3600
            if judge is not None and tests:
                embeddings = judge.embed(trainer)
                if journal is not None:
                    figures = judge.figures(embeddings)
                    journal.report(trainer.iteration, figures)
                    for line in judge.table(figures):
                        log(line)
                    if figures[judge.key] > trainer.best.get(judge.key, -1.0):
                        trainer.best = {**figures, "iteration": trainer.iteration}
                        write_checkpoint(folder / BEST, trainer.checkpoint())
            if journal is None:
                continue
            if saves:
                write_checkpoint(checkpoint_path(folder, trainer.iteration), trainer.checkpoint())
                remove_old_checkpoints(folder, trainer.iteration, config.keep_checkpoints)
            journal.resume(time.monotonic() - paused, saves)
    world.barrier()
    return checkpoint_path(folder, config.total_iter_num)


def _sampling(config: TrainConfig) -> tuple[str, int]:
    """The kind of sampler that a run needs, and K."""
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


def _require_own_folder(folder: Path, iteration: int) -> None:
    """Refuse a folder whose checkpoints would be mistaken for later ones of this run, and deleted as such.

    Raises:
        ValueError: it holds checkpoints behind ``iteration``.
    """
    later = [path for number, path in numbered_checkpoints(folder) if number > iteration]
    if later and iteration == 0:
        raise ValueError(
            f"{folder}: holds checkpoints of a run: continue it with --checkpoint {folder}, or name another "
            "folder with --model_save_dir"
        )
    if later:
        raise ValueError(
            f"{folder}: holds later checkpoints than iteration {iteration}, the last is {later[-1].name}: "
            "continue from that one, move them away, or name another folder with --model_save_dir"
        )


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make the folder if it is not there, and hold it for this run; the lock ends with the process.

    Raises:
        OSError: another run is writing into it, or it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: is a file, expected a folder for the run")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, blocking=False):
            yield
    except Timeout:
        raise OSError(f"{folder}: another run is writing into it") from None


def _open_folder(folder: Path, config: TrainConfig) -> None:
    # Left by a run that was killed while it wrote.
    for path in folder.glob("*.safetensors.part"):
        path.unlink()
    with replacing(folder / "config.json") as file:
        file.write(f"{json.dumps(config.as_dict(), indent=2)}\n".encode())


def _decode(images: ImageCache, threads: int) -> None:
    """Decode all images, kept as far as memory holds: an unreadable one is known now, not after hours."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(images), DECODED_AT_ONCE):
            rows = range(start, min(start + DECODED_AT_ONCE, len(images)))
            for _ in pool.map(lambda row: images[row].nbytes, rows):
                pass


class DevEvaluator:
    """Evaluates what would be exported on the development sets, whose images are decoded once.

    Args:
        config: the settings.
        sets: images of each set, by its name.
        world: the processes that share the work.

    Attributes:
        key: the figure by which the best checkpoint is chosen.

    Raises:
        ValueError: a set has nobody with two images, or an unreadable image.
    """

    def __init__(self, config: TrainConfig, sets: Mapping[str, ImageIndex], world: World) -> None:
        self._sets = dict(sets)
        self._world = world
        self._batch_size = config.test_batch_size
        for dev in sets.values():
            persons, counts = np.unique(dev.pids[dev.pids > 0], return_counts=True)
            if not (counts > 1).any():
                raise ValueError(f"the dev set needs a person with two images, got {len(persons)} with one")
        self._keys = {name: "mean_ap" if across_cameras(dev) else "recall1" for name, dev in sets.items()}
        self.key = next(iter(self._keys.values())) if len(sets) == 1 else "dev_mean"
        prepare = preprocessing_of(config)
        paths = [path for dev in sets.values() for path in dev.paths]
        self._count = len(paths)
        own = paths[world.rank :: world.size]
        self._images = decode_images(own, prepare.height, prepare.width, prepare)

    def embed(self, trainer: Trainer) -> NDArray[np.float32]:
        """``(N, D)`` embeddings of all sets, one after the other; all processes must call it."""
        own = embed(trainer.deployed, self._images, self._batch_size)
        return self._world.interleave(own, self._count)

    def figures(self, embeddings: NDArray[np.float32]) -> dict[str, float]:
        """Recall@Rank-1, and ranking figures where cameras are known.

        Of several sets each figure is named ``set/figure``; ``dev_mean`` is the mean that chooses the best.
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
        """Lines of a table with a row for each set; none for one set."""
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
