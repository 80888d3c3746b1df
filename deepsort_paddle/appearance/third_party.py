"""Read the input size, colour order and normalisation of third-party re-ID networks.

An ``encoder.json`` written by hand takes precedence. Without one, three layouts contain enough information:
a PaddleDetection folder (``infer_cfg.yml``), a PaddleClas folder (``inference.yml``) and an ONNX file, whose
graph contains the shape of its input. Anything else is refused, and the error names what is missing: a
network fed with the wrong size or colours tracks badly without any error. docs/third_party_reid.md is the
specification.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL
from deepsort_paddle.appearance.spec import DEFAULT_MAX_COSINE_DISTANCE, EncoderSpec
from deepsort_paddle.yaml_file import parse_yaml

__all__ = ["describe", "fit_to_graph"]

DETECTION_CONFIG = "infer_cfg.yml"
CLAS_CONFIGS = (
    "inference.yml",
    "inference_rec.yml",
    "inference_rec.yaml",
    "inference_cls.yml",
    "inference_cls.yaml",
)
# Pairs of model and weights, under the names that Paddle's tools give them.
PADDLE_FILES = (
    ("model.json", "model.pdiparams"),
    ("model.pdmodel", "model.pdiparams"),
    ("inference.json", "inference.pdiparams"),
    ("inference.pdmodel", "inference.pdiparams"),
    ("__model__", "__params__"),
    ("model", "params"),
)
_UNFINISHED = "belongs to a training run; convert it to an appearance model with reid-train export"
HELP = "write an encoder.json for it, see docs/third_party_reid.md"
# ImageNet's mean and standard deviation of RGB in [0, 1]; nearly every published re-ID network uses them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# infer_cfg.yml has the codes of OpenCV's interpolations, PaddleClas has names.
CV2_CODES: dict[Any, str] = {0: "nearest", 1: "linear", 2: "cubic", 3: "area"}
CLAS_NAMES: dict[Any, str] = {
    "nearest": "nearest",
    "bilinear": "linear",
    "linear": "linear",
    "bicubic": "cubic",
    "cubic": "cubic",
    "area": "area",
}


def describe(path: str | Path) -> tuple[Path, EncoderSpec]:
    """Find a network's description: read ``encoder.json``, or recognise the layout of the folder.

    Args:
        path: a folder, or an ``.onnx`` file.

    Returns:
        The folder, and the spec. Its sizes are 0 if only the graph has them, see `fit_to_graph`.

    Raises:
        FileNotFoundError: there is no such path, or a file in the folder is missing.
        ValueError: a description is wrong or incomplete.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".onnx":
        return path.parent, _spec(path.parent, path.stem, path.name, None)
    if not path.is_dir():
        if path.suffix == ".safetensors":
            raise ValueError(f"{path}: {_UNFINISHED}")
        if path.exists():
            raise ValueError(f"{path}: expected an appearance model (a folder or an .onnx file), got a file")
        raise FileNotFoundError(
            f"{path}: no such folder or .onnx file ({DEFAULT_MODEL} is installed; larger models are folders "
            "of weights/ in the repository of deepsort-paddle: copy one and name its path)"
        )
    if (path / "encoder.json").is_file():
        return path, EncoderSpec.read(path / "encoder.json")
    configs = [path / name for name in (DETECTION_CONFIG, *CLAS_CONFIGS) if (path / name).is_file()]
    files = [pair for pair in PADDLE_FILES if (path / pair[0]).is_file()]
    networks = sorted(file.name for file in path.glob("*.onnx"))
    if configs and files:
        model, params = files[0]
        if configs[0].name == DETECTION_CONFIG:
            return path, _from_paddle_detection(configs[0], _spec(path, path.name, model, params))
        return path, _from_paddle_clas(configs[0], _spec(path, path.name, model, params))
    if len(networks) == 1 and not files:
        return path, _spec(path, path.name, networks[0], None)
    if not files and not networks and any(path.glob("checkpoint_*.safetensors")):
        raise ValueError(f"{path}: {_UNFINISHED}")
    if not files and not networks:
        raise FileNotFoundError(
            f"{path / 'encoder.json'}: no such file, and the folder has no network in a known layout"
        )
    if len(networks) > 1 and not files:
        raise ValueError(f"{path}: expected one .onnx file, got several; name one of {', '.join(networks)}")
    raise FileNotFoundError(
        f"{path / 'encoder.json'}: no such file, and {files[0][0]} does not contain its input's size and "
        "normalisation; write one, see docs/third_party_reid.md"
    )


def fit_to_graph(spec: EncoderSpec, model: Path, shape: tuple[int, ...], dtype: str) -> EncoderSpec:
    """Complete the spec of a bare ONNX file from the input of its graph.

    Args:
        spec: with height 0.
        model: the network's file, for errors and the warning.
        shape: of the input, -1 for a side of any size.
        dtype: of the input, ``float32`` or ``uint8``.

    Returns:
        The spec with size, layout, dtype and, for float32, an assumed normalisation (with a warning).

    Raises:
        ValueError: the input is not an image of a fixed size.
    """
    if len(shape) != 4 or 3 not in (shape[1], shape[3]) or dtype not in ("float32", "uint8"):
        raise ValueError(
            f"{model}: expected float32 or uint8 input (N, 3, H, W) or (N, H, W, 3), got {dtype} {shape}"
        )
    layout = "NCHW" if shape[1] == 3 else "NHWC"
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    if height < 1 or width < 1:
        raise ValueError(
            f"{model}: the graph takes any size, so input.height and input.width are missing; {HELP}"
        )
    fitted = replace(spec, height=height, width=width, layout=layout, dtype=dtype)
    if dtype == "uint8":
        return fitted
    warnings.warn(
        f"{model}: expects floats of unknown range: assuming RGB, divided by 255, ImageNet's mean "
        f"and standard deviation; if that is wrong, {HELP}",
        stacklevel=3,
    )
    return replace(fitted, channels="RGB", scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _spec(folder: Path, name: str, model: str, params: str | None) -> EncoderSpec:
    """Return the common part of the specs of recognised networks, with unknown sizes (0)."""
    if params is not None and not (folder / params).is_file():
        raise FileNotFoundError(f"{folder / params}: no such file, the weights of {model}")
    return EncoderSpec(
        name=name,
        height=0,
        width=0,
        resize_mode="stretch",
        interpolation="linear",
        embedding_size=0,
        normalized=False,
        model=model,
        params=params,
        paddle=None,
        max_cosine_distance=DEFAULT_MAX_COSINE_DISTANCE,
        bfloat16_allowed=False,
        calibrated=False,
    )


def _from_paddle_detection(path: Path, spec: EncoderSpec) -> EncoderSpec:
    """Read size and normalisation from ``Preprocess`` of an ``infer_cfg.yml``; its images are RGB."""
    config = parse_yaml(str(path), path.read_bytes())
    steps = config.get("Preprocess")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ValueError(f"{path}: Preprocess: expected a list of steps, got {steps!r:.60}")
    spec = replace(spec, layout="NHWC", dtype="float32", channels="RGB")
    for step in steps:
        kind = step.get("type")
        if kind == "Resize" and not step.get("keep_ratio", False):
            spec = _sized(spec, f"{path}: Resize: target_size", step.get("target_size"))
            spec = _interpolated(spec, f"{path}: Resize: interp", step.get("interp", 1), CV2_CODES)
        elif kind == "NormalizeImage":
            spec = replace(spec, scale=1 / 255 if step.get("is_scale", True) else 1.0)
            if step.get("norm_type", "mean_std") == "mean_std":
                spec = _normalised(spec, f"{path}: NormalizeImage", step)
        elif kind == "Permute":
            spec = replace(spec, layout="NCHW")
        else:
            raise ValueError(
                f"{path}: Preprocess: expected Resize to a fixed size, NormalizeImage or Permute, "
                f"got {kind}; {HELP}"
            )
    return _check_size(path, spec)


def _from_paddle_clas(path: Path, spec: EncoderSpec) -> EncoderSpec:
    """Size and normalisation from ``PreProcess.transform_ops`` of a PaddleClas ``inference.yml``."""
    config = parse_yaml(str(path), path.read_bytes())
    part = config.get("RecPreProcess", config.get("PreProcess"))
    steps = part.get("transform_ops") if isinstance(part, dict) else None
    if not isinstance(steps, list) or not all(isinstance(step, dict) and len(step) == 1 for step in steps):
        raise ValueError(f"{path}: PreProcess.transform_ops: expected a list of steps, got {steps!r:.60}")
    spec = replace(spec, layout="NHWC", dtype="float32", channels="RGB")
    short = None
    for step in steps:
        (kind, options), *_ = step.items()
        options = options if isinstance(options, dict) else {}
        if kind == "DecodeImage":
            spec = replace(spec, channels="RGB" if options.get("to_rgb", True) else "BGR")
        elif kind == "ResizeImage":
            name = options.get("interpolation") or "bilinear"
            spec = _interpolated(spec, f"{path}: ResizeImage: interpolation", name, CLAS_NAMES)
            short = options.get("resize_short")
            if short is None:
                size = options.get("size")
                # Here a pair is width, height; in all other places it is height, width.
                size = size[::-1] if isinstance(size, list) else size
                spec = _sized(spec, f"{path}: ResizeImage: size", size)
        elif kind == "CropImage":
            if short != options.get("size"):
                raise ValueError(
                    f"{path}: CropImage: size: expected that of ResizeImage.resize_short, {short!r}, "
                    f"got {options.get('size')!r}; {HELP}"
                )
            spec = replace(_sized(spec, f"{path}: CropImage: size", short), resize_mode="short_side_crop")
        elif kind == "NormalizeImage":
            scale = _fraction(f"{path}: NormalizeImage: scale", options.get("scale", 1 / 255))
            spec = _normalised(replace(spec, scale=scale), f"{path}: NormalizeImage", options)
        elif kind == "ToCHWImage":
            spec = replace(spec, layout="NCHW")
        elif kind != "KeepKeys":
            raise ValueError(f"{path}: transform_ops: the step {kind!r:.40} is unknown; {HELP}")
    return _check_size(path, spec)


def _sized(spec: EncoderSpec, where: str, size: Any) -> EncoderSpec:
    """Set height and width from a side or a pair of height, width."""
    sides = [size, size] if isinstance(size, int) else size
    if (
        not isinstance(sides, list)
        or len(sides) != 2
        or not all(type(side) is int and side > 0 for side in sides)
    ):
        raise ValueError(f"{where}: expected two sides in pixels, got {size!r:.60}")
    return replace(spec, height=sides[0], width=sides[1])


def _interpolated(spec: EncoderSpec, where: str, name: Any, known: Mapping[Any, str]) -> EncoderSpec:
    if not isinstance(name, (int, str)) or name not in known:
        raise ValueError(f"{where}: expected one of {', '.join(map(str, known))}, got {name!r:.60}")
    return replace(spec, interpolation=known[name])


def _normalised(spec: EncoderSpec, where: str, options: Mapping[str, Any]) -> EncoderSpec:
    """Set mean and std; ImageNet's if the step omits them."""
    columns = []
    for name, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
        values = options.get(name)
        values = list(default) if values is None else values
        if (
            not isinstance(values, list)
            or len(values) != 3
            or not all(isinstance(value, (int, float)) and abs(value) < 1e30 for value in values)
            or (name == "std" and min(values) <= 0)
        ):
            raise ValueError(
                f"{where}: {name}: expected three {'positive ' * (name == 'std')}numbers, got {values!r:.60}"
            )
        columns.append((float(values[0]), float(values[1]), float(values[2])))
    return replace(spec, mean=columns[0], std=columns[1])


def _fraction(where: str, value: Any) -> float:
    """Parse a number or a text such as ``1.0/255.0``, which PaddleClas writes, without evaluating it."""
    match = re.fullmatch(r"\s*([\d.eE+-]+)\s*(?:/\s*([\d.eE+-]+)\s*)?", str(value))
    try:
        number = float(match[1]) / float(match[2] or 1) if match else 0.0
    except (ValueError, ZeroDivisionError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(
            f"{where}: expected a positive number or a fraction such as 1.0/255.0, got {value!r:.40}"
        )
    return number


def _check_size(path: Path, spec: EncoderSpec) -> EncoderSpec:
    if spec.height == 0:
        raise ValueError(f"{path}: no step resizes to a fixed size; {HELP}")
    return spec
