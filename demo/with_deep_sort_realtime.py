"""Appearance embeddings in deep-sort-realtime: its tracker, this project's re-ID network.

deep-sort-realtime (pip install deep-sort-realtime "setuptools<81") embeds with MobileNetV2 unless it
gets ``embeds=``. With ``embedder=None`` it takes ours and loads no network of its own.

Example:
    python demo/with_deep_sort_realtime.py video.mp4 --detections det.txt --reid weights/resnet50vd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from deep_sort_realtime.deepsort_tracker import DeepSort

from deepsort_paddle import AppearanceEncoder, Detections, Tracks, TrackWriter, open_source, read_detections
from deepsort_paddle.converters import from_deep_sort_realtime, to_deep_sort_realtime


def track(video: Path, detections: Path, reid: Path) -> Iterator[tuple[int, Tracks]]:
    """Track a video; yields frame numbers with the confirmed tracks."""
    found = read_detections(detections)
    encode = AppearanceEncoder(reid)
    # The threshold calibrated for the network: deep-sort-realtime's own default belongs to another one.
    tracker = DeepSort(embedder=None, max_cosine_distance=encode.max_cosine_distance, nn_budget=100)
    with open_source(video) as frames:
        for frame in frames:
            objects = found.get(frame.number, Detections.empty())
            if frame.image is None:
                continue
            embeddings = encode(frame.image, objects.boxes)
            seen = embeddings.any(axis=1)  # a zero row, a box outside the frame, has no cosine
            objects = Detections.of(
                objects.boxes[seen], objects.confidence[seen], objects.class_id[seen], embeddings[seen]
            )
            raw_detections, embeds = to_deep_sort_realtime(objects)
            yield frame.number, from_deep_sort_realtime(tracker.update_tracks(raw_detections, embeds=embeds))


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
