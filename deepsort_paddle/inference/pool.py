"""Predictors of one network for calls that run at the same time.

A Paddle predictor or an OpenVINO request holds the memory of the call that it runs. So each running call
takes one for itself and hands it back: a free one, or a new one where none is free. They belong to no thread,
so that a program with many short-lived threads does not pay for each of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["Feeds", "Pool"]

Feeds = Mapping[str, NDArray[Any]]


class Pool:
    """Runs predictors, each held by one call at a time; another is made when none is free."""

    def __init__(
        self, first: Any, make: Callable[[], Any], run: Callable[[Any, Feeds], list[NDArray[Any]]]
    ) -> None:
        self._make = make
        self._run = run
        self._free = [first]
        self._lock = threading.Lock()

    def __call__(self, feeds: Feeds) -> list[NDArray[Any]]:
        """The network's outputs for named inputs."""
        with self._lock:
            predictor = self._free.pop() if self._free else self._make()
        try:
            return self._run(predictor, feeds)
        finally:
            with self._lock:
                self._free.append(predictor)
