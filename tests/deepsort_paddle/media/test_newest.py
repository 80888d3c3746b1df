"""The newest frame of a live source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import numpy as np
import pytest

from deepsort_paddle.frames import Frame, FrameSource, Tally
from deepsort_paddle.media.newest import NewestFrames


class Camera:
    """Gives a frame when the test says so; every `send` returns when the reader has taken it in."""

    def __init__(self) -> None:
        self.orders: SimpleQueue[Frame | BaseException | None] = SimpleQueue()
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()
        self.number = 0

    def frames(self) -> Iterator[Frame]:
        try:
            while True:
                self.asked.release()
                order = self.orders.get()
                if order is None:
                    return
                if isinstance(order, BaseException):
                    raise order
                yield order
        finally:
            self.closed.set()

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.asked.acquire()
            self.number += 1
            self.orders.put(Frame(self.number, np.zeros((4, 6, 3), np.uint8), (self.number - 1) / 25))
        self.asked.acquire()  # the reader asks for the next one: it has taken in the last
        self.asked.release()


def test_the_newest_frame_is_given_and_the_others_are_counted() -> None:
    camera, tally = Camera(), Tally()
    newest = NewestFrames(camera.frames(), tally)
    camera.send()
    assert next(newest).number == 1
    camera.send(3)
    assert next(newest).number == 4
    assert tally.skipped == 2
    camera.orders.put(None)
    with pytest.raises(StopIteration):
        next(newest)
    newest.close()


def test_the_last_frame_comes_before_the_end_and_before_an_error() -> None:
    camera = Camera()
    newest = NewestFrames(camera.frames(), Tally())
    camera.send()
    camera.orders.put(OSError("gone"))
    assert next(newest).number == 1
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            next(newest)
    newest.close()


def test_a_run_begins_with_the_newest_frame_when_the_models_are_loaded() -> None:
    camera, tally = Camera(), Tally()
    tally.started, tally.now = 5e8, lambda: 1002.5
    tally.arrived(1000.0)
    newest = NewestFrames(camera.frames(), tally)
    camera.send()
    source = FrameSource(newest, tally, name="camera", live=True)  # looks at the first frame
    assert (source.width, source.height) == (6, 4)
    camera.send(49)  # while models are loaded
    first = next(source)
    assert (first.number, first.timestamp, source.skipped) == (1, 0, 0)
    assert source.started == pytest.approx(5e8 + 1.96)
    assert source.lag(first) == pytest.approx(0.54)
    camera.send(5)
    later = next(source)
    assert (later.number, later.timestamp, source.skipped) == (6, pytest.approx(0.2), 4)
    camera.orders.put(None)
    source.close()
    assert camera.closed.wait(5)


@pytest.mark.parametrize("made", ["mirrored", "every", "both"])
def test_a_source_made_from_a_live_one_begins_with_the_newest_frame_too(made: str) -> None:
    camera, tally = Camera(), Tally()
    newest = NewestFrames(camera.frames(), tally)
    camera.send()
    source = FrameSource(newest, tally, name="camera", live=True)
    source = source.every(1) if made != "mirrored" else source
    source = source.mirrored() if made != "every" else source
    camera.send(49)  # while models are loaded
    first = next(source)
    assert (first.number, first.timestamp, source.skipped) == (1, 0, 0)
    camera.send(5)
    later = next(source)
    assert (later.number, later.timestamp, source.skipped) == (6, pytest.approx(0.2), 4)
    camera.orders.put(None)
    source.close()
    assert camera.closed.wait(5)


def test_closing_a_source_of_which_nothing_was_read_closes_the_one_it_was_made_from() -> None:
    camera, tally = Camera(), Tally()
    newest = NewestFrames(camera.frames(), tally)
    camera.send()
    with FrameSource(newest, tally, name="camera", live=True).mirrored():
        pass
    with pytest.raises(StopIteration):
        next(newest)
    camera.orders.put(None)
    assert camera.closed.wait(5)


def test_where_nothing_newer_came_the_run_begins_with_the_first_frame() -> None:
    camera, tally = Camera(), Tally()
    newest = NewestFrames(camera.frames(), tally)
    camera.send()
    source = FrameSource(newest, tally, name="camera", live=True)
    camera.orders.put(None)
    assert [frame.number for frame in source] == [1]


def test_closing_does_not_wait_for_a_reader_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepsort_paddle.media import newest as module

    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.01)
    camera = Camera()
    newest = NewestFrames(camera.frames(), Tally())
    camera.send()
    newest.close()
    with pytest.raises(StopIteration):
        next(newest)
    camera.orders.put(None)
    assert camera.closed.wait(5)
