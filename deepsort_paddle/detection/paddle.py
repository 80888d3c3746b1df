"""Detectors exported by PaddleDetection: a folder with ``infer_cfg.yml`` and a Paddle network.

The file lists the preprocessing steps, applied here in its order to an RGB image, and the class names.
The networks of that project take ``image`` and, as far as they need it, ``im_shape`` (the resized size)
and ``scale_factor`` (resized / original size, both as y, x), and return rows of class, score and
corners in pixels of the original image, after suppression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.candidates import (
    NO_BFLOAT16,
    check_precision,
    class_confidences,
    class_ids,
    expect_confidence,
    has_pixels,
    select,
)
from deepsort_paddle.detection.labels import person_classes
from deepsort_paddle.inference.predictor import Predictor
from deepsort_paddle.structures import Detections
from deepsort_paddle.yaml_file import parse_yaml

__all__ = ["PaddleDetector"]

CONFIG = "infer_cfg.yml"
MODELS = ("model.pdmodel", "model.json", "inference.pdmodel", "inference.json")
# The threshold of PaddleDetection's own configurations, where the file gives none.
DEFAULT_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image being preprocessed.

    Attributes:
        pixels: ``(H, W, 3)`` RGB, or ``(3, H, W)`` once permuted.
        size: height and width to which the image was resized, without padding.
        scale: resized / original size, y and x.
        channels_first: whether the pixels are permuted.
    """

    pixels: NDArray[Any]
    size: tuple[int, int]
    scale: tuple[float, float]
    channels_first: bool = False


Step = Callable[[Prepared], Prepared]


class PaddleDetector:
    """A detector exported by PaddleDetection; safe to share between threads.

    Attributes:
        arch: the architecture that the configuration names, for example ``YOLO``.
        labels: class names by number.
        classes: the class numbers that it reports.
        confidence: its threshold.
        class_confidence: thresholds of single classes, by number, instead of it.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        confidence: float | None = None,
        classes: Sequence[int | str] | None = None,
        class_confidence: Mapping[int | str, float] | None = None,
        device: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
    ) -> None:
        """Open an exported detector.

        Args:
            directory: a folder with ``infer_cfg.yml``, ``model.pdmodel`` or ``model.json``, and its weights.
            confidence: boxes below it are dropped; None takes the configuration's ``draw_threshold``.
            classes: numbers or names to report; None takes the classes that the configuration calls people.
            class_confidence: thresholds of single classes, by number or name, instead of ``confidence``.
            device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
            threads: CPU threads; None takes every core this process may use.
            precision: ``bfloat16``, or ``float32``, which is what ``auto`` takes.

        Raises:
            FileNotFoundError: the folder or a file in it is missing.
            OSError: the network can't be opened.
            ImportError: Paddle is not installed.
            ValueError: the configuration or an argument is wrong; the message names file and field.
        """
        check_precision(precision)
        folder = Path(directory)
        path = folder / CONFIG
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        config = parse_yaml(str(path), path.read_bytes(), "fields such as arch, Preprocess and label_list")
        self.arch = str(config.get("arch", "unknown"))
        labels = config.get("label_list")
        if not isinstance(labels, list) or not labels:
            raise ValueError(f"{path}: label_list: expected a list of class names, got {labels!r}")
        self.labels = tuple(str(label) for label in labels)
        steps = config.get("Preprocess")
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise ValueError(f"{path}: Preprocess: expected a list of steps, got {steps!r}")
        self._steps = [_make_step(path, step) for step in steps]
        people = person_classes(self.labels, str(path), named=True) if classes is None else ()
        self.classes = class_ids(classes, self.labels, default=people)
        self.default_confidence = _number(path, config, "draw_threshold", DEFAULT_CONFIDENCE)
        self.confidence = expect_confidence(self.default_confidence if confidence is None else confidence)
        self.class_confidence = class_confidences(class_confidence, self.labels, self.classes)
        model = next((folder / name for name in MODELS if (folder / name).is_file()), None)
        if model is None:
            raise FileNotFoundError(f"{folder}: no exported network, expected one of {', '.join(MODELS)}")
        self._predictor = Predictor(model, device=device, threads=threads, bfloat16=precision == "bfloat16")
        if precision == "bfloat16" and not self._predictor.bfloat16:
            raise ValueError(NO_BFLOAT16)
        unknown = set(self._predictor.input_names) - {"image", "im_shape", "scale_factor"}
        if unknown:
            raise ValueError(
                f"{model}: expected inputs image, im_shape and scale_factor at most, got {min(unknown)}"
            )

    def __call__(self, frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        """Detections of one frame, in falling order of confidence.

        Args:
            frame_number: not used.
            image: ``(H, W, 3)`` uint8 BGR; without one, or without pixels, nothing is detected.

        Raises:
            ValueError: the image has another shape or dtype, or the network returns no boxes.
        """
        if not has_pixels(image):
            return Detections.empty()
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        prepared = Prepared(rgb, (image.shape[0], image.shape[1]), (1.0, 1.0))
        for step in self._steps:
            prepared = step(prepared)
        outputs = self._predictor.run_feeds(
            {
                "image": prepared.pixels[None].astype(np.float32, copy=False),
                "im_shape": np.array([prepared.size], np.float32),
                "scale_factor": np.array([prepared.scale], np.float32),
            }
        )
        rows = self._rows(outputs)
        return select(
            rows[:, 2:],
            rows[:, 1],
            rows[:, 0].astype(np.int64),
            frame_shape=image.shape,
            min_confidence=self.confidence,
            classes=self.classes,
            # The exported graph has suppressed overlaps already.
            max_iou=1.0,
            class_confidence=self.class_confidence,
        )

    def _rows(self, outputs: list[NDArray[Any]]) -> NDArray[np.float32]:
        """``(N, 6)`` class, score, x1, y1, x2, y2 of the one image; no rows if nothing was found."""
        boxes = next((one for one in outputs if one.ndim == 2 and one.shape[1] == 6), None)
        if boxes is None:
            shapes = ", ".join(str(one.shape) for one in outputs)
            raise ValueError(f"{self._predictor.path}: expected an output (N, 6), got {shapes}")
        counts = [one for one in outputs if one.shape == (1,) and np.issubdtype(one.dtype, np.integer)]
        rows: NDArray[np.float32] = boxes[: int(counts[0][0])] if counts else boxes
        # Class -1 marks the filler row of an image without detections.
        return rows[np.isfinite(rows).all(axis=1) & (rows[:, 0] >= 0)]


def _make_step(path: Path, step: Mapping[str, Any]) -> Step:
    """The function of one entry of ``Preprocess``."""
    kind = step.get("type")
    if kind == "Resize":
        return _resize(path, step)
    if kind == "NormalizeImage":
        return _normalize(path, step)
    if kind == "Permute":
        return lambda one: replace(one, pixels=one.pixels.transpose(2, 0, 1), channels_first=True)
    if kind == "PadStride":
        return _pad_stride(int(_number(path, step, "stride", 0)))
    raise ValueError(
        f"{path}: Preprocess: expected Resize, NormalizeImage, Permute or PadStride, got type {kind!r}"
    )


def _resize(path: Path, step: Mapping[str, Any]) -> Step:
    """Resize to ``target_size``; with ``keep_ratio`` as large as fits short and long side."""
    target = step.get("target_size")
    sides = [target, target] if isinstance(target, int) else target
    if (
        not isinstance(sides, list)
        or len(sides) != 2
        or not all(isinstance(side, int) and side > 0 for side in sides)
    ):
        raise ValueError(f"{path}: Preprocess: Resize: target_size: expected [height, width], got {target!r}")
    interpolation = int(_number(path, step, "interp", cv2.INTER_LINEAR))
    if not cv2.INTER_NEAREST <= interpolation <= cv2.INTER_LANCZOS4:
        raise ValueError(f"{path}: Preprocess: Resize: interp: expected 0 to 4, got {interpolation}")

    def apply(one: Prepared) -> Prepared:
        height, width = one.pixels.shape[:2]
        if step.get("keep_ratio", False):
            ratio = min(min(sides) / min(height, width), max(sides) / max(height, width))
            new_height, new_width = max(1, round(height * ratio)), max(1, round(width * ratio))
            scale = (ratio, ratio)
        else:
            new_height, new_width = sides
            scale = (new_height / height, new_width / width)
        pixels = cv2.resize(
            np.ascontiguousarray(one.pixels), (new_width, new_height), interpolation=interpolation
        )
        return replace(one, pixels=pixels, size=(new_height, new_width), scale=scale)

    return apply


def _normalize(path: Path, step: Mapping[str, Any]) -> Step:
    """Divide by 255 (``is_scale``), then subtract ``mean`` and divide by ``std`` (``mean_std``)."""
    scale = 1 / 255 if step.get("is_scale", True) else 1.0
    mean, std = np.zeros(3, np.float32), np.ones(3, np.float32)
    if step.get("norm_type", "mean_std") == "mean_std":
        try:
            mean, std = (np.array(step[name], np.float32).reshape(3) for name in ("mean", "std"))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: Preprocess: NormalizeImage: expected mean and std of three numbers each"
            ) from error
        if not (std > 0).all():
            raise ValueError(f"{path}: Preprocess: NormalizeImage: std must be positive, got {std.tolist()}")

    def apply(one: Prepared) -> Prepared:
        planes = one.pixels if one.channels_first else one.pixels.transpose(2, 0, 1)
        # One buffer, plane by plane: an axis of length 3 inside costs numpy ten times as much.
        pixels = np.empty(planes.shape, np.float32)
        for plane, out, middle, spread in zip(planes, pixels, mean, std, strict=True):
            np.multiply(plane, np.float32(scale) / spread, out=out)
            if middle:
                out -= middle / spread
        return replace(one, pixels=pixels if one.channels_first else pixels.transpose(1, 2, 0))

    return apply


def _pad_stride(stride: int) -> Step:
    """Zeros below and to the right, up to a multiple of ``stride``; 0 or less pads nothing."""

    def apply(one: Prepared) -> Prepared:
        if stride <= 0:
            return one
        axes = (1, 2) if one.channels_first else (0, 1)
        padding = [(0, -one.pixels.shape[axis] % stride if axis in axes else 0) for axis in range(3)]
        return replace(one, pixels=np.pad(one.pixels, padding))

    return apply


def _number(path: Path, fields: Mapping[str, Any], name: str, default: float) -> float:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{path}: {name}: expected a number, got {value!r}")
    return value
