"""Layouts of data sets: names, one folder per person, patterns, label files, official splits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_train.data.datasets import ImageIndex, identities, read_dataset
from reid_train.data.official import find_official_root, read_official_split
from reid_train.data.readers.image_files import image_files, image_files_below
from reid_train.evaluation.features import list_images


def make_images(folder: Path, *names: str) -> Path:
    """Write a small image of a different colour under each name, which may contain folders."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((8, 4, 3), 20 * number % 256, np.uint8)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return folder


def columns(index: ImageIndex) -> tuple[tuple[str, ...], list[int], list[int]]:
    return index.domain_names, index.pids.tolist(), index.camids.tolist()


@pytest.mark.parametrize(
    ("dataset", "names", "pids", "camids"),
    [
        ("DukeMTMC-reID", ["0001_c2_f0046182.jpg", "0005_c8_f0000001.jpg"], [1, 5], [2, 8]),
        ("VeRi-776", ["0001_c001_00016450_0.jpg", "0776_c020_00084065_12.jpg"], [1, 776], [1, 20]),
        (
            "MSMT17",
            ["0000/0000_000_01_0303morning_0015_0.jpg", "0001/0001_004_15_0113noon_0001_2.jpg"],
            [1, 2],
            [1, 15],
        ),
        (
            "MARS",
            ["00-1/00-1C2T0001F001.jpg", "0000/0000C1T0001F001.jpg", "0012/0012C6T0004F0123.jpg"],
            [-1, 0, 12],
            [2, 1, 6],
        ),
        ("RandPerson", ["0_s00_c00_f0001.jpg", "7999_s10_c18_f0203.jpg"], [1, 8000], [1, 10019]),
        ("CUHK03", ["0000_00.jpg", "0000_05.jpg", "1466_09.jpg"], [1, 1, 1467], [1, 2, 10]),
        ("CUHK03-NP", ["0003_c1_21.png", "0003_c2_26.png"], [3, 3], [1, 2]),
        ("CUHK01", ["0001001.png", "0001004.png"], [1, 1], [1, 2]),
        ("Market-1501", ["-1_c1s1_000401_03.jpg", "0002_c6s1_000451_03.jpg.jpg"], [-1, 2], [1, 6]),
    ],
)
@pytest.mark.parametrize("upper", [False, True])
def test_each_public_data_set_is_recognised_by_its_names(
    tmp_path: Path, dataset: str, names: list[str], pids: list[int], camids: list[int], upper: bool
) -> None:
    if upper:
        names = [name.replace(".jpg", ".JPG").replace(".png", ".PNG") for name in names]
    index = read_dataset(make_images(tmp_path / "images", *names))
    assert columns(index) == ((dataset,), pids, camids)


def test_two_data_sets_with_borrowed_names_are_recognised_by_their_folders(tmp_path: Path) -> None:
    cloned = make_images(tmp_path / "ClonedPerson" / "train", "0_s00_c00_f0001.jpg")
    assert read_dataset(cloned).domain_names == ("ClonedPerson",)
    test = make_images(tmp_path / "MSMT17_V1" / "test", "0000/0000_000_01_0303morning_0015_0.jpg", "1/a.txt")
    assert read_dataset(test).domain_names == ("MSMT17-test",)  # persons are numbered from 0 there too


def test_all_readers_accept_upper_case_suffixes_and_ignore_leftovers(tmp_path: Path) -> None:
    names = [
        f"200{pid}_c{camera}s1_000001_01.{'JPG' if camera == 2 else 'jpg'}"
        for pid in (1, 2)
        for camera in (1, 2)
    ]
    folder = make_images(
        tmp_path / "bounding_box_train", *names, "._2001_c1s1_000001_01.jpg", "__MACOSX/a.jpg"
    )
    (folder / "Thumbs.db").write_bytes(b"no image")
    (folder / ".DS_Store").write_bytes(b"no image")
    index = read_dataset(folder)
    assert columns(index) == (("Market-1501",), [2001, 2001, 2002, 2002], [1, 2, 1, 2])
    assert [path.name for path in image_files(folder)] == sorted(names)
    assert list_images(folder) == image_files_below(folder) == image_files(folder) == list(index.paths)


def test_folders_of_one_person_have_the_same_number_everywhere(tmp_path: Path) -> None:
    names = make_images(tmp_path / "names", "ann/1.jpg", "ann/2.JPG", "bob/x.png", "__MACOSX/y.png")
    index = read_dataset(names)
    assert (index.domain_names, index.camids.tolist()) == (("names",), [0, 0, 0])
    assert [path.parent.name for path in index.paths] == ["ann", "ann", "bob"]
    assert index.pids[0] == index.pids[1] != index.pids[2]
    gallery = read_dataset(make_images(tmp_path / "gallery", "abe/1.jpg", "bob/x.png"))
    assert gallery.pids[1] == index.pids[2]
    assert gallery.pids[0] not in index.pids
    numbers = make_images(tmp_path / "shop" / "train", "0007/1.jpg", "0012/2.jpg")
    assert columns(read_dataset(numbers)) == (("shop/train",), [7, 12], [0, 0])
    market = make_images(tmp_path / "m", "2/0002_c1s1_000451_03.jpg", "7/0007_c3s2_000001_01.jpg")
    assert columns(read_dataset(market)) == (("Market-1501",), [2, 7], [1, 3])
    with pytest.raises(ValueError, match="two folders have the same number"):
        read_dataset(make_images(tmp_path / "twice", "7/1.jpg", "007/2.jpg"))


def test_folders_that_are_not_persons_are_refused(tmp_path: Path) -> None:
    make_images(tmp_path / "a", "one/0002_c1s1_000451_03.jpg", "two/0002_c3s2_000001_01.jpg")
    with pytest.raises(ValueError, match="one folder per person, but the Market-1501 file names contradict"):
        read_dataset(tmp_path / "a")
    make_images(tmp_path / "b", "images_labeled/1_001_1_01.png", "images_detected/1_001_1_01.png")
    with pytest.raises(
        ValueError, match="several folders of images, expected one of them: images_detected, images_l"
    ):
        read_dataset(tmp_path / "b")


def test_a_pattern_gives_persons_and_cameras(tmp_path: Path) -> None:
    viper = make_images(tmp_path / "viper", "cam_a/000_45.bmp", "cam_b/000_90.bmp", "cam_b/873_0.bmp")
    index = read_dataset(viper, pattern=r"cam_(?P<camid>[ab])/(?P<pid>\d+)_")
    assert (index.domain_names, len(set(index.pids.tolist())), index.pids.tolist()[2]) == (("viper",), 2, 873)
    assert index.pids[0] == index.pids[1] > 0
    assert 0 < index.camids[0] != index.camids[1] == index.camids[2]
    index = read_dataset(viper, pattern=r"(?P<pid>\d+)_(?P<frame>\d+)")
    assert index.camids.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(\d+)_", "pattern must have the group pid"),
        (r"(?P<pid>\d+)_(?P<colour>\d+)", "got .* with colour, pid"),
        (r"(?P<pid>\d+", "not a regular expression"),
        (r"(?P<pid>\d{5})", r"000_45\.bmp: its path in .* must match the pattern"),
    ],
)
def test_an_invalid_pattern_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    viper = make_images(tmp_path / "viper", "cam_a/000_45.bmp")
    with pytest.raises(ValueError, match=message):
        read_dataset(viper, pattern=pattern)


@pytest.fixture
def vehicles(tmp_path: Path) -> Path:
    """VehicleID: images 1 to 6 of vehicles 0, 3 (training) and 7 (test)."""
    root = make_images(tmp_path / "VehicleID", *[f"image/000000{number}.jpg" for number in range(1, 7)])
    lists = root / "train_test_split"
    lists.mkdir()
    (lists / "train_list.txt").write_text("0000001 0\n0000002 0\n0000003 3\n")
    (lists / "test_list_800.txt").write_text("0000004 7\n0000005 7\n0000006 7\n")
    return root


def test_vehicle_id_is_read_by_its_lists_and_not_as_cuhk01(vehicles: Path, tmp_path: Path) -> None:
    for source in (vehicles, vehicles / "image"):
        assert columns(read_dataset(source)) == (("VehicleID",), [1, 1, 4, 8, 8, 8], [0] * 6)
    split = read_official_split(vehicles)
    assert [len(part) for part in (split.train, split.query, split.gallery)] == [3, 2, 1]
    bare = make_images(tmp_path / "bare", *[f"000000{number}.jpg" for number in range(1, 7)])
    with pytest.raises(ValueError, match=r"0000001\.jpg is not a name of"):
        read_dataset(bare)
    (vehicles / "image" / "0000004.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 6 images that its lists name are missing"):
        read_dataset(vehicles)


@pytest.mark.parametrize("dataset", ["DukeMTMC-reID", "VeRi-776", "CUHK03-NP"])
def test_official_split_of_folders(tmp_path: Path, dataset: str) -> None:
    name, folders = {
        "DukeMTMC-reID": ("{:04d}_c{}_f0046182.jpg", ("bounding_box_train", "query", "bounding_box_test")),
        "VeRi-776": ("{:04d}_c{:03d}_00016450_0.jpg", ("image_train", "image_query", "image_test")),
        "CUHK03-NP": ("{:04d}_c{}_21.png", ("bounding_box_train", "query", "bounding_box_test")),
    }[dataset]
    root = tmp_path / "x" / dataset
    for folder, people in zip(folders, [[(1, 1), (2, 2)], [(3, 1)], [(3, 2), (4, 1)]], strict=True):
        make_images(root / folder, *[name.format(*person) for person in people])
    assert find_official_root(tmp_path / "x") == root
    split = read_official_split(tmp_path / "x")
    assert [part.pids.tolist() for part in (split.train, split.query, split.gallery)] == [[1, 2], [3], [3, 4]]
    assert bool(split.differences) == (dataset == "DukeMTMC-reID")
    assert identities(split.query) == {(dataset, 3)}


def test_official_split_of_msmt17_follows_its_lists(tmp_path: Path) -> None:
    name = "{0:04d}/{0:04d}_{1:03d}_{2:02d}_0303morning_0015_0.jpg"
    train = [name.format(0, 0, 1), name.format(1, 0, 2)]
    test = [name.format(0, 0, 3), name.format(0, 1, 4), name.format(5, 0, 3)]
    root = tmp_path / "MSMT17_V1"
    make_images(root / "train", *train)
    make_images(root / "test", *test)
    for part, lines in (("train", train[:1]), ("val", train[1:]), ("query", test[:1]), ("gallery", test[1:])):
        (root / f"list_{part}.txt").write_text("".join(f"{line} {int(line[:4])}\n" for line in lines))
    split = read_official_split(root)
    parts = (split.train, split.query, split.gallery)
    assert [part.camids.tolist() for part in parts] == [[1, 2], [3], [4, 3]]
    assert split.gallery.pids.tolist() == [1, 6]
    assert identities(split.train).isdisjoint(identities(split.query))
    (root / "list_query.txt").write_text("9/9.jpg 9\n")
    with pytest.raises(FileNotFoundError, match="list_query.txt: 1 of 1 images are missing"):
        read_official_split(root)


def test_official_split_of_cuhk03_follows_its_matlab_file(tmp_path: Path) -> None:
    from scipy.io import savemat

    names = ["1_001_1_01.png", "1_002_1_01.png", "1_002_2_06.png", "2_001_1_01.png"]
    make_images(tmp_path / "images_detected", *names)
    files = np.empty((4, 1), object)
    files[:, 0] = names[::-1]
    content = {"filelist": files, "train_idx": [[4]], "query_idx": [[3]], "gallery_idx": [[2], [1]]}
    savemat(tmp_path / "cuhk03_new_protocol_config_detected.mat", content)
    split = read_official_split(tmp_path)
    assert [part.pids.tolist() for part in (split.train, split.query, split.gallery)] == [[1], [2], [2, 844]]
    assert [part.camids.tolist() for part in (split.query, split.gallery)] == [[1], [2, 3]]


def test_a_missing_official_split_names_the_expected_layouts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no known official split; expected folders bounding"):
        read_official_split(make_images(tmp_path / "campus", "0001001.png"))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_official_split(tmp_path / "none")
