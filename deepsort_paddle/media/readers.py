"""Readers: generators of frames from an open file, stream, camera or list of images.

PyAV reads files and streams, OpenCV reads cameras. Both use FFmpeg, are equally fast and decode the same
pixels (checked on real video). But OpenCV silently skips packets that cannot be decoded, so all later frames
have wrong numbers, and its wheels cannot write H.264. With PyAV a broken packet is counted and becomes a
frame without image, and each frame has its exact timestamp. PyAV has no portable way to name a camera;
OpenCV has.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame, Tally
from deepsort_paddle.media.clock import FrameClock, is_raw, without_jumps
from deepsort_paddle.media.entry import Entry
from deepsort_paddle.media.image_header import decode_image
from deepsort_paddle.media.orientation import UprightImages
from deepsort_paddle.media.stream_clock import StreamClock

__all__ = [
    "open_container",
    "pixel_aspect",
    "read_camera",
    "read_file",
    "read_images",
    "read_stream",
]

_BROKEN_OFF = "reading stopped"
_LATEST = 10.0  # seconds by which a decoder may return a frame too late; a larger step back is a clock jump
_END = 1.0  # seconds before the stated end of a recording at which it may end
_LONGEST_WAIT = 30.0  # seconds between two attempts to reconnect


def open_container(address: str, name: str, **options: Any) -> tuple[Any, Any]:
    """Open a container; return it and its first real video stream (a song's cover image is not one)."""
    began = time.monotonic()
    try:
        container = av.open(address, **options)
    except av.error.FFmpegError as error:
        if "timeout" in options and time.monotonic() - began >= options["timeout"]:
            # FFmpeg reports an exit, or invalid data.
            raise OSError(f"{name} can't be opened: no answer in {options['timeout']:g} seconds") from None
        if isinstance(error, OSError):
            raise OSError(f"{name} can't be opened: {error.strerror}") from None
        raise ValueError(f"{name} is not a video that can be read: {error.strerror}") from None
    # FFmpeg reads any text file as terminal art.
    streams = [] if container.format.name == "tty" else container.streams.video
    for stream in streams:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return container, stream
    container.close()
    raise ValueError(f"{name} is not a video: it has no video stream")


def pixel_aspect(stream: Any) -> Fraction:
    """Return width / height of a displayed pixel; 1 if unknown."""
    codec = stream.codec_context  # None if the header is truncated
    aspect = stream.sample_aspect_ratio or (codec and codec.sample_aspect_ratio)
    return Fraction(aspect) if aspect and aspect > 0 else Fraction(1)


def read_file(
    container: Any,
    stream: Any,
    tally: Tally,
    fps: float | None,
    promised: int | None,
    entry: Entry | None = None,
) -> Iterator[Frame]:
    """Yield all frames of a file in order of presentation, including broken ones.

    With an ``entry``, frames before it are not decoded.

    A packet that cannot be decoded raises, but with several decoder threads it raises while a later packet is
    sent, its position is not yet known if frames are reordered, and decoders also drop frames silently after
    damage. So the timestamps of packets are kept in a heap: those older than a decoded frame are lost frames.
    They count only after damage, since intact files also have packets without a frame.
    """
    waiting: list[int] = []
    failures, number = 0, entry.number - 1 if entry else 0
    damaged = fed = False
    latest: int | None = None
    image_of = UprightImages(tally)
    clock, raw = FrameClock(1 / fps if fps else 0.0, entry.zero if entry else None), is_raw(container)

    def lost(count: int) -> Iterator[Frame]:
        nonlocal number
        for _ in range(count):
            seconds = clock.skip() if number else 0.0
            number += 1
            tally.broken += 1
            yield Frame(number, None, seconds if fps else None)

    with container:
        packets = islice(_packets(container, stream, tally), entry.packets if entry else 0, None)
        for packet in without_jumps(packets, container, stream, clock):
            if entry and packet.pts is not None and packet.pts < entry.pts:
                continue  # shown before the entry, from which it cannot be decoded
            if packet.pts is not None and packet.size and not packet.is_discard:
                heapq.heappush(waiting, packet.pts)
            fed |= packet.size > 0
            if not fed:
                continue  # nothing to flush, and PyAV before 18 crashes if the header is truncated, too
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                damaged = True
                failures += packet.pts is None
                continue
            for decoded in frames:
                damaged |= decoded.is_corrupt
                damaged |= entry is not None and latest is None and decoded.pts != entry.pts
                if decoded.pts is not None:
                    late = -1.0 if latest is None else (latest - decoded.pts) * float(stream.time_base)
                    if damaged and 0 <= late <= _LATEST:
                        continue  # too late: it was already counted as lost
                    latest = decoded.pts
                gap, failures = failures, 0
                while decoded.pts is not None and waiting and waiting[0] <= decoded.pts:
                    gap += heapq.heappop(waiting) < decoded.pts and damaged
                yield from lost(gap)
                number += 1
                tally.broken += decoded.is_corrupt
                if decoded.time is not None and not raw:
                    seconds: float | None = clock.elapsed(decoded.time)
                    tally.origin = clock.origin
                else:
                    seconds = None if not fps else clock.skip() if number > 1 else 0.0
                yield Frame(number, image_of(decoded), seconds)
        yield from lost(failures + (len(waiting) if damaged else 0))
    tally.add_note(clock.note)
    if promised is not None and number < promised and _BROKEN_OFF not in tally.note:
        tally.add_note(f"the file promises {promised} frames, {number} were found")


def _packets(container: Any, stream: Any, tally: Tally) -> Iterator[Any]:
    """Yield the packets of a stream, then an empty one to flush the decoder, even of a truncated file."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError as error:
        tally.add_note(f"{_BROKEN_OFF}: {error.strerror}")
        flush = av.Packet()
        flush.stream = stream
        yield flush


def read_stream(
    connect: Callable[[], tuple[Any, Any]],
    connection: tuple[Any, Any],
    tally: Tally,
    retries: int,
    backoff: float,
    patience: float,
) -> Iterator[Frame]:
    """Yield frames of a live stream with times of a `StreamClock`; reconnect when it is lost.

    The timeout of the connection ends a silent stream. A stream that continues without frames, with audio
    only or with packets that cannot be decoded, counts as lost after ``patience`` seconds, so packets of all
    streams are read. The first frame may take three times as long: decoders wait for a keyframe. A stream
    that states its length, such as a recording over RTSP, ends there.
    """
    number = attempts = 0
    clock, image_of = StreamClock(tally), UprightImages(tally)
    while True:
        reason = "the stream ended"
        container, stream = connection
        length = container.duration and container.duration / av.time_base
        first, reached = None, 0.0
        with container:
            packets = container.demux()
            due = time.monotonic() + 3 * patience
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                except av.error.FFmpegError as error:
                    reason = str(error.strerror)
                    break
                if time.monotonic() > due:
                    reason = f"it sent no frame for {patience:g} s"
                    break
                if packet.stream is not stream or not (number or packet.size):
                    continue
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    tally.broken += 1
                    continue
                for decoded in frames:
                    number, attempts = number + 1, 0
                    tally.broken += decoded.is_corrupt
                    if decoded.time is not None:
                        first = decoded.time if first is None else first
                        reached = decoded.time - first
                    yield Frame(number, image_of(decoded), clock.stamp(decoded.time))
                    due = time.monotonic() + patience
        if length and reached >= length - _END:
            return
        again, attempts = _reconnected(connect, tally, attempts, retries, backoff, "stream", reason)
        if again is None:
            return
        connection = again
        clock.reconnected()


def read_camera(
    connect: Callable[[], Any], capture: Any, tally: Tally, retries: int, backoff: float
) -> Iterator[Frame]:
    """Yield frames of a camera with their time of arrival.

    After ten consecutive failures, or no answer in time, the camera counts as lost and is opened again.
    """
    number = failures = attempts = 0
    clock = StreamClock(tally)
    while True:
        reason = "it stopped sending frames"
        try:
            while failures < 10:
                fine, image = capture.read()
                if not fine:
                    failures += 1
                    tally.broken += 1
                    continue
                number, failures, attempts = number + 1, 0, 0
                yield Frame(number, image, clock.stamp(None))
        except TimeoutError as error:
            reason = str(error)
        finally:
            capture.release()
        again, attempts = _reconnected(connect, tally, attempts, retries, backoff, "camera", reason)
        if again is None:
            return
        capture, failures = again, 0


_Connection = TypeVar("_Connection")


def _reconnected(
    connect: Callable[[], _Connection],
    tally: Tally,
    attempts: int,
    retries: int,
    backoff: float,
    what: str,
    reason: str,
) -> tuple[_Connection | None, int]:
    """Return a new connection, or None after the last attempt, and the attempts since the last frame."""
    while attempts < retries:
        time.sleep(min(backoff * 2**attempts, _LONGEST_WAIT))
        attempts += 1
        try:
            connection = connect()
        except (OSError, ValueError) as error:
            reason = str(error)
            continue
        tally.reconnects += 1
        return connection, attempts
    tally.note = f"the {what} was lost and {retries} attempts to reconnect failed: {reason}"
    return None, attempts


def read_images(
    numbered: Iterable[tuple[int, Path | None]], tally: Tally, fps: float | None
) -> Iterator[Frame]:
    """Yield frames of image files, one frame interval apart; a missing or damaged file is a broken frame.

    Args:
        numbered: frame number and path of each image, in order; None for a missing image.
        tally: counts broken frames.
        fps: frames per second; None if unknown.
    """
    for index, (number, path) in enumerate(numbered):
        image: NDArray[np.uint8] | None = None
        if path is not None:
            with suppress(OSError):  # deleted since the folder was listed
                image = decode_image(np.fromfile(path, np.uint8))
        tally.broken += image is None
        yield Frame(number, image, None if fps is None else index / fps)
