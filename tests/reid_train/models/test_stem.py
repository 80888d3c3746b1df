from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from reid_train.models import build_backbone
from reid_train.models.stem import convolve_stem, weight_gradient


@pytest.mark.parametrize(
    ("height", "width", "kernel", "stride"), [(12, 8, 7, 2), (7, 5, 3, 2), (9, 6, 3, 1), (1, 2, 7, 2)]
)
def test_the_weights_gradient_is_the_operators(height, width, kernel, stride):
    rng = np.random.default_rng(0)
    x = paddle.to_tensor(rng.standard_normal((3, 3, height, width), np.float32))
    weight = paddle.to_tensor(rng.standard_normal((4, 3, kernel, kernel), np.float32), stop_gradient=False)
    y = F.conv2d(x, weight, stride=stride, padding=kernel // 2)
    direction = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(paddle.to_tensor(direction))
    found = weight_gradient(x.numpy(), direction, kernel, stride, kernel // 2)
    np.testing.assert_allclose(found, weight.grad.numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("input_gradient", [False, True])
def test_the_layer_gives_the_operators_output_and_gradients(input_gradient):
    paddle.seed(0)
    layer = nn.Conv2D(3, 4, 7, stride=2, padding=3, bias_attr=False)
    x = paddle.randn([2, 3, 16, 8])
    x.stop_gradient = not input_gradient
    y = convolve_stem(layer, x)
    (y * y).sum().backward()
    found = layer.weight.grad.numpy()
    layer.clear_gradients()
    wanted = F.conv2d(x, layer.weight, stride=2, padding=3)
    (wanted * wanted).sum().backward()
    np.testing.assert_array_equal(y.numpy(), wanted.numpy())
    np.testing.assert_allclose(found, layer.weight.grad.numpy(), rtol=1e-4, atol=1e-3)
    assert (x.grad is None) != input_gradient


def test_osnet_names_its_stem_as_the_papers_checkpoints_do():
    assert "conv1.conv.weight" in build_backbone("OSNet_x0_25").state_dict()
