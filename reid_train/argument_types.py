"""Types of the flags of ``reid-train``; an invalid value is a one-line error."""

from __future__ import annotations

import argparse

__all__ = ["percentages", "whole_numbers"]


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
