"""The complete re-identification network, from pixels to embeddings.

Normalisation is the first layer, so the exported graph contains it. The network works on BGR, OpenCV's order:
reordering channels inside the graph would cost a small network a third of its speed, while weights trained on
RGB only need a permutation of their first convolution.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

from reid_train.models.normalization import GeneralizedMeanPool

__all__ = ["MEAN_BGR", "STD_BGR", "Normalize", "ReidNetwork", "unit_rows"]

# ImageNet statistics of 0..255 pixels (RGB .485 .456 .406 and .229 .224 .225), in BGR order.
MEAN_BGR = (0.406 * 255, 0.456 * 255, 0.485 * 255)
STD_BGR = (0.225 * 255, 0.224 * 255, 0.229 * 255)


class Normalize(nn.Layer):
    """Converts uint8 NHWC pixels to zero-mean NCHW float32.

    It transposes first: subtracting and multiplying three values that repeat along the last axis is slow and
    took a fifth of OSNet x0.25's time in ONNX Runtime.
    """

    def __init__(self) -> None:
        super().__init__()
        mean = paddle.to_tensor(MEAN_BGR, "float32").reshape([3, 1, 1])
        deviation = paddle.to_tensor(STD_BGR, "float32").reshape([3, 1, 1])
        self.register_buffer("mean", mean, persistable=False)
        self.register_buffer("scale", 1.0 / deviation, persistable=False)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """``(B, H, W, 3)`` uint8 to ``(B, 3, H, W)`` float32."""
        pixels = paddle.transpose(images, [0, 3, 1, 2])
        return (paddle.cast(pixels, "float32") - self.mean) * self.scale


class ReidNetwork(nn.Layer):
    """Backbone, global pooling, embedding, BNNeck.

    Args:
        backbone: maps ``(B, 3, H, W)`` to ``(B, C, h, w)`` and has ``out_channels`` C.
        embedding_size: D; 0 uses the pooled feature (D = C).
        neck: batch norm after the embedding (BNNeck, Luo et al., arXiv 1903.07071).
        pooling: ``average`` or ``gem``.
    """

    def __init__(
        self, backbone: nn.Layer, embedding_size: int, *, neck: bool, pooling: str = "average"
    ) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.backbone = backbone
        # Not mean([2, 3]): Paddle's oneDNN reduction prints a line to stdout when the network is opened.
        self.pool = GeneralizedMeanPool() if pooling == "gem" else nn.AdaptiveAvgPool2D(1)
        self.embedding_size = embedding_size or backbone.out_channels
        self.embedding = nn.Linear(backbone.out_channels, embedding_size) if embedding_size else None
        self.neck = nn.BatchNorm1D(self.embedding_size) if neck else None

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """``(B, H, W, 3)`` uint8 BGR to raw ``(B, D)`` float32 embeddings."""
        features = self.backbone(self.normalize(images))
        pooled = self.pool(features).flatten(1)
        if self.embedding is not None:
            pooled = self.embedding(pooled)
        return pooled if self.neck is None else self.neck(pooled)


def unit_rows(embeddings: paddle.Tensor) -> paddle.Tensor:
    """Scale ``(B, D)`` rows to unit length."""
    return F.normalize(embeddings, axis=1, epsilon=1e-12)
