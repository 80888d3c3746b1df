"""supervision in and out: its detections into this tracker, this tracker's result into its annotators.

supervision (pip install supervision) reads the outputs of many detectors into ``sv.Detections``. Here they
come from a file; with a detector of your own write ``found = sv.Detections.from_ultralytics(...)``.

Example:
    python demo/with_supervision.py video.mp4 --detections det.txt --reid weights/resnet50vd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from deepsort_paddle import AppearanceEncoder, DeepSort, Detections, VideoWriter, open_source, read_detections
from deepsort_paddle.converters import from_supervision, to_supervision
from deepsort_paddle.frames import Frame, FrameSource

UNKNOWN_FPS = 25.0  # of images without a frame rate


def track(
    source: FrameSource, detections: Path, reid: Path
) -> Iterator[tuple[Frame, NDArray[np.uint8], sv.Detections]]:
    """Track a video; yields frame, image and tracks as ``sv.Detections`` with ids in ``tracker_id``."""
    in_file = read_detections(detections)
    encode = AppearanceEncoder(reid)
    tracker = DeepSort.from_preset("strong", encoder=encode, frame_rate=source.fps or UNKNOWN_FPS)
    for frame in source:
        found = to_supervision(in_file.get(frame.number, Detections.empty()))  # your detector
        if frame.image is None:
            continue
        found.data["embeddings"] = encode(frame.image, found.xyxy)
        yield frame, frame.image, to_supervision(tracker.update(from_supervision(found)))


def main() -> None:
    """Read the options, track, annotate, write a video."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--detections", type=Path, required=True, help="MOTChallenge text")
    parser.add_argument("--reid", type=Path, required=True, help="folder of the appearance model")
    parser.add_argument("--save-video", type=Path, default=Path("tracked.mp4"))
    options = parser.parse_args()
    boxes = sv.BoxAnnotator(color_lookup=sv.ColorLookup.TRACK)
    labels = sv.LabelAnnotator(color_lookup=sv.ColorLookup.TRACK)
    traces = sv.TraceAnnotator(color_lookup=sv.ColorLookup.TRACK)
    with (
        open_source(options.video) as source,
        VideoWriter(options.save_video, fps=source.fps or UNKNOWN_FPS) as video,
    ):
        for frame, image, tracks in track(source, options.detections, options.reid):
            annotated = traces.annotate(boxes.annotate(image.copy(), tracks), tracks)
            names = [f"#{number}" for number in tracks.tracker_id]
            video.write(labels.annotate(annotated, tracks, labels=names), frame.timestamp)


if __name__ == "__main__":
    main()
