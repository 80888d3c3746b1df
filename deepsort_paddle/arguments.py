"""Check the arguments of public functions; each error says in one line what was expected and what came."""

from __future__ import annotations

import math
from operator import index
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_affine", "check_frame", "check_int", "check_number", "check_type"]


def check_number(name: str, value: float, high: float, low: float = 0.0) -> float:
    """Return ``value`` as a float.

    Args:
        name: name of the argument, for the error.
        value: the argument.
        high: largest valid value.
        low: smallest valid value.

    Returns:
        The value, in [low, high].

    Raises:
        ValueError: the value is not a number in [low, high].
    """
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = math.nan
    if not low <= real <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
    return real


def check_int(name: str, value: SupportsIndex, low: int) -> int:
    """Return ``value`` as an int.

    Args:
        name: name of the argument, for the error.
        value: the argument.
        low: smallest valid value.

    Returns:
        The value, at least ``low``.

    Raises:
        ValueError: the value is not a whole number of at least ``low``.
    """
    try:
        count = index(value)
    except TypeError:
        count = low - 1
    if count < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return count


def check_affine(camera_motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``camera_motion`` as float64.

    Args:
        camera_motion: ``(2, 3)`` affine map.

    Returns:
        ``(2, 3)`` float64.

    Raises:
        ValueError: the map has another shape, is not finite, or is not invertible.
    """
    motion = np.asarray(camera_motion, dtype=np.float64)
    if motion.shape != (2, 3):
        raise ValueError(f"camera_motion must be (2, 3), got {motion.shape}")
    if not np.isfinite(motion).all() or np.linalg.det(motion[:, :2]) == 0:
        raise ValueError("camera_motion must be finite and invertible")
    return motion


def check_frame(frame: Any) -> None:
    """Raise ValueError unless ``frame`` is an ``(H, W, 3)`` uint8 image."""
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"frame must be uint8 (H, W, 3) in BGR order, got {got}")


def check_type(name: str, value: object, kind: type, hint: str) -> None:
    """Raise ValueError unless ``value`` is a ``kind``; ``hint`` says where to get one."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {kind.__name__} ({hint}), got {type(value).__name__}")
