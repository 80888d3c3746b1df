"""The user's cache: downloaded detectors, and what was computed once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Where downloads are kept: ``DEEPSORT_PADDLE_CACHE``, else ``deepsort-paddle`` in the user's cache.

    The user's cache is ``XDG_CACHE_HOME``, else ``~/.cache``, ``~/Library/Caches`` on macOS or
    ``%LOCALAPPDATA%`` on Windows.
    """
    if own := os.environ.get("DEEPSORT_PADDLE_CACHE"):
        return Path(own).expanduser()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg).expanduser() / "deepsort-paddle"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "deepsort-paddle"
    caches = Path("Library") / "Caches" if sys.platform == "darwin" else Path(".cache")
    return Path.home() / caches / "deepsort-paddle"
