"""Run an iterator in a background thread, a few items ahead of its consumer.

Decoding, detection and encoding spend their time in C code, most of which releases the GIL, so threads run
them in parallel. `prefetch` puts a thread and a bounded queue between an iterator and its consumer. A chain
of generators with `prefetch` between them is a pipeline. Items keep their order, an error is raised after the
items before it, and closing the last iterator stops the whole chain.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")

# On Windows, Ctrl-C cannot interrupt a wait without timeout.
_WAKE_SECONDS = 0.2


def prefetch(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield the same items, produced by another thread while the caller works on earlier ones.

    The thread starts when the first item is requested. It has ended when this iterator ends, raises or is
    closed.

    Args:
        items: the iterator; no other code may use it. It is closed at the end, if it has ``close``.
        depth: the most items that wait in the queue, at least 1; the thread produces one more.

    Yields:
        The items, in order.

    Raises:
        BaseException: the error that ``items`` raised, after the items before it.
    """
    queue: _Queue[T] = _Queue(depth)
    thread = threading.Thread(target=_fill, args=(items, queue), daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get()
            except StopIteration:
                return
            yield item
            del item  # free it before the wait for the next item
    finally:
        queue.leave()
        thread.join()


def _fill(items: Iterator[T], queue: _Queue[T]) -> None:
    """Put all items into the queue; runs in the thread."""
    error: BaseException = StopIteration()
    try:
        with closing(_closable(items)) as open_items:
            for item in open_items:
                if not queue.put(item):
                    break
    except BaseException as raised:
        error = raised
    queue.end(error)


def _closable(items: Iterator[T]) -> Generator[T, None, None]:
    """Wrap ``items`` in a generator that closes them when it is closed."""
    try:
        yield from items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


class _Queue(Generic[T]):
    """A bounded queue between two threads that either side can end."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._abandoned = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Wait for room and append an item; return False if the consumer has left."""
        with self._changed:
            while len(self._items) >= self._depth and not self._abandoned:
                self._changed.wait()
            self._items.append(item)
            self._changed.notify()
            return not self._abandoned

    def end(self, error: BaseException) -> None:
        """Make `get` raise ``error`` after the last item; StopIteration is the normal end."""
        with self._changed:
            self._error = error
            self._changed.notify()

    def get(self) -> T:
        """Wait for the oldest item and return it."""
        with self._changed:
            while not self._items and self._error is None:
                self._changed.wait(_WAKE_SECONDS)
            if not self._items and self._error is not None:
                raise self._error
            self._changed.notify()
            return self._items.popleft()

    def leave(self) -> None:
        """End the queue from the consumer's side and drop its items."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify()
