"""Settings of a training run: defaults, recipes, flags, in rising order of precedence.

The names and defaults are the original trainer's where it had the setting. A recipe is a YAML
mapping with the sections ``elem`` and ``pair``, each from setting to value; ``seed``, ``strong``, the
second stage of that, ``refine``, and ``quick`` come with the package. The resolved settings are
printed, saved beside the run and kept in every checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from deepsort_paddle.yaml_file import parse_yaml

__all__ = [
    "AUGMENTATIONS",
    "PAIR_LOSSES",
    "Stage",
    "TrainConfig",
    "add_flags",
    "check_augmentation",
    "config_from_dict",
    "recipe",
    "resolve",
    "shown",
]

Stage = Literal["elem", "pair"]
PAIR_LOSSES = ("triplet", "quadruplet", "eml", "npairs")
LOSSES = ("softmax", "arcmargin", *PAIR_LOSSES)
RECIPES = ("seed", "strong", "refine", "quick")
# Parts of the strong augmentation, and the largest value of each. Sides of a box move by at most twice their
# setting, so that some of the image is left; a hue that turns by half may be any colour.
AUGMENTATIONS = {
    "color_jitter": 1.0,
    "color_cast": 1.0,
    "gamma": 1.0,
    "hue": 0.5,
    "random_erasing": 1.0,
    "box_jitter": 0.2,
    "low_resolution": 1.0,
}
# Names of settings in checkpoints, recipes and flags of version 0.1.
OLD_NAMES = {
    "colour": "color_jitter",
    "erase": "random_erasing",
    "box_noise": "box_jitter",
    "coarse": "low_resolution",
    "augment_ramp": "augmentation_warmup",
}


def check_augmentation(name: str, value: float) -> None:
    """Refuse a strength of the augmentation that is out of range.

    Raises:
        ValueError: the value is negative or above the largest of `AUGMENTATIONS` (1 for other names).
    """
    largest = AUGMENTATIONS.get(name, 1.0)
    if not 0 <= value <= largest:
        raise ValueError(f"{name} must be in [0, {largest:g}], got {value}")


def setting(default: Any, help: str) -> Any:
    """A dataclass field with the text that its flag shows."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run's numbers; `help` of each field says what it is."""

    model: str = setting("ResNet50", "backbone, a name of reid_train.models.MODELS")
    embedding_size: int = setting(0, "embedding size; 0: the pooled feature itself")
    neck: bool = setting(False, "batch norm after the embedding (BNNeck)")
    last_stride: int = setting(2, "stride of the backbone's last stage, 1 or 2")
    pooling: str = setting("average", "global pooling: average or gem (generalised mean)")
    mixstyle: float = setting(0.0, "probability of MixStyle after the first two stages, in training only")
    image_shape: tuple[int, int, int] = setting((3, 224, 224), "channels,height,width of the input")
    resolutions: str = setting("", "smaller inputs first, e.g. 64x32:0.7 for the first 70 %% of the run")
    augmentation: str = setting("seed", "seed (crop, mirror) or strong (pad-crop, mirror, colour, erasing)")
    color_jitter: float = setting(0.2, "strong: largest relative change of brightness and of contrast")
    color_cast: float = setting(0.2, "strong: largest relative gain of each colour channel (white balance)")
    gamma: float = setting(0.0, "strong: largest relative change of gamma")
    hue: float = setting(0.0, "strong: largest rotation of the hue, as a share of a full turn")
    random_erasing: float = setting(0.0, "strong: probability of random erasing")
    box_jitter: float = setting(0.0, "strong: error of box sides, as a share of height or width")
    low_resolution: float = setting(0.0, "strong: probability that an image was smaller, down to a quarter")
    augmentation_warmup: float = setting(0.0, "strong: share of the run over which these seven rise from 0")
    class_dim: int = setting(0, "classes; 0: as many as the training list has")
    train_batch_size: int = setting(256, "images a training batch, over all processes")
    test_batch_size: int = setting(50, "images an evaluation batch")
    samples_each_class: int = setting(0, "K: images a person in a batch (npairs: 2); 0: a shuffled list")
    loss_name: str = setting("softmax", ", ".join(LOSSES))
    arc_scale: float = setting(80.0, "arcmargin: scale of the cosines")
    arc_margin: float = setting(0.15, "arcmargin: angle in radians")
    arc_easy_margin: bool = setting(False, "arcmargin: margin only where the cosine is positive")
    margin_warmup: float = setting(0.0, "arcmargin: share of the run over which the margin rises from 0")
    margin: float = setting(0.1, "triplet, quadruplet: margin")
    npairs_reg_lambda: float = setting(0.01, "npairs: weight of the norm penalty")
    label_smoothing: float = setting(0.0, "share of a class target spread over all classes")
    batch_hard_weight: float = setting(0.0, "weight of a batch-hard triplet loss beside a class loss")
    batch_hard_margin: float = setting(0.3, "its margin")
    circle_weight: float = setting(0.0, "weight of a circle loss beside a class loss")
    center_weight: float = setting(0.0, "weight of a center loss beside a class loss")
    teacher: str = setting("", "checkpoint, run or export (computed fastest) whose embeddings are imitated")
    teacher_weight: float = setting(1.0, "weight of that beside the loss")
    teacher_share: float = setting(0.0, "share of the run over which that weight falls to 0; 0: it stays")
    optimizer: str = setting("momentum", "momentum, nesterov, adam or adamw")
    lr: float = setting(0.01, "base learning rate")
    lr_strategy: str = setting("piecewise_decay", "piecewise_decay or cosine_decay")
    lr_steps: tuple[int, ...] = setting((15000, 25000), "piecewise_decay: a tenth from each of these on")
    warmup_iter_num: int = setting(0, "iterations of linear warm-up")
    weight_decay: float = setting(1e-4, "L2 decay; with adamw decoupled decay of weight matrices")
    gradient_clip: float = setting(0.0, "largest global norm of the gradient; 0: none")
    accumulate: int = setting(1, "micro-batches that one update adds up, for memory")
    amp: bool = setting(False, "mixed precision (float16) on GPUs; CPUs compute in float32 all the same")
    ema_decay: float = setting(0.0, "moving average of the weights, used for evaluation and export; 0: none")
    total_iter_num: int = setting(30000, "iterations")
    display_iter_step: int = setting(10, "iterations between log lines")
    test_iter_step: int = setting(1000, "iterations between evaluations")
    save_iter_step: int = setting(1000, "iterations between checkpoints")
    keep_checkpoints: int = setting(2, "numbered checkpoints that stay beside last and best")
    num_workers: int = setting(1, "threads that make batches")
    seed: int = setting(0, "of everything random")

    def __post_init__(self) -> None:
        """Check each value on its own.

        Raises:
            ValueError: a setting is out of range; the message names it, the expected and the given value.
        """
        choices = {
            "augmentation": ("seed", "strong"),
            "loss_name": LOSSES,
            "optimizer": ("momentum", "nesterov", "adam", "adamw"),
            "lr_strategy": ("piecewise_decay", "cosine_decay"),
            "last_stride": (1, 2),
            "pooling": ("average", "gem"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(str, allowed))}, got {getattr(self, name)!r}"
                )
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{item.name} must be a finite number, got {value}")
        positive = (
            "train_batch_size test_batch_size lr total_iter_num display_iter_step test_iter_step "
            "save_iter_step accumulate arc_scale num_workers"
        )
        for name in positive.split():
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        not_negative = (
            "embedding_size class_dim samples_each_class weight_decay warmup_iter_num gradient_clip margin "
            "batch_hard_weight batch_hard_margin circle_weight center_weight teacher_weight "
            "npairs_reg_lambda keep_checkpoints seed arc_margin"
        )
        for name in not_negative.split():
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("mixstyle", "augmentation_warmup", "margin_warmup", "teacher_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in AUGMENTATIONS:
            check_augmentation(name, getattr(self, name))
        for name in ("label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if list(self.lr_steps) != sorted(set(self.lr_steps)):
            raise ValueError(f"lr_steps must rise, got {','.join(map(str, self.lr_steps))}")
        if len(self.image_shape) != 3 or self.image_shape[0] != 3 or min(self.image_shape) < 1:
            raise ValueError(
                f"image_shape must be 3,height,width, got {','.join(map(str, self.image_shape))}"
            )
        self.input_size(0)

    def input_size(self, iteration: int) -> tuple[int, int]:
        """Height and width of the input at an iteration.

        Raises:
            ValueError: ``resolutions`` is not ``HxW:share`` with rising shares, separated by commas.
        """
        done, before = iteration / self.total_iter_num, 0.0
        size = self.image_shape[1:]
        for step in reversed([item for item in self.resolutions.split(",") if item]):
            try:
                sides, share = step.split(":")
                height, width = (int(side) for side in sides.split("x"))
                end = float(share)
            except ValueError:
                raise ValueError(f"resolutions must be HxW:share,..., got {step!r}") from None
            if not (height > 0 and width > 0 and 0 < end <= 1) or (before and end >= before):
                raise ValueError(
                    f"resolutions must have positive sides and rising shares up to 1, got {step!r}"
                )
            if done < end:
                size = (height, width)
            before = end
        return size

    def as_dict(self) -> dict[str, Any]:
        """For JSON: tuples become lists."""
        return dict(json.loads(json.dumps(asdict(self))))


# What the original's `pair` command had other defaults for.
PAIR_DEFAULTS: dict[str, Any] = {
    "train_batch_size": 120,
    "lr": 1e-4,
    "lr_steps": (100000,),
    "total_iter_num": 100000,
    "test_iter_step": 5000,
    "save_iter_step": 5000,
    "loss_name": "triplet",
    "samples_each_class": 2,
}


def add_flags(
    parser: argparse._ActionsContainer, stage: Stage | None = None, only: Sequence[str] = ()
) -> None:
    """Add one flag a setting, with hyphens and with underscores; none of them has a default.

    Args:
        parser: receives the flags: a parser, or a group of one.
        stage: whose defaults the help names; None names none.
        only: names of the settings to add; all by default.
    """
    hints = get_type_hints(TrainConfig)
    defaults = TrainConfig().as_dict() | (PAIR_DEFAULTS if stage == "pair" else {})
    for item in fields(TrainConfig):
        if only and item.name not in only:
            continue
        names = dict.fromkeys([f"--{item.name}", f"--{item.name.replace('_', '-')}"])
        if old := next((old for old, now in OLD_NAMES.items() if now == item.name), ""):
            names |= dict.fromkeys([f"--{old}", f"--{old.replace('_', '-')}"])
        parser.add_argument(
            *names,
            dest=item.name,
            type=lambda text, name=item.name: _parse(hints[name], name, text),  # type: ignore[misc]
            default=argparse.SUPPRESS,
            metavar=item.name.split("_")[-1].upper(),
            help=item.metadata["help"] + (f" [{shown(defaults[item.name])}]" if stage else ""),
        )


def shown(value: Any) -> str:
    """A setting as its flag would say it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"


def recipe(name: str, stage: Stage) -> dict[str, Any]:
    """Settings of a recipe: one of `RECIPES` or a YAML file.

    Raises:
        FileNotFoundError: there is no such recipe or file.
        ValueError: it is not a mapping with the sections elem and pair, or names an unknown setting.
    """
    builtin = resources.files("reid_train").joinpath("recipes", f"{name}.yaml")
    if name in RECIPES and builtin.is_file():
        content = builtin.read_bytes()
    elif Path(name).is_file():
        content = Path(name).read_bytes()
    else:
        raise FileNotFoundError(
            f"recipe {name!r}: neither {', '.join(RECIPES)} nor a YAML file{nearest(name, RECIPES)}"
        )
    sections = parse_yaml(name, content, f"a recipe with a section {stage!r} of settings")
    if not isinstance(sections.get(stage), dict):
        raise ValueError(f"{name}: a recipe must have a section {stage!r} of settings")
    for section in sections.keys() - {"elem", "pair"}:
        raise ValueError(
            f"{name}: unknown section {section!r}, a recipe has elem and pair"
            f"{nearest(str(section), ('elem', 'pair'))}"
        )
    return {OLD_NAMES.get(key, key): _convert(name, key, value) for key, value in sections[stage].items()}


def resolve(
    stage: Stage,
    recipe_name: str | None,
    flags: Mapping[str, Any],
    *,
    resumed: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """Defaults of the stage, then the recipe, then flags.

    Args:
        stage: elem or pair.
        recipe_name: a recipe, or None.
        flags: settings that go before all others.
        resumed: settings of the checkpoint that a run continues from; they stand in for defaults and
            recipe where no recipe is named.

    Raises:
        ValueError: a value is out of range, or the loss does not belong to the stage.
        FileNotFoundError: there is no such recipe.
    """
    settings: dict[str, Any] = dict(PAIR_DEFAULTS) if stage == "pair" else {}
    if recipe_name is not None:
        settings |= recipe(recipe_name, stage)
    elif resumed is not None:
        settings = asdict(config_from_dict(resumed, "checkpoint"))
    config = replace(TrainConfig(), **(settings | dict(flags)))
    if (config.loss_name in PAIR_LOSSES) != (stage == "pair"):
        wanted = PAIR_LOSSES if stage == "pair" else tuple(x for x in LOSSES if x not in PAIR_LOSSES)
        hint = "" if resumed is None else "; another stage starts from weights with --pretrained_model"
        raise ValueError(
            f"loss_name of {stage} must be one of {', '.join(wanted)}, got {config.loss_name!r}{hint}"
        )
    compares = [name for name in ("batch_hard_weight", "circle_weight") if getattr(config, name)]
    compares += [f"loss_name {config.loss_name}"] if config.loss_name in ("quadruplet", "eml") else []
    if compares and config.samples_each_class < 2:
        raise ValueError(
            f"samples_each_class must be at least 2 for {compares[0]}, which compares images of a person, "
            f"got {config.samples_each_class}"
        )
    return config


def nearest(name: str, known: Iterable[str]) -> str:
    """Which known name may have been meant, in words; empty where none is near."""
    near = get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def config_from_dict(settings: Mapping[str, Any], source: str) -> TrainConfig:
    """A configuration as `TrainConfig.as_dict` wrote it; settings that it lacks take their defaults.

    Raises:
        ValueError: a setting is unknown or has the wrong type.
    """
    return TrainConfig(
        **{OLD_NAMES.get(key, key): _convert(source, key, value) for key, value in settings.items()}
    )


def _convert(source: str, name: str, value: Any) -> Any:
    name = OLD_NAMES.get(name, name)
    hints = get_type_hints(TrainConfig)
    if name not in hints:
        raise ValueError(f"{source}: unknown setting {name!r}{nearest(str(name), hints)}")
    if isinstance(value, list):
        value = ",".join(map(str, value))
    try:
        return _parse(hints[name], name, str(value))
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"{source}: {error}") from error


def _parse(kind: Any, name: str, text: str) -> Any:
    """A value of one setting from text; flags and recipes share it."""
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if get_origin(kind) is tuple:
            values = tuple(int(item) for item in text.split(",") if item.strip())
            arguments = [
                item for item in get_args(kind) if item is not types.EllipsisType and item is not ...
            ]
            if len(arguments) > 1 and len(values) != len(arguments):
                raise ValueError(text)
            return values
        return kind(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}.get(
            kind, "3,height,width" if name == "image_shape" else "comma-separated whole numbers"
        )
        raise argparse.ArgumentTypeError(f"{name} must be {wanted}, got {text!r}") from None
