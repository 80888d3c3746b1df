from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from deepsort_paddle.appearance.spec import verify_checksums
from reid_train.command_line import main
from reid_train.export import precisions, quantization
from reid_train.export.export import export, onnx_runner, probe_image
from reid_train.export.quantization import INT8_FILE, quantize
from reid_train.export.recalibration import recalibrate
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer


@pytest.fixture
def folder(tiny, dev_index, tmp_path):
    """An export of an untrained network with a copy in ONNX."""
    pytest.importorskip("paddle2onnx")
    pytest.importorskip("ml_dtypes")
    trainer = Trainer(tiny(model="PlainNorm"), 4, World(0, 1))
    trainer.origin = {"data": "toys"}
    export(trainer.checkpoint(), dev_index, tmp_path / "toy", onnx=True)
    return tmp_path / "toy"


def described(folder):
    return json.loads((folder / "encoder.json").read_text())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_export_gets_an_int8_form_and_the_figures_of_it(folder, train_index, dev_index, capfd):
    before = contents(folder)
    found = quantize(folder, train_index, dev_index, images=40)
    assert [one.name for one in found][:2] == ["float32", "int8"]
    assert found[0].min_cosine == pytest.approx(1.0, abs=1e-6)
    assert 0.9 < found[1].min_cosine <= found[1].mean_cosine < 1.0
    description = described(folder)
    assert description["files"]["int8"] == INT8_FILE
    assert description["int8"]["calibration_images"] == 40
    assert description["int8"]["min_cosine"] == found[1].min_cosine
    assert description["int8"]["evaluation"]["mean_ap"] == found[1].figures.mean_ap
    image = probe_image(16, 16)
    row = onnx_runner(folder / INT8_FILE)(image)[0]
    plain = onnx_runner(folder / "inference.onnx")(image)[0]
    assert not np.array_equal(row, plain)
    assert row @ plain / np.linalg.norm(row) > 0.9
    after = contents(folder)
    assert after.keys() == before.keys() | {INT8_FILE}
    assert {name for name in before if after[name] != before[name]} == {
        "MODEL_CARD.md",
        "SHA256SUMS",
        "encoder.json",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]
    capfd.readouterr()


def test_a_second_run_gives_the_same_files(folder, train_index, dev_index, capfd):
    quantize(folder, train_index, dev_index, images=9)
    once = contents(folder)
    quantize(folder, train_index, dev_index, images=9)
    assert contents(folder) == once
    assert once["MODEL_CARD.md"].count(b"## Precision") == 1
    capfd.readouterr()


class Turned:
    """Stands for a `Predictor` whose bfloat16 turns each row by an angle."""

    cosine = 1.0
    supported = True

    def __init__(self, model, params=None, *, device, bfloat16=False, openvino=False):
        self._run = onnx_runner(model.with_suffix(".onnx"))
        self._turned = bfloat16
        self.bfloat16 = bfloat16 and self.supported

    def run(self, images):
        rows = self._run(images)
        if not self._turned:
            return rows
        side = np.roll(rows, 1, axis=1)
        side -= (side * rows).sum(axis=1, keepdims=True) * rows
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        return self.cosine * rows + np.sqrt(1 - self.cosine**2) * side


@pytest.mark.parametrize(("cosine", "allowed"), [(0.9995, True), (0.99, False)])
def test_bfloat16_is_allowed_where_every_embedding_stays(
    folder, train_index, dev_index, monkeypatch, cosine, allowed, capfd
):
    monkeypatch.setattr(precisions, "Predictor", type("Half", (Turned,), {"cosine": cosine}))
    found = quantize(folder, train_index, dev_index, images=9)
    assert found[2].min_cosine == pytest.approx(cosine, abs=1e-4)
    assert described(folder)["bfloat16"]["allowed"] is allowed
    assert ("is used if the CPU supports it" in (folder / "MODEL_CARD.md").read_text()) is allowed
    capfd.readouterr()


def test_a_cpu_without_bfloat16_says_nothing_of_it(folder, train_index, dev_index, monkeypatch, capfd):
    monkeypatch.setattr(precisions, "Predictor", type("Plain", (Turned,), {"supported": False}))
    assert len(quantize(folder, train_index, dev_index, images=9)) == 2
    assert described(folder)["bfloat16"] == {"allowed": False}
    capfd.readouterr()


@pytest.mark.parametrize("openvino", [True, False])
def test_the_fastest_library_runs_each_precision(
    folder, train_index, dev_index, monkeypatch, openvino, capfd
):
    opened = []

    class Opened(Turned):
        def __init__(self, model, params=None, **options):
            super().__init__(model, params, **options)
            opened.append((model.name, options.get("bfloat16", False), options.get("openvino", False)))

    monkeypatch.setattr(precisions, "Predictor", Opened)
    monkeypatch.setattr(precisions, "find_spec", lambda name: name if openvino else None)
    quantize(folder, train_index, dev_index, images=9)
    assert opened == [
        ("inference.onnx", False, False),
        (INT8_FILE, False, openvino),
        ("inference.onnx" if openvino else "inference.json", True, openvino),
    ]
    capfd.readouterr()


def test_a_calibration_elsewhere_measures_every_precision_there(folder, train_index, dev_index, capfd):
    quantize(folder, train_index, dev_index, images=9)
    card = folder / "MODEL_CARD.md"
    card.write_text(
        card.read_text().replace("\n## Training\n", "\n## On other data\n\nMine.\n\n## Training\n")
    )
    elsewhere = dev_index[dev_index.pids != dev_index.pids[0]]
    recalibrate(folder, {"elsewhere": elsewhere})
    description = described(folder)
    assert description["evaluation"]["images"] == description["int8"]["images"] == len(elsewhere)
    assert description["int8"]["ids"] == 3
    assert description["int8"]["calibration_images"] == 9
    for name in ("rank1", "mean_ap", "recall1"):
        assert description["int8"]["float32"][name] == pytest.approx(description["evaluation"][name])
    text = card.read_text()
    assert f"Measured on {len(elsewhere)} images of 3 persons." in text
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[:4] == ["## Figures", "## Precision", "## On other data", "## Training"]
    assert "Mine." in text
    verify_checksums(folder, sorted(set(contents(folder)) - {"SHA256SUMS"}))
    capfd.readouterr()


def test_a_network_without_a_copy_in_onnx_is_converted_for_the_moment(folder, train_index, dev_index, capfd):
    description = described(folder)
    del description["files"]["onnx"]
    (folder / "encoder.json").write_text(json.dumps(description))
    (folder / "inference.onnx").unlink()
    quantize(folder, train_index, dev_index, images=9)
    assert (folder / INT8_FILE).is_file()
    assert not (folder / "inference.onnx").exists()
    capfd.readouterr()


def test_bad_input_leaves_the_folder_as_it_was(folder, train_index, dev_index, people, tmp_path, capsys):
    before = contents(folder)
    with pytest.raises(ValueError, match="images must be 1 or more, got 0"):
        quantize(folder, train_index, dev_index, images=0)
    with pytest.raises(ValueError, match="images for calibration and for measurement, got none"):
        quantize(folder, train_index[:0], dev_index)
    with pytest.raises(FileNotFoundError, match=r"encoder\.json: no such file; expected a folder"):
        quantize(tmp_path, train_index, dev_index)
    assert contents(folder) == before
    foreign = shutil.copytree(folder, tmp_path / "foreign")
    (foreign / "encoder.json").write_text(json.dumps(described(folder) | {"input": {"height": 16}}))
    assert main(["quantize", str(foreign), "--data", str(people), "--calibration", str(people)]) == 2
    assert (
        "foreign/encoder.json: not the description of an export: KeyError('layout')"
        in capsys.readouterr().err
    )
    assert main(["quantize", str(folder), "--data", str(people)]) == 2
    assert "train.txt: no such list; pass training images with --calibration" in capsys.readouterr().err


def test_the_command_tells_each_precision(folder, people, strangers, capsys):
    arguments = [
        "quantize",
        str(folder),
        "--data",
        str(strangers),
        "--calibration",
        str(people),
        "--images",
        "9",
    ]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("float32: rank-1 ")
    assert lines[1].startswith("int8: rank-1 ")
    assert "cosine with float32 0.9" in lines[1]
    assert lines[-1] == f"written: {folder}"


@pytest.mark.parametrize("images", [1, *(quantization._BATCH + more for more in (-1, 0, 1))])
def test_batches_hold_every_image_once(images):
    crops = np.arange(images * 3, dtype=np.uint8).reshape(images, 1, 1, 3)
    reader = quantization._Crops("image", crops)
    batches = list(iter(reader.get_next, None))
    np.testing.assert_array_equal(np.concatenate([batch["image"] for batch in batches]), crops)
    assert all(len(batch["image"]) <= quantization._BATCH for batch in batches)
