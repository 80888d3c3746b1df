from __future__ import annotations

from pathlib import Path

import numpy as np

from reid_train.data.datasets import ImageIndex, of_dataset, write_list_file
from reid_train.data.evaluation_sets import (
    EvaluationSet,
    named_sets,
    read_evaluation_set,
    read_query_and_gallery,
)


def index_of(folder: Path, *pids: int) -> ImageIndex:
    folder.mkdir()
    paths = [folder / f"{row}.jpg" for row in range(len(pids))]
    for path in paths:
        path.write_bytes(b"")
    return ImageIndex(tuple(paths), np.array(pids, np.int64), np.ones(len(pids), np.int64))


def test_lists_with_independent_class_ids_are_matched_by_identity(tmp_path):
    query = of_dataset(index_of(tmp_path / "q", 7, 9), "mine")
    gallery = of_dataset(index_of(tmp_path / "g", 3, 7, 9, 9), "mine")
    write_list_file(tmp_path / "query.txt", query)
    write_list_file(tmp_path / "gallery.txt", gallery)
    found = read_evaluation_set(tmp_path)
    assert found.query.pids.tolist() == [2, 3]
    assert found.gallery.pids.tolist() == [1, 2, 3, 3]
    assert found.name == tmp_path.name


def test_lists_without_a_data_set_are_matched_by_class_id(tmp_path):
    write_list_file(tmp_path / "a.txt", index_of(tmp_path / "q", 1, 2))
    write_list_file(tmp_path / "b.txt", index_of(tmp_path / "g", 1, 2, 2))
    found = read_query_and_gallery(tmp_path / "a.txt", tmp_path / "b.txt", "mine")
    assert (found.query.pids.tolist(), found.gallery.pids.tolist()) == ([1, 2], [1, 2, 2])


def test_sets_with_equal_names_get_unique_names(tmp_path):
    empty = index_of(tmp_path / "e")
    sets = [EvaluationSet(name, empty, empty) for name in ("dev.txt", "x", "dev.txt")]
    assert [each.name for each in named_sets(sets)] == ["dev.txt", "x", "dev.txt#2"]


def test_sets_are_named_after_their_data_set(tmp_path):
    for name in ("market", "pku"):
        (tmp_path / name).mkdir()
        write_list_file(tmp_path / name / "dev.txt", index_of(tmp_path / name / "query", 1, 1))
    write_list_file(tmp_path / "mine.txt", index_of(tmp_path / "x", 1, 1))
    sources = [tmp_path / "market", tmp_path / "pku" / "dev.txt", tmp_path / "mine.txt"]
    assert [read_evaluation_set(source).name for source in sources] == ["market", "pku", "mine"]
