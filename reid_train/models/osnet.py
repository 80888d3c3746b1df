"""OSNet backbones (Zhou et al., arXiv 1905.00953) at four widths: small networks for re-identification.

OSNet-IBN and OSNet-AIN (arXiv 1910.06827) add instance normalisation, which helps in unseen scenes.

Each block processes its input in four streams of one to four light 3x3 convolutions, that is, at four scales.
A gate shared by all streams weights the scales for each channel. PaddleClas has no OSNet, so parameter names
are those of the authors' checkpoints (torchreid), except for batch-norm statistics, which have Paddle's
names.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import KaimingNormal

from reid_train.models.depthwise import DepthwiseConv2D
from reid_train.models.stem import convolve_stem

__all__ = ["OSNet"]

# Section 3.3 of the paper, table 3: stem and three stages at width 1.
WIDTHS = (64, 256, 384, 512)
SCALES = 4
# Instance norm in the two blocks of each stage; for AIN see table 2 of arXiv 1910.06827.
INSTANCE_NORM = {
    "plain": (("none", "none"),) * 3,
    "ibn": (("outside", "outside"), ("none", "none"), ("none", "none")),
    "ain": (("inside", "inside"), ("none", "inside"), ("inside", "none")),
}
FEATURES = 512  # of the layer before the paper's classifier, at any width


class OSConvBN(nn.Layer):
    """Convolution without bias, batch norm (or instance norm), optional ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        relu: bool = True,
        instance_norm: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            weight_attr=KaimingNormal(),
            bias_attr=False,
        )
        self.bn = nn.InstanceNorm2D(out_channels) if instance_norm else nn.BatchNorm2D(out_channels)
        self._relu = relu
        self._sees_images = in_channels == 3

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        x = self.bn(convolve_stem(self.conv, x) if self._sees_images else self.conv(x))
        return F.relu(x) if self._relu else x


class LightConv3x3(nn.Layer):
    """Linear 1x1 convolution, depthwise 3x3 convolution, batch norm, ReLU (figure 3b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(channels, channels, 1, weight_attr=KaimingNormal(), bias_attr=False)
        self.conv2 = DepthwiseConv2D(channels, 3)
        self.bn = nn.BatchNorm2D(channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return F.relu(self.bn(self.conv2(self.conv1(x))))


class ChannelGate(nn.Layer):
    """The unified aggregation gate (section 3.2): a weight in (0, 1) for each channel of each stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2D(channels, channels // 16, 1)
        self.fc2 = nn.Conv2D(channels // 16, channels, 1)

    def forward(self, streams: list[paddle.Tensor]) -> paddle.Tensor:
        """``S`` maps of ``(B, C, H, W)`` to their gated sum."""
        # One pass over all pooled streams as a (B, C, S, 1) map, since many small operators are slow.
        # paddle2onnx cannot split streams that are concatenated along the batch.
        pooled = paddle.concat([F.adaptive_avg_pool2d(stream, 1) for stream in streams], axis=2)
        weights = F.sigmoid(self.fc2(F.relu(self.fc1(pooled)))).chunk(len(streams), axis=2)
        total = streams[0] * weights[0]
        for i in range(1, len(streams)):  # to_static does not support zip(strict=...)
            total = total + streams[i] * weights[i]
        return total


class OSBlock(nn.Layer):
    """The omni-scale residual block (figure 4).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        instance_norm: none; ``inside``: in place of the batch norm of the residual branch (OSNet-AIN);
            ``outside``: of the sum (OSNet-IBN).
    """

    def __init__(self, in_channels: int, out_channels: int, *, instance_norm: str = "none") -> None:
        super().__init__()
        middle = out_channels // 4
        self.conv1 = OSConvBN(in_channels, middle, 1)
        self.conv2a = LightConv3x3(middle)
        self.conv2b, self.conv2c, self.conv2d = (
            nn.Sequential(*(LightConv3x3(middle) for _ in range(scale))) for scale in range(2, SCALES + 1)
        )
        self.gate = ChannelGate(middle)
        self.conv3 = OSConvBN(middle, out_channels, 1, relu=False, instance_norm=instance_norm == "inside")
        self.IN = nn.InstanceNorm2D(out_channels) if instance_norm == "outside" else None
        self.downsample = (
            OSConvBN(in_channels, out_channels, 1, relu=False) if in_channels != out_channels else None
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H, W)``."""
        y = self.conv1(x)
        y = self.gate([stream(y) for stream in (self.conv2a, self.conv2b, self.conv2c, self.conv2d)])
        total = self.conv3(y) + (x if self.downsample is None else self.downsample(x))
        return F.relu(total if self.IN is None else self.IN(total))


class OSNet(nn.Sequential):
    """An OSNet without its classifier: ``(B, 3, H, W)`` to ``(B, out_channels, H / 16, W / 16)``.

    Args:
        width: channels relative to the paper's.
        variant: ``plain``, ``ibn`` (instance norm in the stem and after the blocks of the first stage) or
            ``ain`` (in the stem and inside the residual branches found by the authors' search).
        last_stride: 1 is the paper's network; 2 pools again before the last stage, for the same height and
            width as the other backbones with 2.
    """

    head_names = ("fc", "classifier")
    style_layers = ("conv2", "conv3")

    def __init__(self, width: float, *, variant: str = "plain", last_stride: int = 1) -> None:
        placement = INSTANCE_NORM[variant]
        stem, *stages = (int(channels * width) for channels in WIDTHS)
        layers: list[tuple[str, nn.Layer]] = [
            ("conv1", OSConvBN(3, stem, 7, stride=2, instance_norm=variant != "plain")),
            ("maxpool", nn.MaxPool2D(3, 2, padding=1)),
        ]
        channels = stem
        for stage, out_channels in enumerate(stages, 2):
            first, second = placement[stage - 2]
            blocks: list[nn.Layer] = [
                OSBlock(channels, out_channels, instance_norm=first),
                OSBlock(out_channels, out_channels, instance_norm=second),
            ]
            channels = out_channels
            if stage < 4:
                blocks.append(nn.Sequential(OSConvBN(channels, channels, 1), nn.AvgPool2D(2, 2)))
            elif last_stride == 2:
                layers.append(("pool4", nn.AvgPool2D(2, 2)))
            layers.append((f"conv{stage}", nn.Sequential(*blocks)))
        super().__init__(*layers, ("conv5", OSConvBN(channels, channels, 1)))
        self.out_channels = channels

    def imagenet_head(self, class_dim: int) -> list[tuple[str, nn.Layer]]:
        """Return named layers from the feature map to ``(B, class_dim)`` logits."""
        return [
            ("avg_pool", nn.AdaptiveAvgPool2D(1)),
            ("flatten", nn.Flatten()),
            (
                "fc",
                nn.Sequential(nn.Linear(self.out_channels, FEATURES), nn.BatchNorm1D(FEATURES), nn.ReLU()),
            ),
            ("classifier", nn.Linear(FEATURES, class_dim)),
        ]
