from __future__ import annotations

import numpy as np
import pytest

from reid_train.checkpoints.checkpoint import write_checkpoint
from reid_train.evaluation.features import embed
from reid_train.export.export import export
from reid_train.training import teacher as teacher_module
from reid_train.training.batches import Batch
from reid_train.training.parallel import World
from reid_train.training.teacher import Teacher
from reid_train.training.teacher_rows import ROWS_FILE
from reid_train.training.trainer import Trainer

ALONE = World(0, 1)


@pytest.fixture
def saved(tiny, tmp_path):
    """A checkpoint of a network after one step, and the trainer it is of."""
    trainer = Trainer(tiny(ema_decay=0.9, seed=5), 4, ALONE)
    rng = np.random.default_rng(0)
    rows = np.arange(12)
    trainer.step(Batch(0, rng.integers(0, 256, (12, 16, 16, 3), np.uint8), rows % 4, rows))
    write_checkpoint(tmp_path / "checkpoint_0000001.safetensors", trainer.checkpoint())
    return tmp_path, trainer


def images_of(count):
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (20 + k % 3, 18, 3), np.uint8) for k in range(count)]


def paths_of(images, folder):
    return tuple(folder / f"{k}.png" for k in range(len(images)))


@pytest.mark.parametrize("count", [1, 4, 5, 6, 11])
def test_rows_are_of_each_image_and_its_mirror_image(saved, tiny, tmp_path, monkeypatch, count):
    folder, trainer = saved
    monkeypatch.setattr(teacher_module, "_CHUNK", 5)
    prepare = teacher_module.preprocessing_of(tiny())
    images = images_of(count)
    stack = np.stack([prepare(image) for image in images])
    wanted = embed(trainer.deployed, stack) + embed(trainer.deployed, np.ascontiguousarray(stack[:, :, ::-1]))
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    rows = Teacher(folder).rows(images, paths_of(images, folder), tmp_path / "run", ALONE)
    np.testing.assert_allclose(rows, wanted, atol=1e-5)


def test_rows_of_an_earlier_call_are_used_again_and_those_of_other_files_are_not(saved, tmp_path):
    folder, _ = saved
    images = images_of(6)
    paths = paths_of(images, folder)
    first = Teacher(folder).rows(images, paths, tmp_path / "run", ALONE)
    assert (tmp_path / "run" / ROWS_FILE).is_file()
    again = Teacher(folder).rows([], paths, tmp_path / "run", ALONE)  # no image is needed
    np.testing.assert_array_equal(again, first)
    other = Teacher(folder).rows(images[::-1], paths[::-1], tmp_path / "run", ALONE)
    np.testing.assert_allclose(other, first[::-1], atol=1e-6)
    (tmp_path / "run" / ROWS_FILE).write_bytes(b"not an archive")
    np.testing.assert_allclose(Teacher(folder).rows(images, paths, tmp_path / "run", ALONE), first, atol=1e-6)


def test_a_teacher_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.safetensors: no such checkpoint"):
        Teacher(tmp_path / "gone.safetensors")


def test_an_export_teaches_by_its_fastest_library(saved, tmp_path, monkeypatch):
    folder, trainer = saved
    export(trainer.checkpoint(), None, tmp_path / "toy")
    images = images_of(5)
    paths = paths_of(images, folder)
    wanted = Teacher(folder).rows(images, paths, tmp_path / "run", ALONE)
    opened = []
    plain = teacher_module.AppearanceEncoder

    def noted(path, **options):
        opened.append((path.name, options))
        return plain(path, **options)

    monkeypatch.setattr(teacher_module, "AppearanceEncoder", noted)
    teacher = Teacher(tmp_path / "toy")
    assert teacher.embedding_size == wanted.shape[1]
    found = teacher.rows(images, paths, tmp_path / "other", ALONE)
    np.testing.assert_allclose((found * wanted).sum(axis=1), 1, atol=1e-3)
    Teacher(tmp_path / "toy").rows([], paths, tmp_path / "other", ALONE)  # kept: nothing is opened
    assert opened == [("toy", {"device": "cpu", "threads": None})]
