import re
import warnings
from functools import cache

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing paddle warns about absent compilers
    paddle = pytest.importorskip("paddle")
    from reid_train.models import (
        FAMILIES,
        MODELS,
        build_backbone,
        build_classifier,
        build_network,
        ghostnet,
        mobilenet_v3,
        osnet,
        parameter_count,
    )
    from reid_train.models.network import MEAN_BGR, STD_BGR, Normalize
    from reid_train.models.normalization import (
        GeneralizedMeanPool,
        InstanceBatchNorm,
        mix_style,
        mix_styles,
    )
    from reid_train.models.resnet import Block

# One of each family, and the width of its pooled feature.
SMALL = {
    "ResNet18_vd": 512,
    "ResNet18_vd_ibn_a": 512,
    "OSNet_AIN_x0_25": 128,
    "OSNet_IBN_x0_25": 128,
    "GhostNet_x0_5": 480,
    "MobileNetV3_small_x0_35": 200,
    "OSNet_x0_25": 128,
}


def shapes(layer):
    return {name: tuple(value.shape) for name, value in layer.state_dict().items()}


@pytest.fixture(scope="module")
def classifier():
    """Classifiers by name, each built once and without values."""

    @cache
    def build(name):
        with paddle.LazyGuard():
            return build_classifier(name)

    return build


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ResNet18", 11_693_736),
        ("ResNet50", 25_557_032),
        ("ResNet18_vd", 11_712_968),
        ("ResNet50_ibn_a", 25_557_032),  # instance norm has the two values a channel that batch norm has
        ("ResNet34_vd", 21_821_128),
        ("ResNet50_vd", 25_576_264),
        ("ResNet101_vd", 44_568_392),
        ("GhostNet_x0_5", 2_588_232),
        ("GhostNet_x1_0", 5_183_016),
        ("GhostNet_x1_3", 7_352_622),
        ("MobileNetV3_small_x0_35", 1_665_954),
        ("MobileNetV3_small_x1_0", 2_939_958),
        ("MobileNetV3_large_x1_0", 5_480_206),
        ("MobileNetV3_large_x1_25", 7_443_308),
    ],
)
def test_imagenet_classifier_has_the_published_number_of_parameters(name, count, classifier):
    assert parameter_count(classifier(name)) == count


@pytest.mark.parametrize(("name", "distinct", "published"), [
    ("OSNet_x1_0", 2_169_508, 2_193_616),
    ("OSNet_x0_25", 201_864, 203_568),
    ("OSNet_AIN_x1_0", 2_169_508, 2_193_616),
    ("OSNet_IBN_x1_0", 2_170_532, 2_194_640),  # two more norms of 256 channels in the first stage
])  # fmt: skip
def test_osnet_has_the_published_number_of_parameters(name, distinct, published, classifier):
    # The authors' counter sees the shared gate once for each of the four streams that use it.
    network = classifier(name)
    gates = sum(
        parameter_count(layer) for layer in network.sublayers() if isinstance(layer, osnet.ChannelGate)
    )
    features = parameter_count(network) - parameter_count(network.classifier)
    assert features == distinct
    assert features + 3 * gates == published


@pytest.mark.parametrize(
    ("model", "name", "shape"),
    [
        ("ResNet50_vd", "stem.0.conv.weight", (32, 3, 3, 3)),
        ("ResNet50_vd", "stem.2.bn._variance", (64,)),
        ("ResNet50_vd", "blocks.3.conv1.bn._mean", (128,)),
        ("ResNet50_vd", "blocks.15.conv2.conv.weight", (2048, 512, 1, 1)),
        ("ResNet50_vd", "fc.weight", (2048, 1000)),
        ("ResNet18", "blocks.0.short.conv.weight", (64, 64, 1, 1)),
        ("GhostNet_x1_0", "conv1._conv.weight", (16, 3, 3, 3)),
        ("GhostNet_x1_0", "_ghostbottleneck_3.se_block.squeeze.weight", (72, 18)),
        ("GhostNet_x1_0", "_ghostbottleneck_11.shortcut_depthwise._batch_norm._mean", (112,)),
        ("GhostNet_x1_0", "_ghostbottleneck_15.ghost_module_2.cheap_operation._conv.weight", (80, 1, 3, 3)),
        ("GhostNet_x1_0", "fc_0._conv.weight", (1280, 960, 1, 1)),
        ("GhostNet_x1_3", "conv_last._conv.weight", (1248, 208, 1, 1)),
        ("MobileNetV3_large_x1_0", "conv.conv.weight", (16, 3, 3, 3)),
        ("MobileNetV3_large_x1_0", "blocks.14.mid_se.conv2.bias", (960,)),
        ("MobileNetV3_large_x1_0", "last_conv.weight", (1280, 960, 1, 1)),
        ("MobileNetV3_small_x0_35", "blocks.8.bottleneck_conv.conv.weight", (104, 1, 5, 5)),
        ("OSNet_x1_0", "conv2.0.conv2d.3.conv2.weight", (64, 1, 3, 3)),
        ("OSNet_x1_0", "conv4.0.downsample.conv.weight", (512, 384, 1, 1)),
        ("OSNet_IBN_x1_0", "conv2.1.IN.scale", (256,)),
        ("OSNet_AIN_x1_0", "conv3.1.conv3.bn.scale", (384,)),
        ("ResNet50_vd_ibn_a", "blocks.0.conv0.bn.IN.scale", (32,)),
        ("ResNet50_vd_ibn_a", "blocks.12.conv0.bn.BN._mean", (128,)),
    ],
)
def test_parameters_are_named_and_shaped_as_published(model, name, shape, classifier):
    assert tuple(classifier(model).state_dict()[name].shape) == shape


@pytest.mark.parametrize("model", SMALL)
def test_published_stride_and_head_are_those_of_the_default(model):
    with paddle.LazyGuard():
        backbone = build_backbone(model)
        coarse, fine = (repr(build_backbone(model, last_stride=stride)) for stride in (2, 1))
        head = backbone.imagenet_head(10)
    assert coarse != fine
    assert repr(backbone) == (fine if model.startswith("OSNet") else coarse)
    assert tuple(name for name, layer in head if layer.parameters()) == backbone.head_names
    assert not set(backbone.head_names) & {name for name, _ in backbone.named_children()}


@pytest.mark.parametrize("model", SMALL)
def test_last_stride_changes_the_map_and_not_the_parameters(model):
    coarse, fine = (build_backbone(model, last_stride=stride) for stride in (2, 1))
    assert shapes(coarse) == shapes(fine)
    fine.set_state_dict(coarse.state_dict())
    images = paddle.randn([2, 3, 64, 32])
    for backbone, size in ((coarse, [2, 1]), (fine, [4, 2])):
        backbone.eval()
        with paddle.no_grad():
            assert backbone(images).shape == [2, SMALL[model], *size]


@pytest.mark.parametrize("model", ["GhostNet_x0_5", "MobileNetV3_small_x0_35"])
def test_network_can_be_built_twice_in_one_process(model):
    with paddle.LazyGuard():
        first, second = (build_network(model, 8, neck=True) for _ in range(2))
    assert list(first.state_dict()) == list(second.state_dict())
    assert not {value.name for value in first.parameters()} & {value.name for value in second.parameters()}


@pytest.mark.filterwarnings("ignore:When training, we now always track")
@pytest.mark.parametrize("model", SMALL)
def test_every_parameter_learns(model):
    paddle.seed(0)
    network = build_network(model, 8)
    rng = np.random.default_rng(0)
    images = paddle.to_tensor(rng.integers(0, 256, (4, 64, 32, 3), np.uint8))
    loss = (network(images) * paddle.to_tensor(rng.normal(size=(4, 8)).astype(np.float32))).sum()
    loss.backward()
    trainable = {name: value for name, value in network.named_parameters() if not value.stop_gradient}
    for name, value in trainable.items():
        assert value.grad is not None, name
        assert np.isfinite(value.grad.numpy()).all(), name
    assert network.backbone.parameters()[0].grad.abs().sum().item() > 0


@pytest.mark.filterwarnings("ignore")  # of the translator, about its own code
@pytest.mark.parametrize(
    "build",
    [
        lambda: osnet.OSBlock(16, 64),
        lambda: osnet.OSBlock(16, 64, instance_norm="inside"),
        lambda: osnet.OSBlock(16, 64, instance_norm="outside"),
        lambda: InstanceBatchNorm(16),
        GeneralizedMeanPool,
        lambda: ghostnet.GhostBottleneck(16, ghostnet.GhostUnit(5, 32, 24, True, 2), stride=2),
        lambda: mobilenet_v3.InvertedResidual(16, mobilenet_v3.MobileUnit(3, 32, 16, True, "hardswish", 1)),
    ],
)
def test_blocks_export(build, tmp_path):
    block = build()
    block.eval()
    maps = paddle.randn([3, 16, 8, 4])
    with paddle.no_grad():
        wanted = block(maps).numpy()
    spec = paddle.static.InputSpec([None, 16, 8, 4], "float32", "maps")
    paddle.jit.save(paddle.jit.to_static(block, input_spec=[spec]), str(tmp_path / "block"))
    exported = paddle.jit.load(str(tmp_path / "block"))
    exported.eval()
    np.testing.assert_allclose(exported(maps).numpy(), wanted, atol=1e-5)


def test_pixels_are_normalised_by_channel_and_turned_to_channels_first():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 3, 3), np.uint8)
    wanted = (images.astype(np.float64) - MEAN_BGR) / STD_BGR
    found = Normalize()(paddle.to_tensor(images)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted.transpose(0, 3, 1, 2), atol=1e-6)
    assert not Normalize().state_dict()


def test_embedding_size_zero_takes_the_pooled_feature():
    with paddle.LazyGuard():
        assert build_network("MobileNetV3_small_x0_35", 0).embedding_size == 200


def test_batch_norm_of_small_nets_follows_quickly(classifier):
    # With a momentum of 0.99 the statistics of 100 iterations still hold a third of their start.
    for model in SMALL:
        for layer in classifier(model).sublayers():
            if isinstance(layer, paddle.nn.BatchNorm2D):
                assert (layer._momentum, layer._epsilon) == (0.9, 1e-5)


def test_shared_gate_equals_a_gate_applied_to_each_stream():
    paddle.seed(0)
    gate = osnet.ChannelGate(16)
    streams = [paddle.randn([3, 16, 4, 2]) for _ in range(4)]
    together = gate(streams)
    alone = sum(gate([stream]).numpy() for stream in streams)
    np.testing.assert_allclose(together.numpy(), alone, atol=1e-5)


def test_depthwise_convolutions_start_with_outputs_of_the_scale_of_their_inputs():
    paddle.seed(0)
    depthwise = osnet.LightConv3x3(32).conv2
    variance = depthwise(paddle.randn([8, 32, 16, 16])).var().item()
    assert 1 < variance < 4  # 2 by He's rule; Paddle's default for groups gives 2 / 32


@pytest.mark.parametrize(
    ("channels", "multiple", "rounded"),
    [
        (16, 8, 16),
        (5.6, 8, 8),
        (33.6, 8, 32),
        (31.2, 4, 32),
        (93.6, 4, 92),
        (201.6, 8, 200),
        (1, 8, 8),
        (18, 16, 32),
    ],
)
def test_channels_round_to_the_nearest_multiple_and_lose_at_most_a_tenth(channels, multiple, rounded):
    assert mobilenet_v3.round_channels(channels, multiple) == rounded


def test_unknown_model_names_the_choices():
    with pytest.raises(ValueError, match=r"model must be one of ResNet\{18,.*OSNet.*1_0\}, got 'VGG16'$"):
        build_network("VGG16", 128)
    with pytest.raises(ValueError, match=r"got 'resnet_50' \(did you mean ResNet50, "):
        build_network("resnet_50", 128)


def test_last_stride_must_be_1_or_2():
    with pytest.raises(ValueError, match="last_stride must be 1 or 2, got 4"):
        build_network("OSNet_x0_25", 128, last_stride=4)


def test_registry_is_what_messages_say():
    """Expand the braces and brackets of FAMILIES."""

    def expand(pattern):
        if found := re.search(r"\{([^}]*)\}", pattern):
            choices = found[1].split(",")
        elif found := re.search(r"\[([^]]*)\]", pattern):
            choices = ["", *found[1].split(",")]
        else:
            return [pattern]
        return [
            name
            for one in choices
            for name in expand(pattern[: found.start()] + one + pattern[found.end() :])
        ]

    names = [name for family in FAMILIES.split(", ") for name in expand(family)]
    assert sorted(names) == sorted(MODELS)


def test_osnets_gate_weighs_every_stream_by_itself():
    paddle.seed(3)
    gate = osnet.ChannelGate(32)
    streams = [paddle.randn([3, 32, 4, 2]) for _ in range(4)]
    total = paddle.zeros([3, 32, 4, 2])
    for stream in streams:
        pooled = stream.mean(axis=[2, 3], keepdim=True)
        total += stream * paddle.nn.functional.sigmoid(gate.fc2(paddle.nn.functional.relu(gate.fc1(pooled))))
    np.testing.assert_allclose(gate(streams).numpy(), total.numpy(), atol=1e-6)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_fresh_residual_block_passes_its_input_on(bottleneck):
    width = 2 if bottleneck else 8
    block = Block(8, width, 1, bottleneck=bottleneck, vd=True, first=False)
    images = paddle.to_tensor(np.random.default_rng(0).random((2, 8, 5, 3), np.float32))
    np.testing.assert_array_equal(block(images).numpy(), images.numpy())


def test_ibn_a_normalises_half_by_image_and_half_by_batch():
    paddle.seed(0)
    layer = InstanceBatchNorm(5)
    x = paddle.randn([4, 5, 3, 2]) * 3 + 1
    out, values = layer(x).numpy(), x.numpy()
    for axes, channels in (((2, 3), slice(0, 2)), ((0, 2, 3), slice(2, 5))):
        part = values[:, channels]
        want = (part - part.mean(axes, keepdims=True)) / np.sqrt(part.var(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(out[:, channels], want, atol=1e-4)


def test_gem_is_between_mean_and_maximum_and_starts_at_three():
    x = paddle.to_tensor(np.random.default_rng(0).random((2, 3, 4, 5), np.float32))
    pool = GeneralizedMeanPool()
    np.testing.assert_allclose(
        pool(x).numpy()[..., 0, 0], (x.numpy() ** 3).mean((2, 3)) ** (1 / 3), rtol=1e-4
    )
    pool.p.set_value(paddle.ones([1]))
    np.testing.assert_allclose(pool(x).numpy()[..., 0, 0], x.numpy().mean((2, 3)), rtol=1e-4)
    pool.p.set_value(paddle.full([1], 80.0))
    np.testing.assert_allclose(pool(x).numpy()[..., 0, 0], x.numpy().max((2, 3)), rtol=0.05)
    assert np.isfinite(pool(paddle.zeros([1, 3, 2, 2])).numpy()).all()


def test_mixed_styles_are_between_two_images_and_keep_what_is_left():
    paddle.seed(2)
    x = paddle.randn([6, 2, 8, 8]) * paddle.arange(1, 7).reshape([6, 1, 1, 1]).astype("float32")
    out = mix_style(x, 1.0, alpha=1.0).numpy()
    values = x.numpy()
    deviations, mixed = (array.std((2, 3)) for array in (values, out))
    assert not np.allclose(deviations, mixed)
    assert mixed.min() > 0.9 * deviations.min()
    assert mixed.max() < 1.1 * deviations.max()

    def plain(array):
        return (array - array.mean((2, 3), keepdims=True)) / array.std((2, 3), keepdims=True)

    np.testing.assert_allclose(plain(out), plain(values), atol=1e-3)
    np.testing.assert_array_equal(mix_style(x, 0.0).numpy(), values)


@pytest.mark.parametrize("model", ["OSNet_AIN_x0_25", "ResNet18_vd"])
def test_styles_are_mixed_after_two_stages_and_in_training_only(model):
    paddle.seed(0)
    network = build_network(model, 8, neck=False)
    images = paddle.to_tensor(np.random.default_rng(0).integers(0, 256, (4, 64, 32, 3), np.uint8))
    names = list(network.state_dict())
    with paddle.no_grad():
        for _ in range(2):
            network(images)  # statistics
        network.eval()
        before = network(images).numpy()
        mix_styles(network.backbone, 1.0)
        np.testing.assert_array_equal(network(images).numpy(), before)
        network.train()
        one, other = network(images).numpy(), network(images).numpy()
    assert not np.allclose(one, other)
    assert list(network.state_dict()) == names
    assert len(network.backbone.style_layers) == 2


def test_styles_need_a_network_with_stages():
    with pytest.raises(ValueError, match="mixstyle needs an OSNet or a ResNet, got GhostNet"):
        mix_styles(build_backbone("GhostNet_x0_5"), 0.5)


def test_pooling_is_a_part_of_the_network():
    with paddle.LazyGuard():
        plain, gem = (build_network("OSNet_x0_25", 8, pooling=kind) for kind in ("average", "gem"))
    assert set(gem.state_dict()) - set(plain.state_dict()) == {"pool.p"}
