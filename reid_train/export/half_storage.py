"""Weights stored as float16 and computed with in float32: half the size of an export.

A graph holds each weight in float16, followed by a cast, so any program can run the files. ONNX Runtime and
OpenVINO fold the cast when they open the network. Paddle 3.3 computes it in each call: 0.5 ms for
OSNet_AIN_x0_5, 5 ms for ResNet50_vd (its constant_folding_pass fails as custom pass). Vectors (biases, norms
and their statistics) stay float32: they are small, and running variances can leave the range of float16.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

__all__ = ["FLOAT16_COSINE", "require_close", "store_as_float16"]

# A lower cosine of an embedding before and after would be more than rounding.
FLOAT16_COSINE = 0.9999


def store_as_float16(network: nn.Layer) -> None:
    """Round the weights of a network to float16, and keep them so; names of parameters stay the same.

    Args:
        network: is changed, and then only good for inference.

    Raises:
        ValueError: a weight is too large for float16.
    """
    for path, layer in network.named_sublayers(include_self=True):
        for name, weight in list(layer._parameters.items()):
            if weight is None or weight.ndim < 2:
                continue
            rounded = weight.detach().cast("float16")
            if not bool(paddle.isfinite(rounded).all()):
                raise ValueError(f"{path}.{name} is too large for float16: export without --float16")
            half = layer.create_parameter(
                weight.shape,
                attr=paddle.ParamAttr(trainable=False),
                dtype="float16",
                default_initializer=nn.initializer.Constant(0.0),
            )
            half.set_value(rounded)
            half.name = weight.name
            del layer._parameters[name]
            layer.add_parameter(f"{name}_float16", half)
            layer.register_forward_pre_hook(partial(_restore, name=name))


def _restore(layer: nn.Layer, inputs: Any, *, name: str) -> None:
    """Give a layer its weight in float32 before it runs."""
    # Past Layer.__setattr__, which would register it.
    object.__setattr__(layer, name, paddle.cast(getattr(layer, f"{name}_float16"), "float32"))


def require_close(plain: NDArray[np.float32], rounded: NDArray[np.float32]) -> float:
    """Return the smallest cosine of ``(N, D)`` unit rows before and after rounding.

    Raises:
        ValueError: it is below `FLOAT16_COSINE`.
    """
    cosine = float((plain.astype(np.float64) * rounded).sum(axis=1).min())
    if not cosine >= FLOAT16_COSINE:
        raise ValueError(
            f"float16 changes embeddings: cosine with float32 {cosine:.5f}, expected at least "
            f"{FLOAT16_COSINE}: export without --float16"
        )
    return cosine
