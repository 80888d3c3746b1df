"""Depthwise convolution that trains fast on CPUs.

Paddle's kernel runs a one-row matrix product for each image and channel, forward and backward. On the small
maps of a network's later stages the overhead dominates: a 5x5 convolution over 960 channels of 4x4 pixels
takes 103 ms for 16 images. Here the convolution of a channel becomes a small matrix from input to output
pixels, and one product handles the whole batch, in 2.5 ms. Larger maps are processed in bands of a few rows:
a 3x3 convolution over 16 channels of 32x16 pixels and 64 images, forward and backward, takes 11 ms with
Paddle's kernel and 4.5 ms in bands.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import paddle
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from paddle import nn
from paddle.autograd import PyLayer
from paddle.nn.initializer import KaimingNormal

__all__ = ["DepthwiseConv2D", "convolution", "depthwise_by_bands", "depthwise_by_matrices", "tap_selection"]

# Largest number of values in a channel's matrix; larger ones cost much memory for little time.
LARGEST_MATRIX = 128 * 128
# The matrices are made once per batch, which pays off up to this many pixels of a map per image of the batch.
PIXELS_PER_IMAGE = 4
# Output rows of a band, and the widest map that is cut into bands: products grow with the width.
BAND_ROWS = 4
WIDEST_BAND = 32


class DepthwiseConv2D(nn.Conv2D):
    """``nn.Conv2D`` with one input channel per group, without bias; the same parameters and results.

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
            # Paddle's default counts all input channels, although a group reads only its own.
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
    """Build a convolution without bias that keeps the size at stride 1, in the form that trains fastest.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: odd.
        stride: of both sides.
        groups: as for ``nn.Conv2D``.

    Returns:
        A layer from ``(B, in_channels, H, W)`` to ``(B, out_channels, H', W')``.
    """
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
    # Only in training: an export has the standard operator, which inference engines support.
    if layer.training and x.place.is_cpu_place():
        batch, _, height, width = x.shape
        outputs = -(-height // layer.step) * -(-width // layer.step)
        if height * width <= PIXELS_PER_IMAGE * batch and height * width * outputs <= LARGEST_MATRIX:
            return depthwise_by_matrices(x, layer.weight, layer.step)
        reads = BAND_ROWS + layer.weight.shape[2] - 1
        if (
            layer.step == 1
            and x.dtype == paddle.float32
            and height > BAND_ROWS
            and width <= WIDEST_BAND
            and reads * BAND_ROWS * width <= batch * height  # a channel's matrix is not larger than its maps
        ):
            return depthwise_by_bands(x, layer.weight)
    return nn.Conv2D.forward(layer, x)


def depthwise_by_matrices(x: paddle.Tensor, weight: paddle.Tensor, stride: int) -> paddle.Tensor:
    """Convolve each channel by a product with the matrix of its kernel.

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


def depthwise_by_bands(x: paddle.Tensor, weight: paddle.Tensor) -> paddle.Tensor:
    """Convolve with stride 1, with one matrix product for each band of output rows of a channel.

    Args:
        x: ``(B, C, H, W)`` float32 on the CPU.
        weight: ``(C, 1, k, k)``, k odd; the padding is half of it.

    Returns:
        ``(B, C, H, W)``.
    """
    return _Bands.apply(x, weight)


class _Bands(PyLayer):
    # Copying overlapping rows in Paddle is slower than the convolution, above all backward; NumPy is faster.
    # Arrays are copied between the two, as sharing memory by DLPack sometimes hangs.

    @staticmethod
    def forward(ctx: Any, x: paddle.Tensor, weight: paddle.Tensor) -> paddle.Tensor:
        inputs = paddle.to_tensor(_bands(x.numpy(), weight.shape[2]))
        ctx.save_for_backward(inputs, weight)
        return _convolve_bands(inputs, weight, x.shape)

    @staticmethod
    def backward(ctx: Any, gradient: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        inputs, weight = ctx.saved_tensor()
        kernel, width = weight.shape[2], gradient.shape[3]
        bands = _bands(gradient.numpy(), kernel)
        to_inputs = _convolve_bands(paddle.to_tensor(bands), weight.flip([2, 3]), gradient.shape)
        first = kernel // 2 * width  # value of the band's own rows
        own = paddle.to_tensor(np.ascontiguousarray(bands[:, :, first : first + BAND_ROWS * width]))
        matrices = paddle.matmul(inputs, own, transpose_x=True).reshape([weight.shape[0], -1])
        selection = _band_selection(width, kernel)
        return to_inputs, paddle.matmul(matrices, selection, transpose_y=True).reshape(weight.shape)


def _bands(x: NDArray[np.float32], kernel: int) -> NDArray[np.float32]:
    """Gather the rows that each band reads: ``(B, C, H, W)`` to ``(C, B * bands, rows * W)``."""
    batch, channels, height, width = x.shape
    bands, padding = -(-height // BAND_ROWS), kernel // 2
    padded = np.empty((channels, batch, bands * BAND_ROWS + kernel - 1, width), np.float32)
    padded[:, :, :padding] = 0
    padded[:, :, padding + height :] = 0
    padded[:, :, padding : padding + height] = x.transpose(1, 0, 2, 3)
    values = (BAND_ROWS + kernel - 1) * width
    channel, image, row, value = padded.strides
    overlapping = as_strided(
        padded, (channels, batch, bands, values), (channel, image, BAND_ROWS * row, value), writeable=False
    )
    return overlapping.reshape(channels, batch * bands, values)


def _convolve_bands(bands: paddle.Tensor, weight: paddle.Tensor, shape: list[int]) -> paddle.Tensor:
    batch, channels, height, width = shape
    selection = _band_selection(width, weight.shape[2])
    matrices = (weight.reshape([channels, -1]) @ selection).reshape([channels, bands.shape[2], -1])
    rows = paddle.bmm(bands, matrices).numpy().reshape(channels, batch, -1, width)[:, :, :height]
    return paddle.to_tensor(np.ascontiguousarray(rows.transpose(1, 0, 2, 3)))


@lru_cache(maxsize=64)
def _band_selection(width: int, kernel: int) -> paddle.Tensor:
    """Return the `tap_selection` of a band, whose outputs are its middle rows only."""
    rows = BAND_ROWS + kernel - 1
    selection = tap_selection(rows, width, kernel, 1).reshape(-1, rows * width, rows, width)
    middle = selection[:, :, kernel // 2 : kernel // 2 + BAND_ROWS]
    return paddle.to_tensor(middle.reshape(kernel * kernel, -1))


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
