"""ResNet and ResNet_vd backbones (He et al., arXiv 1512.03385; He et al., arXiv 1812.01187).

The ``vd`` form ("bag of tricks", model D) replaces the 7x7 stem by three 3x3 convolutions and moves the
stride of each shortcut from its 1x1 convolution into an average pooling, so that no activation is discarded.
Parameter names are those of PaddleClas' checkpoints, so its ImageNet weights load by name. IBN-a (Pan et al.,
arXiv 1807.09441) normalises half of the channels by instance in the first three stages.
"""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn.initializer import Constant

from reid_train.models.normalization import InstanceBatchNorm

__all__ = ["DEPTHS", "ResNet"]

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)


class ResNetConvBN(nn.Layer):
    """Optional average pooling (``pool``), convolution without bias, batch norm, optional ReLU.

    With ``zero_init`` the initial output is 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        relu: bool = True,
        pool: int = 1,
        zero_init: bool = False,
        ibn: bool = False,
    ) -> None:
        super().__init__()
        self.pool = nn.AvgPool2D(pool, pool, ceil_mode=True) if pool > 1 else None
        self.conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            bias_attr=False,
        )
        if ibn:
            self.bn = InstanceBatchNorm(out_channels)
        else:
            self.bn = nn.BatchNorm2D(out_channels, weight_attr=Constant(0.0) if zero_init else None)
        self.relu = nn.ReLU() if relu else None

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        if self.pool is not None:
            x = self.pool(x)
        x = self.bn(self.conv(x))
        return x if self.relu is None else self.relu(x)


class Block(nn.Layer):
    """A residual block: basic (two 3x3) or bottleneck (1x1, 3x3, 1x1 with four times the width).

    The last batch norm starts at zero, so a fresh block is the identity (Goyal et al., arXiv 1706.02677,
    section 5.1). With it, ResNet50_vd from scratch reaches mAP 43 instead of 25 after 9,600 images
    (benchmarks/reid/README.md, lessons).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        bottleneck: bool,
        vd: bool,
        first: bool,
        ibn: bool = False,
    ) -> None:
        super().__init__()
        out_channels = width * 4 if bottleneck else width
        if bottleneck:
            self.conv0 = ResNetConvBN(in_channels, width, 1, ibn=ibn)
            self.conv1 = ResNetConvBN(width, width, 3, stride=stride)
            self.conv2 = ResNetConvBN(width, out_channels, 1, relu=False, zero_init=True)
        else:
            self.conv0 = ResNetConvBN(in_channels, width, 3, stride=stride, ibn=ibn)
            self.conv1 = ResNetConvBN(width, out_channels, 3, relu=False, zero_init=True)
        self.bottleneck = bottleneck
        # PaddleClas projects the shortcut of the first block at any depth; the paper does not at 18 and 34.
        if in_channels == out_channels and stride == 1 and not first:
            self.short = None
        else:
            # The first block has nothing to pool: its stride is 1.
            pool = stride if vd and not first else 1
            self.short = ResNetConvBN(
                in_channels, out_channels, 1, stride=1 if vd else stride, relu=False, pool=pool
            )
        self.relu = nn.ReLU()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        y = self.conv1(self.conv0(x))
        if self.bottleneck:
            y = self.conv2(y)
        return self.relu(y + (x if self.short is None else self.short(x)))


class ResNet(nn.Layer):
    """A ResNet without its classifier.

    Args:
        depth: 18, 34, 50, 101 or 152.
        vd: the ``vd`` form.
        ibn: IBN-a in all stages but the last.
        last_stride: stride of the last stage; 1 doubles the height and width of the feature map, which helps
            re-identification (Luo et al., arXiv 1903.07071).
    """

    head_names = ("fc",)

    def __init__(self, depth: int, *, vd: bool, ibn: bool = False, last_stride: int = 2) -> None:
        super().__init__()
        bottleneck = depth >= 50
        if vd:
            stem = [ResNetConvBN(3, 32, 3, stride=2), ResNetConvBN(32, 32, 3), ResNetConvBN(32, 64, 3)]
        else:
            stem = [ResNetConvBN(3, 64, 7, stride=2)]
        self.stem = nn.Sequential(*stem)
        self.max_pool = nn.MaxPool2D(3, 2, padding=1)
        blocks: list[nn.Layer] = []
        channels = 64
        for stage, (count, width) in enumerate(zip(DEPTHS[depth], WIDTHS, strict=True)):
            for i in range(count):
                stride = 1 if i or stage == 0 else (last_stride if stage == 3 else 2)
                blocks.append(
                    Block(
                        channels,
                        width,
                        stride,
                        bottleneck=bottleneck,
                        vd=vd,
                        first=not blocks,
                        ibn=ibn and stage < 3,
                    )
                )
                channels = width * 4 if bottleneck else width
        self.blocks = nn.Sequential(*blocks)
        first, second = DEPTHS[depth][:2]
        self.style_layers = (f"blocks.{first - 1}", f"blocks.{first + second - 1}")
        self.out_channels = channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, 3, H, W)`` to ``(B, out_channels, H / 32, W / 32)`` (/ 16 with last_stride 1)."""
        return self.blocks(self.max_pool(self.stem(x)))

    def imagenet_head(self, class_dim: int) -> list[tuple[str, nn.Layer]]:
        """Return named layers from the feature map to ``(B, class_dim)`` logits."""
        return [
            ("avg_pool", nn.AdaptiveAvgPool2D(1)),
            ("flatten", nn.Flatten()),
            ("fc", nn.Linear(self.out_channels, class_dim)),
        ]
