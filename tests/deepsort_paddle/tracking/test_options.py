"""Options beyond DeepSORT: what each does, on scenes small enough to see it."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import Field, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections, Tracks
from deepsort_paddle.tracking.options import TrackerOptions
from deepsort_paddle.tracking.presets import PRESETS

RED, GREEN = np.eye(2)


def person(x: float, y: float = 100.0, height: float = 100.0) -> list[float]:
    """A box, 0.4 as wide as high, centred at x, y."""
    return [x - 0.2 * height, y - 0.5 * height, x + 0.2 * height, y + 0.5 * height]


def follow(tracker: DeepSort, *places: float, confidence: float = 0.9) -> Tracks:
    """One person at these x, frame by frame; the last frame's tracks."""
    for x in places:
        tracks = tracker.update(Detections.of([person(x)], [confidence]))
    return tracks


def test_every_option_is_checked_and_named() -> None:
    with pytest.raises(ValueError, match=r"box_margin must be a number from 0 to 4, got -1"):
        DeepSort(box_margin=-1)
    with pytest.raises(ValueError, match="low_max_age must be a whole number of at least 1, got 0"):
        DeepSort(low_max_age=0)
    with pytest.raises(TypeError):
        TrackerOptions(0.3)  # type: ignore[misc]


def test_a_low_detection_prolongs_a_track_but_starts_none() -> None:
    tracker = DeepSort(high_confidence=0.6)
    follow(tracker, 100, 102, 104)
    tracks = tracker.update(Detections.of([person(106), person(400)], [0.2, 0.2]))
    assert tracks.ids.tolist() == [1]
    assert tracks.detection_index.tolist() == [0]
    for _ in range(4):
        tracks = tracker.update(Detections.of([person(108), person(400)], [0.2, 0.2]))
    assert tracks.ids.tolist() == [1]


def test_a_low_detection_comes_after_a_high_one() -> None:
    tracker = DeepSort(high_confidence=0.6)
    follow(tracker, 100, 102, 104)
    tracks = tracker.update(Detections.of([person(106), person(112)], [0.2, 0.9]))
    assert tracks.detection_index.tolist() == [1]


def test_low_max_age_bounds_how_long_a_lost_track_takes_low_detections() -> None:
    for age, ids in ((1, []), (2, [1])):
        tracker = DeepSort(high_confidence=0.6, low_max_age=age)
        follow(tracker, 100, 100, 100)
        tracker.update(Detections.empty())
        assert follow(tracker, 100, confidence=0.3).ids.tolist() == ids


def test_a_detection_below_new_track_confidence_starts_no_track() -> None:
    assert len(follow(DeepSort(new_track_confidence=0.7), 100, 101, 102, 103, confidence=0.69)) == 0
    assert len(follow(DeepSort(new_track_confidence=0.7), 100, 101, 102, 103, confidence=0.7)) == 1


def test_a_confirmed_track_goes_before_a_tentative_one_if_wanted() -> None:
    # One assignment over both takes the smaller sum, the tentative track's better overlap.
    for first, ids in ((False, [2]), (True, [1])):
        tracker = DeepSort(confirmed_first=first, n_init=2)
        follow(tracker, 100, 100, 100)
        tracker.update(Detections.of([person(100), person(112)]))
        tracks = tracker.update(Detections.of([person(109)]))
        assert tracks.ids.tolist() == ids


def test_similar_heights_are_preferred() -> None:
    for weight, index in ((0.0, 0), (1.0, 1)):
        tracker = DeepSort(height_weight=weight)
        follow(tracker, 100, 100, 100)
        low = [80.0, 50.0, 120.0, 130.0]  # inside the track's box, 80 high
        tracks = tracker.update(Detections.of([low, person(105)]))
        assert tracks.detection_index.tolist() == [index]


def test_a_margin_bridges_a_gap_between_boxes() -> None:
    for margin, ids in ((0.0, []), (0.5, [1])):
        tracker = DeepSort(box_margin=margin, max_iou_distance=0.9)
        follow(tracker, 100, 100, 100)
        assert follow(tracker, 145).ids.tolist() == ids


def test_confidence_decides_between_equal_overlaps() -> None:
    tracker = DeepSort(confidence_weight=1.0)
    follow(tracker, 100, 100, 100)
    tracks = tracker.update(Detections.of([person(97), person(103)], [0.5, 0.9]))
    assert tracks.detection_index.tolist() == [1]


def test_direction_decides_between_equal_overlaps() -> None:
    tracker = DeepSort(direction_weight=0.2)
    follow(tracker, *range(100, 140, 4))
    # The prediction is about 140: one detection before the last place, one behind it.
    tracks = tracker.update(Detections.of([person(132), person(148)]))
    assert tracks.detection_index.tolist() == [1]


def test_a_confident_detection_moves_the_box_farther() -> None:
    places = []
    for confidence in (0.1, 0.9):
        tracker = DeepSort(noise_by_confidence=True)
        follow(tracker, 100, 100, 100)
        places.append(follow(tracker, 110, confidence=confidence).boxes[0, 0])
    assert places[0] < places[1]


def test_observation_centred_update_learns_the_velocity_of_the_gap() -> None:
    # It stood, was hidden for five frames and came out 30 to the right.
    speeds = []
    for centred in (False, True):
        tracker = DeepSort(observation_centred=centred, iou_max_age=10, max_iou_distance=0.95)
        follow(tracker, *[100.0] * 10)
        for _ in range(5):
            tracker.update(Detections.empty())
        follow(tracker, 130)
        speeds.append(tracker._state.states[1, 0, 0])
    assert abs(speeds[1] - 5.0) < abs(speeds[0] - 5.0)


def test_observation_centred_update_without_a_gap_changes_nothing() -> None:
    places = np.cumsum(np.random.default_rng(0).normal(2, 1, 30))
    plain, centred = DeepSort(), DeepSort(observation_centred=True)
    np.testing.assert_array_equal(follow(plain, *places).boxes, follow(centred, *places).boxes)


def test_a_running_mean_forgets_one_odd_embedding() -> None:
    for momentum, index in ((0.0, 1), (0.9, 0)):
        tracker = DeepSort(gallery_momentum=momentum, max_cosine_distance=0.9)
        for _ in range(5):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        tracker.update(Detections.of([person(100)], embeddings=[0.3 * RED + GREEN]))
        tracks = tracker.update(
            Detections.of([person(99), person(101)], embeddings=[0.9 * RED + 0.2 * GREEN, 0.3 * RED + GREEN])
        )
        assert tracks.detection_index.tolist() == [index]


def test_one_embedding_of_a_passer_by_does_not_win_over_several_neighbours() -> None:
    for neighbours, index in ((1, 1), (3, 0)):
        tracker = DeepSort(gallery_neighbours=neighbours, max_cosine_distance=0.9)
        for _ in range(5):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        tracker.update(Detections.of([person(100)], embeddings=[0.3 * RED + GREEN]))
        tracks = tracker.update(
            Detections.of([person(99), person(101)], embeddings=[0.9 * RED + 0.2 * GREEN, 0.3 * RED + GREEN])
        )
        assert tracks.detection_index.tolist() == [index]


def test_several_neighbours_are_asked_for_pairs_without_rivals_too() -> None:
    for neighbours, ids in ((1, [1]), (3, [])):
        tracker = DeepSort(gallery_neighbours=neighbours, iou_max_age=1, n_init=2)
        for look in (RED, RED, RED, GREEN):
            tracker.update(Detections.of([person(100)], embeddings=[look]))
        tracker.update(Detections.empty())
        assert tracker.update(Detections.of([person(100)], embeddings=[GREEN])).ids.tolist() == ids


def test_velocity_noise_lets_the_velocity_follow() -> None:
    places = np.cumsum([0.0] * 20 + [5.0] * 4) + 100
    speeds = []
    for noise in (1.0, 3.0):
        tracker = DeepSort(velocity_noise=noise)
        follow(tracker, *places)
        speeds.append(tracker._state.states[1, 0, 0])
    assert speeds[0] < speeds[1] < 6.0


def test_appearance_finds_a_lost_track_far_away_if_wanted() -> None:
    for part, ids in ((0.0, []), (0.5, [1])):
        tracker = DeepSort(reactivate_ratio=part)
        for _ in range(4):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        for _ in range(3):
            tracker.update(Detections.empty())
        tracks = tracker.update(Detections.of([person(500), person(300)], embeddings=[RED, GREEN]))
        assert tracks.ids.tolist() == ids
        if ids:  # it goes on from there, without the velocity of the leap
            np.testing.assert_allclose(tracks.boxes, [person(500)])
            assert not tracker._state.states[1, 0].any()


def test_reactivation_is_bounded_by_its_part_of_the_threshold_and_its_seconds() -> None:
    look = np.array([0.9, np.sqrt(1 - 0.9**2)])  # 0.1 from RED
    for part, seconds, gone, ids in ((0.5, 5, 40, [1]), (0.4, 5, 40, []), (0.5, 5, 60, []), (0.5, 0, 12, [])):
        tracker = DeepSort(
            max_age=max(10, 10 * seconds),
            reactivate_ratio=part,
            reactivate_seconds=seconds,
            frame_rate=10,
            max_cosine_distance=0.201,
            appearance_weight=0.5,  # no appearance stage
        )
        for _ in range(4):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        for _ in range(gone):
            tracker.update(Detections.empty())
        assert tracker.update(Detections.of([person(500)], embeddings=[look])).ids.tolist() == ids


def test_blended_cost_lets_appearance_decide_between_overlaps() -> None:
    for weight, index in ((0.05, 0), (0.8, 1)):
        tracker = DeepSort(appearance_weight=weight)
        for _ in range(4):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        tracks = tracker.update(Detections.of([person(101), person(110)], embeddings=[GREEN, RED]))
        assert tracks.detection_index.tolist() == [index]


def test_the_longer_a_track_is_missed_the_more_alike_a_detection_must_look() -> None:
    look = np.array([0.85, np.sqrt(1 - 0.85**2)])  # 0.15 from RED, of 0.2 allowed
    for weight, missed, ids in ((0.0, 20, [1]), (0.5, 20, []), (0.5, 1, [1])):
        tracker = DeepSort(appearance_weight=0.6, uncertainty_weight=weight, iou_max_age=30)
        for _ in range(4):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        for _ in range(missed):
            tracker.update(Detections.empty())
        assert tracker.update(Detections.of([person(120)], embeddings=[look])).ids.tolist() == ids


def test_velocity_noise_follows_the_frame_rate() -> None:
    for frame_rate, noise in ((30, 2.0), (10, 6.0), (60, 1.0), (0.001, 100.0)):
        options = TrackerOptions(velocity_noise=2, noise_frame_rate=30, frame_rate=frame_rate)
        assert options.frame_velocity_noise == pytest.approx(noise)
    assert TrackerOptions(velocity_noise=2, frame_rate=10).frame_velocity_noise == 2
    slow, fast = (DeepSort(noise_frame_rate=30, frame_rate=rate) for rate in (10, 30))
    follow(slow, 100, 103, 120)
    follow(fast, 100, 103, 120)
    assert slow._state.states[1, 0, 0] > fast._state.states[1, 0, 0] > 0


def test_a_confident_second_detection_confirms_a_track_early() -> None:
    for confidence, reported in ((0.8, [1]), (0.79, [])):
        tracker = DeepSort(early_confirmation=0.8)
        assert follow(tracker, 100, confidence=0.9).ids.tolist() == []
        assert follow(tracker, 101, confidence=confidence).ids.tolist() == reported
        assert follow(tracker, 102, confidence=confidence).ids.tolist() == [1]


def test_a_missed_track_keeps_its_size_and_goes_on() -> None:
    for hold, keeps in ((False, False), (True, True)):
        tracker = DeepSort(hold_shape=hold, coast=10)
        for frame in range(6):
            tracker.update(Detections.of([person(100 + 4 * frame, height=100 - 4 * frame)]))
        last = tracker.update(Detections.empty()).boxes[0]  # its velocity is stopped after the first miss
        for _ in range(5):
            box = tracker.update(Detections.empty()).boxes[0]
        assert (box[3] - box[1] == pytest.approx(last[3] - last[1])) == keeps
        assert box[0] > last[0]


def test_blended_cost_works_without_embeddings() -> None:
    assert follow(DeepSort(appearance_weight=0.5), 100, 101, 102, 103).ids.tolist() == [1]


def test_motion_weight_decides_between_equal_looks() -> None:
    for weight, index in ((0.0, 0), (0.5, 1)):
        tracker = DeepSort(motion_weight=weight)
        for _ in range(4):
            tracker.update(Detections.of([person(100)], embeddings=[RED]))
        tracks = tracker.update(Detections.of([person(108), person(100)], embeddings=[RED, [1.0, 0.05]]))
        assert tracks.detection_index.tolist() == [index]


def test_the_younger_of_two_tracks_at_one_place_is_deleted() -> None:
    # The person jumps aside, gets a second track and walks back under the first one's prediction.
    for limit, lost in ((1.0, 1), (0.8, 0)):
        tracker = DeepSort(max_duplicate_iou=limit, n_init=2, max_iou_distance=0.4)
        follow(tracker, *[100.0] * 9)
        follow(tracker, 130, *range(130, 100, -2), 100)
        assert int((tracker._state.frames_since_update > 0).sum()) == lost


def test_the_reported_box_is_between_filter_and_detection() -> None:
    lefts = []
    for weight in (0.0, 0.25, 1.0):
        tracker = DeepSort(detection_weight=weight, coast=1)
        follow(tracker, 100, 100, 100)
        lefts.append(follow(tracker, 110).boxes[0, 0])
        missed = tracker.update(Detections.empty())
        assert missed.boxes[0, 0] == pytest.approx(tracker._state.states[0, 0, 0] - 20, abs=1)
    assert lefts[0] < lefts[1] < lefts[2] == pytest.approx(90.0)
    assert lefts[1] == pytest.approx(0.75 * lefts[0] + 0.25 * lefts[2])


def test_ages_in_seconds_follow_the_frame_rate() -> None:
    for frame_rate, age in ((10.0, 25), (60.0, 150), (0.1, 1)):
        tracker = DeepSort(max_seconds=2.5, frame_rate=frame_rate)
        assert (tracker.options.max_age, tracker.options.iou_max_age) == (age, age)
    assert DeepSort(frame_rate=60.0).options.max_age == 70
    strong = DeepSort(**PRESETS["strong"], frame_rate=10.0).options
    assert (strong.max_age, strong.iou_max_age) == (100, 25)  # the rest by appearance alone


def test_presets_are_options_and_deepsort_is_the_default() -> None:
    assert list(PRESETS) == ["deepsort", "motion", "strong"]
    assert dict(PRESETS["deepsort"]) == {}
    for preset in PRESETS.values():
        TrackerOptions(**preset)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_lives_through_empty_and_crowded_frames(name: str) -> None:
    rng = np.random.default_rng(3)
    tracker = DeepSort.from_preset(name)
    reported = 0
    for number in range(40):
        count = 0 if number % 11 == 5 else int(rng.integers(0, 12))
        boxes = [person(100 + 60 * i + number, 200, 90) for i in range(count)]
        boxes += [[5.0, 5.0, 5.0, 9.0]]
        embeddings = np.vstack([np.eye(16)[:count], np.zeros((1, 16))])
        tracks = tracker.update(Detections.of(boxes, rng.random(count + 1), embeddings=embeddings))
        assert len(set(tracks.ids.tolist())) == len(tracks)
        reported += len(tracks)
    assert reported > 20


def test_a_preset_with_changes_survives_saving(tmp_path: Any) -> None:
    tracker = DeepSort.from_preset("motion", observation_centred=True, gallery_momentum=0.9)
    follow(tracker, 100, 102, 104)
    tracker.save(tmp_path / "state.npz")
    again = DeepSort.load(tmp_path / "state.npz")
    assert again.options == tracker.options
    a, b = follow(tracker, 106, 130), follow(again, 106, 130)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    np.testing.assert_array_equal(a.ids, b.ids)


def test_a_tracker_shows_the_options_that_were_changed() -> None:
    assert repr(DeepSort()) == "DeepSort()"
    assert repr(DeepSort(max_age=70, n_init=2, class_gate=False)) == "DeepSort(n_init=2, class_gate=False)"


class Calibrated:
    """Stands for an encoder."""

    max_cosine_distance = 0.35


def test_options_are_frozen() -> None:
    options, tracker = TrackerOptions(), DeepSort()
    with pytest.raises(AttributeError):
        options.max_age = 10  # type: ignore[misc]
    with pytest.raises(AttributeError):
        tracker.max_age = -5  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        tracker.options = options  # type: ignore[misc]
    with pytest.raises(ValueError, match="max_age must be a whole number of at least 1, got -5"):
        replace(tracker.options, max_age=-5)
    assert replace(tracker.options, max_age=10).max_age == 10
    assert TrackerOptions(n_init=2) == TrackerOptions(n_init=2)


def test_every_option_has_help_and_a_default_within_its_range() -> None:
    defaults = TrackerOptions()
    for option in fields(TrackerOptions):
        value, limits = getattr(defaults, option.name), option.metadata
        assert limits["help"], option.name
        assert isinstance(value, bool) == ("low" not in limits), option.name
        if "low" in limits:
            assert limits["low"] <= value <= limits.get("high", value), option.name


@pytest.mark.parametrize("option", fields(TrackerOptions), ids=lambda option: option.name)
def test_a_value_outside_the_range_in_the_metadata_is_refused(option: Field[Any]) -> None:
    wrong: list[Any] = ["no", None]
    if "low" in option.metadata:
        wrong += [option.metadata["low"] - 1, option.metadata.get("high", 0) + 0.5]
    if option.default is None:
        wrong.remove(None)  # left out
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{option.name} must be [^\n]*$"):
            TrackerOptions(**{option.name: value})


def test_a_tracker_takes_options_or_settings() -> None:
    options = TrackerOptions(n_init=2)
    assert DeepSort(options).options is options
    assert DeepSort(n_init=2).options == options
    with pytest.raises(TypeError, match=r"expected options or settings by name, got both \(coast\)"):
        DeepSort(options, coast=1)
    with pytest.raises(ValueError, match="options must be TrackerOptions"):
        DeepSort({"n_init": 2})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max_agee"):
        DeepSort(max_agee=3)


@pytest.mark.parametrize("name", PRESETS)
def test_from_preset_is_the_preset_with_what_is_named_on_top(name: str) -> None:
    assert DeepSort.from_preset(name).options == TrackerOptions(**PRESETS[name])
    assert DeepSort.from_preset(name, n_init=5, frame_rate=50).options == TrackerOptions(
        **{**PRESETS[name], "n_init": 5, "frame_rate": 50}
    )
    for age in (1, 10, 500):
        assert DeepSort.from_preset(name, max_age=age).options.max_age == age
        assert DeepSort.from_preset(name, iou_max_age=age).options.iou_max_age == age
    assert DeepSort.from_preset(name, max_seconds=20).options.max_age == 500


def test_the_unit_of_a_named_age_replaces_the_unit_of_the_preset() -> None:
    in_frames = DeepSort.from_preset("strong", max_age=60).options
    assert (in_frames.max_age, in_frames.iou_max_age, in_frames.max_seconds) == (60, 30, 0.0)
    longer = DeepSort.from_preset("strong", max_seconds=5).options
    assert (longer.max_age, longer.iou_max_age) == (250, 125)  # reactivation keeps its 10 seconds
    assert DeepSort.from_preset("strong", reactivate_seconds=0).options.max_age == 62
    motion = DeepSort.from_preset("motion", max_seconds=2, frame_rate=10).options
    assert (motion.max_age, motion.iou_max_age) == (20, 20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"max_age": 10, "max_seconds": 2.5},
            "max_age must agree with max_seconds 2.5, 62 frames at frame_rate 25, got 10",
        ),
        (
            {"iou_max_age": 10, "max_seconds": 2.5},
            "iou_max_age must agree with max_seconds 2.5, 62 frames at frame_rate 25, got 10",
        ),
        (
            {"max_age": 10, "reactivate_ratio": 0.5, "reactivate_seconds": 4},
            "max_age must agree with reactivate_seconds 4, 100 frames at frame_rate 25, got 10",
        ),
    ],
)
def test_ages_that_disagree_are_refused(settings: dict[str, Any], message: str) -> None:
    for build in (DeepSort, TrackerOptions, partial(DeepSort.from_preset, "strong")):
        with pytest.raises(ValueError, match=re.escape(message)):
            build(**settings)
    with pytest.raises(ValueError, match="max_age must agree with reactivate_seconds 10, 250 frames"):
        DeepSort(**{**PRESETS["strong"], "max_age": 10})


def test_ages_that_agree_may_be_named_together() -> None:
    assert TrackerOptions(max_age=62, iou_max_age=62, max_seconds=2.5).max_age == 62
    strong = DeepSort.from_preset("strong").options
    assert replace(strong, n_init=5).max_age == strong.max_age
    longer = TrackerOptions(max_age=200, reactivate_ratio=0.5, reactivate_seconds=4)
    assert longer.max_age == 200


def test_the_threshold_is_the_encoder_s_unless_another_is_named() -> None:
    encoder = Calibrated()
    assert DeepSort.from_preset("strong", encoder=encoder).options.max_cosine_distance == 0.35
    named = DeepSort.from_preset("deepsort", encoder=encoder, max_cosine_distance=0.1)
    assert named.options.max_cosine_distance == 0.1
    assert DeepSort.from_preset("motion").options.max_cosine_distance == 0.2
    with pytest.raises(ValueError, match="encoder must have max_cosine_distance, got function"):
        DeepSort.from_preset("strong", encoder=follow)  # type: ignore[arg-type]
    named = DeepSort.from_preset("strong", encoder=follow, max_cosine_distance=0.1)  # type: ignore[arg-type]
    assert named.options.max_cosine_distance == 0.1


def test_an_unknown_frame_rate_is_25_and_none_at_all_is_refused() -> None:
    assert DeepSort.from_preset("strong", frame_rate=None).options.frame_rate == 25
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="frame_rate must be a number from 0.001 to 1000, got"):
            DeepSort.from_preset("strong", frame_rate=rate)


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="preset must be one of deepsort, motion, strong, got 'strng'"):
        DeepSort.from_preset("strng")


def test_a_tracker_can_be_copied_and_pickled() -> None:
    tracker = DeepSort.from_preset("strong")
    follow(tracker, 100, 102, 104, 106)
    for again in (copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker))):
        np.testing.assert_array_equal(again.update(Detections.empty()).ids, [1])
        assert again.options == tracker.options


def test_former_names_of_options_are_understood() -> None:
    options = TrackerOptions(reactivate_ratio=0.4)
    assert DeepSort(reactivate_part=0.4).options == options
    assert DeepSort.from_preset("deepsort", reactivate_part=0.4).options == options
