"""Values of the flags of ``reid-train``, from text and to text; an invalid value is a one-line error."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = ["nearest", "percentages", "shown", "whole_numbers"]


def percentages(text: str) -> tuple[float, ...]:
    """Parse comma-separated percentages into shares of 1; zeros are dropped.

    Example:
        >>> percentages("15,30")
        (0.15, 0.3)
    """
    try:
        shares = tuple(float(item) / 100 for item in text.split(",") if float(item))
    except ValueError:
        shares = (-1.0,)
    if not all(0 < share < 1 for share in shares):
        raise argparse.ArgumentTypeError(f"must be comma-separated percentages below 100, got {text!r}")
    return shares


def whole_numbers(text: str) -> tuple[int, ...]:
    """Parse comma-separated whole numbers.

    Example:
        >>> whole_numbers("60,0,40")
        (60, 0, 40)
    """
    try:
        return tuple(int(item) for item in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be one or more comma-separated whole numbers, got {text!r}"
        ) from None


def shown(value: Any) -> str:
    """Format the value of a setting as its flag expects it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint with the most similar known name; empty if none is similar."""
    near = get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
