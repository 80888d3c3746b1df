"""The description of an exported re-ID network, ``encoder.json``, and its checksums, ``SHA256SUMS``.

Every field is checked when the folder is opened, and an error names the wrong one. The checksums cover the
files that run: a damaged download, or weights that do not match their description, would otherwise track
badly without any error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import Self

__all__ = ["EncoderSpec", "model_checksum", "verify_checksums"]

FORMAT = 1
INTERPOLATIONS = ("nearest", "linear", "cubic", "area")
RESIZE_MODES = ("stretch", "short_side_crop")
# The tracker's own default, for networks that were never calibrated.
DEFAULT_MAX_COSINE_DISTANCE = 0.2


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """The contents of an ``encoder.json``.

    Attributes:
        name: the network's name.
        height: of the input crops, pixels.
        width: of the input crops, pixels.
        resize_mode: stretch (resize the whole crop to the input size; the default), or short_side_crop
            (resize without distortion until the crop covers the input, then cut out the centre).
        interpolation: nearest, linear, cubic or area.
        embedding_size: D of its ``(N, D)`` output.
        normalized: whether its rows have unit length.
        model: file name of the network, in the folder.
        params: file name of its weights, None for an ONNX file.
        paddle: version of Paddle that exported it, None for an ONNX file.
        max_cosine_distance: the appearance threshold calibrated for it, in (0, 2].
        bfloat16_allowed: whether its embeddings in bfloat16 were close enough to float32's.
        layout: NHWC or NCHW.
        dtype: uint8, or float32 for a network whose graph does not normalise.
        channels: BGR or RGB.
        scale: a float32 network takes (x * scale - mean) / std.
        mean: of the three channels, in the order of `channels`.
        std: of the three channels, in the order of `channels`.
        onnx: file name of the ONNX copy, None if there is none.
        int8: file name of the int8 ONNX copy, None if there is none.
        calibrated: True if `max_cosine_distance` was measured for this network, False if it is DeepSORT's
            default.

    Example:
        >>> from deepsort_paddle.appearance.default_model import default_model
        >>> spec = EncoderSpec.read(default_model() / "encoder.json")
        >>> spec.name, spec.height == 2 * spec.width, spec.embedding_size
        ('osnet_ain_x0_5', True, 256)
    """

    name: str
    height: int
    width: int
    resize_mode: str
    interpolation: str
    embedding_size: int
    normalized: bool
    model: str
    params: str | None
    paddle: str | None
    max_cosine_distance: float
    bfloat16_allowed: bool
    layout: str = "NHWC"
    dtype: str = "uint8"
    channels: str = "BGR"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    onnx: str | None = None
    int8: str | None = None
    calibrated: bool = True

    @property
    def third_party(self) -> bool:
        """Whether the network takes something other than this project's uint8 NHWC BGR."""
        return (self.layout, self.dtype, self.channels) != ("NHWC", "uint8", "BGR")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check an ``encoder.json``.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is not JSON, or a field is missing or wrong; the message names file and field.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            document = json.loads(path.read_bytes())
        # UnicodeDecodeError is a ValueError too; deep nesting raises RecursionError.
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: not JSON: {error}") from error
        fields = _Fields(path, document)
        fields.choice("format", [FORMAT])
        layout = fields.choice("input.layout", ["NHWC", "NCHW"])
        dtype = fields.choice("input.dtype", ["uint8", "float32"])
        channels = fields.choice("input.channels", ["BGR", "RGB"])
        # A file written by hand for a third-party network may omit what only our export knows.
        third_party = (layout, dtype, channels) != ("NHWC", "uint8", "BGR")
        if dtype == "uint8" and fields.get("normalize", dict, optional=True) is not None:
            raise ValueError(f"{path}: normalize: expected only with input.dtype float32, got it with uint8")
        model = fields.file_name("files.model")
        is_paddle = not model.endswith(".onnx")
        allowed = fields.get("bfloat16.allowed", bool, optional=True)
        version = is_paddle and not (third_party and fields.get("runtime.paddle", str, optional=True) is None)
        calibrated = not third_party or fields.get("max_cosine_distance", float, optional=True) is not None
        size = fields.get("output.embedding_size", int, optional=third_party)
        return cls(
            name=fields.get("name", str, optional=third_party) or path.parent.name,
            height=fields.side("input.height"),
            width=fields.side("input.width"),
            resize_mode=fields.choice("resize.mode", list(RESIZE_MODES), default="stretch"),
            interpolation=fields.choice(
                "resize.interpolation", list(INTERPOLATIONS), default="linear" if third_party else None
            ),
            embedding_size=0 if size is None else fields.side("output.embedding_size"),
            normalized=bool(fields.get("output.normalized", bool, optional=third_party)),
            model=model,
            params=fields.file_name("files.params") if is_paddle else None,
            paddle=fields.version("runtime.paddle") if version else None,
            max_cosine_distance=fields.distance("max_cosine_distance")
            if calibrated
            else DEFAULT_MAX_COSINE_DISTANCE,
            calibrated=calibrated,
            bfloat16_allowed=bool(allowed),
            layout=layout,
            dtype=dtype,
            channels=channels,
            scale=fields.numbers("normalize.scale", 1, positive=True)[0] if dtype == "float32" else 1.0,
            mean=fields.numbers("normalize.mean", 3) if dtype == "float32" else (0.0, 0.0, 0.0),
            std=fields.numbers("normalize.std", 3, positive=True) if dtype == "float32" else (1.0, 1.0, 1.0),
            onnx=fields.file_name("files.onnx", optional=True) if is_paddle else None,
            int8=fields.file_name("files.int8", optional=True, ending=".onnx"),
        )


def model_checksum(model: Path) -> str | None:
    """Return the SHA-256 of an ``.onnx`` file, or of a folder's ``SHA256SUMS``; None without one."""
    sealed = model if model.is_file() else model / "SHA256SUMS"
    return hashlib.sha256(sealed.read_bytes()).hexdigest() if sealed.is_file() else None


def verify_checksums(directory: str | Path, names: Sequence[str]) -> None:
    """Compare files with ``SHA256SUMS`` in their folder (the format of ``sha256sum``).

    Args:
        directory: the folder.
        names: the files to compare. Others may differ, such as a model card with added notes.

    Raises:
        FileNotFoundError: ``SHA256SUMS`` or a file is missing.
        OSError: a file is not listed, or differs from its checksum.
        ValueError: ``SHA256SUMS`` has a line that is not a checksum.
    """
    listing = Path(directory) / "SHA256SUMS"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing}: no such file, so the network cannot be verified")
    expected = {}
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.rstrip())
        if match is None:
            raise ValueError(f"{listing}: line {number} is not '<sha256>  <file>'")
        expected[match[2].removeprefix("./")] = match[1].lower()
    for name in names:
        path = Path(directory) / name
        if name not in expected:
            raise OSError(f"{listing}: no checksum of {name}")
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != expected[name]:
            raise OSError(
                f"{path}: wrong checksum, the file is damaged or was changed "
                f"(expected SHA-256 {expected[name][:12]}..., got {digest.hexdigest()[:12]}...)"
            )


class _Fields:
    """The fields of an ``encoder.json``, with errors that name file and field."""

    def __init__(self, path: Path, document: Any) -> None:
        self._path = path
        self._document = document

    def get(self, name: str, kind: type, *, optional: bool = False) -> Any:
        """Return the value of a dotted name after a check of its type; None when optional and absent."""
        value = self._document
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                if optional:
                    return None
                raise ValueError(f"{self._path}: {name}: the field is missing")
            value = value[part]
        # In Python a bool is an int; a JSON 1 is a valid float.
        kinds = (int, float) if kind is float else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"a value of type {kind.__name__}", value)
        return value

    def choice(self, name: str, allowed: list[Any], *, default: Any = None) -> Any:
        value = self.get(name, type(allowed[0]), optional=default is not None)
        if value is None:
            return default
        if value not in allowed:
            raise self.error(name, " or ".join(str(choice) for choice in allowed), value)
        return value

    def side(self, name: str) -> int:
        value: int = self.get(name, int)
        if value < 1:
            raise self.error(name, "1 or more", value)
        return value

    def distance(self, name: str) -> float:
        value = float(self.get(name, float))
        if not 0 < value <= 2:
            raise self.error(name, "a cosine distance in (0, 2]", value)
        return value

    def numbers(self, name: str, count: int, *, positive: bool = False) -> Any:
        """Return a tuple of ``count`` finite numbers; a single number may come without brackets."""
        values = self.get(name, float if count == 1 else list)
        values = values if isinstance(values, list) else [values]
        fits = all(type(value) in (int, float) and abs(value) < 1e30 for value in values)
        if not fits or len(values) != count or (positive and min(values) <= 0):
            raise self.error(name, f"{count} {'positive ' * positive}number{'s' * (count > 1)}", values)
        return tuple(float(value) for value in values)

    def file_name(self, name: str, *, optional: bool = False, ending: str = "") -> Any:
        """Return a plain file name; None when optional and absent."""
        value = self.get(name, str, optional=optional)
        if value is None:
            return None
        if not value.endswith(ending):
            raise self.error(name, f"a file that ends in {ending}", value)
        if not value or Path(value).name != value or "\\" in value:
            raise self.error(name, "the plain name of a file in the same folder", value)
        return value

    def version(self, name: str) -> str:
        value: str = self.get(name, str)
        if re.match(r"\d+\.\d+", value) is None:
            raise self.error(name, "a version such as 3.3.1", value)
        return value

    def error(self, name: str, expected: str, got: Any) -> ValueError:
        return ValueError(f"{self._path}: {name}: expected {expected}, got {got!r}")
