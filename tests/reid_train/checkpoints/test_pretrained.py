import os
import pickle
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing paddle warns about absent compilers
    paddle = pytest.importorskip("paddle")
    from reid_train.checkpoints import pretrained
    from reid_train.checkpoints.pretrained import load_pretrained, read_pdparams
    from reid_train.models import build_backbone, build_classifier, build_network

MODEL = "MobileNetV3_small_x0_35"


@pytest.fixture(scope="module")
def classifier():
    """A classifier with statistics and weights that are not those of a new one."""
    paddle.seed(0)
    network = build_classifier(MODEL, 10)
    rng = np.random.default_rng(0)
    for name, value in network.state_dict().items():
        if name.endswith("_variance"):
            value.set_value(rng.uniform(0.5, 1.5, value.shape).astype(np.float32))
        elif name.endswith("_mean"):
            value.set_value(rng.normal(0, 0.1, value.shape).astype(np.float32))
    network.eval()
    return network


@pytest.fixture(scope="module")
def file(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "classifier.pdparams"
    paddle.save(classifier.state_dict(), str(path))
    return path


@pytest.fixture
def pickled(tmp_path):
    def write(content, protocol=4):
        path = tmp_path / "x.pdparams"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_is_read_back_exactly(classifier, tmp_path, protocol):
    path = tmp_path / "x.pdparams"
    paddle.save(classifier.state_dict(), str(path), protocol=protocol)
    arrays = read_pdparams(path)
    state = classifier.state_dict()
    assert list(arrays) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(arrays[name], value.numpy())


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_every_kind_are_read_in_every_protocol(pickled, protocol):
    content = {
        "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
        "float16": np.float16([1.5, -2]),
        "big_endian": np.arange(3, dtype=">f8"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 4), np.float32),
    }
    arrays = read_pdparams(pickled(content, protocol))
    assert arrays.keys() == content.keys()
    for name, value in content.items():
        np.testing.assert_array_equal(arrays[name], value)
        assert arrays[name].shape == value.shape


def test_tensors_saved_with_their_program_names_are_read(pickled):
    arrays = read_pdparams(pickled({"fc.weight": ("linear_0.w_0", np.ones(3, np.float32))}))
    np.testing.assert_array_equal(arrays["fc.weight"], np.ones(3))


def test_parameters_cut_into_slices_are_joined(pickled):
    content = {
        "other": np.zeros(1),
        "big@@.0": np.arange(4.0),
        "big@@.1": np.arange(4.0, 6.0),
        "UnpackBigParamInfor@@": {"big": {"OriginShape": (2, 3), "slices": ["big@@.0", "big@@.1"]}},
        "StructuredToParameterName@@": {"big": "linear_0.w_0"},
    }
    arrays = read_pdparams(pickled(content))
    assert list(arrays) == ["other", "big"]
    np.testing.assert_array_equal(arrays["big"], np.arange(6.0).reshape(2, 3))


class Payload:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", ["system", "eval", "exec", "getattr", "fromfile"])
def test_a_malicious_file_runs_nothing(pickled, tmp_path, protocol, call):
    witness = tmp_path / "witness"
    payload = {
        "system": Payload(os.system, f"touch {witness}"),
        "eval": Payload(eval, f"open({str(witness)!r}, 'w')"),
        "exec": Payload(exec, f"open({str(witness)!r}, 'w')"),
        "getattr": Payload(getattr, os, "system"),
        "fromfile": Payload(np.fromfile, __file__),
    }[call]
    path = pickled(
        {"fc.weight": np.ones(3), "x": payload} if call != "getattr" else payload.call[0], protocol
    )
    with pytest.raises(ValueError, match=r"x\.pdparams: not a Paddle parameter file: refers to ") as caught:
        read_pdparams(path)
    assert "\n" not in str(caught.value)
    assert not witness.exists()


@pytest.mark.parametrize(
    "program",
    [
        # BUILD with a slot state sets attributes of whatever lies on the stack, here of a constructor.
        b"\x80\x02cnumpy\ndtype\n(N}U\x04codeU\x02O8ut\x86b.",
        b"\x80\x02ccollections\nOrderedDict\n}U\x08__init__Nsb.",
        b"\x80\x02cnumpy\nndarray\nN}U\x0c__setstate__Ns\x86b.",
        b"\x80\x04\x8c\x0bcollections\x8c\x1fOrderedDict.__init__.__globals__\x93.",
    ],
)
def test_a_malicious_file_changes_nothing(pickled, program):
    before = {
        kind: dict(vars(kind))
        for kind in (pretrained.PickledArray, pretrained.PickledType, pretrained.OrderedDict)
    }
    with pytest.raises(ValueError, match="not a Paddle parameter file"):
        read_pdparams(pickled(program))
    for kind, attributes in before.items():
        assert dict(vars(kind)) == attributes


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",  # bytes of length 2**63 - 1
        b"\x80\x04.",
        [np.ones(3)],
        {"fc.weight": "text"},
        {"fc.weight": np.array([object], dtype=object)},
        {3: np.ones(3)},
        {"nested": {"fc.weight": np.ones(3)}},
        {"UnpackBigParamInfor@@": {"a": {"OriginShape": (2,), "slices": ["b"]}}},
    ],
)
def test_what_is_not_a_dict_of_arrays_is_refused_in_one_line(pickled, content):
    with pytest.raises(ValueError, match=r"x\.pdparams: not a Paddle parameter file: .") as caught:
        read_pdparams(pickled(content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(file, pickled, keep):
    data = file.read_bytes()
    with pytest.raises(ValueError, match="not a Paddle parameter file"):
        read_pdparams(pickled(data[: int(len(data) * keep)]))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pdparams: no such parameter file"):
        read_pdparams(tmp_path / "absent.pdparams")


def test_loaded_backbone_gives_on_bgr_what_the_classifier_computes_on_rgb(classifier, file):
    backbone = build_backbone(MODEL)
    report = load_pretrained(backbone, file, min_matched=1.0)
    assert len(report.matched) == len(backbone.state_dict())
    assert report.ignored == ("fc.bias", "fc.weight", "last_conv.weight")
    assert not report.missing + report.unexpected + report.mismatched
    backbone.eval()
    rgb = paddle.randn([2, 3, 64, 32])
    with paddle.no_grad():
        found = backbone(rgb.flip(1))
        wanted = rgb
        for name, _ in backbone.named_children():
            wanted = getattr(classifier, name)(wanted)
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-5)
        assert abs(backbone(rgb).numpy() - wanted.numpy()).max() > 1e-3


def test_network_keeps_its_own_embedding(file):
    network = build_network(MODEL, 8, last_stride=1, neck=True)
    before = network.embedding.weight.numpy().copy()
    report = load_pretrained(network, file)
    assert report.share == 1
    np.testing.assert_array_equal(network.embedding.weight.numpy(), before)


def test_weights_of_another_network_are_refused_and_change_nothing(file):
    network = build_network("MobileNetV3_small_x0_5", 8)
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    with pytest.raises(
        ValueError,
        match=r"classifier\.pdparams: expected 90% of MobileNetV3.s 211 arrays to fit, got \d+; .* blocks",
    ) as caught:
        load_pretrained(network, file)
    assert "\n" not in str(caught.value)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_report_tells_missing_unexpected_and_misshapen_names(classifier, tmp_path):
    state = dict(classifier.state_dict())
    state["conv.bn.scale"] = state.pop("conv.bn.weight")
    state["conv.bn.bias"] = paddle.zeros([9])
    path = tmp_path / "x.pdparams"
    paddle.save(state, str(path))
    report = load_pretrained(build_backbone(MODEL), path)
    assert report.missing == ("conv.bn.weight",)
    assert report.unexpected == ("conv.bn.scale",)
    assert report.mismatched == (("conv.bn.bias", (8,), (9,)),)
    assert str(report).splitlines() == [
        "209 of 211 arrays loaded, 1 missing, 1 of another shape, 1 unexpected, 3 of the classifier ignored",
        "  missing: conv.bn.weight",
        "  another shape: conv.bn.bias: expected (8,), got (9,)",
        "  unexpected: conv.bn.scale",
    ]


def test_report_of_many_names_is_short(file):
    network = build_backbone("OSNet_x0_25")
    report = load_pretrained(network, file, min_matched=0)
    text = str(report).splitlines()
    assert text[11] == f"  missing: {len(network.state_dict()) - 10} more"
    assert len(text) == 1 + 2 * 11


def test_re_identification_checkpoints_of_paddleclas_load_by_their_prefix(classifier, tmp_path):
    state = {f"backbone.{name}": value for name, value in classifier.state_dict().items()}
    path = tmp_path / "x.pdparams"
    paddle.save({**state, "head.weight": paddle.zeros([8, 751])}, str(path))
    report = load_pretrained(build_backbone(MODEL), path, min_matched=1.0)
    assert report.ignored == ("head.weight", "fc.bias", "fc.weight", "last_conv.weight")


def test_bfloat16_weights_load(classifier, tmp_path):
    path = tmp_path / "x.pdparams"
    paddle.save(
        {name: value.astype("bfloat16") for name, value in classifier.state_dict().items()}, str(path)
    )
    backbone = build_backbone(MODEL)
    load_pretrained(backbone, path)
    wanted = classifier.state_dict()["last_second_conv.conv.weight"].numpy()
    np.testing.assert_allclose(backbone.last_second_conv.conv.weight.numpy(), wanted, rtol=2**-8)


def test_min_matched_must_be_a_share(file):
    with pytest.raises(ValueError, match=r"min_matched must be in \[0, 1\], got 90"):
        load_pretrained(build_backbone(MODEL), file, min_matched=90)
