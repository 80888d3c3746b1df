from __future__ import annotations

import numpy as np
import paddle
import pytest

from reid_train.checkpoints.checkpoint import Checkpoint, layer_arrays
from reid_train.training.batches import Batch
from reid_train.training.objective import distillation
from reid_train.training.parallel import World
from reid_train.training.schedules import learning_rate
from reid_train.training.trainer import Trainer, build

PERSONS = 4


def batch(iteration=0, *, size=12, height=16, width=16):
    rng = np.random.default_rng(iteration)
    images = rng.integers(0, 256, (size, height, width, 3), dtype=np.uint8)
    rows = np.arange(size, dtype=np.int64)
    return Batch(iteration, images, rows % PERSONS, rows)


def trainer_of(config):
    return Trainer(config, PERSONS, World(0, 1))


def state(trainer):
    return trainer.checkpoint().arrays


def assert_equal_bits(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_a_step_follows_the_gradient(tiny):
    config = tiny(loss_name="softmax", optimizer="momentum", weight_decay=0.0)
    trainer = trainer_of(config)
    before = state(trainer)
    images, labels = batch().images, paddle.to_tensor(batch().labels)
    network, objective = trainer.network, trainer.objective
    loss = objective(network(paddle.to_tensor(images)), labels, 0.0)
    loss.backward()
    gradient = network.embedding.weight.grad.numpy().copy()
    for value in (*network.parameters(), *objective.parameters()):
        value.clear_gradient()
    assert trainer.step(batch()) == pytest.approx(loss.item(), rel=1e-6)
    assert trainer.iteration == 1
    want = before["network/embedding.weight"] - learning_rate(config, 0) * gradient
    np.testing.assert_allclose(state(trainer)["network/embedding.weight"], want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_name": "softmax", "label_smoothing": 0.1, "optimizer": "nesterov"},
        {"loss_name": "arcmargin", "arc_scale": 80.0, "margin_warmup": 0.5, "optimizer": "adam"},
        {
            "loss_name": "arcmargin",
            "arc_scale": 16.0,
            "optimizer": "adamw",
            "gradient_clip": 1.0,
            "batch_hard_weight": 1.0,
            "circle_weight": 0.1,
            "center_weight": 0.01,
            "samples_each_class": 3,
        },
        {"loss_name": "triplet"},
        {"loss_name": "quadruplet"},
        {"loss_name": "eml"},
        {"loss_name": "npairs", "amp": True},
    ],
    ids=lambda settings: f"{settings['loss_name']}-{settings.get('optimizer', 'momentum')}",
)
def test_every_loss_and_optimizer_learns_one_batch_and_resumes_to_the_same_bits(tiny, settings):
    config = tiny(**{"lr": 0.003, "ema_decay": 0.9, "neck": True, "lr_strategy": "cosine_decay", **settings})
    trainer = trainer_of(config)
    losses = [trainer.step(batch()) for _ in range(2)]
    half = trainer.checkpoint()
    losses += [trainer.step(batch()) for _ in range(4)]
    assert losses[-1] < losses[0]
    resumed = trainer_of(config)
    resumed.restore(half)
    assert resumed.iteration == 2
    assert [resumed.step(batch()) for _ in range(4)] == losses[2:]
    assert_equal_bits(state(trainer), state(resumed))


def test_mixed_precision_changes_nothing_on_a_cpu(tiny):
    full, mixed = (trainer_of(tiny(amp=amp)) for amp in (False, True))
    assert mixed.step(batch()) == full.step(batch())
    assert_equal_bits(state(full), state(mixed))


@pytest.mark.parametrize("loss_name", ["softmax", "eml"])
@pytest.mark.parametrize("parts", [2, 5])
def test_accumulating_parts_of_a_batch_equals_the_whole(tiny, loss_name, parts):
    whole = trainer_of(tiny(loss_name=loss_name))
    cut = trainer_of(tiny(loss_name=loss_name, accumulate=parts))
    for iteration in range(3):
        assert cut.step(batch(iteration)) == pytest.approx(whole.step(batch(iteration)), rel=1e-5)
    for name, value in state(whole).items():
        np.testing.assert_allclose(state(cut)[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_accumulation_moves_running_statistics_once_a_part(tiny):
    trainer = trainer_of(tiny(model="PlainNorm", accumulate=2))
    start = trainer.network.backbone.norm._mean.numpy().copy()
    one = batch(size=6).images
    pixels = trainer.network.backbone.conv(trainer.network.normalize(paddle.to_tensor(one)))
    mean = pixels.mean([0, 2, 3]).numpy()
    trainer.step(Batch(0, np.concatenate([one, one]), batch().labels, np.arange(12)))
    want = start
    for _ in range(2):
        want = 0.9 * want + 0.1 * mean
    np.testing.assert_allclose(trainer.network.backbone.norm._mean.numpy(), want, rtol=1e-4, atol=1e-6)


def test_distillation_is_the_mean_cosine_distance_of_rows(tiny):
    one = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]], np.float32)
    other = np.array([[6.0, 8.0], [0.0, 5.0], [0.0, -1.0]], np.float32)
    value = distillation(paddle.to_tensor(one), paddle.to_tensor(other))
    assert value.item() == pytest.approx((0 + 1 + 2) / 3, abs=1e-6)
    zero = paddle.zeros([2, 2])
    zero.stop_gradient = False
    distillation(zero, paddle.ones([2, 2])).backward()
    assert np.isfinite(zero.grad.numpy()).all()


def taught_trainer(config, *, size=None):
    """A trainer with goals of ``size`` dimensions, its network's by default, for the rows of `batch`."""
    size = config.embedding_size if size is None else size
    trainer = Trainer(config, PERSONS, World(0, 1), teacher_size=size)
    trainer.goals = np.random.default_rng(9).normal(size=(12, size)).astype(np.float32)
    return trainer


@pytest.mark.parametrize("loss_name", ["softmax", "eml"])
def test_a_teachers_embeddings_are_imitated_beside_the_loss(tiny, loss_name):
    config = tiny(loss_name=loss_name, teacher_weight=4.0)
    alone, taught = trainer_of(config), taught_trainer(config)
    assert_equal_bits(state(alone), state(taught))
    images, goal = paddle.to_tensor(batch().images), paddle.to_tensor(taught.goals)
    distance = distillation(alone.network(images), goal).item()
    assert 0.01 < distance < 2
    extra = taught.step(batch()) - alone.step(batch())
    assert extra == pytest.approx(4 * distance, rel=1e-4)
    for _ in range(40):
        taught.step(batch())
    assert distillation(taught.network(images), goal).item() < 0.7 * distance


def test_goals_are_those_of_the_rows_in_the_batch(tiny):
    config = tiny(teacher_weight=4.0)
    plain, turned = taught_trainer(config), taught_trainer(config)
    order = np.random.default_rng(1).permutation(12)
    turned.goals = plain.goals[np.argsort(order)]
    moved = Batch(0, batch().images, batch().labels, order)
    assert turned.step(moved) == plain.step(batch())


def test_a_teacher_of_another_size_is_reached_by_a_layer_of_the_checkpoint(tiny):
    config = tiny(teacher_weight=4.0)
    trainer = taught_trainer(config, size=17)
    losses = [trainer.step(batch()) for _ in range(30)]
    assert losses[-1] < losses[0]
    assert state(trainer)["objective/hint.weight"].shape == (config.embedding_size, 17)
    resumed = taught_trainer(config, size=17)
    resumed.restore(trainer.checkpoint())
    assert resumed.step(batch(30)) == trainer.step(batch(30))


def test_the_weight_of_a_teacher_fades_over_its_share(tiny):
    config = tiny(teacher_weight=4.0, teacher_share=0.5, total_iter_num=8)
    alone, taught = trainer_of(config), taught_trainer(config)
    for iteration, weight in enumerate((4.0, 3.0, 2.0, 1.0, 0.0, 0.0)):
        taught.restore(alone.checkpoint())
        goal = paddle.to_tensor(taught.goals)
        alone.network.train()
        distance = distillation(alone.network(paddle.to_tensor(batch(iteration).images)), goal).item()
        taught.restore(alone.checkpoint())
        extra = taught.step(batch(iteration)) - alone.step(batch(iteration))
        assert extra == pytest.approx(weight * distance, abs=1e-4)


@pytest.mark.parametrize("parts", [2, 5])
def test_a_taught_step_in_parts_equals_the_whole(tiny, parts):
    whole, cut = (taught_trainer(tiny(accumulate=count, teacher_weight=4.0)) for count in (1, parts))
    for iteration in range(3):
        assert cut.step(batch(iteration)) == pytest.approx(whole.step(batch(iteration)), rel=1e-5)
    for name, value in state(whole).items():
        np.testing.assert_allclose(state(cut)[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_taught_run_resumes_to_the_same_bits(tiny):
    config = tiny(ema_decay=0.9, teacher_weight=4.0)
    whole, resumed = taught_trainer(config), taught_trainer(config)
    losses = [whole.step(batch(iteration)) for iteration in range(2)]
    resumed.restore(whole.checkpoint())
    losses = [whole.step(batch(iteration)) for iteration in (2, 3)]
    assert [resumed.step(batch(iteration)) for iteration in (2, 3)] == losses
    assert_equal_bits(state(whole), state(resumed))
    assert not any("teacher" in name for name in state(whole))


def test_the_average_follows_the_weights(tiny):
    trainer = trainer_of(tiny(ema_decay=0.5, model="PlainNorm"))
    average = layer_arrays(trainer.network)
    assert_equal_bits(average, layer_arrays(trainer.deployed))
    for iteration in range(1, 4):
        trainer.step(batch(iteration))
        decay = min(0.5, (1 + iteration) / (10 + iteration))
        average = {
            name: decay * average[name] + (1 - decay) * value
            for name, value in layer_arrays(trainer.network).items()
        }
    for name, value in layer_arrays(trainer.deployed).items():
        np.testing.assert_allclose(value, average[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert trainer.deployed is not trainer.network
    assert trainer_of(tiny()).deployed.training


def test_a_loss_that_is_not_finite_stops_with_the_iteration_and_changes_nothing(tiny):
    trainer = trainer_of(tiny())
    trainer.step(batch())
    trainer.objective.main.linear.bias.set_value(np.full(PERSONS, np.nan, np.float32))
    before = layer_arrays(trainer.network)
    with pytest.raises(FloatingPointError, match="loss is nan in iteration 2"):
        trainer.step(batch())
    assert_equal_bits(before, layer_arrays(trainer.network))
    assert trainer.iteration == 1


def test_a_weight_that_is_not_finite_is_never_saved(tiny):
    trainer = trainer_of(tiny())
    trainer.step(batch())
    trainer.network.embedding.bias.set_value(np.full(6, np.inf, np.float32))
    with pytest.raises(FloatingPointError, match="network/embedding.bias is not finite after iteration 1"):
        trainer.checkpoint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "PlainNorm"}, "checkpoint: expected model PlainNorm as in this run, got Plain"),
        ({"embedding_size": 7}, "checkpoint: expected embedding_size 7 as in this run, got 6"),
        ({"neck": True}, "checkpoint: expected neck True as in this run, got False"),
        ({"loss_name": "eml"}, "expected loss_name eml as in this run, got softmax; .* --pretrained_model"),
        ({"optimizer": "adam"}, "expected optimizer adam as in this run, got momentum"),
        ({"ema_decay": 0.9}, "expected ema_decay 0.9 as in this run, got 0.0; a moving average cannot begin"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_in_the_words_of_its_settings(tiny, changes, message):
    checkpoint = trainer_of(tiny()).checkpoint()
    with pytest.raises(ValueError, match=message):
        trainer_of(tiny(**changes)).restore(checkpoint)


def test_a_checkpoint_of_other_classes_is_refused(tiny):
    checkpoint = Trainer(tiny(), PERSONS + 1, World(0, 1)).checkpoint()
    with pytest.raises(ValueError, match=r"class layer: main.linear.weight must be \(6, 4\), got \(6, 5\)"):
        trainer_of(tiny()).restore(checkpoint)


class LossScale:
    """What Paddle's GradScaler keeps on a GPU: the scale is an array, all else are numbers."""

    def __init__(self):
        self.state = {"scale": np.array([32768.0], np.float32), "incr_count": 3, "decr_ratio": 0.5}

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        assert float(state["scale"][0]) == 32768.0
        self.state = state


def test_the_loss_scale_of_mixed_precision_is_kept(tiny):
    trainer, resumed = trainer_of(tiny()), trainer_of(tiny())
    trainer._scaler, resumed._scaler = LossScale(), LossScale()
    checkpoint = trainer.checkpoint()
    assert checkpoint.scaler == {"scale": 32768.0, "incr_count": 3, "decr_ratio": 0.5}
    resumed.restore(checkpoint)
    assert resumed._scaler.state["incr_count"] == 3


def test_two_trainers_of_one_seed_start_alike_and_another_seed_differs(tiny):
    one, same, other = (state(trainer_of(tiny(seed=seed))) for seed in (1, 1, 2))
    assert_equal_bits(one, same)
    assert not np.array_equal(one["network/embedding.weight"], other["network/embedding.weight"])


def test_origin_and_best_travel_with_the_checkpoint(tiny):
    trainer = trainer_of(tiny())
    trainer.origin, trainer.best = {"data": "here"}, {"mean_ap": 0.4}
    checkpoint = trainer.checkpoint()
    assert isinstance(checkpoint, Checkpoint)
    resumed = trainer_of(tiny())
    resumed.restore(checkpoint)
    assert (resumed.origin, resumed.best) == ({"data": "here"}, {"mean_ap": 0.4})


def test_the_network_is_what_the_configuration_says(tiny):
    network = build(tiny(neck=True, embedding_size=0))
    assert network.embedding is None
    assert network.neck is not None
    assert network.embedding_size == 8
