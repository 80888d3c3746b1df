"""Losses against naive loops in float64, and their gradients at the corners."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    paddle = pytest.importorskip("paddle")
    from reid_train.training.losses import LOSSES, ArcMargin, CenterLoss, Softmax, make_criterion
    from reid_train.training.pair_losses import (
        anchor_positive_rows,
        batch_hard_triplet,
        circle,
        eml,
        npairs,
        quadruplet,
        squared_distances,
        triplet,
    )

Array = NDArray[Any]

# P x K in order, the same shuffled, uneven K with single images, one person, all different, one image.
LABELS = {
    "pk": [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
    "shuffled": [2, 0, 1, 1, 0, 2, 0, 2, 1, 1, 0, 2],
    "uneven": [5, 3, 3, 9, 3, 5, 7, 3, 3, 5],
    "one person": [4, 4, 4, 4],
    "all different": [3, 1, 2, 0],
    "one image": [6],
}


def batch(name: str, scale: float = 1.0, size: int = 8) -> tuple[Array, Array]:
    labels = np.array(LABELS[name])
    embeddings = np.random.default_rng(len(name)).normal(size=(len(labels), size)) * scale
    return embeddings.astype(np.float32), labels


def value_and_gradient(function: Callable[..., Any], embeddings: Array, labels: Array) -> tuple[float, Array]:
    tensor = paddle.to_tensor(embeddings, stop_gradient=False)
    loss = function(tensor, paddle.to_tensor(labels))
    assert loss.shape == []
    loss.backward()
    return float(loss.item()), tensor.grad.numpy()


def unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def others(labels: Array, anchor: int) -> tuple[list[int], list[int]]:
    """Rows of the anchor's positives and negatives."""
    positives = [i for i in range(len(labels)) if labels[i] == labels[anchor] and i != anchor]
    return positives, [i for i in range(len(labels)) if labels[i] != labels[anchor]]


def distance(f: Array, i: int, j: int) -> float:
    return float(((f[i] - f[j]) ** 2).sum())


def naive_triplet(f: Array, labels: Array, margin: float = 0.1) -> float:
    f, losses = unit(f), []
    for a in range(len(f)):
        positives, negatives = others(labels, a)
        losses += [
            max(distance(f, a, p) + margin - distance(f, a, n), 0) for p in positives for n in negatives
        ]
    return float(np.mean(losses)) if losses else 0.0


def naive_quadruplet(f: Array, labels: Array, margin: float = 0.1) -> float:
    f = unit(f)
    positive = [distance(f, a, p) for a in range(len(f)) for p in others(labels, a)[0]]
    negative = [distance(f, a, n) for a in range(len(f)) for n in others(labels, a)[1]]
    return max(max(positive) - min(negative) + margin, 0.0) if positive and negative else 0.0


def naive_batch_hard(f: Array, labels: Array, margin: float = 0.3) -> float:
    f, losses = unit(f), []
    for a in range(len(f)):
        positives, negatives = others(labels, a)
        if positives and negatives:
            far = max(math.sqrt(distance(f, a, p)) for p in positives)
            near = min(math.sqrt(distance(f, a, n)) for n in negatives)
            losses.append(max(far - near + margin, 0))
    return float(np.mean(losses)) if losses else 0.0


def naive_eml(f: Array, labels: Array) -> float:
    beta, gap, losses = 1e5, 20.0, []
    for a in range(len(f)):
        positives, negatives = others(labels, a)
        if not positives or not negatives:
            continue
        dp = np.array([distance(f, a, p) for p in positives])
        dn = np.array([distance(f, a, n) for n in negatives])
        theta = np.mean(np.exp(dp - dp.max())) * np.mean(np.exp(dn.min() - dn))
        b = dp.max() - dn.min()

        def curve(x: float, theta: float = theta) -> float:
            return math.log(1 + beta * theta * math.exp(x)) / math.log(1 + beta)

        def line(x: float, theta: float = theta) -> float:
            return (math.log(theta) + x + math.log(beta)) / math.log(1 + beta)

        losses.append(curve(min(b, gap)) + line(max(b, gap)) - curve(gap))
    return float(np.mean(losses)) if losses else 0.0


def naive_npairs(f: Array, labels: Array, reg_lambda: float = 0.01) -> float:
    waiting: dict[int, int] = {}
    anchors, positives = [], []
    for row, label in enumerate(labels):
        if label in waiting:
            anchors.append(waiting.pop(label))
            positives.append(row)
        else:
            waiting[label] = row
    total = 0.0
    for a in anchors:
        logits = np.array([f[a] @ f[p] for p in positives])
        target = np.array([float(labels[a] == labels[p]) for p in positives])
        peak = logits.max()
        total -= (target / target.sum()) @ (logits - peak - math.log(np.exp(logits - peak).sum()))
    penalty = 0.5 * reg_lambda * np.mean([row @ row for row in f])
    return float(total / max(len(anchors), 1) + penalty)


def naive_circle(f: Array, labels: Array, margin: float = 0.25, scale: float = 128.0) -> float:
    f, losses = unit(f), []
    for a in range(len(f)):
        positives, negatives = others(labels, a)
        if not positives or not negatives:
            continue
        sp, sn = [f[a] @ f[p] for p in positives], [f[a] @ f[n] for n in negatives]
        pull = [-scale * max(1 + margin - s, 0) * (s - (1 - margin)) for s in sp]
        push = [scale * max(s + margin, 0) * (s - margin) for s in sn]
        losses.append(math.log1p(sum(math.exp(v) for v in push) * sum(math.exp(v) for v in pull)))
    return float(np.mean(losses)) if losses else 0.0


PAIR_LOSSES = {
    "triplet": (triplet, naive_triplet),
    "quadruplet": (quadruplet, naive_quadruplet),
    "batch_hard": (batch_hard_triplet, naive_batch_hard),
    "eml": (eml, naive_eml),
    "npairs": (npairs, naive_npairs),
    "circle": (circle, naive_circle),
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_pair_loss_equals_a_naive_loop(loss: str, scale: float, labels: str) -> None:
    function, naive = PAIR_LOSSES[loss]
    embeddings, ids = batch(labels, scale)
    value, gradient = value_and_gradient(function, embeddings, ids)
    assert value == pytest.approx(naive(embeddings.astype(np.float64), ids), rel=2e-5, abs=2e-6)
    assert np.isfinite(gradient).all()


# The circle loss takes its weights for constants in the gradient.
@pytest.mark.parametrize("loss", sorted(PAIR_LOSSES.keys() - {"circle"}))
def test_pair_loss_gradient_equals_finite_differences(loss: str) -> None:
    function, naive = PAIR_LOSSES[loss]
    embeddings, labels = batch("uneven", 0.7, size=3)
    _, gradient = value_and_gradient(function, embeddings, labels)
    wide, step = embeddings.astype(np.float64), 1e-6
    for row, column in np.ndindex(embeddings.shape):
        up, down = wide.copy(), wide.copy()
        up[row, column] += step
        down[row, column] -= step
        slope = (naive(up, labels) - naive(down, labels)) / (2 * step)
        assert gradient[row, column] == pytest.approx(slope, rel=2e-3, abs=2e-4)


# N-pairs takes a person's images two by two in their order.
@pytest.mark.parametrize("loss", sorted(PAIR_LOSSES.keys() - {"npairs"}))
def test_pair_loss_does_not_depend_on_the_order_of_samples(loss: str) -> None:
    function, _ = PAIR_LOSSES[loss]
    embeddings, labels = batch("uneven")
    order = np.random.default_rng(1).permutation(len(labels))
    value, gradient = value_and_gradient(function, embeddings, labels)
    other, moved = value_and_gradient(function, embeddings[order], labels[order])
    assert other == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(moved, gradient[order], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("corner", ["identical", "zero", "huge", "tiny", "one zero row", "opposite"])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_pair_loss_and_gradient_are_finite_in_corners(loss: str, labels: str, corner: str) -> None:
    embeddings, ids = batch(labels)
    if corner == "identical":
        embeddings = np.repeat(embeddings[:1], len(ids), axis=0)
    elif corner == "zero":
        embeddings = np.zeros_like(embeddings)
    elif corner == "huge":
        embeddings = embeddings * np.float32(1e4)
    elif corner == "tiny":
        embeddings = embeddings * np.float32(1e-20)
    elif corner == "one zero row":
        embeddings[0] = 0
    else:
        embeddings = embeddings[:1] * np.where(ids % 2, 1, -1).astype(np.float32)[:, None]
    value, gradient = value_and_gradient(PAIR_LOSSES[loss][0], embeddings, ids)
    assert math.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max(initial=0) < 1e8


@pytest.mark.parametrize("loss", ["triplet", "quadruplet", "batch_hard", "eml", "circle"])
@pytest.mark.parametrize("labels", ["one person", "all different", "one image"])
def test_batch_without_a_comparison_gives_zero_and_no_gradient(loss: str, labels: str) -> None:
    value, gradient = value_and_gradient(PAIR_LOSSES[loss][0], *batch(labels))
    assert value == 0.0
    assert not gradient.any()


def test_eml_far_behind_the_bend_is_a_straight_line() -> None:
    # Positives 100 apart, negatives at 0: b = 1e4, theta = 1; F(20) and A(20) are one to 1e-10.
    embeddings = np.array([[0.0], [100.0], [0.0], [100.0]], np.float32)
    value, _ = value_and_gradient(eml, embeddings, np.array([0, 0, 1, 1]))
    theta = (1 + math.exp(-1e4)) / 2  # one positive; negatives at 0 and 1e4
    assert value == pytest.approx((math.log(theta) + 1e4 + math.log(1e5)) / math.log(1 + 1e5), rel=1e-6)


def test_squared_distances_keep_small_differences_far_from_the_origin() -> None:
    embeddings = np.array([[1000.0, 1000.0], [1000.25, 1000.0]], np.float32)
    assert squared_distances(paddle.to_tensor(embeddings)).numpy()[0, 1] == 0.0625


def test_pairs_are_taken_two_by_two_within_each_person() -> None:
    labels = np.array([7, 3, 7, 3, 3, 7, 7, 9, 3, 3])
    np.testing.assert_array_equal(anchor_positive_rows(labels), [[0, 2], [1, 3], [4, 8], [5, 6]])
    assert anchor_positive_rows(np.array([1, 2, 3])).shape == (0, 2)
    assert anchor_positive_rows(np.zeros(0, np.int64)).shape == (0, 2)


def cross_entropy(logits: Array, labels: Array, smoothing: float) -> float:
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        log_probabilities = row - row.max() - math.log(np.exp(row - row.max()).sum())
        target = np.full(len(row), smoothing / len(row))
        target[label] += 1 - smoothing
        total -= target @ log_probabilities
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_equals_a_naive_loop(smoothing: float) -> None:
    paddle.seed(1)
    layer = Softmax(8, 10, label_smoothing=smoothing)
    embeddings, labels = batch("uneven", 3.0)
    weight, bias = (p.numpy().astype(np.float64) for p in (layer.linear.weight, layer.linear.bias))
    value, _ = value_and_gradient(layer, embeddings, labels)
    assert value == pytest.approx(cross_entropy(embeddings @ weight + bias, labels, smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("easy", [False, True])
@pytest.mark.parametrize(("scale", "margin"), [(80.0, 0.15), (32.0, 0.5), (80.0, 1.5)])
def test_arcmargin_equals_a_naive_loop(scale: float, margin: float, easy: bool, smoothing: float) -> None:
    paddle.seed(2)
    layer = ArcMargin(3, 10, scale=scale, margin=margin, easy_margin=easy, label_smoothing=smoothing)
    embeddings, labels = batch("uneven", 3.0, size=3)
    # Cosines on both sides of the bend: exactly along and against the class' direction, too.
    weight = layer.weight.numpy().astype(np.float64)
    embeddings[0] = weight[:, labels[0]]
    embeddings[1] = -weight[:, labels[1]]
    logits = unit(embeddings.astype(np.float64)) @ unit(weight.T).T
    bends = set()
    for row, label in enumerate(labels):
        cos = logits[row, label]
        sine = math.sqrt(max(1 - cos * cos, 0) + 1e-6)
        phi = cos * math.cos(margin) - sine * math.sin(margin)
        bends.add(cos > (0 if easy else math.cos(math.pi - margin)))
        if easy:
            logits[row, label] = phi if cos > 0 else cos
        else:
            threshold = math.cos(math.pi - margin)
            logits[row, label] = phi if cos > threshold else cos - margin * math.sin(math.pi - margin)
    assert bends == {True, False}
    value, gradient = value_and_gradient(layer, embeddings, labels)
    assert value == pytest.approx(cross_entropy(scale * logits, labels, smoothing), rel=2e-5, abs=1e-4)
    assert np.isfinite(gradient).all()
    assert np.isfinite(layer.weight.grad.numpy()).all()


def test_arcmargin_is_finite_for_zero_embeddings_and_zero_weights() -> None:
    layer = ArcMargin(4, 3)
    layer.weight.set_value(np.zeros((4, 3), np.float32))
    value, gradient = value_and_gradient(layer, np.zeros((2, 4), np.float32), np.array([0, 2]))
    assert math.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.isfinite(layer.weight.grad.numpy()).all()


def test_arcmargin_margin_of_a_schedule_overrides_the_layers() -> None:
    paddle.seed(3)
    layer = ArcMargin(8, 10, margin=0.4)
    plain = ArcMargin(8, 10, margin=0.1)
    plain.weight.set_value(layer.weight)
    embeddings, labels = batch("uneven")
    scheduled = layer(paddle.to_tensor(embeddings), paddle.to_tensor(labels), margin=0.1)
    assert scheduled.item() == plain(paddle.to_tensor(embeddings), paddle.to_tensor(labels)).item()


def test_center_loss_measures_then_moves_the_centres_of_the_batch() -> None:
    layer = CenterLoss(2, 4, rate=0.5)
    start = np.array([[1.0, 0], [0, 1], [5, 5], [0, 0]], np.float32)
    layer.centers.set_value(start)
    embeddings = np.array([[2.0, 0], [4, 0], [0, 0]], np.float32)
    value, gradient = value_and_gradient(layer, embeddings, np.array([0, 0, 1]))
    assert value == pytest.approx(0.5 * (1 + 9 + 1) / 3)
    np.testing.assert_allclose(gradient, (embeddings - start[[0, 0, 1]]) / 3, rtol=1e-6)
    # Class 0: ((1 - 2) + (1 - 4)) / (1 + 2) = -4/3; class 1: (1 - 0) / (1 + 1) = 1/2; half of it each.
    np.testing.assert_allclose(layer.centers.numpy(), [[1 + 2 / 3, 0], [0, 0.75], [5, 5], [0, 0]], rtol=1e-6)
    layer.eval()
    before = layer.centers.numpy()
    layer(paddle.to_tensor(embeddings), paddle.to_tensor(np.array([0, 0, 1])))
    np.testing.assert_array_equal(layer.centers.numpy(), before)
    assert list(layer.state_dict()) == ["centers"]
    assert not layer.parameters()


@pytest.mark.parametrize("name", LOSSES)
def test_every_name_of_the_command_line_builds_a_loss_that_learns(name: str) -> None:
    paddle.seed(0)
    criterion = make_criterion(name, 8, 10)
    embeddings, labels = batch("uneven")
    value, gradient = value_and_gradient(criterion, embeddings, labels)
    assert value > 0
    assert np.abs(gradient).max() > 0
    assert bool(criterion.state_dict()) == LOSSES[name].classes


def test_flags_reach_their_loss() -> None:
    arc = make_criterion("arcmargin", 8, 10, arc_scale=64, arc_margin=0.3, arc_easy_margin=True)
    assert (arc.scale, arc.margin, arc.easy_margin) == (64, 0.3, True)
    embeddings, labels = batch("uneven")
    value, _ = value_and_gradient(make_criterion("triplet", 8, 0, margin=0.7), embeddings, labels)
    assert value == pytest.approx(naive_triplet(embeddings.astype(np.float64), labels, 0.7), rel=1e-5)
    value, _ = value_and_gradient(make_criterion("npairs", 8, 0, npairs_reg_lambda=0.2), embeddings, labels)
    assert value == pytest.approx(naive_npairs(embeddings.astype(np.float64), labels, 0.2), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("contrastive", {}, "loss_name must be one of softmax, "),
        ("arcmargin", {"arc_scale": 0}, "arc_scale must be above 0, got 0"),
        ("arcmargin", {"arc_margin": 4.0}, "radians"),
        ("triplet", {"margin": -1}, "margin must be at least 0, got -1"),
        ("softmax", {"label_smoothing": 1.0}, "label_smoothing must be in"),
        ("npairs", {"npairs_reg_lambda": math.nan}, "npairs_reg_lambda"),
    ],
)
def test_bad_flags_are_named(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_criterion(name, 8, 10, **options)


def test_class_losses_need_classes() -> None:
    with pytest.raises(ValueError, match="class_dim must be at least 1 for softmax, got 0"):
        make_criterion("softmax", 8, 0)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_embeddings_are_computed_in_float32(name: str) -> None:
    criterion = make_criterion(name, 8, 10)
    embeddings, labels = batch("uneven", 30.0)
    half = paddle.to_tensor(embeddings).cast("float16")
    loss = criterion(half, paddle.to_tensor(labels))
    assert loss.dtype == paddle.float32
    assert math.isfinite(loss.item())
