from __future__ import annotations

import hashlib
import json
import shutil
import sys

import numpy as np
import pytest

from reid_train.command_line import main
from reid_train.export.export import export, exported_predictor, onnx_runner
from reid_train.export.onnx_copy import add_onnx
from reid_train.models.network import Normalize
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture
def folder(tiny, dev_index, tmp_path):
    """An export of an untrained network without a copy in ONNX."""
    pytest.importorskip("paddle2onnx")
    trainer = Trainer(tiny(model="PlainNorm"), 4, World(0, 1))
    trainer.origin = {"data": "toys"}
    export(trainer.checkpoint(), dev_index, tmp_path / "toy")
    return tmp_path / "toy"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_export_gets_a_copy_in_onnx_and_all_that_belongs_to_it(folder):
    before = contents(folder)
    assert add_onnx(folder) < 1e-5
    after = contents(folder)
    assert after.keys() == before.keys() | {"inference.onnx"}
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"SHA256SUMS", "encoder.json"}
    description = json.loads(after["encoder.json"])
    assert description["files"]["onnx"] == "inference.onnx"
    assert {"batch_1", "onnx_batch_1", "onnx_batch_7"} <= description["parity"]["max_abs_error"].keys()
    for line in after["SHA256SUMS"].decode().splitlines():
        assert hashlib.sha256(after[line[66:]]).hexdigest() == line[:64]
    rows = onnx_runner(folder / "inference.onnx")(IMAGES)
    np.testing.assert_allclose(rows, exported_predictor(folder)(IMAGES), atol=1e-5)
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]


def test_the_folder_stays_as_it_is_where_another_is_to_be_written(folder, tmp_path, capsys):
    before = contents(folder)
    assert main(["onnx", str(folder), "--output", str(tmp_path / "fast")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("parity: its embeddings differ by ")
    assert lines[1] == f"written: {tmp_path / 'fast'}"
    assert contents(folder) == before
    written = contents(tmp_path / "fast")
    assert written.keys() == before.keys() | {"inference.onnx"}
    assert main(["onnx", str(tmp_path / "fast"), "--output", str(tmp_path / "fast")]) == 0
    assert contents(tmp_path / "fast").keys() == written.keys()
    assert {path.name for path in tmp_path.iterdir()} == {"toy", "fast"}


def test_an_export_of_an_older_graph_gets_a_copy_of_todays(tiny, dev_index, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("paddle2onnx")

    def last_axis(self, images):
        pixels = images.astype("float32")
        return ((pixels - self.mean.flatten()) * self.scale.flatten()).transpose([0, 3, 1, 2])

    trainer = Trainer(tiny(model="PlainNorm"), 4, World(0, 1))
    trainer.origin = {"data": "toys"}
    with monkeypatch.context() as patched:
        patched.setattr(Normalize, "forward", last_axis)
        export(trainer.checkpoint(), dev_index, tmp_path / "toy")
    add_onnx(tmp_path / "toy")
    nodes = onnx.load(str(tmp_path / "toy" / "inference.onnx")).graph.node
    assert next(node.op_type for node in nodes if "images" in node.input) == "Transpose"


def test_what_cannot_be_done_leaves_everything_as_it_was(folder, tmp_path, monkeypatch, capsys):
    before = contents(folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="contains files that are not an export"):
        add_onnx(folder, other)
    with pytest.raises(ValueError, match="fast: lies in the export itself: name another folder"):
        add_onnx(folder, folder / "fast")
    assert contents(other) == {"notes.txt": b"mine"}
    assert main(["onnx", str(other)]) == 2
    assert "encoder.json: No such file" in capsys.readouterr().err
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "encoder.json").write_text("{}")
    with pytest.raises(ValueError, match=r"encoder\.json: not an export of reid-train"):
        add_onnx(broken)
    monkeypatch.setitem(sys.modules, "paddle2onnx", None)
    with pytest.raises(ValueError, match="ONNX needs paddle2onnx"):
        add_onnx(folder)
    assert contents(folder) == before
    assert {path.name for path in tmp_path.iterdir()} == {"toy", "other", "broken"}
