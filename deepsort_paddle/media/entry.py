"""Where decoding can begin for ``--start``: the last key frame before it, found without decoding anything.

The packets before it are read and counted, so that frames keep their numbers whatever the frame rate does. A
seek by time would be faster still, but formats without an index know no frame numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av

__all__ = ["Entry", "find_entry"]

# Codecs with one frame for each packet. VP8 and MPEG-4 in AVI have packets that show nothing.
_ONE_TO_ONE = frozenset({"av1", "h264", "hevc", "mjpeg", "vp9"})
# Decoders that skip frames whose references are before the key frame. Others may show them damaged.
_SKIPS_LEADING = frozenset({"hevc"})
_JUMP = 10.0  # seconds between two packets that may be a jump of the clock


@dataclass(frozen=True, slots=True)
class Entry:
    """A key frame at which decoding begins.

    Attributes:
        packets: packets of the stream before it.
        pts: its time stamp, in units of the stream.
        number: its frame number, from 1.
        zero: seconds of the file's clock at the first frame.
    """

    packets: int
    pts: int
    number: int
    zero: float


@dataclass(slots=True)
class _KeyFrame:
    packets: int
    pts: int
    leads: bool = False  # frames that are shown before it come after it


def find_entry(address: str, stream_index: int, start: float) -> Entry | None:
    """Find the last key frame at or before a time.

    Args:
        address: of the file.
        stream_index: of its video stream.
        start: seconds since the first frame.

    Returns:
        The key frame; None where it is the first frame, or where packets do not say exactly which frame is
        which.
    """
    try:
        with av.open(address) as container:
            return _search(container, container.streams[stream_index], start)
    except av.error.FFmpegError:
        return None


def _search(container: Any, stream: Any, start: float) -> Entry | None:
    codec = stream.codec_context.codec.canonical_name
    if codec not in _ONE_TO_ONE:
        return None
    unit = float(stream.time_base)
    stamps: list[int] = []
    keys: list[_KeyFrame] = []
    zero = limit = 0
    latest: int | None = None
    for packet in container.demux(stream):
        pts, dts = packet.pts, packet.dts
        if not packet.size and pts is None:
            break  # the end
        if pts is None or packet.is_corrupt or packet.is_discard or not packet.size:
            return None
        if not stamps and not packet.is_keyframe:
            return None  # decoders drop what comes before the first key frame
        zero = min(zero, pts) if stamps else pts
        limit = zero + round(start / unit)
        if dts is not None:  # Matroska gives none to the first packets
            if latest is not None and not 0 < (dts - latest) * unit <= _JUMP:
                return None
            latest = dts
            if dts > limit:
                break
        for key in keys[-2:]:
            key.leads |= pts < key.pts
        if packet.is_keyframe:
            keys.append(_KeyFrame(len(stamps), pts))
        stamps.append(pts)
    fit = [key for key in keys if key.pts <= limit and (codec in _SKIPS_LEADING or not key.leads)]
    if keys and keys[0].leads:  # frames that refer to what was cut off
        return None
    if not fit or not fit[-1].packets or len(set(stamps)) < len(stamps):
        return None
    best = fit[-1]
    return Entry(best.packets, best.pts, 1 + sum(stamp < best.pts for stamp in stamps), zero * unit)
