from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL
from reid_train.checkpoints.checkpoint import read_checkpoint, write_checkpoint
from reid_train.checkpoints.exported import is_export, read_export, read_weights, weights_path
from reid_train.command_line import main
from reid_train.export.export import export
from reid_train.training.batches import Batch
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer, network_of

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (
    "--model PlainNorm --embedding_size 6 --image_shape 3,16,16 --train_batch_size 12 --total_iter_num 2"
)


@pytest.fixture
def trained(tiny):
    trainer = Trainer(tiny(model="PlainNorm", neck=True, ema_decay=0.5, lr=0.5), 4, World(0, 1))
    rng = np.random.default_rng(0)
    for iteration in range(2):
        images = rng.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
        trainer.step(Batch(iteration, images, np.arange(12, dtype=np.int64) % 4, np.arange(12)))
    trainer.origin = {"data": "toys", "train_images": 12, "train_ids": 4, "command": "x", "pids": [7]}
    return trainer.checkpoint()


@pytest.fixture
def exported(trained, dev_index, tmp_path):
    export(trained, dev_index, tmp_path / "toy")
    return tmp_path / "toy"


def test_an_export_gives_the_deployed_network_back(trained, exported):
    assert is_export(exported)
    assert weights_path(exported) == exported
    back = read_weights(exported)
    wanted = network_of(trained).state_dict()
    assert back.part("network").keys() == wanted.keys()
    for name, value in network_of(back).state_dict().items():
        np.testing.assert_array_equal(value.numpy(), wanted[name].numpy(), err_msg=name)
    assert back.iteration == 2
    assert back.origin == trained.origin
    assert back.config == trained.config | {"ema_decay": 0.0}


def test_a_run_and_a_checkpoint_are_weights_too(trained, tmp_path):
    path = tmp_path / "checkpoint_0000002.safetensors"
    write_checkpoint(path, trained)
    assert weights_path(tmp_path) == path
    assert read_weights(tmp_path).arrays.keys() == read_weights(path).arrays.keys() == trained.arrays.keys()
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        read_weights(tmp_path / "..")


def test_the_shipped_model_can_be_opened_for_training():
    pytest.importorskip("paddle")
    checkpoint = read_export(ROOT / "weights" / DEFAULT_MODEL)
    assert checkpoint.config["model"].lower() == DEFAULT_MODEL
    assert network_of(checkpoint).embedding_size == checkpoint.config["embedding_size"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "{", "not an export of reid-train: JSONDecodeError"),
        (lambda text: json.dumps({"files": {}}), "not an export of reid-train: KeyError 'provenance'"),
        (lambda text: text.replace('"embedding_size": 6', '"embedding_size": 5'), "no array that fits"),
        (lambda text: text.replace("inference.pdiparams", "none.pdiparams"), "no such file"),
        (lambda text: text.replace('"embedding": [\n', '"embedding": [\n9,'), "does not give the probe"),
    ],
)
def test_a_damaged_export_is_named(exported, change, reason):
    source = exported / "encoder.json"
    source.write_text(change(source.read_text()))
    with pytest.raises((ValueError, FileNotFoundError), match=reason) as caught:
        read_export(exported)
    assert str(exported) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_of_another_network_are_refused(exported):
    (exported / "inference.pdiparams").write_bytes(b"no parameters")
    with pytest.raises(ValueError, match="not an exported network of Paddle"):
        read_export(exported)


def test_training_starts_from_an_export_and_imitates_one(exported, people, tmp_path, capsys):
    arguments = ["elem", "--train", str(people), *SETTINGS.split(), "--neck", "true", "--lr", "1e-9"]
    arguments += ["--pretrained_model", str(exported), "--teacher", str(exported)]
    assert main([*arguments, "--model_save_dir", str(tmp_path / "run")]) == 0
    assert f"weights of {exported}, iteration 2" in capsys.readouterr().out
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoint_0000002.safetensors")
    assert checkpoint.origin["start"] == "From toy, taught by toy"
    # A vanishing rate leaves what was loaded.
    before = read_export(exported).part("network")["embedding.weight"]
    np.testing.assert_allclose(checkpoint.part("network")["embedding.weight"], before, atol=1e-6)
    assert {7, *range(1, 11)} == set(checkpoint.origin["identities"]["Market-1501"])


def test_an_export_is_evaluated_and_exported_again(exported, strangers, tmp_path, capsys):
    assert main(["eval", "--pretrained_model", str(exported), "--data", str(strangers)]) == 0
    out = capsys.readouterr().out
    again = ["export", "--pretrained_model", str(exported), "--data", str(strangers)]
    assert main([*again, "--model_save_dir", str(tmp_path / "again")]) == 0
    assert out.splitlines()[0] in capsys.readouterr().out
    first, second = (json.loads((tmp_path / name / "encoder.json").read_text()) for name in ("toy", "again"))
    assert first["probe"] == second["probe"]
