"""The plan of a run: a value that is checked, compared, hashed and sent through JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from deepsort_paddle.command.checks import check_plan
from deepsort_paddle.counting.places import Line, Zone
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.option import option_of, options
from deepsort_paddle.plan.run_plan import FILES, OUTPUTS, RunPlan
from deepsort_paddle.plan.tracker_settings import thresholds, tracker_options
from deepsort_paddle.tracking.presets import PRESETS

FULL = RunPlan(
    source="a.mp4",
    name="a",
    reid="none",
    detector="d.onnx",
    classes=["person", 2],  # type: ignore[arg-type]
    min_confidence={"": 0.2, "car": 0.5},  # type: ignore[arg-type]
    threads=2,
    output=Path("out") / "a.txt",  # type: ignore[arg-type]
    explain=[3, 7],  # type: ignore[arg-type]
    lines=(Line("door", (1, 2.5), (3, 4)),),
    zones=["yard:0,0,9,0,9,9"],  # type: ignore[arg-type]
    tracker_options={"box_margin": 0.1, "confirmed_first": True, "low_max_age": 2},  # type: ignore[arg-type]
    max_age=30,
    class_gate=False,
    camera_motion="boxes",
)


@pytest.mark.parametrize("plan", [RunPlan(source="a.mp4"), FULL], ids=["defaults", "full"])
def test_a_plan_survives_json(plan: RunPlan) -> None:
    again = RunPlan.from_dict(json.loads(json.dumps(plan.as_dict())))
    assert again == plan
    assert hash(again) == hash(plan)


def test_values_become_those_that_a_plan_holds() -> None:
    assert FULL.classes == "person,2"
    assert FULL.output == str(Path("out") / "a.txt")
    assert FULL.zones == (Zone("yard", ((0, 0), (9, 0), (9, 9))),)
    assert FULL.explain == (3, 7)
    assert FULL.tracker_options[0] == ("box_margin", 0.1)


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FULL.max_age = 3  # type: ignore[misc]
    assert dataclasses.replace(FULL, max_age=3) != FULL


def test_every_field_is_an_option_that_its_own_default_passes() -> None:
    for plan, others in ((RunPlan, {"source", "name"}), (BatchPlan, {"run", "sources"})):
        known = options(plan)
        assert {field.name for field in dataclasses.fields(plan)} == {*known, *others}
        for field in dataclasses.fields(plan):
            found = option_of(field)
            if found is not None and field.default is not None:
                assert found.check(field.default) == field.default, field.name
                assert found.help, field.name


def test_outputs_are_known_by_their_role() -> None:
    assert set(OUTPUTS) - set(FILES) == {"save_crops"}
    plan = RunPlan(source="a", save_crops="crops", csv="a.csv", output="a.txt")
    assert plan.files() == {"output": "a.txt", "csv": "a.csv", "save_crops": "crops"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_height": -1}, "min_height: expected a number from 0 up, got -1"),
        ({"min_height": "tall"}, "min_height: expected a number from 0 up, got 'tall'"),
        ({"fps": 0}, "fps: expected a number above 0, got 0"),
        ({"n_init": 2.5}, "n_init: expected a whole number from 1, got 2.5"),
        ({"encode": "some"}, "encode: expected all or needed, got 'some'"),
        ({"offline": 1}, "offline: expected True or False, got 1"),
        ({"output": 2.5}, "output: expected a name or a path, got 2.5"),
        ({"classes": "person,,car"}, "classes: expected names or numbers separated by commas"),
        ({"min_confidence": {"car": 2}}, "min_confidence: expected a number from 0 to 1, got 2"),
        ({"explain": [0]}, "explain: expected a whole number from 1, got 0"),
        ({"lines": [3]}, "lines: expected Line or its text, got int"),
        ({"zones": ["yard:0,0,1,1"]}, "zones: zone 'yard' "),
        ({"tracker_options": {"box_margin": "wide"}}, "tracker_options: expected a number, true or false"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        RunPlan(source="a.mp4", **values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"detections": "d.txt", "detector": "hog"}, "exclude each other"),
        ({"detections": "d.txt", "classes": "car"}, "--classes needs a detector"),
        ({"encode": "needed", "frames_per_batch": 2}, "leave out --frames-per-batch 2"),
        ({"lines": ["a:0,0,9,9"], "zones": ["a:0,0,9,0,9,9"]}, "got 'a' twice"),
        ({"tracker_options": {"max_agee": 3}}, "'max_agee' (did you mean max_age?)"),
        ({"tracker_options": {"box_margin": -1}}, "box_margin must be a number from 0 to 4, got -1"),
    ],
)
def test_options_that_do_not_go_together_are_found_before_anything_opens(
    values: dict[str, Any], message: str
) -> None:
    plan = RunPlan(source="a.mp4", **values)
    with pytest.raises(ValueError, match=re.escape(message)):
        check_plan(plan)


def test_a_plan_is_named_after_its_source_unless_it_has_a_name() -> None:
    plan = RunPlan(source="a.mp4", save_dir="out")
    found = plan.named("a", has_images=True)
    assert (found.output, found.save_video) == (str(Path("out", "a.txt")), str(Path("out", "a.mp4")))
    assert plan.named("a", has_images=False).save_video is None
    own = dataclasses.replace(plan, name="b", output="mine.txt").named("a", has_images=True)
    assert (own.output, own.save_video) == ("mine.txt", str(Path("out", "b.mp4")))


def test_a_report_gets_a_video_that_is_not_the_source() -> None:
    assert RunPlan(source="a.mp4", report="r.html").named("a", has_images=True).save_video == "r.mp4"
    found = RunPlan(source="a.mp4", report="a.html").named("a", has_images=True)
    assert found.save_video == "a_tracks.mp4"


def test_what_is_asked_for_goes_over_the_preset() -> None:
    def settled(**values: Any) -> dict[str, Any]:
        return tracker_options(RunPlan(source="a", **values))

    assert settled() == settled(preset="strong")
    assert settled(preset="strong")["max_seconds"] == 2.5
    assert settled(preset="strong", max_age=12)["max_seconds"] == 0
    ages = settled(preset="strong", tracker_options={"iou_max_age": 5})
    assert (ages["iou_max_age"], ages["max_seconds"], ages["reactivate_seconds"]) == (5, 0, 0)
    assert settled(tracker_options={"reactivate_part": 0.4})["reactivate_ratio"] == 0.4
    assert settled(preset="motion")["coast"] == 1
    assert settled(preset="motion", offline=True)["coast"] == 0
    assert settled(preset="motion", offline=True, coast=1)["coast"] == 1
    assert settled(preset="motion", camera_motion="none")["min_camera_pairs"] == 0
    assert settled(preset="deepsort", camera_motion="boxes")["min_camera_pairs"] == 5
    opened = settled(preset="deepsort")
    assert [opened[name] for name in ("max_cosine_distance", "iou_max_age", "frame_rate")] == [None] * 3


def test_thresholds_come_from_the_plan_then_from_the_preset() -> None:
    def found(**values: Any) -> tuple[float | None, dict[int | str, float]]:
        return thresholds(RunPlan(source="a", **values))

    assert PRESETS["motion"]["min_confidence"] == PRESETS["strong"]["min_confidence"]
    assert found() == (0.1, {})
    assert found(preset="deepsort") == (None, {})
    assert found(preset="motion") == (0.1, {})
    assert found(preset="motion", min_confidence=0.4) == (0.4, {})
    assert found(preset="motion", min_confidence="car=0.5") == (0.1, {"car": 0.5})
    assert found(preset="motion", min_confidence="0.2,car=0.5") == (0.2, {"car": 0.5})
    assert found(min_confidence=0.4, tracker_options={"min_confidence": 0.6}) == (0.6, {})
