"""Decode image files, after checking the size in their headers.

OpenCV recognises the kind of an image by its bytes, not by its name, and believes the size in a header
before it looks for the pixels: 133 damaged bytes of PNG filled 3.6 GB, 118 valid ones of an animated WebP
9.7 GB, a GIF of 35 bytes 7 GB and more than a minute. So only common
kinds are decoded, and only if the file is large enough for the size in its header.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["IMAGE_SUFFIXES", "KINDS", "decode_image", "worth_decoding"]

# Suffixes of the files in an image folder, for tracking and for training.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

KINDS = "BMP, JPEG, PNG, PGM, PPM, TIFF, WebP"
_PNG = b"\x89PNG\r\n\x1a\n"
_DEFLATE_RATIO = 1032  # zlib's largest compression
# Fax codes and lossless WebP compress plain areas without limit. Any size up to the first number of pixels,
# 50 MB, is accepted; above it, at most the second number of pixels a byte (LZW: 2560, lossy WebP: 560).
_ALWAYS_FINE = 1 << 24
_MOST_PIXELS = 4096
_TIFF_SIDES = {256: "width", 257: "height", 322: "width", 323: "height"}
_TIFF_NUMBERS = {1: "B", 3: "H", 6: "B", 8: "H", 16: "Q", 17: "Q"}  # others take 32 bits


def decode_image(content: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Decode the bytes of an image file.

    Args:
        content: ``(N,)`` uint8, the whole file.

    Returns:
        ``(H, W, 3)`` uint8 BGR; grey, transparent and 16-bit images are converted. None where the bytes are
        damaged, or not an image of one of the `KINDS`.
    """
    if not worth_decoding(content.tobytes()):
        return None
    try:
        # imdecode, not imread: imread cannot open every path on Windows and writes to stderr by itself.
        image = cv2.imdecode(content, cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV accepts
        return None
    return None if image is None else np.asarray(image, np.uint8)


def worth_decoding(content: bytes) -> bool:
    """Whether a file's bytes are an image of one of the `KINDS` whose header fits their length."""
    if content[: len(_PNG)] == _PNG:
        return _png_fits(content)
    if content[:3] == b"\xff\xd8\xff":
        return _jpeg_fits(content)
    if content[:2] == b"BM":
        return _bmp_fits(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp_fits(content)
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff_fits(content)
    return content[:1] == b"P" and content[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6")  # read row by row


def _packed_fits(pixels: int, content: bytes) -> bool:
    """For kinds that can pack plain areas without a bound."""
    return pixels <= max(_ALWAYS_FINE, _MOST_PIXELS * len(content))


def _png_fits(content: bytes) -> bool:
    """Whether all chunks lie within the file and its bytes are enough for the rows."""
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if at + 12 + length > len(content):
            return False
        if kind == b"IHDR":
            width, height = (int.from_bytes(content[at + n : at + n + 4], "big") for n in (8, 12))
            if height * (1 + width // 8) > _DEFLATE_RATIO * len(content):
                return False
        if kind == b"IEND":
            return True
        at += 12 + length
    return True


def _jpeg_fits(content: bytes) -> bool:
    """Each block of 8 x 8 takes a bit or more (ITU-T T.81, F.1.2). Markers are found as libjpeg does."""
    at = 2
    while True:
        at = content.find(b"\xff", at)  # bytes that belong to nothing are stepped over
        while 0 <= at < len(content) and content[at] == 0xFF:
            at += 1
        if at < 0 or at + 8 > len(content):
            return True
        marker, length = content[at], int.from_bytes(content[at + 1 : at + 3], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[at + n : at + n + 2], "big") for n in (4, 6))
            return height * width <= 64 * 8 * len(content)
        alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8  # these have no length
        at += 1 if alone else 1 + length


def _bmp_fits(content: bytes) -> bool:
    """Rows are stored whole, or packed in runs, two bytes for 255 pixels at most."""
    size, packed = int.from_bytes(content[14:18], "little"), False
    try:
        if size == 12:
            width, height, _, bits = struct.unpack_from("<4H", content, 18)
        else:
            width, height, _, bits, packing = struct.unpack_from("<2i2HI", content, 18)
            packed = packing in (1, 2)
    except struct.error:  # cut off
        return False
    pixels: int = abs(width * height)
    return pixels <= 128 * len(content) if packed else pixels * bits <= 8 * len(content)


def _webp_fits(content: bytes) -> bool:
    """Read the size of the canvas, or of the single image."""
    kind, body = content[12:16], content[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(body[n : n + 3], "little") for n in (4, 7))
    elif kind == b"VP8L":
        sides = int.from_bytes(body[1:5], "little")
        width, height = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(body[n : n + 2], "little") & 0x3FFF for n in (6, 8))
    else:
        return False
    return _packed_fits(width * height, content)


def _tiff_fits(content: bytes) -> bool:
    """Read the sizes of image and tiles in the first directory (TIFF 6.0; BigTIFF)."""
    order = "<" if content[:1] == b"I" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    wide, high = [0], [0]
    try:
        (at,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
        (entries,) = struct.unpack_from(order + ("Q" if big else "H"), content, at)
        at += 8 if big else 2
        for _ in range(entries):
            tag, kind = struct.unpack_from(order + "HH", content, at)
            if tag in _TIFF_SIDES:
                place = at + (12 if big else 8)
                if kind in (16, 17) and not big:  # does not fit into the entry, which says where it is
                    (place,) = struct.unpack_from(order + "I", content, place)
                (side,) = struct.unpack_from(order + _TIFF_NUMBERS.get(kind, "I"), content, place)
                (wide if _TIFF_SIDES[tag] == "width" else high).append(side)
            at += 20 if big else 12
    except (struct.error, OverflowError):  # cut off
        return False
    return _packed_fits(max(wide) * max(high), content)
