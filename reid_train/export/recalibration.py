"""Recalibrate the threshold of an export in other development sets.

A threshold holds for scenes similar to those it was calibrated in. Images of your own cameras give a better
one; the network does not change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.part_files import writing
from reid_train.checkpoints.exported import DESCRIPTION, describe_export
from reid_train.data.image_cache import decode_images
from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.calibration import Calibration
from reid_train.export.export import reworked
from reid_train.export.measurements import measure
from reid_train.export.model_card import with_figures, with_precisions
from reid_train.export.precisions import measure_precisions
from reid_train.training.transforms import Preprocessing

__all__ = ["recalibrate"]


def recalibrate(
    folder: Path, sets: Mapping[str, ImageIndex], *, batch_size: int = 64
) -> tuple[float, Calibration]:
    """Measure an export in these sets and store the threshold that holds in all of them.

    Replaces the metrics, calibration, model card and checksums of the folder. The int8 form is measured too,
    so the metrics of all precisions are of the same images.

    Args:
        folder: as `export` writes it; it stays as it is until all is done.
        sets: images of persons kept out of training; the figures are of the first.
        batch_size: images a forward pass.

    Returns:
        The threshold before, and the new calibration.

    Raises:
        FileNotFoundError: there is no export in the folder.
        ValueError: it was not made by this project, or a set is empty or has no pairs.
        OSError: the folder cannot be written.
    """
    folder = folder.resolve()
    if not sets:
        raise ValueError("calibrate needs images of persons, name them with --data")
    if not (folder / DESCRIPTION).is_file():
        raise FileNotFoundError(f"{folder}: expected a folder that export wrote, with {DESCRIPTION}")
    describe_export(folder)
    for name, index in sets.items():
        if len(index) == 0:
            raise ValueError(f"calibrate needs images of persons, got none in {name}")
    # In float32, as the figures of an export are.
    encoder = AppearanceEncoder(folder, device="cpu", batch_size=batch_size, precision="float32")
    spec = encoder.spec
    prepare = Preprocessing(spec.height, spec.width, spec.resize_mode, spec.interpolation)
    images = {
        name: decode_images(index.paths, prepare.height, prepare.width, prepare)
        for name, index in sets.items()
    }
    measured = measure(encoder.embed_crops, images, sets, batch_size)
    assert measured.calibration is not None
    with reworked(folder) as part:
        path = part / DESCRIPTION
        description = json.loads(path.read_text())
        before = float(description["max_cosine_distance"])
        description["max_cosine_distance"] = measured.calibration.max_cosine_distance
        description["evaluation"] = measured.evaluation
        description["calibration"] = measured.calibration_dict()
        name, dev = next(iter(sets.items()))
        if "int8" in description:
            onnx = description["files"].get("onnx")
            measure_precisions(
                part, description, images[name], dev, onnx=None if onnx is None else part / str(onnx)
            )
        with writing(folder):
            path.write_text(json.dumps(description, indent=2) + "\n")
            card = part / "MODEL_CARD.md"
            if card.is_file():
                text = with_figures(card.read_text(encoding="utf-8"), description)
                card.write_text(with_precisions(text, description) if "int8" in description else text)
    return before, measured.calibration
