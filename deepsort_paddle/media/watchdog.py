"""Calls to cameras that may block forever, with a timeout.

A camera's driver can stop answering without an error, and no signal or timeout of Python interrupts a call
into it. So a thread makes all calls to the device, and the caller waits for the answer with a timeout. A
blocked thread cannot be stopped and is abandoned. It does not keep the program from exiting, and closes its
device if the call ever returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

__all__ = ["Capture", "WatchedCapture"]

_Result = TypeVar("_Result")


class Capture(Protocol):
    """The methods used of ``cv2.VideoCapture``."""

    def read(self) -> tuple[bool, Any]:
        """Return whether there is a frame, and its image."""

    def get(self, property_id: int, /) -> float:
        """Return a property, or 0."""

    def release(self) -> None:
        """Close the camera."""


class WatchedCapture:
    """A camera that is opened, read and closed in its own thread.

    Args:
        connect: opens the camera.
        name: name in error messages.
        patience: largest time in seconds to open it, and to read one frame.

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
        """Return the next frame; raise ``TimeoutError`` if it takes too long, then only ``release`` works."""
        return self._call(lambda capture: capture.read())

    def get(self, property_id: int) -> float:
        """Return a property of the camera by OpenCV's number."""
        return self._call(lambda capture: capture.get(property_id))

    def release(self) -> None:
        """Close the camera; one that is blocked is closed when it answers, without waiting for that."""
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
