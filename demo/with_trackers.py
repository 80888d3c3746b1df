"""This project's detections in Roboflow's trackers, which match by motion alone.

trackers (pip install trackers) takes and returns ``sv.Detections``; ids are in ``tracker_id``, -1 while a
track is not confirmed.

Example:
    python demo/with_trackers.py video.mp4 --detections det.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from trackers import ByteTrackTracker

from deepsort_paddle import Detections, Tracks, TrackWriter, open_source, read_detections
from deepsort_paddle.converters import from_supervision, to_supervision


def track(video: Path, detections: Path) -> Iterator[tuple[int, Tracks]]:
    """Track a video; yields frame numbers with the tracks."""
    found = read_detections(detections)
    with open_source(video) as frames:
        tracker = ByteTrackTracker(frame_rate=frames.fps or 25.0)
        for frame in frames:
            result = tracker.update(to_supervision(found.get(frame.number, Detections.empty())))
            known = result[result.tracker_id >= 0]
            seen = from_supervision(known)
            yield (
                frame.number,
                Tracks(
                    ids=np.asarray(known.tracker_id, np.int64) + 1,  # they count from 0
                    boxes=seen.boxes,
                    confidence=seen.confidence,
                    class_id=seen.class_id,
                    detection_index=np.full(len(seen), -1, np.int64),
                    frames_since_update=np.zeros(len(seen), np.int64),
                ),
            )


def main() -> None:
    """Read the options, track, write MOTChallenge text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--detections", type=Path, required=True, help="MOTChallenge text")
    parser.add_argument("--output", type=Path, default=Path("tracks.txt"), help="MOTChallenge text")
    options = parser.parse_args()
    with TrackWriter(options.output) as results:
        for number, tracks in track(options.video, options.detections):
            results.write(number, tracks)


if __name__ == "__main__":
    main()
