"""Images a second of one training step, ours beside the same network in PyTorch, in one run.

Both sides do a whole step on the CPU: forward, arc margin over 616 persons, backward, momentum. They start
from the same weights and see the same images, and the first losses must agree: it is the same network. Ours
is the trainer itself with its own CPU settings: the word to the mathematics library on AMD, and data-parallel
processes of one thread (`--processes`; PyTorch gets as many threads). The two take turns, so that other
work on the machine meets both; the median of the rounds counts. CPU time is of all processes together.

    python benchmarks/reid/train_speed.py --torch-python /path/to/an/environment/with/torch/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from reid_train.training.launcher import cpu_environment, process_environments

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("ResNet50_vd", "OSNet_AIN_x0_5", "OSNet_x0_25", "MobileNetV3_large_x1_0")
CLASSES = 616


class Side:
    """One or several worker processes that do the same requests together."""

    def __init__(self, commands: list[tuple[list[str], dict[str, str]]]) -> None:
        base = {"GLOG_minloglevel": "2", **os.environ, "PYTHONPATH": str(ROOT)}
        self._workers = [
            subprocess.Popen(
                command,
                env=base | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if place == 0 else subprocess.DEVNULL,
                text=True,
            )
            for place, (command, environment) in enumerate(commands)
        ]

    def ask(self, **request: Any) -> list[dict[str, float]]:
        """Send a request to all workers; their answers."""
        for worker in self._workers:
            pipe(worker.stdin).write(json.dumps(request) + "\n")
            pipe(worker.stdin).flush()
        return [answer(worker) for worker in self._workers]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.kill()
            worker.wait()


def pipe(stream: IO[str] | None) -> IO[str]:
    """A stream that was asked for."""
    assert stream is not None
    return stream


def answer(worker: subprocess.Popen[str]) -> dict[str, float]:
    """The next JSON line; libraries may print others."""
    for line in pipe(worker.stdout):
        if line.startswith("{"):
            return dict(json.loads(line))
    raise SystemExit(f"a worker ended with code {worker.wait()}")


def serve() -> None:
    """The Paddle side: answer requests, one JSON line each."""
    warnings.filterwarnings("ignore")
    os.environ.update(cpu_environment())
    import paddle

    from reid_train.checkpoints.checkpoint import layer_arrays
    from reid_train.config import TrainConfig
    from reid_train.models import parameter_count
    from reid_train.training.batches import Batch
    from reid_train.training.parallel import join
    from reid_train.training.trainer import Trainer

    paddle.set_device("cpu")
    world = join()
    for line in sys.stdin:
        request = json.loads(line)
        if "model" in request:
            batch, height, width = request["batch"], request["height"], request["width"]
            config = TrainConfig(
                model=request["model"],
                embedding_size=128,
                image_shape=(3, height, width),
                loss_name="arcmargin",
                arc_scale=16.0,
                train_batch_size=batch,
            )
            trainer = Trainer(config, CLASSES, world)
            if world.rank == 0:
                classes = trainer.objective.main.weight.numpy()
                np.savez(request["weights"], classes=classes, **layer_arrays(trainer.network))
            rng = np.random.default_rng(0)
            images = rng.integers(0, 256, (batch, height, width, 3), np.uint8)
            labels = rng.integers(0, CLASSES, batch)
            step = Batch(0, images[world.shard(batch)], labels, np.arange(batch))
            parameters = parameter_count(trainer.network) + parameter_count(trainer.objective)
            told = {"parameters": parameters, "loss": trainer.step(step)}
        else:
            started, cpu = time.perf_counter(), time.process_time()
            for _ in range(request["steps"]):
                trainer.step(step)
            told = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        print(json.dumps(told), flush=True)


def compare(ours: Side, peer: Side, options: argparse.Namespace, model: str, size: str, weights: Path) -> str:
    """One row of the table."""
    height, width = map(int, size.split("x"))
    request = {
        "model": model,
        "height": height,
        "width": width,
        "batch": options.batch * options.processes,
        "weights": str(weights),
    }
    reduced = {"bfloat16": True} if options.bfloat16 else {}
    first = ours.ask(**request)[0]
    theirs = peer.ask(**request, **reduced)[0]
    if first["parameters"] != theirs["parameters"]:
        raise SystemExit(f"{model}: {first['parameters']:.0f} parameters beside {theirs['parameters']:.0f}")
    # Batch norm sees the shard of a process and the whole batch in PyTorch.
    allowed = 5e-2 if options.bfloat16 else 1e-3
    if options.processes == 1 and abs(first["loss"] / theirs["loss"] - 1) > allowed:
        raise SystemExit(f"{model}: first loss {first['loss']} beside {theirs['loss']}: not the same network")
    images = options.steps * request["batch"]
    walls, cpus = ([], []), ([], [])
    for side in (ours, peer):
        side.ask(steps=1)
    for _ in range(options.rounds):
        for place, side in enumerate((ours, peer)):
            told = side.ask(steps=options.steps)
            walls[place].append(images / max(part["wall"] for part in told))
            cpus[place].append(images / sum(part["cpu"] for part in told))
    wall, cpu = ([statistics.median(values) for values in pair] for pair in (walls, cpus))
    return (
        f"| {model} | {height} x {width} | {first['parameters']:,.0f} | {wall[0]:.1f} | {wall[1]:.1f} | "
        f"{cpu[0]:.1f} | {cpu[1]:.1f} | {cpu[0] / cpu[1]:.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", help="python of an environment with torch and numpy")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--sizes", nargs="+", default=["128x128", "256x128", "256x256"], help="HxW")
    parser.add_argument("--batch", type=int, default=8, help="images a process")
    parser.add_argument("--processes", type=int, default=1, help="ours; as many threads for PyTorch")
    parser.add_argument("--bfloat16", action="store_true", help="PyTorch's network in bfloat16 (autocast)")
    parser.add_argument("--steps", type=int, default=2, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve()
        return
    if options.torch_python is None:
        parser.error("--torch-python is needed")
    alone = [{**cpu_environment(), "OMP_NUM_THREADS": "1"}]
    environments = process_environments(options.processes) if options.processes > 1 else alone
    own = [sys.executable, __file__, "--worker"]
    other = [
        options.torch_python,
        str(Path(__file__).with_name("train_speed_torch.py")),
        str(options.processes),
    ]
    print(
        f"{options.processes} process(es) of {options.batch} images, "
        f"{options.rounds} rounds of {options.steps} steps\n"
    )
    print(
        "| network | input | parameters | images/s: ours | PyTorch | "
        "images a CPU second: ours | PyTorch | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    sides = [Side([(own, environment) for environment in environments]), Side([(other, {})])]
    try:
        with tempfile.TemporaryDirectory() as folder:
            for model in options.models:
                for size in options.sizes:
                    print(compare(*sides, options, model, size, Path(folder) / "weights.npz"), flush=True)
    finally:
        for side in sides:
            side.close()


if __name__ == "__main__":
    main()
