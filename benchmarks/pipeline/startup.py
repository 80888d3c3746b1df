"""How long it takes until something happens: import, --help, and the first frame tracked.

Each is a process of its own, with the small model that comes along and one 1080p frame of ten painted people;
medians. On a busy machine CPU time says more than wall time.

    python benchmarks/pipeline/startup.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pipeline import make_scene

BACKENDS = ("onnxruntime", "openvino", "paddle")
TRACK = "import sys; from deepsort_paddle.cli import track; sys.exit(track())"


def write_scene(folder: Path) -> tuple[Path, Path]:
    """A video of one frame, and its detections as MOTChallenge text."""
    video, text = folder / "crowd.mp4", folder / "det.txt"
    boxes = make_scene(10, 1, video)(1, None).boxes
    rows = [
        f"1,-1,{x1 + 1:.1f},{y1 + 1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},1" for x1, y1, x2, y2 in boxes.tolist()
    ]
    text.write_text("\n".join(rows) + "\n")
    return video, text


def clocked(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        video, text = write_scene(Path(scratch))
        one_frame = [str(video), "--detections", str(text), "--output", f"{scratch}/out.txt", "--quiet"]
        python = [sys.executable, "-c"]
        commands = {
            "python, nothing imported": [*python, "pass"],
            "import deepsort_paddle": [*python, "import deepsort_paddle"],
            "deepsort-track --help": [*python, TRACK, "--help"],
            "deepsort-track, one frame, osnet_ain_x0_5": [*python, TRACK, *one_frame],
        }
        for backend in BACKENDS:
            if find_spec(backend):
                name = f"the same with --backend {backend}"
                commands[name] = [*python, TRACK, *one_frame, "--backend", backend]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(options.rounds + 1):
            for name, command in commands.items():
                spent = clocked(command)
                if turn:  # the first one fills the file cache
                    times[name].append(spent)
    print("| | CPU s | wall s | least wall s |\n|---|---|---|---|")
    for name, pairs in times.items():
        cpu, wall = np.median(pairs, axis=0)
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {min(pair[1] for pair in pairs):.2f} |")


if __name__ == "__main__":
    main()
