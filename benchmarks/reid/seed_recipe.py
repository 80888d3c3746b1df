"""All six commands of the original's recipe, one after the other, and what an iteration of each stage costs.

Reduced as far as the flags say: with the defaults it shows that the path is whole and what it costs, and the
network is worth nothing. The commands run in this process, and each line that a stage prints takes the CPU
time with it: between two reports lie iterations alone, between the last one and the figures an evaluation.
The original's pair stage evaluated in every iteration.

    python benchmarks/reid/seed_recipe.py market1501.tar
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

from reid_train.command_line import main as reid_train

REPORT = 5  # iterations between two lines


class Timed(io.TextIOBase):
    """Keeps lines, and the process' CPU time at each."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def write(self, text: str) -> int:
        """Take a line; a line break alone is none."""
        self.lines += [(time.process_time(), line) for line in text.splitlines() if line]
        return len(text)


def run(*arguments: object) -> Timed:
    """Run one command; a row of the table."""
    told = Timed()
    started, cpu = time.perf_counter(), time.process_time()
    with redirect_stdout(told):
        code = reid_train([str(argument) for argument in arguments])
    if code:
        sys.exit(f"{arguments[0]} ended with code {code}")
    spent, passed = time.process_time() - cpu, time.perf_counter() - started
    outcome = told.lines[-2 if arguments[0] in ("eval", "export") else -1][1]
    print(f"| {arguments[0]} | {spent:.0f} | {passed:.0f} | {outcome} |", flush=True)
    return told


def stage_costs(told: Timed) -> tuple[float, float]:
    """CPU seconds of one iteration (median) and of one evaluation."""
    reports = [(cpu, json.loads(line)) for cpu, line in told.lines if line.startswith('{"iteration"')]
    losses = [cpu for cpu, report in reports if "loss" in report]
    figures = [cpu for cpu, report in reports if "recall1" in report]
    each = [(later - before) / REPORT for before, later in pairwise(losses)]
    return statistics.median(each), figures[0] - losses[-1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="archive or folder of Market-1501's training images")
    parser.add_argument("--image_shape", default="3,64,64")
    parser.add_argument("--train_batch_size", type=int, default=32)
    parser.add_argument("--total_iter_num", type=int, default=10, help=f"a multiple of {REPORT}, 10 or more")
    parser.add_argument("--lr", default="0.01", help="of elem; the recipe's 0.1 is for ImageNet weights")
    parser.add_argument("--folder", type=Path, help="keeps what is written there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        data, report = folder / "data", folder / "report"
        settings = ["--data", data, "--recipe", "seed", "--image_shape", options.image_shape]
        settings += ["--train_batch_size", options.train_batch_size, "--display_iter_step", REPORT]
        for step in ("total_iter_num", "test_iter_step", "save_iter_step"):
            settings += [f"--{step}", options.total_iter_num]
        print("| command | CPU s | wall s | its last word |\n|---|---|---|---|")
        run("prepare", options.source, "--output", data)
        elem = run("elem", *settings, "--lr", options.lr, "--model_save_dir", folder / "elem")
        start = ["--pretrained_model", folder / "elem"]
        pair = run("pair", *settings, *start, "--model_save_dir", folder / "pair")
        (one, _), (other, evaluation) = stage_costs(elem), stage_costs(pair)
        trained = ["--pretrained_model", folder / "pair"]
        run("eval", *trained, "--data", data, "--report_dir", report)
        run("infer", *trained, "--data", data / "dev.txt", "--output", folder / "features.npz")
        run("export", *trained, "--data", data, "--model_save_dir", folder / "weights", "--onnx")
        parity = json.loads((folder / "weights" / "encoder.json").read_text())["parity"]
    print(f"\nparity: {json.dumps(parity['max_abs_error'])}")
    print(f"CPU seconds an iteration: elem {one:.2f}, pair {other:.2f}, {other / one:.2f} times as much")
    print(
        f"one evaluation: {evaluation:.1f} CPU s; in every iteration it would make pair "
        f"{1 + evaluation / other:.1f} times as dear"
    )


if __name__ == "__main__":
    main()
