"""Frame numbers of image folders and sequences come from the file names, in every output."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.media.frame_numbers import LARGEST_NUMBER, first_frame, number_images
from deepsort_paddle.media.source import open_source


def numbered(*names: str, drop_strays: bool = False) -> dict[int, str]:
    found = number_images([Path(name) for name in names], drop_strays=drop_strays)
    return {number: path.name for number, path in found.images.items()}


@pytest.mark.parametrize(
    "pattern",
    ["{:06d}.jpg", "{}.png", "img{:06d}.jpg", "frame_{}.JPG", "cam1_{:06d}_left.png", "24-11-14 {:04d}.tif"],
)
def test_the_digits_that_differ_are_the_frame_number(pattern: str) -> None:
    names = [pattern.format(number) for number in (3, 4, 9, 10, 372)]
    assert list(numbered(*names)) == [3, 4, 9, 10, 372]


def test_a_single_image_has_the_last_number_of_its_name() -> None:
    assert numbered("cam1_000372.jpg") == {372: "cam1_000372.jpg"}


def test_names_that_count_from_zero_get_numbers_from_one() -> None:
    found = number_images([Path(f"{number:06d}.png") for number in range(3)])
    assert list(found.images) == [1, 2, 3]
    assert found.note == "file names count from 0: 000000.png is frame 1"


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "b.png"),
        ("2024-11-14_22-57-44.png", "2024-11-14_22-58-01.png"),  # two runs of digits differ
        ("1700000001.png", "1700000002.png"),  # a clock
        ("1.png", "2.png", "cover.png"),
        ("1.jpg", "1.png", "2.png"),
    ],
)
def test_names_without_a_frame_number_are_counted(names: tuple[str, ...]) -> None:
    assert numbered(*names) == dict(enumerate(names, 1))


def test_no_images_have_no_numbers() -> None:
    assert numbered() == {}
    assert number_images([], drop_strays=True).images == {}


def test_strays_among_the_images_of_a_sequence_are_left_out_and_named() -> None:
    paths = [Path(name) for name in ("000001.jpg", "000002.jpg", "000002.png", "thumb.jpg")]
    found = number_images(paths, drop_strays=True)
    assert [path.name for path in found.images.values()] == ["000001.jpg", "000002.jpg"]
    assert found.note == "2 images without a frame number of their own are left out, as 000002.png"
    with pytest.raises(ValueError, match=f"frame numbers go up to {LARGEST_NUMBER}"):
        number_images([Path("1.png"), Path("99999999999.png")], drop_strays=True)
    mixed = number_images([Path("a.png"), Path("b.png"), Path("3.png")], drop_strays=True)
    assert mixed.counted
    assert mixed.note == "the file names hold no frame numbers: images are counted from 1"


@pytest.mark.parametrize(
    ("numbers", "length", "begins"),
    [
        (range(1, 31), 30, 1),
        (range(3, 31), 30, 1),  # two missing in front
        (range(3, 29), 30, 1),  # and two at the end
        (range(3, 31), None, 3),
        (range(372, 384), 12, 372),
        (range(372, 384), 24, 372),
        (range(372, 384), 395, 372),
        (range(372, 384), None, 372),
        (range(2, 30, 5), 30, 1),
        (range(2, 30, 5), None, 2),
    ],
)
def test_a_sequence_begins_at_one_when_few_images_are_missing_in_front(
    numbers: range, length: int | None, begins: int
) -> None:
    assert first_frame({number: Path() for number in numbers}, length) == begins


def make_sequence(folder: Path, names: list[str], ini: str | None) -> Path:
    (folder / "img1").mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / "img1" / name), np.full((48, 96, 3), 90, np.uint8))
    if ini is not None:
        (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nframeRate=10\n{ini}\n")
    return folder


@pytest.mark.parametrize("ini", ["seqLength=12", "seqLength=24", "seqLength=395", "", None])
@pytest.mark.parametrize("pattern", ["{:06d}.jpg", "img{:07d}.jpg"])
def test_a_sequence_that_starts_late_keeps_its_numbers(tmp_path: Path, ini: str | None, pattern: str) -> None:
    names = [pattern.format(number) for number in range(372, 384)]
    with open_source(make_sequence(tmp_path / "seq", names, ini)) as source:
        assert (source.frame_count, source.last_frame) == (12, 383)
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(372, 384))
    if ini is not None:
        assert [frame.timestamp for frame in frames[:2]] == [0.0, 0.1]
    assert source.broken == 0
    assert "the images begin at frame 372" in source.note


def test_images_missing_in_front_are_broken_frames(tmp_path: Path) -> None:
    names = [f"{number:06d}.jpg" for number in range(3, 11)]
    with open_source(make_sequence(tmp_path / "seq", names, "seqLength=10")) as source:
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(1, 11))
    assert [frame.image is None for frame in frames] == [True, True] + [False] * 8
    assert (source.broken, source.note) == (2, "")


def test_a_stray_image_in_a_sequence_ends_nothing(tmp_path: Path) -> None:
    names = [*(f"{number:06d}.jpg" for number in range(1, 5)), "thumb.jpg"]
    with open_source(make_sequence(tmp_path / "seq", names, "seqLength=4")) as source:
        assert [frame.number for frame in source] == [1, 2, 3, 4]
    assert source.note.endswith("are left out, as thumb.jpg")


def test_a_sequence_without_images_takes_late_numbers_from_its_detections(tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "seq", [], "seqLength=12")
    (folder / "det").mkdir()
    rows = "".join(f"{frame},-1,1,1,5,9,1\n" for frame in range(372, 384))
    (folder / "det" / "det.txt").write_text(rows)
    with open_source(folder) as source:
        assert [frame.number for frame in source] == list(range(372, 384))


def test_a_plain_folder_keeps_the_numbers_of_its_names(tmp_path: Path) -> None:
    for number in (372, 377, 382):
        cv2.imwrite(str(tmp_path / f"{number:06d}.png"), np.zeros((8, 8, 3), np.uint8))
    with open_source(tmp_path, fps=2) as source:
        frames = list(source)
        assert (source.frame_count, source.last_frame) == (3, 382)
    assert [(frame.number, frame.timestamp) for frame in frames] == [(372, 0.0), (377, 0.5), (382, 1.0)]
    assert source.broken == 0


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("step", [1, 5])
def test_every_output_has_the_numbers_of_the_file_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: int, offline: bool
) -> None:
    numbers = list(range(372, 372 + 12 * step, step))
    folder = tmp_path / "images"
    folder.mkdir()
    for number in numbers:
        cv2.imwrite(str(folder / f"{number:06d}.png"), np.full((48, 96, 3), 90, np.uint8))
    rows = [f"{number},-1,{10 + place},9,10,20,0.9\n" for place, number in enumerate(numbers)]
    del rows[6]  # a gap, which --offline fills
    (tmp_path / "det.txt").write_text("".join(rows))
    arguments = [str(folder), "--detections", str(tmp_path / "det.txt"), "--reid", "none", "--n-init", "1"]
    arguments += ["--preset", "deepsort"]
    for option, name in (("output", "o.txt"), ("csv", "o.csv"), ("json", "o.json"), ("report", "o.html")):
        arguments += [f"--{option}", str(tmp_path / name)]
    arguments += ["--save-crops", str(tmp_path / "crops"), "--explain-csv", str(tmp_path / "why.csv")]
    assert track([*arguments, *(["--offline"] if offline else [])]) == 0
    found = [number for number in numbers[1:] if number != numbers[6]]  # confirmed in the second frame
    kept = numbers[1:] if offline else found
    in_text = [int(line.split(",")[0]) for line in (tmp_path / "o.txt").read_text().splitlines()]
    assert in_text == kept
    with (tmp_path / "o.csv").open() as file:
        assert [int(row["frame"]) for row in csv.DictReader(file)] == kept
    document = json.loads((tmp_path / "o.json").read_text())
    assert [frame["frame"] for frame in document["frames"]] == numbers
    assert [frame["frame"] for frame in document["frames"] if frame["tracks"]] == kept
    crops = sorted(path.name for path in (tmp_path / "crops" / "1").iterdir())
    assert crops == [f"{number:06d}.jpg" for number in found]
    with (tmp_path / "why.csv").open() as file:
        assert {int(row["frame"]) for row in csv.DictReader(file)} == set(numbers)
    assert "broken" not in capsys.readouterr().err
