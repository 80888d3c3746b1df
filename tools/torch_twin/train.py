"""Train with PyTorch what `reid-train elem` trains with Paddle, two to three times as fast on CPUs.

The twin takes the same flags and recipes, draws the same batches and the same augmentation from
the same seed, and writes the same checkpoint file, so `reid-train eval`, `export` and
`reid-train elem --pretrained_model` accept its output. Only the arithmetic is PyTorch's, so metrics agree
approximately. Losses: softmax and arcmargin, with an optional batch-hard triplet loss, and distillation from
an earlier checkpoint of the same embedding size, whose embeddings of the unaltered training images at the
teacher's size are computed once and kept in the folder of the run. A run that starts from other weights takes
its class weights from the mean embeddings of each person, the teacher's if there is one. `--bf16` computes in
bfloat16 where the CPU does (AVX512-BF16, AMX): 1.6 to 1.9 times as fast for ResNet50_vd. In an environment of
its own with torch, safetensors, opencv-python-headless, pyyaml, scipy and tqdm, no Paddle:

    export PYTHONPATH=.
    python tools/torch_twin/train.py --data data/market --recipe small --model_save_dir runs/small

An interrupted run continues if the same command is run again.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import re
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from embedding import build, embed, read_twin, teacher_rows
from networks import TwinNetwork, paddle_arrays
from safetensors.numpy import save
from torch import Tensor, nn

from reid_train.config import TrainConfig, add_flags, resolve
from reid_train.data.datasets import (
    ImageCache,
    ImageIndex,
    dataset_counts,
    decode_images,
    identities,
    identities_by_dataset,
    read_dataset,
)
from reid_train.evaluation.figures import market_figures, query_rows, recall_at
from reid_train.training.batches import stream
from reid_train.training.samplers import make_sampler
from reid_train.training.schedules import learning_rate, ramp
from reid_train.training.transforms import Preprocessing, resize

# As reid_train.checkpoints.checkpoint writes it, which cannot be imported without Paddle.
FORMAT = "deepsort-paddle.checkpoint.1"


class ClassLayer(nn.Module):
    """Arc margin or softmax over ``(B, D)`` embeddings."""

    def __init__(self, config: TrainConfig, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(embedding_size, classes))
        nn.init.xavier_uniform_(self.weight)
        self.bias = nn.Parameter(torch.zeros(classes)) if config.loss_name == "softmax" else None

    def forward(self, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
        """Mean loss of ``(B, D)`` embeddings with ``(B,)`` labels."""
        smoothing = self.config.label_smoothing
        if self.bias is not None:
            logits = embeddings @ self.weight + self.bias
        else:
            cos = F.normalize(embeddings) @ F.normalize(self.weight, dim=0)
            target = cos.gather(1, labels[:, None])
            sine = torch.sqrt((1 - target * target).clamp(min=0) + 1e-6)
            phi = target * math.cos(margin) - sine * math.sin(margin)
            straight = target - margin * math.sin(math.pi - margin)
            phi = torch.where(target > math.cos(math.pi - margin), phi, straight)
            logits = self.config.arc_scale * cos.scatter(1, labels[:, None], phi)
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def batch_hard(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Each anchor's farthest positive and nearest negative on unit rows."""
    unit = F.normalize(embeddings)
    distances = (2 - 2 * unit @ unit.T).clamp(min=1e-10).sqrt()
    same = labels[:, None] == labels[None]
    farthest = distances.masked_fill(~same, -1e30).amax(1)
    nearest = distances.masked_fill(same, 1e30).amin(1)
    return F.relu(farthest - nearest + margin).mean()


def without_folders(argument: str) -> str:
    """Return the command line without the folders of this machine."""
    return re.sub(r"^(--[\w-]+=)?/(?:.*/)?", r"\1", argument)


class Run:
    """The state of a run."""

    def __init__(self, config: TrainConfig, classes: int, bf16: bool = False) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.bf16 = bf16
        self.network = build(config)
        self.head = ClassLayer(config, self.network.embedding_size, classes)
        self.average = copy.deepcopy(self.network)
        self.iteration = 0
        self.seconds = 0.0
        self.best: dict[str, float] = {}
        values = [*self.network.parameters(), *self.head.parameters()]
        only = {"optimizer": "adamw", "pooling": "average", "mixstyle": 0.0, "accumulate": 1}
        for name, value in only.items():
            if getattr(config, name) != value:
                raise ValueError(f"{name} must be {value} in the twin, got {getattr(config, name)}")
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [value for value in values if value.ndim > 1],
                    "weight_decay": config.weight_decay,
                },
                {"params": [value for value in values if value.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=config.lr,
            foreach=True,
        )

    def begin_at(self, network: TwinNetwork) -> None:
        """Take over another network's weights; an embedding of another size starts afresh."""
        state = self.network.state_dict()
        for name, value in network.state_dict().items():
            if value.shape == state[name].shape:
                state[name] = value
            elif not name.startswith(("embedding.", "neck.")):
                raise ValueError(f"{name} is {tuple(value.shape)}, this run's is {tuple(state[name].shape)}")
        self.network.load_state_dict(state)
        self.average.load_state_dict(state)

    def imprint(self, index: ImageIndex, labels: np.ndarray) -> None:
        """Start each class weight at the mean embedding of its images, given their ``(N,)`` labels."""
        _, height, width = self.config.image_shape
        images = decode_images(index.paths, height, width, Preprocessing(height, width))
        self.imprint_rows(embed(self.network, images, bf16=self.bf16), labels)

    def imprint_rows(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Start each class weight at the mean of its ``(N, D)`` rows, given their ``(N,)`` labels."""
        sums = np.zeros((labels.max() + 1, rows.shape[1]), np.float32)
        np.add.at(sums, labels, rows)
        self.head.weight.data.copy_(F.normalize(torch.from_numpy(sums)).T)

    def step(self, images: Tensor, labels: Tensor, goals: Tensor | None = None) -> float:
        """One update, towards ``(B, D)`` unit rows of a teacher where there are some; returns the loss.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.iteration)
        self.network.train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            embeddings = self.network(images)
        embeddings = embeddings.float()
        margin = config.arc_margin * ramp(config, self.iteration, config.margin_warmup)
        loss = self.head(embeddings, labels, margin)
        if config.batch_hard_weight:
            loss = loss + config.batch_hard_weight * batch_hard(embeddings, labels, config.batch_hard_margin)
        if goals is not None:
            weight = config.teacher_weight
            if config.teacher_share:
                weight *= 1 - ramp(config, self.iteration, config.teacher_share)
            loss = loss + weight * (1 - (F.normalize(embeddings) * goals).sum(1)).mean()
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"loss is {value} in iteration {self.iteration + 1}")
        self.optimizer.zero_grad()
        loss.backward()
        if config.gradient_clip:
            values = [*self.network.parameters(), *self.head.parameters()]
            nn.utils.clip_grad_norm_(values, config.gradient_clip)
        self.optimizer.step()
        self.iteration += 1
        self.follow()
        return value

    def state(self) -> dict[str, Any]:
        """Return what an interrupted run needs to continue."""
        return {
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
        }

    def load(self, state: dict[str, Any]) -> None:
        """The reverse of `state`."""
        for name in ("network", "head", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.iteration, self.seconds, self.best = state["iteration"], state["seconds"], state["best"]

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the network."""
        decay = min(self.config.ema_decay, (1 + self.iteration) / (10 + self.iteration))
        current = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])

    def write(self, path: Path, origin: dict[str, Any]) -> None:
        """The checkpoint that `reid-train` reads; Paddle's optimiser starts afresh from it."""
        arrays = {f"network/{name}": value for name, value in paddle_arrays(self.network).items()}
        arrays |= {f"ema/{name}": value for name, value in paddle_arrays(self.average).items()}
        for name, value in self.head.named_parameters():
            owner = "main.linear" if self.config.loss_name == "softmax" else "main"
            arrays[f"objective/{owner}.{name}"] = value.detach().numpy()
        header = {
            "format": FORMAT,
            "iteration": str(self.iteration),
            "config": json.dumps(self.config.as_dict()),
            "best": json.dumps(self.best),
            "scaler": "{}",
            "origin": json.dumps({**origin, "hours": round(self.seconds / 3600, 3)}),
        }
        part = path.with_name(path.name + ".part")
        part.write_bytes(save(arrays, metadata=header))
        part.replace(path)


class Judge:
    """Ranking figures on the persons kept out, at the size that the network is being trained at."""

    def __init__(self, config: TrainConfig, dev: ImageIndex) -> None:
        _, height, width = config.image_shape
        self._config = config
        self._dev = dev
        self._queries = query_rows(dev)
        self._images = decode_images(dev.paths, height, width, Preprocessing(height, width))

    def figures(self, network: TwinNetwork, iteration: int) -> dict[str, float]:
        """Figures after so many iterations."""
        dev, rows = self._dev, self._queries
        height, width = self._config.input_size(iteration - 1)
        found = embed(network, np.stack([resize(image, height, width) for image in self._images]))
        ranking = market_figures(
            found[rows], dev.pids[rows], dev.camids[rows], found, dev.pids, dev.camids, own_rows=rows
        )
        return {**asdict(ranking), "recall1": recall_at(found, dev.pids), "height": height}


class Journal:
    """One JSON line a report, on the screen and in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "log.jsonl").open("a", buffering=1)

    def __call__(self, **values: Any) -> None:
        """Report these values."""
        line = json.dumps(values)
        print(line, flush=True)
        self._file.write(line + "\n")


def train(
    run: Run, index: ImageIndex, judge: Judge, folder: Path, origin: dict[str, Any], *, imprint: bool = False
) -> None:
    """Train to the end of the run, with reports and checkpoints in its folder.

    Args:
        run: fresh, started from other weights, or as it was interrupted.
        index: training images.
        judge: measures the network.
        folder: of the run.
        origin: for the checkpoints.
        imprint: start the class weights from a teacher's rows.
    """
    config, report = run.config, Journal(folder)
    _, labels = np.unique(index.pids, return_inverse=True)
    sampler = make_sampler(
        "pk" if config.samples_each_class else "shuffled",
        labels,
        config.train_batch_size,
        samples_each_class=config.samples_each_class,
        seed=config.seed,
        domains=index.domains,
    )
    report(iteration=run.iteration, config=config.as_dict())
    images, goals = ImageCache(index.paths), None
    if config.teacher:
        rows = teacher_rows(Path(config.teacher), images, index, folder, bf16=run.bf16)
        if rows.shape[1] != run.network.embedding_size:
            raise ValueError(
                f"the teacher's embeddings must have {run.network.embedding_size} values, got {rows.shape[1]}"
            )
        if imprint:
            run.imprint_rows(rows, labels)
        goals = torch.from_numpy(rows)
    started, losses = time.monotonic(), []
    for batch in stream(config, images, labels, sampler, slice(None), run.iteration):
        wanted = None if goals is None else goals[batch.rows]
        losses.append(run.step(torch.from_numpy(batch.images), torch.from_numpy(batch.labels), wanted))
        last = run.iteration == config.total_iter_num
        if run.iteration % config.display_iter_step == 0 or last:
            spent = time.monotonic() - started
            run.seconds += spent
            report(
                iteration=run.iteration,
                loss=round(float(np.mean(losses)), 4),
                lr=learning_rate(config, run.iteration - 1),
                images_per_second=round(len(losses) * config.train_batch_size / spent, 1),
            )
            started, losses = time.monotonic(), []
        if run.iteration % config.test_iter_step == 0 or last:
            figures = judge.figures(run.average, run.iteration)
            run.best = {**figures, "iteration": run.iteration}
            shown = ("height", "rank1", "mean_ap", "recall1")
            report(iteration=run.iteration, **{name: round(float(figures[name]), 4) for name in shown})
            started = time.monotonic()
        if run.iteration % config.save_iter_step == 0 or last:
            torch.save(run.state(), folder / "state.part")
            (folder / "state.part").replace(folder / "state.pt")
            run.write(folder / "last.safetensors", origin)
    run.write(folder / f"checkpoint_{run.iteration:07d}.safetensors", origin)


def main() -> None:
    """Train, with the flags of `reid-train elem` where they apply."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder made by reid-train prepare")
    parser.add_argument("--train", type=Path, help="another training list, such as one of all persons")
    parser.add_argument("--recipe", default="strong")
    parser.add_argument("--model_save_dir", type=Path, required=True)
    parser.add_argument("--pretrained_model", type=Path, help="checkpoint to start from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="network in bfloat16, weights in float32")
    own = [action.dest for action in parser._actions if action.dest != "help"]
    add_flags(parser)
    flags = vars(parser.parse_args())
    options = argparse.Namespace(**{name: flags.pop(name) for name in own})
    torch.set_num_threads(options.threads)
    config = resolve("elem", options.recipe, flags, resumed=None)
    index = read_dataset(options.train or options.data / "train.txt")
    dev = read_dataset(options.data / "dev.txt")
    folder: Path = options.model_save_dir
    folder.mkdir(parents=True, exist_ok=True)
    persons = len(np.unique(index.pids))
    run = Run(config, persons, options.bf16)
    start = "From scratch"
    resumed = (folder / "state.pt").is_file()
    if options.pretrained_model is not None:
        network, before = read_twin(options.pretrained_model, config.model)
        run.begin_at(network)
        run.seconds = 3600 * before["hours"]
        if not resumed and not config.teacher:
            run.imprint(index, np.unique(index.pids, return_inverse=True)[1])
        start = f"{before['start']}; {before['iteration']:,} iterations ({before['command']}); then"
    if config.teacher:
        start += f", taught by {Path(config.teacher).parent.name}"
    if resumed:
        run.load(torch.load(folder / "state.pt", weights_only=True))
    threads = f"{options.threads} CPU thread{'s' if options.threads > 1 else ''}"
    precision = ", bfloat16" if options.bf16 else ""
    origin = {
        "data": ", ".join(dataset_counts(index)),
        "datasets": dataset_counts(index),
        "train_images": len(index),
        "train_ids": persons,
        "identities": identities_by_dataset(identities(index)),
        "start": start,
        "command": shlex.join(["python", "tools/torch_twin/train.py", *map(without_folders, sys.argv[1:])]),
        "machine": f"{threads}, PyTorch {torch.__version__}{precision}",
    }
    imprint = options.pretrained_model is not None and not resumed
    train(run, index, Judge(config, dev), folder, origin, imprint=imprint)


if __name__ == "__main__":
    main()
