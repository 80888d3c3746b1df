"""Depthwise convolution that trains fast on CPUs.

Paddle's kernel calls a matrix product of one row for each image and channel, forward and backward. On
the small maps of a network's later stages that costs far more than the arithmetic: 5x5 over 960 channels
of 4x4 pixels takes 103 ms for 16 images. There the convolution of a channel is a small matrix
from input to output pixels, and the whole batch goes through it in one product: 2.5 ms.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.nn.initializer import KaimingNormal

__all__ = ["DepthwiseConv2D", "convolution", "depthwise_by_matrices", "tap_selection"]

# Values of a channel's matrix; more of them than this take more memory than time is won.
LARGEST_MATRIX = 128 * 128
# The matrices are made once a batch: that pays when a map has at most so many pixels an image.
PIXELS_PER_IMAGE = 4


class DepthwiseConv2D(nn.Conv2D):
    """``nn.Conv2D`` with one input channel a group, without bias; the same parameters and results.

    Args:
        channels: of input and output.
        kernel_size: odd; the padding is half of it.
        stride: of both sides.
        weight_attr: as for ``nn.Conv2D``.
    """

    def __init__(self, channels: int, kernel_size: int, *, stride: int = 1) -> None:
        super().__init__(
            channels,
            channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=channels,
            # Paddle's default counts all input channels, though a group reads its own only.
            weight_attr=KaimingNormal(),
            bias_attr=False,
        )
        self.step = stride

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``(B, C, H, W)`` to ``(B, C, H', W')``."""
        return _convolve(self, x)


def convolution(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2D:
    """A convolution without bias that keeps the size at stride 1, in the form that trains fastest."""
    if groups == in_channels == out_channels:
        return DepthwiseConv2D(in_channels, kernel_size, stride=stride)
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        weight_attr=KaimingNormal(),
        bias_attr=False,
    )


@paddle.jit.not_to_static  # type: ignore[untyped-decorator]
def _convolve(layer: DepthwiseConv2D, x: paddle.Tensor) -> paddle.Tensor:
    # Only in training: an export has the plain operator, which inference engines know.
    if layer.training and x.place.is_cpu_place():
        batch, _, height, width = x.shape
        outputs = -(-height // layer.step) * -(-width // layer.step)
        if height * width <= PIXELS_PER_IMAGE * batch and height * width * outputs <= LARGEST_MATRIX:
            return depthwise_by_matrices(x, layer.weight, layer.step)
    return nn.Conv2D.forward(layer, x)


def depthwise_by_matrices(x: paddle.Tensor, weight: paddle.Tensor, stride: int) -> paddle.Tensor:
    """Convolve each channel by a product with the matrix that its kernel is.

    Args:
        x: ``(B, C, H, W)``.
        weight: ``(C, 1, k, k)``, k odd; the padding is half of it.
        stride: of both sides.

    Returns:
        ``(B, C, H', W')`` with sides divided by the stride and rounded up.
    """
    batch, channels, height, width = x.shape
    kernel = weight.shape[2]
    selection = paddle.to_tensor(tap_selection(height, width, kernel, stride))  # (k * k, H * W * H' * W')
    rows, columns = -(-height // stride), -(-width // stride)
    matrices = (weight.reshape([channels, -1]) @ selection).reshape([channels, -1, rows * columns])
    pixels = x.reshape([batch, channels, -1]).transpose([1, 0, 2])  # (C, B, H * W)
    return paddle.bmm(pixels, matrices).transpose([1, 0, 2]).reshape([batch, channels, rows, columns])


@lru_cache(maxsize=64)
def tap_selection(height: int, width: int, kernel: int, stride: int) -> NDArray[np.float32]:
    """Which value of the kernel leads from an input pixel to an output pixel.

    Returns:
        ``(k * k, H * W * H' * W')`` of 0 and 1, read-only, with at most one 1 in a column.
    """
    rows, columns = -(-height // stride), -(-width // stride)
    y, x, out_y, out_x = np.ogrid[:height, :width, :rows, :columns]
    down, right = y - out_y * stride + kernel // 2, x - out_x * stride + kernel // 2
    inside = (down >= 0) & (down < kernel) & (right >= 0) & (right < kernel)
    taps = np.where(inside, down * kernel + right, -1).reshape(-1)
    selection = (taps == np.arange(kernel * kernel)[:, None]).astype(np.float32)
    selection.setflags(write=False)
    return selection
