"""Settings of a training run, in rising precedence: defaults, recipe, flags.

Names and defaults are those of the original trainer where it had the setting. A recipe is a YAML mapping with
the sections ``elem`` and ``pair``, each from setting to value. The package has the recipes ``seed``,
``strong``, ``refine`` (the second stage of ``strong``) and ``quick``. The resolved settings are printed, and
saved in the folder of the run and in every checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from deepsort_paddle.yaml_file import parse_yaml
from reid_train.argument_types import nearest, shown

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
]

Stage = Literal["elem", "pair"]
PAIR_LOSSES = ("triplet", "quadruplet", "eml", "npairs")
LOSSES = ("softmax", "arcmargin", *PAIR_LOSSES)
RECIPES = ("seed", "strong", "refine", "quick")
# Settings of the strong augmentation with their largest values. Box sides move by at most twice the setting,
# so part of the image always remains; a hue rotated by up to half a turn can be any colour.
AUGMENTATIONS = {
    "color_jitter": 1.0,
    "color_cast": 1.0,
    "gamma": 1.0,
    "hue": 0.5,
    "random_erasing": 1.0,
    "box_jitter": 0.2,
    "low_resolution": 1.0,
}
# Names of version 0.1 in checkpoints, recipes and flags.
OLD_NAMES = {
    "colour": "color_jitter",
    "erase": "random_erasing",
    "box_noise": "box_jitter",
    "coarse": "low_resolution",
    "augment_ramp": "augmentation_warmup",
}


def check_augmentation(name: str, value: float) -> None:
    """Check that a strength of the augmentation is in range.

    Args:
        name: name of the setting.
        value: its value.

    Raises:
        ValueError: the value is negative or above the largest of `AUGMENTATIONS` (1 for other names).
    """
    largest = AUGMENTATIONS.get(name, 1.0)
    if not 0 <= value <= largest:
        raise ValueError(f"{name} must be in [0, {largest:g}], got {value}")


def setting(default: Any, help: str) -> Any:
    """Return a dataclass field with the help text of its flag."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TrainConfig:
    """All settings that influence the result of a run; the metadata of each field has its help text.

    Example:
        >>> TrainConfig(total_iter_num=1000).input_size(0)
        (224, 224)
    """

    model: str = setting("ResNet50", "backbone, a name of reid_train.models.MODELS")
    embedding_size: int = setting(0, "embedding size; 0: use the pooled feature")
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
    box_jitter: float = setting(0.0, "strong: standard deviation of box sides, as a share of height or width")
    low_resolution: float = setting(0.0, "strong: probability of downscaling, to a quarter at most")
    augmentation_warmup: float = setting(
        0.0, "strong: share of the run over which these settings rise from 0"
    )
    class_dim: int = setting(0, "number of classes; 0: as in the training list")
    train_batch_size: int = setting(256, "images per training batch, over all processes")
    test_batch_size: int = setting(50, "images per evaluation batch")
    samples_each_class: int = setting(0, "K: images per person in a batch (npairs: 2); 0: shuffled images")
    loss_name: str = setting("softmax", ", ".join(LOSSES))
    arc_scale: float = setting(80.0, "arcmargin: scale of the cosines")
    arc_margin: float = setting(0.15, "arcmargin: margin in radians")
    arc_easy_margin: bool = setting(False, "arcmargin: margin only where the cosine is positive")
    margin_warmup: float = setting(0.0, "arcmargin: share of the run over which the margin rises from 0")
    margin: float = setting(0.1, "triplet, quadruplet: margin")
    npairs_reg_lambda: float = setting(0.01, "npairs: weight of the norm penalty")
    label_smoothing: float = setting(0.0, "share of the class target spread over all classes")
    batch_hard_weight: float = setting(0.0, "weight of a batch-hard triplet loss in addition to a class loss")
    batch_hard_margin: float = setting(0.3, "margin of the batch-hard triplet loss")
    circle_weight: float = setting(0.0, "weight of a circle loss in addition to a class loss")
    center_weight: float = setting(0.0, "weight of a center loss in addition to a class loss")
    teacher: str = setting("", "checkpoint, run or export (fastest) whose embeddings are the targets")
    teacher_weight: float = setting(1.0, "weight of the distillation loss")
    teacher_share: float = setting(0.0, "share of the run over which teacher_weight falls to 0; 0: constant")
    optimizer: str = setting("momentum", "momentum, nesterov, adam or adamw")
    lr: float = setting(0.01, "base learning rate")
    lr_strategy: str = setting("piecewise_decay", "piecewise_decay or cosine_decay")
    lr_steps: tuple[int, ...] = setting(
        (15000, 25000), "piecewise_decay: iterations at which the rate falls to a tenth"
    )
    warmup_iter_num: int = setting(0, "iterations of linear warm-up")
    weight_decay: float = setting(1e-4, "L2 decay; with adamw: decoupled decay of weight matrices")
    gradient_clip: float = setting(0.0, "largest global norm of the gradient; 0: no clipping")
    accumulate: int = setting(1, "micro-batches per update, to save memory")
    amp: bool = setting(False, "mixed precision (float16) on GPUs; no effect on CPUs")
    ema_decay: float = setting(0.0, "moving average of the weights for evaluation and export; 0: none")
    total_iter_num: int = setting(30000, "iterations")
    display_iter_step: int = setting(10, "iterations between log lines")
    test_iter_step: int = setting(1000, "iterations between evaluations")
    save_iter_step: int = setting(1000, "iterations between checkpoints")
    keep_checkpoints: int = setting(2, "numbered checkpoints to keep, besides last and best")
    num_workers: int = setting(1, "threads that prepare batches")
    seed: int = setting(0, "seed of all random choices")

    def __post_init__(self) -> None:
        """Check each value.

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
        """Return height and width of the input at an iteration, in pixels.

        Args:
            iteration: from 0.

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
        """Return JSON values: tuples become lists."""
        return dict(json.loads(json.dumps(asdict(self))))


# Defaults of the original's `pair` command that differ.
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
    """Add one flag per setting, with hyphens and with underscores, without default values.

    Args:
        parser: parser or argument group.
        stage: stage whose defaults the help shows; None shows none.
        only: names of the settings to add; by default all.
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


def recipe(name: str, stage: Stage) -> dict[str, Any]:
    """Read the settings of a recipe.

    Args:
        name: one of `RECIPES`, or a YAML file.
        stage: elem or pair.

    Returns:
        Values by setting.

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
    """Combine the defaults of the stage, the recipe and the flags, in rising precedence.

    Args:
        stage: elem or pair.
        recipe_name: a recipe, or None.
        flags: settings with the highest precedence.
        resumed: settings of the checkpoint to continue from; without a recipe they replace the defaults.

    Returns:
        The settings.

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
        hint = "" if resumed is None else "; to start another stage from weights, use --pretrained_model"
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


def config_from_dict(settings: Mapping[str, Any], source: str) -> TrainConfig:
    """Read what `TrainConfig.as_dict` returned; missing settings take their defaults.

    Args:
        settings: values by setting.
        source: file name for messages.

    Returns:
        The settings.

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
    """Parse the value of a setting, for flags and recipes."""
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if get_origin(kind) is tuple:
            values = tuple(int(item) for item in text.split(",") if item.strip())
            arguments = [item for item in get_args(kind) if item is not ...]
            if len(arguments) > 1 and len(values) != len(arguments):
                raise ValueError(text)
            return values
        return kind(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}.get(
            kind, "3,height,width" if name == "image_shape" else "comma-separated whole numbers"
        )
        raise argparse.ArgumentTypeError(f"{name} must be {wanted}, got {text!r}") from None
