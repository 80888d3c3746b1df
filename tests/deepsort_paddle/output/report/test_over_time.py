"""Counts over time on the report page."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from deepsort_paddle.counting.counter import Line, TrackCounter, Zone
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.report.over_time import PageEvent, count_section, split_time
from deepsort_paddle.output.report.page_clock import PageClock
from deepsort_paddle.output.report.track_path import TrackPath
from deepsort_paddle.structures import Detections, Tracks


def test_without_a_length_intervals_are_round_and_at_most_31() -> None:
    for duration in (0.5, 9.0, 79.5, 3600.0, 86400.0, 10 * 86400.0):
        intervals = split_time(duration, None)
        assert intervals[0][0] == 0
        assert intervals[-1][1] == duration
        assert all(end == start for (_, end), (start, _) in itertools.pairwise(intervals))
        assert len(intervals) <= 31
    assert split_time(3600.0, None)[0] == (0.0, 120.0)
    assert split_time(0.0, None) == []


def test_intervals_begin_at_full_times_of_the_day() -> None:
    assert split_time(100.0, 60.0, phase=8 * 3600 + 45.0) == [(0.0, 15.0), (15.0, 75.0), (75.0, 100.0)]


def test_a_day_that_is_cut_at_an_interval_has_no_empty_one() -> None:
    assert split_time(120.0, 60.0) == [(0.0, 60.0), (60.0, 120.0)]


def present(track: int, *runs: tuple[float, float]) -> TrackPath:
    """A path that is there from one time to another, ten frames a second."""
    path = TrackPath(1, 0)
    for start, end in runs:
        for number in range(round(10 * start), round(10 * end) + 1):
            path.add(number, number + 1, number / 10, np.array([0.0, 0.0, 20.0, 60.0]))
    return path


def section(paths: dict[int, TrackPath], persons: Persons | None, events: list[PageEvent]) -> dict[str, Any]:
    places = TrackCounter(
        [Line("door", (0, 0), (0, 9), ("in", "out"))], [Zone("yard", ((0, 0), (9, 0), (9, 9)))]
    )
    of_track = None if persons is None else persons.of_track
    clock, intervals = PageClock(30.0), [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]
    return count_section(paths, persons, CountHistory(places).counts(of_track), events, intervals, clock)


def test_a_track_of_one_frame_is_in_view_whatever_its_time_rounds_to() -> None:
    path = TrackPath(1, 0)
    path.add(2, 3, 2 / 30, np.array([0.0, 0.0, 20.0, 60.0]))
    assert section({1: path}, None, [])["rows"][0]["values"][:2] == [1, 1]


def test_people_in_view_count_once_in_an_interval() -> None:
    paths = {1: present(1, (0, 2), (5, 12)), 2: present(2, (1, 3)), 3: present(3, (4, 6))}
    whole = section(paths, None, [])
    assert whole["header"][:3] == ["Time", "Tracks", "At once"]
    assert [row["values"][:2] for row in whole["rows"]] == [[3, 2], [1, 1], [0, 0]]
    joined = section(paths, Persons({1: 1, 2: 2, 3: 1}), [])
    assert [row["values"][0] for row in joined["rows"]] == [2, 1, 0]


def test_crossings_are_counted_by_interval_direction_and_person() -> None:
    events = [
        PageEvent(1.0, 11, "door", "in", 1),
        PageEvent(2.0, 21, "door", "in", 3),
        PageEvent(10.0, 101, "door", "in", 1),
        PageEvent(29.0, 291, "door", "out", 2),
        PageEvent(29.5, 296, "yard", "entry", 2),
    ]
    found = section({1: present(1, (0, 1))}, Persons({1: 1, 3: 1, 2: 2}), events)
    header = found["header"]
    columns = {name: [row["values"][at - 1] for row in found["rows"]] for at, name in enumerate(header) if at}
    assert columns["door: in"] == [2, 1, 0]
    assert columns["door: in, people"] == [1, 1, 0]
    assert columns["door: out"] == [0, 0, 1]
    assert columns["yard: entry"] == [0, 0, 1]
    assert columns["yard: exit"] == [0, 0, 0]
    door = found["charts"][1]
    assert door["name"] == "door"
    assert [(bar["up"], bar["down"]) for bar in door["bars"]] == [(100, 0), (50, 0), (0, 50)]
    assert door["bars"][2]["title"] == "20.0 to 30.0 s, in: 0, out: 1"


def test_the_same_intervals_are_in_the_table_of_counts() -> None:
    """The page counts from the events, the table from spans; both from midnight."""
    phase = 8 * 3600 + 55.0
    history = CountHistory(TrackCounter([Line("door", (50, 0), (50, 100))]), every=60.0, phase=lambda: phase)
    for number in range(0, 1000, 5):
        x = 30.0 if number // 100 % 2 else 70.0
        box = np.array([[x - 5, 20.0, x + 5, 60.0]])
        ids, one = np.array([1]), np.ones(1, np.float32)
        tracks = Tracks(ids, box, one, np.zeros(1, np.int64), np.arange(1), np.zeros(1, np.int64))
        assert len(Detections.of(box, one)) == 1
        history.update(tracks, number / 10)
    spans = [(one.start, one.end) for one in history.intervals()]
    found = split_time(99.6, 60.0, phase)
    assert [start for start, _ in found] == [start for start, _ in spans]
