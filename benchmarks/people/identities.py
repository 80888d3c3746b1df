"""Measure the joining of a video's tracks: IDF1, HOTA, AssA and the number of identities.

    python benchmarks/people/identities.py [--data DIR] [--reid DIR] [--cache DIR] [--sets yolox public ...]
        [--output FILE.md]

Each sequence is tracked with each preset, online and with --offline; then the tracks of one person get one
id, by `find_identities` as ``--identities`` does. The sets: ``yolox`` and ``public``, PETS09-S2L1 1-400,
ADL-Rundle-6 and TUD-Stadtmitte with those detections; ``mot17-05``, FRCNN detections with DeepSORT's
embeddings; ``crowd``, made up. The command ends with 1 when a run loses more than 0.05 of IDF1 or HOTA.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "accuracy"))
from accuracy_data import REAL, Sequence, crowd, mot17_with_looks, real

from deepsort_paddle import PRESETS, DeepSort
from deepsort_paddle.appearance.default_model import default_model
from deepsort_paddle.frames import Frame
from deepsort_paddle.motchallenge.metrics import evaluate, prepare_sequence
from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.people.identities import Identities, find_identities
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.pipeline.offline import Recorder
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

_NO_TIME = StageSeconds(0.0, 0.0, 0.0, 0.0)
# Weaker detections are for the preset that asks for them.
_CONFIDENCE = {"strong": 0.1, "deepsort": 0.3, "motion": 0.3}
_LOSS = 0.05


def track(sequence: Sequence, preset: str, *, offline: bool) -> list[TrackedFrame]:
    """Track the sequence; detections keep embeddings that the preset ignores."""
    limit = {"max_cosine_distance": sequence.max_cosine_distance, "frame_rate": sequence.frame_rate}
    tracker = DeepSort(**{**limit, **PRESETS[preset]})
    recorder, frames = Recorder(keep_embeddings=True), []
    for number, found in enumerate(sequence.frames, 1):
        detections = found[found.confidence >= np.float32(_CONFIDENCE[preset])]
        given = replace(detections, embeddings=None) if preset == "motion" else detections
        tracked = TrackedFrame(Frame(number, None, None), detections, tracker.update(given), _NO_TIME)
        if offline:
            recorder.add(tracked)
        else:
            frames.append(tracked)
    if offline:
        return list(
            recorder.frames(max_cosine_distance=limit["max_cosine_distance"], fps=limit["frame_rate"])
        )
    return frames


def index_of(sequence: Sequence, model: ReidModel, frames: list[TrackedFrame]) -> TrackIndex:
    """Return the track index of a run."""
    height, width = sequence.size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        with TrackIndexWriter(
            path, model=model, name=sequence.name, fps=sequence.frame_rate, width=width, height=height
        ) as writer:
            for tracked in frames:
                writer.write(tracked)
        return TrackIndex.read(path)


def figures(sequence: Sequence, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return HOTA, AssA and IDF1 in per cent.

    Args:
        sequence: with its truth.
        rows: ``(N, 6)`` frame, id and box.
    """
    ones = np.ones(len(rows))
    records = TrackRecords(
        rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:], ones, ones.astype(int), ones
    )
    name = sequence.name
    prepared = prepare_sequence(name, sequence.truth, records, frames=(1, sequence.last_frame))
    overall = evaluate([prepared]).overall
    return 100 * np.array([overall.hota, overall.assa, overall.idf1])


def compared(
    sequence: Sequence, model: ReidModel, preset: str, *, offline: bool
) -> tuple[int, Identities, NDArray[np.float64], NDArray[np.float64]]:
    """Return the number of tracks, the people, and the scores without and with joining."""
    frames = track(sequence, preset, offline=offline)
    index = index_of(sequence, model, frames)
    rows = np.concatenate(
        [
            np.column_stack([np.full(len(one.tracks), one.frame.number), one.tracks.ids, one.tracks.boxes])
            for one in frames
        ]
    )
    found = find_identities(index)
    before = figures(sequence, rows)
    if len(found) == len(index):
        return len(index), found, before, before
    joined = rows.copy()
    joined[:, 1] = index.ids[found.labels][np.searchsorted(index.ids, rows[:, 1].astype(np.int64))]
    return len(index), found, before, figures(sequence, joined)


def sequences(name: str, data: Path, reid: Path, cache: Path | None) -> Iterator[tuple[Sequence, ReidModel]]:
    """Return the sequences of a set, with the model of their embeddings."""
    if name == "crowd":
        made = crowd()
        yield made, ReidModel("crowd", "", made.max_cosine_distance)
    elif name == "mot17-05":
        half = mot17_with_looks(data)
        yield half, ReidModel("deepsort128", "", half.max_cosine_distance)
    else:
        for scene in REAL:
            yield real(data, scene, reid, cache, source=name), ReidModel.read(reid)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--reid", type=Path, default=default_model())
    parser.add_argument("--cache", type=Path, help="folder that caches embeddings")
    parser.add_argument("--sets", nargs="+", default=["yolox", "public", "mot17-05", "crowd"])
    parser.add_argument("--presets", nargs="+", default=list(_CONFIDENCE), choices=list(_CONFIDENCE))
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    lines = [
        "| sequence | preset | | tracks | people | HOTA | AssA | IDF1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    changes = []
    for name in options.sets:
        for sequence, model in sequences(name, options.data, options.reid, options.cache):
            truth = len(np.unique(sequence.truth.ids))
            for preset in options.presets:
                for offline in (False, True):
                    tracks, found, before, after = compared(sequence, model, preset, offline=offline)
                    changes.append(after - before)
                    cells = [f"{old:.1f} {new - old:+.1f}" for old, new in zip(before, after, strict=True)]
                    low, high = found.interval
                    lines.append(
                        f"| {sequence.name}, {name} ({truth} people) | {preset} | {'offline' * offline} | "
                        f"{tracks} | {len(found)} ({low} to {high}) | {' | '.join(cells)} |"
                    )
                    print(lines[-1], flush=True)
    mean, worst = np.mean(changes, axis=0), np.min(changes, axis=0)
    lines.append(
        f"\nMean change of HOTA, AssA, IDF1: {', '.join(f'{one:+.2f}' for one in mean)}; "
        f"worst: {', '.join(f'{one:+.2f}' for one in worst)} ({len(changes)} runs)"
    )
    print(lines[-1])
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")
    return int(bool((worst[[0, 2]] < -_LOSS).any()))


if __name__ == "__main__":
    sys.exit(main())
