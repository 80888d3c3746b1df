"""Images whose headers promise more than their bytes can hold are not decoded."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsort_paddle.media.image_header import worth_decoding
from deepsort_paddle.media.source import open_source
from reid_train.data.image_cache import read_image

SIDE = 30_000  # 900 megapixels, which OpenCV takes
MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"BM",
    b"RIFF\0\0\0\0WEBP",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
)


def encoded(suffix: str, image: object, *parameters: int) -> bytes:
    """An image file as OpenCV writes it."""
    return bytes(cv2.imencode(suffix, np.asarray(image, np.uint8), parameters)[1].tobytes())


def tiff(sides: dict[int, int], strips: int, *, order: str = "<", kind: int = 4) -> bytes:
    """A white page in fax codes (compression 4, a bit a row), of strips of a thousand rows."""
    number = {3: "H2x", 4: "I"}.get(kind, "I")
    strip = b"\xff" * 126
    entries = len(sides) + 7
    at = 10 + 12 * entries + 4
    lists = at + 8 * strips
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, entries)
    for tag, side in sides.items():
        if kind == 16:  # 64 bits do not fit: they lie at the end of the file
            side, number = lists + len(strip) + 8 * list(sides).index(tag), "I"
        head += struct.pack(order + "HHI" + number, tag, kind, 1, side)
    rest = ((258, 1), (259, 4), (262, 0), (277, 1), (278, 1000))
    for tag, value in rest:
        head += struct.pack(order + "HHII", tag, 4, 1, value)
    for tag, place in ((273, at), (279, at + 4 * strips)):
        head += struct.pack(order + "HHII", tag, 4, strips, place)
    places = struct.pack(f"{order}{2 * strips}I", *[lists] * strips, *[len(strip)] * strips)
    return head + bytes(4) + places + strip + struct.pack(f"{order}{len(sides)}Q", *sides.values())


def bigtiff(side: int) -> bytes:
    """Only a header and the two sides, as numbers of 64 bits."""
    sides = b"".join(struct.pack("<HHQQ", tag, 16, 1, side) for tag in (256, 257))
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2) + sides + bytes(8)


def webp(side: int, *, moving: bool = True) -> bytes:
    """An animation of one frame of 16 x 16 pixels on a canvas, or the canvas alone."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    canvas = bytes([2 * moving, 0, 0, 0]) + 2 * (side - 1).to_bytes(3, "little")
    body = b"WEBP" + chunk(b"VP8X", canvas)
    if moving:
        still = encoded(".webp", np.full((16, 16, 3), 90), cv2.IMWRITE_WEBP_QUALITY, 80)[12:]
        place = bytes(6) + 2 * (15).to_bytes(3, "little") + b"\x64\0\0\0"
        body += chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", place + still)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_of(quality: int, side: int) -> bytes:
    """A still WebP, lossy (VP8) or above 100 lossless (VP8L), whose header names another side."""
    content = bytearray(encoded(".webp", np.full((40, 50, 3), 90), cv2.IMWRITE_WEBP_QUALITY, quality))
    if quality > 100:
        sides = (side - 1) << 14 | (side - 1)
        content[21:25] = (int.from_bytes(content[21:25], "little") >> 28 << 28 | sides).to_bytes(4, "little")
    else:
        content[26:30] = struct.pack("<HH", side, side)
    return bytes(content)


def bmp(side: int, header: int) -> bytes:
    """Packed rows (8 bits, RLE8) where the header has room to say so, else 24 bits a pixel."""
    sides = struct.pack("<4H", side, side, 1, 24)
    if header > 12:
        sides = struct.pack("<2i2H2I", side, side, 1, 8, 1, 0)
    head = (struct.pack("<I", header) + sides + bytes(header))[:header]
    return (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 14 + header)
        + head
        + bytes(1024)
        + b"\0\2\0\xff" * 120
        + b"\0\1"
    )


def jpeg(side: int, junk: bytes) -> bytes:
    """A JPEG with something that libjpeg steps over before the size."""
    content = encoded(".jpg", np.full((40, 50, 3), 90))
    at = content.index(b"\xff\xc0")
    return content[:at] + junk + content[at : at + 5] + struct.pack(">HH", side, side) + content[at + 9 :]


def crafted(side: int) -> dict[str, bytes]:
    """Files of at most 2000 bytes that name a side; of 30,000 they filled 1 to 10 GB, or would have."""
    return {
        **{
            f"jpeg{n}.jpg": jpeg(side, junk)
            for n, junk in enumerate((b"", b"\0", b"\xff", b"\xff\xd0", b"\xff\0"))
        },
        **{f"bmp{header}.bmp": bmp(side, header) for header in (12, 36, 40, 124, 256)},
        "fax.tif": tiff({256: side, 257: side}, -(-side // 1000)),
        "motorola.tif": tiff({256: side, 257: side}, -(-side // 1000), order=">"),
        "short.tif": tiff({256: side, 257: side}, -(-side // 1000), kind=3),
        "apart.tif": tiff({256: side, 257: side}, -(-side // 1000), kind=16),
        "tile.tif": tiff({256: 100, 257: 100, 322: side, 323: side}, 1),
        "big.tif": bigtiff(side),
        "moving.webp": webp(side),
        "unknown.webp": webp(side).replace(b"VP8X", b"/P8X"),
        "cut.bmp": bmp(side, 12)[:27],
        "canvas.webp": webp(side, moving=False),
    }


@pytest.mark.parametrize("name", crafted(40))
def test_a_small_file_that_promises_a_gigapixel_is_not_decoded(name: str) -> None:
    assert len(crafted(SIDE)[name]) < 2000
    assert not worth_decoding(crafted(SIDE)[name])
    if not name.endswith(".bmp") and name != "unknown.webp":
        assert worth_decoding(crafted(40)[name])


def test_the_smallest_bmp_is_decoded() -> None:
    content = bmp(1, 12)[:26] + b"\1\2\3\0"
    assert worth_decoding(content)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    "name", ["jpeg1.jpg", "bmp36.bmp", "bmp256.bmp", "fax.tif", "motorola.tif", "moving.webp"]
)
def test_the_crafted_files_are_ones_that_opencv_decodes(name: str) -> None:
    image = cv2.imdecode(np.frombuffer(crafted(40)[name], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (40, 40, 3)


@pytest.mark.parametrize("quality", [80, 101])
def test_a_still_webp_is_judged_by_its_own_size(quality: int) -> None:
    assert worth_decoding(webp_of(quality, 4000))
    assert not worth_decoding(webp_of(quality, 16_383))


@pytest.mark.parametrize(
    ("suffix", "parameters"),
    [
        *[(suffix, ()) for suffix in (".jpg", ".png", ".bmp", ".ppm", ".pgm", ".tiff")],
        *[(".tiff", (cv2.IMWRITE_TIFF_COMPRESSION, kind)) for kind in (1, 5, 8, 32773)],
        *[(".webp", (cv2.IMWRITE_WEBP_QUALITY, quality)) for quality in (1, 80, 101)],
    ],
)
@pytest.mark.parametrize("sides", [(1, 1), (40, 50), (1, 3000), (3000, 2000)])
def test_whole_images_are_decoded_plain_ones_too(
    suffix: str, parameters: tuple[int, ...], sides: tuple[int, int]
) -> None:
    for shape in (sides, (*sides, 3)):
        if (suffix == ".pgm" and len(shape) == 3) or (suffix == ".ppm" and len(shape) == 2):
            continue
        assert worth_decoding(encoded(suffix, np.full(shape, 90), *parameters))


def test_other_kinds_are_not_decoded_whatever_their_name(tmp_path: Path) -> None:
    """OpenCV knows images by their bytes: a GIF of 35 bytes filled 7 GB and took more than a minute."""
    image = np.full((40, 50, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "1.jpg"), image)
    kinds = [
        suffix for suffix in (".gif", ".jp2", ".ras", ".hdr", ".avif") if cv2.haveImageWriter(f"x{suffix}")
    ]
    assert kinds
    for number, suffix in enumerate(kinds, start=2):
        content = cv2.imencode(suffix, image)[1]
        assert cv2.imdecode(content, cv2.IMREAD_COLOR) is not None
        (tmp_path / f"{number}.jpg").write_bytes(content.tobytes())
        with pytest.raises(ValueError, match=rf"{number}.jpg: not a readable image \(BMP, JPEG, "):
            read_image(tmp_path / f"{number}.jpg")
    with open_source(tmp_path) as source:
        assert [frame.image is None for frame in source] == [False, *[True for _ in kinds]]


def test_huge_promises_are_broken_frames_and_refused_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png", np.zeros((8, 8))))
    for name, content in crafted(SIDE).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: not a readable image"):
            read_image(tmp_path / name)
    with open_source(tmp_path) as source:
        assert sum(frame.image is None for frame in source) == source.broken == len(crafted(SIDE))


@given(st.sampled_from(MAGIC), st.binary(max_size=300))
def test_any_bytes_behind_any_beginning_get_an_answer(start: bytes, rest: bytes) -> None:
    assert worth_decoding(start + rest) in (True, False)


@given(st.sampled_from(sorted(crafted(40))), st.data())
def test_cut_and_changed_headers_get_an_answer(name: str, data: st.DataObject) -> None:
    content = bytearray(crafted(40)[name])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(st.integers(0, 255))
    assert worth_decoding(bytes(content[: data.draw(st.integers(0, len(content)))])) in (True, False)
