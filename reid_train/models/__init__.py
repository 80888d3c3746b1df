"""Build backbones by name, and the networks around them.

A backbone maps ``(B, 3, H, W)`` to ``(B, out_channels, h, w)``. The height h is H / 32 with ``last_stride`` 2
and H / 16 with 1. ``imagenet_head`` returns the layers of the published classifier, and ``head_names`` has
the names of those with parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

from paddle import nn

from reid_train.models.ghostnet import GhostNet
from reid_train.models.mobilenet_v3 import MobileNetV3
from reid_train.models.network import ReidNetwork
from reid_train.models.osnet import OSNet
from reid_train.models.resnet import DEPTHS, ResNet

__all__ = ["MODELS", "build_backbone", "build_classifier", "build_network", "parameter_count"]


def _width(text: str) -> float:
    return float(text.replace("_", "."))


MODELS: dict[str, Callable[..., nn.Layer]] = {
    **{f"ResNet{depth}": partial(ResNet, depth, vd=False) for depth in DEPTHS},
    **{f"ResNet{depth}_vd": partial(ResNet, depth, vd=True) for depth in DEPTHS},
    **{f"ResNet{depth}_ibn_a": partial(ResNet, depth, vd=False, ibn=True) for depth in DEPTHS},
    **{f"ResNet{depth}_vd_ibn_a": partial(ResNet, depth, vd=True, ibn=True) for depth in DEPTHS},
    **{f"GhostNet_x{width}": partial(GhostNet, _width(width)) for width in ("0_5", "1_0", "1_3")},
    **{
        f"MobileNetV3_{size}_x{width}": partial(MobileNetV3, size, _width(width))
        for size in ("small", "large")
        for width in ("0_35", "0_5", "0_75", "1_0", "1_25")
    },
    **{
        f"OSNet{suffix}_x{width}": partial(OSNet, _width(width), variant=variant)
        for variant, suffix in (("plain", ""), ("ibn", "_IBN"), ("ain", "_AIN"))
        for width in ("0_25", "0_5", "0_75", "1_0")
    },
}


# A short form of the keys of MODELS for messages.
FAMILIES = (
    "ResNet{18,34,50,101,152}[_vd][_ibn_a], GhostNet_x{0_5,1_0,1_3}, "
    "MobileNetV3_{small,large}_x{0_35,0_5,0_75,1_0,1_25}, OSNet[_IBN,_AIN]_x{0_25,0_5,0_75,1_0}"
)


def build_backbone(name: str, *, last_stride: int | None = None) -> nn.Layer:
    """Build a backbone with fresh weights.

    Args:
        name: a key of `MODELS`.
        last_stride: 1 or 2; None takes the published network's, which is 1 for OSNet and 2 for all others.

    Returns:
        A layer from ``(B, 3, H, W)`` to ``(B, out_channels, h, w)``.

    Raises:
        ValueError: the name is unknown, or the stride is neither 1 nor 2.
    """
    if name not in MODELS:
        plain = {known.lower(): known for known in MODELS}
        near = [plain[match] for match in get_close_matches(name.lower(), plain)]
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        raise ValueError(f"model must be one of {FAMILIES}, got {name!r}{hint}")
    if last_stride is None:
        return MODELS[name]()
    if last_stride not in (1, 2):
        raise ValueError(f"last_stride must be 1 or 2, got {last_stride}")
    return MODELS[name](last_stride=last_stride)


def build_network(
    name: str, embedding_size: int, *, last_stride: int = 2, neck: bool = False, pooling: str = "average"
) -> ReidNetwork:
    """Build a re-identification network with fresh weights.

    Args:
        name: a key of `MODELS`.
        embedding_size: D; 0 uses the pooled feature.
        last_stride: stride of the backbone's last stage, 1 or 2.
        neck: add a BNNeck.
        pooling: ``average`` or ``gem``.

    Returns:
        A layer from ``(B, H, W, 3)`` uint8 BGR to ``(B, D)``.

    Raises:
        ValueError: the name is unknown, or the stride is neither 1 nor 2.
    """
    backbone = build_backbone(name, last_stride=last_stride)
    return ReidNetwork(backbone, embedding_size, neck=neck, pooling=pooling)


def build_classifier(name: str, class_dim: int = 1000) -> nn.Sequential:
    """Build the published ImageNet classifier, with layers named as in PaddleClas' checkpoints.

    Args:
        name: a key of `MODELS`.
        class_dim: number of classes.

    Returns:
        A layer from normalised ``(B, 3, H, W)`` images (RGB for the published weights) to ``(B, class_dim)``
        logits.

    Raises:
        ValueError: the name is unknown.
    """
    backbone = build_backbone(name)
    return nn.Sequential(*backbone.named_children(), *backbone.imagenet_head(class_dim))


def parameter_count(layer: nn.Layer) -> int:
    """Count the trainable values of a layer; batch-norm statistics do not count."""
    return sum(int(value.size) for value in layer.parameters() if not value.stop_gradient)
