"""Calls that may block for ever, given up after a time.

A camera's driver can stop answering without an error, and no signal or timeout of Python gets out of
a call into it. So everything that touches such a device happens in a thread of its own, and the caller waits
for the answer only so long. A thread can't be ended from outside: one that is stuck is left behind. It
does not keep the program from ending, and closes its device if it ever gets free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

__all__ = ["Capture", "WatchedCapture"]

_Result = TypeVar("_Result")


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def read(self) -> tuple[bool, Any]:
        """Whether there is a picture, and the picture."""

    def get(self, property_id: int, /) -> float:
        """A property, 0 where there is none."""

    def release(self) -> None:
        """Close the camera."""


class WatchedCapture:
    """A camera that is opened, read and closed in a thread of its own.

    Args:
        connect: opens the camera.
        name: for the message.
        patience: seconds that opening it and reading one picture may take.

    Raises:
        OSError: ``connect`` raised it.
        TimeoutError: the camera did not answer in time.
    """

    def __init__(self, connect: Callable[[], Capture], name: str, patience: float) -> None:
        self._name, self._patience = name, patience
        self._stuck = False
        self._calls: SimpleQueue[tuple[Callable[[Capture], Any], SimpleQueue[Any]] | None] = SimpleQueue()
        opened: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=_serve, args=(connect, opened, self._calls), daemon=True)
        self._thread.start()
        try:
            self._wait(opened)
        except TimeoutError:
            self._calls.put(None)
            raise

    def read(self) -> tuple[bool, Any]:
        """The next picture; ``TimeoutError`` when there is none in time: then only ``release`` is left."""
        return self._call(lambda capture: capture.read())

    def get(self, property_id: int) -> float:
        """A property of the camera, by OpenCV's number."""
        return self._call(lambda capture: capture.get(property_id))

    def release(self) -> None:
        """Close the camera; one that is stuck is closed when it answers, which is not waited for."""
        self._calls.put(None)
        if not self._stuck:
            self._thread.join(self._patience)

    def _call(self, function: Callable[[Capture], _Result]) -> _Result:
        answer: SimpleQueue[Any] = SimpleQueue()
        self._calls.put((function, answer))
        result: _Result = self._wait(answer)
        return result

    def _wait(self, answer: SimpleQueue[Any]) -> Any:
        try:
            result, error = answer.get(timeout=self._patience)
        except Empty:
            self._stuck = True
            raise TimeoutError(f"{self._name} sent nothing for {self._patience:g} s") from None
        if error is not None:
            raise error
        return result


def _serve(
    connect: Callable[[], Capture],
    opened: SimpleQueue[Any],
    calls: SimpleQueue[tuple[Callable[[Capture], Any], SimpleQueue[Any]] | None],
) -> None:
    """Open a camera, answer calls until None comes, close it."""
    try:
        capture = connect()
    except Exception as error:
        opened.put((None, error))
        return
    opened.put((None, None))
    while (call := calls.get()) is not None:
        function, answer = call
        try:
            answer.put((function(capture), None))
        except Exception as error:
            answer.put((None, error))
    capture.release()
