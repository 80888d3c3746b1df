"""What each option brings and where other trackers stand, on the same detections and embeddings.

Data sets: `motion` is MOT17 half-val 02, 05, 10, 13 with YOLOX-x detections; `mot17-05` has FRCNN
detections and real DeepSORT embeddings; `pets` is PETS09-S2L1, frames 1 to 400, public detections and the
encoders given by --reid, one table each; `pets-yolox`, `pets-nanodet` and `pets-hog` are the same with what
these detectors find; `crowd` is made up, with known truth. All but the last are research data outside the
repository (--data).

    python benchmarks/accuracy/accuracy.py  # presets, the first five data sets
    python benchmarks/accuracy/accuracy.py --ablation                          # and each option put on or off
    python benchmarks/accuracy/accuracy.py --peers /path/to/venv/bin/python    # and other trackers
    python benchmarks/accuracy/accuracy.py --sets pets --reid FOLDER --peers PYTHON --cache CACHE
    python benchmarks/accuracy/accuracy.py --sets pets mot17-05 --copies 8     # how much of it is luck
    python benchmarks/accuracy/accuracy.py --sets pets crowd --needed  # what --encode needed costs and saves

A sequence of few people is a matter of few events: a switch more or less moves IDF1 by points. --copies
tracks variants of it, half of them from the last frame to the first, all but the first two with 5 % of the
detections missing, and counts them together.

HOTA, CLEAR and identity measures are TrackEval's, by deepsort_paddle.motchallenge.metrics, over the
sequences of a set together. ms: CPU milliseconds a frame of the tracker alone, on one thread.
"""

from __future__ import annotations

import os

# Before numpy is imported: the figures are those of one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from accuracy_data import MOT17, crowd, mot17, mot17_with_looks, pets, variants
from accuracy_data import Sequence as Scene
from numpy.typing import NDArray

from deepsort_paddle import DeepSort
from deepsort_paddle.frames import Frame
from deepsort_paddle.motchallenge.metrics import evaluate, prepare_sequence
from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.pipeline.offline import Recorder
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding
from deepsort_paddle.pipeline.stages import StageSeconds, TrackedFrame

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
# The published runs' lowest confidence; below, the faithful tracker would follow noise.
FAITHFUL = {"min_confidence": 0.3}
NOTHING: Mapping[str, Any] = MappingProxyType({})
# What is put on or off one at a time, from each preset.
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "motion": {
        "without camera from boxes": {"min_camera_pairs": 0},
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
    """

    rows: NDArray[np.float64]
    ms: float
    encoded: int = 0


def track(
    scene: Scene,
    preset: str,
    changes: Mapping[str, Any] = NOTHING,
    *,
    offline: bool = False,
    refresh: int = 0,
) -> Run:
    """Track a sequence by a preset with changes.

    Args:
        scene: the sequence.
        preset: its name.
        changes: options on top of it.
        offline: refine the tracks afterwards.
        refresh: above 0, only with the embeddings that `SelectiveEncoding` asks for.
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
        tracks = tracker.update(detections)
        if offline:
            recorder.add(TrackedFrame(Frame(number, None, None), detections, tracks, none))
        spent += time.process_time() - start
        rows.append(np.column_stack([np.full(len(tracks), number), tracks.ids, tracks.boxes]))
    if offline:
        start = time.process_time()
        refined = list(recorder.frames(max_cosine_distance=scene.max_cosine_distance, fps=scene.frame_rate))
        spent += time.process_time() - start
        rows = [
            np.column_stack([np.full(len(one.tracks), one.frame.number), one.tracks.ids, one.tracks.boxes])
            for one in refined
        ]
    return Run(np.concatenate(rows), 1e3 * spent / len(scene.frames), encoded)


def report(label: str, scenes: Sequence[Scene], results: Sequence[Run]) -> None:
    """Print one row of the table, and IDF1 / HOTA of each sequence behind it."""
    prepared = []
    for scene, run in zip(scenes, results, strict=True):
        rows = run.rows
        ones = np.ones(len(rows))
        table = TrackRecords(
            rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:], ones, ones.astype(int), ones
        )
        prepared.append(prepare_sequence(scene.name, scene.truth, table, frames=(1, scene.last_frame)))
    scores = evaluate(prepared, clear="trackeval")
    all_of = scores.overall
    figures = (all_of.hota, all_of.assa, all_of.deta, all_of.idf1, all_of.mota)
    frames = sum(len(scene.frames) for scene in scenes)
    spent = sum(run.ms * len(scene.frames) for scene, run in zip(scenes, results, strict=True)) / frames
    each = " ".join(f"{100 * one.hota:.1f}/{100 * one.idf1:.1f}" for one in scores.sequences)
    print(
        f"{label:38s}" + "".join(f"{100 * figure:7.2f}" for figure in figures),
        f"{all_of.id_switches:6d} {spent:6.2f}" + (f"   {each}" if len(scenes) > 1 else ""),
        flush=True,
    )


def ours(given: Sequence[Scene], names: Sequence[str], ablation: bool) -> None:
    """Rows of the presets and, if wanted, of each change."""
    blind = [scene.without_looks() for scene in given]
    for name in names:
        scenes = blind if name == "motion" else given  # deepsort-track has no encoder with it either
        report(f"preset {name}", scenes, [track(scene, name) for scene in scenes])
        report("  --offline", scenes, [track(scene, name, offline=True) for scene in scenes])
        for label, change in CHANGES.get(name, {}).items() if ablation else ():
            report(f"  {label}", scenes, [track(scene, name, change) for scene in scenes])


def selective(scenes: Sequence[Scene]) -> None:
    """Rows of the presets with appearance: all detections encoded, and those that are needed."""
    given = sum(len(frame) for scene in scenes for frame in scene.frames)
    for name in ("deepsort", "strong"):
        report(f"preset {name}, all encoded", scenes, [track(scene, name) for scene in scenes])
        for refresh in (3, 5, 10):
            runs = [track(scene, name, refresh=refresh) for scene in scenes]
            share = 100 * sum(run.encoded for run in runs) / given
            report(f"  needed, refresh {refresh}: {share:.0f} % encoded", scenes, runs)


def peers(scenes: Sequence[Scene], python: Path) -> None:
    """Rows of the other trackers, from a process in their own environment."""
    outputs: list[dict[str, NDArray[np.float64]]] = []
    for scene in scenes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(source, **as_arrays(scene))  # type: ignore[arg-type]
            script = Path(__file__).with_name("accuracy_peers.py")
            done = subprocess.run([python, script, source, target], capture_output=True, text=True)
            notes = [line for line in done.stderr.splitlines() if "left out" in line]
            sys.stderr.write("".join(f"{note}\n" for note in notes))
            if done.returncode:
                raise OSError(f"{script.name} failed in {python}: {done.stderr[-500:]}")
            with np.load(target) as archive:
                outputs.append({name: archive[name] for name in archive.files})
    for name in [name for name in outputs[0] if not name.endswith(" ms")]:
        if all(name in output for output in outputs):
            report(name, scenes, [Run(output[name], float(output[f"{name} ms"])) for output in outputs])


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


def main() -> None:
    """Parse the command line and print the tables asked for."""
    usual = ("motion", "mot17-05", "pets", "pets-yolox", "crowd")
    sets = (*usual, "pets-nanodet", "pets-hog")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=sets, default=list(usual))
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="interpreter with the other trackers")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the research data")
    parser.add_argument("--reid", type=Path, nargs="+", default=[ROOT / "weights" / "osnet_x0_25"])
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps the embeddings of pets")
    parser.add_argument("--needed", action="store_true", help="compare --encode all and needed, nothing else")
    parser.add_argument("--copies", type=int, default=0, metavar="N", help="variants of each sequence")
    arguments = parser.parse_args()
    data: Path = arguments.data
    makers: dict[str, Callable[[], list[Scene]]] = {}
    for name in arguments.sets:
        if name == "motion":
            makers[name] = lambda: [mot17(data, one) for one in MOT17]
        elif name == "mot17-05":
            makers[name] = lambda: [mot17_with_looks(data)]
        elif name.startswith("pets"):
            for reid in arguments.reid:
                makers[f"{name} {reid.name}"] = partial(
                    lambda reid, name: [pets(data, reid, arguments.cache, source=name)], reid, name
                )
        else:
            makers[name] = lambda: [crowd(seed=seed) for seed in range(3)]
    for name, make in makers.items():
        try:
            scenes = [copy for scene in make() for copy in variants(scene, arguments.copies)]
        except (OSError, ValueError) as error:
            print(f"{name}: left out, {error}")
            continue
        print(
            f"\n{name:38s}   HOTA   AssA   DetA   IDF1   MOTA switch     ms   HOTA/IDF1 of each", flush=True
        )
        if arguments.needed:
            selective(scenes)
            continue
        ours(scenes, ["deepsort", "motion"] + ["strong"] * (name != "motion"), arguments.ablation)
        if arguments.peers is not None:
            peers(scenes, arguments.peers)


if __name__ == "__main__":
    main()
