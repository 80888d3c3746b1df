"""Packages that only some uses need: a missing one is named in one line, with the pip command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needs"]

# Packages whose module has another name.
_PACKAGES = {"yaml": "pyyaml"}
_OWN = ("deepsort_paddle", "reid_train")
_PADDLE = "PaddlePaddle is not installed: pip install paddlepaddle (for NVIDIA GPUs see docs/install.md)"


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Explain in one line what a failed import inside the block lacks.

    Args:
        extra: name of the extra in setup.cfg that installs what the block imports, such as ``eval``.

    Raises:
        ImportError: a package is missing; the message names the pip command.

    Example:
        >>> with needs("eval"):
        ...     import motmetrics
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if not name or name in _OWN:
            raise
        # The package itself: it can be installed wherever deepsort-paddle came from.
        lacks = (
            f"{name} is not installed: pip install {_PACKAGES.get(name, name)} (part of the extra {extra})"
        )
        raise ImportError(_PADDLE if name == "paddle" else lacks, name=name) from None
