"""Where the embeddings of a run come from: the model and its threshold."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.detection.saved_detections import SavedDetections
from deepsort_paddle.pipeline.stages import Encode

__all__ = ["Appearance", "appearance_of", "component_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """The origin of a run's embeddings.

    Attributes:
        name: name of the model; None if there is none, or the embeddings are in a detection file.
        checksum: SHA-256 of the file that runs; None if unknown.
        max_cosine_distance: its threshold; None without a model.
        calibrated: whether the threshold was calibrated for this model.
    """

    name: str | None = None
    checksum: str | None = None
    max_cosine_distance: float | None = None
    calibrated: bool = False


def appearance_of(encoder: Encode | None, saved: SavedDetections | None) -> Appearance:
    """Return the origin of the embeddings: the encoder or the file."""
    if encoder is not None:
        spec = getattr(encoder, "spec", None)
        return Appearance(
            name=component_name(encoder),
            checksum=getattr(encoder, "checksum", None),
            max_cosine_distance=float(getattr(encoder, "max_cosine_distance", 0.2)),
            calibrated=bool(getattr(spec, "calibrated", False)),
        )
    if saved is None or not saved.has_embeddings:
        return Appearance()
    about = saved.about
    return Appearance(
        name=about.encoder,
        checksum=about.encoder_checksum,
        max_cosine_distance=about.max_cosine_distance,
        calibrated=about.calibrated,
    )


def component_name(component: object) -> str:
    """Return the name of a detector or an appearance model object for reports."""
    spec = getattr(component, "spec", None)
    return str(getattr(spec, "name", None) or getattr(component, "__name__", type(component).__name__))
