"""Several classes, from the detector to every output."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from deepsort_paddle.cli import track
from deepsort_paddle.detection.candidates import class_ids
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import TrackWriter, read_tracks
from deepsort_paddle.structures import Tracks

SIDE, DARK, BRIGHT = 64, 8, 8
PERSON, CAR = 0, 2


@pytest.fixture(scope="module")
def onnx_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO's 80 classes by YOLOX: in one place a car in a dark image, a person in a bright one."""
    rows = np.zeros((1, 64 + 16 + 4, 85), np.float32)
    rows[0, 27, :5] = [0.0, 0.0, np.log(2), np.log(4), 1.0]
    slope = np.zeros_like(rows)
    rows[0, 27, 5 + CAR], slope[0, 27, 5 + CAR], slope[0, 27, 5 + PERSON] = 1.0, -1.0, 1.0
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
        helper.make_node("Constant", [], ["white"], value=numpy_helper.from_array(np.float32(255))),
        helper.make_node("Div", ["mean", "white"], ["light"]),
        helper.make_node("Constant", [], ["slope"], value=numpy_helper.from_array(slope)),
        helper.make_node("Constant", [], ["dark"], value=numpy_helper.from_array(rows)),
        helper.make_node("Mul", ["slope", "light"], ["change"]),
        helper.make_node("Add", ["dark", "change"], ["rows"]),
    ]
    graph = helper.make_graph(
        nodes,
        "light",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, list(rows.shape))],
    )
    path = tmp_path_factory.mktemp("onnx") / "light.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def paddle_detector(
    tmp_path_factory: pytest.TempPathFactory, paddle: Any, export_layer: Callable[..., None]
) -> Path:
    """The same place and light, as a PaddleDetection export of the classes car and person."""

    class Light(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale = paddle.nn.Linear(1, 1)
            self.scale.weight.set_value(np.ones((1, 1), np.float32))

        def forward(self, image: Any) -> Any:
            light = self.scale(image.mean().reshape([1, 1]))
            box = paddle.to_tensor([[20.0, 8.0, 36.0, 40.0]])
            car = paddle.concat([paddle.zeros([1, 1]), 1 - light, box], axis=1)
            person = paddle.concat([paddle.ones([1, 1]), light, box], axis=1)
            return paddle.concat([car, person])

    folder = tmp_path_factory.mktemp("paddle")
    export_layer(Light(), folder / "model", [("image", [1, 3, SIDE, SIDE], "float32")])
    steps = [
        {"type": "Resize", "interp": 1, "keep_ratio": False, "target_size": [SIDE, SIDE]},
        {"type": "NormalizeImage", "is_scale": True, "norm_type": "none"},
        {"type": "Permute"},
    ]
    config = {"arch": "YOLO", "draw_threshold": 0.6, "Preprocess": steps, "label_list": ["car", "person"]}
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Dark at first, then bright."""
    path = tmp_path / "light.mp4"
    with VideoWriter(path, fps=10) as writer:
        for number in range(DARK + BRIGHT):
            writer.write(np.full((SIDE, SIDE, 3), 20 if number < DARK else 235, np.uint8))
    return path


def run(video: Path, detector: Path, *options: str) -> dict[str, Any]:
    """Track; returns the JSON document."""
    out = video.parent
    words = [str(video), "--detector", str(detector), "--min-confidence", "0.6", "--reid", "none", "--quiet"]
    words += ["--json", f"{out}/o.json", "--output", f"{out}/o.txt", "--csv", f"{out}/o.csv"]
    assert track([*words, "--overwrite", *options]) == 0
    return json.loads((out / "o.json").read_text())


def classes_of(document: dict[str, Any]) -> dict[int, set[int]]:
    """The classes that each id ever had."""
    found: dict[int, set[int]] = {}
    for frame in document["frames"]:
        for record in frame["tracks"]:
            found.setdefault(record["id"], set()).add(record["class_id"])
    return found


def test_a_person_where_a_car_was_is_somebody_else_in_every_output(video: Path, onnx_detector: Path) -> None:
    page = video.parent / "o.html"
    document = run(video, onnx_detector, "--classes", "person,car", "--report", str(page))
    assert classes_of(document) == {1: {CAR}, 2: {PERSON}}
    assert document["meta"]["class_names"][CAR] == "car"
    text = [line.split(",") for line in (video.parent / "o.txt").read_text().splitlines()]
    assert {(row[1], row[7]) for row in text} == {("1", "2"), ("2", "0")}
    assert all(row[8:] == ["-1", "-1"] for row in text)
    assert set(read_tracks(video.parent / "o.txt").ids.tolist()) == {1, 2}
    with (video.parent / "o.csv").open() as file:
        assert {(row["id"], row["class_id"]) for row in csv.DictReader(file)} == {("1", "2"), ("2", "0")}
    cards = page.read_text("utf-8")
    assert "<b>1</b> car<" in cards
    assert "<b>2</b> person<" in cards


def test_the_video_names_the_classes_only_where_there_are_several(video: Path, onnx_detector: Path) -> None:
    last = []
    for name, classes in (("several", "person,car"), ("one", "person")):
        path = video.parent / f"{name}.mp4"
        run(video, onnx_detector, "--classes", classes, "--save-video", str(path))
        with open_source(path) as frames:
            last.append([frame.image for frame in frames][-1])
    assert (last[0] != last[1]).any()


def test_without_the_class_gate_one_track_goes_on(video: Path, onnx_detector: Path) -> None:
    document = run(video, onnx_detector, "--classes", "2,0", "--no-class-gate")
    assert classes_of(document) == {1: {CAR, PERSON}}


def test_one_class_leaves_the_text_as_the_benchmark_wants_it(video: Path, onnx_detector: Path) -> None:
    document = run(video, onnx_detector, "--classes", "car")
    assert classes_of(document) == {1: {CAR}}
    assert all(line.endswith(",-1,-1,-1") for line in (video.parent / "o.txt").read_text().splitlines())


@pytest.mark.parametrize(
    ("options", "noted"),
    [
        (("--classes", "car"), "is unreliable for car;"),
        (("--classes", "2,person,5"), "is unreliable for car, bus;"),
        (("--classes", "person"), None),
        (("--classes", "car", "--reid", "none"), None),
        (("--classes", "car", "--preset", "motion"), None),
    ],
)
def test_a_model_of_people_on_other_classes_is_one_note(
    options: tuple[str, ...],
    noted: str | None,
    video: Path,
    onnx_detector: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(video), "--detector", str(onnx_detector), "--output", str(video.parent / "o.txt")]
    assert track([*words, *options]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "trained on people" in line]
    assert len(lines) == (noted is not None)
    assert all(noted in line and "--reid none" in line for line in lines)


@pytest.mark.parametrize("detector", ["onnx_detector", "paddle_detector"])
@pytest.mark.parametrize(
    ("thresholds", "kept"),
    [
        ("person=0.95,car=0.5", {"car"}),
        ("0.95, person=0.5", {"person"}),
        ("person=0.1,0.05", {"car", "person"}),
        ("car=0.95", {"person"}),  # persons by the detector's own
    ],
)
def test_classes_have_thresholds_of_their_own(
    detector: str, thresholds: str, kept: set[str], video: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(detector)
    document = run(video, path, "--classes", "person,car", "--min-confidence", thresholds)
    names = document["meta"]["class_names"]
    found = set().union(*classes_of(document).values())
    assert {names[number] for number in found} == kept


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ("person=0.4,car", "expected a number from 0 to 1, got 'car'"),
        ("person=0.4,=0.3", "expected confidences as person=0.4,car=0.6"),
        ("person=0.4,person=0.3", "expected confidences as person=0.4,car=0.6"),
        ("person=4", "expected a number from 0 to 1, got '4'"),
        ("dog=0.4", "a threshold for class dog, which is not among those to detect"),
        ("perso=0.4", "did you mean person?"),
    ],
)
def test_wrong_thresholds_are_one_line(
    thresholds: str, message: str, video: Path, onnx_detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(video), "--detector", str(onnx_detector), "--quiet", "--min-confidence", thresholds]
    assert track(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_detection_file_knows_the_threshold_of_people(tmp_path: Path) -> None:
    (tmp_path / "det").mkdir()
    det = tmp_path / "det" / "det.txt"
    det.write_text("".join(f"{number},-1,{100 + number},50,20,60,0.5\n" for number in range(1, 6)))
    words = [str(tmp_path), "--detections", str(det), "--quiet", "--output", str(tmp_path / "o.txt")]
    words += ["--preset", "deepsort", "--overwrite"]
    for thresholds, rows in (("person=0.5", 3), ("0.1,person=0.6", 0)):
        assert track([*words, "--min-confidence", thresholds]) == 0
        assert len((tmp_path / "o.txt").read_text().splitlines()) == rows


@pytest.mark.parametrize("classes", ["car,person", "0,1", "Person,CAR"])
def test_a_paddle_detector_takes_its_own_names_and_numbers(
    classes: str, video: Path, paddle_detector: Path
) -> None:
    document = run(video, paddle_detector, "--classes", classes)
    assert classes_of(document) == {1: {0}, 2: {1}}
    assert document["meta"]["class_names"] == ["car", "person"]


@pytest.mark.parametrize("detector", ["onnx_detector", "paddle_detector"])
def test_an_unknown_class_is_one_line_with_the_choices(
    detector: str, video: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    path = request.getfixturevalue(detector)
    assert track([str(video), "--detector", str(path), "--classes", "persn", "--quiet"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "class 'persn' is not among the detector's (did you mean person?): " in line
    assert "car" in line.split("?): ")[1]
    assert track([str(video), "--detector", str(path), "--classes", "80", "--quiet"]) == 2
    assert "class 80 is not among the detector's" in capsys.readouterr().err


def test_class_names_are_known_in_any_case() -> None:
    assert class_ids(["CAR", "1", 0], ["person", "bicycle", "Car"]) == [2, 1, 0]


def test_the_writer_puts_classes_into_the_eighth_column(tmp_path: Path) -> None:
    tracks = Tracks(
        ids=np.array([4]),
        boxes=np.array([[0.0, 0.0, 2.0, 4.0]]),
        confidence=np.array([0.5], np.float32),
        class_id=np.array([7]),
        detection_index=np.array([0]),
        frames_since_update=np.array([0]),
    )
    with TrackWriter(tmp_path / "o.txt", classes=True) as writer:
        writer.write(1, tracks)
    assert (tmp_path / "o.txt").read_text() == "1,4,1.000,1.000,2.000,4.000,0.5000,7,-1,-1\n"
