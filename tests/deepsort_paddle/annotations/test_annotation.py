"""Annotations by the suffix of their file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.annotations.annotation import read_annotation

XML = (
    '<annotations><track id="0" label="person"><box frame="0" xtl="1" ytl="2" xbr="30" ybr="40"/>'
    '<box frame="4" xtl="9" ytl="2" xbr="38" ybr="40"/></track></annotations>'
)
TEXT = "1,5,2,3,29,38,1,1,1\n2,5,4,3,29,38,0,1,1\n5,5,10,3,29,38,1,1,1\n"
NUMBERS = np.array([1, 3, 5])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "a.xml").write_text(XML)
    (tmp_path / "a.txt").write_text(TEXT)
    for name, inner in (("xml.zip", "annotations.xml"), ("mot.zip", "gt/gt.txt")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(inner, XML if "xml" in inner else TEXT)
            archive.writestr("images/frame_000000.png", b"")
    return tmp_path


@pytest.mark.parametrize("name", ["a.xml", "xml.zip"])
def test_cvat_counts_frames_from_0(files: Path, name: str) -> None:
    annotation = read_annotation(files / name, NUMBERS)
    assert annotation.frame.tolist() == [1, 3, 5]
    assert annotation.boxes[:, 0].tolist() == [1, 5, 9]
    assert annotation.labels == {1: "person"}
    by_place = read_annotation(files / name, np.array([372, 373, 374, 375, 376]), by_place=True)
    assert by_place.frame.tolist() == [372, 373, 374, 375, 376]


@pytest.mark.parametrize("name", ["a.txt", "mot.zip"])
def test_ground_truth_has_the_runs_own_numbers_and_what_is_ignored_is_left_out(
    files: Path, name: str
) -> None:
    annotation = read_annotation(files / name, np.arange(1, 6))
    assert annotation.frame.tolist() == [1, 5]
    assert annotation.ids.tolist() == [5, 5]
    assert annotation.boxes[0].tolist() == [1, 2, 30, 40]


@pytest.mark.parametrize("name", ["a.xml", "a.txt", "xml.zip", "mot.zip"])
def test_a_frame_beyond_the_video_is_refused_unless_only_a_part_was_tracked(files: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*the video has the frames"):
        read_annotation(files / name, np.array([1, 2]))
    assert read_annotation(files / name, np.array([1, 2]), whole=False).frame.tolist()[0] == 1


def test_damaged_archives_are_refused_in_one_line(files: Path) -> None:
    (files / "cut.zip").write_bytes((files / "xml.zip").read_bytes()[:60])
    with zipfile.ZipFile(files / "other.zip", "w") as archive:
        archive.writestr("a.txt", "")
    with zipfile.ZipFile(files / "wrong.zip", "w") as archive:
        archive.writestr("gt/gt.txt", "1,2\n")
    for name, expected in (
        ("cut.zip", "damaged archive"),
        ("other.zip", "expected annotations.xml or gt/gt.txt in the archive"),
        ("wrong.zip", "wrong.zip/gt/gt.txt, line 1"),
    ):
        with pytest.raises(ValueError, match=expected) as error:
            read_annotation(files / name, NUMBERS)
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_annotation(files / "none.xml", NUMBERS)


def test_no_person_is_an_annotation_too(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotations></annotations>")
    assert read_annotation(tmp_path / "a.xml", NUMBERS).boxes.shape == (0, 4)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_one_line(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("annotations.xml", XML)
    data = bytearray(path.read_bytes())
    begin = data.index(b"annotations.xml") + len("annotations.xml")
    data[begin : begin + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.zip"):
        read_annotation(path, NUMBERS)
