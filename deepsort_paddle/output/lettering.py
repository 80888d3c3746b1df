"""Draw text on frames: ASCII by OpenCV, other scripts by Pillow with an installed font.

OpenCV's letters are the same on every machine, but only cover ASCII. For any other text the installed fonts
are searched, once per set of characters, for a font with a glyph for every character.
"""

from __future__ import annotations

import os
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["FONT_PACKAGES", "can_draw", "draw_text", "text_scale", "text_size"]

# Packages of Debian and Ubuntu for all scripts; a note names them if a character cannot be drawn.
FONT_PACKAGES = "fonts-noto-cjk for Chinese, Japanese and Korean, fonts-noto-core for other scripts"
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Font size in pixels at scale 1, where OpenCV's capitals are 21 pixels high; Chinese characters below 15 are
# not legible.
_POINTS, _LEAST_POINTS = 32, 15
# Plain fonts with many characters, the best first; other fonts are tried after them.
_FIRST = (
    *("notosanscjk", "sourcehansans", "wqy-microhei", "wqy-zenhei", "droidsansfallback", "msyh", "simhei"),
    *("pingfang", "hiragino", "yugoth", "meiryo", "malgun", "applesdgothic", "arialuni", "arial unicode"),
    *("notosans-regular", "notosans", "dejavusans", "segoeui", "arial", "liberationsans"),
)
_STYLED = ("bold", "italic", "oblique", "light", "thin", "black", "mono")


def text_scale(height: int, width: int) -> tuple[float, int]:
    """Return scale and line width of text on a frame of this size."""
    scale = max(0.35, min(height, width) / 1100)
    return scale, max(1, round(scale * 1.6))


def can_draw(text: str) -> bool:
    """Return whether OpenCV or an installed font has a glyph for every character of a text."""
    return _is_plain(text) or (text.isprintable() and _font_of(text) is not None)


def text_size(text: str, scale: float, weight: int) -> tuple[int, int]:
    """Return width and height of a text in pixels.

    Args:
        text: one line.
        scale: from `text_scale`.
        weight: line width.
    """
    if _is_plain(text) or _font_of(text) is None:
        (width, height), _ = cv2.getTextSize(_ascii(text), _FONT, scale, weight)
        return width, height
    height, width = _ink(_font_of(text) or "", _points(scale), text).shape
    return width, height


def draw_text(
    canvas: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    *,
    scale: float,
    weight: int,
    color: tuple[int, int, int],
) -> None:
    """Draw a text on a frame.

    Args:
        canvas: ``(H, W, 3)`` uint8 BGR to draw on.
        text: one line; a character without a glyph becomes a question mark.
        corner: its upper left corner, x and y.
        scale: from `text_scale`.
        weight: line width.
        color: BGR.
    """
    x, y = corner
    if _is_plain(text) or _font_of(text) is None:
        _, height = text_size(text, scale, weight)
        cv2.putText(canvas, _ascii(text), (x, y + height), _FONT, scale, color, weight, cv2.LINE_AA)
        return
    ink = _ink(_font_of(text) or "", _points(scale), text)[max(-y, 0) :, max(-x, 0) :]
    area = canvas[max(y, 0) :, max(x, 0) :][: ink.shape[0], : ink.shape[1]]  # inside the frame
    ink = ink[: area.shape[0], : area.shape[1], None]
    area[:] = np.rint(area + ink * (np.array(color, np.float32) - area))


@lru_cache(maxsize=512)
def _ink(path: str, points: int, text: str) -> NDArray[np.float32]:
    """Return the coverage of each pixel by a text, ``(height, width)`` in [0, 1]."""
    from PIL import Image, ImageDraw

    font = _loaded(path, points)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(np.ceil(right - left)), int(np.ceil(bottom - top))))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _ascii(text: str) -> str:
    """Replace characters that OpenCV cannot draw by question marks."""
    return "".join(one if _is_plain(one) else "?" for one in text)


def _points(scale: float) -> int:
    return max(_LEAST_POINTS, round(_POINTS * scale))


def _font_of(text: str) -> str | None:
    """Return a font with a glyph for every character of the text; None if there is none."""
    return _font_with("".join(sorted(set(text) - set(map(chr, range(32, 127))))))


@lru_cache(maxsize=256)
def _font_with(characters: str) -> str | None:
    return next((path for path in _fonts() if _has(path, characters)), None)


def _has(path: str, characters: str) -> bool:
    """Return whether a font has a glyph for each character."""
    try:
        font = _loaded(path, _LEAST_POINTS)
        missing = _glyph(font, "\U0010ffff")  # no font has this one: the placeholder box
        return all(_glyph(font, one) != missing for one in characters)
    except (OSError, ValueError):
        return False


def _glyph(font: FreeTypeFont, character: str) -> tuple[bytes, tuple[int, int]]:
    mask = font.getmask(character)
    return bytes(mask), mask.size


@lru_cache(maxsize=32)
def _loaded(path: str, points: int) -> FreeTypeFont:
    from PIL import ImageFont  # most runs do not need it

    return ImageFont.truetype(path, points)


@cache
def _fonts() -> tuple[str, ...]:
    """Return the fonts of this machine, the most suitable first."""
    home = Path.home()
    if sys.platform == "win32":
        folders = [Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")]
        folders.append(Path(os.environ.get("LOCALAPPDATA", home), "Microsoft/Windows/Fonts"))
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    else:
        share = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
        folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path(share, "fonts")]
        folders.append(home / ".fonts")
    files = [path for folder in folders for path in sorted(folder.rglob("*.[to]t[fc]")) if path.is_file()]

    def rank(path: Path) -> tuple[bool, int]:
        name = path.stem.lower()
        known = [place for place, begin in enumerate(_FIRST) if name.startswith(begin)]
        return any(word in name for word in _STYLED), min(known, default=len(_FIRST))

    return tuple(str(path) for path in sorted(files, key=rank))
