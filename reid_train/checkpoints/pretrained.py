"""Load published ImageNet weights (``.pdparams`` files) into a backbone.

A ``.pdparams`` file is a pickle, and unpickling a downloaded file can run any code. This module never imports
what a pickle names: the few names in Paddle's files map to small constructors here, and any other name is an
error.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from paddle import nn

from reid_train.checkpoints.fluid import read_fluid

__all__ = ["LoadReport", "Mismatch", "load_pretrained", "read_pdparams"]

NUMBERS = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"}
# Entries that paddle.save adds to the parameters of a state dict.
NAME_TABLE = "StructuredToParameterName@@"
SLICE_TABLE = "UnpackBigParamInfor@@"


class PickledType:
    """A number type, built from the arguments and the state that numpy pickles."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in NUMBERS:
            raise ValueError(f"holds values of type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise ValueError(f"holds values of byte order {state[1]!r}")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """An array, built from the arguments and the state that numpy pickles."""

    array: NDArray[Any]

    def __init__(self, *_: object) -> None:
        self.array = np.empty(0, np.float32)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.fill(data, kind, shape, "F" if fortran else "C")

    def fill(self, data: Any, kind: PickledType, shape: tuple[int, ...], order: str) -> None:
        """Set the values; raise ValueError if length and shape disagree."""
        if isinstance(data, str):  # bytes of Python 2
            data = data.encode("latin1")
        if not isinstance(data, bytes | bytearray) or not isinstance(kind, PickledType):
            raise ValueError("holds an array of objects")
        if len(data) != math.prod(shape) * kind.dtype.itemsize:
            raise ValueError(f"holds {len(data)} bytes for an array of shape {shape}")
        values = np.frombuffer(data, kind.dtype)
        self.array = values.reshape(shape, order="F" if order == "F" else "C")


def _array_from_buffer(data: Any, kind: PickledType, shape: tuple[int, ...], order: str) -> PickledArray:
    result = PickledArray()
    result.fill(data, kind, shape, order)
    return result


def _bytes_from_text(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"holds bytes encoded as {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


CONSTRUCTORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "tuple"): tuple,
    ("__builtin__", "tuple"): tuple,
    ("_codecs", "encode"): _bytes_from_text,
    ("builtins", "bytes"): _empty_bytes,  # an empty array in the oldest protocols
    ("__builtin__", "bytes"): _empty_bytes,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledType,
    **{
        (f"numpy.{core}.multiarray", "_reconstruct"): PickledArray
        for core in ("core", "_core")  # numpy 1 and 2
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array_from_buffer for core in ("core", "_core")},
}


class ParameterUnpickler(pickle.Unpickler):
    """Builds dicts, tuples, lists, numbers, text and arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the constructor for a name in the file.

        Raises:
            UnpicklingError: Paddle's own files do not use the name.
        """
        constructor = CONSTRUCTORS.get((module, name))
        if constructor is None:
            raise pickle.UnpicklingError(f"refers to {module}.{name}")
        # A new object each time, since a pickle can set attributes of the result.
        return partial(constructor)


def read_pdparams(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the parameters of a ``.pdparams`` file without running code from it.

    The file is a state dict from ``paddle.save`` of Paddle 2 or 3, in any pickle protocol, or a pickled dict
    of arrays.

    Args:
        path: the file.

    Returns:
        Structured parameter name to array, in the file's order; the arrays are read-only.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a dict of arrays, is damaged, or refers to something other than arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such parameter file")
    try:
        stored = path.read_bytes()
        _check_memo_size(stored)
        return _plain_arrays(ParameterUnpickler(io.BytesIO(stored), encoding="latin1").load())
    # A damaged pickle can raise any error, as its bytes are instructions.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: not a Paddle parameter file: {reason}") from error


def _check_memo_size(stored: bytes) -> None:
    """Refuse a pickle with an object number larger than its size.

    The unpickler allocates a table up to that number: four damaged bytes can request 32 GB.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about invalid escapes in damaged text
        for opcode, number, _ in pickletools.genops(stored):
            if "PUT" in opcode.name and isinstance(number, int) and number > len(stored):
                raise ValueError(f"numbers an object {number}")


def _plain_arrays(content: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(content, dict):
        raise ValueError(f"expected a dict of arrays, got a {type(content).__name__}")
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in content.items():
        if name in (NAME_TABLE, SLICE_TABLE):
            continue
        if isinstance(value, tuple) and len(value) == 2:  # a tensor: name in the program, value
            value = value[1]
        if not isinstance(name, str) or not isinstance(value, PickledArray):
            raise ValueError(f"{name!r}: expected an array, got a {type(value).__name__}")
        arrays[name] = value.array
    for name, table in content.get(SLICE_TABLE, {}).items():
        slices = [arrays.pop(slice_name) for slice_name in table["slices"]]
        arrays[name] = np.concatenate(slices).reshape(table["OriginShape"])
    return arrays


class Mismatch(NamedTuple):
    """A parameter whose shape differs between the network (``expected``) and the file (``found``)."""

    name: str
    expected: tuple[int, ...]
    found: tuple[int, ...]


@dataclass(frozen=True)
class LoadReport:
    """Which arrays of a file were loaded into a backbone; ``str`` returns it as text.

    Attributes:
        matched: names that were loaded.
        missing: names only in the backbone.
        unexpected: names only in the file.
        mismatched: names in both with different shapes; not loaded.
        ignored: names in the file that belong to its classifier or head.

    Example:
        >>> print(LoadReport(matched=("conv1.weight",), missing=(), unexpected=("x",), mismatched=()))
        1 of 1 arrays loaded, 0 missing, 0 of another shape, 1 unexpected, 0 of the classifier ignored
          unexpected: x
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    ignored: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of the backbone's names that were loaded, in [0, 1]."""
        return len(self.matched) / max(len(self.matched) + len(self.missing) + len(self.mismatched), 1)

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        lines = [
            f"{len(self.matched)} of {total} arrays loaded, {len(self.missing)} missing, "
            f"{len(self.mismatched)} of another shape, {len(self.unexpected)} unexpected, "
            f"{len(self.ignored)} of the classifier ignored"
        ]
        lines += _list_names("missing", self.missing)
        lines += _list_names(
            "another shape",
            [f"{entry.name}: expected {entry.expected}, got {entry.found}" for entry in self.mismatched],
        )
        lines += _list_names("unexpected", self.unexpected)
        return "\n".join(lines)


def _list_names(what: str, names: tuple[str, ...] | list[str], limit: int = 10) -> list[str]:
    lines = [f"  {what}: {name}" for name in names[:limit]]
    return lines if len(names) <= limit else [*lines, f"  {what}: {len(names) - limit} more"]


def load_pretrained(network: nn.Layer, path: str | Path, *, min_matched: float = 0.9) -> LoadReport:
    """Load a classifier's published weights into the backbone of a network.

    The network works on BGR and published weights on RGB, so the input channels of the first convolution are
    reversed. The classifier is ignored. Files of PaddleClas' re-identification models, whose names start with
    ``backbone.``, work too.

    Args:
        network: a backbone of `models.MODELS`, or a `ReidNetwork` around one.
        path: a ``.pdparams`` file, or a folder of Paddle 1 with a file for each parameter.
        min_matched: smallest share of the backbone's arrays that the file must contain, in [0, 1].

    Returns:
        Which arrays were loaded.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, too few arrays fit (the network is then unchanged), or
            ``min_matched`` is out of range.
    """
    if not 0 <= min_matched <= 1:
        raise ValueError(f"min_matched must be in [0, 1], got {min_matched}")
    backbone = getattr(network, "backbone", network)
    ignored: list[str] = []
    if Path(path).is_dir():
        arrays, others = read_fluid(Path(path), backbone)
        ignored = list(others)
    else:
        arrays = read_pdparams(path)
    if any(name.startswith("backbone.") for name in arrays):
        ignored = [name for name in arrays if not name.startswith("backbone.")]
        arrays = {
            name[len("backbone.") :]: value for name, value in arrays.items() if name.startswith("backbone.")
        }
    state = backbone.state_dict()
    head = {name for name in arrays if name.split(".")[0] in backbone.head_names}
    common = [name for name in state if name in arrays]
    mismatched = tuple(
        Mismatch(name, tuple(state[name].shape), arrays[name].shape)
        for name in common
        if tuple(state[name].shape) != arrays[name].shape
    )
    other_shape = {mismatch.name for mismatch in mismatched}
    report = LoadReport(
        matched=tuple(name for name in common if name not in other_shape),
        missing=tuple(name for name in state if name not in arrays),
        unexpected=tuple(name for name in arrays if name not in state and name not in head),
        mismatched=mismatched,
        ignored=(*ignored, *sorted(head)),
    )
    if report.share < min_matched:
        absent = [*report.missing, *(mismatch.name for mismatch in mismatched)]
        raise ValueError(
            f"{path}: expected {min_matched:.0%} of {type(backbone).__name__}'s {len(state)} arrays to fit, "
            f"got {len(report.matched)}; the first that does not is {absent[0]}"
        )
    first = next(name for name, value in state.items() if value.ndim == 4)
    for name in report.matched:
        values = _float32(arrays[name])
        state[name].set_value(np.ascontiguousarray(values[:, ::-1]) if name == first else values)
    return report


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype == np.uint16:  # Paddle saves bfloat16 as the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)
