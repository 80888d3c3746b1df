"""Small exported networks that the tests of the predictor, the encoder and the detectors share."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Of the exported toy network: it takes the mean colour of each cell of this grid.
CROP_HEIGHT, CROP_WIDTH = 32, 16
GRID = (4, 2)


@pytest.fixture(scope="session")
def paddle() -> Any:
    """The paddle module, its warnings at import (no ccache found) kept out of the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("paddle")


@pytest.fixture(scope="session")
def export_layer(paddle: Any) -> Callable[..., None]:
    """Function (layer, path prefix, input specs) that exports a Paddle layer as users do."""

    def export(layer: Any, prefix: Path, specs: list[tuple[str, list[int | None], str]]) -> None:
        layer.eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            paddle.jit.save(
                layer,
                str(prefix),
                input_spec=[paddle.static.InputSpec(shape, dtype, name) for name, shape, dtype in specs],
            )

    return export


@pytest.fixture(scope="session")
def encoder_folder(
    tmp_path_factory: pytest.TempPathFactory, paddle: Any, export_layer: Callable[..., None]
) -> Path:
    """A weights folder: a convolution that copies its input, means over a grid, unit rows.

    test_encoder.py writes out in numpy what it computes.
    """

    class GridMeans(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.copy = paddle.nn.Conv2D(3, 3, 1, bias_attr=False)
            self.copy.weight.set_value(np.eye(3, dtype=np.float32)[:, :, None, None])
            self.pool = paddle.nn.AdaptiveAvgPool2D(GRID)

        def forward(self, image: Any) -> Any:
            pixels = (image.astype("float32") / 255).transpose([0, 3, 1, 2]) + 0.01
            return paddle.nn.functional.normalize(self.pool(self.copy(pixels)).flatten(1), axis=1)

    folder = tmp_path_factory.mktemp("weights") / "grid"
    export_layer(GridMeans(), folder / "inference", [("image", [None, CROP_HEIGHT, CROP_WIDTH, 3], "uint8")])
    spec = {
        "format": 1,
        "name": "grid",
        "input": {
            "height": CROP_HEIGHT,
            "width": CROP_WIDTH,
            "layout": "NHWC",
            "dtype": "uint8",
            "channels": "BGR",
        },
        "resize": {"interpolation": "linear"},
        "output": {"embedding_size": 3 * GRID[0] * GRID[1], "normalized": True},
        "files": {"model": "inference.json", "params": "inference.pdiparams"},
        "runtime": {"paddle": paddle.__version__},
        "max_cosine_distance": 0.25,
        "bfloat16": {"allowed": False},
        "provenance": {"trained": "never"},
    }
    (folder / "encoder.json").write_text(json.dumps(spec))
    write_checksums(folder)
    return folder


@pytest.fixture(scope="session")
def seal() -> Callable[[Path], None]:
    """Function that writes ``SHA256SUMS`` over all files of a folder."""
    return write_checksums


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over all files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


@pytest.fixture(scope="session")
def onnx_copy_folder(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Path:
    """`encoder_folder` with a copy of the network in ONNX."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paddle2onnx = pytest.importorskip("paddle2onnx")
    folder = tmp_path_factory.mktemp("weights") / "grid_onnx"
    shutil.copytree(encoder_folder, folder)
    files = [str(folder / f"inference{ending}") for ending in (".json", ".pdiparams", ".onnx")]
    paddle2onnx.export(*files, opset_version=17, verbose=False, optimize_tool="none")
    spec = json.loads((folder / "encoder.json").read_text())
    spec["files"]["onnx"] = "inference.onnx"
    (folder / "encoder.json").write_text(json.dumps(spec))
    write_checksums(folder)
    return folder
