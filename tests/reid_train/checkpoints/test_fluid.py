from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing paddle warns about absent compilers
    paddle = pytest.importorskip("paddle")
    from reid_train.checkpoints.fluid import fluid_names, holds_fluid_parameters, read_tensor
    from reid_train.checkpoints.pretrained import load_pretrained
    from reid_train.models import build_backbone


def varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def tensor_bytes(values):
    """A float32 tensor as Paddle 1 writes it."""
    description = b"\x08\x05" + b"".join(b"\x10" + varint(size) for size in values.shape)
    return bytes(16) + struct.pack("<i", len(description)) + description + values.tobytes()


@pytest.fixture
def folder(tmp_path):
    """ImageNet weights of a ResNet18_vd in the names of Paddle 1, with a classifier."""
    network = build_backbone("ResNet18_vd")
    rng = np.random.default_rng(0)
    state = network.state_dict()
    for ours, theirs in fluid_names(network):
        values = rng.standard_normal(state[ours].shape).astype(np.float32)
        (tmp_path / theirs).write_bytes(tensor_bytes(values))
    (tmp_path / "fc_0.w_0").write_bytes(tensor_bytes(np.zeros((512, 1000), np.float32)))
    return tmp_path


def test_a_tensor_is_read_as_paddle_itself_writes_it(tmp_path):
    layer = paddle.nn.Linear(3, 200, bias_attr=False)
    spec = [paddle.static.InputSpec([None, 3], "float32")]
    paddle.jit.save(layer, str(tmp_path / "one"), input_spec=spec)
    values = read_tensor(tmp_path / "one.pdiparams")
    np.testing.assert_array_equal(values, layer.weight.numpy())
    assert (tmp_path / "one.pdiparams").read_bytes() == tensor_bytes(values)


def test_a_folder_of_paddle_1_starts_a_resnet(folder):
    assert holds_fluid_parameters(folder)
    network = build_backbone("ResNet18_vd")
    report = load_pretrained(network, folder)
    assert report.share == 1
    assert report.ignored == ("fc_0.w_0",)
    state = network.state_dict()
    first = read_tensor(folder / "conv1_1_weights")
    np.testing.assert_array_equal(state["stem.0.conv.weight"].numpy(), first[:, ::-1])
    for name, theirs in (
        ("blocks.0.conv0.bn._mean", "bn2a_branch2a_mean"),
        ("stem.1.bn.bias", "bnv1_2_offset"),
        ("blocks.2.short.conv.weight", "res3a_branch1_weights"),
    ):
        np.testing.assert_array_equal(state[name].numpy(), read_tensor(folder / theirs))


def test_names_of_paddle_1_are_those_of_its_model_zoo():
    names = dict(fluid_names(build_backbone("ResNet50_vd")))
    assert names["stem.0.conv.weight"] == "conv1_1_weights"
    assert names["stem.2.bn._variance"] == "bnv1_3_variance"
    assert names["blocks.0.short.bn.weight"] == "bn2a_branch1_scale"
    assert names["blocks.15.conv2.conv.weight"] == "res5c_branch2c_weights"
    assert dict(fluid_names(build_backbone("ResNet50")))["stem.0.bn.weight"] == "bn_conv1_scale"
    assert (
        dict(fluid_names(build_backbone("ResNet101_vd")))["blocks.8.conv0.conv.weight"]
        == "res4b1_branch2a_weights"
    )
    assert len(set(names.values())) == len(names) == len(build_backbone("ResNet50_vd").state_dict())


def test_damaged_files_and_other_networks_are_refused(folder):
    path = folder / "conv1_1_weights"
    whole = path.read_bytes()
    for content, message in (
        (whole[:-1], "bytes for a tensor of shape"),
        (whole[:18], "not a parameter of Paddle 1"),
        (b"PK" + whole, "expected a tensor"),
        (whole[:20] + b"\x1a" + whole[21:], "unknown field 3"),
        (whole[:21] + b"\x63" + whole[22:], "values of type 99"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_tensor(path)
    with pytest.raises(ValueError, match="can be read for ResNets, not for"):
        load_pretrained(build_backbone("OSNet_x0_25"), folder)
    path.unlink()
    with pytest.raises(ValueError, match="of ResNet's"):
        load_pretrained(build_backbone("ResNet34_vd"), folder)
