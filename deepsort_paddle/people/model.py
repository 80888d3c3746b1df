"""Which appearance model embeddings come from, and what their distances mean.

Embeddings of two models can't be compared. So an index names its model, with the checksum of the weights, and
carries the calibration along: whoever reads the index needs neither the weights nor Paddle.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from typing_extensions import Self

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL, default_model
from deepsort_paddle.appearance.spec import EncoderSpec
from deepsort_paddle.appearance.third_party import describe

__all__ = ["ReidModel"]


@dataclass(frozen=True, slots=True)
class ReidModel:
    """An appearance model as an index knows it.

    Attributes:
        name: of the model.
        sha256: checksum of its weights, in hex; empty when unknown (embeddings of a detection file).
        max_cosine_distance: its calibrated threshold for two single images.
        histogram_edges: ``(B + 1,)`` cosine distances; empty when the model is not calibrated.
        same: ``(B,)`` shares of the pairs of one person, in different cameras, in each bin.
        different: ``(B,)`` shares of the pairs of different persons in each bin.

    Example:
        >>> ReidModel("mine", "", 0.3).as_dict()["name"]
        'mine'
    """

    name: str
    sha256: str
    max_cosine_distance: float
    histogram_edges: tuple[float, ...] = ()
    same: tuple[float, ...] = ()
    different: tuple[float, ...] = ()

    @classmethod
    def read(cls, directory: str | Path | None = None) -> Self:
        """The model of a folder, or of an ``.onnx`` file; None is the one that comes with the package.

        Raises:
            FileNotFoundError: the folder or the file of its weights is missing.
            ValueError: its description is wrong.
        """
        if directory is None or (str(directory) == DEFAULT_MODEL and not Path(directory).exists()):
            directory = default_model()
        return cls.of(*describe(directory))

    @classmethod
    def of(cls, folder: Path, spec: EncoderSpec) -> Self:
        """The model of a folder that was described already, as `AppearanceEncoder` has both.

        Raises:
            FileNotFoundError: the file of its weights is missing.
        """
        weights = folder / (spec.params or spec.model)
        if not weights.is_file():
            raise FileNotFoundError(f"{weights}: no such file")
        digest = hashlib.sha256()
        with weights.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        edges, same, different = _histogram(folder / "encoder.json")
        return cls(spec.name, digest.hexdigest(), spec.max_cosine_distance, edges, same, different)

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Self:
        """The opposite of `as_dict`."""
        edges, same, different = (tuple(known[key]) for key in ("histogram_edges", "same", "different"))
        return cls(known["name"], known["sha256"], known["max_cosine_distance"], edges, same, different)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def fits(self, other: ReidModel) -> bool:
        """Whether embeddings of both can be compared."""
        return (self.name, self.sha256) == (other.name, other.sha256)

    def __str__(self) -> str:
        return f"{self.name} ({self.sha256[:12] or 'no checksum'})"


def _histogram(path: Path) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Edges, same and different of ``encoder.json``'s calibration; empty where there is none."""
    if not path.is_file():
        return (), (), ()
    known = json.loads(path.read_bytes()).get("calibration") or {}
    columns = [known.get(key) or () for key in ("histogram_edges", "same", "different")]
    edges, same, different = (tuple(float(value) for value in column) for column in columns)
    fits = len(edges) >= 2 and len(same) == len(different) == len(edges) - 1
    return (edges, same, different) if fits else ((), (), ())
