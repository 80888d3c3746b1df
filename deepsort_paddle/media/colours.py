"""Colour matrices of video: the matrix of an unmarked file, and the mark on files that we write.

H.264 stores luma and two colour differences. The matrix that converts red, green and blue to them is BT.709
in high definition and BT.601 in smaller video. The wrong matrix shifts greens and reds by up to 20 of 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from av.video.reformatter import ColorRange, Colorspace

__all__ = ["Colours", "colours_of", "unsaid_matrix"]

_UNSPECIFIED = 2  # ISO 23091-2


@dataclass(frozen=True, slots=True)
class Colours:
    """How a video of ours stores colours.

    Attributes:
        matrix: from red, green and blue.
        code: that of ISO 23091-2 for matrix, primaries and transfer function.
    """

    matrix: Colorspace
    code: int

    def mark(self, codec: Any) -> None:
        """Write it into the header of an encoder that is not open yet."""
        codec.colorspace = codec.color_primaries = codec.color_trc = self.code
        codec.color_range = ColorRange.MPEG


def colours_of(height: int, width: int) -> Colours:
    """The colours of a video of this size."""
    if _is_high_definition(height, width):
        return Colours(Colorspace.ITU709, 1)
    return Colours(Colorspace.ITU601, 6)


def unsaid_matrix(decoded: Any) -> Colorspace | None:
    """The matrix of a decoded frame that does not say it, as players take it; None: it says, or has none.

    FFmpeg's own default is BT.601 for every size.
    """
    if decoded.colorspace != _UNSPECIFIED or decoded.format.is_rgb:
        return None
    return Colorspace.ITU709 if _is_high_definition(decoded.height, decoded.width) else None


def _is_high_definition(height: int, width: int) -> bool:
    """Whether a video is larger than PAL, which has 576 lines."""
    return min(height, width) > 576 or max(height, width) >= 1280
