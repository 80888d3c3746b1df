from __future__ import annotations

import errno
import os
import pickle
import stat

import numpy as np
import paddle
import pytest
from paddle import nn
from safetensors.numpy import save_file

from reid_train.checkpoints.checkpoint import (
    Checkpoint,
    layer_arrays,
    read_checkpoint,
    restore_layer,
    restore_optimizer,
    write_checkpoint,
)


def example(iteration=7):
    return Checkpoint(
        iteration=iteration,
        arrays={
            "network/a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
            "network/a.bias": np.zeros(0, np.float32),
            "optimizer/network.a.weight|velocity_0": np.ones((2, 3), np.float32),
        },
        config={"model": "Plain", "image_shape": [3, 4, 5]},
        best={"mean_ap": 0.5},
        scaler={"scale": 2.0},
        origin={"data": "here", "pids": [1, 2]},
    )


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, example())
    back = read_checkpoint(path)
    want = example()
    assert back.arrays.keys() == want.arrays.keys()
    for name, value in want.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], value)
        assert back.arrays[name].dtype == value.dtype
    assert (back.iteration, back.config, back.best) == (want.iteration, want.config, want.best)
    assert (back.scaler, back.origin) == (want.scaler, want.origin)
    assert back.part("network").keys() == {"a.weight", "a.bias"}


def test_a_checkpoint_has_the_permissions_of_any_new_file(tmp_path):
    write_checkpoint(tmp_path / "x.safetensors", example())
    (tmp_path / "plain").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.safetensors", "plain")]
    assert modes[0] == modes[1]


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, example(7))

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="x.safetensors: checkpoint not written, earlier ones stay: No space"):
        write_checkpoint(path, example(8))
    assert read_checkpoint(path).iteration == 7
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_a_write_that_the_system_cuts_off_leaves_the_earlier_checkpoint(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, example(7))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="earlier ones stay: File too large"):
            write_checkpoint(path, example(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_checkpoint(path).iteration == 7
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OSError, match="not written, .*No such file or directory"):
        write_checkpoint(tmp_path / "gone" / "x.safetensors", example())


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_what_is_no_checkpoint_is_refused_and_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / "good.safetensors", example())
    whole = (tmp_path / "good.safetensors").read_bytes()
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    (tmp_path / "pickle.safetensors").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "cut.safetensors").write_bytes(whole[:-5])
    (tmp_path / "short.safetensors").write_bytes(whole[:40])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    for name in ("other", "pickle", "cut", "short", "empty"):
        with pytest.raises(ValueError, match=f"{name}.safetensors: damaged, or not a checkpoint") as caught:
            read_checkpoint(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()
    (tmp_path / "net.pdparams").write_bytes(b"")
    with pytest.raises(ValueError, match="weights only; to start a training from it use --pretrained_model"):
        read_checkpoint(tmp_path / "net.pdparams")
    with pytest.raises(FileNotFoundError, match="gone: no such checkpoint"):
        read_checkpoint(tmp_path / "gone")


def test_a_layer_takes_arrays_that_fit_and_stays_as_it_was_otherwise():
    layer, other = nn.Linear(2, 3), nn.Linear(2, 3)
    arrays = layer_arrays(other)
    restore_layer(layer, arrays, "here")
    np.testing.assert_array_equal(layer.weight.numpy(), other.weight.numpy())
    wrong = {"weight": arrays["weight"] + 1, "bias": np.zeros(4, np.float32)}
    with pytest.raises(ValueError, match=r"here: bias must be \(3,\), got \(4,\)"):
        restore_layer(layer, wrong, "here")
    with pytest.raises(ValueError, match="here: bias is missing from the checkpoint"):
        restore_layer(layer, {"weight": arrays["weight"] + 1}, "here")
    with pytest.raises(ValueError, match="here: scale is unknown to the model"):
        restore_layer(layer, arrays | {"scale": arrays["bias"]}, "here")
    np.testing.assert_array_equal(layer.weight.numpy(), other.weight.numpy())


def test_optimizer_state_of_an_unknown_parameter_is_named():
    layer = nn.Linear(2, 3)
    optimizer = paddle.optimizer.Momentum(0.1, parameters=layer.parameters())
    with pytest.raises(ValueError, match="optimizer: network.x is unknown to the model"):
        restore_optimizer(optimizer, {"network.x|velocity_0": np.zeros(3)}, {layer.weight.name: "network.w"})
