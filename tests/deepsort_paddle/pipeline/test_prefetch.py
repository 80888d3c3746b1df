"""Iterators run ahead by threads: order, errors at their place, bounds, and threads that end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

import pytest

from deepsort_paddle.pipeline.prefetch import prefetch


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


class Numbers:
    """0, 1, 2... up to ``count``, with an error at ``fails``; knows whether it was closed."""

    def __init__(self, count: int, fails: int = -1) -> None:
        self.count, self.fails = count, fails
        self.made = 0
        self.closed = False

    def __iter__(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                if number == self.fails:
                    raise OSError(f"no {number}")
                self.made += 1
                yield number
        finally:
            self.closed = True


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_items_come_in_order(count: int, depth: int) -> None:
    numbers = Numbers(count)
    assert list(prefetch(iter(numbers), depth)) == list(range(count))
    assert numbers.closed


def test_iterators_that_cannot_be_closed_are_fine() -> None:
    assert list(prefetch(iter([1, 2]), 1)) == [1, 2]


def test_an_error_comes_behind_the_items_before_it() -> None:
    items = prefetch(iter(Numbers(9, fails=3)), 5)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="no 3"):
        next(items)


def test_nothing_starts_before_the_first_item_is_asked_for() -> None:
    numbers = Numbers(9)
    items = prefetch(iter(numbers), 2)
    items.close()
    assert numbers.made == 0


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_made_than_fits(depth: int) -> None:
    taken, most = 0, 0

    def made() -> Iterator[int]:
        nonlocal most
        for number in range(200):
            most = max(most, number + 1 - taken)
            yield number

    for _ in prefetch(made(), depth):
        taken += 1
    # Waiting, in the making, and one already handed over but not counted yet.
    assert most <= depth + 2


def doubled(items: Generator[int, None, None]) -> Iterator[int]:
    with closing(items):
        for item in items:
            yield 2 * item


def failing(items: Generator[int, None, None]) -> Iterator[int]:
    with closing(items):
        for item in items:
            if item == 2:
                raise ValueError("two")
            yield item


@pytest.mark.parametrize(("stage", "wanted"), [(doubled, [0, 2, 4]), (failing, [0, 1])])
def test_a_chain_ends_as_a_whole(
    stage: Callable[[Generator[int, None, None]], Iterator[int]], wanted: list[int]
) -> None:
    numbers = Numbers(1_000_000)
    items = prefetch(stage(prefetch(iter(numbers), 2)), 2)
    assert [next(items) for _ in wanted] == wanted
    if stage is failing:
        with pytest.raises(ValueError, match="two"):
            next(items)
    items.close()
    assert numbers.closed
    assert numbers.made < 20


def test_work_goes_on_in_another_thread() -> None:
    threads = []

    def made() -> Iterator[int]:
        threads.append(threading.current_thread())
        yield 1

    assert list(prefetch(made(), 1)) == [1]
    assert threads[0] is not threading.current_thread()
