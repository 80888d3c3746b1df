"""Types of options: what argparse calls on a word of the command line.

Each says in one line what was wanted, and argparse puts the option's name in front.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

__all__ = ["confidences", "count", "ids", "number"]


def number(low: float, high: float = math.inf, *, open_low: bool = False) -> Callable[[str], float]:
    """A number from ``low`` (or above it) to ``high``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (low < value if open_low else low <= value) or not value <= high or math.isinf(value):
            wanted = f"a number above {low:g}" if open_low else f"a number from {low:g}"
            wanted += f" to {high:g}" if high < math.inf else "" if open_low else " up"
            raise argparse.ArgumentTypeError(f"{wanted} wanted, got {text!r}")
        return value

    return parse


def count(low: int) -> Callable[[str], int]:
    """A whole number from ``low``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"a whole number from {low} wanted, got {text!r}")
        return value

    return parse


def ids(text: str) -> list[int]:
    """Track ids with commas between."""
    parse = count(1)
    return [parse(part) for part in text.split(",")]


def confidences(text: str) -> float | dict[str, float]:
    """A score, or scores of classes with commas between; ``""`` names the other classes."""
    score, found = number(0, 1), {}
    if "=" not in text and "," not in text:
        return score(text)
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        name = name.strip()
        if bool(name) != bool(equals) or name in found:
            raise argparse.ArgumentTypeError(f"scores as person=0.4,car=0.6 wanted, got {text!r}")
        found[name] = score(value)
    return found
