"""The appearance model of embeddings, and the calibration of their distances.

Embeddings of two models cannot be compared. So an index names its model with the checksum of the weights, and
stores the calibration: reading the index needs neither the weights nor Paddle.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL, default_model
from deepsort_paddle.appearance.spec import EncoderSpec
from deepsort_paddle.appearance.third_party import describe

__all__ = ["LinkCalibration", "ReidModel"]

_SCORES = tuple(x / 2 for x in range(-12, 2))
_LOG_RATIOS = (9.9, 9.5, 8.2, 8.2, 6.7, 5.0, 3.6, 2.0, 0.7, -1.1, -3.2, -3.6, -3.7, -7.6)


@dataclass(frozen=True, slots=True)
class LinkCalibration:
    """Calibration of the normalised distances of two tracks, as defined in `deepsort_paddle.people.linking`.

    They have a similar meaning for all networks, so models without a calibration use the defaults, measured
    with osnet_ain_x0_5 on unseen people of Market-1501.

    Attributes:
        scores: ``(B,)`` normalised distances, increasing.
        log_ratios: ``(B,)`` decreasing; log likelihood ratio of one person against two people at each score.
        different: mean and standard deviation of the distances of different people's tracks. Centred
            embeddings of different people are nearly orthogonal for any network, so the mean is about 1.

    Example:
        >>> LinkCalibration((-4.0, 0.0), (6.0, -4.0)).log_ratio(np.array([-5.0, -2.0])).tolist()
        [6.0, 1.0]
    """

    scores: tuple[float, ...] = _SCORES
    log_ratios: tuple[float, ...] = _LOG_RATIOS
    different: tuple[float, float] = (1.0, 0.15)

    def __post_init__(self) -> None:
        if not (len(self.scores) == len(self.log_ratios) > 1 and list(self.scores) == sorted(self.scores)):
            raise ValueError("scores must be increasing and as many as log_ratios, at least two")

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Self:
        """Read what `as_dict` returned."""
        mean, deviation = known["different"]
        scores, log_ratios = (tuple(map(float, known[key])) for key in ("scores", "log_ratios"))
        return cls(scores, log_ratios, (float(mean), float(deviation)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {key: getattr(self, key) for key in ("scores", "log_ratios", "different")}

    def log_ratio(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log likelihood ratio of one person against two, in the shape of ``score``."""
        ratio: NDArray[np.float64] = np.interp(score, self.scores, self.log_ratios)
        return ratio

    def score_at(self, log_ratio: float) -> float:
        """Return the largest score with at least this ratio; minus infinity if there is none."""
        if log_ratio <= self.log_ratios[-1]:
            return np.inf
        if log_ratio > self.log_ratios[0]:
            return -np.inf
        return float(np.interp(-log_ratio, -np.array(self.log_ratios), self.scores))


@dataclass(frozen=True, slots=True)
class ReidModel:
    """The description of an appearance model in an index.

    Attributes:
        name: name of the model.
        sha256: checksum of its weights, in hex; empty if unknown (embeddings of a detection file).
        max_cosine_distance: its calibrated threshold for two images.
        histogram_edges: ``(B + 1,)`` cosine distances; empty if the model is not calibrated.
        same: ``(B,)`` shares of same-person pairs, across cameras, in each bin.
        different: ``(B,)`` shares of different-person pairs in each bin.
        links: calibration of the distances of tracks; None if the model has none.

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
    links: LinkCalibration | None = None

    @classmethod
    def read(cls, directory: str | Path | None = None) -> Self:
        """Read the model of a folder.

        Args:
            directory: folder or ``.onnx`` file; None is the included model.

        Returns:
            The description.

        Raises:
            FileNotFoundError: the folder or the file of its weights is missing.
            ValueError: its description is invalid.
        """
        if directory is None or (str(directory) == DEFAULT_MODEL and not Path(directory).exists()):
            directory = default_model()
        return cls.of(*describe(directory))

    @classmethod
    def of(cls, folder: Path, spec: EncoderSpec) -> Self:
        """Return the model of a folder with a known description, as in `AppearanceEncoder`.

        Args:
            folder: folder of the model.
            spec: its description.

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
        calibration = _calibration(folder / "encoder.json")
        edges, same, different = _histogram(calibration)
        links = calibration.get("links")
        return cls(
            spec.name,
            digest.hexdigest(),
            spec.max_cosine_distance,
            edges,
            same,
            different,
            None if links is None else LinkCalibration.from_dict(links),
        )

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Self:
        """Read what `as_dict` returned."""
        edges, same, different = (tuple(known[key]) for key in ("histogram_edges", "same", "different"))
        links = known.get("links")  # indexes of earlier versions have none
        links = None if links is None else LinkCalibration.from_dict(links)
        return cls(
            known["name"], known["sha256"], known["max_cosine_distance"], edges, same, different, links
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def fits(self, other: ReidModel) -> bool:
        """Return whether embeddings of both can be compared."""
        return (self.name, self.sha256) == (other.name, other.sha256)

    def __str__(self) -> str:
        return f"{self.name} ({self.sha256[:12] or 'no checksum'})"


def _calibration(path: Path) -> dict[str, Any]:
    """Return the calibration of ``encoder.json``; empty if there is none."""
    known: dict[str, Any] = json.loads(path.read_bytes()).get("calibration") if path.is_file() else {}
    return known or {}


def _histogram(
    calibration: dict[str, Any],
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return edges, same and different of a calibration; empty if it has no histogram."""
    columns = [calibration.get(key) or () for key in ("histogram_edges", "same", "different")]
    edges, same, different = (tuple(float(value) for value in column) for column in columns)
    fits = len(edges) >= 2 and len(same) == len(different) == len(edges) - 1
    return (edges, same, different) if fits else ((), (), ())
