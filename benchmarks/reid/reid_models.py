"""Size and speed of every re-identification backbone, as a Markdown table.

Each network is exported as ``reid-train export`` does (normalisation and unit rows in the graph, 128
values out), opened as the tracker opens it, with one CPU thread, and compared with the network it was
made from. Weights are random, which is the same to speed; batch norm has the statistics of the test
images, so that activations have the scale of a trained network's. Speed counts the process' CPU seconds,
not the clock's, so that other work on the machine disturbs it less; it is the best of several rounds.

    python benchmarks/reid/reid_models.py --height 128 --width 64 --batch 16
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from deepsort_paddle.inference.predictor import Predictor
from reid_train.export.export import Exported
from reid_train.models import MODELS, build_classifier, build_network, parameter_count
from reid_train.models.network import unit_rows

EMBEDDING_SIZE = 128


def count_macs(network: nn.Layer, images: paddle.Tensor) -> int:
    """Multiply-adds of all convolutions and linear layers for these images."""
    total = 0

    def count(layer: nn.Layer, _: object, output: paddle.Tensor) -> None:
        nonlocal total
        weights = layer.weight.shape
        each = weights[0] if isinstance(layer, nn.Linear) else int(np.prod(weights[1:]))
        total += each * output.size

    hooks = [
        layer.register_forward_post_hook(count)
        for layer in network.sublayers()
        if isinstance(layer, nn.Conv2D | nn.Linear)
    ]
    with paddle.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return total


def settle_statistics(network: nn.Layer, images: paddle.Tensor) -> None:
    """Give batch norm the statistics of these images, as training would, and switch to evaluation."""
    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm1D | nn.BatchNorm2D):
            layer._momentum = 0.0
    network.train()
    with paddle.no_grad():
        network(images)
    network.eval()


def open_export(network: nn.Layer, height: int, width: int, folder: Path) -> Predictor:
    """Export a network and open it with one thread."""
    spec = paddle.static.InputSpec([None, height, width, 3], "uint8", "images")
    static = paddle.jit.to_static(Exported(network), input_spec=[spec])
    paddle.jit.save(static, str(folder / "inference"))
    model = next(path for path in folder.iterdir() if path.suffix in (".json", ".pdmodel"))
    return Predictor(model, device="cpu", threads=1)


def crops_per_second(predictor: Predictor, images: np.ndarray, rounds: int) -> float:
    """The best of several rounds of at least half a CPU second each."""
    predictor.run(images)
    best = 0.0
    for _ in range(rounds):
        count, start = 0, time.process_time()
        while time.process_time() - start < 0.5:
            predictor.run(images)
            count += len(images)
        best = max(best, count / (time.process_time() - start))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS), metavar="NAME")
    parser.add_argument("--height", type=int, default=128, help="pixels")
    parser.add_argument("--width", type=int, default=64, help="pixels")
    parser.add_argument("--batch", type=int, default=16, help="crops")
    parser.add_argument("--last-strides", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    images = np.random.default_rng(0).integers(
        0, 256, (options.batch, options.height, options.width, 3), np.uint8
    )
    columns = "".join(f" GMACs / crops/s, last stride {stride} |" for stride in options.last_strides)
    print(f"| model | ImageNet classifier, M | re-ID network, M | feature |{columns} largest difference |")
    print("|---|---|---|---|" + "---|" * (len(options.last_strides) + 1), flush=True)
    for name in options.models:
        with paddle.LazyGuard():
            classifier = parameter_count(build_classifier(name))
        cells, differences = [], []
        for stride in options.last_strides:
            network = build_network(name, EMBEDDING_SIZE, last_stride=stride, neck=True)
            settle_statistics(network, paddle.to_tensor(images))
            macs = count_macs(network, paddle.to_tensor(images[:1]))
            with paddle.no_grad():
                wanted = unit_rows(network(paddle.to_tensor(images))).numpy()
            with tempfile.TemporaryDirectory() as folder:
                predictor = open_export(network, options.height, options.width, Path(folder))
                differences.append(float(np.abs(predictor.run(images) - wanted).max()))
                speed = crops_per_second(predictor, images, options.rounds)
            cells.append(f"{macs / 1e9:.3f} / {speed:.0f}")
        size, feature = parameter_count(network), network.backbone.out_channels
        print(
            f"| {name} | {classifier / 1e6:.3f} | {size / 1e6:.3f} | {feature} | {' | '.join(cells)} | "
            f"{max(differences):.1g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
