"""Read the parameter folders of Paddle 1 (fluid), as the original trainer and its ImageNet weights have them.

``fluid.io.save_params`` writes one file for each parameter, named as the network's author called it. A file
is a tensor of Paddle's own format, little-endian: version 0 (32 bits), number of levels of lengths (64
bits, 0 for a parameter), version 0 (32 bits), the length of a description (32 bits), the description
(protocol buffers: field 1 the type, field 2 the sizes), the values. The ``.pdiparams`` of Paddle 3 are such
tensors in a row.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import nn

__all__ = ["fluid_names", "holds_fluid_parameters", "read_fluid", "read_tensor"]

# Versions and no levels of lengths.
_HEAD = bytes(16)
# VarType.Type of Paddle's framework.proto.
_TYPES = {1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8", 20: "u1", 21: "i1"}
_MOST_SIZES = 16
# Parts of a convolution with batch norm: name in this project -> name in Paddle 1.
_ROLES = {
    "conv.weight": "weights",
    "bn.weight": "scale",
    "bn.bias": "offset",
    "bn._mean": "mean",
    "bn._variance": "variance",
}


def holds_fluid_parameters(folder: Path) -> bool:
    """Whether a folder holds what ``fluid.io.save_params`` of Paddle 1 writes: a tensor in each file."""
    if not folder.is_dir():
        return False
    files = [path for path in sorted(folder.iterdir()) if path.is_file()][:20]
    return any(not path.suffix and _begins_tensor(path) for path in files)


def _begins_tensor(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD


def read_tensor(path: Path) -> NDArray[Any]:
    """The tensor in a file.

    Raises:
        ValueError: the file is not a single tensor, or is damaged.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    try:
        if content[: len(_HEAD)] != _HEAD:
            raise ValueError("expected a tensor of Paddle 1")
        (length,) = struct.unpack_from("<i", content, len(_HEAD))
        start = len(_HEAD) + 4
        if not 0 < length <= len(content) - start:
            raise ValueError(f"describes itself in {length} bytes")
        kind, sizes = _description(content[start : start + length])
        values = content[start + length :]
        if len(values) != math.prod(sizes) * kind.itemsize:
            raise ValueError(f"holds {len(values)} bytes for a tensor of shape {sizes}")
    except (ValueError, struct.error, IndexError) as error:
        raise ValueError(f"{path}: not a parameter of Paddle 1: {error}") from error
    return np.frombuffer(values, kind).reshape(sizes)


def _description(message: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape."""
    kind, sizes, place = -1, [], 0
    while place < len(message):
        tag, place = _varint(message, place)
        if tag == 0x12:  # sizes in one packed field
            length, place = _varint(message, place)
            end = place + length
            while place < min(end, len(message)):
                value, place = _varint(message, place)
                sizes.append(value)
            continue
        value, place = _varint(message, place)
        if tag == 0x08:
            kind = value
        elif tag == 0x10:
            sizes.append(value)
        else:
            raise ValueError(f"unknown field {tag >> 3} in its description")
    if kind not in _TYPES or len(sizes) > _MOST_SIZES:
        raise ValueError(f"values of type {kind} in {len(sizes)} dimensions")
    return np.dtype(_TYPES[kind]), tuple(sizes)


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of protocol buffers, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number without end in its description")


def read_fluid(folder: Path, network: nn.Layer) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays of a folder by the names of a backbone of this project.

    Args:
        folder: of one file for each parameter.
        network: the backbone that they are for, a `ResNet`.

    Returns:
        Array by structured name, and the files that belong to none (the classifier).

    Raises:
        ValueError: the network is none whose names in Paddle 1 are known, or a file is damaged.
    """
    names = dict(fluid_names(network))
    files = {path.name for path in folder.iterdir() if path.is_file() and _begins_tensor(path)}
    arrays = {ours: read_tensor(folder / theirs) for ours, theirs in names.items() if theirs in files}
    return arrays, tuple(sorted(files - set(names.values())))


def fluid_names(network: nn.Layer) -> Iterator[tuple[str, str]]:
    """Name of each parameter here and in Paddle 1: ``blocks.0.conv0.bn.weight``, ``bn2a_branch2a_scale``.

    Raises:
        ValueError: the network is no ResNet.
    """
    stem, blocks = getattr(network, "stem", None), getattr(network, "blocks", None)
    if stem is None or blocks is None or not hasattr(blocks[0], "bottleneck"):
        raise ValueError(
            "parameters of Paddle 1 (one file each) can be read for ResNets, not for "
            f"{type(network).__name__}: name a .pdparams of PaddleClas instead"
        )
    layers = {"stem.0": "conv1"}
    if len(stem) > 1:
        layers = {f"stem.{i}": f"conv1_{i + 1}" for i in range(len(stem))}
    for number, (stage, place, many) in enumerate(_stages(blocks)):
        letter = chr(ord("a") + place) if not many or place == 0 else f"b{place}"
        name = f"res{stage}{letter}"
        layers |= {f"blocks.{number}.conv{i}": f"{name}_branch2{'abc'[i]}" for i in range(3)}
        layers[f"blocks.{number}.short"] = f"{name}_branch1"
    known = network.state_dict()
    for ours, theirs in layers.items():
        for part, role in _ROLES.items():
            if f"{ours}.{part}" in known:
                norm = f"bn_{theirs}" if theirs == "conv1" else f"bn{theirs[3:]}"
                yield f"{ours}.{part}", f"{theirs if role == 'weights' else norm}_{role}"


def _stages(blocks: nn.Layer) -> Iterator[tuple[int, int, bool]]:
    """Stage from 2, place in it, and whether its places are numbered (deep networks), for each block."""
    widths = [block.conv0.conv.weight.shape[0] for block in blocks]
    counts = [widths.count(width) for width in sorted(set(widths))]
    for stage, count in enumerate(counts, 2):
        for place in range(count):
            yield stage, place, stage == 4 and count > 6
