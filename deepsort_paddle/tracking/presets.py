"""Settings of the tracker that go well together, by name.

A preset is keyword arguments of `DeepSort`; others can be put over it:
``DeepSort(**{**PRESETS["motion"], "max_age": 60})``. docs/presets.md says how they were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["PRESETS"]

_MOTION: dict[str, Any] = {
    "min_confidence": 0.1,
    "high_confidence": 0.6,
    "new_track_confidence": 0.7,
    "confirmed_first": True,
    "max_iou_distance": 0.8,
    "iou_max_age": 30,
    "max_age": 30,
    "n_init": 2,
    "min_camera_pairs": 5,
    "velocity_noise": 2.0,
    "detection_weight": 0.5,
    "coast": 2,
}

# Appearance forbids what low scores and loose overlaps would otherwise let through wrongly.
_STRONG: dict[str, Any] = {
    **_MOTION,
    "high_confidence": 0.3,
    "max_iou_distance": 0.7,
    "n_init": 3,
    "appearance_weight": 0.5,
    "gallery_neighbours": 5,
    "velocity_noise": 1.0,
    "max_seconds": 2.5,
    "reactivate_part": 0.5,
    "reactivate_seconds": 10.0,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # DeepSORT as published.
        "deepsort": MappingProxyType({}),
        # No appearance: the best tracking without an encoder.
        "motion": MappingProxyType(_MOTION),
        # Motion and appearance in one cost. max_cosine_distance is the encoder's.
        "strong": MappingProxyType(_STRONG),
    }
)
