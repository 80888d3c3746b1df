"""Recall, precision and CPU time a frame of detectors, against MOTChallenge ground truth.

The tables of README.md:

    python benchmarks/pipeline/detectors.py vtest.avi gt.txt hog yolox_nano.onnx nanodet_m_320.onnx --last 50
    python benchmarks/pipeline/detectors.py vtest.avi gt.txt yolox_nano.onnx --precision float32 bfloat16

The detectors take turns frame by frame, so that a busy machine slows all of them.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import open_detector, read_ground_truth
from deepsort_paddle.boxes import iou
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.source import open_source
from deepsort_paddle.motchallenge.text import TrackRecords

MIN_IOU = 0.5
PEDESTRIAN = 1


def main() -> None:
    """Print one row of the table for each detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", help="video, folder of images or MOTChallenge sequence folder")
    parser.add_argument("truth", help="its ground truth, MOTChallenge text")
    parser.add_argument("detectors", nargs="+", help="hog, .onnx files, PaddleDetection folders")
    parser.add_argument("--last", type=int, default=50, help="last frame to judge [50]")
    parser.add_argument("--precision", nargs="+", default=["float32"], help="of networks [float32]")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    truth = read_ground_truth(options.truth)
    frames: list[Frame] = []
    with open_source(options.source) as source:
        for frame in source:
            if frame.number > options.last:
                break
            frames.append(frame)
    detectors = {
        f"{name} {precision}": open_detector(name, device="cpu", threads=1, precision=precision)
        for name in options.detectors
        for precision in options.precision
    }
    scores = {name: Score() for name in detectors}
    for frame in frames:
        for name, detector in detectors.items():
            start = time.process_time()
            detections = detector(frame.number, frame.image)
            scores[name].milliseconds.append(1000 * (time.process_time() - start))
            scores[name].add(detections.boxes, truth[truth.frame == frame.number])
    for name, score in scores.items():
        recall, precision = score.hits / score.wanted, score.hits / max(score.found, 1)
        print(
            f"{name}: recall {recall:.3f}, precision {precision:.3f} at IoU {MIN_IOU}, confidence "
            f"{detectors[name].confidence}, CPU {np.median(score.milliseconds):.1f} ms a frame"
        )


@dataclass
class Score:
    """What one detector found."""

    hits: int = 0
    found: int = 0
    wanted: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, boxes: NDArray[np.float64], rows: TrackRecords) -> None:
        """Compare the boxes of one frame, in falling order of confidence, with its annotations."""
        free = (rows.confidence > 0) & (rows.class_id == PEDESTRIAN)
        ignored = ~free
        self.wanted += int(free.sum())
        for overlaps in iou(boxes, rows.boxes):  # the most confident takes its pick
            best = int(np.where(free, overlaps, -1.0).argmax())
            if free[best] and overlaps[best] >= MIN_IOU:
                free[best] = False
                self.hits += 1
                self.found += 1
            elif not (overlaps[ignored] >= MIN_IOU).any():
                self.found += 1


if __name__ == "__main__":
    main()
