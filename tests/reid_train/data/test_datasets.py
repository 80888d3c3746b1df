"""Readers, splits, lists, archives and the image cache, on tiny data sets made here."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid_train.data.datasets import (
    ImageCache,
    ImageIndex,
    article_split,
    concatenate_indexes,
    decode_images,
    empty_index,
    extract_archive,
    hold_out_ids,
    identities,
    identities_by_dataset,
    labels_of,
    leak_between,
    merge_indexes,
    of_dataset,
    official_split,
    persons_only,
    read_cuhk01,
    read_cuhk03,
    read_dataset,
    read_image,
    read_list_file,
    read_market1501,
    read_market1501_folder,
    recorded_identities,
    require_no_leak,
    write_list_file,
)
from reid_train.training.transforms import Preprocessing

ARCHIVE = Path(__file__).resolve().parents[4] / "shared" / "data" / "market1501_train_676ids.tar"


def make_images(folder: Path, *names: str) -> Path:
    """Write a small image of a different colour under each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((8, 4, 3), 20 * number % 256, np.uint8))
    return folder


def index_of(*pids: int) -> ImageIndex:
    paths = tuple(Path(f"{pid:04d}_c1s1_{row:06d}_00.jpg") for row, pid in enumerate(pids))
    return ImageIndex(paths, np.array(pids, np.int64), np.arange(len(pids)) % 2 + 1)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "Market-1501"
    make_images(root / "bounding_box_train", "0002_c1s1_000451_03.jpg", "0007_c3s2_000001_01.jpg")
    make_images(root / "query", "0001_c1s1_001051_00.jpg", "0003_c4s6_000551_00.jpg")
    make_images(
        root / "bounding_box_test",
        "-1_c1s1_000401_03.jpg",
        "0000_c2s1_000151_01.jpg",
        "0001_c2s1_000301_01.jpg",
        "0003_c6s4_001077_04.jpg",
    )
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"not an image")
    return root


def test_market_folder_gives_persons_cameras_and_sorted_names(market: Path) -> None:
    index = read_market1501_folder(market / "bounding_box_test")
    assert index.pids.tolist() == [-1, 0, 1, 3]
    assert index.camids.tolist() == [1, 2, 2, 6]
    assert [path.name for path in index.paths] == sorted(path.name for path in index.paths)


@pytest.mark.parametrize("level", [0, 1])
def test_market_root_reads_existing_folders(market: Path, level: int) -> None:
    found = read_market1501(market if level == 0 else market.parent)
    assert [len(found.train), len(found.query), len(found.gallery), len(found.hand_drawn)] == [2, 2, 4, 0]


def test_official_split_drops_junk_keeps_distractors_and_reports_missing_images(market: Path) -> None:
    split = official_split(read_market1501(market))
    assert split.gallery.pids.tolist() == [0, 1, 3]
    assert split.differences == (
        "train: 2 images of 2 ids, the data set has 12936 of 751",
        "query: 2 images of 2 ids, the data set has 3368 of 750",
        "gallery: 3 images of 2 ids, the data set has 15913 of 750",
    )


def test_official_split_needs_query_and_gallery(market: Path) -> None:
    for path in (market / "query").iterdir():
        path.unlink()
    (market / "query").rmdir()
    with pytest.raises(ValueError, match="needs the folder query"):
        official_split(read_market1501(market))


def market_ids(*pids: int) -> list[tuple[str, int]]:
    return [("Market-1501", pid) for pid in pids]


def test_leak_of_the_articles_split_into_the_official_test_set_is_found_and_refused() -> None:
    # The article trains on all but the last 80 of 1501 ids; the official test ids are every second one.
    trained, test = market_ids(*range(1, 1422)), market_ids(*range(2, 1502, 2))
    leak = leak_between(trained, test)
    assert (len(leak.seen), leak.test_ids) == (710, 750)
    with pytest.raises(
        ValueError, match=r"seen 710 of the 750 test ids in training \(0002, 0004, 0006, ... of Market-1501\)"
    ):
        require_no_leak(trained, test)
    assert "\n" not in str(leak)


def test_no_leak_has_no_message() -> None:
    require_no_leak(market_ids(1, 2), market_ids(3))
    assert str(leak_between(market_ids(1), market_ids(2))) == ""
    assert leak_between([], []).seen == ()


def test_equal_person_numbers_of_two_data_sets_are_different_persons() -> None:
    require_no_leak([("CUHK03", 729), ("CUHK01", 3)], market_ids(729, 3))
    with pytest.raises(ValueError, match="seen 1 of the 2 test ids"):
        require_no_leak([("CUHK03", 729), *market_ids(3)], market_ids(729, 3))


def test_identities_survive_renumbering_lists(market: Path, tmp_path: Path) -> None:
    make_images(tmp_path / "campus", "0003001.png", "0007003.png")
    index = merge_indexes([persons_only(read_market1501(market).gallery), read_cuhk01(tmp_path / "campus")])
    write_list_file(tmp_path / "list.txt", index)
    read = read_list_file(tmp_path / "list.txt")
    assert read.pids.tolist() == [1, 2, 3, 4]
    assert read.domain_names == ("Market-1501", "CUHK01")
    assert read.domains.tolist() == [0, 0, 1, 1]
    assert identities(read) == identities(index) == {*market_ids(1, 3), ("CUHK01", 3), ("CUHK01", 7)}
    other = ImageIndex((Path("a.jpg"),), np.array([5]), np.array([0]))
    assert identities(other) == frozenset()
    assert identities(of_dataset(other, "mine")) == {("mine", 5)}
    assert identities(market_with_junk(market)) == set(market_ids(1, 3))


def market_with_junk(market: Path) -> ImageIndex:
    return read_market1501(market).gallery


def test_identities_are_recorded_by_data_set_and_old_records_mean_market1501() -> None:
    known = {("CUHK01", 7), *market_ids(3, 1)}
    record = identities_by_dataset(known)
    assert record == {"CUHK01": [7], "Market-1501": [1, 3]}
    assert recorded_identities({"identities": record}) == known
    assert recorded_identities({"pids": [1, 3]}) == set(market_ids(1, 3))
    assert recorded_identities({}) == frozenset()
    with pytest.raises(ValueError, match="identities of the training set are unreadable"):
        recorded_identities({"identities": [1, 2]})


def test_names_that_contradict_the_labels_are_ignored(tmp_path: Path) -> None:
    # VehicleID numbers images consecutively with seven digits, like CUHK01.
    make_images(tmp_path, "0001001.jpg", "0001002.jpg", "0001003.jpg")
    rows = ["image_id class_id super_class_id path", "1 1 1 0001001.jpg", "2 2 2 0001002.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(rows))
    read = read_list_file(tmp_path / "list.txt")
    assert (read.domain_names, read.camids.tolist()) == (("",), [0, 0])
    rows = ["image_id class_id super_class_id path", "1 9 1 0001001.jpg", "2 9 2 0001003.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(rows))
    read = read_list_file(tmp_path / "list.txt")
    assert (read.domain_names, read.camids.tolist()) == (("CUHK01",), [1, 2])


def test_a_person_with_names_of_two_data_sets_belongs_to_none(tmp_path: Path) -> None:
    make_images(tmp_path, "0001_c1s1_000001_01.jpg", "holiday.jpg", "0002_c1s1_000001_01.jpg")
    rows = ["image_id class_id super_class_id path", "1 1 1 0001_c1s1_000001_01.jpg", "2 1 1 holiday.jpg"]
    (tmp_path / "list.txt").write_text("\n".join([*rows, "3 2 2 0002_c1s1_000001_01.jpg"]))
    read = read_list_file(tmp_path / "list.txt")
    assert [read.domain_names[domain] for domain in read.domains.tolist()] == ["", "", "Market-1501"]
    assert read.camids.tolist() == [1, 0, 1]


def test_a_data_set_with_borrowed_names_is_recognised_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pku_reid_dev" / "bounding_box_test"
    index = read_dataset(make_images(folder, "0001_c1s1_000001_00.jpg", "0001_c2s1_000001_00.jpg"))
    assert identities(index) == {("PKU-Reid", 1)}
    write_list_file(tmp_path / "dev.txt", index)
    assert (tmp_path / "dev.txt").read_text().splitlines()[0].split()[4:] == [
        "camera_id",
        "dataset",
        "person_id",
    ]
    folder.parent.rename(tmp_path / "moved")
    moved = (tmp_path / "dev.txt").read_text().replace("pku_reid_dev/", "moved/")
    (tmp_path / "dev.txt").write_text(moved)
    assert identities(read_list_file(tmp_path / "dev.txt")) == {("PKU-Reid", 1)}


def test_cuhk01_reads_person_and_camera_from_the_name(tmp_path: Path) -> None:
    make_images(tmp_path / "campus", "0001001.png", "0001002.png", "0001003.png", "0971004.png")
    for folder in (tmp_path, tmp_path / "campus"):
        index = read_cuhk01(folder)
        assert index.pids.tolist() == [1, 1, 1, 971]
        assert index.camids.tolist() == [1, 1, 2, 2]


def test_cuhk03_distinguishes_persons_and_cameras_of_its_pairs(tmp_path: Path) -> None:
    make_images(
        tmp_path / "images_labeled", "1_001_1_01.png", "1_001_2_06.png", "2_001_1_01.png", "5_049_2_10.png"
    )
    index = read_cuhk03(tmp_path / "images_labeled")
    assert index.pids.tolist() == [1, 1, 844, 1467]
    assert index.camids.tolist() == [1, 2, 3, 10]


def test_cuhk03_numbered_consecutively_has_the_same_persons_and_cameras(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "a", "0000_00.jpg", "0000_05.jpg", "0843_04.jpg", "1466_09.jpg")
    index = read_dataset(folder)
    assert index.pids.tolist() == [1, 1, 844, 1467]
    assert index.camids.tolist() == [1, 2, 3, 10]
    assert index.domain_names == ("CUHK03",)


def test_cuhk03_new_protocol(tmp_path: Path) -> None:
    index = read_cuhk03(make_images(tmp_path / "query", "0003_c1_21.png", "0003_c2_26.png"))
    assert index.pids.tolist() == [3, 3]
    assert index.camids.tolist() == [1, 2]


def test_read_dataset_recognises_a_data_set_by_its_names(market: Path, tmp_path: Path) -> None:
    make_images(tmp_path / "cuhk01" / "campus", "0001001.png")
    make_images(tmp_path / "cuhk03" / "images_detected", "1_001_1_01.png")
    write_list_file(tmp_path / "list.txt", read_market1501(market).train, market)
    assert read_dataset(market / "query").pids.tolist() == [1, 3]
    assert read_dataset(tmp_path / "cuhk01").pids.tolist() == [1]
    assert read_dataset(tmp_path / "cuhk03").pids.tolist() == [1]
    assert read_dataset(tmp_path / "list.txt", market).pids.tolist() == [1, 2]


def test_read_dataset_reports_what_it_cannot_read(market: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="several folders of images, expected one of them: bounding_box_test, "
    ):
        read_dataset(market)
    with pytest.raises(FileNotFoundError, match="nowhere: no such list file or folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="contains no images"):
        read_dataset(market.parent)
    make_images(tmp_path / "own", "me.png")
    with pytest.raises(ValueError, match=r"me\.png is not a name of .* write a list file"):
        read_dataset(tmp_path / "own")


@pytest.mark.parametrize("read", [read_market1501_folder, read_cuhk01, read_cuhk03])
def test_reader_reports_a_missing_an_empty_and_an_unknown_folder(
    tmp_path: Path, read: Callable[[Path], ImageIndex]
) -> None:
    with pytest.raises(FileNotFoundError, match="none: no such folder"):
        read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"contains no .*image"):
        read(tmp_path / "empty")
    make_images(tmp_path / "foreign", "holiday.jpg")
    with pytest.raises(ValueError, match=r"holiday\.jpg: name must be "):
        read(tmp_path / "foreign")


def test_list_file_round_trip_numbers_persons_from_one(market: Path, tmp_path: Path) -> None:
    index = read_market1501_folder(market / "bounding_box_train")
    path = tmp_path / "data" / "train list.txt"
    write_list_file(path, index)
    assert path.read_text().splitlines() == [
        "image_id class_id super_class_id path camera_id",
        "1 1 1 Market-1501/bounding_box_train/0002_c1s1_000451_03.jpg 1",
        "2 2 2 Market-1501/bounding_box_train/0007_c3s2_000001_01.jpg 3",
    ]
    read = read_list_file(path)
    assert read.paths == index.paths
    assert read.pids.tolist() == [1, 2]
    assert read.camids.tolist() == [1, 3]
    assert not list(path.parent.glob("*.part"))


def test_list_file_accepts_a_root_spaces_and_windows_line_ends(tmp_path: Path) -> None:
    make_images(tmp_path / "my images", "front door.png", "b.png")
    rows = [
        "image_id class_id super_class_id path",
        "1 9 1 my images/front door.png",
        "",
        "2 3 1 my images/b.png",
    ]
    (tmp_path / "lists").mkdir()
    path = tmp_path / "lists" / "a.txt"
    path.write_bytes("\ufeff".encode() + "\r\n".join(rows).encode())
    index = read_list_file(path, tmp_path)
    assert [image.name for image in index.paths] == ["front door.png", "b.png"]
    assert index.pids.tolist() == [9, 3]
    assert index.camids.tolist() == [0, 0]
    with pytest.raises(FileNotFoundError, match=r"2 of 2 images are missing, the first is .*front door\.png"):
        read_list_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1 must be 'image_id class_id super_class_id path'"),
        ("1 1 1 a.png\n", "line 1 must be"),
        ("image_id class_id super_class_id path\n", "the list is empty"),
        ("image_id class_id super_class_id path\n1 1 a.png\n", "line 2 must be"),
        ("image_id class_id super_class_id path\n1 x 1 a.png\n", "line 2 must be"),
        ("image_id class_id super_class_id path\n1 0 1 a.png\n", "line 2: class_id counts from 1, got 0"),
    ],
)
def test_bad_list_file_is_reported_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_list_file(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_binary_list_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="not a text file"):
        read_list_file(tmp_path / "a.txt")


def test_list_of_junk_or_nothing_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        write_list_file(tmp_path / "a.txt", empty_index())
    with pytest.raises(ValueError, match="contains junk or distractors"):
        write_list_file(tmp_path / "a.txt", index_of(0, 1))
    assert not list(tmp_path.iterdir())


def test_held_out_ids_depend_on_the_seed_and_never_overlap() -> None:
    index = index_of(*np.repeat(np.arange(-1, 30), 3).tolist())
    train, dev = hold_out_ids(index, 7, seed=4)
    again = hold_out_ids(index, 7, seed=4)[1]
    other = hold_out_ids(index, 7, seed=5)[1]
    assert len(np.unique(dev.pids)) == 7
    assert not set(train.pids) & set(dev.pids)
    assert set(train.pids) | set(dev.pids) == set(range(1, 30))
    np.testing.assert_array_equal(dev.pids, again.pids)
    assert set(dev.pids) != set(other.pids)
    with pytest.raises(ValueError, match=r"held-out ids must be in \[0, 28\], got 29"):
        hold_out_ids(index, 29, seed=0)


def test_article_split_cuts_the_last_images_by_name() -> None:
    order = np.random.default_rng(0).permutation(30)
    index = index_of(*np.repeat(np.arange(1, 11), 3).tolist())[order]
    train, dev = article_split(index, dev_images=6)
    assert sorted(set(dev.pids)) == [9, 10]
    assert sorted(set(train.pids)) == list(range(1, 9))
    assert len(train) == 24
    with pytest.raises(ValueError, match="other persons than those of the last 1014 images, got 30"):
        article_split(index)


@pytest.mark.parametrize("dev_images", [4, 5])
def test_a_person_at_the_cut_of_the_articles_split_is_held_out_entirely(dev_images: int) -> None:
    index = index_of(*np.repeat(np.arange(1, 11), 3).tolist())
    train, dev = article_split(index, dev_images=dev_images)
    assert dev.pids.tolist() == [9, 9, 9, 10, 10, 10]
    assert sorted(set(train.pids)) == list(range(1, 9))


def test_merged_data_sets_have_distinct_persons_and_cameras() -> None:
    merged = merge_indexes([index_of(1, 5, 0, -1), index_of(1, 5), index_of(2)])
    assert merged.pids.tolist() == [1, 5, 0, -1, 6, 10, 12]
    assert merged.camids.tolist() == [1, 2, 1, 2, 3, 4, 5]
    unknown = ImageIndex((Path("a"),), np.array([1]), np.array([0]))
    assert merge_indexes([unknown, unknown]).camids.tolist() == [0, 0]
    assert len(merge_indexes([])) == 0


def test_merged_data_sets_are_domains_and_parts_of_one_data_set_share_a_domain() -> None:
    market, more, other = (
        of_dataset(index_of(*pids), name)
        for name, *pids in (("Market-1501", 1, 5), ("Market-1501", 5, 9), ("CUHK01", 5, 6))
    )
    merged = merge_indexes([market, other, more, index_of(5), index_of(5)])
    assert merged.domain_names == ("Market-1501", "CUHK01", "", "")
    assert merged.domains.tolist() == [0, 0, 1, 1, 0, 0, 2, 3]
    assert merged.pids[:6].tolist() == [1, 5, 10, 11, 5, 20]
    assert len(np.unique(merged.pids)) == 7
    assert merged.source_pids.tolist() == [1, 5, 5, 6, 5, 9, 5, 5]
    assert merged.camids[:6].tolist() == [1, 2, 3, 4, 1, 2]
    again = merge_indexes([merged, market])
    assert again.domains.tolist() == [*merged.domains.tolist(), 0, 0]
    assert again.pids.tolist() == [*merged.pids.tolist(), 1, 5]
    assert merged[merged.domains == 1].source_pids.tolist() == [5, 6]
    assert identities(merged) == {*market_ids(1, 5, 9), ("CUHK01", 5), ("CUHK01", 6)}


def test_concatenated_folders_of_one_data_set_share_persons() -> None:
    assert concatenate_indexes([index_of(1, 5), index_of(5)]).pids.tolist() == [1, 5, 5]


def test_labels_are_consecutive_in_order_of_the_ids() -> None:
    labels, classes = labels_of(np.array([30, 2, 30, 7]))
    assert labels.tolist() == [2, 0, 2, 1]
    assert classes == 3


def test_index_columns_must_have_one_length() -> None:
    with pytest.raises(ValueError, match=r"pids and camids must be \(1,\)"):
        ImageIndex((Path("a"),), np.array([1, 2]), np.array([1]))
    with pytest.raises(ValueError, match=r"domains must be in \[0, 0\]"):
        ImageIndex((Path("a"),), np.array([1]), np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match=r"domains and source_pids must be \(1,\)"):
        ImageIndex((Path("a"),), np.array([1]), np.array([1]), np.array([0, 0]))


def add_to_tar(tar: tarfile.TarFile, name: str, content: bytes = b"x", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("kind", ["a.tar", "a.tar.gz", "a.zip"])
def test_archive_is_unpacked_into_a_new_folder(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / kind
    if kind.endswith("zip"):
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("m/", "")
            zipped.writestr("m/a.jpg", b"one")
            zipped.writestr("m/deep/b.jpg", b"two")
    else:
        with tarfile.open(archive, "w:gz" if kind.endswith("gz") else "w") as tar:
            add_to_tar(tar, "./m", b"", type=tarfile.DIRTYPE)
            add_to_tar(tar, "./m/a.jpg", b"one")
            add_to_tar(tar, "m/deep/b.jpg", b"two")
    files = extract_archive(archive, tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in files] == ["m/a.jpg", "m/deep/b.jpg"]
    assert [path.read_bytes() for path in files] == [b"one", b"two"]
    with pytest.raises(ValueError, match="must be a new or empty folder"):
        extract_archive(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil", "C:\\evil"])
@pytest.mark.parametrize("kind", ["a.tar", "a.zip"])
def test_archive_that_leads_out_of_the_folder_writes_nothing(tmp_path: Path, kind: str, name: str) -> None:
    archive = tmp_path / "in" / kind
    archive.parent.mkdir()
    if kind == "a.zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("good", b"x")
            zipped.writestr(name, b"x")
    else:
        with tarfile.open(archive, "w") as tar:
            add_to_tar(tar, "good")
            add_to_tar(tar, name)
    with pytest.raises(ValueError, match="leads out of the folder"):
        extract_archive(archive, tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [kind]
    assert not (tmp_path / "in" / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_to_tar(tar, "good")
        add_to_tar(tar, "bad", b"", type=kind, linkname="/etc/passwd")
    with pytest.raises(ValueError, match=r"'bad' is (a link|not a plain file), which is not unpacked"):
        extract_archive(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("bad")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(ValueError, match="'bad' is a link"):
        extract_archive(tmp_path / "a.zip", tmp_path / "out")


def test_broken_archives_are_reported_and_write_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as tar:
        add_to_tar(tar, "a", np.random.default_rng(0).bytes(100_000))
    content = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.tar").write_text("hello")
    with tarfile.open(tmp_path / "twice.tar", "w") as tar:
        add_to_tar(tar, "a")
        add_to_tar(tar, "a")
    for name, message in (
        ("half.tar.gz", "cannot be"),
        ("text.tar", "neither a tar"),
        ("twice.tar", "is twice"),
    ):
        with pytest.raises(ValueError, match=message):
            extract_archive(tmp_path / name, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.part").exists()
    with pytest.raises(FileNotFoundError, match="no such archive"):
        extract_archive(tmp_path / "none.tar", tmp_path / "out")


def write_image(path: Path, image: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(path), image)
    return path


def test_images_of_all_kinds_become_three_bytes_per_pixel(tmp_path: Path) -> None:
    grey = write_image(tmp_path / "grey é.png", np.full((5, 4), 9, np.uint8))
    deep = write_image(tmp_path / "deep.png", np.full((5, 4, 3), 9 * 257, np.uint16))
    alpha = write_image(tmp_path / "alpha.png", np.full((5, 4, 4), 9, np.uint8))
    for path in (grey, deep, alpha):
        np.testing.assert_array_equal(read_image(path), np.full((5, 4, 3), 9))


def test_unreadable_images_are_reported_by_name(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    for name, content in (("empty.png", b""), ("text.png", b"hello"), ("half.png", whole.read_bytes()[:600])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: not a readable image"):
            decode_images([whole, tmp_path / name], 8, 4)
    with pytest.raises(OSError, match=r"none\.png: cannot be read: No such file"):
        read_image(tmp_path / "none.png")


def test_decoded_images_are_resized_to_one_size(tmp_path: Path) -> None:
    small = np.zeros((8, 4, 3), np.uint8)
    small[:4] = 200
    paths = [
        write_image(tmp_path / "a.png", small),
        write_image(tmp_path / "b.png", cv2.resize(small, (8, 16))),
    ]
    images = decode_images(paths, 8, 4)
    assert images.shape == (2, 8, 4, 3)
    np.testing.assert_array_equal(images[0], small)
    np.testing.assert_allclose(images[1].astype(int), small, atol=60)
    square = decode_images(paths, 4, 4, Preprocessing(4, 4, mode="short_side_crop"))
    np.testing.assert_array_equal(square[0], small[2:6])
    with pytest.raises(ValueError, match=r"a\.png: preprocessed must be \(4, 4, 3\), got \(8, 4, 3\)"):
        decode_images(paths, 4, 4, Preprocessing(8, 4))
    assert decode_images([], 8, 4).shape == (0, 8, 4, 3)


def test_cache_keeps_images_of_any_size_within_its_budget(tmp_path: Path) -> None:
    images = [np.full((10 + row, 10, 3), row, np.uint8) for row in range(4)]
    paths = [write_image(tmp_path / f"{row}.png", image) for row, image in enumerate(images)]
    cache = ImageCache(paths, budget_bytes=330 + 300)
    assert len(cache) == 4
    assert cache.bytes_used == 0
    for row in (1, 0, 2, 3, 1):
        np.testing.assert_array_equal(cache[row], images[row])
    assert cache.bytes_used == 330 + 300
    assert cache[1] is cache[1]
    assert cache[2] is not cache[2]
    assert not cache[1].flags.writeable
    assert [image.shape[0] for image in cache] == [10, 11, 12, 13]
    paths[0].unlink()
    paths[3].unlink()
    assert cache[0].shape == (10, 10, 3)
    with pytest.raises(OSError, match=r"3\.png: cannot be read"):
        cache[3]


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the Market-1501 research archive is not here")
def test_real_market1501_images(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as whole, tarfile.open(tmp_path / "part.tar", "w") as part:
        for member in islice(whole, 100):
            part.addfile(member, whole.extractfile(member) if member.isfile() else None)
    files = extract_archive(tmp_path / "part.tar", tmp_path / "out")
    index = read_market1501(tmp_path / "out").train
    assert set(index.paths) == set(files)
    assert set(index.camids) == {1, 2, 3, 4, 5, 6}
    assert len(np.unique(index.pids)) > 1
    assert decode_images(index.paths[:20], 128, 64).std() > 20
