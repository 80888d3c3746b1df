"""What an export is measured by: development sets, as they are and under colour casts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.people.model import LinkCalibration
from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.calibration import (
    Calibration,
    CalibrationSet,
    calibrate,
    count_pairs,
    roc_figures,
)
from reid_train.evaluation.colour_cast import CASTS, CastFigures, cast, cast_table
from reid_train.evaluation.figures import RankingFigures, ranking_figures, recall_at, unknown_cameras
from reid_train.evaluation.link_calibration import SeenPeople, calibrate_links

__all__ = ["CALIBRATION_CASTS", "Measured", "measure"]

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# The threshold holds under these casts too. ±30 % is reported only: a network that fails there would get a
# threshold too small for any light.
CALIBRATION_CASTS = (0.15,)


@dataclass(frozen=True)
class Measured:
    """Figures of the exported network.

    Attributes:
        figures: ranking figures in the first set; None where cameras are unknown.
        calibration: the threshold; None without images.
        evaluation: ``encoder.json``'s figures of the first set, with those of the others under ``sets``.
        links: for joining tracks, of all sets together; None where too few people are seen by two cameras.
    """

    figures: RankingFigures | None = None
    calibration: Calibration | None = None
    evaluation: dict[str, Any] = field(default_factory=dict)
    links: LinkCalibration | None = None

    def calibration_dict(self) -> dict[str, Any]:
        """As ``encoder.json`` holds it; empty without images."""
        if self.calibration is None:
            return {}
        links = {} if self.links is None else {"links": self.links.as_dict()}
        return {**self.calibration.as_dict(), **links}


def measure(
    run: Run, images: Mapping[str, NDArray[np.uint8]], sets: Mapping[str, ImageIndex], batch_size: int
) -> Measured:
    """Measure an exported network in every set.

    Args:
        run: ``(B, H, W, 3)`` uint8 to ``(B, D)`` unit rows.
        images: ``(N, H, W, 3)`` uint8 of each set.
        sets: persons and cameras of each, at least one set.
        batch_size: images a forward pass.

    Raises:
        ValueError: a set has no two images of one person, or of different persons.
    """
    figures: dict[str, RankingFigures | None] = {}
    evaluations: dict[str, dict[str, Any]] = {}
    conditions: list[CalibrationSet] = []
    people = []
    for name, index in sets.items():
        embeddings = _embedded(run, images[name], batch_size)
        people.append(SeenPeople(embeddings, index.pids, index.camids))
        pairs = count_pairs(embeddings, index.pids, index.camids)
        conditions.append(CalibrationSet(name, pairs))
        figures[name] = ranking_figures(embeddings, index)
        roc = roc_figures(pairs)
        rates = {} if roc is None else {k: v for k, v in asdict(roc).items() if k.startswith("tar")}
        casts = []
        if figures[name] is not None and not unknown_cameras(index):
            for strength in CASTS:
                changed = _embedded(run, _under_cast(images[name], index, strength), batch_size)
                found = ranking_figures(changed, index)
                assert found is not None
                casts.append(asdict(CastFigures(strength, found.rank1, found.mean_ap)))
                if strength in CALIBRATION_CASTS:
                    conditions.append(
                        CalibrationSet(name, count_pairs(changed, index.pids, index.camids), strength)
                    )
        evaluations[name] = {
            **_fields(figures[name]),
            "recall1": recall_at(embeddings, index.pids),
            **rates,
            **({"casts": casts} if casts else {}),
            "unknown_cameras": unknown_cameras(index),
            "images": len(index),
            "ids": len(np.unique(index.pids)),
        }
    first = next(iter(sets))
    others = {name: found for name, found in evaluations.items() if name != first}
    evaluation = {**evaluations[first], **({"name": first, "sets": others} if others else {})}
    return Measured(figures[first], calibrate(conditions), evaluation, calibrate_links(people))


def _fields(figures: RankingFigures | None) -> dict[str, Any]:
    return {} if figures is None else asdict(figures)


def _embedded(run: Run, images: NDArray[np.uint8], batch_size: int) -> NDArray[np.float32]:
    starts = range(0, len(images), batch_size)
    return np.concatenate([run(images[start : start + batch_size]) for start in starts])


def _under_cast(images: NDArray[np.uint8], index: ImageIndex, strength: float) -> NDArray[np.uint8]:
    """Return the images with a different colour cast for each camera."""
    tables = {camera: cast_table(camera, strength) for camera in np.unique(index.camids).tolist()}
    cameras = index.camids.tolist()
    return np.stack([cast(image, tables[camera]) for image, camera in zip(images, cameras, strict=True)])
