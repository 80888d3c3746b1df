"""GhostNet backbones (Han et al., arXiv 1911.11907) at three widths.

Half of each feature map comes from a 1x1 convolution, the other half ("ghosts") from a cheap 3x3 depthwise
convolution over the first half. Parameter names are those of PaddleClas' checkpoints. In the paper, a
1280-wide layer for the classifier follows the pooling. Re-identification has the embedding there, so the
backbone ends before it.
"""

from __future__ import annotations

from typing import NamedTuple

import paddle
import paddle.nn.functional as F
from paddle import nn

from reid_train.models.depthwise import convolution
from reid_train.models.mobilenet_v3 import round_channels

__all__ = ["LAYOUT", "GhostNet"]


class GhostUnit(NamedTuple):
    """One row of the paper's table 1, at width 1."""

    kernel_size: int
    expanded: int
    out_channels: int
    attention: bool
    stride: int


LAYOUT = (
    GhostUnit(3, 16, 16, False, 1),
    GhostUnit(3, 48, 24, False, 2),
    GhostUnit(3, 72, 24, False, 1),
    GhostUnit(5, 72, 40, True, 2),
    GhostUnit(5, 120, 40, True, 1),
    GhostUnit(3, 240, 80, False, 2),
    GhostUnit(3, 200, 80, False, 1),
    GhostUnit(3, 184, 80, False, 1),
    GhostUnit(3, 184, 80, False, 1),
    GhostUnit(3, 480, 112, True, 1),
    GhostUnit(3, 672, 112, True, 1),
    GhostUnit(5, 672, 160, True, 2),
    GhostUnit(5, 960, 160, False, 1),
    GhostUnit(5, 960, 160, True, 1),
    GhostUnit(5, 960, 160, False, 1),
    GhostUnit(5, 960, 160, True, 1),
)


class GhostConvBN(nn.Layer):
    """Convolution without bias, batch norm, optional ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        relu: bool = False,
    ) -> None:
        super().__init__()
        self._conv = convolution(in_channels, out_channels, kernel_size, stride=stride, groups=groups)
        self._batch_norm = nn.BatchNorm2D(out_channels)
        self._relu = relu

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        x = self._batch_norm(self._conv(x))
        return F.relu(x) if self._relu else x


class GhostModule(nn.Layer):
    """Computes ``out_channels`` maps, the second half from the first."""

    def __init__(self, in_channels: int, out_channels: int, *, relu: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.primary_conv = GhostConvBN(in_channels, half, 1, relu=relu)
        self.cheap_operation = GhostConvBN(half, half, 3, groups=half, relu=relu)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H, W)``."""
        x = self.primary_conv(x)
        return paddle.concat([x, self.cheap_operation(x)], axis=1)


class GhostSqueezeExcite(nn.Layer):
    """Weights channels by the pooled map (Hu et al., arXiv 1709.01507), with a fourfold reduction."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 4)
        # A clip has no gradient outside its range: start every weight in the middle.
        self.excitation = nn.Linear(channels // 4, channels, bias_attr=nn.initializer.Constant(0.5))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)``, weighted."""
        weights = self.excitation(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1).flatten(1))))
        return x * paddle.clip(weights, 0.0, 1.0).unsqueeze([2, 3])


class GhostBottleneck(nn.Layer):
    """Ghost expansion, depthwise convolution if the stride is 2, attention, ghost projection."""

    def __init__(self, in_channels: int, unit: GhostUnit, *, stride: int) -> None:
        super().__init__()
        expanded, kernel_size = unit.expanded, unit.kernel_size
        self.ghost_module_1 = GhostModule(in_channels, expanded, relu=True)
        # Depends on the paper's stride, so that last_stride 1 has the same parameters.
        self.depthwise_conv = (
            GhostConvBN(expanded, expanded, kernel_size, stride=stride, groups=expanded)
            if unit.stride == 2
            else None
        )
        self.se_block = GhostSqueezeExcite(expanded) if unit.attention else None
        self.ghost_module_2 = GhostModule(expanded, unit.out_channels, relu=False)
        self.projected = unit.stride == 2 or in_channels != unit.out_channels
        if self.projected:
            self.shortcut_depthwise = GhostConvBN(
                in_channels, in_channels, kernel_size, stride=stride, groups=in_channels
            )
            self.shortcut_conv = GhostConvBN(in_channels, unit.out_channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        y = self.ghost_module_1(x)
        if self.depthwise_conv is not None:
            y = self.depthwise_conv(y)
        if self.se_block is not None:
            y = self.se_block(y)
        y = self.ghost_module_2(y)
        if self.projected:
            x = self.shortcut_conv(self.shortcut_depthwise(x))
        return x + y


class GhostNet(nn.Sequential):
    """A GhostNet without its classifier: ``(B, 3, H, W)`` to ``(B, out_channels, H / 32, W / 32)``.

    Args:
        width: channels relative to the paper's.
        last_stride: stride of the last strided unit; 1 doubles the final height and width.
    """

    head_names = ("fc_0", "fc_1")

    def __init__(self, width: float, *, last_stride: int = 2) -> None:
        last = max(i for i, unit in enumerate(LAYOUT) if unit.stride == 2)
        channels = round_channels(16 * width, 4)
        layers: list[tuple[str, nn.Layer]] = [("conv1", GhostConvBN(3, channels, 3, stride=2, relu=True))]
        for i, row in enumerate(LAYOUT):
            unit = row._replace(
                expanded=round_channels(row.expanded * width, 4),
                out_channels=round_channels(row.out_channels * width, 4),
            )
            stride = last_stride if i == last else unit.stride
            layers.append((f"_ghostbottleneck_{i}", GhostBottleneck(channels, unit, stride=stride)))
            channels = unit.out_channels
        features = round_channels(LAYOUT[-1].expanded * width, 4)
        super().__init__(*layers, ("conv_last", GhostConvBN(channels, features, 1, relu=True)))
        self.out_channels = features

    def imagenet_head(self, class_dim: int) -> list[tuple[str, nn.Layer]]:
        """Return named layers from the feature map to ``(B, class_dim)`` logits."""
        return [
            ("pool2d_gap", nn.AdaptiveAvgPool2D(1)),
            ("fc_0", GhostConvBN(self.out_channels, 1280, 1, relu=True)),
            ("dropout", nn.Dropout(0.2)),
            ("flatten", nn.Flatten()),
            ("fc_1", nn.Linear(1280, class_dim)),
        ]
