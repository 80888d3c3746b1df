"""The camera's motion from images of a made-up street, cut out along a known way."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import DeepSort, Detections, track_frames
from deepsort_paddle.cli import track
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.tracking.camera.image_motion import ImageMotion

NONE = np.zeros((0, 4))


def street(height: int = 400, width: int = 700) -> NDArray[np.uint8]:
    """An image with corners everywhere."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 10, width // 10, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def window(scene: NDArray[np.uint8], motion: NDArray[np.float64]) -> NDArray[np.uint8]:
    """320x240 of the scene, whose pixels ``motion`` maps to those of the window (corner 0, 0)."""
    centred = motion.copy()  # of centres of pixels, as OpenCV counts
    centred[:, 2] += motion[:, :2] @ [0.5, 0.5] - 0.5
    return np.asarray(cv2.warpAffine(scene, centred, (320, 240), flags=cv2.INTER_CUBIC), np.uint8)


def after(motion: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ motion[:, :2].T + motion[:, 2]


CORNERS = np.array([[0.0, 0.0], [320.0, 0.0], [0.0, 240.0], [320.0, 240.0]])


@pytest.mark.parametrize("zoom", [1.0, 4.0])
def test_a_pan_with_a_turn_and_a_zoom_is_recovered(zoom: float) -> None:
    # With zoom 4 the images are 1280x960 and looked at in half their size.
    scene, find = street(), ImageMotion()
    way = []
    for step in range(6):
        turn, size = 0.004 * step, 1 + 0.01 * step
        linear = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        way.append(np.column_stack([linear, [-100 - 7.0 * step, -60 + 3.0 * step]]))
    for number, motion in enumerate(way):
        view = window(scene, motion)
        view = np.asarray(cv2.resize(view, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
        found = find(view, NONE)
        if number == 0:
            np.testing.assert_array_equal(found, np.eye(2, 3))
            continue
        before = way[number - 1]
        world = (CORNERS - before[:, 2]) @ np.linalg.inv(before[:, :2]).T
        np.testing.assert_allclose(after(found, zoom * CORNERS), zoom * after(motion, world), atol=0.4 * zoom)


def test_a_still_camera_gives_the_identity_while_people_walk_by() -> None:
    scene, find, rng = street(), ImageMotion(), np.random.default_rng(1)
    person = rng.integers(0, 255, (160, 120, 3), np.uint8)
    still = window(scene, np.array([[1.0, 0, -100], [0, 1, -60]]))
    for step in range(6):
        view = still.copy()
        left = 20 + 9 * step
        view[40:200, left : left + 120] = person
        view = np.clip(view + rng.normal(0, 3, view.shape), 0, 255).astype(np.uint8)
        found = find(view, np.array([[left, 40.0, left + 120, 200.0]]))
        np.testing.assert_allclose(after(found, CORNERS), CORNERS, atol=0.25)


def test_what_can_not_be_followed_is_no_motion() -> None:
    scene, find = street(), ImageMotion()
    here = window(scene, np.array([[1.0, 0, -100], [0, 1, -60]]))
    there = window(scene, np.array([[1.0, 0, -107], [0, 1, -60]]))
    everything = np.array([[-5.0, -5, 1e12, 300]])
    grey = np.full_like(here, 128)
    for view, boxes in ((grey, NONE), (grey, NONE), (here, NONE), (None, NONE), (there, NONE)):
        np.testing.assert_array_equal(find(view, boxes), np.eye(2, 3))
    for view, boxes in ((there, everything), (here, NONE), (scene, NONE), (grey[:40, :40], NONE)):
        np.testing.assert_array_equal(find(view, boxes), np.eye(2, 3))
    unlike = ImageMotion()
    unlike(here, NONE)
    np.testing.assert_array_equal(unlike(window(street()[::-1].copy(), np.eye(2, 3)), NONE), np.eye(2, 3))


def panned(jerk: float) -> tuple[list[Frame], list[NDArray[np.float64]]]:
    """Frames before which the camera jumps left and right, and the box of a person who stands still."""
    scene, frames, boxes = street(), [], []
    for number in range(1, 13):
        left = 100 + jerk * (number % 2)
        frames.append(Frame(number, window(scene, np.array([[1.0, 0, -left], [0, 1, -60]])), None))
        boxes.append(np.array([[250 - left, 80.0, 270 - left, 130.0]]))
    return frames, boxes


def test_a_jerking_camera_breaks_no_track_when_its_motion_is_seen() -> None:
    frames, boxes = panned(18.0)
    ids = {}
    for seen in (False, True):
        tracked = track_frames(
            frames,
            lambda number, image: Detections.of(boxes[number - 1], np.ones(1)),
            None,
            DeepSort(max_iou_distance=0.5),
            camera_motion=ImageMotion() if seen else None,
        )
        ids[seen] = [one.tracks.ids.tolist() for one in tracked]
    assert ids[False] == [[]] * 12
    assert ids[True] == [[]] * 2 + [[1]] * 10


def test_the_command_takes_the_motion_from_images(tmp_path: Path) -> None:
    frames, boxes = panned(18.0)
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for frame in frames:
            assert frame.image is not None
            writer.write(frame.image)
    lines = [
        f"{number},-1,{x1 + 1},{y1 + 1},{x2 - x1},{y2 - y1},0.9"
        for number, ((x1, y1, x2, y2),) in enumerate(boxes, 1)
    ]
    (tmp_path / "det.txt").write_text("\n".join(lines) + "\n")
    arguments = [str(tmp_path / "clip.mp4"), "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
    arguments += [
        "--quiet",
        "--overwrite",
        "--preset",
        "deepsort",
        "--json",
        str(tmp_path / "out.json"),
        "--max-iou-distance",
        "0.5",
    ]
    seen = {}
    for choice in ("none", "images", "both"):
        assert track([*arguments, "--camera-motion", choice]) == 0
        document = json.loads((tmp_path / "out.json").read_text())
        assert document["meta"]["settings"]["camera_motion"] == choice
        seen[choice] = sum(len(frame["tracks"]) for frame in document["frames"])
    assert seen == {"none": 0, "images": 10, "both": 10}
    assert track([*arguments, "--preset", "motion"]) == 0
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["meta"]["settings"]["camera_motion"] == "both"


@pytest.mark.parametrize(
    ("more", "pairs"),
    [
        (["--preset", "deepsort"], 0),
        ([], 5),
        (["--camera-motion", "boxes"], 5),
        (["--preset", "motion"], 5),
        (["--preset", "motion", "--camera-motion", "none"], 0),
        (["--camera-motion", "boxes", "--set", "min_camera_pairs=8"], 8),
    ],
)
def test_camera_motion_from_boxes_is_on_as_the_preset_or_the_option_says(
    tmp_path: Path, more: list[str], pairs: int
) -> None:
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "det.txt").write_text("1,-1,100,50,20,60,0.9\n")
    arguments = [str(tmp_path), "--detections", str(tmp_path / "det" / "det.txt"), "--quiet"]
    assert track([*arguments, "--json", str(tmp_path / "out.json"), *more]) == 0
    settings = json.loads((tmp_path / "out.json").read_text())["meta"]["settings"]
    assert settings["min_camera_pairs"] == pairs


def test_without_images_the_option_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "det.txt").write_text("1,-1,100,50,20,60,0.9\n")
    arguments = [str(tmp_path), "--detections", str(tmp_path / "det" / "det.txt"), "--quiet"]
    output = str(tmp_path / "out.txt")
    assert track([*arguments, "--output", output, "--camera-motion", "images"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith("has no images: leave out --camera-motion images")
