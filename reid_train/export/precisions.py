"""What lower precision costs an export: the int8 form and bfloat16, compared with float32 on held-out images.

Each precision is run by the library that the encoder would take for it, OpenVINO where it is installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.inference.predictor import Predictor
from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.figures import RankingFigures, ranking_figures, recall_at

__all__ = ["BFLOAT16_COSINE", "Precision", "measure_precisions"]

# A lower cosine is more than rounding.
BFLOAT16_COSINE = 0.999


@dataclass(frozen=True, slots=True)
class Precision:
    """The accuracy of a network in one precision, on held-out images.

    Attributes:
        name: float32, bfloat16 or int8.
        min_cosine: smallest cosine similarity of an embedding with that of float32.
        mean_cosine: mean cosine similarity.
        recall1: Recall@1, all against all.
        figures: ranking figures; None if cameras are unknown.
    """

    name: str
    min_cosine: float
    mean_cosine: float
    recall1: float
    figures: RankingFigures | None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``encoder.json``."""
        ranking = {} if self.figures is None else asdict(self.figures)
        return {
            "min_cosine": self.min_cosine,
            "mean_cosine": self.mean_cosine,
            "evaluation": {**ranking, "recall1": self.recall1},
        }


def measure_precisions(
    folder: Path,
    description: dict[str, Any],
    images: NDArray[np.uint8],
    dev: ImageIndex,
    *,
    onnx: Path | None,
) -> tuple[Precision, ...]:
    """Measure the int8 form of an export and bfloat16, and put their figures into its description.

    Args:
        folder: the export, with the int8 form that ``description`` names.
        description: the content of ``encoder.json``; its entries ``int8`` and ``bfloat16`` are changed.
        images: ``(N, H, W, 3)`` uint8, cut for the network.
        dev: persons and cameras of the images, held out of training.
        onnx: the float32 network in ONNX; None runs float32 and bfloat16 by Paddle.

    Returns:
        float32, int8 and, if this CPU computes in it, bfloat16.
    """
    with_openvino = find_spec("openvino") is not None
    model, params = (folder / str(description["files"][name]) for name in ("model", "params"))
    if onnx is None:
        plain = Predictor(model, params, device="cpu").run(images)
    else:
        plain = Predictor(onnx, device="cpu").run(images)
    int8 = Predictor(folder / str(description["files"]["int8"]), device="cpu", openvino=with_openvino)
    found = [_judged("float32", plain, plain, dev), _judged("int8", int8.run(images), plain, dev)]
    description["int8"] |= {
        **found[1].as_dict(),
        "float32": found[0].as_dict()["evaluation"],
        "images": len(dev),
        "ids": len(np.unique(dev.pids)),
    }
    if onnx is None or not with_openvino:
        half = Predictor(model, params, device="cpu", bfloat16=True)
    else:
        half = Predictor(onnx, device="cpu", bfloat16=True, openvino=True)
    allowed = bool(description["bfloat16"]["allowed"])
    # Figures of an earlier measurement, on other images, would not fit those of float32.
    description["bfloat16"] = {"allowed": allowed}
    if half.bfloat16:
        found.append(_judged("bfloat16", half.run(images), plain, dev))
        allowed = found[2].min_cosine >= BFLOAT16_COSINE
        description["bfloat16"] = {"allowed": allowed, **found[2].as_dict()}
    return tuple(found)


def _judged(
    name: str, embeddings: NDArray[np.float32], plain: NDArray[np.float32], dev: ImageIndex
) -> Precision:
    cosine = np.einsum("nd,nd->n", embeddings.astype(np.float64), plain.astype(np.float64))
    cosine /= np.linalg.norm(embeddings, axis=1) * np.linalg.norm(plain, axis=1)
    # Rounding changes the length of rows slightly; the ranking needs exact unit rows.
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Precision(
        name=name,
        min_cosine=float(cosine.min()),
        mean_cosine=float(cosine.mean()),
        recall1=recall_at(unit, dev.pids),
        figures=ranking_figures(unit, dev),
    )
