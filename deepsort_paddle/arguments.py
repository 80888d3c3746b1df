"""Checks of the arguments of public functions: each error names what was wanted and what came."""

from __future__ import annotations

import math
from operator import index
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

__all__ = ["affine", "expect_frame", "expect_kind", "number", "whole"]


def number(name: str, value: float, high: float, low: float = 0.0) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is not a number in [low, high].
    """
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = math.nan
    if not low <= real <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
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


def expect_frame(frame: Any) -> None:
    """Raise ValueError unless ``frame`` is an ``(H, W, 3)`` uint8 picture."""
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"frame must be uint8 (H, W, 3) in BGR order, got {got}")


def expect_kind(name: str, value: object, kind: type, hint: str) -> None:
    """Raise ValueError unless ``value`` is a ``kind``; ``hint`` says where one comes from."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {kind.__name__} ({hint}), got {type(value).__name__}")
