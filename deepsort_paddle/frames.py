"""A frame of a video, and an iterator over the frames of one source."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, dropwhile, islice
from math import ceil
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

__all__ = ["MOST_FRAMES", "Frame", "FrameSource", "Tally"]


_SQUARE = Fraction(1)
MOST_FRAMES = 10_000_000  # of a source that does not say how many it has


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a source.

    Attributes:
        number: frame number, from 1.
        image: ``(H, W, 3)`` uint8 BGR; None for a broken frame or a sequence without images.
        timestamp: seconds since the first frame; None if the source has no clock.

    Example:
        >>> import numpy as np
        >>> Frame(1, np.zeros((480, 640, 3), np.uint8), timestamp=0.0)
        Frame(number=1, timestamp=0.0)
    """

    number: int
    image: NDArray[np.uint8] | None = field(repr=False)
    timestamp: float | None


@dataclass(slots=True)
class Tally:
    """What a reader counts and notes while it reads.

    Attributes:
        broken: frames that could not be read.
        reconnects: how often a stream was lost and found again.
        note: what was wrong with the source's end.
        skipped: frames of a live source that came while an earlier one was tracked.
        started: wall clock at the first frame of a live source, seconds since 1970.
        now: seconds of a clock that never falls.
        origin: seconds on a file's own clock at time 0; None when unknown, or after that clock jumped.
        turned: whether images are turned by 90 degrees for display, so that pixels lie on their side.
    """

    broken: int = 0
    reconnects: int = 0
    note: str = ""
    skipped: int = 0
    started: float | None = None
    now: Callable[[], float] = time.monotonic
    origin: float | None = None
    turned: bool = False
    _zero: float | None = None

    def arrived(self, zero: float) -> None:
        """Take in when time 0 was by the frame that has just arrived; the earliest of all counts."""
        self._zero = zero if self._zero is None else min(self._zero, zero)

    def shift(self, seconds: float) -> None:
        """Move the start of time by ``seconds``."""
        self._zero = None if self._zero is None else self._zero + seconds
        self.started = None if self.started is None else self.started + seconds

    def lag(self, timestamp: float) -> float | None:
        """Seconds since the frame of this time could have been here; None where the source is not live."""
        return None if self._zero is None else max(0.0, self.now() - self._zero - timestamp)

    def add_note(self, text: str) -> None:
        """Append a remark to the note."""
        self.note = f"{self.note}; {text}" if self.note and text else self.note or text


@runtime_checkable
class Returnable(Protocol):
    """Frames of which the first may be handed back, so that a newer one takes its place."""

    def put_back(self, frame: Frame) -> None:
        """Hand it back."""


class FrameSource:
    """An iterator over `Frame`, made by `open_source`; holds one frame at a time.

    Attributes:
        name: the file's stem, or the name of the folder or sequence; for titles and file names.
        fps: frames per second (the average if it varies); None if unknown.
        width: of the frames in pixels; None if unknown (a sequence without images).
        height: of the frames in pixels; None if unknown.
        frame_count: number of frames that the source claims to have; None if unknown.
        live: whether it is a camera or a stream.
        has_images: False for a sequence without images.
        frame_numbers: number of each frame in order, if file names give it; None: 1, 2, 3...
        pixel_aspect: displayed width / height of a pixel.

    Example:
        >>> with FrameSource(iter([Frame(1, None, None)]), Tally(), name="boxes", has_images=False) as source:
        ...     [frame.number for frame in source]
        [1]
    """

    def __init__(
        self,
        frames: Iterator[Frame],
        tally: Tally,
        *,
        name: str,
        fps: float | None = None,
        frame_count: int | None = None,
        size: tuple[int | None, int | None] = (None, None),
        live: bool = False,
        has_images: bool = True,
        frame_numbers: Sequence[int] | None = None,
        pixel_aspect: Fraction = _SQUARE,
    ) -> None:
        self.name = name
        self.fps = fps
        self.frame_count = frame_count
        self.live = live
        self.has_images = has_images
        self.frame_numbers = frame_numbers
        self._pixel_aspect = pixel_aspect
        self.height, self.width = size
        self._tally = tally
        self._close: Callable[[], object] | None = getattr(frames, "close", None)
        # A live source that another one was made from was looked at, and its first frame handed back.
        known = not has_images or (live and None not in size)
        self._frames = frames if known else self._start(frames)

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}" if self.width and self.height else "size unknown"
        rate = "rate unknown" if self.fps is None else f"{self.fps:g} fps"
        length = "" if self.frame_count is None else f", {self.frame_count} frames"
        return f"<FrameSource {self.name!r}: {size}, {rate}{length}>"

    @property
    def first_frame(self) -> int:
        """Number of the first frame."""
        return self.frame_numbers[0] if self.frame_numbers else 1

    @property
    def last_frame(self) -> int | None:
        """Number of the last frame; None when the source does not say."""
        if self.frame_numbers and self.frame_count is not None:
            return self.frame_numbers[self.frame_count - 1]
        return self.frame_count

    @property
    def pixel_aspect(self) -> Fraction:
        """Displayed width / height of a pixel of the images; a file says it of images not turned yet."""
        return 1 / self._pixel_aspect if self._tally.turned else self._pixel_aspect

    def mirrored(self) -> FrameSource:
        """The source with left and right exchanged, as in a mirror."""
        import cv2  # what only reads text does without

        def swapped() -> Generator[Frame, None, None]:
            for frame in self:
                image = frame.image
                yield (
                    frame if image is None else replace(frame, image=np.asarray(cv2.flip(image, 1), np.uint8))
                )

        return self._derived(swapped())

    def every(self, step: int, first: int | None = None) -> FrameSource:
        """The source of every ``step``-th frame; frames keep their numbers and times.

        Args:
            step: 1 or more.
            first: number of the first frame to take; None: the source's first.

        Raises:
            ValueError: ``step`` is below 1, or the source has no frame ``first``.
        """
        first = self.first_frame if first is None else first
        last = self.last_frame
        if step < 1:
            raise ValueError(f"every must be 1 or more, got {step}")
        if first < self.first_frame or (last is not None and first > last):
            end = "" if last is None else f" to {last}"
            raise ValueError(f"{self.name} has frames {self.first_frame}{end}, got first frame {first}")
        numbers: Sequence[int] = self.frame_numbers or range(1, 1 + (self.frame_count or MOST_FRAMES))
        numbers = numbers[next(place for place, number in enumerate(numbers) if number >= first) :: step]

        def chosen() -> Generator[Frame, None, None]:
            later = dropwhile(lambda frame: frame.number < first, self)
            yield from islice(later, 0, None, step)

        return self._derived(
            chosen(),
            fps=None if self.fps is None else self.fps / step,
            frame_count=None if self.frame_count is None else len(numbers),
            frame_numbers=numbers,
        )

    def between(self, start: float = 0.0, end: float | None = None) -> FrameSource:
        """A part of the source; frames keep their numbers and times.

        Args:
            start: seconds of the first frame to take.
            end: seconds at which it ends; None: at its end.

        Raises:
            ValueError: the source has no clock, or no frame in that time.
        """
        if not self.fps:
            raise ValueError(f"{self.name} has no frame rate, so start and end mean nothing: name its rate")
        stop = float("inf") if end is None else end - 1e-6
        index, last = 0, 0.0
        for frame in self:
            if frame.timestamp is None or frame.timestamp >= start - 1e-6:
                break
            index += 1
            last = (frame.timestamp or 0.0) + 1 / self.fps
        else:
            raise ValueError(f"{self.name} ends at {last:.1f} s, before the start at {start:g} s")
        if (frame.timestamp or 0.0) >= stop:
            raise ValueError(f"{self.name} has no frame from {start:g} to {end:g} s")

        def chosen() -> Generator[Frame, None, None]:
            for one in chain([frame], self):
                if (one.timestamp or 0.0) >= stop:
                    return
                yield one

        count = self.frame_count
        if count is not None:
            count -= index
            if end is not None:
                count = min(count, ceil((stop - (frame.timestamp or 0.0)) * self.fps))
            count = max(1, count)
        numbers: Sequence[int] = range(frame.number, frame.number + (count or MOST_FRAMES))
        if self.frame_numbers is not None:
            numbers = self.frame_numbers[index : None if count is None else index + count]
        return self._derived(chosen(), frame_count=count, frame_numbers=numbers)

    def _derived(self, frames: Generator[Frame, None, None], **changed: Any) -> FrameSource:
        """Return a source of frames that are made from this one's; closing it closes this one, too."""
        kept = {
            "name": self.name,
            "fps": self.fps,
            "frame_count": self.frame_count,
            "size": (self.height, self.width),
            "live": self.live,
            "has_images": self.has_images,
            "frame_numbers": self.frame_numbers,
            "pixel_aspect": self._pixel_aspect,
        }
        source = FrameSource(frames, self._tally, **{**kept, **changed})

        def close() -> None:
            try:
                frames.close()
            finally:
                self.close()

        source._close = close
        return source

    @property
    def skipped(self) -> int:
        """Frames of a live source that came while an earlier one was tracked."""
        return self._tally.skipped

    @property
    def started(self) -> float | None:
        """Wall clock at the first frame of a live source, seconds since 1970."""
        return self._tally.started

    @property
    def origin(self) -> float | None:
        """Seconds on a file's own clock at time 0; None when unknown, or after that clock jumped."""
        return self._tally.origin

    def lag(self, frame: Frame) -> float | None:
        """Seconds between a frame's arrival, at best, and now; None where the source is not live."""
        return None if frame.timestamp is None else self._tally.lag(frame.timestamp)

    @property
    def broken(self) -> int:
        """Number of frames so far that could not be read, or that the decoder reported as damaged."""
        return self._tally.broken

    @property
    def reconnects(self) -> int:
        """How often a lost stream was reconnected."""
        return self._tally.reconnects

    @property
    def note(self) -> str:
        """After the last frame: what was wrong at the end of the source; empty if nothing was."""
        return self._tally.note

    def _start(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Read up to the first image, so that a source without images fails when it is opened."""
        first: list[Frame] = []
        for frame in frames:
            first.append(frame)
            if frame.image is not None:
                self.height, self.width = frame.image.shape[:2]
                if isinstance(frames, Returnable):  # time runs until the first frame is read
                    frames.put_back(frame)
                    return frames
                return chain(first, frames)
        raise ValueError(f"{self.name}: no frame can be read" + (f" ({self.note})" if self.note else ""))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Close the file, camera or stream; iteration ends."""
        self._frames = iter(())
        if self._close is not None:
            # After a second Ctrl-C another thread may still be running the generator.
            with suppress(ValueError):
                self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
