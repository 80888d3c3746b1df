"""Compare embeddings of Paddle and PyTorch: the largest difference over a list of crops.

    reid-train infer --pretrained_model weights/mine --data crops.txt --output crops.npz      # with Paddle
    export PYTHONPATH=.
    python tools/torch_twin/parity.py runs/mine/last.safetensors --data crops.txt --features crops.npz

Exit code 1: the difference exceeds --tolerance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from embedding import embed, read_twin

from reid_train.data.datasets import decode_images, read_dataset
from reid_train.training.transforms import Preprocessing


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="written by the twin")
    parser.add_argument("--data", type=Path, required=True, help="list file of the crops")
    parser.add_argument("--features", type=Path, required=True, help="of the same crops, by reid-train infer")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    paths = read_dataset(options.data).paths
    network, _ = read_twin(options.checkpoint)
    ours = embed(network, decode_images(paths, *network.input_size, Preprocessing(*network.input_size)))
    with np.load(options.features) as archive:
        names, theirs = archive["names"], archive["embeddings"]
    if [Path(name).name for name in names] != [path.name for path in paths]:
        parser.error(f"{options.features} is of other crops than {options.data}")
    worst = float(np.abs(ours - theirs).max())
    cosine = float((ours * theirs).sum(axis=1).min())
    print(f"{len(paths)} crops: largest difference {worst:.1e}, least cosine {cosine:.7f}")
    if worst > options.tolerance:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
