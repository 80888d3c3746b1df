"""An ultralytics detector in front of this project's tracker: boxes from YOLO, ids by motion and appearance.

ultralytics (AGPL-3.0) pulls in PyTorch. Its own trackers embed inside; here only its boxes are used.

Example:
    python demo/with_ultralytics.py video.mp4 --weights yolo11n.pt --reid weights/resnet50vd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ultralytics import YOLO

from deepsort_paddle import AppearanceEncoder, DeepSort, Detections, Tracks, TrackWriter, open_source
from deepsort_paddle.converters import from_ultralytics


def track(video: Path, weights: Path, reid: Path) -> Iterator[tuple[int, Tracks]]:
    """Track the people of a video; yields frame numbers with the tracks."""
    model = YOLO(weights)
    encode = AppearanceEncoder(reid)
    with open_source(video) as frames:
        tracker = DeepSort.from_preset("strong", encoder=encode, frame_rate=frames.fps or 25.0)
        for frame in frames:
            if frame.image is None:
                continue
            # Weak detections continue tracks, so the threshold is low.
            found = from_ultralytics(model.predict(frame.image, classes=[0], conf=0.1, verbose=False)[0])
            embeddings = encode(frame.image, found.boxes)
            found = Detections.of(found.boxes, found.confidence, found.class_id, embeddings)
            yield frame.number, tracker.update(found)


def main() -> None:
    """Read the options, track, write MOTChallenge text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="YOLO model, .pt")
    parser.add_argument("--reid", type=Path, required=True, help="folder of the appearance model")
    parser.add_argument("--output", type=Path, default=Path("tracks.txt"), help="MOTChallenge text")
    options = parser.parse_args()
    with TrackWriter(options.output) as results:
        for number, tracks in track(options.video, options.weights, options.reid):
            results.write(number, tracks)


if __name__ == "__main__":
    main()
