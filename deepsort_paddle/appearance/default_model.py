"""Where the appearance models are that are known by name: folders of ``weights/``.

The wheel carries the default one as package data; a checkout, read in place, has all of them.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["ALIASES", "DEFAULT_MODEL", "default_model", "locate"]

DEFAULT_MODEL = "osnet_ain_x0_5"
# Models that a better one has replaced.
ALIASES = {"osnet_x0_25": "osnet_ain_x0_5"}


def default_model() -> Path:
    """Return the folder of the default appearance model.

    Raises:
        FileNotFoundError: it is neither in the package nor beside it.
    """
    folder = _folder_of(DEFAULT_MODEL)
    if folder is None:
        raise FileNotFoundError(
            f"the default appearance model {DEFAULT_MODEL} is not installed: name a folder with --reid, or "
            "install deepsort-paddle anew"
        )
    return folder


def locate(directory: str | Path | None) -> Path:
    """The folder or file that a path or a model's name means; None is the default model.

    What exists under the path goes before a model of that name. The name of a model that was replaced means
    its successor, with or without ``weights/`` before it. A path that means nothing comes back as it is.

    Raises:
        FileNotFoundError: the default model is expected and not installed.
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
    """The folder of a model in the package or in the checkout around it."""
    package = Path(__file__).parents[1]
    folders = (weights / name for weights in (package / "weights", package.parent / "weights"))
    return next((folder for folder in folders if (folder / "encoder.json").is_file()), None)
