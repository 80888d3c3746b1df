"""The loss of a run: the named loss, and the terms that the strong recipe adds.

The class weights of all terms belong to this layer, so one optimiser and one part of the checkpoint hold
them.
"""

from __future__ import annotations

import paddle
from paddle import nn

from reid_train.config import TrainConfig
from reid_train.training.losses import ArcMargin, make_criterion
from reid_train.training.pair_losses import batch_hard_triplet, in_float32, unit_embeddings

__all__ = ["Objective", "distillation"]


class Objective(nn.Layer):
    """Weighted sum of the losses of a batch.

    Args:
        config: names the loss, and has the weights of the other terms.
        embedding_size: D of the network's embeddings.
        class_dim: C.
        teacher_size: D of the teacher's embeddings; 0 without a teacher. If it differs from
            ``embedding_size``, a linear layer, used in training only, maps to it (Romero et al., arXiv
            1412.6550).
    """

    def __init__(
        self, config: TrainConfig, embedding_size: int, class_dim: int, teacher_size: int = 0
    ) -> None:
        super().__init__()
        self.hint = (
            nn.Linear(embedding_size, teacher_size) if teacher_size not in (0, embedding_size) else None
        )
        self.main = make_criterion(
            config.loss_name,
            embedding_size,
            class_dim,
            arc_scale=config.arc_scale,
            arc_margin=config.arc_margin,
            arc_easy_margin=config.arc_easy_margin,
            label_smoothing=config.label_smoothing,
            margin=config.margin,
            npairs_reg_lambda=config.npairs_reg_lambda,
        )
        self.batch_hard_weight = config.batch_hard_weight
        self.batch_hard_margin = config.batch_hard_margin
        self.circle_weight = config.circle_weight
        self.center_weight = config.center_weight
        self.circle = make_criterion("circle", embedding_size, class_dim) if config.circle_weight else None
        self.center = make_criterion("center", embedding_size, class_dim) if config.center_weight else None

    def forward(self, embeddings: paddle.Tensor, labels: paddle.Tensor, margin: float) -> paddle.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: ``(B, D)`` raw embeddings of the whole batch.
            labels: ``(B,)`` their classes.
            margin: the angular margin in this iteration, radians; other losses ignore it.

        Returns:
            A scalar.
        """
        if isinstance(self.main, ArcMargin):
            loss = self.main(embeddings, labels, margin=margin)
        else:
            loss = self.main(embeddings, labels)
        if self.batch_hard_weight:
            loss = loss + self.batch_hard_weight * batch_hard_triplet(
                embeddings, labels, self.batch_hard_margin
            )
        if self.circle is not None:
            loss = loss + self.circle_weight * self.circle(embeddings, labels)
        if self.center is not None:
            loss = loss + self.center_weight * self.center(embeddings, labels)
        return loss

    def distillation(self, embeddings: paddle.Tensor, goal: paddle.Tensor) -> paddle.Tensor:
        """Return the mean cosine distance of ``(B, D)`` embeddings to a teacher's ``(B, D')``."""
        return distillation(embeddings if self.hint is None else self.hint(embeddings), goal)

    def accuracy(self) -> float | None:
        """Share of the last batch whose class is the nearest, without margin; None without classes."""
        found: float | None = getattr(self.main, "accuracy", None)
        return found


@in_float32
def distillation(embeddings: paddle.Tensor, goal: paddle.Tensor) -> paddle.Tensor:
    """Compute the mean cosine distance of embeddings to a teacher's.

    Only directions count, as in every later comparison of embeddings.

    Args:
        embeddings: ``(B, D)``.
        goal: ``(B, D)`` the teacher's embeddings of the same images.

    Returns:
        A scalar in [0, 2].
    """
    return 1.0 - (unit_embeddings(embeddings) * unit_embeddings(goal)).sum(1).mean()
