"""Where the appearance model is that comes with the package.

It is one folder of ``weights/``: the wheel carries it as package data, a checkout is read in place.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEFAULT_MODEL", "default_model"]

DEFAULT_MODEL = "osnet_x0_25"


def default_model() -> Path:
    """Folder of the default appearance model.

    Raises:
        FileNotFoundError: it is neither in the package nor beside it.
    """
    package = Path(__file__).parents[1]
    for weights in (package / "weights", package.parent / "weights"):
        if (weights / DEFAULT_MODEL / "encoder.json").is_file():
            return weights / DEFAULT_MODEL
    raise FileNotFoundError(
        f"the default appearance model {DEFAULT_MODEL} is not installed: name a folder with --reid, or "
        "install deepsort-paddle anew"
    )
