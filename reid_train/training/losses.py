"""Metric learning losses, by their names on the command line.

Two kinds have the same interface, ``criterion(embeddings, labels) -> scalar``: layers with weights (a
classifier, centres), which are in this module, and functions of the batch, which are in `pair_losses` and
wrapped by `make_criterion`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import paddle
from paddle import nn

from reid_train.training.pair_losses import (
    batch_hard_triplet,
    circle,
    eml,
    in_float32,
    npairs,
    quadruplet,
    squared_distances,
    triplet,
    unit_embeddings,
)

__all__ = [
    "LOSSES",
    "ArcMargin",
    "CenterLoss",
    "LossKind",
    "PairCriterion",
    "Softmax",
    "batch_hard_triplet",
    "circle",
    "eml",
    "make_criterion",
    "npairs",
    "quadruplet",
    "squared_distances",
    "triplet",
]


def cross_entropy(
    logits: paddle.Tensor, labels: paddle.Tensor, label_smoothing: float = 0.0
) -> paddle.Tensor:
    """Compute the mean cross-entropy.

    Paddle's function clips logits to 64 below the largest on CPUs (3.3.1). At scale 80, where two logits
    differ by up to 160, its loss is too small and depends on the device.

    Args:
        logits: ``(B, C)``.
        labels: ``(B,)`` in [0, C).
        label_smoothing: share of the target spread over all classes, in [0, 1).

    Returns:
        A scalar.
    """
    total = paddle.logsumexp(logits, axis=1)
    true = paddle.take_along_axis(logits, labels.unsqueeze(1), axis=1).squeeze(1)
    if label_smoothing:
        true = (1.0 - label_smoothing) * true + label_smoothing * logits.mean(1)
    return (total - true).mean()


@paddle.no_grad()  # type: ignore[untyped-decorator]
def class_accuracy(logits: paddle.Tensor, labels: paddle.Tensor) -> float:
    """Share of ``(B, C)`` rows whose largest value is at their label."""
    return float((logits.argmax(1) == labels).astype("float32").mean().item())


class Softmax(nn.Layer):
    """Linear classifier with cross-entropy on the raw embeddings.

    Args:
        embedding_size: D.
        class_dim: C.
        label_smoothing: share of the target spread over all classes (Szegedy et al., arXiv 1512.00567).
    """

    def __init__(self, embedding_size: int, class_dim: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding_size, class_dim)
        self.label_smoothing = label_smoothing
        self.accuracy: float | None = None  # of the last batch

    @in_float32
    def forward(self, embeddings: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
        """Return the mean loss of ``(B, D)`` embeddings with ``(B,)`` labels in [0, C)."""
        logits = self.linear(embeddings)
        self.accuracy = class_accuracy(logits, labels)
        return cross_entropy(logits, labels, self.label_smoothing)


class ArcMargin(nn.Layer):
    """Additive angular margin (ArcFace, Deng et al., arXiv 1801.07698, eq. 3).

    Args:
        embedding_size: D.
        class_dim: C.
        scale: factor s on the cosines.
        margin: angle m in radians added to the angle of the true class.
        easy_margin: apply the margin only where the cosine is positive.
        label_smoothing: share of the target spread over all classes.
    """

    def __init__(
        self,
        embedding_size: int,
        class_dim: int,
        *,
        scale: float = 80.0,
        margin: float = 0.15,
        easy_margin: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = self.create_parameter(
            [embedding_size, class_dim], default_initializer=nn.initializer.XavierUniform()
        )
        self.scale = scale
        self.margin = margin
        self.easy_margin = easy_margin
        self.label_smoothing = label_smoothing
        self.accuracy: float | None = None  # of the last batch

    @in_float32
    def forward(
        self, embeddings: paddle.Tensor, labels: paddle.Tensor, margin: float | None = None
    ) -> paddle.Tensor:
        """Return the mean loss of ``(B, D)`` embeddings with ``(B,)`` labels in [0, C).

        ``margin`` overrides the layer's margin, for a schedule.
        """
        m = self.margin if margin is None else margin
        directions = unit_embeddings(self.weight.t())  # (C, D)
        cos = paddle.matmul(unit_embeddings(embeddings), directions, transpose_y=True)  # (B, C)
        self.accuracy = class_accuracy(cos, labels)
        target = paddle.take_along_axis(cos, labels.unsqueeze(1), axis=1)  # (B, 1)
        # 1e-6 keeps the square root's gradient finite at cos = +-1; clip handles rounding above 1.
        sine = paddle.sqrt(paddle.clip(1.0 - target * target, min=0.0) + 1e-6)
        phi = target * math.cos(m) - sine * math.sin(m)
        if self.easy_margin:
            phi = paddle.where(target > 0, phi, target)
        else:
            # Below cos(pi - m) the angle would exceed pi and phi would rise again: continue linearly.
            phi = paddle.where(target > math.cos(math.pi - m), phi, target - m * math.sin(math.pi - m))
        logits = self.scale * paddle.put_along_axis(cos, labels.unsqueeze(1), phi, axis=1)
        return cross_entropy(logits, labels, self.label_smoothing)


class CenterLoss(nn.Layer):
    """Half the mean squared distance to the centre of the true class (Wen et al., ECCV 2016, eq. 2).

    The centres are buffers, not parameters. In training, each call moves the centres of the batch by the
    paper's rule (eq. 4) after the loss is computed, so neither the weight of the loss nor the network's
    optimiser affects their rate.

    Args:
        embedding_size: D.
        class_dim: C.
        rate: alpha, the step of a centre.
    """

    def __init__(self, embedding_size: int, class_dim: int, *, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("centers", paddle.zeros([class_dim, embedding_size]))

    @in_float32
    def forward(self, embeddings: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
        """Return the loss of ``(B, D)`` embeddings with ``(B,)`` labels in [0, C)."""
        # The graph needs this copy, since the buffer changes below, before backward runs.
        centers = paddle.gather(self.centers, labels)  # (B, D)
        loss = 0.5 * ((embeddings - centers) ** 2).sum(1).mean()
        if self.training:
            with paddle.no_grad():
                same = (labels.unsqueeze(1) == labels.unsqueeze(0)).cast(centers.dtype)  # (B, B)
                count = same.sum(1, keepdim=True)
                step = (count * centers - same @ embeddings.detach()) / (1.0 + count)
                # Rows of one class have the same value, so the order of writing does not matter.
                moved = paddle.scatter(self.centers, labels, centers - self.rate * step)
                self.centers.set_value(moved)
        return loss


class PairCriterion(nn.Layer):
    """Wraps a function of the batch as a layer without parameters."""

    def __init__(self, function: Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, embeddings: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
        """Return the loss of ``(B, D)`` embeddings with ``(B,)`` labels."""
        return self.function(embeddings, labels)


@dataclass(frozen=True)
class LossKind:
    """Properties of a loss for the training command.

    Attributes:
        sampler: the kind of `samplers.make_sampler` that it needs.
        classes: whether it has weights for each class of the training set.
        flags: the command-line flags that it uses.
    """

    sampler: str
    classes: bool
    flags: tuple[str, ...]


LOSSES: dict[str, LossKind] = {
    "softmax": LossKind("shuffled", True, ("label_smoothing",)),
    "arcmargin": LossKind(
        "shuffled", True, ("arc_scale", "arc_margin", "arc_easy_margin", "label_smoothing")
    ),
    "triplet": LossKind("triplet", False, ("margin",)),
    "quadruplet": LossKind("pk", False, ("margin", "samples_each_class")),
    "eml": LossKind("pk", False, ("samples_each_class",)),
    "npairs": LossKind("pairs", False, ("npairs_reg_lambda",)),
    "batch_hard_triplet": LossKind("pk", False, ("margin", "samples_each_class")),
    "circle": LossKind("pk", False, ("circle_margin", "circle_scale", "samples_each_class")),
    "center": LossKind("pk", True, ("center_rate", "samples_each_class")),
}


def make_criterion(
    name: str,
    embedding_size: int,
    class_dim: int,
    *,
    arc_scale: float = 80.0,
    arc_margin: float = 0.15,
    arc_easy_margin: bool = False,
    label_smoothing: float = 0.0,
    margin: float = 0.1,
    npairs_reg_lambda: float = 0.01,
    circle_margin: float = 0.25,
    circle_scale: float = 128.0,
    center_rate: float = 0.5,
) -> nn.Layer:
    """Build a loss by its name on the command line; values that the loss does not use are ignored.

    Args:
        name: a key of `LOSSES`.
        embedding_size: D of the embeddings.
        class_dim: C; losses without classes ignore it.
        arc_scale: factor s of ``arcmargin``.
        arc_margin: angle m of ``arcmargin``, radians.
        arc_easy_margin: of ``arcmargin``: apply the margin only at positive cosines.
        label_smoothing: of ``softmax`` and ``arcmargin``, in [0, 1).
        margin: of ``triplet``, ``quadruplet`` (squared distances) and ``batch_hard_triplet``.
        npairs_reg_lambda: of ``npairs``.
        circle_margin: relaxation m of ``circle``.
        circle_scale: factor gamma of ``circle``.
        center_rate: alpha of ``center``.

    Returns:
        A layer: ``criterion(embeddings (B, D), labels (B,)) -> scalar``.

    Raises:
        ValueError: the name is unknown, or a value is out of its range.
    """
    if name not in LOSSES:
        raise ValueError(f"loss_name must be one of {', '.join(LOSSES)}, got {name!r}")
    kind = LOSSES[name]
    if embedding_size < 1:
        raise ValueError(f"embedding_size must be at least 1, got {embedding_size}")
    if kind.classes and class_dim < 1:
        raise ValueError(f"class_dim must be at least 1 for {name}, got {class_dim}")
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
    scales = {"arc_scale": arc_scale, "circle_scale": circle_scale}
    floors = {"margin": margin, "arc_margin": arc_margin, "npairs_reg_lambda": npairs_reg_lambda}
    for flag, value in (scales | floors).items():
        if not math.isfinite(value) or value < 0 or (flag in scales and value == 0):
            bound = "above 0" if flag in scales else "at least 0"
            raise ValueError(f"{flag} must be {bound}, got {value}")
    if arc_margin >= math.pi:
        raise ValueError(f"arc_margin must be an angle in radians below pi, got {arc_margin}")
    if name == "softmax":
        return Softmax(embedding_size, class_dim, label_smoothing=label_smoothing)
    if name == "arcmargin":
        return ArcMargin(
            embedding_size,
            class_dim,
            scale=arc_scale,
            margin=arc_margin,
            easy_margin=arc_easy_margin,
            label_smoothing=label_smoothing,
        )
    if name == "center":
        return CenterLoss(embedding_size, class_dim, rate=center_rate)
    functions: dict[str, Callable[..., paddle.Tensor]] = {
        "triplet": partial(triplet, margin=margin),
        "quadruplet": partial(quadruplet, margin=margin),
        "batch_hard_triplet": partial(batch_hard_triplet, margin=margin),
        "eml": eml,
        "npairs": partial(npairs, reg_lambda=npairs_reg_lambda),
        "circle": partial(circle, margin=circle_margin, scale=circle_scale),
    }
    return PairCriterion(functions[name])
