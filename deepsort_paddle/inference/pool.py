"""A pool of predictors of one network, for concurrent calls.

A Paddle predictor or an OpenVINO request holds the memory of the call that it runs. So each call takes a free
predictor, or a new one if none is free, and returns it afterwards. Predictors are not bound to threads: a
program with many short-lived threads does not create one for each thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["Feeds", "Pool"]

Feeds = Mapping[str, NDArray[Any]]


class Pool:
    """Runs a network with a free predictor; creates another one if none is free.

    Example:
        >>> import numpy as np
        >>> pool = Pool("first", lambda: "another", lambda predictor, feeds: [feeds["x"] + 1])
        >>> pool({"x": np.array([1, 2])})
        [array([2, 3])]
    """

    def __init__(
        self, first: Any, make: Callable[[], Any], run: Callable[[Any, Feeds], list[NDArray[Any]]]
    ) -> None:
        """Start with one predictor.

        Args:
            first: the predictor.
            make: returns another predictor of the same network.
            run: ``run(predictor, feeds)``, returns the network's outputs.
        """
        self._make = make
        self._run = run
        self._free = [first]
        self._lock = threading.Lock()

    def __call__(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Run the network on named inputs and return its outputs."""
        with self._lock:
            predictor = self._free.pop() if self._free else self._make()
        try:
            return self._run(predictor, feeds)
        finally:
            with self._lock:
                self._free.append(predictor)
