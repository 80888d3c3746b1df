r"""Average a trained network with the one that it began from, weight by weight.

Two networks of one line of training, both at the end of a falling learning rate, often lie around a
better one (Wortsman et al., "Model soups", 2022). The statistics of batch norm fit no such mean, so they
are taken anew from training images. `--part` is how much of the second network goes in. Where that is nearly
all, `--images 0` averages the statistics as well: those taken anew are of unaltered images, and a network
that was trained with loose boxes and coarse images then bears these no better than one that was not.

    export PYTHONPATH=.
    python tools/torch_twin/average.py runs/b/last.safetensors runs/c/last.safetensors \
        --data data/market --model_save_dir runs/mean

The checkpoint that it writes is for `reid-train export`, `eval` and `--pretrained_model`; it has no trained
class weights.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch
from embedding import read_twin
from networks import TwinNetwork
from safetensors import safe_open
from train import Judge, Run, without_folders

from reid_train.config import config_from_dict
from reid_train.data.datasets import ImageCache, read_dataset
from reid_train.training.transforms import resize

BATCH = 64


def mean_of(first: TwinNetwork, second: TwinNetwork, part: float) -> TwinNetwork:
    """A network between two, ``part`` of the way; midway its statistics fit neither."""
    begin, end = first.state_dict(), second.state_dict()
    between = {
        name: torch.lerp(begin[name], end[name], part) if end[name].is_floating_point() else end[name]
        for name in end
    }
    second.load_state_dict(between)
    return second


@torch.no_grad()
def take_statistics(network: TwinNetwork, images: np.ndarray) -> None:
    """Batch norm's means and variances from ``(N, H, W, 3)`` uint8 images, the mean of all batches."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    for start in range(0, len(images), BATCH):
        network(torch.from_numpy(images[start : start + BATCH]))
    network.eval()


def main() -> None:
    """Average, evaluate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("begin", type=Path, help="checkpoint that the training began from")
    parser.add_argument("end", type=Path, help="checkpoint at its end, of the same network")
    parser.add_argument("--data", type=Path, required=True, help="folder made by reid-train prepare")
    parser.add_argument("--model_save_dir", type=Path, required=True)
    parser.add_argument("--part", type=float, default=0.5, help="of the second one, in (0, 1)")
    parser.add_argument("--images", type=int, default=2560, help="for the statistics; 0: their mean")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if not 0 < options.part < 1:
        parser.error(f"--part must be in (0, 1), got {options.part}")
    torch.set_num_threads(options.threads)
    with safe_open(options.end, framework="np") as file:
        config = config_from_dict(json.loads(file.metadata()["config"]), str(options.end))
    (begin, _), (end, origin) = read_twin(options.begin), read_twin(options.end)
    index = read_dataset(options.data / "train.txt")
    cache = ImageCache(index.paths)
    _, height, width = config.image_shape
    rows = np.random.default_rng(config.seed).permutation(len(index))[: options.images]
    run = Run(config, origin["train_ids"])
    network = mean_of(begin, end, options.part)
    if options.images:
        take_statistics(network, np.stack([resize(cache[row], height, width) for row in rows]))
    run.begin_at(network)
    run.iteration = origin.pop("iteration")
    run.seconds = 3600 * origin["hours"]
    command = shlex.join(["python", "tools/torch_twin/average.py", *map(without_folders, sys.argv[1:])])
    origin["command"] += f" && {command}"
    figures = Judge(config, read_dataset(options.data / "dev.txt")).figures(run.average, run.iteration)
    print(json.dumps({name: round(float(value), 4) for name, value in figures.items()}))
    options.model_save_dir.mkdir(parents=True, exist_ok=True)
    run.write(options.model_save_dir / "last.safetensors", origin)


if __name__ == "__main__":
    main()
