"""``reid-train prepare``: several sources, official splits, patterns, unreadable images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reid_train.command_line import main
from reid_train.data.datasets import identities, read_list_file


def run(*arguments: object) -> int:
    return main(["prepare", *map(str, arguments)])


def test_official_split_writes_query_and_gallery_with_common_numbers(
    write_people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, data = tmp_path / "Market-1501", tmp_path / "data"
    write_people(root / "bounding_box_train", ids=3, each=2)
    write_people(root / "query", ids=2, each=1, first=11)
    gallery = write_people(root / "bounding_box_test", ids=3, each=2, first=10)
    for pid in ("0000", "-1"):
        copy = gallery / f"{pid}_c1s1_000000_01.jpg"
        copy.write_bytes((gallery / "0011_c1s1_000000_01.jpg").read_bytes())
    assert run(root, "--output", data, "--split", "official") == 0
    out = capsys.readouterr().out
    assert all(f"written: {data / name}.txt" in out for name in ("train", "query", "gallery"))
    query, gallery_list = (read_list_file(data / f"{name}.txt") for name in ("query", "gallery"))
    assert query.pids.tolist() == [2, 3]
    assert gallery_list.pids.tolist() == [0, 1, 1, 2, 2, 3, 3]  # a distractor, and no junk
    assert identities(query) == {("Market-1501", 11), ("Market-1501", 12)}
    assert gallery_list.camids.tolist() == [1, 1, 2, 1, 2, 1, 2]


def test_several_sources_are_domains_with_held_out_ids_each(
    write_people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write_people(tmp_path / "one" / "bounding_box_train", ids=4, each=2)
    two = write_people(tmp_path / "two", ids=5, each=2)
    for path in two.iterdir():  # named as in CUHK03
        person, camera = int(path.name[:4]) - 1, int(path.name[6])
        path.rename(two / f"{person:04d}_{5 * camera - 5:02d}.jpg")
    data = tmp_path / "data"
    assert run(one, two, "--output", data, "--held_out_ids", "1,0") == 0
    assert "train: Market-1501 6 images of 3 ids, CUHK03 10 images of 5 ids" in capsys.readouterr().out
    train, dev = (read_list_file(data / f"{name}.txt") for name in ("train", "dev"))
    assert (train.domain_names, dev.domain_names) == (("Market-1501", "CUHK03"), ("Market-1501",))
    assert [len(identities(index)) for index in (train, dev)] == [8, 1]
    assert identities(train).isdisjoint(identities(dev))
    assert run(one, two, "--output", data, "--held_out_ids", "1,0", "--names", "a,b") == 0
    assert read_list_file(data / "train.txt").domain_names == ("a", "b")
    assert run(one, two, "--output", data, "--held_out_ids", "1,2") == 0
    # Persons are merged with other numbers in each split, but none of them is in both.
    assert "ids in train and dev" not in capsys.readouterr().out
    assert run(one, two, "--output", data, "--held_out_ids", "1,0,2") == 2
    assert run(one, two, "--output", data, "--names", "a") == 2
    told = capsys.readouterr().err
    assert "held_out_ids must be one number, or 2, got 3" in told
    assert "expected a name for each of the 2 sources, got 1" in told


def test_sources_that_share_file_names_are_not_parts_of_one_data_set(
    write_people: Callable[..., Path], tmp_path: Path
) -> None:
    sources = [write_people(tmp_path / name / "bounding_box_train", ids=3, each=2) for name in "ab"]
    assert run(*sources, "--output", tmp_path / "data", "--held_out_ids", "0") == 0
    train = read_list_file(tmp_path / "data" / "train.txt")
    assert train.domain_names == ("a/bounding_box_train", "b/bounding_box_train")
    assert len(set(train.pids.tolist())) == 6
    parts = [
        write_people(tmp_path / "parts" / name, ids=3, each=2, first=first)
        for name, first in (("a", 1), ("b", 4))
    ]
    assert run(*parts, "--output", tmp_path / "data", "--held_out_ids", "0") == 0
    train = read_list_file(tmp_path / "data" / "train.txt")
    assert (train.domain_names, sorted(set(train.camids.tolist()))) == (("Market-1501",), [1, 2])


def test_unreadable_images_are_skipped_on_request_and_listed(
    write_people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_people(tmp_path / "bounding_box_train", ids=4, each=2)
    (source / "0003_c1s1_000000_01.jpg").write_bytes(b"no image")
    arguments = (source, "--output", tmp_path / "data", "--held_out_ids", 0)
    assert run(*arguments) == 2
    assert "--skip_unreadable skips them" in capsys.readouterr().err
    assert run(*arguments, "--skip-unreadable") == 0
    assert "skipped: " in (out := capsys.readouterr().out)
    assert "0003_c1s1_000000_01.jpg: not a readable image" in out
    assert len(read_list_file(tmp_path / "data" / "train.txt")) == 7


def test_a_pattern_gives_cameras_and_unknown_ones_give_a_note(
    write_people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_people(tmp_path / "own", ids=4, each=2)
    for path in source.iterdir():
        path.rename(source / f"p{path.name[:4]}-k{path.name[6]}.jpeg")
    arguments = (source, "--output", tmp_path / "data", "--held_out_ids", 2)
    assert run(*arguments, "--pattern", r"p(?P<pid>\d+)") == 0
    assert "note: dev: cameras unknown (4 of 4 images)" in capsys.readouterr().out
    assert run(*arguments, "--pattern", r"p(?P<pid>\d+)-k(?P<camid>\d)") == 0
    assert "cameras unknown" not in capsys.readouterr().out
    dev = read_list_file(tmp_path / "data" / "dev.txt")
    assert sorted(dev.camids.tolist()) == [1, 1, 2, 2]
    assert dev.domain_names == ("own",)
