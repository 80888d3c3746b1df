"""Compare DeepSORT as published with deep-sort-realtime on PETS09-S2L1, public detections.

Every detection is embedded once; both trackers receive the same boxes, scores, embeddings and settings. Only
frames 1 to 400 have ground truth.

    python benchmarks/accuracy/pets09.py PETS09-S2L1 --reid weights/resnet50vd
    python benchmarks/accuracy/pets09.py PETS09-S2L1 --reid weights/osnet_ain_x0_5 --precision float32 int8

With --precision: scores of our tracker by precision of the encoder.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deepsort_paddle import AppearanceEncoder, DeepSort, Detections, Tracks
from deepsort_paddle.media.source import open_source
from deepsort_paddle.motchallenge.metrics import Scores, evaluate, prepare_sequence
from deepsort_paddle.motchallenge.text import TrackWriter, read_detections, read_ground_truth, read_tracks
from deepsort_paddle.pipeline.stages import prepare_detections
from deepsort_paddle.research.evaluate import format_scores

FRAMES = (1, 400)
SETTINGS = {"max_age": 30, "n_init": 3, "max_iou_distance": 0.7}


def embedded(sequence: Path, encoder: AppearanceEncoder, min_confidence: float) -> Iterator[Detections]:
    """Yield the detections of each frame, with embeddings."""
    found = read_detections(sequence / "det" / "det.txt")
    with open_source(sequence / "vtest.avi") as frames:
        for frame in frames:
            if frame.number > FRAMES[1]:
                return
            detections = prepare_detections(
                found.get(frame.number, Detections.empty()), min_confidence=min_confidence
            )
            assert frame.image is not None
            yield Detections.of(
                detections.boxes,
                detections.confidence,
                detections.class_id,
                encoder(frame.image, detections.boxes),
            )


def ours(frames: list[Detections], max_cosine_distance: float, coast: int) -> Iterator[Tracks]:
    """Yield our tracks."""
    tracker = DeepSort(max_cosine_distance=max_cosine_distance, coast=coast, **SETTINGS)  # type: ignore[arg-type]
    for detections in frames:
        yield tracker.update(detections)


def classic(frames: list[Detections], max_cosine_distance: float, coast: int) -> Iterator[Tracks]:
    """Yield deep-sort-realtime's tracks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from deep_sort_realtime.deepsort_tracker import DeepSort as Classic
    tracker = Classic(
        embedder=None, nn_budget=100, nms_max_overlap=1.0, max_cosine_distance=max_cosine_distance, **SETTINGS
    )
    for detections in frames:
        boxes_tlwh = detections.boxes.copy()
        boxes_tlwh[:, 2:] -= boxes_tlwh[:, :2]
        assert detections.embeddings is not None
        raw = [
            (box, float(score), 0)
            for box, score in zip(boxes_tlwh.tolist(), detections.confidence, strict=True)
        ]
        tracks = tracker.update_tracks(raw, embeds=list(detections.embeddings))
        shown = [track for track in tracks if track.is_confirmed() and track.time_since_update <= coast]
        count = len(shown)
        yield Tracks(
            ids=np.array([int(track.track_id) for track in shown], np.int64),
            boxes=np.array([track.to_ltrb() for track in shown], np.float64).reshape(-1, 4),
            confidence=np.ones(count, np.float32),
            class_id=np.zeros(count, np.int64),
            detection_index=np.full(count, -1),
            frames_since_update=np.array([track.time_since_update for track in shown], np.int64),
        )


def scores(name: str, sequence: Path, answers: Iterator[Tracks], folder: Path) -> Scores:
    """Evaluate tracks through a results file, as a user does."""
    results = folder / f"{name.replace(' ', '_')}.txt"
    with TrackWriter(results) as writer:
        for number, tracks in enumerate(answers, 1):
            writer.write(number, tracks)
    truth = read_ground_truth(sequence / "gt" / "gt.txt")
    return evaluate([prepare_sequence(name, truth, read_tracks(results), frames=FRAMES)]).sequences[0]


def compare_precisions(options: argparse.Namespace) -> None:
    """Print a row for each precision, with the same threshold for all."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in options.precision:
            encoder = AppearanceEncoder(options.reid, backend=options.backend, precision=precision)
            frames = list(embedded(options.sequence, encoder, options.min_confidence))
            for limit in options.max_cosine_distance or [encoder.max_cosine_distance]:
                title = f"{precision} {limit:g}"
                rows.append(scores(title, options.sequence, ours(frames, limit, 0), Path(folder)))
    print(format_scores(rows))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sequence", type=Path, help="folder with vtest.avi, det/det.txt and gt/gt.txt")
    parser.add_argument("--reid", type=Path, default=Path("weights/resnet50vd"))
    parser.add_argument("--min-confidence", type=float, default=0.3)
    parser.add_argument("--max-cosine-distance", type=float, nargs="*", help="default: the model's own")
    parser.add_argument("--precision", nargs="+", help="as deepsort-track --precision")
    parser.add_argument("--backend", default="auto", help="as deepsort-track --backend, with --precision")
    options = parser.parse_args()
    if options.precision:
        compare_precisions(options)
        return
    encoder = AppearanceEncoder(options.reid)
    frames = list(embedded(options.sequence, encoder, options.min_confidence))
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BrokenPipeError):
        for threshold in options.max_cosine_distance or [encoder.max_cosine_distance]:
            for coast in (0, 1):
                for name, run in (("ours", ours), ("deep-sort-realtime", classic)):
                    title = f"{name} {threshold:g} coast {coast}"
                    rows.append(scores(title, options.sequence, run(frames, threshold, coast), Path(folder)))
    print(format_scores(rows))


if __name__ == "__main__":
    main()
