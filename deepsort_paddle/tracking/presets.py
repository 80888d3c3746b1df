"""Tracker settings that work well together, by name.

A preset is a set of `TrackerOptions`. `DeepSort.from_preset` builds a tracker from one and applies what the
caller names on top. docs/presets.md says how the values were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["PRESETS", "preset_settings"]

# Ages in frames: those of `motion`, and of `strong` where the caller asks for frames.
_AGES: dict[str, Any] = {"max_age": 30, "iou_max_age": 30}

_SHARED: dict[str, Any] = {
    "min_confidence": 0.1,
    "confirmed_first": True,
    "max_iou_distance": 0.8,
    "min_camera_pairs": 5,
    "detection_weight": 0.5,
    "size_momentum": 0.7,
    "coast": 1,
    "hidden_coast": 10,
    "coast_after": 4,
    "coast_inside": True,
}

_MOTION: dict[str, Any] = {
    **_SHARED,
    **_AGES,
    "high_confidence": 0.6,
    "new_track_confidence": 0.6,
    "n_init": 2,
    "velocity_noise": 1.0,
    "noise_frame_rate": 30.0,
    "uncertainty_weight": 0.8,
    "hold_shape": True,
}

# Appearance rejects most wrong matches that low scores and loose overlaps would let through.
_STRONG: dict[str, Any] = {
    **_SHARED,
    "high_confidence": 0.3,
    "new_track_confidence": 0.7,
    "n_init": 3,
    "velocity_noise": 1.0,
    "appearance_weight": 0.6,
    "uncertainty_weight": 0.2,
    "gallery_neighbours": 5,
    "max_seconds": 2.5,
    "reactivate_ratio": 0.5,
    "reactivate_seconds": 10.0,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # DeepSORT as published.
        "deepsort": MappingProxyType({}),
        # Motion only: the best tracking without an appearance model.
        "motion": MappingProxyType(_MOTION),
        # Motion and appearance in one cost. max_cosine_distance comes from the encoder.
        "strong": MappingProxyType(_STRONG),
    }
)


def preset_settings(preset: str, **named: Any) -> dict[str, Any]:
    """Return the settings of a preset, with those that the caller names on top.

    ``coast=0`` also turns ``hidden_coast`` off: only rows with a detection are reported.

    Ages are in frames (``max_age``, ``iou_max_age``) or in seconds (``max_seconds``,
    ``reactivate_seconds``). The unit that the caller names replaces the preset's: ``strong`` with
    ``max_age=60`` has no ages in seconds left, and an ``iou_max_age`` of 30 frames.

    Args:
        preset: a key of `PRESETS`.
        **named: options of `TrackerOptions`.

    Returns:
        Keyword arguments of `TrackerOptions`.

    Raises:
        ValueError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    settings = dict(PRESETS[preset])
    if ("max_age" in named or "iou_max_age" in named) and "max_seconds" in settings:
        del settings["max_seconds"], settings["reactivate_seconds"]
        settings |= _AGES
    if "max_seconds" in named or "reactivate_seconds" in named:
        settings.pop("max_age", None)
    if "max_seconds" in named:
        settings.pop("iou_max_age", None)
    if named.get("coast") == 0:  # only rows with a detection
        settings.pop("hidden_coast", None)
    return settings | named
