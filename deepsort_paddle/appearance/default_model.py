"""Locates appearance models by name: folders of ``weights/``.

The wheel contains the default one as package data; a checkout has all of them.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["ALIASES", "DEFAULT_MODEL", "default_model", "locate"]

DEFAULT_MODEL = "osnet_ain_x0_5"
# Models that were replaced by better ones.
ALIASES = {"osnet_x0_25": "osnet_ain_x0_5"}


def default_model() -> Path:
    """Return the folder of the default appearance model.

    Raises:
        FileNotFoundError: it is neither in the package nor in a checkout around it.
    """
    folder = _folder_of(DEFAULT_MODEL)
    if folder is None:
        raise FileNotFoundError(
            f"the default appearance model {DEFAULT_MODEL} is not installed: name a folder with --reid, or "
            "reinstall deepsort-paddle"
        )
    return folder


def locate(directory: str | Path | None) -> Path:
    """Return the folder or file of a path or a model's name; None is the default model.

    An existing path takes precedence over a model of that name. The name of a replaced model, with or without
    ``weights/`` in front, means its successor. A path that matches nothing is returned unchanged.

    Raises:
        FileNotFoundError: the default model is not installed.
    """
    if directory is None:
        return default_model()
    path = Path(directory)
    bare = path.name == str(directory)
    if path.exists():
        return path
    if path.name in ALIASES and (bare or path.parent.name == "weights"):
        name = ALIASES[path.name]
    elif bare:
        name = path.name
    else:
        return path
    return default_model() if name == DEFAULT_MODEL else _folder_of(name) or path


def _folder_of(name: str) -> Path | None:
    """Return the folder of a model in the package or in the checkout around it."""
    package = Path(__file__).parents[1]
    folders = (weights / name for weights in (package / "weights", package.parent / "weights"))
    return next((folder for folder in folders if (folder / "encoder.json").is_file()), None)
