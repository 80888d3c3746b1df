"""Types of the flags of ``reid-train``; a wrong value is a one-line error."""

from __future__ import annotations

import argparse

__all__ = ["percentages", "whole_numbers"]


def percentages(text: str) -> tuple[float, ...]:
    """Shares of 1 from percentages with commas between; zeros are left out.

    Example:
        >>> percentages("15,30")
        (0.15, 0.3)
    """
    try:
        shares = tuple(float(item) / 100 for item in text.split(",") if float(item))
    except ValueError:
        shares = (-1.0,)
    if not all(0 < share < 1 for share in shares):
        raise argparse.ArgumentTypeError(f"must be percentages below 100 with commas between, got {text!r}")
    return shares


def whole_numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between.

    Example:
        >>> whole_numbers("60,0,40")
        (60, 0, 40)
    """
    try:
        return tuple(int(item) for item in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a whole number, or several with commas between them, got {text!r}"
        ) from None
