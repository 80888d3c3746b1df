"""Compare the CPU time of evaluating MOT17: deepsort-eval, motmetrics' script and TrackEval's evaluator.

Each is a whole process, from its start to its table, on the same tracks: those of preset motion on the public
detections. The work differs: motmetrics' script has no HOTA and ignores MOTChallenge's distractors, TrackEval
computes HOTA, CLEAR and Identity. They take turns; medians, one thread.

    python benchmarks/accuracy/eval_speed.py MOT17-half-val
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.motchallenge.text import TrackWriter, read_detections
from deepsort_paddle.pipeline.stages import prepare_detections

OURS = """
import sys
from deepsort_paddle.research.evaluate import main
sys.exit(main([{truth!r}, {results!r}, "--clear", {clear!r}]))
"""
# motmetrics 1.4.0 calls np.asfarray, which NumPy 2 no longer has.
MOTMETRICS = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy
numpy.asfarray = lambda array, dtype=float: numpy.asarray(array, dtype)
sys.argv = ["eval_motchallenge", {truth!r}, {results!r}, "--loglevel", "error"]
from motmetrics.apps.eval_motchallenge import main
main()
"""
TRACKEVAL = """
import warnings
warnings.simplefilter("ignore")
import numpy, trackeval
settings = trackeval.Evaluator.get_default_eval_config() | {{
    "PRINT_CONFIG": False, "TIME_PROGRESS": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False,
    "PLOT_CURVES": False, "OUTPUT_EMPTY_CLASSES": False}}
data = trackeval.datasets.MotChallenge2DBox.get_default_dataset_config() | {{
    "GT_FOLDER": {truth!r}, "TRACKERS_FOLDER": {trackers!r}, "TRACKER_SUB_FOLDER": "", "SKIP_SPLIT_FOL": True,
    "SEQ_INFO": {lengths!r}, "PRINT_CONFIG": False, "TRACKERS_TO_EVAL": ["ours"], "BENCHMARK": "MOT17"}}
metrics = [one({{"PRINT_CONFIG": False}}) for one in (
    trackeval.metrics.HOTA, trackeval.metrics.CLEAR, trackeval.metrics.Identity)]
trackeval.Evaluator(settings).evaluate([trackeval.datasets.MotChallenge2DBox(data)], metrics)
"""


def track(sequence: Path, output: Path) -> int:
    """Write our tracks of a sequence; return its number of frames."""
    found = read_detections(sequence / "det" / "det.txt")
    info = (sequence / "seqinfo.ini").read_text(encoding="utf-8").splitlines()
    length = next(int(line.split("=")[1]) for line in info if line.lower().startswith("seqlength"))
    tracker = DeepSort.from_preset("motion")
    with TrackWriter(output) as writer:
        for number in range(1, length + 1):
            detections = prepare_detections(found.get(number, Detections.empty()), min_confidence=0.1)
            writer.write(number, tracker.update(detections))
    return length


def clocked(script: str) -> tuple[float, float]:
    """Return CPU and wall-clock seconds of a process."""
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | environment
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="sequence folders with gt, det, seqinfo.ini")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "ours"
        results.mkdir()
        sequences = sorted(path.parent for path in options.data.glob("*/seqinfo.ini"))
        lengths = {sequence.name: track(sequence, results / f"{sequence.name}.txt") for sequence in sequences}
        names = {"truth": str(options.data.resolve()), "results": str(results)}
        scripts = {
            "deepsort-eval": OURS.format(**names, clear="motmetrics"),
            "deepsort-eval --clear trackeval": OURS.format(**names, clear="trackeval"),
            "motmetrics": MOTMETRICS.format(**names),
            "TrackEval": TRACKEVAL.format(**names, trackers=scratch, lengths=lengths),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in scripts}
        for _ in range(options.rounds):
            for name, script in scripts.items():
                times[name].append(clocked(script))
    print(", ".join(f"{package} {version(package)}" for package in ("motmetrics", "trackeval", "numpy")))
    print(f"{len(lengths)} sequences, {sum(lengths.values())} frames")
    print("| | CPU s | wall s | ratio (CPU) |\n|---|---|---|---|")
    medians = {name: np.median(pairs, axis=0) for name, pairs in times.items()}
    for name, (cpu, wall) in medians.items():
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {cpu / medians['deepsort-eval'][0]:.1f} |")


if __name__ == "__main__":
    main()
