"""All detectors: file, HOG, ONNX heads; those of PaddleDetection are in test_paddle.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou
from deepsort_paddle.detection.detector import (
    FileDetector,
    HogDetector,
    OnnxDetector,
    detection_file,
    make_detector,
    open_detector,
)
from deepsort_paddle.detection.downloads import DownloadError
from deepsort_paddle.detection.named_models import NAMED_MODELS
from deepsort_paddle.structures import Detections

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
PETS = DATA / "mot" / "PETS09-S2L1"
MINI = DATA / "mot" / "MOT17-mini"
YOLOX = DATA / "models" / "yolox_nano.onnx"
NANODET = DATA / "models" / "nanodet_m_320.onnx"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the research data is not on this machine")

Truth = tuple[NDArray[np.float64], NDArray[np.bool_]]


def ground_truth(path: Path) -> dict[int, Truth]:
    """Of each frame all boxes, and which of them are pedestrians to be found (the others are ignored)."""
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    boxes = np.column_stack([table[:, 2:4] - 1, table[:, 2:4] - 1 + table[:, 4:6]])
    wanted = (table[:, 6] > 0) & (table[:, 7] == 1)
    return {int(f): (boxes[table[:, 0] == f], wanted[table[:, 0] == f]) for f in np.unique(table[:, 0])}


def pets_frames(numbers: range) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    truth = ground_truth(PETS / "gt" / "gt.txt")
    video = cv2.VideoCapture(str(PETS / "vtest.avi"))
    for number in range(1, max(numbers) + 1):
        _, frame = video.read()
        if number in numbers:
            yield np.asarray(frame, np.uint8), truth[number]
    video.release()


def mini_frames() -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """The first annotated image of each sequence."""
    for folder in sorted(MINI.iterdir()):
        truth = ground_truth(folder / "gt" / "gt.txt")
        image = next(path for path in sorted((folder / "img1").iterdir()) if int(path.stem) in truth)
        yield np.asarray(cv2.imread(str(image)), np.uint8), truth[int(image.stem)]


def recall_and_precision(
    detector: Callable[[int, NDArray[np.uint8]], Detections],
    frames: Iterator[tuple[NDArray[np.uint8], Truth]],
) -> tuple[float, float]:
    """At IoU 0.5; detections of ignored boxes count neither way."""
    hits = misses = false_alarms = 0
    for number, (frame, (boxes, wanted)) in enumerate(frames, start=1):
        free = wanted.copy()
        for overlaps in iou(detector(number, frame).boxes, boxes):
            best = int(np.where(free, overlaps, -1).argmax())
            if free[best] and overlaps[best] >= 0.5:
                free[best] = False
                hits += 1
            elif not (overlaps[~wanted] >= 0.5).any():
                false_alarms += 1
        misses += int(free.sum())
    return hits / (hits + misses), hits / max(hits + false_alarms, 1)


@needs_data
@pytest.mark.parametrize(
    ("model", "sequence", "recall", "precision"),
    [
        # Measured on these frames: 0.91, 0.71; 0.82, 0.78; 0.29, 0.77; 0.20, 0.70.
        (YOLOX, "pets", 0.85, 0.66),
        (NANODET, "pets", 0.77, 0.72),
        (YOLOX, "mini", 0.25, 0.70),
        (NANODET, "mini", 0.17, 0.63),
    ],
)
def test_real_onnx_models_find_the_people(
    model: Path, sequence: str, recall: float, precision: float
) -> None:
    detector = OnnxDetector(model, device="cpu", threads=1)
    frames = pets_frames(range(1, 50, 12)) if sequence == "pets" else mini_frames()
    found, right = recall_and_precision(detector, frames)
    assert found >= recall
    assert right >= precision


@needs_data
def test_hog_finds_people() -> None:
    # Measured on these frames: 0.71, 0.71; on PETS09 frames 1 to 50: 0.72, 0.82.
    found, right = recall_and_precision(HogDetector(), pets_frames(range(1, 50, 24)))
    assert found >= 0.6
    assert right >= 0.6


@needs_data
@pytest.mark.parametrize("spec", ["hog", YOLOX, NANODET], ids=["hog", "yolox", "nanodet"])
def test_detections_are_valid_and_lie_in_the_frame(spec: str | Path) -> None:
    detector = make_detector(spec, confidence=0.05, device="cpu", threads=1)
    frame, _ = next(pets_frames(range(20, 21)))
    # A part of the frame, in which people are cut by the edges; a view, not a copy.
    part = frame[100:420, 250:550]
    found = detector(1, part)
    assert len(found) > 2
    assert found.boxes.min() >= 0
    assert (found.boxes[:, 2:] <= [300, 320]).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (found.class_id == 0).all()
    assert detector.labels[0] == "person"
    assert (np.diff(found.confidence) <= 0).all()
    # The same detector with a higher threshold reports the same boxes, fewer of them.
    strict = make_detector(spec, confidence=0.6, device="cpu", threads=1)(1, part)
    assert 0 < len(strict) < len(found)
    np.testing.assert_array_equal(strict.boxes, found[found.confidence >= 0.6].boxes)


@needs_data
@pytest.mark.parametrize("spec", ["hog", YOLOX, NANODET], ids=["hog", "yolox", "nanodet"])
def test_images_of_any_shape_without_people_are_empty(spec: str | Path) -> None:
    detector = make_detector(spec, device="cpu", threads=1)
    for shape in ((50, 40), (1, 1), (7, 900), (900, 7)):
        found = detector(1, np.full((*shape, 3), 90, np.uint8))
        assert len(found) == 0
        assert found.boxes.shape == (0, 4)


@needs_data
@pytest.mark.parametrize("spec", ["hog", YOLOX], ids=["hog", "onnx"])
def test_nothing_is_detected_without_an_image(spec: str | Path) -> None:
    detector = make_detector(spec, device="cpu", threads=1)
    assert len(detector(7, None)) == len(detector(7, np.zeros((0, 9, 3), np.uint8))) == 0
    with pytest.raises(ValueError, match=r"frame must be uint8 \(H, W, 3\) in BGR order, got uint8 \(9, 9\)"):
        detector(7, np.zeros((9, 9), np.uint8))


@needs_data
def test_classes_are_chosen_by_number_or_name() -> None:
    frame, _ = next(pets_frames(range(1, 2)))
    names = OnnxDetector(YOLOX, classes=["car", "2", 0], confidence=0.1, device="cpu", threads=1)
    assert names.classes == [2, 2, 0]
    everything = OnnxDetector(YOLOX, classes=range(80), confidence=0.1, device="cpu", threads=1)(1, frame)
    chosen = names(1, frame)
    assert set(chosen.class_id) == {0, 2}
    np.testing.assert_array_equal(chosen.boxes, everything[np.isin(everything.class_id, [0, 2])].boxes)
    with pytest.raises(ValueError, match="class 'human' is not among the detector's: person, bicycle"):
        OnnxDetector(YOLOX, classes=["human"], device="cpu")
    with pytest.raises(ValueError, match="class 80 is not among the detector's 80 classes"):
        OnnxDetector(YOLOX, classes=[80], device="cpu")


@pytest.fixture
def written_detections(tmp_path: Path) -> Path:
    path = tmp_path / "det.txt"
    path.write_text("2,-1,11,21,30,60,0.9\n2,-1,101,21,30,60,0.2\n5,-1,-9,1,40,50,0.31\n")
    return path


def test_a_detection_file_answers_by_frame_number(written_detections: Path) -> None:
    detector = detection_file(written_detections)
    assert [len(detector(number, None)) for number in range(1, 7)] == [0, 1, 0, 0, 1, 0]
    found = detector(2, None)
    np.testing.assert_array_equal(found.boxes, [[10, 20, 40, 80]])
    # Boxes that annotators drew beyond the frame stay as they are.
    np.testing.assert_array_equal(detector(5, np.zeros((9, 9, 3), np.uint8)).boxes, [[-10, 0, 30, 50]])
    assert (detector.last_frame, detector.labels, detector.confidence) == (5, ("person",), 0.3)


def test_the_threshold_of_a_detection_file_can_be_chosen(written_detections: Path) -> None:
    assert len(detection_file(written_detections, confidence=0)(2, None)) == 2
    assert len(detection_file(written_detections, confidence=0.95)(2, None)) == 0
    with pytest.raises(ValueError, match=r"confidence must be in \[0, 1\], got 1.5"):
        detection_file(written_detections, confidence=1.5)


def test_a_name_makes_the_detector_that_it_means(written_detections: Path) -> None:
    assert isinstance(make_detector("hog", confidence=0.7), HogDetector)
    assert isinstance(make_detector(str(written_detections), classes=["person"]), FileDetector)
    for spec in ("hog", written_detections):
        with pytest.raises(ValueError, match=r"finds only class 0 \(person\), got 2"):
            make_detector(spec, classes=[2])


def test_names_that_mean_no_detector_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"car: no such file or folder \(by name there are hog, yolox-"
    ):
        open_detector("car")
    with pytest.raises(FileNotFoundError, match=r"did you mean yolox-nano\?"):
        open_detector("yolox_nano")
    with pytest.raises(FileNotFoundError, match=r"gone.onnx: no such file"):
        make_detector("gone.onnx")
    with pytest.raises(FileNotFoundError, match=r"gone.txt"):
        make_detector("gone.txt")
    with pytest.raises(FileNotFoundError, match=r"a folder without infer_cfg.yml is no exported"):
        make_detector(tmp_path)
    (tmp_path / "yolo.pt").touch()
    with pytest.raises(ValueError, match=r"yolo.pt: expected a name \(hog, .*\), an .onnx file, a folder"):
        make_detector(tmp_path / "yolo.pt")


def test_a_named_detector_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_export: Callable[..., Path]
) -> None:
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path))
    with pytest.raises(
        DownloadError, match=r"yolox_nano.onnx is not there, and downloads are off; download http"
    ):
        open_detector("yolox-nano", download=False)
    (tmp_path / "detectors").mkdir()
    path = save_export(
        tmp_path / "detectors" / "yolox_nano.onnx",
        {"output": np.zeros((1, 3549, 85), np.float32)},
        {"images": (1, 3, 416, 416)},
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    official = NAMED_MODELS["yolox-nano"]
    pinned = replace(official, size=path.stat().st_size, sha256=digest)
    monkeypatch.setitem(NAMED_MODELS, "yolox-nano", pinned)
    detector = open_detector("yolox-nano", download=False, device="cpu", threads=1)
    assert isinstance(detector, OnnxDetector)
    assert detector.head.name == "YOLOX"


def test_hog_options_are_checked() -> None:
    with pytest.raises(ValueError, match="image_height must be 128 or more, got 100"):
        HogDetector(image_height=100)
    with pytest.raises(ValueError, match=r"confidence must be in \[0, 1\], got -1"):
        HogDetector(confidence=-1)


def drawn_person(height: int = 300, width: int = 200) -> Any:
    """A plain figure: head, body and legs, bright on dark."""
    image = np.full((height, width, 3), 60, np.uint8)
    cv2.circle(image, (100, 75), 13, (200, 200, 200), -1)
    cv2.ellipse(image, (100, 130), (25, 45), 0, 0, 360, (200, 200, 200), -1)
    cv2.line(image, (92, 165), (86, 240), (200, 200, 200), 15)
    cv2.line(image, (108, 165), (116, 240), (200, 200, 200), 15)
    return image


def test_hog_puts_its_box_on_a_drawn_figure() -> None:
    found = HogDetector(confidence=0.05)(1, drawn_person())
    assert len(found) >= 1
    assert iou(found.boxes[:1], np.array([[75.0, 62, 125, 247]]))[0, 0] > 0.5
