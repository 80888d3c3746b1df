"""The life of tracks, options, bad input, saved state. The exact results are in test_tracker_oracle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from deepsort_paddle import DeepSort, Detections, Tracks

RED, GREEN, BLUE = np.eye(3)


def person(x: float, y: float = 100.0, height: float = 100.0) -> list[float]:
    """A box, 0.4 as wide as high, centred at x, y."""
    return [x - 0.2 * height, y - 0.5 * height, x + 0.2 * height, y + 0.5 * height]


def seen(*people: tuple[float, ArrayLike], **columns: Any) -> Detections:
    """Detections of people of some colour at some x."""
    if not people:
        return Detections.empty()
    boxes, embeddings = [person(x) for x, _ in people], [colour for _, colour in people]
    return Detections.of(boxes, embeddings=embeddings, **columns)


def crowd(frames: int, people: int = 12, seed: int = 0) -> Iterator[Detections]:
    """People walking at random among false detections, one in six missed."""
    rng = np.random.default_rng(seed)
    centre, speed = rng.uniform(0, 600, (people, 2)), rng.normal(0, 3, (people, 2))
    height, look = rng.uniform(60, 140, people), rng.standard_normal((people, 16))
    for _ in range(frames):
        centre += speed
        there = rng.permutation(np.flatnonzero(rng.random(people) < 0.83))
        boxes = [person(x, y, h) for (x, y), h in zip(centre[there], height[there], strict=True)]
        boxes += [person(*rng.uniform(0, 600, 2)) for _ in range(2)]
        looks = np.concatenate(
            [look[there] + rng.normal(0, 0.3, (len(there), 16)), rng.standard_normal((2, 16))]
        )
        yield Detections.of(boxes, rng.random(len(boxes)), embeddings=looks)


def assert_same(a: Tracks, b: Tracks) -> None:
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    np.testing.assert_array_equal(a.detection_index, b.detection_index)
    np.testing.assert_array_equal(a.frames_since_update, b.frames_since_update)
    np.testing.assert_array_equal(a.confidence, b.confidence)


def test_a_whole_life_birth_confirmation_miss_occlusion_return_and_death() -> None:
    tracker = DeepSort(max_age=10)
    for x in (100, 103):  # birth: tentative
        assert len(tracker.update(seen((x, RED)))) == 0
    assert tracker.update(seen((106, RED))).ids.tolist() == [1]  # the third detection confirms
    assert len(tracker.update(seen())) == 0  # a miss
    assert tracker.update(seen((112, RED))).ids.tolist() == [1]
    for _ in range(9):  # an occlusion: the longest from which there is a return
        assert len(tracker.update(seen())) == 0
    assert tracker.update(seen((142, RED))).ids.tolist() == [1]  # the return, by appearance
    for _ in range(10):  # one frame more is death
        assert len(tracker.update(seen())) == 0
    later = [tracker.update(seen((175, RED))).ids.tolist() for _ in range(3)]
    assert later == [[], [], [2]]


def test_a_tentative_track_dies_on_its_first_miss_and_its_id_is_used_up() -> None:
    tracker = DeepSort()
    tracker.update(seen((100, RED)))
    tracker.update(seen((103, RED)))
    tracker.update(seen())
    assert [tracker.update(seen((x, RED))).ids.tolist() for x in (106, 109, 112)] == [[], [], [2]]


@pytest.mark.parametrize(("n_init", "frames"), [(1, 2), (2, 2), (3, 3), (5, 5)])
def test_a_track_is_confirmed_by_its_n_init_th_detection(n_init: int, frames: int) -> None:
    tracker = DeepSort(n_init=n_init)
    counts = [len(tracker.update(seen((100, RED)))) for _ in range(frames)]
    assert counts == [0] * (frames - 1) + [1]


def test_appearance_keeps_ids_where_people_swap_places_behind_an_obstacle() -> None:
    tracker = DeepSort()
    for _ in range(5):
        tracks = tracker.update(seen((100, RED), (160, GREEN)))
    assert tracks.ids.tolist() == [1, 2]
    for _ in range(8):
        tracker.update(seen())
    tracks = tracker.update(seen((101, GREEN), (159, RED)))
    assert dict(zip(tracks.ids.tolist(), tracks.detection_index.tolist(), strict=True)) == {1: 1, 2: 0}


def test_appearance_matches_nobody_outside_the_motion_gate() -> None:
    tracker = DeepSort()
    for _ in range(5):
        tracker.update(seen((100, RED)))
    assert len(tracker.update(seen((900, RED)))) == 0


def test_the_gate_on_the_position_alone_lets_another_height_pass() -> None:
    ids = {}
    for only in (False, True):
        tracker = DeepSort(gate_position_only=only, max_iou_distance=0.0)
        # Too little overlap for an IoU of 1: tracks are confirmed standing perfectly still.
        for _ in range(4):
            tracker.update(seen((100, RED)))
        taller = Detections.of([person(100, height=190)], embeddings=[RED])
        ids[only] = tracker.update(taller).ids.tolist()
    assert ids == {False: [], True: [1]}


def test_detection_index_points_into_the_given_detections_though_some_are_ignored() -> None:
    tracker = DeepSort(min_confidence=0.5)
    boxes = [person(500), [10, 10, 10, 90], person(100), person(300), [5, 90, 50, 10]]
    looks = [BLUE, RED, RED, GREEN, RED]
    for _ in range(3):
        tracks = tracker.update(Detections.of(boxes, [0.4, 0.9, 0.8, 0.7, 0.9], embeddings=looks))
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.detection_index.tolist() == [2, 3]
    np.testing.assert_allclose(tracks.confidence, [0.8, 0.7])
    np.testing.assert_allclose(tracks.boxes, np.array(boxes)[[2, 3]], atol=1e-9)


def test_coast_reports_missed_tracks_at_their_predicted_place() -> None:
    tracker = DeepSort(coast=2)
    for x in range(100, 200, 5):
        tracks = tracker.update(seen((x, RED)))
    reports = [tracker.update(seen()) for _ in range(3)]
    assert [len(report) for report in reports] == [1, 1, 0]
    assert [report.frames_since_update.tolist() for report in reports[:2]] == [[1], [2]]
    assert [report.detection_index.tolist() for report in reports[:2]] == [[-1], [-1]]
    steps = [report.boxes[0, 0] - tracks.boxes[0, 0] for report in reports[:2]]
    np.testing.assert_allclose(steps, [5, 10], rtol=0.05)


def test_a_box_that_shrinks_while_coasting_ends_at_no_size() -> None:
    tracker = DeepSort(coast=70)
    for height in (300, 260, 220, 180, 140):
        tracker.update(Detections.of([person(100, height=height)], embeddings=[RED]))
    for _ in range(30):
        tracks = tracker.update(Detections.empty())
    assert len(tracks) == 1
    assert (tracks.boxes[:, 2:] >= tracks.boxes[:, :2]).all()


def test_a_track_matches_its_own_class_only() -> None:
    tracker = DeepSort()
    for _ in range(4):
        tracker.update(seen((100, RED), class_id=[1]))
    assert len(tracker.update(seen((100, RED), class_id=[2]))) == 0
    assert tracker.update(seen((100, RED), (100, RED), class_id=[2, 1])).class_id.tolist() == [1]


def test_without_the_class_gate_a_track_takes_over_the_class_it_matched() -> None:
    tracker = DeepSort(class_gate=False)
    for _ in range(4):
        tracker.update(seen((100, RED), class_id=[1]))
    tracks = tracker.update(seen((100, RED), class_id=[2]))
    assert (tracks.ids.tolist(), tracks.class_id.tolist()) == ([1], [2])


def test_the_class_gate_changes_nothing_when_there_is_one_class() -> None:
    gated, blind = DeepSort(), DeepSort(class_gate=False)
    for detections in crowd(40):
        assert_same(gated.update(detections), blind.update(detections))


def test_scores_above_one_give_the_same_tracks_by_default_and_negative_ones_none() -> None:
    plain, raw, negative = DeepSort(), DeepSort(), DeepSort(coast=1)
    for frame in crowd(40):
        scores = (100 * frame.confidence).astype(np.float32)
        scored = Detections(frame.boxes, scores, frame.class_id, frame.embeddings)
        a, b = plain.update(frame), raw.update(scored)
        lost = Detections(frame.boxes, -scores, frame.class_id, frame.embeddings)
        assert len(negative.update(lost)) == 0
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(b.confidence, scores[b.detection_index])


def test_without_embeddings_tracks_follow_by_overlap_and_survive_no_gap() -> None:
    tracker = DeepSort()
    reported = [tracker.update(Detections.of([person(x)])).ids.tolist() for x in range(100, 120, 4)]
    assert reported == [[], [], [1], [1], [1]]
    tracker.update(Detections.empty())
    assert len(tracker.update(Detections.of([person(124)]))) == 0


def test_iou_max_age_lets_tracks_without_embeddings_survive_gaps() -> None:
    tracker = DeepSort(iou_max_age=3)
    for x in range(100, 120, 4):
        tracker.update(Detections.of([person(x)]))
    tracker.update(Detections.empty())
    tracker.update(Detections.empty())
    assert tracker.update(Detections.of([person(128)])).ids.tolist() == [1]


def test_frames_with_and_without_embeddings_may_alternate() -> None:
    tracker = DeepSort()
    ids = []
    for frame in range(12):
        detections = seen((100 + frame, RED))
        ids += tracker.update(detections if frame % 3 else Detections.of(detections.boxes)).ids.tolist()
    assert ids == [1] * 10


def test_a_zero_embedding_matches_by_overlap_and_leaves_the_gallery_as_it_was() -> None:
    tracker = DeepSort()
    for _ in range(4):
        tracker.update(seen((100, RED)))
    assert tracker.update(seen((100, np.zeros(3)))).ids.tolist() == [1]  # by the IoU stage
    tracker.update(seen())
    assert len(tracker.update(seen((100, np.zeros(3))))) == 0  # missed before: appearance alone counts
    assert tracker.update(seen((100, RED))).ids.tolist() == [1]


def test_embeddings_gathered_while_tentative_are_used_once_confirmed() -> None:
    tracker = DeepSort(max_cosine_distance=0.01)
    for colour in (RED, GREEN, BLUE):
        tracker.update(seen((100, colour)))
    for colour in (RED, GREEN, BLUE):
        tracker.update(seen())  # only appearance brings a track back after a miss
        assert tracker.update(seen((100, colour))).ids.tolist() == [1]


def test_the_gallery_forgets_what_is_older_than_its_size() -> None:
    tracker = DeepSort(max_cosine_distance=0.01, gallery_size=2)
    for colour in (RED, GREEN, BLUE):
        tracker.update(seen((100, colour)))
    tracker.update(seen())
    assert len(tracker.update(seen((100, RED)))) == 0


def test_two_trackers_side_by_side_share_nothing() -> None:
    alone = [DeepSort(), DeepSort()]
    scenes = [list(crowd(30, seed=1)), list(crowd(30, seed=2))]
    expected = [
        [tracker.update(frame) for frame in scene] for tracker, scene in zip(alone, scenes, strict=True)
    ]
    both = [DeepSort(), DeepSort()]
    for frame in range(30):
        for number in (0, 1):
            assert_same(both[number].update(scenes[number][frame]), expected[number][frame])


def test_reset_starts_again_at_id_one() -> None:
    tracker, frames = DeepSort(), list(crowd(20))
    first = [tracker.update(frame) for frame in frames]
    tracker.reset()
    for frame, expected in zip(frames, first, strict=True):
        assert_same(tracker.update(frame), expected)


def test_results_do_not_change_when_the_tracker_goes_on() -> None:
    tracker, frames = DeepSort(), list(crowd(30))
    for frame in frames[:20]:
        tracks = tracker.update(frame)
    kept = Tracks(*(getattr(tracks, name).copy() for name in Tracks.__slots__))
    boxes = frames[19].boxes.copy()
    for frame in frames[20:]:
        tracker.update(frame)
    assert_same(tracks, kept)
    np.testing.assert_array_equal(frames[19].boxes, boxes)


def test_camera_motion_moves_the_tracks_with_the_image() -> None:
    pan = np.array([[1.0, 0.0, 150.0], [0.0, 1.0, 0.0]])
    ids = {}
    for motion in (None, pan):
        tracker = DeepSort()
        for _ in range(5):
            tracker.update(seen((100, RED)))
        ids[motion is None] = tracker.update(seen((250, RED)), camera_motion=motion).ids.tolist()
    assert ids == {True: [], False: [1]}


def test_empty_frames_only_give_empty_tracks() -> None:
    tracker = DeepSort()
    for empty in (
        Detections.empty(),
        Detections.of([], embeddings=[]),
        Detections.of([], embeddings=np.zeros((0, 3))),
    ):
        assert len(tracker.update(empty)) == 0
    for _ in range(3):
        tracks = tracker.update(seen((100, RED)))
    for empty in (
        Detections.empty(),
        Detections.of([], embeddings=[]),
        Detections.of([], embeddings=np.zeros((0, 3))),
    ):
        tracker.update(empty)
    assert tracks.ids.tolist() == [1]


DEGENERATE = [
    [50, 50, 50, 90],
    [50, 50, 90, 50],
    [90, 50, 50, 90],
    [50, 50, 50, 50],
    [1e300, 0, 1.1e300, 10],
    [0, 0, 1e308, 1e308],
    [0, 0, 1e-300, 1e-300],
    [-1e12, -1e12, 1e12, 1e12],
]


@pytest.mark.parametrize("box", DEGENERATE)
def test_a_degenerate_box_starts_no_track_and_spoils_none(box: list[float]) -> None:
    tracker = DeepSort()
    for _ in range(5):
        tracks = tracker.update(Detections.of([box, person(100)], embeddings=[RED, RED]))
        assert len(tracker.update(Detections.of([person(100)], embeddings=[RED]))) <= 1
    assert tracks.ids.tolist() == [1]
    assert tracks.detection_index.tolist() == [1]
    np.testing.assert_allclose(tracks.boxes, [person(100)], atol=1e-9)


def test_wild_boxes_never_raise_and_never_give_nan() -> None:
    rng = np.random.default_rng(0)
    tracker = DeepSort(coast=70, iou_max_age=5)
    for _ in range(150):
        count = rng.integers(0, 8)
        corner = rng.normal(0, 1, (count, 2)) * 10.0 ** rng.uniform(-3, 8, (count, 1))
        boxes = np.hstack([corner, corner + 10.0 ** rng.uniform(-5, 8, (count, 2))])
        tracks = tracker.update(Detections.of(boxes, embeddings=rng.random((count, 3)) + 0.1))
        assert np.isfinite(tracks.boxes).all()


def test_five_hundred_people_keep_their_ids() -> None:
    x, y = np.meshgrid(np.arange(25) * 70.0, np.arange(20) * 130.0)
    looks = np.random.default_rng(0).standard_normal((500, 32))
    tracker = DeepSort()
    for step in range(5):
        boxes = np.array([person(a + step, b) for a, b in zip(x.ravel(), y.ravel(), strict=True)])
        tracks = tracker.update(Detections.of(boxes, embeddings=looks))
    assert tracks.ids.tolist() == list(range(1, 501))


def test_memory_stays_bounded_over_births_and_deaths() -> None:
    tracker = DeepSort(max_age=2, gallery_size=4)
    rng = np.random.default_rng(0)
    for _ in range(300):
        centres = rng.uniform(0, 5000, (10, 2))
        tracker.update(
            Detections.of([person(*centre) for centre in centres], embeddings=rng.standard_normal((10, 8)))
        )
    assert tracker._gallery is not None
    assert len(tracker._gallery._samples) <= 64
    assert len(tracker._state) <= 30


@pytest.mark.parametrize("embeddings", [True, False])
def test_a_saved_tracker_goes_on_exactly(tmp_path: Path, embeddings: bool) -> None:
    frames = list(crowd(60))
    if not embeddings:
        frames = [Detections.of(frame.boxes, frame.confidence) for frame in frames]
    tracker = DeepSort(max_age=12, gallery_size=7, coast=3, max_cosine_distance=0.3, class_gate=False)
    for frame in frames[:30]:
        tracker.update(frame)
    tracker.save(tmp_path / "state.npz")
    loaded = DeepSort.load(tmp_path / "state.npz")
    for frame in frames[30:]:
        assert_same(loaded.update(frame), tracker.update(frame))
    assert loaded.options == tracker.options
    assert loaded.options.max_age == 12
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_a_new_tracker_can_be_saved(tmp_path: Path) -> None:
    DeepSort().save(tmp_path / "new")
    assert DeepSort.load(tmp_path / "new").update(seen((100, RED))).ids.tolist() == []


def test_loading_something_else_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DeepSort.load(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    DeepSort().save(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:900])
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    (tmp_path / "empty.npz").touch()
    for name in ("text", "other", "cut", "array", "empty"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is not a saved tracker: \S"):
            DeepSort.load(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("max_cosine_distance", -0.2, "a number from 0 to 2"),
        ("max_cosine_distance", np.nan, "a number from 0 to 2"),
        ("max_cosine_distance", "near", "a number from 0 to 2"),
        ("max_iou_distance", 1.5, "a number from 0 to 1"),
        ("max_iou_distance", -1, "a number from 0 to 1"),
        ("min_confidence", -0.1, "a number from 0 to 1"),
        ("max_age", 0, "a whole number of at least 1"),
        ("max_age", 2.5, "a whole number of at least 1"),
        ("n_init", 0, "a whole number of at least 1"),
        ("gallery_size", None, "a whole number of at least 1"),
        ("coast", -1, "a whole number of at least 0"),
        ("iou_max_age", 0, "a whole number of at least 1"),
    ],
)
def test_a_bad_argument_is_refused_with_what_was_wanted_and_got(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be {wanted}, got {value!r}$"):
        DeepSort(**{name: value})


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (np.eye(3), r"camera_motion must be \(2, 3\), got \(3, 3\)"),
        (np.full((2, 3), np.nan), "camera_motion must be finite and invertible"),
        (np.zeros((2, 3)), "camera_motion must be finite and invertible"),
    ],
)
def test_a_bad_camera_motion_is_refused_and_changes_nothing(
    motion: NDArray[np.float64], message: str
) -> None:
    tracker, other = DeepSort(), DeepSort()
    for frame in crowd(10):
        tracker.update(frame)
        other.update(frame)
    with pytest.raises(ValueError, match=message):
        tracker.update(Detections.empty(), camera_motion=motion)
    for frame in crowd(5, seed=1):
        assert_same(tracker.update(frame), other.update(frame))


def test_embeddings_of_another_length_are_refused_and_change_nothing() -> None:
    tracker, other = DeepSort(), DeepSort()
    for frame in crowd(10):
        tracker.update(frame)
        other.update(frame)
    for wrong in (np.ones((1, 5)), np.ones((1, 0))):
        with pytest.raises(ValueError, match=r"embeddings must be \(N, "):
            tracker.update(Detections.of([person(100)], embeddings=wrong))
    for frame in crowd(5, seed=1):
        assert_same(tracker.update(frame), other.update(frame))
