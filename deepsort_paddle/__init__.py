"""Multi-object tracking of people with a learned appearance model, on PaddlePaddle.

The public names load when they are first used, so that ``import deepsort_paddle`` stays
quick and pulls in neither Paddle nor OpenCV.
"""

from __future__ import annotations

import sys
from importlib import import_module

from deepsort_paddle._version import __version__

TYPE_CHECKING = False  # type checkers take it for True; importing typing would double the time of this file
if TYPE_CHECKING:
    from typing import Any

    from deepsort_paddle.appearance.encoder import AppearanceEncoder
    from deepsort_paddle.batch.many import track_many, track_videos
    from deepsort_paddle.batch.video_result import VideoResult
    from deepsort_paddle.command.result import RunResult
    from deepsort_paddle.command.track import track_video
    from deepsort_paddle.counting.counter import TrackCounter
    from deepsort_paddle.counting.places import Line, Zone
    from deepsort_paddle.detection.detector import make_detector, open_detector
    from deepsort_paddle.frames import Frame
    from deepsort_paddle.media.source import open_source
    from deepsort_paddle.media.video_writer import VideoWriter
    from deepsort_paddle.motchallenge.sequence import SequenceInfo
    from deepsort_paddle.motchallenge.text import TrackWriter, read_detections, read_ground_truth, read_tracks
    from deepsort_paddle.output.draw import Trails, draw_tracks
    from deepsort_paddle.output.protocol import Output, StopTracking
    from deepsort_paddle.people.identities import find_identities
    from deepsort_paddle.people.index_file import TrackIndex
    from deepsort_paddle.people.index_writer import TrackIndexWriter
    from deepsort_paddle.people.person_index import PersonIndex
    from deepsort_paddle.pipeline.stages import skip_broken, track_frames
    from deepsort_paddle.plan.run_plan import RunPlan
    from deepsort_paddle.structures import Detections, Tracks
    from deepsort_paddle.tracked_frame import TrackedFrame
    from deepsort_paddle.tracking.presets import PRESETS
    from deepsort_paddle.tracking.tracker import DeepSort

_HOME = {
    "AppearanceEncoder": "appearance.encoder",
    "DeepSort": "tracking.tracker",
    "Detections": "structures",
    "Frame": "frames",
    "Line": "counting.places",
    "Output": "output.protocol",
    "PRESETS": "tracking.presets",
    "PersonIndex": "people.person_index",
    "RunPlan": "plan.run_plan",
    "RunResult": "command.result",
    "SequenceInfo": "motchallenge.sequence",
    "StopTracking": "output.protocol",
    "TrackCounter": "counting.counter",
    "TrackIndex": "people.index_file",
    "TrackIndexWriter": "people.index_writer",
    "TrackWriter": "motchallenge.text",
    "TrackedFrame": "tracked_frame",
    "Tracks": "structures",
    "Trails": "output.draw",
    "VideoResult": "batch.video_result",
    "VideoWriter": "media.video_writer",
    "Zone": "counting.places",
    "draw_tracks": "output.draw",
    "find_identities": "people.identities",
    "make_detector": "detection.detector",
    "open_detector": "detection.detector",
    "open_source": "media.source",
    "read_detections": "motchallenge.text",
    "read_ground_truth": "motchallenge.text",
    "read_tracks": "motchallenge.text",
    "skip_broken": "pipeline.stages",
    "track_frames": "pipeline.stages",
    "track_many": "batch.many",
    "track_video": "command.track",
    "track_videos": "batch.many",
}

__all__ = [
    "PRESETS",
    "AppearanceEncoder",
    "DeepSort",
    "Detections",
    "Frame",
    "Line",
    "Output",
    "PersonIndex",
    "RunPlan",
    "RunResult",
    "SequenceInfo",
    "StopTracking",
    "TrackCounter",
    "TrackIndex",
    "TrackIndexWriter",
    "TrackWriter",
    "TrackedFrame",
    "Tracks",
    "Trails",
    "VideoResult",
    "VideoWriter",
    "Zone",
    "__version__",
    "draw_tracks",
    "find_identities",
    "make_detector",
    "open_detector",
    "open_source",
    "read_detections",
    "read_ground_truth",
    "read_tracks",
    "skip_broken",
    "track_frames",
    "track_many",
    "track_video",
    "track_videos",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"deepsort_paddle.{_HOME[name]}"), name)
    # With these two Python says what may have been meant.
    raise AttributeError(
        f"module 'deepsort_paddle' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )


def __dir__() -> list[str]:
    return __all__
