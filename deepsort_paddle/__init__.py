"""Multi-object tracking of people with a learned appearance model, on PaddlePaddle.

The public names load when they are first used, so that ``import deepsort_paddle`` stays
quick and pulls in neither Paddle nor OpenCV.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepsort_paddle._version import __version__

if TYPE_CHECKING:
    from deepsort_paddle.counting import TrackCounter
    from deepsort_paddle.counts import Line, Zone
    from deepsort_paddle.detector import make_detector
    from deepsort_paddle.draw import Trails, draw_tracks
    from deepsort_paddle.encoder import AppearanceEncoder
    from deepsort_paddle.frames import Frame
    from deepsort_paddle.many import VideoResult, track_many
    from deepsort_paddle.mot import TrackWriter, read_detections, read_ground_truth, read_tracks
    from deepsort_paddle.pipeline import TrackedFrame, skip_broken, track_frames
    from deepsort_paddle.presets import PRESETS
    from deepsort_paddle.sequence import SequenceInfo
    from deepsort_paddle.structures import Detections, Tracks
    from deepsort_paddle.tracker import DeepSort
    from deepsort_paddle.video import open_source
    from deepsort_paddle.video_writer import VideoWriter

_HOME = {
    "AppearanceEncoder": "encoder",
    "DeepSort": "tracker",
    "Detections": "structures",
    "Frame": "frames",
    "Line": "counts",
    "PRESETS": "presets",
    "SequenceInfo": "sequence",
    "TrackCounter": "counting",
    "TrackWriter": "mot",
    "TrackedFrame": "pipeline",
    "Tracks": "structures",
    "Trails": "draw",
    "VideoResult": "many",
    "VideoWriter": "video_writer",
    "Zone": "counts",
    "draw_tracks": "draw",
    "make_detector": "detector",
    "open_source": "video",
    "read_detections": "mot",
    "read_ground_truth": "mot",
    "read_tracks": "mot",
    "skip_broken": "pipeline",
    "track_frames": "pipeline",
    "track_many": "many",
}

__all__ = [
    "PRESETS",
    "AppearanceEncoder",
    "DeepSort",
    "Detections",
    "Frame",
    "Line",
    "SequenceInfo",
    "TrackCounter",
    "TrackWriter",
    "TrackedFrame",
    "Tracks",
    "Trails",
    "VideoResult",
    "VideoWriter",
    "Zone",
    "__version__",
    "draw_tracks",
    "make_detector",
    "open_source",
    "read_detections",
    "read_ground_truth",
    "read_tracks",
    "skip_broken",
    "track_frames",
    "track_many",
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
