"""The committed networks: whole, described, and still computing what the trained ones did."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.appearance.spec import verify_checksums

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
TABLES = WEIGHTS.parent / "benchmarks" / "reid" / "tables"
FOLDERS = sorted(path.parent for path in WEIGHTS.glob("*/encoder.json"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """Each folder of weights/ in turn."""
    path: Path = request.param
    return path


def test_there_are_networks() -> None:
    assert {"osnet_ain_x0_5", "resnet50vd"} <= {folder.name for folder in FOLDERS}


def test_files_are_as_exported(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    verify_checksums(folder, sorted(names))
    assert {"encoder.json", "MODEL_CARD.md"} <= names


def test_embeddings_are_those_of_the_trained_network(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("paddle")
        from reid_train.checkpoints.probe import probe_image
    description = json.loads((folder / "encoder.json").read_text())
    wanted = np.array(description["probe"]["embedding"])
    encoder = AppearanceEncoder(folder, device="cpu", precision="float32")
    image = probe_image(encoder.spec.height, encoder.spec.width)[0]
    height, width = image.shape[:2]
    found = encoder(image, [(0, 0, width, height)])[0]
    assert np.linalg.norm(wanted) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found, wanted, atol=description["parity"]["tolerance"])


def test_the_onnx_copy_puts_channels_first_before_it_computes(folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    name = json.loads((folder / "encoder.json").read_text())["files"].get("onnx")
    if name is None:
        pytest.skip(f"{folder.name} has no copy in ONNX")
    nodes = onnx.load(str(folder / name)).graph.node
    assert next(node.op_type for node in nodes if "images" in node.input) == "Transpose"


def test_the_int8_form_is_near_the_network(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    description = json.loads((folder / "encoder.json").read_text())
    if "int8" not in description:
        pytest.skip(f"{folder.name} has no int8 form")
    encoder = AppearanceEncoder(folder, backend="onnxruntime", precision="int8")
    frame = np.random.default_rng(0).integers(0, 256, (100, 60, 3), np.uint8)
    boxes = [(0, 0, 60, 100), (10, 5, 40, 90)]
    plain = AppearanceEncoder(folder, device="cpu", precision="float32")(frame, boxes)
    assert (encoder(frame, boxes) * plain).sum(axis=1).min() > 0.9
    assert description["int8"]["mean_cosine"] > 0.99


def test_the_tables_of_models_have_the_figures_of_these_weights(folder: Path) -> None:
    measured = json.loads((TABLES / f"{folder.name}.json").read_text())
    digest = hashlib.sha256()
    for path in sorted(folder.glob("inference*")):
        digest.update(path.read_bytes())
    assert measured["weights"] == digest.hexdigest(), "measure anew: benchmarks/reid/model_zoo.py --write"
    text = (WEIGHTS / "README.md").read_text()
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in text.splitlines()
        if line.startswith((f"| [{folder.name}]", f"| {folder.name} |"))
    ]
    cells = [cell for row in rows for cell in row]
    dev = measured["dev"]
    assert f"{100 * dev['rank1']:.1f} / {100 * dev['mean_ap']:.1f}" in cells
    threshold = json.loads((folder / "encoder.json").read_text())["max_cosine_distance"]
    assert f"{threshold:g}" in cells
