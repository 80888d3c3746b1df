"""What a run knows of its embeddings: of which model they are, and its threshold."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.detection.saved_detections import SavedDetections
from deepsort_paddle.pipeline.stages import Encode

__all__ = ["Appearance", "appearance_of", "component_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Of what model the embeddings of a run are.

    Attributes:
        name: of the model; None: there is none, or a detection file brings the embeddings.
        checksum: SHA-256 of what runs of it; None when unknown.
        max_cosine_distance: its threshold; None without a model.
        calibrated: whether that was measured for it.
    """

    name: str | None = None
    checksum: str | None = None
    max_cosine_distance: float | None = None
    calibrated: bool = False


def appearance_of(encoder: Encode | None, saved: SavedDetections | None) -> Appearance:
    """What is known of the embeddings: of the encoder, or of the file."""
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
    """How reports name a detector or an appearance model that is an object."""
    spec = getattr(component, "spec", None)
    return str(getattr(spec, "name", None) or getattr(component, "__name__", type(component).__name__))
