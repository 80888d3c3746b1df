"""The course of a count: intervals, people counted once, loiterers."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle.counting.counter import Line, TrackCounter, Zone
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.structures import Tracks

DOOR = Line("door", (100, 200), (100, 0), ("in", "out"))
YARD = Zone("yard", ((100, 100), (200, 100), (200, 200), (100, 200)))


def person(x: float, y: float = 150.0, track_id: int = 1) -> Tracks:
    """A track of 100 pixels height whose foot point is x, y."""
    return Tracks(
        np.array([track_id]),
        np.array([[x - 20, y - 100, x + 20, y]], float),
        np.ones(1, np.float32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
    )


def cross(history: CountHistory, track_id: int, seconds: float, *, back: bool = False) -> None:
    """Let a track cross the door at a time."""
    for x, when in zip((120, 80) if back else (80, 120), (seconds - 0.5, seconds), strict=True):
        history.update(person(x, track_id=track_id), when)


def test_crossings_go_to_the_interval_of_their_time() -> None:
    history = CountHistory(TrackCounter([DOOR]), every=10)
    for track_id, seconds in enumerate((1.0, 9.0, 10.0, 35.0), start=1):
        cross(history, track_id, seconds)
    intervals = history.counts().intervals
    assert [(one.start, one.end) for one in intervals] == [(0.5, 10.0), (10.0, 20.0), (30.0, 35.0)]
    assert [one.places[0].counts for one in intervals] == [
        {"in": 2, "out": 0},
        {"in": 1, "out": 0},
        {"in": 1, "out": 0},
    ]


def test_intervals_begin_at_full_times_of_the_wall_clock() -> None:
    history = CountHistory(TrackCounter([DOOR]), every=900, phase=lambda: 8 * 3600 + 600.0)
    cross(history, 1, 1.0)
    cross(history, 2, 301.0)
    assert [(one.start, one.end) for one in history.intervals()] == [(0.5, 300.0), (300.0, 301.0)]


def test_without_an_interval_the_whole_run_is_one() -> None:
    history = CountHistory(TrackCounter([DOOR]))
    cross(history, 1, 1.0)
    assert history.counts().intervals == ()
    (whole,) = history.intervals()
    assert (whole.start, whole.end) == (0.5, 1.0)
    assert whole.places[0].counts == {"in": 1, "out": 0}


def test_a_person_counts_once_however_often_and_under_how_many_ids() -> None:
    history = CountHistory(TrackCounter([DOOR]), every=10)
    cross(history, 1, 1.0)
    cross(history, 1, 3.0, back=True)
    cross(history, 1, 5.0)
    cross(history, 2, 15.0)  # the same person under another id
    cross(history, 3, 17.0)
    assert history.counts().lines[0].people is None
    counts = history.counts({1: 1, 2: 1, 3: 3})
    assert (counts.lines[0].to_right, counts.lines[0].to_left) == (4, 1)
    assert counts.lines[0].people == {"in": 2, "out": 1}
    assert [one.places[0].people for one in counts.intervals] == [{"in": 1, "out": 1}, {"in": 2, "out": 0}]


def test_a_long_visit_is_reported_once_and_again_after_the_next_entry() -> None:
    counter = TrackCounter([], [YARD], loiter=5)
    events = []
    for second in range(30):
        x = 80 if second in (0, 12, 13, 29) else 150
        events += [(second, event) for event in counter.update(person(x), float(second))]
    assert [(second, event.direction, event.stay) for second, event in events] == [
        (1, "entry", None),
        (6, "loiter", 5.0),
        (12, "exit", 11.0),
        (14, "entry", None),
        (19, "loiter", 5.0),
        (29, "exit", 15.0),
    ]
    assert counter.counts().zones[0].loiters == 2


def test_occupancy_of_an_interval_is_weighted_by_time() -> None:
    history = CountHistory(TrackCounter([], [YARD]), every=100)
    for second, x in ((0, 80), (1, 80), (2, 150), (3, 150), (8, 80)):
        history.update(person(x), float(second))
    (zone,) = history.intervals()[0].places
    assert (zone.mean_inside, zone.peak_inside) == (6 / 8, 1)
    assert zone.counts == {"entry": 1, "exit": 1}


def test_a_run_of_no_frames_has_no_interval() -> None:
    history = CountHistory(TrackCounter([DOOR], [YARD]), every=10)
    assert history.intervals() == ()
    assert history.counts({}).lines[0].people == {"in": 0, "out": 0}


def test_directions_have_the_names_of_their_line() -> None:
    line = Line.parse("a:b:0,0.5,1,0.5: up / down ")
    assert (line.name, line.directions) == ("a:b", ("up", "down"))
    assert Line.parse("a/b:0,0.5,1,0.5").directions == ("to_right", "to_left")
    history = CountHistory(TrackCounter([DOOR, Line("plain", (150, 200), (150, 0))]))
    history.update(person(80), 0.0)
    events = history.update(person(180), 1.0)
    assert [history.direction_name(event) for event in events] == ["in", "to_right"]


@pytest.mark.parametrize("text", ["door:0,0,9,9:in", "door:0,0,9,9:in/in", "door:0,0,9,9:/out", "door:a/b"])
def test_wrong_names_of_directions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a line|two different directions"):
        Line.parse(text)


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf")])
def test_an_interval_must_be_positive(every: float) -> None:
    with pytest.raises(ValueError, match="every must be positive"):
        CountHistory(TrackCounter([DOOR]), every=every)


def test_who_stays_is_inside_up_to_the_end_of_an_interval() -> None:
    history = CountHistory(TrackCounter([], [YARD]), every=10)
    for seconds in range(0, 31, 5):  # in the yard in every other frame
        history.update(person(150.0 if seconds % 10 else 50.0), float(seconds))
    intervals = [interval.places[0] for interval in history.intervals()][:3]
    assert [place.mean_inside for place in intervals] == [0.5, 0.5, 0.5]
    assert [place.peak_inside for place in intervals] == [1, 1, 1]


def test_who_was_inside_before_an_interval_is_inside_at_its_start() -> None:
    history = CountHistory(TrackCounter([], [YARD]), every=10)
    for seconds, x in ((0.0, 150.0), (9.0, 150.0), (14.0, 50.0), (19.0, 50.0)):
        history.update(person(x), seconds)
    first, second = (interval.places[0] for interval in history.intervals())
    assert (first.mean_inside, first.peak_inside) == (1.0, 1)
    assert second.mean_inside == pytest.approx(4 / 9)
    assert second.peak_inside == 1
