"""What an ONNX file says about itself: its task, its class names and its input size.

Ultralytics exports carry ``task``, ``names``, ``kpt_shape``, ``imgsz``, ``description`` and ``head`` as text;
YOLOv5 exports carry ``names``. Most other exporters write nothing.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ExportMetadata"]


@dataclass(frozen=True, slots=True)
class ExportMetadata:
    """The metadata of an export, as far as it is there and well-formed.

    Attributes:
        task: for example ``detect``, ``pose`` or ``obb``; empty where the file does not say.
        names: class names by number; empty where the file does not say.
        keypoint_values: numbers for the keypoints of a person, 51 for 17 of x, y and visibility; 0 for none.
        image_size: height and width that the export was made for; None where the file does not say.
        is_rtdetr: whether the exporter calls the model RT-DETR.

    Example:
        >>> ExportMetadata.parse({"task": "pose", "names": "{0: 'person'}", "kpt_shape": "[17, 3]"}).names
        ('person',)
    """

    task: str = ""
    names: tuple[str, ...] = ()
    keypoint_values: int = 0
    image_size: tuple[int, int] | None = None
    is_rtdetr: bool = False

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> ExportMetadata:
        """Read the metadata properties of an ONNX file; what is malformed counts as missing."""
        shape = _literal(metadata.get("kpt_shape", ""))
        values = math.prod(shape) if _is_counts(shape) else 0
        size = _literal(metadata.get("imgsz", ""))
        family = f"{metadata.get('head', '')} {metadata.get('description', '')}".casefold().replace("-", "")
        return cls(
            task=metadata.get("task", "").strip().casefold(),
            names=_names(_literal(metadata.get("names", ""))),
            keypoint_values=values,
            image_size=(size[0], size[1]) if _is_counts(size) and len(size) == 2 else None,
            is_rtdetr="rtdetr" in family,
        )


def _names(names: Any) -> tuple[str, ...]:
    if isinstance(names, dict) and names and set(names) == set(range(len(names))):
        return tuple(str(names[number]) for number in range(len(names)))
    if isinstance(names, (list, tuple)):
        return tuple(str(name) for name in names)
    return ()


def _is_counts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(type(one) is int and one > 0 for one in value)


def _literal(text: str) -> Any:
    """The Python value that a text writes out; None where it writes none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # MemoryError: nested deeply
        return None
