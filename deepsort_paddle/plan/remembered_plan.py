"""The plan of a run as its track index keeps it, to write the same outputs once more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepsort_paddle.media.addresses import is_address
from deepsort_paddle.media.source import without_password
from deepsort_paddle.part_files import real_path
from deepsort_paddle.plan.run_plan import OUTPUTS, RunPlan

__all__ = ["REWRITTEN", "recalled", "remembered"]

# Outputs that are written once more: not crops, which go to an empty folder, nor detections and decisions.
REWRITTEN = tuple(
    name for name in OUTPUTS if name not in ("index", "save_crops", "save_detections", "explain_csv")
)


def remembered(plan: RunPlan, index: Path) -> dict[str, Any]:
    """A plan as plain values; files are named from the index's folder, so that all may move together.

    Args:
        plan: with all file names filled in.
        index: path of the index.
    """
    files = {name: _from(index, path) for name in REWRITTEN if (path := getattr(plan, name)) is not None}
    source = plan.source if is_address(plan.source) else str(real_path(plan.source))
    kept = replace(plan, source=without_password(source), save_dir=None, show=False, explain=())
    return {**kept.as_dict(), **dict.fromkeys(OUTPUTS), **files}


def recalled(known: Mapping[str, Any], index: Path) -> RunPlan:
    """The plan of an index.

    Args:
        known: what `remembered` gave.
        index: path of the index.

    Raises:
        ValueError: it is of another version.
    """
    folder = real_path(index).parent
    files = {name: str(folder / path) for name in REWRITTEN if (path := known.get(name)) is not None}
    try:
        return RunPlan.from_dict({**known, **files})
    except TypeError as error:
        raise ValueError(f"{index}: of another version of deepsort-track ({error})") from None


def _from(index: Path, path: str) -> str:
    """A path seen from the folder of the index; as it is on another drive, or for a device."""
    target = real_path(path)
    if target.exists() and not target.is_file():
        return str(target)
    try:
        return os.path.relpath(target, real_path(index).parent)
    except ValueError:
        return str(target)
