from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from reid_train.export.export import export
from reid_train.export.recalibration import recalibrate
from reid_train.training.batches import Batch
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer


@pytest.fixture
def exported(tiny, dev_index, tmp_path):
    trainer = Trainer(tiny(model="PlainNorm", lr=0.5), 4, World(0, 1))
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    trainer.step(Batch(0, images, np.arange(12, dtype=np.int64) % 4, np.arange(12)))
    export(trainer.checkpoint(), None, tmp_path / "toy")
    return tmp_path / "toy"


def test_an_export_gets_the_threshold_and_the_figures_of_the_named_sets(exported, dev_index):
    untouched = {path.name: path.read_bytes() for path in exported.iterdir() if "inference" in path.name}
    before, calibration = recalibrate(exported, {"here": dev_index, "there": dev_index})
    assert before == 0.2
    description = json.loads((exported / "encoder.json").read_text())
    assert description["max_cosine_distance"] == calibration.max_cosine_distance
    assert description["evaluation"]["images"] == 16
    assert description["evaluation"]["sets"].keys() == {"there"}
    assert {
        path.name: path.read_bytes() for path in exported.iterdir() if "inference" in path.name
    } == untouched
    card = (exported / "MODEL_CARD.md").read_text()
    assert f"| `max_cosine_distance` | {calibration.max_cosine_distance} |" in card
    assert "On 16 images of 4 persons held out of training" in card
    assert card.count("## ") == 4
    assert "Not measured" not in card
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=exported, check=True)


def test_the_same_sets_give_what_export_gives(tiny, dev_index, tmp_path):
    checkpoint = Trainer(tiny(model="PlainNorm"), 4, World(0, 1)).checkpoint()
    export(checkpoint, {"here": dev_index}, tmp_path / "toy")
    at_once = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
    recalibrate(tmp_path / "toy", {"here": dev_index})
    again = json.loads((tmp_path / "toy" / "encoder.json").read_text())
    assert again["calibration"]["max_cosine_distance"] == pytest.approx(
        at_once["calibration"]["max_cosine_distance"], abs=0.001
    )
    assert again["evaluation"] == at_once["evaluation"]
    assert (tmp_path / "toy" / "MODEL_CARD.md").read_text() == card


def test_what_cannot_be_calibrated_is_refused(exported, dev_index, tmp_path):
    with pytest.raises(ValueError, match="got none in here"):
        recalibrate(exported, {"here": dev_index[:0]})
    with pytest.raises(ValueError, match="name them with --data"):
        recalibrate(exported, {})
    with pytest.raises(FileNotFoundError, match="expected a folder that export wrote"):
        recalibrate(tmp_path, {"here": dev_index})
