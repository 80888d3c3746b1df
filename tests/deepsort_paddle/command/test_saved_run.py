"""``--save-detections`` and the runs from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import Detections, track_video, track_videos
from deepsort_paddle.cli import track
from deepsort_paddle.detection.saved_detections import SavedDetections
from deepsort_paddle.media.video_writer import VideoWriter

FRAMES = 30


class Detector:
    """Finds two people who cross; counts its calls."""

    labels = ("person", "car")
    confidence = 0.25

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: int, image: NDArray[np.uint8] | None) -> Detections:
        self.calls += 1
        if frame in (7, 8, 20):
            return Detections.empty()
        x = [4.0 * frame + 0.1, 160.3 - 4 * frame]
        boxes = [[x[0], 30, x[0] + 16, 70], [x[1], 33, x[1] + 16, 74], [5, 5, 12, 12]]
        return Detections.of(boxes, [0.9, 0.8 - 0.01 * frame, 0.3], [0, 0, 1])


class Encoder:
    """Embeddings of 8 values; counts its calls."""

    max_cosine_distance = 0.37

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        self.calls += 1
        angle = boxes[:, 1] / 30
        rows = np.stack([np.cos(angle), np.sin(angle), *[boxes[:, 0] / 500] * 6], axis=1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode_batch(self, frames: Any, boxes: Any) -> list[NDArray[np.float32]]:
        return [self(frame, box) for frame, box in zip(frames, boxes, strict=True)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of grey frames."""
    path = tmp_path_factory.mktemp("clip") / "street.mp4"
    with VideoWriter(path, fps=10) as writer:
        for number in range(FRAMES):
            writer.write(np.full((100, 180, 3), 100 + number, np.uint8))
    return path


@pytest.fixture(scope="module")
def saved(clip: Path) -> Path:
    """Its saved detections."""
    path = clip.with_suffix(".npz")
    track_video(clip, detector=Detector(), reid=Encoder(), save_detections=path, preset="strong")
    return path


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "strong"},
        {"preset": "deepsort", "min_confidence": 0.4},
        {"preset": "strong", "offline": True},
        {"preset": "strong", "encode": "needed"},
        {"preset": "strong", "stride": 2},
        {"preset": "strong", "start": 0.5, "end": 1.7},
        {"preset": "motion"},
    ],
    ids=str,
)
def test_a_run_from_the_file_gives_the_same_results_without_detector_and_encoder(
    clip: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    detector = Detector()
    reid: Any = "none" if options["preset"] == "motion" else Encoder()
    files = {name: tmp_path / f"first.{name}" for name in ("output", "csv", "explain_csv")}
    npz = tmp_path / "street.npz"
    first = track_video(clip, detector=detector, reid=reid, save_detections=npz, **files, **options)
    again = {name: tmp_path / f"again.{name}" for name in files}
    second = track_video(clip, detections=npz, **again, **options)
    calls = (FRAMES + 1) // 2 if "stride" in options else 12 if "start" in options else FRAMES
    assert detector.calls == calls
    assert first.ids == second.ids
    assert first.ids
    for name in files:
        assert files[name].read_bytes() == again[name].read_bytes(), name


@pytest.fixture(scope="module")
def panning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a textured wall that moves by three pixels a frame."""
    path = tmp_path_factory.mktemp("panning") / "wall.mp4"
    wall = np.random.default_rng(0).integers(0, 256, (25, 80, 3), np.uint8)
    wall = wall.repeat(4, axis=0).repeat(4, axis=1)
    with VideoWriter(path, fps=10) as writer:
        for number in range(12):
            writer.write(np.ascontiguousarray(wall[:, 3 * number : 3 * number + 180]))
    return path


@pytest.mark.parametrize("options", [{}, {"stride": 2}], ids=["all frames", "stride"])
def test_the_camera_motion_comes_from_the_file_alone(
    panning: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    npz, files = tmp_path / "wall.npz", [tmp_path / "first.txt", tmp_path / "again.txt"]
    common: dict[str, Any] = {"camera_motion": "images", "preset": "strong", **options}
    track_video(panning, detector=Detector(), reid=Encoder(), save_detections=npz, output=files[0], **common)
    saved = SavedDetections.read(npz)
    assert saved.camera_motion is not None
    step = 3 * options.get("stride", 1)
    assert saved.camera_motion[1:, 0, 2] == pytest.approx(-step, abs=0.2)
    alone = npz.rename(tmp_path / "alone.npz")
    track_video(alone, output=files[1], **common)
    assert files[0].read_text() == files[1].read_text()


def test_a_file_without_camera_motion_cannot_give_it(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(saved) as arrays:
        columns = {name: arrays[name] for name in arrays if name != "camera_motion"}
    older = tmp_path / "older.npz"
    np.savez(older, **columns)
    assert track([str(older), "--camera-motion", "images", "--output", str(tmp_path / "a.txt")]) == 2
    assert "leave out --camera-motion images" in capsys.readouterr().err
    assert track([str(older), "--preset", "strong", "--quiet", "--output", str(tmp_path / "a.txt")]) == 0


def test_the_file_says_where_it_comes_from_and_needs_no_pickle(clip: Path, saved: Path) -> None:
    about = SavedDetections.read(saved).about
    assert (about.source, about.fps, about.width, about.height) == ("street", 10, 180, 100)
    assert (about.detector, about.encoder, about.max_cosine_distance) == ("Detector", "Encoder", 0.37)
    assert about.labels == ("person", "car")
    with np.load(saved, allow_pickle=False) as arrays:
        assert arrays["embeddings"].dtype == np.float32
        assert arrays["embeddings"].shape == (3 * (FRAMES - 3), 8)
        assert len(arrays["frame_number"]) == FRAMES


def test_the_default_model_is_known_by_name_and_checksum(clip: Path, tmp_path: Path) -> None:
    npz = tmp_path / "a.npz"
    track_video(clip, detector=Detector(), save_detections=npz)
    saved = SavedDetections.read(npz)
    assert saved.about.encoder == "osnet_ain_x0_5"
    assert saved.about.encoder_checksum is not None
    outputs = [tmp_path / "named.txt", tmp_path / "unnamed.txt"]
    track_video(clip, detections=npz, reid="osnet_ain_x0_5", output=outputs[0])
    track_video(clip, detections=npz, output=outputs[1])
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_another_model_than_that_of_the_file_is_one_clear_line(
    clip: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(clip), "--detections", str(saved), "--reid", "osnet_ain_x0_5"]
    assert track([*words, "--output", str(tmp_path / "a.txt")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "contains embeddings of Encoder" in error
    assert not (tmp_path / "a.txt").exists()


def test_the_file_can_stand_for_the_video(saved: Path, tmp_path: Path) -> None:
    result = track_video(saved, output=tmp_path / "a.txt")
    assert result.name == "street"
    assert result.frames == FRAMES


def test_many_files_are_tracked_with_the_thresholds_of_each(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "b.npz").write_bytes(saved.read_bytes())
    sources = [saved, tmp_path / "b.npz"]
    results = track_videos(sources, preset="strong", save_dir=tmp_path / "results", workers=1)
    assert [result.status for result in results] == ["done", "done"]
    texts = [(tmp_path / "results" / f"{name}.txt").read_bytes() for name in ("street", "b")]
    assert texts[0] == texts[1] != b""


def test_images_are_read_where_an_output_needs_them(clip: Path, saved: Path, tmp_path: Path) -> None:
    track_video(clip, detections=saved, save_video=tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").stat().st_size > 0
    images = []
    track_video(clip, detections=saved, on_frame=lambda tracked: images.append(tracked.frame.image))
    assert all(image is not None for image in images)


def test_classes_and_suppression_choose_among_the_saved_detections(clip: Path, saved: Path) -> None:
    settings: dict[str, Any] = {"preset": "deepsort", "min_confidence": 0.25}
    everything = track_video(clip, detections=saved, **settings)
    people = track_video(clip, detections=saved, classes="person", **settings)
    assert len(people.ids) == len(everything.ids) - 1
    with pytest.raises(ValueError, match="did you mean person"):
        track_video(clip, detections=saved, classes="persn")


def test_a_file_of_another_video_is_noted(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "square.mp4"
    with VideoWriter(other, fps=10) as writer:
        for _ in range(3):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    result = track_video(other, detections=saved)
    assert any("contains detections of street" in line for line in result.warnings)


def test_detections_below_those_of_the_file_are_noted(clip: Path, saved: Path, tmp_path: Path) -> None:
    npz = tmp_path / "high.npz"
    track_video(clip, detections=saved, min_confidence=0.5, save_detections=npz)
    assert SavedDetections.read(npz).about.encoder == "Encoder"
    result = track_video(clip, detections=npz, preset="strong")
    assert any("with confidence 0.5 or more" in line for line in result.warnings)


def test_another_preset_starts_from_the_threshold_of_the_detector(clip: Path, tmp_path: Path) -> None:
    detections = tmp_path / "det.txt"
    boxes = [
        f"{frame},-1,{20 + 40 * i},20,20,50,{score}"
        for frame in range(1, 9)
        for i, score in ((0, 0.9), (1, 0.2))
    ]
    detections.write_text("\n".join(boxes) + "\n")
    npz = tmp_path / "a.npz"
    track_video(clip, detections=detections, reid="none", preset="strong", save_detections=npz)
    assert len(SavedDetections.read(npz)(1, None)) == 2
    for name, given in (("text", detections), ("saved", npz)):
        track_video(clip, detections=given, reid="none", output=tmp_path / f"{name}.txt")
    assert (tmp_path / "text.txt").read_bytes() == (tmp_path / "saved.txt").read_bytes() != b""


def test_other_frames_than_those_of_the_file_are_an_error(clip: Path, saved: Path, tmp_path: Path) -> None:
    npz = tmp_path / "every.npz"
    track_video(clip, detections=saved, stride=2, save_detections=npz)
    track_video(clip, detections=npz, save_detections=tmp_path / "again.npz")
    assert SavedDetections.read(tmp_path / "again.npz").about.every == (2,)
    with pytest.raises(ValueError, match="was saved with --stride 2, got --stride 3"):
        track_video(clip, detections=npz, stride=3)


def test_only_a_name_that_a_later_run_recognises_is_taken(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.npz"):
        track_video(clip, detector=Detector(), reid="none", save_detections=tmp_path / "a.txt")


def test_a_run_that_ends_early_saves_what_it_saw_and_one_that_fails_keeps_the_old_file(
    clip: Path, tmp_path: Path
) -> None:
    npz = tmp_path / "a.npz"
    npz.write_bytes(b"old")

    def failing(frame: int, image: NDArray[np.uint8] | None) -> Detections:
        if frame == 5:
            raise OSError("the detector is gone")
        return Detector()(frame, image)

    with pytest.raises(OSError, match="the detector is gone"):
        track_video(clip, detector=failing, reid="none", save_detections=npz, overwrite=True)
    assert npz.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_file_of_a_part_is_replayed_over_that_part(clip: Path, tmp_path: Path) -> None:
    npz, video = tmp_path / "part.npz", tmp_path / "part.mp4"
    track_video(clip, detector=Detector(), reid="none", start="0:01", save_detections=npz)
    for options in ({}, {"start": 1.0}, {"save_video": video}, {"save_video": video, "offline": True}):
        done = track_video(clip, detections=npz, overwrite=True, **options)
        assert done.frames == FRAMES - 10, options
    with pytest.raises(ValueError, match=r"part.npz was saved with --start 1, got --start 0.5$"):
        track_video(clip, detections=npz, start=0.5)


def test_a_mirrored_run_is_replayed_mirrored(clip: Path, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "street.npz"
    track_video(clip, detector=Detector(), reid=Encoder(), save_detections=path, mirror=True)
    assert SavedDetections.read(path).about.mirror
    document = tmp_path / "a.json"
    track_video(clip, detections=path, json=document, save_crops=tmp_path / "crops")
    track_video(clip, detections=path, output=tmp_path / "a.txt", mirror=True)
    with pytest.raises(ValueError, match=r"street\.npz was saved without --mirror"):
        track_video(clip, detections=saved, output=tmp_path / "b.txt", mirror=True)


def test_the_images_of_a_mirrored_replay_are_mirrored(tmp_path: Path) -> None:
    halves = np.full((100, 180, 3), 60, np.uint8)
    halves[:, :90] = 220
    with VideoWriter(tmp_path / "half.mp4", fps=10) as writer:
        for _ in range(6):
            writer.write(halves)
    common: dict[str, Any] = {"preset": "deepsort", "mirror": True}

    def right(frame: int, image: NDArray[np.uint8] | None) -> Detections:
        return Detections.of([[120, 20, 160, 90]])

    track_video(
        tmp_path / "half.mp4", detector=right, reid="none", save_detections=tmp_path / "half.npz", **common
    )
    track_video(
        tmp_path / "half.mp4",
        detections=tmp_path / "half.npz",
        reid="none",
        preset="deepsort",
        save_crops=tmp_path / "crops",
    )
    crops = [cv2.imread(str(path)) for path in (tmp_path / "crops").rglob("*.jpg")]
    assert crops
    assert all(crop.mean() > 200 for crop in crops)
