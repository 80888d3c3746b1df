"""The sound of a video file, copied into an annotated video without encoding it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from deepsort_paddle.media.addresses import ffmpeg_address

__all__ = ["COPIED_CODECS", "Sound", "SoundError", "sound_codec"]

# Codecs that mp4 holds and browsers or common players play.
COPIED_CODECS = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})


def sound_codec(path: str | Path) -> str | None:
    """Name of the codec of a file's sound, as ``aac``; None where it has none or cannot be read."""
    try:
        with av.open(ffmpeg_address(Path(path))) as container:
            stream = container.streams.best("audio")
            return None if stream is None else str(stream.codec_context.codec.canonical_name)
    except (av.error.FFmpegError, AttributeError):  # a file may break off in its header
        return None


class SoundError(Exception):
    """The sound of a file cannot be read, or not be held by the file it is copied to."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of a file from some time on.

    Attributes:
        path: the file; its codec must be one of `COPIED_CODECS`.
        begins: seconds on the file's own clock that become 0.
    """

    path: Path
    begins: float

    def packets(self, target: Any, seconds: float) -> Iterator[Any]:
        """Add an audio stream to ``target`` at once; returns its packets, of the first ``seconds``.

        A packet that only overlaps the beginning is left out, which is at most 0.1 s.

        Raises:
            SoundError: the file cannot be read, here or by the iterator, or ``target`` cannot hold its
                sound.
        """
        with _errors_of_sound():
            container = av.open(ffmpeg_address(self.path))
        try:
            with _errors_of_sound():
                stream = container.streams.best("audio")
                copy = target.add_stream_from_template(stream)
        except BaseException:
            container.close()
            raise
        return self._packets(container, stream, copy, seconds)

    def _packets(self, container: Any, stream: Any, copy: Any, seconds: float) -> Iterator[Any]:
        shift = round(self.begins / stream.time_base)
        last = round(seconds / stream.time_base)
        latest: int | None = None
        with container, _errors_of_sound():
            if self.begins > 1:  # an imprecise seek only reads more
                container.seek(max(0, shift - round(1 / stream.time_base)), stream=stream)
            for packet in container.demux(stream):
                if packet.pts is None or packet.dts is None or not packet.size:
                    continue
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                if packet.pts >= last:
                    return
                if packet.pts < 0 or (latest is not None and packet.dts <= latest):
                    continue
                latest = packet.dts
                packet.stream = copy
                yield packet


@contextmanager
def _errors_of_sound() -> Iterator[None]:
    """Mark errors of reading the sound, to distinguish them from errors of writing the video."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise SoundError(error.strerror) from error
