"""Checks of the arguments of public functions: each error names what was wanted and what came."""

from __future__ import annotations

import math
from operator import index
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

__all__ = ["affine", "number", "whole"]


def number(name: str, value: float, high: float) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is not a number in [0, high].
    """
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = math.nan
    if not 0.0 <= real <= high:
        raise ValueError(f"{name} must be a number from 0 to {high:g}, got {value!r}")
    return real


def whole(name: str, value: SupportsIndex, low: int) -> int:
    """``value`` as an int.

    Raises:
        ValueError: it is not a whole number of at least ``low``.
    """
    try:
        count = index(value)
    except TypeError:
        count = low - 1
    if count < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return count


def affine(camera_motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """``camera_motion`` as float64.

    Raises:
        ValueError: it is not a finite ``(2, 3)`` map, or turns the picture to nothing.
    """
    moved = np.asarray(camera_motion, dtype=np.float64)
    if moved.shape != (2, 3):
        raise ValueError(f"camera_motion must be (2, 3), got {moved.shape}")
    if not np.isfinite(moved).all() or np.linalg.det(moved[:, :2]) == 0:
        raise ValueError("camera_motion must be finite and invertible")
    return moved
