"""Losses that compare the images of a batch with each other.

Each is a function of ``(B, D)`` embeddings and ``(B,)`` integer labels and returns a scalar. Images may be in
any order, with any number per person. An anchor without a positive or a negative does not count, and a batch
without pairs gives 0 with zero gradients. Masked entries hold finite numbers and sums of exponentials are
computed in log-space, so values and gradients stay finite for identical, zero and very large embeddings.
Everything is computed in float32, even under AMP, since squared distances easily exceed float16's range.

d is the squared Euclidean distance throughout.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray

__all__ = [
    "batch_hard_triplet",
    "circle",
    "eml",
    "in_float32",
    "npairs",
    "quadruplet",
    "squared_distances",
    "triplet",
    "unit_embeddings",
]

# Used in place of infinity, which becomes NaN when multiplied by a zero gradient.
FAR = 1e30
# Constants of EML: slope of its logarithm, and the gap beyond which it is linear.
EML_BETA = 1e5
EML_GAP = 20.0


def in_float32(function: Callable[..., paddle.Tensor]) -> Callable[..., paddle.Tensor]:
    """Decorate a loss so that it runs in float32 outside AMP; half-precision tensors are cast."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> paddle.Tensor:
        halves = (paddle.float16, paddle.bfloat16)
        full = [
            value.cast("float32") if isinstance(value, paddle.Tensor) and value.dtype in halves else value
            for value in arguments
        ]
        with paddle.amp.auto_cast(enable=False):
            return function(*full, **options)

    return run


def unit_embeddings(embeddings: paddle.Tensor) -> paddle.Tensor:
    """Scale ``(B, D)`` rows to unit length; rows shorter than 1e-6 stay shorter.

    The bound is inside the root and far above rounding. With the usual 1e-12 on the norm, the gradient of a
    zero row is multiplied by 1e12, and a single zero row destroys the network.
    """
    return embeddings * paddle.rsqrt(paddle.clip((embeddings * embeddings).sum(1, keepdim=True), min=1e-12))


def squared_distances(embeddings: paddle.Tensor) -> paddle.Tensor:
    """Compute the squared Euclidean distances of all pairs, ``(B, D)`` to ``(B, B)``, never negative."""
    # Centring reduces cancellation and does not change distances.
    embeddings = embeddings - embeddings.mean(0, keepdim=True).detach()
    norms = (embeddings * embeddings).sum(1, keepdim=True)
    return paddle.clip(norms + norms.t() - 2.0 * embeddings @ embeddings.t(), min=0.0)


@in_float32
def triplet(embeddings: paddle.Tensor, labels: paddle.Tensor, margin: float = 0.1) -> paddle.Tensor:
    """Triplet loss over every anchor, positive and negative of the batch, on unit rows.

    Mean of ``relu(d_ap + margin - d_an)`` (Schroff et al., arXiv 1503.03832, eq. 3 as a mean). In a
    stream of anchor, positive, negative it also uses the other triplets that the labels allow.
    """
    distances = squared_distances(unit_embeddings(embeddings))
    positive, negative = pair_masks(labels)
    pairs = paddle.nonzero(positive)  # (M, 2)
    if pairs.shape[0] == 0:
        return zero_loss(embeddings)
    anchor_positive = paddle.gather_nd(distances, pairs).unsqueeze(1)  # (M, 1)
    losses = F.relu(anchor_positive + margin - paddle.gather(distances, pairs[:, 0]))  # (M, B)
    valid = paddle.gather(negative.cast(losses.dtype), pairs[:, 0])
    return (losses * valid).sum() / paddle.clip(valid.sum(), min=1.0)


@in_float32
def quadruplet(embeddings: paddle.Tensor, labels: paddle.Tensor, margin: float = 0.1) -> paddle.Tensor:
    """Margin sample mining: the batch's farthest positives against its nearest negatives, on unit rows.

    ``relu(max d_positive - min d_negative + margin)``, one pair of each for the whole batch (Xiao et
    al., arXiv 1710.00478, eq. 7).
    """
    distances = squared_distances(unit_embeddings(embeddings))
    positive, negative = pair_masks(labels)
    farthest = paddle.where(positive, distances, paddle.full_like(distances, -FAR)).max()
    nearest = paddle.where(negative, distances, paddle.full_like(distances, FAR)).min()
    return F.relu(farthest - nearest + margin)  # without a positive or a negative: relu(-FAR) = 0


@in_float32
def batch_hard_triplet(
    embeddings: paddle.Tensor, labels: paddle.Tensor, margin: float = 0.3
) -> paddle.Tensor:
    """Triplet loss of each anchor's farthest positive and nearest negative, on unit rows.

    Distances are not squared (Hermans et al., arXiv 1703.07737, eq. 5 and section 3.1).
    """
    # Below 1e-10 rounding decides the direction: the bound cuts the gradient, which grows as 1 / d there.
    distances = paddle.sqrt(paddle.clip(squared_distances(unit_embeddings(embeddings)), min=1e-10))
    positive, negative = pair_masks(labels)
    farthest = paddle.where(positive, distances, paddle.full_like(distances, -FAR)).max(1)
    nearest = paddle.where(negative, distances, paddle.full_like(distances, FAR)).min(1)
    return valid_mean(F.relu(farthest - nearest + margin), positive, negative)


@in_float32
def eml(embeddings: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
    """Ensemble metric learning loss of each anchor, on raw embeddings (Huang et al., arXiv 1212.6094).

    With P the distance of the farthest positive, Q that of the nearest negative, b = P - Q and
    theta = mean exp(d_p - P) * mean exp(Q - d_n), the loss is ln(1 + beta theta e^b) / ln(1 + beta). Beyond
    b = 20 it continues linearly.
    """
    distances = squared_distances(embeddings)
    positive, negative = pair_masks(labels)
    fill = paddle.full_like(distances, -FAR)
    farthest = paddle.where(positive, distances, fill).max(1, keepdim=True)  # (B, 1)
    nearest = -paddle.where(negative, -distances, fill).max(1, keepdim=True)
    log_theta = log_mean_exp(distances - farthest, positive) + log_mean_exp(nearest - distances, negative)
    gap = (farthest - nearest).squeeze(1)  # (B,)
    bound = paddle.full_like(gap, EML_GAP)
    slope = log_theta + math.log(EML_BETA)
    # softplus(ln(beta theta) + x) = ln(1 + beta theta e^x), without ever forming e^x.
    curve = F.softplus(slope + paddle.minimum(gap, bound)) - F.softplus(slope + bound)
    losses = (curve + slope + paddle.maximum(gap, bound)) / math.log1p(EML_BETA)
    return valid_mean(losses, positive, negative)


@in_float32
def npairs(embeddings: paddle.Tensor, labels: paddle.Tensor, reg_lambda: float = 0.01) -> paddle.Tensor:
    """N-pair loss on raw embeddings (Sohn, NeurIPS 2016, eq. 7 and section 3.2.2).

    Consecutive images of a person in batch order form pairs of anchor and positive; an unpaired image counts
    only in the regulariser. The loss is the cross-entropy of anchors times positives against the equality of
    their labels (rows normalised), plus ``0.5 * reg_lambda * mean ||f||^2`` over the batch.
    """
    penalty = 0.5 * reg_lambda * (embeddings * embeddings).sum(1).mean()
    pairs = anchor_positive_rows(labels.numpy())
    if len(pairs) == 0:
        return penalty
    rows = paddle.to_tensor(pairs, place=embeddings.place)
    similarity = paddle.gather(embeddings, rows[:, 0]) @ paddle.gather(embeddings, rows[:, 1]).t()  # (M, M)
    ids = paddle.gather(labels, rows[:, 0])
    same = (ids.unsqueeze(1) == ids.unsqueeze(0)).cast(similarity.dtype)
    targets = same / same.sum(1, keepdim=True)
    # Not log_softmax: on CPUs Paddle clips logits to 64 below the largest.
    log_probabilities = similarity - paddle.logsumexp(similarity, axis=1, keepdim=True)
    return -(targets * log_probabilities).sum(1).mean() + penalty


@in_float32
def circle(
    embeddings: paddle.Tensor, labels: paddle.Tensor, margin: float = 0.25, scale: float = 128.0
) -> paddle.Tensor:
    """Circle loss of each anchor on unit rows (Sun et al., arXiv 2002.10857, eq. 4 to 8).

    Margin and scale are the paper's for person re-identification (section 4.1).
    """
    unit = unit_embeddings(embeddings)
    similarity = unit @ unit.t()
    positive, negative = pair_masks(labels)
    pull = F.relu(1.0 + margin - similarity).detach()
    push = F.relu(similarity + margin).detach()
    positives = masked_log_sum_exp(-scale * pull * (similarity - (1.0 - margin)), positive)
    negatives = masked_log_sum_exp(scale * push * (similarity - margin), negative)
    return valid_mean(F.softplus(positives + negatives), positive, negative)


def pair_masks(labels: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Return ``(B, B)`` bool masks of other images of the same person and of images of other persons."""
    same = labels.unsqueeze(1) == labels.unsqueeze(0)
    return same & ~paddle.eye(labels.shape[0], dtype="int32").cast("bool"), ~same


def valid_mean(losses: paddle.Tensor, positive: paddle.Tensor, negative: paddle.Tensor) -> paddle.Tensor:
    """Average ``(B,)`` losses over the anchors with a positive and a negative; 0 without any."""
    valid = positive.any(1) & negative.any(1)
    kept = paddle.where(valid, losses, paddle.zeros_like(losses))
    return kept.sum() / paddle.clip(valid.cast(losses.dtype).sum(), min=1.0)


def masked_log_sum_exp(values: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """``(B,)`` ln of the sum of exp over the masked columns of ``(B, B)``; about -FAR without any."""
    return paddle.logsumexp(paddle.where(mask, values, paddle.full_like(values, -FAR)), axis=1)


def log_mean_exp(values: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """``(B,)`` ln of the mean of exp over the masked columns of ``(B, B)``."""
    count = paddle.clip(mask.cast(values.dtype).sum(1), min=1.0)
    return masked_log_sum_exp(values, mask) - paddle.log(count)


def zero_loss(embeddings: paddle.Tensor) -> paddle.Tensor:
    """Return a zero that is connected to the graph, so that ``backward`` gives zero gradients."""
    return (embeddings * 0.0).sum()


def anchor_positive_rows(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``(M, 2)`` rows of anchors and positives: consecutive images of a person, in batch order."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    place = np.arange(len(order)) - np.searchsorted(ordered, ordered)  # within the person
    first = np.flatnonzero((place[:-1] % 2 == 0) & (ordered[:-1] == ordered[1:]))
    pairs = np.stack([order[first], order[first + 1]], axis=1)
    return pairs[np.argsort(pairs[:, 0])]
