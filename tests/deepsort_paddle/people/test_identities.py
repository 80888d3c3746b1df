"""Tracks joined to people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.people.identities import _most_at_once, find_identities, seen_together
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel

Write = Callable[..., TrackIndex]


def stay(first: int, last: int, left: float, person: int) -> dict[int, tuple[float, int]]:
    """Frames of somebody who stands still."""
    return dict.fromkeys(range(first, last + 1), (left, person))


def people_of(index: TrackIndex) -> list[int]:
    """The first track id of each track's person."""
    return list(index.ids[find_identities(index).labels].tolist())


def test_a_person_with_two_tracks_is_one_person(tmp_path: Path, write_run: Write) -> None:
    run = {
        1: stay(1, 20, 20, 0),
        2: stay(1, 60, 80, 1),
        3: stay(30, 60, 25, 0),
        4: stay(25, 60, 140, 2),
    }
    found = find_identities(write_run(tmp_path / "a.sqlite", run))
    assert found.labels.tolist() == [0, 1, 0, 3]
    assert len(found) == 3
    assert found.probability[0] == found.probability[2] > 0.7
    assert np.isnan(found.probability[[1, 3]]).all()


def test_tracks_of_the_same_frame_are_never_one_person(tmp_path: Path, write_run: Write) -> None:
    run = {1: stay(1, 20, 20, 0), 2: stay(20, 40, 25, 0), 3: stay(1, 40, 90, 1)}
    index = write_run(tmp_path / "a.sqlite", run)
    assert seen_together(index) == [(0, 1), (0, 2), (1, 2)]
    assert people_of(index) == [1, 2, 3]


def test_a_track_in_the_gap_of_another_can_be_the_same_person(tmp_path: Path, write_run: Write) -> None:
    run = {1: {**stay(1, 15, 20, 0), **stay(40, 60, 20, 0)}, 2: stay(20, 35, 22, 0), 3: stay(1, 60, 90, 1)}
    index = write_run(tmp_path / "a.sqlite", run)
    assert (0, 1) not in seen_together(index)
    assert people_of(index) == [1, 1, 3]


def test_nobody_jumps_across_the_frame(tmp_path: Path, write_run: Write) -> None:
    # Boxes are 80 high: after 0.1 seconds nobody is 2 heights away.
    far = {1: stay(1, 20, 0, 0), 2: stay(21, 40, 165, 0)}
    near = {1: stay(1, 20, 0, 0), 2: stay(21, 40, 10, 0)}
    assert len(find_identities(write_run(tmp_path / "far.sqlite", far))) == 2
    assert len(find_identities(write_run(tmp_path / "near.sqlite", near))) == 1


def test_three_tracks_of_one_person_share_its_first_id(tmp_path: Path, write_run: Write) -> None:
    run = {7: stay(1, 10, 20, 0), 9: stay(15, 25, 20, 0), 12: stay(30, 40, 20, 0), 13: stay(1, 40, 99, 3)}
    assert people_of(write_run(tmp_path / "a.sqlite", run)) == [7, 7, 7, 13]


def test_one_track_is_one_person(tmp_path: Path, write_run: Write) -> None:
    assert people_of(write_run(tmp_path / "a.sqlite", {5: stay(1, 5, 20, 0)})) == [5]


def test_no_tracks_are_no_people(tmp_path: Path, model: ReidModel) -> None:
    with TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a"):
        pass
    assert len(find_identities(TrackIndex.read(tmp_path / "a.sqlite"))) == 0
    assert len(find_identities()) == 0


def test_a_person_of_two_cameras_is_one_person(tmp_path: Path, write_run: Write) -> None:
    first = write_run(tmp_path / "a.sqlite", {1: stay(1, 20, 20, 0), 2: stay(1, 20, 90, 1)})
    second = write_run(tmp_path / "b.sqlite", {1: stay(1, 20, 20, 2), 2: stay(1, 20, 90, 0)})
    assert find_identities(first, second).labels.tolist() == [0, 1, 2, 0]


def test_two_people_of_a_camera_are_not_both_the_same_person_of_another(
    tmp_path: Path, write_run: Write
) -> None:
    first = write_run(tmp_path / "a.sqlite", {1: stay(1, 20, 20, 0), 2: stay(1, 20, 90, 0)})
    second = write_run(tmp_path / "b.sqlite", {1: stay(1, 20, 20, 0)})
    found = find_identities(first, second).labels.tolist()
    assert found[0] != found[1]
    assert found[2] in found[:2]


def test_a_probability_outside_0_and_1_is_refused(tmp_path: Path, write_run: Write) -> None:
    index = write_run(tmp_path / "a.sqlite", {5: stay(1, 5, 20, 0)})
    with pytest.raises(ValueError, match="min_probability must be between 0 and 1, got 1"):
        find_identities(index, min_probability=1)


def test_the_interval_of_a_video_begins_at_those_seen_at_once(tmp_path: Path, write_run: Write) -> None:
    """Without any likely join the lower end is three quarters of the people, but not less than are there."""
    one_by_one = {track: stay(20 * track - 19, 20 * track, 20, track % 12) for track in range(1, 9)}
    found = find_identities(write_run(tmp_path / "a.sqlite", one_by_one))
    assert len(found) == 8
    assert found.interval == (6, 8)
    together = {track: stay(1, 60, 20 * track, track) for track in range(1, 9)}
    assert find_identities(write_run(tmp_path / "b.sqlite", together)).interval == (8, 8)


def test_a_frame_holds_the_tracks_whose_runs_it_lies_in(tmp_path: Path, write_run: Write) -> None:
    run = {1: {**stay(1, 5, 0, 0), **stay(9, 12, 0, 0)}, 2: stay(6, 8, 60, 1), 3: stay(5, 6, 120, 2)}
    assert _most_at_once(write_run(tmp_path / "a.sqlite", run)) == 2
