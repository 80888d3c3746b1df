"""The tracker's options and the thresholds of a plan: defaults, then the preset, then the plan's values."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.tracking.options import TrackerOptions, current_name
from deepsort_paddle.tracking.presets import PRESETS, preset_settings

__all__ = ["TRACKER_OPTIONS", "camera_motion", "preset_of", "thresholds", "tracker_options"]

# The pipeline applies min_confidence, before anything is encoded.
TRACKER_OPTIONS = tuple(field.name for field in fields(TrackerOptions) if field.name != "min_confidence")
# These depend on the model, on whether there is one, and on the source.
_LEFT_OPEN = dict.fromkeys(("max_cosine_distance", "iou_max_age", "frame_rate"))


def preset_of(plan: RunPlan, *, appearance: bool = True) -> str:
    """Return the plan's preset, or the best one: ``strong`` with appearance, ``motion`` without."""
    return plan.preset or ("strong" if appearance else "motion")


def tracker_options(plan: RunPlan, preset: str | None = None) -> dict[str, Any]:
    """Return the tracker's options by name, in the order of `TRACKER_OPTIONS`.

    Args:
        plan: the run.
        preset: result of `preset_of`; None for the preset with appearance.

    Returns:
        The values; None for what the run chooses: ``max_cosine_distance`` by the model, ``iou_max_age`` by
        whether there is appearance, ``frame_rate`` by the source, and ages given in seconds.

    Raises:
        ValueError: a name of ``tracker_options`` is unknown, or a value is out of range.
    """
    defaults = {field.name: field.default for field in fields(TrackerOptions)} | _LEFT_OPEN
    named: dict[str, Any] = {"coast": 0} if plan.offline else {}  # gaps are filled afterwards
    asked = {name: getattr(plan, name, None) for name in TRACKER_OPTIONS}
    named |= {name: value for name, value in asked.items() if value is not None}
    if plan.camera_motion is not None:
        by_boxes = plan.camera_motion in ("boxes", "both")
        named["min_camera_pairs"] = PRESETS["motion"]["min_camera_pairs"] if by_boxes else 0
    for former, value in plan.tracker_options:
        name = current_name(former)
        if name not in defaults:
            near = get_close_matches(name, defaults, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"--set: unknown option {name!r}{hint}; expected one of {', '.join(defaults)}")
        named[name] = value
    values = preset_settings(preset or preset_of(plan), **named)
    TrackerOptions(**values)
    return {name: values.get(name, defaults[name]) for name in TRACKER_OPTIONS}


def camera_motion(plan: RunPlan, *, has_images: bool) -> str:
    """Return how camera motion is estimated: ``none``, ``boxes``, ``images`` or ``both``.

    Args:
        plan: the run; its own value takes precedence over the preset's.
        has_images: whether the source has images.
    """
    if plan.camera_motion is not None:
        return plan.camera_motion
    if not PRESETS[preset_of(plan)].get("min_camera_pairs"):
        return "none"
    return "both" if has_images else "boxes"


def thresholds(plan: RunPlan) -> tuple[float | None, dict[int | str, float]]:
    """Return the confidence threshold, None for the detector's default, and thresholds of single classes.

    The detector is opened before the preset is known, so ``strong`` and ``motion`` have the same threshold.
    """
    asked = plan.min_confidence
    classes: dict[int | str, float] = {}
    if isinstance(asked, tuple):
        classes.update(asked)
        asked = classes.pop("", None)
    asked = PRESETS[preset_of(plan)].get("min_confidence") if asked is None else asked
    return dict(plan.tracker_options).get("min_confidence", asked), classes
