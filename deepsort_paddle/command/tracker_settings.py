"""The tracker's options from the command line of ``deepsort-track``."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches

from deepsort_paddle.tracking.options import TrackerOptions, current_name
from deepsort_paddle.tracking.presets import PRESETS

__all__ = ["settle_tracker_options"]


def settle_tracker_options(options: argparse.Namespace) -> None:
    """Take in ``--camera-motion``, ``--set`` and the defaults of what has no flag, and check all of them.

    Raises:
        ValueError: a name is unknown or a value out of range.
    """
    known = {field.name: field.default for field in fields(TrackerOptions)}
    if options.camera_motion == "boxes":
        options.min_camera_pairs = PRESETS["motion"]["min_camera_pairs"]
    elif options.camera_motion is not None:
        options.min_camera_pairs = 0
    for text in options.set:
        name, _, value = text.partition("=")
        name = current_name(name.strip().replace("-", "_"))
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"--set knows no option {name!r}{hint}; there are {', '.join(known)}")
        setattr(options, name, _option_value(name, value.strip()))
    for name, default in known.items():
        if name not in options:
            setattr(options, name, default)
    settled = ((name, getattr(options, name)) for name in known)
    TrackerOptions(**{name: value for name, value in settled if value is not None})


def _option_value(name: str, text: str) -> float | int | bool:
    """The number or truth value that ``text`` spells."""
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    raise ValueError(f"--set {name} wants a number, true or false, got {text!r}")
