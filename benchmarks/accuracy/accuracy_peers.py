"""Run other trackers on a file of detections; `accuracy.py` starts this script in their environment.

    PEERS_PYTHON benchmarks/accuracy/accuracy_peers.py INPUT.npz OUTPUT.npz

It needs numpy and any of deep-sort-realtime, norfair, trackers (with supervision), boxmot and ultralytics;
the others are skipped with a note. Every tracker runs with the defaults of its package, with two exceptions:
camera motion from images is off, because no tracker receives images, and a threshold on the cosine distance
with the same meaning as ours (deep-sort-realtime, norfair) is that of the data set. TrackTrack can also use
detections that the detector's NMS removed; here it gets none. The packages are called, nothing of theirs is
part of this project: ultralytics and boxmot are under the AGPL.

    PEERS_PYTHON benchmarks/accuracy/accuracy_peers.py --versions
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import distributions
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

warnings.simplefilter("ignore")

# From boxes, confidence and embeddings (or None) of one frame to ids and boxes.
Update = Callable[[Any, Any, Any], "tuple[Any, Any]"]


def nothing() -> tuple[Any, Any]:
    """Return no tracks."""
    return np.zeros(0, int), np.zeros((0, 4))


def deep_sort_realtime(meta: dict[str, Any]) -> Update:
    """Run deep-sort-realtime."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    if not meta["appearance"]:
        raise ImportError("it needs embeddings")
    tracker = DeepSort(embedder=None, nn_budget=100, max_cosine_distance=meta["max_cosine_distance"])

    def update(boxes: Any, confidence: Any, embeddings: Any) -> tuple[Any, Any]:
        sure = confidence >= 0.3
        tlwh = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])[sure].tolist()
        raw = [(box, float(score), 0) for box, score in zip(tlwh, confidence[sure], strict=True)]
        tracks = tracker.update_tracks(raw, embeds=list(embeddings[sure]))
        shown = [track for track in tracks if track.is_confirmed() and track.time_since_update == 0]
        if not shown:
            return nothing()
        return np.array([int(t.track_id) for t in shown]), np.array([t.to_ltrb() for t in shown])

    return update


def norfair(meta: dict[str, Any], reid: bool) -> Update:
    """Run norfair, by IoU as its documentation advises; with re-ID it compares ``past_detections``."""
    import norfair as package

    if reid and not meta["appearance"]:
        raise ImportError("it needs embeddings")

    def look(new: Any, old: Any) -> float:
        mine, theirs = new.last_detection.embedding, old.last_detection.embedding
        return float(1 - mine @ theirs)

    more: dict[str, Any] = {}
    if reid:
        more = {
            "reid_distance_function": look,
            "reid_distance_threshold": meta["max_cosine_distance"],
            "reid_hit_counter_max": 500,
        }
    tracker = package.Tracker(distance_function="iou", distance_threshold=0.7, **more)

    def update(boxes: Any, confidence: Any, embeddings: Any) -> tuple[Any, Any]:
        found = [
            package.Detection(
                box.reshape(2, 2),
                scores=np.full(2, score),
                embedding=None if embeddings is None else embeddings[row],
            )
            for row, (box, score) in enumerate(zip(boxes, confidence, strict=True))
            if score >= 0.3
        ]
        shown = tracker.update(detections=found)
        if not shown:
            return nothing()
        return np.array([t.id for t in shown]), np.array([t.estimate.reshape(4) for t in shown])

    return update


def roboflow(meta: dict[str, Any], name: str, **options: Any) -> Update:
    """Run a tracker of trackers."""
    import supervision
    import trackers

    tracker = getattr(trackers, name)(frame_rate=meta["frame_rate"], **options)

    def update(boxes: Any, confidence: Any, _: Any) -> tuple[Any, Any]:
        found = supervision.Detections(
            xyxy=boxes.astype(np.float32), confidence=confidence, class_id=np.zeros(len(boxes), int)
        )
        tracks = tracker.update(found)
        if tracks.tracker_id is None or len(tracks) == 0:
            return nothing()
        known = tracks.tracker_id >= 0
        return tracks.tracker_id[known], tracks.xyxy[known]

    return update


class KnownEmbeddings:
    """Replace boxmot's network: return the embeddings of known boxes."""

    def __init__(self) -> None:
        self.boxes, self.embeddings = np.zeros((0, 4)), np.zeros((0, 1), np.float32)

    def get_features(self, boxes: Any, _: Any = None) -> Any:
        """Return the embeddings of ``(N, 4)`` boxes of this frame."""
        boxes = np.asarray(boxes)[:, :4]
        nearest = np.abs(boxes[:, None] - self.boxes[None]).sum(axis=2).argmin(axis=1)
        return self.embeddings[nearest]


class StaticCamera:
    """Replace boxmot's camera motion by none."""

    enabled = False

    def apply(self, *_: Any, **__: Any) -> Any:
        """Return no motion."""
        return np.eye(2, 3)


def boxmot(meta: dict[str, Any], module: str, name: str, reid: bool, **options: Any) -> Update:
    """Run a tracker of boxmot."""
    from importlib import import_module

    if reid and not meta["appearance"]:
        raise ImportError("it needs embeddings")
    looks = KnownEmbeddings()
    if reid:
        options["reid_model"] = looks
    tracker = getattr(import_module(f"boxmot.trackers.box.{module}.tracker"), name)(**options)
    if getattr(tracker, "cmc", None) is not None:
        tracker.cmc = StaticCamera()
    height, width = meta["size"]
    image = np.zeros((height, width, 3), np.uint8)

    def update(boxes: Any, confidence: Any, embeddings: Any) -> tuple[Any, Any]:
        looks.boxes, looks.embeddings = boxes, embeddings
        rows = np.hstack([boxes, confidence[:, None], np.zeros((len(boxes), 1))]).astype(np.float32)
        tracks = np.asarray(tracker.update(rows, image))
        if tracks.size == 0:
            return nothing()
        return tracks[:, 4].astype(int), tracks[:, :4]

    return update


def tracktrack(meta: dict[str, Any], reid: bool) -> Update:
    """TrackTrack as ultralytics has it; with re-ID it gets our embeddings as the detector's features."""
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.track_tracker import TRACKTRACK
    from ultralytics.utils import ROOT, YAML, IterableSimpleNamespace

    if reid and not meta["appearance"]:
        raise ImportError("it needs embeddings")
    settings = YAML.load(ROOT / "cfg" / "trackers" / "tracktrack.yaml")
    tracker = TRACKTRACK(IterableSimpleNamespace(**settings | {"gmc_method": "none", "with_reid": reid}))
    image = np.zeros((*meta["size"], 3), np.uint8)

    def update(boxes: Any, confidence: Any, embeddings: Any) -> tuple[Any, Any]:
        rows = np.hstack([boxes, confidence[:, None], np.zeros((len(boxes), 1))]).astype(np.float32)
        found = Boxes(rows, meta["size"])
        tracks = np.asarray(tracker.update(found, image, feats=embeddings if reid else None))
        if tracks.size == 0:
            return nothing()
        return tracks[:, 4].astype(int), tracks[:, :4]

    return update


PEERS: dict[str, Callable[[dict[str, Any]], Update]] = {
    "deep-sort-realtime": deep_sort_realtime,
    "norfair": lambda meta: norfair(meta, False),
    "norfair re-ID": lambda meta: norfair(meta, True),
    "trackers SORT": lambda meta: roboflow(meta, "SORTTracker"),
    "trackers ByteTrack": lambda meta: roboflow(meta, "ByteTrackTracker"),
    "trackers OC-SORT": lambda meta: roboflow(meta, "OCSORTTracker"),
    "trackers BoT-SORT": lambda meta: roboflow(meta, "BoTSORTTracker", enable_cmc=False),
    "trackers C-BIoU": lambda meta: roboflow(meta, "CBIoUTracker"),
    "boxmot ByteTrack": lambda meta: boxmot(meta, "bytetrack", "ByteTrack", False),
    "boxmot OC-SORT": lambda meta: boxmot(meta, "ocsort", "OcSort", False),
    "boxmot BoT-SORT": lambda meta: boxmot(
        meta, "botsort", "BotSort", True, use_cmc=False, frame_rate=round(meta["frame_rate"])
    ),
    "boxmot StrongSORT": lambda meta: boxmot(meta, "strongsort", "StrongSort", True),
    "boxmot Deep OC-SORT": lambda meta: boxmot(meta, "deepocsort", "DeepOcSort", True, cmc_off=True),
    "boxmot HybridSORT": lambda meta: boxmot(meta, "hybridsort", "HybridSort", True),
    "boxmot BoostTrack": lambda meta: boxmot(meta, "boosttrack", "BoostTrack", True, use_cmc=False),
    "boxmot OccluBoost": lambda meta: boxmot(meta, "occluboost", "OccluBoost", True, use_cmc=False),
    "ultralytics TrackTrack": lambda meta: tracktrack(meta, False),
    "ultralytics TrackTrack re-ID": lambda meta: tracktrack(meta, True),
}
PACKAGES = ("deep-sort-realtime", "norfair", "trackers", "boxmot", "ultralytics", "supervision", "torch")


def run(update: Update, columns: dict[str, Any], length: int) -> tuple[Any, float]:
    """Return rows frame, id, x1, y1, x2, y2 of all frames, and CPU milliseconds per frame."""
    rows, spent = [], 0.0
    embeddings = columns.get("embeddings")
    for number in range(1, length + 1):
        here = columns["frame"] == number
        look = None if embeddings is None else embeddings[here]
        start = time.process_time()
        ids, boxes = update(columns["boxes"][here], columns["confidence"][here], look)
        spent += time.process_time() - start
        _, first = np.unique(ids, return_index=True)
        rows.append(np.column_stack([np.full(len(first), number), ids[first], boxes[first]]))
    return np.concatenate(rows), 1e3 * spent / length


def main(source: str, target: str) -> None:
    """Run every installed peer on one sequence."""
    with np.load(source) as archive:
        columns = {name: archive[name] for name in archive.files}
    meta = json.loads(str(columns.pop("meta")))
    results: dict[str, Any] = {}
    for name, make in PEERS.items():
        try:
            rows, milliseconds = run(make(meta), columns, meta["length"])
        except Exception as error:
            sys.stderr.write(f"{meta['name']}: {name} skipped: {type(error).__name__}: {error}\n")
            continue
        results[name] = rows
        results[f"{name} ms"] = np.array(milliseconds)
    np.savez(target, **results)


def versions() -> str:
    """The packages that are installed here, with their versions."""
    installed = {one.metadata["Name"].lower(): one.version for one in distributions()}
    return ", ".join(f"{name} {installed[name]}" for name in PACKAGES if name in installed)


if __name__ == "__main__":
    if sys.argv[1:] == ["--versions"]:
        sys.stdout.write(f"{versions()}\n")
    else:
        main(*sys.argv[1:])
