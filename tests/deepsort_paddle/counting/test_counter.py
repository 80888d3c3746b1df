import json

import numpy as np
import pytest

from deepsort_paddle.counting.counter import Counts, Line, TrackCounter, Zone
from deepsort_paddle.output.draw_counts import draw_counts
from deepsort_paddle.structures import Tracks

# Upwards on the screen: its right is the screen's right.
DOOR = Line("door", (100, 200), (100, 0))
YARD = Zone("yard", ((100, 100), (200, 100), (200, 200), (100, 200)))
# A U that is open above.
NICHE = Zone("niche", ((0, 0), (30, 0), (30, 70), (70, 70), (70, 0), (100, 0), (100, 100), (0, 100)))


def person(x: float, y: float, track_id: int = 1, *, class_id: int = 0, matched: bool = True) -> Tracks:
    """A track of 100 pixels height whose foot point is x, y."""
    return Tracks(
        np.array([track_id]),
        np.array([[x - 20, y - 100, x + 20, y]], float),
        np.ones(1, np.float32),
        np.array([class_id]),
        np.array([0 if matched else -1]),
        np.array([0 if matched else 1]),
    )


def walk(counter: TrackCounter, *points: tuple[float, float] | None, track_id: int = 1) -> Counts:
    """Feed one walk, a point a frame; None: not seen in that frame."""
    for point in points:
        counter.update(Tracks.empty() if point is None else person(*point, track_id))
    return counter.counts()


def at_door(*xs: float | None) -> tuple[int, int]:
    counter = TrackCounter([DOOR])
    line = walk(counter, *(None if x is None else (x, 100.0) for x in xs)).lines[0]
    return line.to_right, line.to_left


@pytest.mark.parametrize(
    ("xs", "counts"),
    [
        ((60, 80, 95, 110, 130), (1, 0)),
        ((130, 110, 95, 80), (0, 1)),
        ((60, 80, 120, 150, 120, 80, 60), (1, 1)),
        ((80, 120, 80, 120, 80, 120), (3, 2)),
        ((80, 100, 120), (1, 0)),
        ((120, 100, 80), (0, 1)),
        ((80, 100, 100, 100, 80), (0, 0)),
        ((60, 70, 80, 90), (0, 0)),
        ((150,), (0, 0)),
        ((), (0, 0)),
    ],
)
def test_a_walk_over_a_line_counts_once_each_way(xs: tuple[float, ...], counts: tuple[int, int]) -> None:
    assert at_door(*xs) == counts


def test_standing_on_the_line_counts_once_or_not_at_all() -> None:
    trembling = [98.0, 102.0, 99.0, 101.5] * 20
    assert at_door(80, *trembling, 80) == (0, 0)
    assert at_door(80, *trembling, 120) == (1, 0)
    assert at_door(*trembling) == (0, 0)
    assert at_door(*trembling, 80, 120) == (1, 0)


def test_without_hysteresis_each_change_of_side_counts() -> None:
    counter = TrackCounter([DOOR], hysteresis=0)
    line = walk(counter, (98, 100), (102, 100), (98, 100)).lines[0]
    assert (line.to_right, line.to_left) == (1, 1)


def test_a_track_lost_across_the_line_is_counted_when_it_is_found() -> None:
    assert at_door(60, 80, None, None, None, 140) == (1, 0)
    counter = TrackCounter([DOOR])
    walk(counter, (60, 100), (80, 100), track_id=1)
    line = walk(counter, (120, 100), (140, 100), track_id=2).lines[0]  # somebody else as far as one knows
    assert (line.to_right, line.to_left) == (0, 0)


def test_walking_around_the_end_of_a_line_is_no_crossing() -> None:
    counter = TrackCounter([DOOR])
    around = [(60.0, 100.0), (60.0, 230.0), (140.0, 230.0), (140.0, 100.0)]
    line = walk(counter, *around).lines[0]
    assert (line.to_right, line.to_left) == (0, 0)
    line = walk(counter, (60, 100)).lines[0]  # and back straight through
    assert (line.to_right, line.to_left) == (0, 1)


def test_a_prediction_over_the_line_does_not_count() -> None:
    counter = TrackCounter([DOOR])
    counter.update(person(80, 100))
    assert counter.update(person(120, 100, matched=False)) == ()
    assert counter.update(person(85, 100)) == ()


def test_the_right_of_a_line_is_the_right_hand_of_who_walks_along_it() -> None:
    for start, end, goal in [
        ((0, 100), (200, 100), (100, 150)),
        ((200, 100), (0, 100), (100, 50)),
        ((0, 0), (200, 200), (50, 150)),
    ]:
        counter = TrackCounter([Line("a", start, end)])
        begin = (200 - goal[0], 200 - goal[1])
        assert walk(counter, begin, goal).lines[0].to_right == 1


def test_the_centre_can_count_instead_of_the_feet() -> None:
    rail = Line("rail", (0, 60), (200, 60))
    steps = [(100.0, 100.0), (100.0, 130.0)]  # the centre is 50 higher
    assert walk(TrackCounter([rail]), *steps).lines[0].to_right == 0
    assert walk(TrackCounter([rail], anchor="center"), *steps).lines[0].to_right == 1


def test_classes_are_counted_apart_and_events_name_them() -> None:
    counter = TrackCounter([DOOR])
    counter.update(person(80, 100, 4, class_id=2))
    (event,) = counter.update(person(120, 100, 4, class_id=2))
    assert event.as_dict() == {"line": "door", "direction": "to_right", "id": 4, "class_id": 2}
    counter.update(person(120, 100, 5))
    counter.update(person(80, 100, 5))
    line = counter.counts().lines[0]
    assert (line.to_right, line.to_left) == (1, 1)
    assert (line.by_class[2].forward, line.by_class[0].backward) == (1, 1)


def test_a_zone_knows_entries_exits_occupancy_and_dwell() -> None:
    counter = TrackCounter(zones=[YARD], fps=10)
    zone = walk(counter, (50, 150), (150, 150), (160, 150)).zones[0]
    assert (zone.entries, zone.exits, zone.occupancy, zone.peak) == (1, 0, 1, 1)
    zone = walk(counter, (150, 150), (50, 150), (40, 150)).zones[0]
    assert (zone.entries, zone.exits, zone.occupancy, zone.peak) == (1, 1, 0, 1)
    assert zone.dwell == {1: pytest.approx(0.3)}  # entered in frame 2, left in frame 5
    zone = walk(counter, (150, 150), None, (150, 150)).zones[0]
    assert zone.dwell == {1: pytest.approx(0.5)}
    assert zone.entries == 2


def test_timestamps_set_the_dwell_time() -> None:
    counter = TrackCounter(zones=[YARD])
    for second in (0.0, 2.0, 7.5, 7.0):
        counter.update(person(150, 150), second)
    assert counter.counts().zones[0].dwell == {1: 7.5}


def test_who_appears_or_vanishes_inside_is_neither_entry_nor_exit() -> None:
    zone = walk(TrackCounter(zones=[YARD]), (150, 150), (150, 150), None).zones[0]
    assert (zone.entries, zone.exits, zone.occupancy, zone.peak) == (0, 0, 0, 1)


def test_trembling_on_the_edge_of_a_zone_counts_once() -> None:
    zone = walk(TrackCounter(zones=[YARD]), (80, 150), *[(99, 150), (101, 150)] * 20, (120, 150)).zones[0]
    assert (zone.entries, zone.exits) == (1, 0)


def test_the_notch_of_a_concave_zone_is_outside() -> None:
    counter = TrackCounter(zones=[NICHE], hysteresis=0)
    zone = walk(counter, (50, 20), (50, 60)).zones[0]
    assert (zone.entries, zone.occupancy) == (0, 0)
    zone = walk(counter, (15, 60), (50, 60), (85, 60), (50, 85), (50, 110)).zones[0]
    assert (zone.entries, zone.exits) == (2, 2)


def test_many_tracks_at_once_count_like_each_alone() -> None:
    rng = np.random.default_rng(3)
    paths = np.cumsum(rng.normal(0, 12, (40, 20, 2)), axis=0) + 100  # (frame, id, x y)
    together = TrackCounter([DOOR], [YARD, NICHE])
    alone = [TrackCounter([DOOR], [YARD, NICHE]) for _ in range(20)]
    for frame in paths:
        feet = np.concatenate([frame - np.array([20, 100]), frame + np.array([20, 0])], axis=1)
        ids = np.arange(1, 21)
        count = np.zeros(20, np.int64)
        together.update(Tracks(ids, feet, np.ones(20, np.float32), count, ids - 1, count))
        for track_id, (x, y) in enumerate(frame.tolist(), 1):
            alone[track_id - 1].update(person(x, y, track_id))
    all_counts = [counter.counts() for counter in alone]
    got = together.counts()
    assert got.lines[0].to_right == sum(counts.lines[0].to_right for counts in all_counts) > 2
    for index in (0, 1):
        assert got.zones[index].entries == sum(counts.zones[index].entries for counts in all_counts) > 2
        assert got.zones[index].occupancy == sum(counts.zones[index].occupancy for counts in all_counts)


def test_counts_are_plain_json() -> None:
    counter = TrackCounter([Line.parse("north: gate:1,2,3.5,-4")], [Zone.parse("hall:0,0,10,0,10,10")])
    document = json.loads(json.dumps(walk(counter, (5, 5)).as_dict()))
    assert document["lines"][0]["name"] == "north: gate"
    assert document["lines"][0]["end"] == [3.5, -4]
    assert document["zones"][0]["polygon"] == [[0, 0], [10, 0], [10, 10]]


@pytest.mark.parametrize(
    "text", ["", "a", "a:", "a:1,2,3", "a:1,2,3,x", ":1,2,3,4", "a:1,2,1,2", "a:1,2,nan,4"]
)
def test_a_line_written_wrongly_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        Line.parse(text)


@pytest.mark.parametrize(
    "text", ["", "a:1,2,3,4", "a:0,0,1,1,2,2", "a:1,2,3,4,5", ":0,0,1,0,1,1", "a:0,0,inf,0,1,1"]
)
def test_a_zone_written_wrongly_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="zone"):
        Zone.parse(text)


def test_a_counter_refuses_wrong_options() -> None:
    with pytest.raises(ValueError, match="got 'door' twice"):
        TrackCounter([DOOR, DOOR])
    with pytest.raises(ValueError, match="hysteresis"):
        TrackCounter([DOOR], hysteresis=-1)
    with pytest.raises(ValueError, match="fps"):
        TrackCounter([DOOR], fps=0)
    with pytest.raises(ValueError, match="anchor"):
        TrackCounter([DOOR], anchor="head")  # type: ignore[arg-type]


def test_lines_and_zones_take_arrays_and_lists() -> None:
    corners = np.array([[0, 0], [40, 0], [40, 40]])
    door = Line("door", corners[0], corners[2])  # type: ignore[arg-type]
    assert door == Line("door", (0, 0), (40, 40))
    yard = Zone("yard", corners)  # type: ignore[arg-type]
    assert yard == Zone("yard", corners.tolist()) == Zone("yard", ((0, 0), (40, 0), (40, 40)))
    assert hash(yard) == hash(Zone("yard", ((0, 0), (40, 0), (40, 40))))
    counts = TrackCounter([door], [yard]).counts().as_dict()
    assert json.loads(json.dumps(counts)) == counts
    with pytest.raises(ValueError, match="line 'door' must have two different ends"):
        Line("door", corners[0], corners[0])  # type: ignore[arg-type]


def test_counts_are_drawn_on_a_copy() -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    far = Line("weit 门", (-1e9, 5), (1e9, 5))
    drawn = draw_counts(image, TrackCounter([DOOR, far], [YARD]).counts())
    assert (image == 90).all()
    assert (drawn[20:180, 98:103] != 90).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(draw_counts(image, Counts()), image)


def test_names_at_one_place_do_not_hide_each_other() -> None:
    image = np.full((480, 640, 3), 90, np.uint8)
    zones = [Zone(name, ((300, 200), (400, 300), (200, 300))) for name in ("north", "south", "court")]
    gate = Line("gate", (300, 200), (300, 100))

    def paper(lines: list[Line], places: list[Zone]) -> int:
        """Pixels of the tags' white, without what the shapes have of it."""
        drawn = draw_counts(image, TrackCounter(lines, places).counts())
        return int((drawn == 255).all(axis=2).sum())

    alone = sum(paper([], [zone]) for zone in zones) + paper([gate], [])
    assert paper([gate], zones) > 0.9 * alone  # their edges touch, and hide some of the line
