"""Appearance embeddings in boxmot: its trackers, this project's re-ID network.

boxmot (AGPL-3.0) pulls in PyTorch and loads a network of its own, unless it is given an object with
``get_features(boxes, frame)``: here it gets this project's encoder.

Example:
    python demo/with_boxmot.py video.mp4 --detections det.txt --reid weights/resnet50vd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import boxmot
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import AppearanceEncoder, Detections, Tracks, TrackWriter, open_source, read_detections
from deepsort_paddle.converters import from_boxmot, to_boxmot


class Network:
    """What boxmot asks for embeddings."""

    def __init__(self, encode: AppearanceEncoder) -> None:
        self._encode = encode

    def get_features(self, boxes: NDArray[np.float32], frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(N, D)`` unit rows of ``(N, 4)`` boxes; of boxes outside the frame, zeros."""
        return self._encode(frame, np.asarray(boxes, np.float64)[:, :4])


def track(video: Path, detections: Path, reid: Path) -> Iterator[tuple[int, Tracks]]:
    """Track a video; yields frame numbers with the tracks."""
    found = read_detections(detections)
    tracker = boxmot.BotSort(reid_model=Network(AppearanceEncoder(reid)), use_cmc=False)
    with open_source(video) as frames:
        for frame in frames:
            if frame.image is None:
                continue
            rows = to_boxmot(found.get(frame.number, Detections.empty()))
            yield frame.number, from_boxmot(tracker.update(rows, frame.image))


def main() -> None:
    """Read the options, track, write MOTChallenge text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--detections", type=Path, required=True, help="MOTChallenge text")
    parser.add_argument("--reid", type=Path, required=True, help="folder of the appearance model")
    parser.add_argument("--output", type=Path, default=Path("tracks.txt"), help="MOTChallenge text")
    options = parser.parse_args()
    with TrackWriter(options.output) as results:
        for number, tracks in track(options.video, options.detections, options.reid):
            results.write(number, tracks)


if __name__ == "__main__":
    main()
