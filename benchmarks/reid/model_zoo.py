"""The table of weights/README.md: size, accuracy, speed and tracking of every shipped network.

Ranking figures are computed anew with the exported files on the list of persons kept out of training; speed
is crops in a CPU second on one thread, best of several rounds, with the library that the encoder chooses;
tracking is the faithful preset on PETS09-S2L1, frames 1 to 400, public detections, with each network's own
threshold.

    python benchmarks/reid/model_zoo.py --data data/market --pets PETS09-S2L1
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import paddle
from reid_models import count_macs, crops_per_second

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.inference.predictor import Predictor
from reid_train.config import config_from_dict
from reid_train.data.datasets import decode_images, read_dataset
from reid_train.evaluation.figures import ranking_figures, recall_at
from reid_train.models import parameter_count
from reid_train.training.trainer import build
from reid_train.training.transforms import Preprocessing

sys.path.append(str(Path(__file__).parents[1] / "accuracy"))
from pets09 import embedded, ours, scores

REPOSITORY = Path(__file__).resolve().parents[2]
BATCHES = (1, 16, 64)


def accuracy(predictor: Predictor, data: Path, prepare: Preprocessing) -> list[str]:
    """Rank-1, mAP and Recall@1 in percent."""
    dev = read_dataset(data / "dev.txt")
    images = decode_images(dev.paths, prepare.height, prepare.width, prepare)
    rows = np.concatenate([predictor.run(images[start : start + 64]) for start in range(0, len(images), 64)])
    figures = ranking_figures(rows, dev)
    if figures is None:
        raise SystemExit(f"{data / 'dev.txt'}: nobody is in two cameras")
    return [f"{100 * value:.1f}" for value in (figures.rank1, figures.mean_ap, recall_at(rows, dev.pids))]


def tracking(folder: Path, pets: Path) -> str:
    """HOTA / IDF1 of the faithful preset."""
    encoder = AppearanceEncoder(folder, device="cpu")
    frames = list(embedded(pets, encoder, 0.3))
    with tempfile.TemporaryDirectory() as results:
        found = scores(folder.name, pets, ours(frames, encoder.max_cosine_distance, 0), Path(results))
    return f"{100 * found.hota:.1f} / {100 * found.idf1:.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder made by reid-train prepare")
    parser.add_argument("--pets", type=Path, help="folder with vtest.avi, det/det.txt and gt/gt.txt")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(
        "| model | backbone | parameters | GMACs | input | dimension | files | Rank-1 | mAP | Recall@1 | "
        "`max_cosine_distance` | crops/s at 1, 16, 64 | PETS09 HOTA / IDF1 | trained |\n" + "|---" * 14 + "|"
    )
    for folder in sorted(path.parent for path in (REPOSITORY / "weights").glob("*/encoder.json")):
        description = json.loads((folder / "encoder.json").read_text())
        config = config_from_dict(description["provenance"]["config"], folder.name)
        height, width = description["input"]["height"], description["input"]["width"]
        network = build(config)
        network.eval()
        blank = np.zeros((max(BATCHES), height, width, 3), np.uint8)
        predictor = AppearanceEncoder(folder, device="cpu", threads=1)._predictor
        speeds = [crops_per_second(predictor, blank[:batch], options.rounds) for batch in BATCHES]
        cells = [
            f"[{folder.name}]({folder.name}/MODEL_CARD.md)",
            config.model,
            f"{parameter_count(network) / 1e6:.2f} M",
            f"{count_macs(network, paddle.to_tensor(blank[:1])) / 1e9:.3f}",
            f"{height} x {width}",
            str(description["output"]["embedding_size"]),
            f"{sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.1f} MB",
            *accuracy(predictor, options.data, Preprocessing(height, width)),
            f"{description['max_cosine_distance']:g}",
            ", ".join(f"{speed:.0f}" for speed in speeds),
            tracking(folder, options.pets) if options.pets else "",
            f"{description['provenance'].get('hours', 0):.1f} h, seed {config.seed}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
