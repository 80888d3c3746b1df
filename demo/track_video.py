"""Track people through a video with your own loop: the public interface in one page.

Example:
    python demo/track_video.py video.mp4 --detections det.txt --reid weights/resnet50vd
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import TrackWriter, read_detections
from deepsort_paddle.output.draw import Trails, draw_tracks
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracking.tracker import DeepSort


def main() -> None:
    """Read frames, look up their detections, embed them, track, draw, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--detections", type=Path, required=True, help="MOTChallenge text")
    parser.add_argument("--reid", type=Path, help="appearance model (default: motion only)")
    parser.add_argument("--output", type=Path, default=Path("tracks.txt"), help="MOTChallenge text")
    parser.add_argument("--save-video", type=Path, default=Path("tracked.mp4"))
    options = parser.parse_args()

    found = read_detections(options.detections)
    encoder = AppearanceEncoder(options.reid) if options.reid else None
    preset = "motion" if encoder is None else "strong"
    trails = Trails()
    with (
        open_source(options.video) as frames,
        TrackWriter(options.output) as results,
        VideoWriter(options.save_video, fps=frames.fps or 25) as video,
    ):
        tracker = DeepSort.from_preset(preset, encoder=encoder, frame_rate=frames.fps or 25)
        for frame in frames:
            detections = found.get(frame.number, Detections.empty())
            if frame.image is None:  # a broken frame; the tracks age all the same
                tracker.update(detections)
                continue
            if encoder is not None:
                embeddings = encoder(frame.image, detections.boxes)
                detections = Detections.of(
                    detections.boxes, detections.confidence, detections.class_id, embeddings
                )
            tracks = tracker.update(detections)  # on every frame, also without detections
            results.write(frame.number, tracks)
            video.write(draw_tracks(frame.image, tracks, trails=trails.update(tracks)), frame.timestamp)


if __name__ == "__main__":
    main()
