"""Thumbnails by quality, and the place without people."""

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.frames import Frame
from deepsort_paddle.output.report.best_crops import BestCrops
from deepsort_paddle.output.report.scene import Scene
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

SHARP = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)


def offer(crops: BestCrops, image: NDArray[np.uint8], *boxes: list[float], confidence: float = 0.9) -> bytes:
    """Show a frame to it in which the first box is track 1; its thumbnail afterwards."""
    count = len(boxes)
    scores = np.full(count, confidence, np.float32)
    rows, zeros = np.arange(count), np.zeros(count, np.int64)
    tracks = Tracks(rows + 1, np.array(boxes), scores, zeros, rows, zeros)
    frame = Frame(1, image, None)
    crops.add(image, TrackedFrame(frame, Detections.of(boxes, scores), tracks, StageSeconds(0, 0, 0, 0)))
    return crops.of(1)


def test_a_large_crop_that_is_half_hidden_does_not_replace_a_clear_one() -> None:
    crops = BestCrops()
    clear = offer(crops, SHARP, [0, 0, 60, 140])
    assert clear
    assert offer(crops, SHARP, [0, 0, 160, 380], [40, 0, 200, 380]) == clear
    assert offer(crops, SHARP, [-90, 0, 90, 400]) == clear  # cut off
    assert offer(crops, cv2.GaussianBlur(SHARP, (31, 31), 12), [0, 0, 160, 380]) == clear
    assert offer(crops, SHARP, [0, 0, 60, 140], confidence=0.5) == clear


def test_a_clear_crop_replaces_a_hidden_one() -> None:
    crops = BestCrops()
    hidden = offer(crops, SHARP, [0, 0, 160, 380], [40, 0, 200, 380])
    assert offer(crops, SHARP, [0, 0, 60, 140]) != hidden


def test_a_bad_crop_is_better_than_none() -> None:
    assert offer(BestCrops(), SHARP, [0, 0, 60, 140], confidence=0.0)
    assert offer(BestCrops(), SHARP, [0, 0, 60, 140], [0, 0, 60, 140])


def test_a_box_outside_the_frame_gives_no_thumbnail() -> None:
    assert offer(BestCrops(), SHARP, [500, 500, 560, 640]) == b""


def test_people_who_pass_are_not_in_the_scene() -> None:
    scene = Scene()
    for number in range(300):
        image = np.full((60, 320, 3), 90, np.uint8)
        image[:, number : number + 20] = 255
        scene.add(image)
    image = scene.image()
    assert image is not None
    assert image.shape == (60, 320, 3)
    assert (image == 90).all()


def test_the_scene_holds_few_small_frames() -> None:
    scene = Scene()
    for _ in range(200):
        scene.add(np.zeros((1080, 1920, 3), np.uint8))
        assert len(scene._kept) <= 16
    image = scene.image()
    assert image is not None
    assert image.shape == (540, 960, 3)
    assert Scene().image() is None
