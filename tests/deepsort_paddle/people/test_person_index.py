"""Search in track indexes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.people.index_file import TrackIndex, save_people
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.people.person_index import PersonIndex

Write = Callable[..., TrackIndex]


@pytest.fixture
def cameras(tmp_path: Path, write_run: Write) -> Path:
    """A folder with the indexes of two cameras: person 0 is in both, as tracks 1 and 5."""
    folder = tmp_path / "cameras"
    (folder / "inside").mkdir(parents=True)
    first = {1: dict.fromkeys(range(1, 20), (10.0, 0)), 2: dict.fromkeys(range(1, 9), (90.0, 1))}
    second = {4: dict.fromkeys(range(1, 9), (10.0, 2)), 5: dict.fromkeys(range(3, 50), (90.0, 0))}
    write_run(folder / "door.sqlite", first, name="door")
    write_run(folder / "inside" / "yard.sqlite", second, name="yard")
    (folder / "notes.txt").write_text("no index")
    return folder


def test_a_folder_is_searched_with_its_folders(cameras: Path) -> None:
    people = PersonIndex.open([cameras, cameras / "door.sqlite"])
    assert [index.meta.name for index in people.indexes] == ["door", "yard"]
    assert len(people) == 4
    assert repr(people) == "<PersonIndex: 2 videos, 4 tracks, toy>"


def test_a_track_is_found_in_the_other_camera(cameras: Path) -> None:
    people = PersonIndex.open([cameras])
    found = people.search(people.embeddings_of(cameras / "door.sqlite", 1))
    assert [(hit.video, hit.track) for hit in found.hits] == [("door", 1), ("yard", 5)]
    assert found.beyond == 2
    assert found.max_distance == 0.4
    hit = found.hits[1]
    assert (hit.person, hit.frames) == (5, (3, 49))
    assert hit.seconds == (pytest.approx(0.2), pytest.approx(4.8))
    assert 0.7 < hit.probability < 1
    assert len(hit.moments) == 8


def test_a_hit_has_the_name_that_corrections_gave(cameras: Path) -> None:
    door = cameras / "door.sqlite"
    index = TrackIndex.read(door)
    save_people(door, index.ids, index.persons, index.probability, {1: "Anna"})
    people = PersonIndex.open([cameras])
    hits = people.search(people.embeddings_of(door, 1)).hits
    assert [(hit.video, hit.name) for hit in hits] == [("door", "Anna"), ("yard", None)]
    assert hits[0].as_dict()["name"] == "Anna"


def test_the_query_itself_and_who_was_seen_with_it_are_no_hits(cameras: Path) -> None:
    people, door = PersonIndex.open([cameras]), cameras / "door.sqlite"
    found = people.search(people.embeddings_of(door, 1), max_distance=2, tracks=[(door, 1)])
    # Track 2 was in the same frames: somebody else, however alike.
    assert [(hit.video, hit.track) for hit in found.hits] == [("yard", 5), ("yard", 4)]
    assert found.beyond == 1


def test_one_image_is_a_query(cameras: Path) -> None:
    people = PersonIndex.open([cameras])
    query = people.embeddings_of(cameras / "door.sqlite", 1)[0]
    assert people.search(query).hits == people.search(query[None]).hits
    assert people.search(5 * query).hits[0].distance == pytest.approx(people.search(query).hits[0].distance)


def test_hits_that_are_not_asked_for_are_counted(cameras: Path) -> None:
    people = PersonIndex.open([cameras])
    found = people.search(people.embeddings_of(cameras / "door.sqlite", 1), top=1)
    assert (len(found.hits), found.cut, found.beyond) == (1, 1, 2)


def test_hits_name_the_person_that_a_track_was_joined_to(cameras: Path) -> None:
    path = cameras / "inside" / "yard.sqlite"
    save_people(path, np.array([4, 5]), np.array([4, 4]), np.array([0.8, 0.8]))
    people = PersonIndex.open([cameras])
    found = people.search(people.embeddings_of(cameras / "door.sqlite", 1))
    assert found.hits[1].as_dict()["person"] == 4


def test_people_of_all_cameras_are_joined(cameras: Path) -> None:
    assert PersonIndex.open([cameras]).join().labels.tolist() == [0, 1, 2, 0]


def test_indexes_of_two_models_are_not_mixed(cameras: Path, write_run: Write, model: ReidModel) -> None:
    other = replace(model, sha256="cd" * 32)
    write_run(cameras / "zoo.sqlite", {1: {1: (0.0, 0)}}, reid=other)
    with pytest.raises(
        ValueError, match=r"zoo\.sqlite: made with the model toy \(cdcd.*door\.sqlite with toy \(abab"
    ):
        PersonIndex.open([cameras])


def test_where_nothing_is_the_error_says_so(cameras: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no track index in this folder"):
        (tmp_path / "empty").mkdir()
        PersonIndex.open([tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="no such file"):
        PersonIndex.open([tmp_path / "none.sqlite"])
    with pytest.raises(ValueError, match="indexes must be one or more, got none"):
        PersonIndex.open([])
    people = PersonIndex.open([cameras / "door.sqlite"])
    with pytest.raises(ValueError, match="not one of the indexes"):
        people.embeddings_of(cameras / "inside" / "yard.sqlite", 4)
    with pytest.raises(ValueError, match="no track 7, it has tracks 1 to 2"):
        people.embeddings_of(cameras / "door.sqlite", 7)


def test_a_query_of_the_wrong_shape_is_refused(cameras: Path) -> None:
    people = PersonIndex.open([cameras])
    with pytest.raises(ValueError, match=r"query must be \(k, 16\), got \(1, 3\)"):
        people.search(np.ones(3))
    with pytest.raises(ValueError, match="query must have one embedding or more"):
        people.search(np.zeros((2, 16)))
