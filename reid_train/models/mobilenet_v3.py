"""MobileNetV3 backbones (Howard et al., arXiv 1905.02244), small and large, at five widths.

Inverted residuals with squeeze-and-excitation, designed for mobile CPUs. Parameter names are those of
PaddleClas' checkpoints. In the paper, a 1280-wide layer for the classifier follows the pooling.
Re-identification has the embedding there, so the backbone ends before it.
"""

from __future__ import annotations

from typing import NamedTuple

import paddle
import paddle.nn.functional as F
from paddle import nn

from reid_train.models.depthwise import convolution

__all__ = ["LAYOUTS", "MobileNetV3", "round_channels"]


class MobileUnit(NamedTuple):
    """One row of the paper's tables 1 and 2, at width 1."""

    kernel_size: int
    expanded: int
    out_channels: int
    attention: bool
    activation: str
    stride: int


LAYOUTS = {
    "large": (
        MobileUnit(3, 16, 16, False, "relu", 1),
        MobileUnit(3, 64, 24, False, "relu", 2),
        MobileUnit(3, 72, 24, False, "relu", 1),
        MobileUnit(5, 72, 40, True, "relu", 2),
        MobileUnit(5, 120, 40, True, "relu", 1),
        MobileUnit(5, 120, 40, True, "relu", 1),
        MobileUnit(3, 240, 80, False, "hardswish", 2),
        MobileUnit(3, 200, 80, False, "hardswish", 1),
        MobileUnit(3, 184, 80, False, "hardswish", 1),
        MobileUnit(3, 184, 80, False, "hardswish", 1),
        MobileUnit(3, 480, 112, True, "hardswish", 1),
        MobileUnit(3, 672, 112, True, "hardswish", 1),
        MobileUnit(5, 672, 160, True, "hardswish", 2),
        MobileUnit(5, 960, 160, True, "hardswish", 1),
        MobileUnit(5, 960, 160, True, "hardswish", 1),
    ),
    "small": (
        MobileUnit(3, 16, 16, True, "relu", 2),
        MobileUnit(3, 72, 24, False, "relu", 2),
        MobileUnit(3, 88, 24, False, "relu", 1),
        MobileUnit(5, 96, 40, True, "hardswish", 2),
        MobileUnit(5, 240, 40, True, "hardswish", 1),
        MobileUnit(5, 240, 40, True, "hardswish", 1),
        MobileUnit(5, 120, 48, True, "hardswish", 1),
        MobileUnit(5, 144, 48, True, "hardswish", 1),
        MobileUnit(5, 288, 96, True, "hardswish", 2),
        MobileUnit(5, 576, 96, True, "hardswish", 1),
        MobileUnit(5, 576, 96, True, "hardswish", 1),
    ),
}
FEATURES = {"large": 960, "small": 576}


def round_channels(channels: float, multiple: int) -> int:
    """Round to the nearest multiple that is at least one and loses at most a tenth of ``channels``.

    This is the rule in the MobileNet authors' code for widths other than 1.

    Args:
        channels: number of channels.
        multiple: the result is a multiple of this.

    Returns:
        The rounded number of channels.
    """
    rounded = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * channels else rounded


class MobileConvBN(nn.Layer):
    """Convolution without bias, batch norm, optional activation.

    The batch-norm momentum is Paddle's 0.9. With the paper's 0.99, the statistics still contain their initial
    values after a few hundred iterations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.conv = convolution(in_channels, out_channels, kernel_size, stride=stride, groups=groups)
        self.bn = nn.BatchNorm2D(out_channels)
        self.act = {"relu": nn.ReLU, "hardswish": nn.Hardswish}[activation]() if activation else None

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        x = self.bn(self.conv(x))
        return x if self.act is None else self.act(x)


class MobileSqueezeExcite(nn.Layer):
    """Weights channels by the pooled map (Hu et al., arXiv 1709.01507), with a fourfold reduction."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(channels, channels // 4, 1)
        self.conv2 = nn.Conv2D(channels // 4, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)``, weighted."""
        weights = self.conv2(F.relu(self.conv1(F.adaptive_avg_pool2d(x, 1))))
        # PaddleClas' weights were trained with this slope; the paper's is 1/6.
        return x * F.hardsigmoid(weights, slope=0.2, offset=0.5)


class InvertedResidual(nn.Layer):
    """1x1 expansion, depthwise convolution, optional attention, linear 1x1 projection."""

    def __init__(self, in_channels: int, unit: MobileUnit) -> None:
        super().__init__()
        self.residual = unit.stride == 1 and in_channels == unit.out_channels
        self.expand_conv = MobileConvBN(in_channels, unit.expanded, 1, activation=unit.activation)
        self.bottleneck_conv = MobileConvBN(
            unit.expanded,
            unit.expanded,
            unit.kernel_size,
            stride=unit.stride,
            groups=unit.expanded,
            activation=unit.activation,
        )
        self.mid_se = MobileSqueezeExcite(unit.expanded) if unit.attention else None
        self.linear_conv = MobileConvBN(unit.expanded, unit.out_channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        y = self.bottleneck_conv(self.expand_conv(x))
        if self.mid_se is not None:
            y = self.mid_se(y)
        y = self.linear_conv(y)
        return x + y if self.residual else y


class MobileNetV3(nn.Sequential):
    """A MobileNetV3 without its classifier: ``(B, 3, H, W)`` to ``(B, out_channels, H / 32, W / 32)``.

    Args:
        size: ``large`` or ``small``.
        width: channels relative to the paper's.
        last_stride: stride of the last strided unit; 1 doubles the final height and width.
    """

    head_names = ("last_conv", "fc")

    def __init__(self, size: str, width: float, *, last_stride: int = 2) -> None:
        units = list(LAYOUTS[size])
        last = max(i for i, unit in enumerate(units) if unit.stride == 2)
        units[last] = units[last]._replace(stride=last_stride)
        channels = round_channels(16 * width, 8)
        stem = MobileConvBN(3, channels, 3, stride=2, activation="hardswish")
        blocks = []
        for row in units:
            unit = row._replace(
                expanded=round_channels(row.expanded * width, 8),
                out_channels=round_channels(row.out_channels * width, 8),
            )
            blocks.append(InvertedResidual(channels, unit))
            channels = unit.out_channels
        features = round_channels(FEATURES[size] * width, 8)
        super().__init__(
            ("conv", stem),
            ("blocks", nn.Sequential(*blocks)),
            ("last_second_conv", MobileConvBN(channels, features, 1, activation="hardswish")),
        )
        self.out_channels = features

    def imagenet_head(self, class_dim: int) -> list[tuple[str, nn.Layer]]:
        """Return named layers from the feature map to ``(B, class_dim)`` logits."""
        return [
            ("avg_pool", nn.AdaptiveAvgPool2D(1)),
            ("last_conv", nn.Conv2D(self.out_channels, 1280, 1, bias_attr=False)),
            ("hardswish", nn.Hardswish()),
            ("dropout", nn.Dropout(0.2, mode="downscale_in_infer")),
            ("flatten", nn.Flatten()),
            ("fc", nn.Linear(1280, class_dim)),
        ]
