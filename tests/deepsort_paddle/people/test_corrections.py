"""Corrections of a track index: splits, links, names, and the shift that answers teach."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.people.corrections.apply import apply_corrections, link_shift
from deepsort_paddle.people.corrections.file import KIND, Corrections
from deepsort_paddle.people.frame_rows import replay
from deepsort_paddle.people.index_file import TrackIndex, connect

Write = Callable[..., TrackIndex]
# Track 1 is person 0 and then person 1; track 2 is person 0 again; track 3 is there all the time.
RUN = {
    1: {number: (10.0, 0 if number <= 10 else 1) for number in range(1, 21)},
    2: dict.fromkeys(range(30, 40), (10.0, 0)),
    3: dict.fromkeys(range(1, 41), (150.0, 2)),
}


def said(**known: Any) -> Corrections:
    return Corrections.of({"kind": KIND, "format": 1, **known})


def test_a_split_makes_two_tracks_and_is_taken_back(tmp_path: Path, write_run: Write) -> None:
    before = write_run(tmp_path / "a.sqlite", RUN)
    splits = [{"track": 1, "frame": 11, "new": 4}]
    after = apply_corrections(before.path, said(splits=splits)).index
    assert after.ids.tolist() == [1, 2, 3, 4]
    assert after.frames.tolist() == [[1, 10], [30, 39], [1, 40], [11, 20]]
    assert after.frame_count.tolist() == [10, 10, 40, 10]
    assert after.moment_frames[after.moments(after.row(4))].min() >= 11
    assert {int(track) for one in replay(before.path) for track in one.tracks.ids} == {1, 2, 3, 4}
    apply_corrections(before.path, said(splits=splits))  # once more: the same
    again = apply_corrections(before.path, said()).index
    for name in ("ids", "frames", "seconds", "frame_count", "end_boxes", "moment_frames", "embeddings"):
        assert np.array_equal(getattr(again, name), getattr(before, name)), name
    assert [runs.tolist() for runs in again.runs] == [runs.tolist() for runs in before.runs]


def test_answers_join_and_keep_apart(tmp_path: Path, write_run: Write) -> None:
    index = write_run(tmp_path / "a.sqlite", RUN)
    for same in (True, False):
        persons = apply_corrections(index.path, said(links=[{"tracks": [2, 1], "same": same}])).persons
        assert (persons[1] == persons[2]) is same


def test_tracks_of_one_name_are_one_person(tmp_path: Path, write_run: Write) -> None:
    index = write_run(tmp_path / "a.sqlite", RUN)
    corrected = apply_corrections(index.path, said(names={"1": "Anna", "2": "Anna", "3": "Bob"}))
    assert corrected.persons == {1: 1, 2: 1, 3: 3}
    assert corrected.names == {1: "Anna", 3: "Bob"}


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"links": [{"tracks": [1, 9], "same": True}]}, "there is no track 9"),
        ({"names": {"8": "Anna"}}, "there is no track 8"),
        ({"splits": [{"track": 7, "frame": 2, "new": 9}]}, "there is no such track"),
        ({"splits": [{"track": 1, "frame": 30, "new": 9}]}, "is seen in the frames 1 to 20"),
        ({"splits": [{"track": 1, "frame": 5, "new": 2}]}, "there is a track 2 already"),
        ({"links": [{"tracks": [1, 3], "same": True}]}, "seen at the same time"),
        (
            {"links": [{"tracks": [1, 2], "same": True}, {"tracks": [1, 2], "same": False}]},
            "they are two people",
        ),
        ({"model": {"name": "other", "sha256": ""}}, "for an index of the model other"),
        ({"video": "other"}, "for the video other"),
        ({"tracks": 7}, "for a run of 7 tracks"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_lost(
    tmp_path: Path, write_run: Write, known: dict[str, Any], text: str
) -> None:
    index = write_run(tmp_path / "a.sqlite", RUN)
    content = index.path.read_bytes()
    with pytest.raises(ValueError, match=text):
        apply_corrections(index.path, said(**known))
    assert index.path.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"kind": "other"}', json.dumps({"kind": KIND, "format": 2}),
     json.dumps({"kind": KIND, "format": 1, "links": [{"tracks": [1], "same": True}]}),
     json.dumps({"kind": KIND, "format": 1, "names": {"1": ""}}),
     json.dumps({"kind": KIND, "format": 1, "extra": 1})],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(ValueError, match=r"c\.json: ") as error:
        Corrections.read(tmp_path / "c.json")
    assert "\n" not in str(error.value)


def test_answers_shift_the_links_of_a_camera(tmp_path: Path, write_run: Write) -> None:
    assert link_shift([], []) == 0
    assert link_shift([0.0, 0.0], [True, False]) == pytest.approx(0)
    assert link_shift([-1.0, -1.0], [True, True]) > 0.5
    assert link_shift([2.0] * 50, [False] * 50) >= -4
    index = write_run(tmp_path / "a.sqlite", RUN)
    shifted = apply_corrections(index.path, said(links=[{"tracks": [1, 2], "same": False}])).index
    assert shifted.meta.link_shift < 0
    assert apply_corrections(index.path, said()).index.meta.link_shift == 0


def test_answers_of_an_earlier_video_of_the_camera_are_the_start(tmp_path: Path, write_run: Write) -> None:
    index = write_run(tmp_path / "a.sqlite", RUN)
    with closing(connect(index.path, write=True)) as database, database:
        database.execute("UPDATE meta SET value = '-2.5' WHERE key IN ('camera_shift', 'link_shift')")
    assert apply_corrections(index.path, said()).index.meta.link_shift == -2.5
    answered = apply_corrections(index.path, said(links=[{"tracks": [1, 2], "same": True}])).index
    assert answered.meta.link_shift > -2.5
    assert apply_corrections(index.path, said()).index.meta.link_shift == -2.5


def test_an_index_is_read_once(tmp_path: Path, write_run: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    index = write_run(tmp_path / "a.sqlite", RUN)
    read, calls = TrackIndex.read, []
    monkeypatch.setattr(TrackIndex, "read", lambda path: calls.append(path) or read(path))
    corrected = apply_corrections(index.path, said(names={"1": "Anna"})).index
    assert len(calls) == 1
    monkeypatch.undo()
    again = TrackIndex.read(index.path)
    assert (corrected.path, corrected.meta, corrected.names) == (again.path, again.meta, again.names)
    assert corrected.persons.tolist() == again.persons.tolist()


def test_the_document_of_corrections_reads_back() -> None:
    one = said(
        index="a.sqlite", video="a", model={"name": "m", "sha256": "ab"}, tracks=3,
        splits=[{"track": 1, "frame": 5, "new": 4}], links=[{"tracks": [1, 2], "same": True}],
        names={"1": "Anna"},
    )  # fmt: skip
    assert Corrections.of(one.as_dict()) == one
