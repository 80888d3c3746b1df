"""The loss of a run: the named loss, and what the strong recipe adds to it.

The class weights of all parts belong to this layer, so one optimiser and one part of the
checkpoint hold them.
"""

from __future__ import annotations

import paddle
from paddle import nn

from reid_train.config import TrainConfig
from reid_train.training.losses import ArcMargin, make_criterion
from reid_train.training.pair_losses import batch_hard_triplet, in_float32, unit_embeddings

__all__ = ["Objective", "imitation"]


class Objective(nn.Layer):
    """Weighted sum of losses of a batch.

    Args:
        config: names the loss and the weights of the others.
        embedding_size: D of the network's embeddings.
        class_dim: C.
        teacher_size: D of the teacher's embeddings; 0 without a teacher. Where it differs, a linear layer
            that is used in training only maps onto it (Romero et al., arXiv 1412.6550).
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
        """Loss of ``(B, D)`` raw embeddings with ``(B,)`` labels.

        Args:
            embeddings: of the whole batch.
            labels: their classes.
            margin: angle of the angular margin at this iteration, in radians; other losses ignore it.
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

    def imitation(self, embeddings: paddle.Tensor, goal: paddle.Tensor) -> paddle.Tensor:
        """Mean cosine distance of ``(B, D)`` embeddings to a teacher's ``(B, D')`` of the same images."""
        return imitation(embeddings if self.hint is None else self.hint(embeddings), goal)

    def accuracy(self) -> float | None:
        """Share of the last batch whose class is the nearest, without margin; None without classes."""
        found: float | None = getattr(self.main, "accuracy", None)
        return found


@in_float32
def imitation(embeddings: paddle.Tensor, goal: paddle.Tensor) -> paddle.Tensor:
    """Mean cosine distance of ``(B, D)`` embeddings to a teacher's of the same images.

    Only directions count, as in everything that compares embeddings afterwards.
    """
    return 1.0 - (unit_embeddings(embeddings) * unit_embeddings(goal)).sum(1).mean()
