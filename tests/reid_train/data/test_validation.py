"""The validator finds planted faults; unusable training sets are refused in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_train.data.datasets import ImageIndex, empty_index
from reid_train.data.validation import check_training, index_statistics, validate


def make(folder: Path, rows: list[tuple[int, int]], first: int = 0) -> ImageIndex:
    """Write one image per (person, camera), each with different pixels."""
    folder.mkdir(exist_ok=True)
    paths = []
    for row, (pid, _) in enumerate(rows):
        path = folder / f"{row:02d}_{pid}.png"
        cv2.imwrite(str(path), np.full((4, 4, 3), first + row, np.uint8))
        paths.append(path)
    pids, camids = np.array(rows, np.int64).T
    return ImageIndex(tuple(paths), pids, camids)


ROWS = [(1, 1), (1, 2), (1, 2), (4, 1), (4, 1), (9, 3), (0, 1), (-1, 2), (-1, 2)]


def test_statistics_count_persons_junk_and_cameras_separately(tmp_path: Path) -> None:
    of = index_statistics(make(tmp_path / "a", ROWS))
    assert (of.images, of.ids, of.cameras) == (6, 3, 3)
    assert (of.fewest, of.median, of.most) == (1, 2.0, 3)
    assert (of.single_image_ids, of.one_camera_ids) == (1, 2)
    assert (of.junk, of.distractors) == (2, 1)


def test_statistics_without_images_and_with_unknown_cameras() -> None:
    of = index_statistics(empty_index())
    assert (of.images, of.ids, of.cameras, of.fewest, of.median, of.most) == (0, 0, 0, 0, 0.0, 0)
    of = index_statistics(ImageIndex((Path("a"), Path("b")), np.array([3, 3]), np.array([0, 0])))
    assert (of.ids, of.cameras, of.one_camera_ids, of.fewest, of.most) == (1, 0, 0, 2, 2)


def test_clean_data_set_has_no_findings(tmp_path: Path) -> None:
    calls: list[int] = []
    splits = {"train": make(tmp_path / "a", ROWS), "dev": make(tmp_path / "b", [(20, 1), (20, 2)], 100)}
    report = validate(splits, progress=calls.append)
    assert (report.unreadable, report.duplicates, report.shared_ids) == ((), (), ())
    assert [name for name, _ in report.statistics] == ["train", "dev"]
    assert sum(calls) == 11
    assert str(report).splitlines() == [
        "       images  ids  cameras  min  median  max  single  1 camera  junk  distr.",
        "train       6    3        3    1       2    3       1         2     2       1",
        "dev         2    1        2    2       2    2       0         0     0       0",
        "min, median, max: images per id; single: ids with one image; 1 camera: ids seen by one",
    ]


def test_planted_faults_are_all_found(tmp_path: Path) -> None:
    train, dev = make(tmp_path / "a", ROWS), make(tmp_path / "b", [(9, 1), (20, 2), (21, 1), (21, 2)], 100)
    dev.paths[1].write_bytes(train.paths[0].read_bytes())  # across splits
    train.paths[3].write_bytes(train.paths[1].read_bytes())  # persons 1 and 4: a wrong label
    dev.paths[3].write_bytes(dev.paths[2].read_bytes())  # the same person twice
    train.paths[5].write_bytes(b"GIF89a nothing")
    train.paths[6].unlink()
    report = validate({"train": train, "dev": dev})
    assert [image.path for image in report.unreadable] == [train.paths[5], train.paths[6]]
    assert "not a readable image" in report.unreadable[0].reason
    assert "cannot be read: No such file" in report.unreadable[1].reason
    (across,) = report.across_splits
    assert across.paths == (train.paths[0], dev.paths[1])
    assert (across.splits, across.pids) == (("dev", "train"), (1, 20))
    (conflict,) = report.conflicting_labels
    assert (conflict.splits, conflict.pids) == (("train",), (1, 4))
    assert len(report.duplicates) == 3
    assert [(shared.first, shared.second, shared.pids) for shared in report.shared_ids] == [
        ("train", "dev", (9,))
    ]
    text = str(report)
    for line in (
        "unreadable images: 2",
        "contents in more than one split: 1",
        "contents under several ids: 1",
        "other duplicate contents: 1",
        "ids in train and dev: 1 (9)",
        f"  {dev.paths[2]}, {dev.paths[3]} (in dev; id 21)",
    ):
        assert line in text.splitlines()


def test_long_lists_of_findings_are_cut(tmp_path: Path) -> None:
    index = make(tmp_path / "a", [(1, 1)] * 9)
    for path in index.paths:
        path.write_bytes(path.name.encode())
    text = str(validate({"train": index}))
    assert "unreadable images: 9" in text
    assert "  ... and 4 more" in text


def test_validation_of_nothing() -> None:
    assert validate({}).statistics == ()
    report = validate({"train": empty_index()})
    assert report.unreadable == ()
    assert "train" in str(report)


def index_of(*pids: int) -> ImageIndex:
    return ImageIndex((Path("x"),) * len(pids), np.array(pids, np.int64), np.ones(len(pids), np.int64))


@pytest.mark.parametrize(
    ("index", "settings", "message"),
    [
        (index_of(), {}, "the training set is empty"),
        (index_of(7, 7, 7), {}, r"one id only \(7, 3 images\): at least two are needed"),
        (index_of(0, 1, 2), {}, "1 images have id -1 or 0"),
        (index_of(1, 2, 3), {"class_dim": 2}, "class_dim must be at least 3, the ids in training, got 2"),
        (
            index_of(1, 1, 2),
            {"samples_each_class": 4},
            "samples_each_class is 4, but no id has more than 2 images: take at most 2",
        ),
    ],
)
def test_an_unusable_training_set_is_refused_in_one_line(
    index: ImageIndex, settings: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        check_training(index, **settings)
    assert "\n" not in str(error.value)


def test_a_usable_training_set_is_accepted() -> None:
    check_training(index_of(1, 1, 2), class_dim=2, samples_each_class=2)
    check_training(index_of(1, 1, 2), class_dim=1000)
