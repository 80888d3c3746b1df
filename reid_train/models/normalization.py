"""Normalisation and pooling that help a network in scenes it was not trained on.

Instance normalisation uses each image's own statistics, which removes brightness and colour of a camera.
Everywhere it would also remove what distinguishes people, so published networks use it in early layers or
on half of the channels. MixStyle blends the statistics of images in training, as more cameras would.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Constant

__all__ = ["GeneralizedMeanPool", "InstanceBatchNorm", "mix_style", "mix_styles"]


class InstanceBatchNorm(nn.Layer):
    """IBN-a: instance norm of the first half of the channels, batch norm of the rest (arXiv 1807.09441).

    Parameters are named as in the authors' checkpoints (``IN`` and ``BN``).

    Args:
        channels: C of the ``(B, C, H, W)`` input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.IN = nn.InstanceNorm2D(self.half)
        self.BN = nn.BatchNorm2D(channels - self.half)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to the same shape."""
        first, second = paddle.split(x, [self.half, x.shape[1] - self.half], axis=1)
        return paddle.concat([self.IN(first), self.BN(second)], axis=1)


class GeneralizedMeanPool(nn.Layer):
    """GeM: ``mean(x ** p) ** (1 / p)`` over each map, p learned from 3 (Radenovic et al., arXiv 1711.02512).

    Between average (p = 1) and maximum pooling. Values below ``epsilon`` count as ``epsilon``.
    """

    epsilon = 1e-6

    def __init__(self) -> None:
        super().__init__()
        self.p = self.create_parameter([1], default_initializer=Constant(3.0))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C, 1, 1)``."""
        powers = paddle.pow(paddle.clip(x, min=self.epsilon), self.p)
        return paddle.pow(F.adaptive_avg_pool2d(powers, 1), 1.0 / self.p)


def mix_styles(backbone: nn.Layer, probability: float) -> None:
    """Apply `mix_style` after the first two stages of a backbone, in training mode only.

    Parameters and their names stay as they are.

    Args:
        backbone: an OSNet or a ResNet.
        probability: of blending, for each stage and batch.

    Raises:
        ValueError: the backbone does not say where its stages end.
    """
    names = getattr(backbone, "style_layers", ())
    if not names:
        raise ValueError(f"mixstyle needs an OSNet or a ResNet, got {type(backbone).__name__}")
    layers = dict(backbone.named_sublayers())
    for name in names:
        layers[name].register_forward_post_hook(
            lambda layer, _, output: mix_style(output, probability) if layer.training else output
        )


def mix_style(x: paddle.Tensor, probability: float, alpha: float = 0.1) -> paddle.Tensor:
    """Blend the channel statistics of each image with those of another (Zhou et al., arXiv 2104.02008).

    Randomness is Paddle's, which the trainer seeds for each iteration.

    Args:
        x: ``(B, C, H, W)``.
        probability: of blending at all.
        alpha: both parameters of the Beta distribution of the blend; the paper's 0.1 stays close to one
            of the two images.

    Returns:
        The same shape. Statistics are constants to the gradient, as in the paper.
    """
    if paddle.rand([1]).item() >= probability:
        return x
    with paddle.no_grad():
        mean = x.mean(axis=[2, 3], keepdim=True)
        deviation = paddle.sqrt(x.var(axis=[2, 3], keepdim=True) + 1e-6)
        blend = paddle.distribution.Beta(alpha, alpha).sample([x.shape[0]]).reshape([-1, 1, 1, 1])
        order = paddle.randperm(x.shape[0])
        mixed_mean = blend * mean + (1 - blend) * mean[order]
        scale = (blend * deviation + (1 - blend) * deviation[order]) / deviation
    return (x - mean) * scale + mixed_mean
