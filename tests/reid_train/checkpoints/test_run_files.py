from __future__ import annotations

import pytest

from reid_train.checkpoints.run_files import (
    checkpoint_path,
    newest_checkpoint,
    numbered_checkpoints,
    remove_old_checkpoints,
)


def test_newest_of_a_folder_goes_by_number(tmp_path):
    for iteration in (5, 20, 10_000_000):
        checkpoint_path(tmp_path, iteration).write_bytes(b"")
    (tmp_path / "checkpoint_new.safetensors").write_bytes(b"")
    (tmp_path / "checkpoint_0000030.safetensors.part").write_bytes(b"")
    assert [number for number, _ in numbered_checkpoints(tmp_path)] == [5, 20, 10_000_000]
    assert newest_checkpoint(tmp_path) == checkpoint_path(tmp_path, 10_000_000)
    assert newest_checkpoint(tmp_path / "some.file") == tmp_path / "some.file"
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match=r"none: holds no checkpoint_\*.safetensors"):
        newest_checkpoint(tmp_path / "none")


def test_only_older_checkpoints_are_removed(tmp_path):
    for iteration in (1, 2, 3, 4, 9):
        checkpoint_path(tmp_path, iteration).write_bytes(b"")
    (tmp_path / "best.safetensors").write_bytes(b"")
    remove_old_checkpoints(tmp_path, 4, 2)
    assert [number for number, _ in numbered_checkpoints(tmp_path)] == [2, 3, 4, 9]
    remove_old_checkpoints(tmp_path, 4, 0)
    assert [number for number, _ in numbered_checkpoints(tmp_path)] == [4, 9]
    assert (tmp_path / "best.safetensors").exists()
