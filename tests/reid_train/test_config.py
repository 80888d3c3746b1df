from __future__ import annotations

import argparse
import json
from dataclasses import asdict

import pytest

from reid_train.config import TrainConfig, add_flags, config_from_dict, recipe, resolve

# The table of the original trainer.
COMMON = {
    "model": "ResNet50",
    "embedding_size": 0,
    "test_batch_size": 50,
    "image_shape": (3, 224, 224),
    "class_dim": 0,
    "lr_strategy": "piecewise_decay",
    "display_iter_step": 10,
    "arc_scale": 80.0,
    "arc_margin": 0.15,
    "arc_easy_margin": False,
    "margin": 0.1,
    "npairs_reg_lambda": 0.01,
}
ELEM = {
    "train_batch_size": 256,
    "lr": 0.01,
    "lr_steps": (15000, 25000),
    "total_iter_num": 30000,
    "test_iter_step": 1000,
    "save_iter_step": 1000,
    "loss_name": "softmax",
}
PAIR = {
    "train_batch_size": 120,
    "lr": 1e-4,
    "lr_steps": (100000,),
    "total_iter_num": 100000,
    "test_iter_step": 5000,
    "save_iter_step": 5000,
    "loss_name": "triplet",
    "samples_each_class": 2,
}
ARTICLE = {
    "model": "ResNet50_vd",
    "embedding_size": 128,
    "image_shape": (3, 128, 128),
    "lr_strategy": "piecewise_decay",
    "total_iter_num": 10000,
    "display_iter_step": 10,
    "test_iter_step": 500,
    "save_iter_step": 500,
    "optimizer": "momentum",
    "weight_decay": 1e-4,
    "augmentation": "seed",
    "neck": False,
    "last_stride": 2,
    "ema_decay": 0.0,
    "warmup_iter_num": 0,
}
ARTICLE_ELEM = {
    "train_batch_size": 256,
    "test_batch_size": 256,
    "lr": 0.1,
    "lr_steps": (5000, 7000, 9000),
    "loss_name": "arcmargin",
    "arc_scale": 80.0,
    "arc_margin": 0.15,
    "arc_easy_margin": False,
    "samples_each_class": 0,
}
ARTICLE_PAIR = {
    "train_batch_size": 64,
    "test_batch_size": 64,
    "lr": 1e-4,
    "lr_steps": (3000, 6000, 9000),
    "loss_name": "eml",
    "samples_each_class": 4,
}
# As an earlier version wrote it into its checkpoints.
EARLIER = (
    '{"model":"ResNet50_vd","embedding_size":128,"neck":true,"last_stride":1,"image_shape":[3,128,64],'
    '"resolutions":"64x32:0.87","augmentation":"strong","colour":0.15,"erase":0.25,"augment_ramp":0.5,'
    '"class_dim":0,"train_batch_size":48,"test_batch_size":64,"samples_each_class":0,"loss_name":"arcmargin",'
    '"arc_scale":16.0,"arc_margin":0.15,"arc_easy_margin":false,"margin_warmup":0.7,"margin":0.1,'
    '"npairs_reg_lambda":0.01,"label_smoothing":0.0,"batch_hard_weight":0.0,"batch_hard_margin":0.3,'
    '"circle_weight":0.0,"center_weight":0.0,"optimizer":"adamw","lr":0.0075,"lr_strategy":"cosine_decay",'
    '"lr_steps":[15000,25000],"warmup_iter_num":80,"weight_decay":0.05,"gradient_clip":5.0,"accumulate":1,'
    '"amp":false,"ema_decay":0.97,"total_iter_num":1480,"display_iter_step":10,"test_iter_step":100000,'
    '"save_iter_step":20,"keep_checkpoints":2,"num_workers":1,"seed":0}'
)


def flags(*arguments):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser)
    return vars(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("stage", "name", "want"),
    [
        ("elem", None, COMMON | ELEM),
        ("pair", None, COMMON | PAIR),
        ("elem", "seed", ARTICLE | ARTICLE_ELEM),
        ("pair", "seed", ARTICLE | ARTICLE_PAIR),
    ],
)
def test_defaults_and_the_seed_recipe_are_the_originals(stage, name, want):
    settings = asdict(resolve(stage, name, {}))
    assert {key: settings[key] for key in want} == want


def test_the_refining_recipe_goes_on_with_the_network_of_the_strong_one():
    strong, refine = resolve("elem", "strong", {}), resolve("elem", "refine", {})
    for name in ("model", "embedding_size", "neck", "last_stride", "image_shape", "augmentation"):
        assert getattr(refine, name) == getattr(strong, name)
    assert (strong.samples_each_class, strong.batch_hard_weight) == (0, 0)
    assert (refine.samples_each_class, refine.batch_hard_weight) == (4, 1)
    with pytest.raises(ValueError, match="section 'pair'"):
        resolve("pair", "refine", {})


def test_the_quick_recipe_is_small_in_all_that_costs_time():
    quick, strong = resolve("elem", "quick", {}), resolve("elem", "strong", {})
    assert quick.model == "OSNet_x0_25"
    assert quick.input_size(0) == quick.input_size(quick.total_iter_num) == (64, 32)
    assert (
        quick.total_iter_num * quick.train_batch_size < strong.total_iter_num * strong.train_batch_size / 10
    )
    assert quick.total_iter_num % quick.test_iter_step == quick.total_iter_num % quick.save_iter_step == 0


@pytest.mark.parametrize("stage", ["elem", "pair"])
def test_the_strong_recipe_is_valid(stage):
    config = resolve(stage, "strong", {})
    assert (config.neck, config.last_stride, config.augmentation) == (True, 1, "strong")


def test_flags_come_with_hyphens_and_with_underscores():
    assert flags("--train-batch-size", "8", "--lr_steps=1,2") == {"train_batch_size": 8, "lr_steps": (1, 2)}
    assert flags("--train_batch_size", "8", "--lr-steps=1,2") == {"train_batch_size": 8, "lr_steps": (1, 2)}
    assert flags() == {}


def test_flags_and_recipes_of_earlier_versions_are_understood(tmp_path):
    old = ["--colour=0.1", "--erase=0.2", "--box-noise=0.05", "--coarse=0.4", "--augment_ramp=0.5"]
    today = {
        "color_jitter": 0.1,
        "random_erasing": 0.2,
        "box_jitter": 0.05,
        "low_resolution": 0.4,
        "augmentation_warmup": 0.5,
    }
    assert flags(*old) == today
    file = tmp_path / "old.yaml"
    file.write_text("elem:\n  colour: 0.1\n  erase: 0.2\n")
    config = resolve("elem", str(file), {})
    assert (config.color_jitter, config.random_erasing) == (0.1, 0.2)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("FALSE", False), ("0", False)])
def test_bools_are_true_false_1_0(text, value):
    assert flags("--arc_easy_margin", text) == {"arc_easy_margin": value}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arc_easy_margin", "yes"], "arc_easy_margin must be true or false, got 'yes'"),
        (["--lr", "fast"], "lr must be a number, got 'fast'"),
        (["--seed", "1.5"], "seed must be a whole number, got '1.5'"),
        (["--image_shape", "3,128"], "image_shape must be 3,height,width, got '3,128'"),
        (["--image_shape", "big"], "image_shape must be 3,height,width, got 'big'"),
        (["--lr_steps", "1,b"], "lr_steps must be comma-separated whole numbers, got '1,b'"),
    ],
)
def test_a_flag_that_cannot_be_read_is_named(arguments, message):
    with pytest.raises(argparse.ArgumentError, match=message):
        flags(*arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": float("nan")}, "lr must be a finite number, got nan"),
        ({"margin": float("inf")}, "margin must be a finite number, got inf"),
        ({"lr": 0.0}, "lr must be positive, got 0.0"),
        ({"train_batch_size": -4}, "train_batch_size must be positive, got -4"),
        ({"weight_decay": -1e-4}, "weight_decay must not be negative"),
        ({"color_jitter": 1.5}, r"color_jitter must be in \[0, 1\], got 1.5"),
        ({"hue": 0.6}, r"hue must be in \[0, 0.5\], got 0.6"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\)"),
        ({"image_shape": (1, 64, 64)}, "image_shape must be 3,height,width, got 1,64,64"),
        ({"image_shape": (3, 0, 64)}, "image_shape must be 3,height,width, got 3,0,64"),
        ({"lr_steps": (500, 100)}, "lr_steps must rise, got 500,100"),
        ({"last_stride": 3}, "last_stride must be one of 1, 2, got 3"),
        ({"optimizer": "lamb"}, "optimizer must be one of momentum, nesterov, adam, adamw, got 'lamb'"),
        ({"loss_name": "contrastive"}, "loss_name must be one of softmax"),
        ({"resolutions": "64x32"}, "resolutions must be HxW:share,..., got '64x32'"),
        ({"resolutions": "64x0:0.5"}, "positive sides and rising shares"),
        ({"resolutions": "64x32:0.5,96x48:0.4"}, "positive sides and rising shares"),
    ],
)
def test_a_value_out_of_range_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


def test_resolutions_rise_to_the_full_size():
    config = TrainConfig(resolutions="32x16:0.25,64x32:0.5", image_shape=(3, 128, 64), total_iter_num=8)
    sizes = [config.input_size(iteration) for iteration in range(8)]
    assert sizes == [(32, 16)] * 2 + [(64, 32)] * 2 + [(128, 64)] * 4


def test_recipe_goes_before_defaults_and_a_flag_before_the_recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "elem: {lr: 3e-2, lr_steps: [5, 10], arc_easy_margin: true, "
        "image_shape: '3,64,32', total_iter_num: 20}\n"
        "pair: {loss_name: eml, samples_each_class: 3}\n"
    )
    config = resolve("elem", str(path), {"total_iter_num": 7})
    assert (config.lr, config.lr_steps, config.arc_easy_margin) == (0.03, (5, 10), True)
    assert (config.image_shape, config.total_iter_num) == ((3, 64, 32), 7)
    assert config.train_batch_size == 256
    pair = resolve("pair", str(path), {})
    assert (pair.loss_name, pair.samples_each_class, pair.lr) == ("eml", 3, 1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("elem: [1, 2]", "must have a section 'elem' of settings"),
        ("pair: {}", "must have a section 'elem' of settings"),
        ("elem: {}\nelm: {}", "unknown section 'elm'"),
        ("elem: {learning_rate: 1}", "unknown setting 'learning_rate'"),
        ("elem: {lr: fast}", "lr must be a number, got 'fast'"),
        ("elem: {seed: true}", "seed must be a whole number, got 'True'"),
        ("elem: {lr: [", "not YAML"),
        (b"\xff\xfe\x00elem", "not YAML"),
    ],
)
def test_a_broken_recipe_is_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"bad.yaml: .*{message}") as caught:
        recipe(str(path), "elem")
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named():
    with pytest.raises(
        FileNotFoundError, match="recipe 'weak': neither seed, strong, refine, quick nor a YAML file"
    ):
        recipe("weak", "elem")


@pytest.mark.parametrize(
    ("stage", "settings", "message"),
    [
        ("elem", {"loss_name": "eml"}, "loss_name of elem must be one of softmax, arcmargin, got 'eml'"),
        ("pair", {"loss_name": "softmax"}, "loss_name of pair must be one of triplet"),
        ("pair", {"loss_name": "eml", "samples_each_class": 1}, "at least 2 for loss_name eml"),
        ("elem", {"batch_hard_weight": 1.0}, "at least 2 for batch_hard_weight, .*, got 0"),
        ("elem", {"circle_weight": 1.0, "samples_each_class": 1}, "at least 2 for circle_weight"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(stage, settings, message):
    with pytest.raises(ValueError, match=message):
        resolve(stage, None, settings)


def test_a_resumed_run_keeps_its_settings_but_for_flags():
    before = resolve("elem", "strong", {"lr": 0.5}).as_dict()
    config = resolve("elem", None, {"total_iter_num": 99}, resumed=before)
    assert config.as_dict() == before | {"total_iter_num": 99}
    assert resolve("elem", "seed", {}, resumed=before) == resolve("elem", "seed", {})
    with pytest.raises(ValueError, match="loss_name of pair .* another stage .* --pretrained_model"):
        resolve("pair", None, {}, resumed=before)


def test_settings_survive_json():
    config = resolve("elem", "strong", {"lr_steps": (1, 2), "arc_easy_margin": True})
    assert config_from_dict(json.loads(json.dumps(config.as_dict())), "here") == config


def test_settings_of_earlier_checkpoints_are_understood():
    settings = json.loads(EARLIER)
    renamed = {
        "colour": "color_jitter",
        "erase": "random_erasing",
        "augment_ramp": "augmentation_warmup",
    }
    today = {renamed.get(name, name): value for name, value in settings.items()}
    assert config_from_dict(settings, "old").as_dict() == TrainConfig().as_dict() | today
    del settings["circle_weight"]
    assert config_from_dict(settings, "older").circle_weight == 0.0
    with pytest.raises(ValueError, match="newer: unknown setting 'warp'"):
        config_from_dict(settings | {"warp": 9}, "newer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("elem: {arc_margn: 0.1}", r"unknown setting 'arc_margn' \(did you mean arc_margin\?\)"),
        ("elem: {warmup-iter-num: 5}", r"did you mean warmup_iter_num\?"),
        ("elem: {xyzzy: 5}", r"unknown setting 'xyzzy'$"),
        (
            "{elem: {}, pairs: {}}",
            r"unknown section 'pairs', a recipe has elem and pair \(did you mean pair\?\)",
        ),
    ],
)
def test_the_nearest_key_of_a_recipe_is_suggested(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        resolve("elem", str(tmp_path / "mine.yaml"), {})
