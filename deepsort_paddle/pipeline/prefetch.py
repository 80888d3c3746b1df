"""Stages side by side: each runs in a thread of its own, a few items ahead of the one that takes them.

Decoding, detecting and encoding spend their time in C code, most of which releases Python's lock, so that
threads overlap them. `ahead` puts a thread and a bounded queue between an iterator and who reads it; a chain
of them, with generators between that close what they read, is a pipeline. Items keep their order, an error
comes at its place behind the items before it, and who stops reading stops the whole chain.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

__all__ = ["ahead"]

T = TypeVar("T")

# On Windows a wait without end can't be left by Ctrl-C.
_WAKE_SECONDS = 0.2


def ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """The same items, made by another thread while the caller works on earlier ones.

    The thread starts with the first item asked for, and has ended when this iterator has: at the end, at an
    error, or when it is closed.

    Args:
        items: closed at the end if it can be closed; must not be used by anybody else.
        depth: items that may wait, at least 1; one more is in the making.

    Raises:
        BaseException: what ``items`` raised, after the items before it.
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
            del item  # else it is kept alive while the next one is waited for
    finally:
        queue.leave()
        thread.join()


def _fill(items: Iterator[T], queue: _Queue[T]) -> None:
    """What the thread does."""
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
    """``items`` as a generator: closing it closes them."""
    try:
        yield from items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


class _Queue(Generic[T]):
    """A bounded queue from one thread to another that either side can end."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._left = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Append an item, waiting for room; False when nobody wants it any more."""
        with self._changed:
            while len(self._items) >= self._depth and not self._left:
                self._changed.wait()
            self._items.append(item)
            self._changed.notify()
            return not self._left

    def end(self, error: BaseException) -> None:
        """Raise ``error`` to who asks for more than was put; StopIteration is the plain end."""
        with self._changed:
            self._error = error
            self._changed.notify()

    def get(self) -> T:
        """The oldest item, waiting for it."""
        with self._changed:
            while not self._items and self._error is None:
                self._changed.wait(_WAKE_SECONDS)
            if not self._items and self._error is not None:
                raise self._error
            self._changed.notify()
            return self._items.popleft()

    def leave(self) -> None:
        """Want nothing more."""
        with self._changed:
            self._left = True
            self._items.clear()
            self._changed.notify()
