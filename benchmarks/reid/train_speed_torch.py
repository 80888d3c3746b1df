"""The PyTorch side of `train_speed`: the same networks, loss and optimiser, one step at a time.

Needs torch and numpy and no Paddle; started by `train_speed.py --torch-python`. ResNet50_vd is
`torch_twin`'s; MobileNetV3 is written here, with modules named as in `reid_train.models`.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "torch_twin"))
from networks import NETWORKS, TwinNetwork, restore

# Kernel, expansion, output, squeeze-and-excite, activation, stride (arXiv 1905.02244, table 1).
LARGE = (
    (3, 16, 16, False, F.relu, 1),
    (3, 64, 24, False, F.relu, 2),
    (3, 72, 24, False, F.relu, 1),
    (5, 72, 40, True, F.relu, 2),
    (5, 120, 40, True, F.relu, 1),
    (5, 120, 40, True, F.relu, 1),
    (3, 240, 80, False, F.hardswish, 2),
    (3, 200, 80, False, F.hardswish, 1),
    (3, 184, 80, False, F.hardswish, 1),
    (3, 184, 80, False, F.hardswish, 1),
    (3, 480, 112, True, F.hardswish, 1),
    (3, 672, 112, True, F.hardswish, 1),
    (5, 672, 160, True, F.hardswish, 2),
    (5, 960, 160, True, F.hardswish, 1),
    (5, 960, 160, True, F.hardswish, 1),
)


class ConvNorm(nn.Module):
    """Convolution, batch norm and an activation."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, activation=None):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        x = self.bn(self.conv(x))
        return x if self._activation is None else self._activation(x)


class Excite(nn.Module):
    """Weights of the channels from their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 4, 1)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        weights = self.conv2(F.relu(self.conv1(F.adaptive_avg_pool2d(x, 1))))
        return x * (0.2 * weights + 0.5).clamp(0, 1)


class Unit(nn.Module):
    """Expansion, depthwise convolution, excitation, projection."""

    def __init__(self, inputs, kernel, expanded, outputs, excited, activation, stride):
        super().__init__()
        self.expand_conv = ConvNorm(inputs, expanded, 1, activation=activation)
        self.bottleneck_conv = ConvNorm(expanded, expanded, kernel, stride, expanded, activation)
        self.mid_se = Excite(expanded) if excited else None
        self.linear_conv = ConvNorm(expanded, outputs, 1)
        self._residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H', W')``."""
        y = self.bottleneck_conv(self.expand_conv(x))
        y = self.linear_conv(y if self.mid_se is None else self.mid_se(y))
        return x + y if self._residual else y


class MobileNetV3Large(nn.Sequential):
    """At width 1 and last stride 2, up to the pooling."""

    def __init__(self) -> None:
        inputs = [16, *(row[2] for row in LARGE)]
        units = [Unit(channels, *row) for channels, row in zip(inputs[:-1], LARGE, strict=True)]
        stem = ConvNorm(3, 16, 3, stride=2, activation=F.hardswish)
        last = ConvNorm(160, 960, 1, activation=F.hardswish)
        named = [("conv", stem), ("blocks", nn.Sequential(*units)), ("last_second_conv", last)]
        super().__init__(OrderedDict(named))
        self.out_channels = 960


NETWORKS["MobileNetV3_large_x1_0"] = lambda last_stride: MobileNetV3Large()


class Step:
    """A network with an arc margin and momentum, and batches of noise."""

    def __init__(self, model: str, height: int, width: int, batch: int, weights: str, bfloat16: bool = False):
        self.network = TwinNetwork(model, 128, 2, False).to(memory_format=torch.channels_last)
        with np.load(weights) as arrays:
            restore(self.network, dict(arrays))
            self.classes = nn.Parameter(torch.from_numpy(arrays["classes"]))
        self.bfloat16 = bfloat16
        values = [*self.network.parameters(), self.classes]
        self.parameters = sum(value.numel() for value in values)
        self.optimizer = torch.optim.SGD(values, lr=0.01, momentum=0.9, weight_decay=1e-4)
        rng = np.random.default_rng(0)
        self.images = torch.from_numpy(rng.integers(0, 256, (batch, height, width, 3), np.uint8))
        self.labels = torch.from_numpy(rng.integers(0, self.classes.shape[1], batch))

    def __call__(self) -> float:
        """One update; its loss."""
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            embeddings = self.network(self.images)
        cos = F.normalize(embeddings.float()) @ F.normalize(self.classes, dim=0)
        target = cos.gather(1, self.labels[:, None])
        sine = ((1 - target * target).clamp(min=0) + 1e-6).sqrt()
        phi = target * math.cos(0.15) - sine * math.sin(0.15)
        phi = torch.where(target > math.cos(math.pi - 0.15), phi, target - 0.15 * math.sin(math.pi - 0.15))
        loss = F.cross_entropy(16 * cos.scatter(1, self.labels[:, None], phi), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main() -> None:
    """Answer requests, one JSON line each, as `train_speed.serve` does."""
    torch.set_num_threads(int(sys.argv[1]))
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        if "model" in request:
            step = Step(**request)
            answer = {"parameters": step.parameters, "loss": step()}
        else:
            started, cpu = time.perf_counter(), time.process_time()
            for _ in range(request["steps"]):
                step()
            answer = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
