from __future__ import annotations

import json

import numpy as np
import pytest

from deepsort_paddle import AppearanceEncoder
from reid_train.checkpoints.checkpoint import write_checkpoint
from reid_train.checkpoints.exported import read_export
from reid_train.command_line import main
from reid_train.data.image_cache import decode_images
from reid_train.export import half_storage
from reid_train.export.export import evenly_chosen, export
from reid_train.export.onnx_copy import add_onnx
from reid_train.training.batches import Batch
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer


@pytest.fixture
def checkpoint(tiny):
    trainer = Trainer(tiny(model="PlainNorm", embedding_size=64, neck=True, lr=0.5), 4, World(0, 1))
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    trainer.step(Batch(0, images, np.arange(12, dtype=np.int64) % 4, np.arange(12)))
    return trainer.checkpoint()


def described(folder):
    return json.loads((folder / "encoder.json").read_text())


def test_weights_stored_as_float16_run_in_every_library(checkpoint, dev_index, tmp_path, capfd):
    pytest.importorskip("paddle2onnx")
    export(checkpoint, dev_index, tmp_path / "float32", onnx=True)
    export(checkpoint, dev_index, tmp_path / "float16", onnx=True, float16=True)
    parameters = described(tmp_path / "float16")["parameters"]
    assert parameters["dtype"] == "float16"
    assert 0.9999 <= parameters["min_cosine"] <= 1.000001
    assert parameters["images"] == len(dev_index)
    assert "parameters" not in described(tmp_path / "float32")
    card = (tmp_path / "float16" / "MODEL_CARD.md").read_text()
    assert "Weights are stored as float16" in card
    trainable = [line for line in card.splitlines() if "trainable parameters" in line]
    assert trainable[0] in (tmp_path / "float32" / "MODEL_CARD.md").read_text()
    sizes = [(tmp_path / name / "inference.pdiparams").stat().st_size for name in ("float32", "float16")]
    assert sizes[1] < 0.7 * sizes[0]
    images = decode_images(dev_index.paths, 16, 16)
    wanted = AppearanceEncoder(tmp_path / "float32", device="cpu", precision="float32").embed_crops(images)
    for backend in ("paddle", "onnxruntime", "openvino"):
        if backend == "openvino":
            pytest.importorskip("openvino")
        encoder = AppearanceEncoder(tmp_path / "float16", device="cpu", precision="float32", backend=backend)
        found = encoder.embed_crops(images)
        assert (found * wanted).sum(axis=1).min() >= 0.9999, backend
    capfd.readouterr()


def test_an_export_stored_as_float16_is_read_back_in_float32(checkpoint, dev_index, tmp_path):
    export(checkpoint, dev_index, tmp_path / "toy", float16=True)
    back = read_export(tmp_path / "toy")
    for name, value in back.part("network").items():
        wanted = checkpoint.part("network")[name]
        assert value.dtype == np.float32
        if value.ndim > 1:
            wanted = wanted.astype(np.float16)
        np.testing.assert_array_equal(value, wanted, err_msg=name)


def test_a_copy_in_onnx_keeps_the_storage(checkpoint, dev_index, tmp_path, capfd):
    pytest.importorskip("paddle2onnx")
    onnx = pytest.importorskip("onnx")
    export(checkpoint, dev_index, tmp_path / "toy", float16=True)
    add_onnx(tmp_path / "toy")
    nodes = onnx.load(str(tmp_path / "toy" / "inference.onnx")).graph.node
    halves = [
        node
        for node in nodes
        for attribute in node.attribute
        if node.op_type == "Constant" and attribute.t.data_type == onnx.TensorProto.FLOAT16
    ]
    assert len(halves) == 2  # convolution and embedding
    capfd.readouterr()


def test_float16_that_changes_embeddings_is_refused(
    checkpoint, people, strangers, tmp_path, monkeypatch, capsys
):
    write_checkpoint(tmp_path / "x.safetensors", checkpoint)
    arguments = ["export", "--pretrained_model", str(tmp_path / "x.safetensors"), "--data", str(strangers)]
    arguments += ["--float16", "--model_save_dir", str(tmp_path / "toy")]
    monkeypatch.setattr(half_storage, "FLOAT16_COSINE", 1.5)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "float16 changes embeddings: cosine with float32 1.00000, expected at least 1.5" in error
    assert not (tmp_path / "toy").exists()
    checkpoint.arrays["network/embedding.weight"][0, 0] = 1e6
    write_checkpoint(tmp_path / "x.safetensors", checkpoint)
    assert main(arguments) == 2
    assert "embedding.weight is too large for float16" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize(("images", "count"), [(1, 1), (127, 127), (128, 128), (129, 128), (1000, 128)])
def test_compared_images_are_spread_over_all(images, count):
    rows = evenly_chosen(np.arange(images, dtype=np.uint8 if images < 256 else np.int64), 128)
    assert len(rows) == len(set(rows.tolist())) == count
    assert (rows[0], rows[-1]) == (0, images - 1)
