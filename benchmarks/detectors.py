"""Recall, precision and CPU time a frame of detectors, against MOTChallenge ground truth.

The table of docs/detectors.md:

    python benchmarks/detectors.py vtest.avi gt.txt hog yolox_nano.onnx nanodet_m_320.onnx --last 50
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np

from deepsort_paddle import make_detector, read_ground_truth
from deepsort_paddle.boxes import iou
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.source import open_source

MIN_IOU = 0.5
PEDESTRIAN = 1


def main() -> None:
    """Print one row of the table for each detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", help="video, folder of pictures or MOTChallenge sequence folder")
    parser.add_argument("truth", help="its ground truth, MOTChallenge text")
    parser.add_argument("detectors", nargs="+", help="hog, .onnx files, PaddleDetection folders")
    parser.add_argument("--last", type=int, default=50, help="last frame to judge [50]")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    truth = read_ground_truth(options.truth)
    frames: list[Frame] = []
    with open_source(options.source) as source:
        for frame in source:
            if frame.number > options.last:
                break
            frames.append(frame)
    for name in options.detectors:
        detector = make_detector(name, device="cpu", threads=1)
        hits = found = wanted = 0
        milliseconds = []
        for frame in frames:
            start = time.process_time()
            detections = detector(frame.number, frame.image)
            milliseconds.append(1000 * (time.process_time() - start))
            rows = truth[truth.frame == frame.number]
            free = (rows.confidence > 0) & (rows.class_id == PEDESTRIAN)
            ignored = ~free
            wanted += int(free.sum())
            # Detections come in falling order of confidence: the most confident takes its pick.
            for overlaps in iou(detections.boxes, rows.boxes):
                best = int(np.where(free, overlaps, -1.0).argmax())
                if free[best] and overlaps[best] >= MIN_IOU:
                    free[best] = False
                    hits += 1
                    found += 1
                elif not (overlaps[ignored] >= MIN_IOU).any():
                    found += 1
        print(
            f"{name}: recall {hits / wanted:.3f}, precision {hits / max(found, 1):.3f} at IoU {MIN_IOU}, "
            f"confidence {detector.confidence}, CPU {np.median(milliseconds):.0f} ms a frame"
        )


if __name__ == "__main__":
    main()
