"""Measure the presets, each option and other trackers on the same detections and embeddings.

Sets of sequences, each one table:

- ``yolox``: PETS09-S2L1 (frames 1 to 400), ADL-Rundle-6 and TUD-Stadtmitte with YOLOX-nano detections;
- ``public``, ``nanodet``, ``hog``: the same with the public detections of 2015 or another detector;
- ``moving``: the same seen through a window that moves and shakes over the frames (YOLOX-nano);
- ``mot17``: MOT17 half-val 02, 05, 10, 13 with YOLOX-x detections, no frames and no embeddings;
- ``mot17-05``: MOT17-05 with public FRCNN detections and real DeepSORT embeddings;
- ``crowd``: synthetic, with known truth.

All but the last are research data outside the repository (--data).

    python benchmarks/accuracy/accuracy.py --cache CACHE              # presets on all sets
    python benchmarks/accuracy/accuracy.py --cache CACHE --ablation   # and each option changed
    python benchmarks/accuracy/accuracy.py --cache CACHE --peers PYTHON   # and other trackers, run by PYTHON
    python benchmarks/accuracy/accuracy.py --cache CACHE --sets public --reid FOLDER        # other weights
    python benchmarks/accuracy/accuracy.py --cache CACHE --sets yolox mot17-05 --copies 4   # more sequences
    python benchmarks/accuracy/accuracy.py --cache CACHE --sets yolox crowd --needed        # --encode needed

Metrics are TrackEval's, over all sequences of a set (`motchallenge.frame_sums`). ms: CPU milliseconds per
frame of the tracker alone, on one thread. As in `deepsort-track`, ``motion`` and ``strong`` use the camera's
motion from the images where a set has some, ``deepsort`` does not. Gains are those over the first row, and of
`--offline` and of changed options over the row of their preset, with 95 % bootstrap intervals over sequences
and blocks of 50 frames. The last columns are HOTA / IDF1 / MOTA of each sequence.

With few people, one more switch changes IDF1 by points. --copies tracks variants of each sequence, half of
them from the last frame to the first, all but the first two with 5 % of the detections missing, and evaluates
them together.
"""

from __future__ import annotations

import os

# Set before NumPy is imported: all figures are for one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from accuracy_data import DETECTORS, MOT17, REAL, crowd, mot17, mot17_with_looks, real, variants
from accuracy_data import Sequence as Scene
from numpy.typing import NDArray

from deepsort_paddle import DeepSort
from deepsort_paddle.frames import Frame
from deepsort_paddle.motchallenge.frame_sums import FIGURES, FrameSums, count_frames, figures, interval
from deepsort_paddle.motchallenge.metrics import PreparedSequence, prepare_sequence
from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.pipeline.offline import Recorder
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
# The lowest confidence of the published runs; below it, the published tracker would follow noise.
FAITHFUL = {"min_confidence": 0.3}
# The figures that are compared, with intervals, and given for each sequence.
SHOWN = [FIGURES.index(name) for name in ("HOTA", "IDF1", "MOTA")]
NOTHING: Mapping[str, Any] = MappingProxyType({})
# Options to change one at a time, by preset.
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "motion": {
        "without camera from boxes": {"min_camera_pairs": 0},
        "coasting after any match": {"coast_after": 1},
        "filter's boxes": {"detection_weight": 0.0},
        "published velocity noise": {"velocity_noise": 1.0},
        "matched tracks only": {"coast": 0},
        "without low-score stage": {"min_confidence": 0.6},
        "without confirmed first": {"confirmed_first": False},
        "observation-centred": {"observation_centred": True},
        "noise by confidence": {"noise_by_confidence": True},
        "direction 0.2": {"direction_weight": 0.2},
        "height 0.5": {"height_weight": 0.5},
        "confidence in cost": {"confidence_weight": 1.0},
        "margin 0.15": {"box_margin": 0.15},
        "duplicates 0.85": {"max_duplicate_iou": 0.85},
    },
    "strong": {
        "without camera from boxes": {"min_camera_pairs": 0},
        "coasting after any match": {"coast_after": 1},
        "without low-score stage": {"min_confidence": 0.3},
        "high as motion": {"high_confidence": 0.6},
        "new tracks from 0.6": {"new_track_confidence": 0.6},
        "new tracks from 0.8": {"new_track_confidence": 0.8},
        "nearest embedding alone": {"gallery_neighbours": 1},
        "running mean 0.9": {"gallery_momentum": 0.9},
        "30 frames, not 2.5 s": {"iou_max_age": 30, "reactivate_seconds": 10.0},
        "5 seconds": {"max_seconds": 5.0},
        "filter's boxes": {"detection_weight": 0.0},
        "2 to confirm": {"n_init": 2},
        "cascade, not blended": {"appearance_weight": 0.0},
        "observation-centred": {"observation_centred": True},
        "velocity noise 2": {"velocity_noise": 2.0},
        "matched tracks only": {"coast": 0},
        "noise by confidence": {"noise_by_confidence": True},
        "direction 0.2": {"direction_weight": 0.2},
        "height 0.5": {"height_weight": 0.5},
        "duplicates 0.85": {"max_duplicate_iou": 0.85},
        "without re-activation": {"reactivate_ratio": 0.0},
    },
}


@dataclass(frozen=True, slots=True)
class Run:
    """One sequence tracked.

    Attributes:
        rows: ``(K, 6)`` frame, id, x1, y1, x2, y2.
        ms: CPU milliseconds a frame.
        encoded: embeddings that the tracker got.
        refined: the same tracks refined afterwards, where asked for.
    """

    rows: NDArray[np.float64]
    ms: float
    encoded: int = 0
    refined: Run | None = None


def track(
    scene: Scene,
    preset: str,
    changes: Mapping[str, Any] = NOTHING,
    *,
    offline: bool = False,
    refresh: int = 0,
    images: bool = False,
) -> Run:
    """Track a sequence by a preset with changes.

    Args:
        scene: the sequence.
        preset: its name.
        changes: options on top of it.
        offline: also refine the tracks afterwards.
        refresh: above 0, only with the embeddings that `SelectiveEncoding` asks for.
        images: with the camera's motion from the images, where the sequence has them.
    """
    own = {**FAITHFUL} if preset == "deepsort" else {}
    own["max_cosine_distance"] = scene.max_cosine_distance
    tracker = DeepSort.from_preset(preset, frame_rate=scene.frame_rate, **{**own, **changes})
    needed = SelectiveEncoding(tracker, refresh=refresh) if refresh else None
    recorder, none = Recorder(), StageSeconds(0, 0, 0, 0)
    rows, spent, encoded = [], 0.0, 0
    for number, given in enumerate(scene.frames, 1):
        start = time.process_time()
        detections, looks = given, given.embeddings
        if needed is not None and looks is not None:
            wanted = needed(replace(given, embeddings=None))
            some = np.zeros_like(looks)
            some[wanted] = looks[wanted]
            detections = replace(given, embeddings=some)
            encoded += len(wanted)
        else:
            encoded += len(given)
        motion = scene.camera_motion[number - 1] if images and scene.camera_motion is not None else None
        tracks = tracker.update(detections, camera_motion=motion)
        spent += time.process_time() - start
        if offline:
            recorder.add(TrackedFrame(Frame(number, None, None), detections, tracks, none, motion))
        rows.append(np.column_stack([np.full(len(tracks), number), tracks.ids, tracks.boxes]))
    milliseconds = 1e3 * spent / len(scene.frames)
    if not offline:
        return Run(np.concatenate(rows), milliseconds, encoded)
    start = time.process_time()
    limit = None if tracker.options.reactivate_ratio else scene.max_cosine_distance
    refined = list(
        recorder.frames(max_cosine_distance=limit, fps=scene.frame_rate, n_init=tracker.options.n_init)
    )
    spent += time.process_time() - start
    later = [
        np.column_stack([np.full(len(one.tracks), one.frame.number), one.tracks.ids, one.tracks.boxes])
        for one in refined
    ]
    afterwards = Run(np.concatenate(later), 1e3 * spent / len(scene.frames), encoded)
    return Run(np.concatenate(rows), milliseconds, encoded, afterwards)


class Table:
    """Prints a table of Markdown, one row a tracker.

    Args:
        name: of the set, in the head of the table.
        scenes: its sequences.
    """

    def __init__(self, name: str, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes
        self._first: list[FrameSums] | None = None
        columns = [name, *FIGURES, "ms", "HOTA gained", "IDF1 gained", "MOTA gained"]
        if len(scenes) > 1:
            columns += [scene.name for scene in scenes]
        print(f"\n{_row(columns)}\n{_row(['---'] * len(columns))}", flush=True)

    def add(
        self, label: str, runs: Sequence[Run], against: Sequence[FrameSums] | None = None
    ) -> Sequence[FrameSums]:
        """Print a row, and return what was counted.

        Args:
            label: of the row.
            runs: one for each sequence.
            against: what the gains are measured from; None for the first row.
        """
        scenes = self._scenes
        counts = [count_frames(prepared(scene, run)) for scene, run in zip(scenes, runs, strict=True)]
        total = _total(counts)
        frames = np.array([len(scene.frames) for scene in scenes])
        spent = float((frames * [run.ms for run in runs]).sum() / frames.sum())
        cells = [label, *(f"{one:.1f}" for one in total[:-1]), f"{total[-1]:.0f}", f"{spent:.2f}"]
        against = against or self._first
        if against is None:
            self._first = counts
            cells += [""] * len(SHOWN)
        else:
            low, high = interval(counts, against)
            gap = total - _total(against)
            cells += [f"{gap[place]:+.1f} [{low[place]:+.1f}, {high[place]:+.1f}]" for place in SHOWN]
        if len(counts) > 1:
            for count in counts:
                each = figures(count.sums.sum(axis=0))
                cells.append(" / ".join(f"{each[place]:.1f}" for place in SHOWN))
        print(_row(cells), flush=True)
        return counts


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _total(counts: Sequence[FrameSums]) -> NDArray[np.float64]:
    """Figures of several sequences together, ``(6,)``."""
    return figures(np.sum([count.sums.sum(axis=0) for count in counts], axis=0))


def prepared(scene: Scene, run: Run) -> PreparedSequence:
    """Compare the boxes of a run with the truth."""
    rows, ones = run.rows, np.ones(len(run.rows))
    table = TrackRecords(
        rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:], ones, ones.astype(int), ones
    )
    return prepare_sequence(scene.name, scene.truth, table, frames=(1, scene.last_frame))


def ours(table: Table, given: Sequence[Scene], names: Sequence[str], ablation: bool) -> None:
    """Rows of the presets, of their tracks refined afterwards and, if asked for, of each change."""
    blind = [scene.without_looks() for scene in given]
    for name in names:
        scenes = blind if name == "motion" else given  # deepsort-track has no encoder with it either
        images = name != "deepsort"
        runs = [track(scene, name, offline=True, images=images) for scene in scenes]
        online = table.add(f"**{name}**", runs)
        table.add(f"{name} `--offline`", [run.refined for run in runs if run.refined], online)
        for label, change in CHANGES.get(name, {}).items() if ablation else ():
            table.add(label, [track(scene, name, change, images=images) for scene in scenes], online)


def selective(table: Table, scenes: Sequence[Scene]) -> None:
    """Rows of the presets with appearance: all detections encoded, and those that are needed."""
    given = sum(len(frame) for scene in scenes for frame in scene.frames)
    for name in ("deepsort", "strong"):
        table.add(f"preset {name}, all encoded", [track(scene, name) for scene in scenes])
        for refresh in (3, 5, 10):
            runs = [track(scene, name, refresh=refresh) for scene in scenes]
            share = 100 * sum(run.encoded for run in runs) / given
            table.add(f"  needed, refresh {refresh}: {share:.0f} % encoded", runs)


def peers(table: Table, scenes: Sequence[Scene], python: Path) -> None:
    """Rows of the other trackers, from a process in their own environment."""
    outputs: list[dict[str, NDArray[np.float64]]] = []
    for scene in scenes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(source, **as_arrays(scene))  # type: ignore[arg-type]
            script = Path(__file__).with_name("accuracy_peers.py")
            done = subprocess.run([python, script, source, target], capture_output=True, text=True)
            notes = [line for line in done.stderr.splitlines() if "skipped" in line]
            sys.stderr.write("".join(f"{note}\n" for note in notes))
            if done.returncode:
                raise OSError(f"{script.name} failed in {python}: {done.stderr[-500:]}")
            with np.load(target) as archive:
                outputs.append({name: archive[name] for name in archive.files})
    for name in [name for name in outputs[0] if not name.endswith(" ms")]:
        if all(name in output for output in outputs):
            table.add(name, [Run(output[name], float(output[f"{name} ms"])) for output in outputs])


def as_arrays(scene: Scene) -> dict[str, NDArray[Any]]:
    """A sequence as the columns that accuracy_peers.py reads."""
    looks = scene.frames[0].embeddings is not None
    meta = {
        "name": scene.name,
        "length": len(scene.frames),
        "size": scene.size,
        "frame_rate": scene.frame_rate,
        "appearance": looks,
        "max_cosine_distance": scene.max_cosine_distance,
    }
    columns: dict[str, NDArray[Any]] = {
        "meta": np.array(json.dumps(meta)),
        "frame": np.repeat(np.arange(1, len(scene.frames) + 1), [len(frame) for frame in scene.frames]),
        "boxes": np.concatenate([frame.boxes for frame in scene.frames]),
        "confidence": np.concatenate([frame.confidence for frame in scene.frames]),
    }
    if looks:
        columns["embeddings"] = np.concatenate([np.asarray(frame.embeddings) for frame in scene.frames])
    return columns


def scenes_of(name: str, data: Path, reid: Path, cache: Path | None) -> list[Scene]:
    """The sequences of a set.

    Raises:
        OSError: the data are not there.
    """
    if name == "mot17":
        return [mot17(data, one) for one in MOT17]
    if name == "mot17-05":
        return [mot17_with_looks(data)]
    if name == "crowd":
        return [crowd(seed=seed) for seed in range(3)]
    if name == "moving":
        return [real(data, one, reid, cache, source="yolox", moving=True) for one in REAL]
    return [real(data, one, reid, cache, source=name) for one in REAL]


def main() -> None:
    """Parse the command line and print the tables asked for."""
    usual = ("yolox", "public", "moving", "mot17", "mot17-05", "crowd")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    others = sorted(set(DETECTORS) - set(usual))
    parser.add_argument("--sets", nargs="+", choices=(*usual, *others), default=list(usual))
    parser.add_argument("--ablation", action="store_true", help="also each option changed")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="interpreter with the other trackers")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the research data")
    parser.add_argument("--reid", type=Path, nargs="+", default=[ROOT / "weights" / "osnet_ain_x0_5"])
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps detections and embeddings")
    parser.add_argument("--needed", action="store_true", help="compare --encode all and needed, nothing else")
    parser.add_argument("--copies", type=int, default=0, metavar="N", help="variants of each sequence")
    arguments = parser.parse_args()
    for name in arguments.sets:
        for reid in arguments.reid if name in ("public", "moving", *DETECTORS) else arguments.reid[:1]:
            try:
                scenes = scenes_of(name, arguments.data, reid, arguments.cache)
            except (OSError, ValueError) as error:
                print(f"{name}: skipped, {error}")
                continue
            scenes = [copy for scene in scenes for copy in variants(scene, arguments.copies)]
            own = name in ("public", "moving", *DETECTORS)  # the others bring embeddings or have none
            table = Table(f"{name}, `{reid.name}`" if own else name, scenes)
            if arguments.needed:
                selective(table, scenes)
                continue
            names = ["deepsort", "motion"] if name == "mot17" else ["deepsort", "motion", "strong"]
            ours(table, scenes, names, arguments.ablation)
            if arguments.peers is not None:
                peers(table, scenes, arguments.peers)


if __name__ == "__main__":
    main()
