from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from deepsort_paddle import AppearanceEncoder
from reid_train.checkpoints.checkpoint import Checkpoint
from reid_train.data.datasets import ImageIndex
from reid_train.data.image_cache import decode_images
from reid_train.evaluation.features import embed
from reid_train.export import export as module
from reid_train.export.export import export
from reid_train.export.model_card import model_card
from reid_train.training.batches import Batch
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer, network_of


@pytest.fixture
def checkpoint(tiny):
    """Of a network with batch norm, two steps old, its moving average another."""
    trainer = Trainer(tiny(model="PlainNorm", ema_decay=0.9, lr=0.5), 4, World(0, 1))
    rng = np.random.default_rng(0)
    for iteration in range(2):
        images = rng.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
        trainer.step(Batch(iteration, images, np.arange(12, dtype=np.int64) % 4, np.arange(12)))
    trainer.origin = {"data": "toys", "train_images": 12, "train_ids": 4, "command": "reid-train elem"}
    return trainer.checkpoint()


def changed(checkpoint, **config):
    return Checkpoint(
        checkpoint.iteration, checkpoint.arrays, checkpoint.config | config, {}, {}, checkpoint.origin
    )


def test_an_export_holds_what_the_tracker_and_a_reader_need(checkpoint, dev_index, tmp_path):
    folder = tmp_path / "weights" / "toy"
    figures, recall, calibration = export(checkpoint, dev_index, folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"encoder.json", "inference.json", "inference.pdiparams", "MODEL_CARD.md", "SHA256SUMS"}
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]
    description = json.loads((folder / "encoder.json").read_text())
    assert description["name"] == "toy"
    assert description["input"]["height"] == description["input"]["width"] == 16
    assert description["resize"] == {"mode": "stretch", "interpolation": "linear"}
    assert description["output"] == {"embedding_size": 6, "normalized": True}
    assert description["max_cosine_distance"] == calibration.max_cosine_distance > 0
    errors = description["parity"]["max_abs_error"]
    assert errors.keys() == {"batch_1", "batch_7"}
    assert max(errors.values()) < 1e-5
    assert description["evaluation"]["mean_ap"] == figures.mean_ap
    assert description["evaluation"]["recall1"] == recall
    assert description["evaluation"]["images"] == 16
    assert sum(description["calibration"]["different"]) == pytest.approx(1.0, abs=1e-4)
    assert description["provenance"]["config"]["model"] == "PlainNorm"
    assert description["provenance"]["iteration"] == 2
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line[66:] for line in lines} == names - {"SHA256SUMS"}
    for line in lines:
        assert hashlib.sha256((folder / line[66:]).read_bytes()).hexdigest() == line[:64]


def test_the_moving_average_is_what_is_exported(checkpoint, dev_index, tmp_path):
    export(checkpoint, dev_index, tmp_path / "toy")
    images = decode_images(dev_index.paths, 16, 16)
    network = network_of(checkpoint)
    rows = module.exported_predictor(tmp_path / "toy")(images)
    np.testing.assert_allclose(rows, embed(network, images), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    average = checkpoint.part("ema")["embedding.weight"]
    np.testing.assert_array_equal(network.state_dict()["embedding.weight"].numpy(), average)
    assert not np.array_equal(average, checkpoint.part("network")["embedding.weight"])
    assert not network.training


def test_onnx_is_held_to_the_same_parity(checkpoint, dev_index, tmp_path, capfd):
    pytest.importorskip("paddle2onnx")
    capfd.readouterr()
    export(checkpoint, dev_index, tmp_path / "toy", onnx=True)
    told = capfd.readouterr()
    assert "onnx" not in (told.out + told.err).lower()  # the converter and ONNX Runtime like to talk
    description = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    errors = description["parity"]["max_abs_error"]
    assert errors.keys() == {"batch_1", "batch_7", "onnx_batch_1", "onnx_batch_7"}
    assert max(errors.values()) < 1e-4
    assert description["files"]["onnx"] == "inference.onnx"
    assert "inference.onnx" in (tmp_path / "toy" / "SHA256SUMS").read_text()


def test_the_graph_puts_channels_first_before_it_computes(checkpoint, dev_index, tmp_path):
    # Three values that repeat along the last axis are slow to subtract and multiply in every library.
    pytest.importorskip("paddle2onnx")
    onnx = pytest.importorskip("onnx")
    export(checkpoint, dev_index, tmp_path / "toy", onnx=True)
    nodes = onnx.load(str(tmp_path / "toy" / "inference.onnx")).graph.node
    assert next(node.op_type for node in nodes if "images" in node.input) == "Transpose"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": "Plain"}, "backbone.norm._mean is unknown to the model"),
        ({"embedding_size": 5}, r"embedding.weight must be \(8, 5\), got \(8, 6\)"),
        ({"neck": True}, "neck._mean is missing from the checkpoint"),
        ({"ema_decay": 0.0, "model": "Plain"}, "is unknown to the model"),
        ({"warp": 9}, "unknown setting 'warp'"),
    ],
)
def test_a_checkpoint_that_does_not_match_its_configuration_is_refused(
    checkpoint, dev_index, tmp_path, config, message
):
    with pytest.raises(ValueError, match=message):
        export(changed(checkpoint, **config), dev_index, tmp_path / "toy")
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_the_earlier_one(checkpoint, dev_index, tmp_path, monkeypatch):
    folder = tmp_path / "toy"
    export(checkpoint, dev_index, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    plain = module.exported_predictor

    def wrong(part):
        run = plain(part)
        return lambda images: run(images) + (0.01 if len(images) == 7 else 0)

    monkeypatch.setattr(module, "exported_predictor", wrong)
    with pytest.raises(
        ValueError, match="differs from the trained one by 0.01 at batch_7, expected at most 0.0001"
    ):
        export(checkpoint, dev_index, folder)
    monkeypatch.setattr(module, "exported_predictor", plain)
    with pytest.raises(ValueError, match="got 12 and 0|pairs of one person and pairs of different persons"):
        export(checkpoint, dev_index[dev_index.pids == 101], folder)
    with pytest.raises(ValueError, match="export needs images of persons for figures, got none"):
        export(checkpoint, dev_index[:0], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]
    export(checkpoint, dev_index, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_disk_that_fills_under_the_graph_leaves_the_earlier_export(
    checkpoint, dev_index, tmp_path, monkeypatch
):
    folder = tmp_path / "toy"
    export(checkpoint, dev_index, folder)
    save = module.paddle.jit.save

    def full(layer, path):
        # What Paddle leaves there, without any error.
        save(layer, path)
        parameters = folder.with_name("toy.part") / "inference.pdiparams"
        parameters.write_bytes(parameters.read_bytes()[:20])

    monkeypatch.setattr(module.paddle.jit, "save", full)
    with pytest.raises(OSError, match=r"the graph just written cannot be opened: is the disk full\?$"):
        export(checkpoint, dev_index, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]
    assert (folder / "encoder.json").is_file()


def test_what_else_keeps_the_graph_from_being_written_is_told(checkpoint, dev_index, tmp_path, monkeypatch):
    def broken(layer, path):
        raise ValueError("In transformed code:\n\n    no source\n")

    monkeypatch.setattr(module.paddle.jit, "save", broken)
    with pytest.raises(OSError, match=r"the graph cannot be written: no source$"):
        export(checkpoint, dev_index, tmp_path / "toy")
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_teacher_stays_on_its_machine(checkpoint, dev_index, tmp_path):
    taught = changed(checkpoint, teacher="/home/me/runs/big.safetensors")
    export(taught, dev_index, tmp_path / "toy")
    text = (tmp_path / "toy" / "encoder.json").read_text()
    assert json.loads(text)["provenance"]["config"]["teacher"] == "big.safetensors"
    assert "/home/me" not in text


def test_a_folder_of_other_things_is_never_replaced(checkpoint, dev_index, tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years")
    with pytest.raises(ValueError, match="home: contains files that are not an export"):
        export(checkpoint, dev_index, folder)
    with pytest.raises(NotADirectoryError, match=r"thesis.tex: expected a folder, got a file"):
        export(checkpoint, dev_index, folder / "thesis.tex")
    assert (folder / "thesis.tex").read_text() == "years"


def test_data_without_cameras_gives_recall_and_a_threshold(checkpoint, dev_index, tmp_path):
    dev = ImageIndex(dev_index.paths[:5], dev_index.pids[:5], np.zeros(5, np.int64))  # fewer than seven
    figures, recall, _ = export(checkpoint, dev, tmp_path / "toy")
    assert figures is None
    assert 0 <= recall <= 1
    description = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    assert description["evaluation"].keys() == {
        *("recall1", "images", "ids", "unknown_cameras", "tar_at_far_0_001", "tar_at_far_0_01")
    }
    assert description["evaluation"]["unknown_cameras"] == 5
    assert not description["calibration"]["across_cameras"]
    card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
    assert "| Rank-1 |" not in card
    assert "| Recall@Rank-1 (all against all) |" in card
    assert "Cameras are unknown: some pairs are from one camera" in card


def test_the_card_tells_what_is_known_and_no_more(checkpoint, dev_index, tmp_path):
    export(checkpoint, dev_index, tmp_path / "toy")
    description = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
    assert card.startswith("# toy\n")
    assert "toys: 12 images of 4 persons." in card
    assert "its licence determines" in card
    assert "Market-1501, which its authors provide" not in card
    assert "The gallery is small (4 persons)" in card
    assert "    reid-train elem\n" in card
    description["provenance"] |= {"data": "Market-1501", "hours": 1.25, "machine": "a machine"}
    assert "Market-1501, which its authors provide for research" in model_card(description, 1)
    assert "1.2 hours on a machine" in model_card(description, 1)
    for name in ("data", "train_images", "train_ids", "command", "hours", "machine"):
        del description["provenance"][name]
    assert "unnamed data.\nStart unknown, 2 iterations of 12 images" in model_card(description, 1234)
    assert "| trainable parameters | 1,234 |" in model_card(description, 1234)
    description["evaluation"]["ids"] = 750
    assert "The gallery is small" not in model_card(description, 1)


def test_without_images_the_export_is_not_measured_and_says_so(checkpoint, tmp_path):
    assert export(checkpoint, None, tmp_path / "toy") == (None, None, None)
    description = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    assert (description["evaluation"], description["max_cosine_distance"]) == ({}, 0.2)
    assert "calibration" not in description
    card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
    assert "Not measured: exported without images." in card
    assert "not calibrated for this network" in card
    encoder = AppearanceEncoder(tmp_path / "toy", device="cpu", threads=1)
    assert encoder.embedding_size == len(description["probe"]["embedding"])


def test_the_threshold_of_several_sets_holds_in_each_and_the_figures_are_of_the_first(
    checkpoint, dev_index, tmp_path
):
    other = dev_index[np.arange(len(dev_index))[::-1]]
    export(checkpoint, {"here": dev_index, "there": other}, tmp_path / "toy")
    description = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    evaluation, calibration = description["evaluation"], description["calibration"]
    assert evaluation["name"] == "here"
    assert evaluation["sets"].keys() == {"there"}
    assert evaluation["sets"]["there"]["mean_ap"] == pytest.approx(evaluation["mean_ap"])
    names = [(one["name"], one["cast"]) for one in calibration["conditions"]]
    assert names == [("here", 0.0), ("here", 0.15), ("there", 0.0), ("there", 0.15)]
    assert description["max_cosine_distance"] == max(
        min(one["limit"] for one in calibration["conditions"]), 0.001
    )
    card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
    assert "| there, 4 persons | " in card
    assert "| here, cast ±15% | " in card
    with pytest.raises(ValueError, match="images of persons for figures, got none in there"):
        export(checkpoint, {"here": dev_index, "there": dev_index[:0]}, tmp_path / "toy")
