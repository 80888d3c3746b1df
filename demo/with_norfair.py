"""Appearance embeddings in norfair: objects that were lost come back under their old id.

norfair matches by IoU from frame to frame; its second stage compares new objects with lost ones by
``Detection.embedding``. norfair 2.3 asks for numpy below 2 yet runs with 2: pip install --no-deps norfair,
then pip install rich filterpy scipy.

Example:
    python demo/with_norfair.py video.mp4 --detections det.txt --reid weights/resnet50vd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import norfair
import numpy as np

from deepsort_paddle import AppearanceEncoder, Detections, Tracks, TrackWriter, open_source, read_detections
from deepsort_paddle.converters import from_norfair, to_norfair


def cosine_distance(new: norfair.tracker.TrackedObject, lost: norfair.tracker.TrackedObject) -> float:
    """The smallest cosine distance between the remembered embeddings of two objects; 2 where one has none."""
    rows = [
        np.array([seen.embedding for seen in one.past_detections if seen.embedding is not None])
        for one in (new, lost)
    ]
    return float(1 - (rows[0] @ rows[1].T).max()) if all(map(len, rows)) else 2.0


def track(video: Path, detections: Path, reid: Path) -> Iterator[tuple[int, Tracks]]:
    """Track a video; yields frame numbers with the tracks."""
    found = read_detections(detections)
    encode = AppearanceEncoder(reid)
    tracker = norfair.Tracker(
        distance_function="iou",
        distance_threshold=0.7,
        past_detections_length=20,
        reid_distance_function=cosine_distance,
        reid_distance_threshold=encode.max_cosine_distance,
        reid_hit_counter_max=70,
    )
    with open_source(video) as frames:
        for frame in frames:
            objects = found.get(frame.number, Detections.empty())
            if frame.image is None:
                continue
            objects = Detections.of(
                objects.boxes, objects.confidence, objects.class_id, encode(frame.image, objects.boxes)
            )
            given = to_norfair(objects)
            yield frame.number, from_norfair(tracker.update(given), given)


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
