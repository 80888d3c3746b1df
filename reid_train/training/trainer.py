"""Network, moving average, loss and optimiser of a run, and a training step.

The embeddings of the whole batch are gathered before the loss, and the gradient of the loss is propagated
through each chunk of the batch separately. Chunks are the processes and, with ``accumulate``, micro-batches
within a process, so that their activations are not held at once (the embeddings are computed twice: Gao et
al., arXiv 2101.06983). So losses that compare images always see the whole batch; only batch norm sees the
chunks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from reid_train.checkpoints.checkpoint import (
    Checkpoint,
    layer_arrays,
    optimizer_arrays,
    restore_layer,
    restore_optimizer,
)
from reid_train.config import TrainConfig, config_from_dict
from reid_train.models import build_network
from reid_train.models.normalization import mix_styles
from reid_train.training.batches import Batch
from reid_train.training.objective import Objective
from reid_train.training.parallel import World
from reid_train.training.schedules import learning_rate, ramp

__all__ = ["Trainer", "build", "check_same_network", "network_of"]

NETWORK_SETTINGS = ("model", "embedding_size", "neck", "last_stride", "pooling")


def build(config: TrainConfig) -> nn.Layer:
    """Build the network of a configuration with fresh weights.

    Args:
        config: the settings.

    Returns:
        A `ReidNetwork`.
    """
    return build_network(
        config.model,
        config.embedding_size,
        last_stride=config.last_stride,
        neck=config.neck,
        pooling=config.pooling,
    )


def network_of(checkpoint: Checkpoint) -> nn.Layer:
    """Build the deployed network of a checkpoint: its moving average, if it has one.

    Args:
        checkpoint: of a run or an export.

    Returns:
        A `ReidNetwork` in evaluation mode.

    Raises:
        ValueError: the checkpoint's weights do not fit its own configuration.
    """
    config = config_from_dict(checkpoint.config, "checkpoint")
    network = build(config)
    restore_layer(network, checkpoint.part("ema" if config.ema_decay else "network"), "checkpoint")
    network.eval()
    return network


def check_same_network(config: TrainConfig, other: TrainConfig, source: str) -> None:
    """Refuse weights of a different network.

    Args:
        config: the settings of this run.
        other: the settings of the weights.
        source: where the weights are from, for the error.

    Raises:
        ValueError: a setting of the network differs; the message names it.
    """
    for name in NETWORK_SETTINGS:
        expected, found = getattr(config, name), getattr(other, name)
        if expected != found:
            raise ValueError(
                f"{source}: expected {name} {expected} as in this run, got {found}; set --{name}"
            )


class Trainer:
    """State of a run, and its training step.

    Args:
        config: the settings.
        class_dim: number of classes of the training set.
        world: the processes that share the work.
        teacher_size: D of the teacher's embeddings; 0 without a teacher.

    Attributes:
        iteration: number of finished iterations.
        best: the best evaluation so far.
        origin: data, command and hours so far, for the model card.
        network: the network being trained.
        deployed: the network to evaluate and export: the moving average, or ``network``.
        goals: ``(N, teacher_size)`` the teacher's embeddings of the training images; set them before the
            first step of a run with a teacher.
    """

    def __init__(self, config: TrainConfig, class_dim: int, world: World, *, teacher_size: int = 0) -> None:
        paddle.seed(config.seed)
        self.config = config
        self.world = world
        self.iteration = 0
        self.best: dict[str, float] = {}
        self.origin: dict[str, Any] = {}
        self.network = build(config)
        self.objective = Objective(config, self.network.embedding_size, class_dim, teacher_size)
        self.goals: NDArray[np.float32] | None = None
        self.deployed = build(config) if config.ema_decay else self.network
        self.follow_network()
        if config.mixstyle:
            mix_styles(self.network.backbone, config.mixstyle)
        self._optimizer = _optimizer(config, [*self.network.parameters(), *self.objective.parameters()])
        self._names = {
            value.name: f"{part}.{name}"
            for part, layer in (("network", self.network), ("objective", self.objective))
            for name, value in layer.named_parameters()
        }
        # On CPUs Paddle's autocast only warns.
        mixed = config.amp and paddle.device.get_device().startswith("gpu")
        self._cast = (lambda: paddle.amp.auto_cast(dtype="float16")) if mixed else contextlib.nullcontext
        # float16 gradients vanish without a scale.
        self._scaler = paddle.amp.GradScaler(enable=mixed)

    def follow_network(self) -> None:
        """Set the moving average to the network's weights."""
        if self.deployed is not self.network:
            restore_layer(self.deployed, layer_arrays(self.network), "moving average")

    def step(self, batch: Batch) -> float:
        """Update the network with one batch.

        Args:
            batch: this process's share of the iteration's batch.

        Returns:
            The loss of the whole batch.

        Raises:
            FloatingPointError: the loss is not finite; nothing is updated.
        """
        config = self.config
        labels = paddle.to_tensor(batch.labels)
        chunks = np.array_split(batch.images, min(config.accumulate, len(batch.images)))
        self.network.train()
        if len(chunks) == 1:
            own = self._embed(chunks[0], 0)
        else:
            # Each chunk is computed twice, but updates batch norm's running statistics only once.
            before = [value.clone() for value in _statistics(self.network)]
            with paddle.no_grad():
                own = paddle.concat([self._embed(chunk, i) for i, chunk in enumerate(chunks)])
            for value, earlier in zip(_statistics(self.network), before, strict=True):
                value.set_value(earlier)
        gathered = self.world.gather(own)
        gathered.stop_gradient = False
        margin = config.arc_margin * ramp(config, self.iteration, config.margin_warmup)
        loss = self.objective(gathered, labels, margin)
        weight = config.teacher_weight
        if config.teacher_share:
            weight *= 1 - ramp(config, self.iteration, config.teacher_share)
        if self.goals is not None and weight > 0:
            goal = paddle.to_tensor(self.goals[batch.rows])
            loss = loss + weight * self.objective.distillation(gathered, goal)
        value = float(loss.item())
        if not math.isfinite(value):
            raise FloatingPointError(f"loss is {value} in iteration {self.iteration + 1}")
        self._scaler.scale(loss).backward()
        gradient = gathered.grad[self.world.shard(len(batch.labels))]
        if len(chunks) == 1:
            own.backward(gradient)
        else:
            gradients = paddle.split(gradient, [len(chunk) for chunk in chunks])
            for i, (chunk, chunk_gradient) in enumerate(zip(chunks, gradients, strict=True)):
                self._embed(chunk, i).backward(chunk_gradient)
        self.world.sum_gradients(self.network.parameters())
        self._optimizer.set_lr(learning_rate(config, self.iteration))
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.clear_grad()
        self.iteration += 1
        self._average()
        return value

    def _embed(self, images: NDArray[np.uint8], chunk: int) -> paddle.Tensor:
        # Dropout must be the same when a chunk is computed again, and in a resumed run.
        seed = [self.config.seed, self.iteration, self.world.rank, chunk]
        paddle.seed(int(np.random.default_rng(seed).integers(2**31)))
        with self._cast():
            embeddings = self.network(paddle.to_tensor(images))
        return embeddings.astype("float32")

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def _average(self) -> None:
        if self.deployed is self.network:
            return
        # Early in the run the average forgets its random start faster.
        decay = min(self.config.ema_decay, (1 + self.iteration) / (10 + self.iteration))
        weight = paddle.to_tensor(1.0 - decay)
        current = self.network.state_dict()
        for name, value in self.deployed.state_dict().items():
            value.lerp_(current[name].detach(), weight)

    def synchronize(self) -> None:
        """Average batch norm's running statistics over the processes; all of them must call it."""
        self.world.average(_statistics(self.network))
        if self.deployed is not self.network:
            self.world.average(_statistics(self.deployed))

    def checkpoint(self) -> Checkpoint:
        """Return the state of the run; call `synchronize` first.

        Raises:
            FloatingPointError: a weight is not finite.
        """
        parts = {
            "network": layer_arrays(self.network),
            "objective": layer_arrays(self.objective),
            "optimizer": optimizer_arrays(self._optimizer, self._names),
        }
        if self.deployed is not self.network:
            parts["ema"] = layer_arrays(self.deployed)
        arrays = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        for name, value in arrays.items():
            if not np.isfinite(value).all():
                raise FloatingPointError(f"{name} is not finite after iteration {self.iteration}")
        state: dict[str, Any] = self._scaler.state_dict()
        scaler = {key: np.asarray(value).reshape(-1)[0].item() for key, value in state.items()}
        return Checkpoint(self.iteration, arrays, self.config.as_dict(), self.best, scaler, self.origin)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: network, number of classes, loss or optimiser differ, or only one of the two runs has
                a moving average.
        """
        saved = config_from_dict(checkpoint.config, "checkpoint")
        check_same_network(self.config, saved, "checkpoint")
        for name in ("loss_name", "optimizer"):
            expected, found = getattr(self.config, name), getattr(saved, name)
            if expected != found:
                raise ValueError(
                    f"checkpoint: expected {name} {expected} as in this run, got {found}; to start a new run "
                    "from its weights use --pretrained_model"
                )
        if bool(saved.ema_decay) != bool(self.config.ema_decay):
            raise ValueError(
                f"checkpoint: expected ema_decay {self.config.ema_decay} as in this run, got "
                f"{saved.ema_decay}; a moving average cannot begin or end within a run"
            )
        restore_layer(self.network, checkpoint.part("network"), "checkpoint: network")
        restore_layer(self.objective, checkpoint.part("objective"), "checkpoint: class layer")
        if self.deployed is not self.network:
            restore_layer(self.deployed, checkpoint.part("ema"), "checkpoint: moving average")
        restore_optimizer(self._optimizer, checkpoint.part("optimizer"), self._names)
        if checkpoint.scaler:
            # Paddle's scale is an array of one number; all other values are plain numbers.
            scale = np.array([checkpoint.scaler["scale"]], np.float32)
            self._scaler.load_state_dict({**checkpoint.scaler, "scale": scale})
        self.iteration = checkpoint.iteration
        self.best = dict(checkpoint.best)
        self.origin = dict(checkpoint.origin)


def _statistics(network: nn.Layer) -> list[paddle.Tensor]:
    """Return batch norm's running means and variances; in Paddle they are untrained parameters."""
    return [value for value in network.state_dict().values() if value.stop_gradient]


def _optimizer(config: TrainConfig, parameters: Sequence[paddle.Tensor]) -> paddle.optimizer.Optimizer:
    clip = nn.ClipGradByGlobalNorm(config.gradient_clip) if config.gradient_clip else None
    if config.optimizer == "adamw":
        matrices = {value.name for value in parameters if len(value.shape) > 1}
        return paddle.optimizer.AdamW(
            learning_rate=config.lr,
            parameters=parameters,
            weight_decay=config.weight_decay,
            apply_decay_param_fun=lambda name: name in matrices,
            grad_clip=clip,
        )
    kind: Any = {
        "momentum": paddle.optimizer.Momentum,
        "nesterov": partial(paddle.optimizer.Momentum, use_nesterov=True),
        "adam": paddle.optimizer.Adam,
    }[config.optimizer]
    return kind(
        learning_rate=config.lr,
        parameters=parameters,
        weight_decay=config.weight_decay,
        grad_clip=clip,
    )
