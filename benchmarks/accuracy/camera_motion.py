"""Measure the gain of camera motion, and the cost of estimating it from images.

PETS09-S2L1, frames 1 to 400, with its static camera, and seen through a window of 480x360 that moves over the
images: `pan` along a slow figure of eight, `shake` with additional jerks of 6 pixels (standard deviation).
Boxes of detections and truth move accordingly; those whose centre leaves the window are dropped. Then the
available images of MOT17: IoU of true boxes with those of the previous frame, without and with the estimated
motion.

    python benchmarks/accuracy/camera_motion.py --data DATA

`wrong`: mean error of the image corners under the estimated motion, in pixels. ms: CPU milliseconds per frame
of the estimation, on one thread, with decoded images.
"""

from __future__ import annotations

import os

# Set before NumPy is imported: all figures are for one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from accuracy import DATA, Run, Table
from accuracy_data import MOT17, Sequence, by_confidence
from numpy.typing import NDArray

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.boxes import iou
from deepsort_paddle.motchallenge.text import read_detections, read_ground_truth
from deepsort_paddle.tracking.camera.image_motion import ImageMotion
from deepsort_paddle.tracking.presets import PRESETS

LENGTH, HEIGHT, WIDTH = 400, 360, 480


def images(video: Path) -> list[NDArray[np.uint8]]:
    """Read the first frames of a video."""
    capture = cv2.VideoCapture(str(video))
    frames = [np.asarray(capture.read()[1], np.uint8) for _ in range(LENGTH)]
    capture.release()
    return frames


def ways() -> dict[str, NDArray[np.int64] | None]:
    """Return the upper left corners of the window, ``(LENGTH, 2)``, by name; None is the whole image."""
    time_ = np.arange(LENGTH)
    pan = np.column_stack(
        [144 + 140 * np.sin(2 * np.pi * time_ / 160), 108 + 100 * np.sin(2 * np.pi * time_ / 80)]
    )
    shake = pan + np.random.default_rng(0).normal(0, 6, pan.shape)
    limit = [768 - WIDTH, 576 - HEIGHT]
    return {
        "still": None,
        "pan": np.clip(np.rint(pan), 0, limit).astype(int),
        "shake": np.clip(np.rint(shake), 0, limit).astype(int),
    }


def seen_through(scene: Sequence, way: NDArray[np.int64]) -> Sequence:
    """Return the sequence in window coordinates."""

    def inside(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        centre = 0.5 * (boxes[:, :2] + boxes[:, 2:])
        kept: NDArray[np.bool_] = ((centre >= 0) & (centre <= [WIDTH, HEIGHT])).all(axis=1)
        return kept

    moved = [
        replace(frame, boxes=frame.boxes - np.tile(corner, 2))
        for frame, corner in zip(scene.frames, way, strict=True)
    ]
    truth = scene.truth[scene.truth.frame <= LENGTH]
    truth = replace(truth, boxes=truth.boxes - np.tile(way[truth.frame - 1], 2))
    frames = tuple(frame[inside(frame.boxes)] for frame in moved)
    return replace(scene, frames=frames, truth=truth[inside(truth.boxes)], size=(HEIGHT, WIDTH))


def motions(
    frames: list[NDArray[np.uint8]], scene: Sequence, way: NDArray[np.int64] | None
) -> tuple[list[NDArray[np.float64]], float, float]:
    """Return the motion of each frame, CPU milliseconds per frame, and the error of the corners."""
    find, found, wrong, spent = ImageMotion(), [], [], 0.0
    height, width = scene.size
    corners = np.array([[0.0, 0.0], [width, 0], [0, height], [width, height]])
    for number, (image, detections) in enumerate(zip(frames, scene.frames, strict=True)):
        step = np.zeros(2)
        if way is not None:
            x, y = way[number]
            image = np.ascontiguousarray(image[y : y + HEIGHT, x : x + WIDTH])
            step = way[max(0, number - 1)] - way[number]
        start = time.process_time()
        motion = find(image, detections.boxes)
        spent += time.process_time() - start
        off = corners @ motion[:, :2].T + motion[:, 2] - corners - step
        wrong.append(np.linalg.norm(off, axis=1).mean())
        found.append(motion)
    return found, 1e3 * spent / len(frames), float(np.mean(wrong))


def tracked(scene: Sequence, pairs: int, moves: list[NDArray[np.float64]] | None) -> Run:
    """Track the sequence with preset `motion`."""
    tracker = DeepSort.from_preset("motion", min_camera_pairs=pairs, frame_rate=scene.frame_rate)
    rows, spent = [], 0.0
    for number, detections in enumerate(scene.frames, 1):
        start = time.process_time()
        tracks = tracker.update(detections, camera_motion=None if moves is None else moves[number - 1])
        spent += time.process_time() - start
        rows.append(np.column_stack([np.full(len(tracks), number), tracks.ids, tracks.boxes]))
    return Run(np.concatenate(rows), 1e3 * spent / len(scene.frames))


def carried(folder: Path) -> tuple[float, float, float]:
    """Return the mean IoU with the previous frame, without and with motion, and CPU milliseconds."""
    truth = read_ground_truth(folder / "gt" / "gt.txt")
    truth = truth[truth.class_id == 1]
    find, before, plain, moved, spent = ImageMotion(), truth[:0], [], [], []
    for path in sorted((folder / "img1").glob("*.jpg")):
        here = truth[truth.frame == int(path.stem)]
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        start = time.process_time()
        motion = find(image, here.boxes)
        spent.append(time.process_time() - start)
        _, row, column = np.intersect1d(before.ids, here.ids, return_indices=True)
        boxes = before.boxes[row]
        plain += np.diag(iou(boxes, here.boxes[column])).tolist()
        boxes = (boxes.reshape(-1, 2) @ motion[:, :2].T + motion[:, 2]).reshape(-1, 4)
        moved += np.diag(iou(boxes, here.boxes[column])).tolist()
        before = here
    return float(np.mean(plain)), float(np.mean(moved)), 1e3 * float(np.mean(spent))


def main() -> None:
    """Print a table for each path of the camera."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the research data")
    folder = parser.parse_args().data / "mot" / "PETS09-S2L1"
    cv2.setNumThreads(1)
    found = read_detections(folder / "det" / "det.txt")
    detections = tuple(by_confidence(found.get(n, Detections.empty())) for n in range(1, LENGTH + 1))
    truth = read_ground_truth(folder / "gt" / "gt.txt")
    whole = Sequence("PETS09-S2L1", detections, truth, LENGTH, (576, 768), 10.0)
    frames = images(folder / "vtest.avi")
    pairs = PRESETS["motion"]["min_camera_pairs"]
    for name, way in ways().items():
        scene = whole if way is None else seen_through(whole, way)
        moves, milliseconds, wrong = motions(frames, scene, way)
        print(f"\n{name}: images {milliseconds:.2f} ms a frame, wrong by {wrong:.2f} pixels")
        table = Table(name, [scene])
        table.add("none", [tracked(scene, 0, None)])
        table.add("boxes", [tracked(scene, pairs, None)])
        table.add("images", [tracked(scene, 0, moves)])
        table.add("images, then boxes", [tracked(scene, pairs, moves)])
    print("\nIoU of people with themselves a frame earlier, as they were and carried along, ms a frame")
    for name in MOT17:
        plain, moved, milliseconds = carried(folder.parent / "MOT17-mini" / name)
        print(f"{name} {plain:.3f} {moved:.3f} {milliseconds:.1f}")


if __name__ == "__main__":
    main()
