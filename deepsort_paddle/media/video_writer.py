"""Video out: an mp4 that plays in browsers.

H.264 with 4:2:0 colour is what every browser plays, and the index goes to the front (faststart) so that
playing starts before the download ends. No OpenCV wheel can write it; PyAV brings libx264. While it
grows, the file is a fragmented mp4 in ``NAME.part``: after ``kill -9`` or a crash it still
plays up to the last two seconds. Closing copies the packets, not encoded again, into the final layout, and
with them the sound of another file.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from deepsort_paddle.media.colours import colours_of
from deepsort_paddle.media.sound import Sound, SoundError
from deepsort_paddle.part_files import CompletedOnExit, commit, temporary_path

__all__ = ["VideoWriter"]

_LOGGER = logging.getLogger("deepsort_paddle")

_SQUARE = Fraction(1)
_SUFFIXES = (".mp4", ".m4v", ".mov")
# veryfast without its second step of motion search and without weighted prediction: 17 % less CPU time for
# vtest.avi and 32 % less for ADL-Rundle-6, the same PSNR within 0.1 dB, files 5 to 8 % larger.
_DEFAULT_PRESET = {"preset": "veryfast", "x264-params": "subme=1:weightp=0"}


class VideoWriter(CompletedOnExit):
    """Write BGR frames as H.264.

    The size is that of the first frame; an odd side is padded by one row or column, as 4:2:0 requires even
    sides, and later frames of another size are fitted into it. As a context manager, the file is completed
    also after Ctrl-C; after any other error ``NAME.part`` remains.

    Attributes:
        find_sound: called when the file is closed; returns its sound, or None for a silent video.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "grey.mp4"
        ...     with VideoWriter(path, fps=25) as writer:
        ...         writer.write(np.full((48, 64, 3), 128, np.uint8))
        ...     path.is_file()
        True
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float,
        crf: int = 23,
        preset: str | None = None,
        pixel_aspect: Fraction = _SQUARE,
    ) -> None:
        """Prepare a file; it is created when the first frame is written.

        Args:
            path: ``.mp4``, ``.m4v`` or ``.mov``.
            fps: frames per second; rates such as 30000 / 1001 stay exact.
            crf: x264's constant quality, 0 (lossless) to 51.
            preset: x264's speed, ``ultrafast`` to ``placebo``; None: slightly faster than ``veryfast``.
            pixel_aspect: width / height of a pixel for playback.

        Raises:
            ValueError: the suffix is unknown, or fps is not positive.
        """
        self.path = Path(path)
        self.find_sound: Callable[[], Sound | None] = lambda: None
        if self.path.suffix.lower() not in _SUFFIXES:
            raise ValueError(f"a video is written as {', '.join(_SUFFIXES)}, got {self.path.name}")
        if not 0 < fps < float("inf"):
            raise ValueError(f"fps must be positive, got {fps}")
        self._rate = Fraction(fps).limit_denominator(1001)
        # A clock of 10 kHz or more that counts whole ticks a frame.
        ticks = -(-10_000 // self._rate.numerator)
        self._time_base = Fraction(1, self._rate.numerator * ticks)
        self._options = {"crf": str(crf), **(_DEFAULT_PRESET if preset is None else {"preset": preset})}
        self._pixel_aspect = pixel_aspect
        self._container: Any = None
        self._stream: Any = None
        self._last: int | None = None
        self._size = (0, 0)  # height, width, before evening

    def write(self, image: NDArray[np.uint8], timestamp: float | None = None) -> None:
        """Append ``(H, W, 3)`` uint8 BGR.

        Args:
            image: the frame; not modified.
            timestamp: seconds since the first frame, which keeps a variable frame rate; None: one
                frame's time after the last one. One that does not rise is moved after the last one.

        Raises:
            OSError: the file can't be written.
        """
        if self._container is None:
            self._open(image)
        step = round(1 / (self._rate * self._time_base))
        tick = 0 if self._last is None else self._last + step
        if timestamp is not None:
            tick = round(timestamp / self._time_base)
            if self._last is not None:
                tick = max(tick, self._last + 1)
        self._last = tick
        frame = av.VideoFrame.from_ndarray(self._fit(image), format="bgr24").reformat(
            format="yuv420p", dst_colorspace=colours_of(*self._size).matrix, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = tick, self._time_base
        frame.duration = step
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name; closing twice is fine, without frames no file is made."""
        if self._container is not None:
            self._finish()
            self._rearrange()
            commit(self.path)

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = self._size = (image.shape[0], image.shape[1])
        self._container = av.open(
            str(temporary_path(self.path)),
            "w",
            format="mp4",
            options={"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"},
        )
        stream = self._container.add_stream("libx264", rate=self._rate, options=self._options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        colours_of(height, width).mark(stream.codec_context)
        if self._pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = self._pixel_aspect
        stream.time_base = stream.codec_context.time_base = self._time_base
        stream.codec_context.gop_size = max(1, round(2 * self._rate))
        self._stream = stream

    def _fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``image`` at the size of the video, with its proportions kept, contiguous."""
        height, width = self._size
        if image.shape[:2] != (height, width):
            scale = min(height / image.shape[0], width / image.shape[1])
            size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            canvas = np.zeros((height, width, 3), np.uint8)
            top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
            canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
            image = canvas
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    def _finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._container = None

    def _rearrange(self) -> None:
        """Copy the packets of the fragmented file into one with its index in front."""
        part = temporary_path(self.path)
        whole = part.with_name(part.name + ".mp4")
        sound = self.find_sound()
        try:
            self._copy(part, whole, sound)
        except (SoundError, av.error.FFmpegError) as error:
            if sound is None or isinstance(error, OSError):  # the video cannot be written
                raise
            _LOGGER.warning("%s: sound is left out: %s", self.path, getattr(error, "strerror", error))
            self._copy(part, whole, None)
        whole.replace(part)

    def _copy(self, part: Path, whole: Path, sound: Sound | None) -> None:
        """Copy the packets of ``part`` to ``whole``, with those of the sound between them."""
        with av.open(str(part)) as source:
            stream = source.streams.video[0]
            with av.open(str(whole), "w", format="mp4", options={"movflags": "faststart"}) as target:
                copy = target.add_stream_from_template(stream)
                copy.time_base = stream.time_base

                def images() -> Iterator[Any]:
                    first: int | None = None  # a fragmented file begins later by x264's reordering delay
                    for packet in source.demux(stream):
                        if packet.dts is not None and packet.pts is not None:
                            first = packet.pts if first is None else first
                            packet.pts -= first
                            packet.dts -= first
                            packet.stream = copy
                            yield packet

                tracks = [images()]
                if sound is not None:
                    assert self._last is not None
                    step = 1 / (self._rate * self._time_base)
                    tracks.append(sound.packets(target, float((self._last + step) * self._time_base)))
                for packet in heapq.merge(*tracks, key=lambda packet: packet.dts * packet.time_base):
                    target.mux(packet)

    def abandon(self) -> None:
        """Finish the temporary file without renaming it."""
        if self._container is not None:
            self._finish()
