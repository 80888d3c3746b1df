from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from reid_train.models import build_backbone, depthwise
from reid_train.models.depthwise import (
    DepthwiseConv2D,
    depthwise_by_bands,
    depthwise_by_matrices,
    tap_selection,
)

GEOMETRIES = [
    (4, 4, 3, 1),
    (4, 4, 5, 1),
    (8, 4, 5, 2),
    (7, 3, 3, 2),
    (2, 2, 5, 1),
    (1, 1, 3, 2),
    (5, 1, 3, 1),
]


def gradients_of(output, *values):
    direction = np.random.default_rng(1).standard_normal(output.shape).astype(np.float32)
    for value in values:
        value.clear_gradient()
    output.backward(paddle.to_tensor(direction))
    return [value.grad.numpy() for value in values]


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(("height", "width", "kernel", "stride"), GEOMETRIES)
def test_the_matrices_convolve_as_the_operator_does(height, width, kernel, stride):
    rng = np.random.default_rng(0)
    x = paddle.to_tensor(rng.standard_normal((3, 6, height, width), np.float32), stop_gradient=False)
    weight = paddle.to_tensor(rng.standard_normal((6, 1, kernel, kernel), np.float32), stop_gradient=False)
    wanted = F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=6)
    wanted_gradients = gradients_of(wanted, x, weight)
    found = depthwise_by_matrices(x, weight, stride)
    assert found.shape == wanted.shape
    assert_close(found.numpy(), wanted.numpy())
    for gradient, wanted_gradient in zip(gradients_of(found, x, weight), wanted_gradients, strict=True):
        assert_close(gradient, wanted_gradient)


@pytest.mark.parametrize(
    ("height", "width", "kernel"),
    [(8, 4, 3), (9, 5, 3), (7, 6, 5), (1, 3, 3), (3, 2, 3), (4, 1, 5), (5, 2, 5), (32, 16, 3)],
)
def test_the_bands_convolve_as_the_operator_does(height, width, kernel):
    rng = np.random.default_rng(0)
    x = paddle.to_tensor(rng.standard_normal((3, 6, height, width), np.float32), stop_gradient=False)
    weight = paddle.to_tensor(rng.standard_normal((6, 1, kernel, kernel), np.float32), stop_gradient=False)
    wanted = F.conv2d(x, weight, padding=kernel // 2, groups=6)
    wanted_gradients = gradients_of(wanted, x, weight)
    found = depthwise_by_bands(x, weight)
    assert found.shape == wanted.shape
    assert_close(found.numpy(), wanted.numpy())
    for gradient, wanted_gradient in zip(gradients_of(found, x, weight), wanted_gradients, strict=True):
        assert_close(gradient, wanted_gradient)


@pytest.mark.parametrize(
    ("shape", "training", "stride", "bands"),
    [
        ((12, 2, 32, 16), True, 1, True),
        ((12, 2, 32, 16), False, 1, False),  # an export has the plain operator
        ((12, 2, 32, 16), True, 2, False),
        ((11, 2, 32, 16), True, 1, False),  # the matrix would be larger than the maps
        ((64, 2, 32, 33), True, 1, False),
    ],
)
def test_larger_maps_of_a_training_batch_go_through_bands(monkeypatch, shape, training, stride, bands):
    used = []
    plain = depthwise.depthwise_by_bands
    monkeypatch.setattr(depthwise, "depthwise_by_bands", lambda *a: used.append(1) or plain(*a))
    layer = DepthwiseConv2D(2, 3, stride=stride)
    layer.train() if training else layer.eval()
    x = paddle.randn(shape)
    y = layer(x)
    assert bool(used) == bands
    expected = F.conv2d(x, layer.weight, stride=stride, padding=1, groups=2)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), atol=1e-5)


def test_the_selection_of_a_row_of_three_is_written_out():
    # Inputs 0 1 2, outputs 0 1 2, taps of the middle row of a 3x3 kernel: 3 left, 4 middle, 5 right.
    taps = [[4, 3, None], [5, 4, 3], [None, 5, 4]]
    selection = tap_selection(1, 3, 3, 1).reshape(9, 3, 3)
    for source, row in enumerate(taps):
        for target, tap in enumerate(row):
            assert np.flatnonzero(selection[:, source, target]).tolist() == ([] if tap is None else [tap])


@pytest.mark.parametrize(
    ("shape", "training", "matrices"),
    [
        ((4, 2, 4, 4), True, True),
        ((4, 2, 4, 4), False, False),
        ((3, 2, 4, 4), True, False),  # 16 pixels are more than 4 an image
        ((80, 2, 16, 16), True, False),  # matrices of 256 x 256
    ],
)
def test_small_maps_of_a_training_batch_go_through_matrices(monkeypatch, shape, training, matrices):
    used = []
    plain = depthwise.depthwise_by_matrices
    monkeypatch.setattr(depthwise, "depthwise_by_matrices", lambda *a: used.append(1) or plain(*a))
    layer = DepthwiseConv2D(2, 3)
    layer.train() if training else layer.eval()
    x = paddle.randn(shape)
    y = layer(x)
    assert bool(used) == matrices
    np.testing.assert_allclose(y.numpy(), F.conv2d(x, layer.weight, padding=1, groups=2).numpy(), atol=1e-5)
    assert [*layer.state_dict()] == ["weight"]


@pytest.mark.parametrize("name", ["MobileNetV3_small_x0_35", "GhostNet_x0_5", "OSNet_x0_25"])
def test_a_network_trains_to_the_same_gradients(monkeypatch, name):
    images = np.random.default_rng(0).standard_normal((16, 3, 64, 32), np.float32)
    # Rounding alone moves values across ReLU's kink, and then gradients differ by a per cent.
    monkeypatch.setattr(F, "relu", F.silu)
    found = {}
    for largest in (depthwise.LARGEST_MATRIX, 0):
        monkeypatch.setattr(depthwise, "LARGEST_MATRIX", largest)
        if not largest:
            monkeypatch.setattr(depthwise, "WIDEST_BAND", 0)
        paddle.seed(0)
        network = build_backbone(name)
        output = network(paddle.to_tensor(images))
        values = [value for value in network.parameters() if not value.stop_gradient]
        flat = np.concatenate([gradient.ravel() for gradient in gradients_of(output, *values)])
        found[largest] = output.numpy(), flat
    (output, gradients), (wanted, wanted_gradients) = found.values()
    assert_close(output, wanted)
    # As a whole: a bias in front of another batch norm has a gradient of zero, all of it rounding.
    error = np.linalg.norm(gradients - wanted_gradients) / np.linalg.norm(wanted_gradients)
    assert 0 < error < 1e-5
