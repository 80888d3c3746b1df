"""Detectors: callables from a frame's number and image to its detections.

Which one a name means is decided here: a MOTChallenge text file, OpenCV's HOG, an ONNX file, a folder of
PaddleDetection, or a network that is downloaded once. One signature serves them all, so that a sequence
without images and a camera without annotations run through the same pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.detection.candidates import class_confidences, expect_confidence, suppress
from deepsort_paddle.detection.hog import HogDetector
from deepsort_paddle.detection.named_models import NAMED_MODELS, named_model
from deepsort_paddle.detection.onnx import OnnxDetector
from deepsort_paddle.detection.paddle import CONFIG, PaddleDetector
from deepsort_paddle.motchallenge.text import read_detections
from deepsort_paddle.structures import Detections

__all__ = ["Detector", "FileDetector", "HogDetector", "OnnxDetector", "PaddleDetector", "detection_file"]
__all__ += ["make_detector", "open_detector"]

Detector: TypeAlias = Callable[[int, "NDArray[np.uint8] | None"], Detections]


class FileDetector:
    """Detections that were made before, from a MOTChallenge text file.

    Attributes:
        labels: class names by number: the format knows people only.
        confidence: its threshold.
        last_frame: the last frame number in the file, 0 for an empty file.
    """

    labels = ("person",)
    default_confidence = 0.3

    def __init__(
        self, path: str | Path, *, confidence: float | None = None, max_iou: float | None = None
    ) -> None:
        """Read a whole file.

        Args:
            path: the file; see `deepsort_paddle.motchallenge.text.read_detections`.
            confidence: detections below it are dropped; None takes 0.3, as the DeepSORT paper's MOT16 run.
            max_iou: of two detections that overlap more, the less confident is dropped; None keeps all.

        Raises:
            OSError: the file can't be read.
            ValueError: a line is wrong, or a threshold is outside [0, 1].
        """
        if max_iou is not None and not 0 <= max_iou <= 1:
            raise ValueError(f"max_iou must be in [0, 1], got {max_iou}")
        self.confidence = expect_confidence(self.default_confidence if confidence is None else confidence)
        self._by_frame = read_detections(path)
        if max_iou is not None:
            self._by_frame = {frame: _suppressed(all_, max_iou) for frame, all_ in self._by_frame.items()}
        self.last_frame = max(self._by_frame, default=0)

    def __call__(self, frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        """Detections of one frame, in the file's order; unfiltered if there is no image.

        Args:
            frame_number: from 1; a frame that is not in the file has no detections.
            image: not looked at. Boxes are not cut to it: annotations go on beyond the frame's edge.
        """
        detections = self._by_frame.get(frame_number)
        if detections is None:
            return Detections.empty()
        return detections[detections.confidence >= self.confidence]

    def by_frame(self) -> dict[int, Detections]:
        """The detections that reach the threshold, by frame number."""
        return {
            number: found[found.confidence >= self.confidence] for number, found in self._by_frame.items()
        }

    def all_boxes(self) -> NDArray[np.float64]:
        """``(N, 4)`` the boxes of all frames that reach the threshold."""
        kept = [one.boxes[one.confidence >= self.confidence] for one in self._by_frame.values()]
        return np.concatenate([np.zeros((0, 4)), *kept])


def _suppressed(detections: Detections, max_iou: float) -> Detections:
    """Those that non-maximum suppression keeps, in the file's order."""
    kept = suppress(detections.boxes, detections.confidence, detections.class_id, max_iou=max_iou)
    return detections[np.sort(kept)]


def detection_file(
    path: str | Path, *, confidence: float | None = None, max_iou: float | None = None
) -> FileDetector:
    """The same as ``FileDetector(path, ...)``."""
    return FileDetector(path, confidence=confidence, max_iou=max_iou)


def open_detector(
    spec: str | Path,
    *,
    confidence: float | None = None,
    classes: Sequence[int | str] | None = None,
    class_confidence: Mapping[int | str, float] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    download: bool = True,
    mirror: str | None = None,
) -> FileDetector | HogDetector | OnnxDetector | PaddleDetector:
    """Open a detector by name, file or folder, as on the command line.

    Args:
        spec: ``yolox-nano``, ``yolox-tiny`` or ``yolox-s``, which are downloaded once; ``hog``, an ``.onnx``
            file, a folder with ``infer_cfg.yml``, or a MOTChallenge file (``.txt``, ``.csv``;
            `detection_file` accepts any suffix). An existing file or folder has precedence over a name.
        confidence: detections below it are dropped; None uses the default of the detector.
        classes: numbers or names of classes to report; None reports people. HOG and files only have people.
        class_confidence: thresholds of single classes, by number or name, instead of ``confidence``.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``, for networks.
        threads: CPU threads, for networks; None uses all available cores.
        precision: ``float32`` (also ``auto``) or ``bfloat16``, for networks on a CPU;
            `deepsort_paddle.detection.agreement.fastest` chooses as ``deepsort-track`` does.
        download: whether to download a named detector that is not in the cache.
        mirror: the address to download from instead of the official one; None takes
            ``DEEPSORT_PADDLE_MIRROR``.

    Returns:
        A callable from frame number and image to `Detections`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        DownloadError: a named detector cannot be downloaded; the message has its address and its path.
        OSError: the file cannot be opened.
        ImportError: the detector needs Paddle, which is not installed.
        ValueError: it is not a detector, or an argument is invalid.

    Example:
        >>> detect = open_detector("yolox-nano", confidence=0.4)  # doctest: +SKIP
        >>> detect(1, image).boxes.shape  # doctest: +SKIP
        (7, 4)
    """
    path = Path(spec)
    if str(spec) in NAMED_MODELS and not path.exists():
        path = named_model(str(spec), download=download, mirror=mirror)
    if str(spec) == "hog" or path.suffix in (".txt", ".csv"):
        if classes is not None and {str(one) for one in classes} - {"0", "person"}:
            raise ValueError(f"{spec} finds only class 0 (person), got {', '.join(map(str, classes))}")
        confidence = class_confidences(class_confidence, FileDetector.labels, (0,)).get(0, confidence)
        return (
            HogDetector(confidence=confidence)
            if str(spec) == "hog"
            else detection_file(path, confidence=confidence)
        )
    network: type[OnnxDetector | PaddleDetector]
    if path.suffix == ".onnx":
        network = OnnxDetector
    elif path.is_dir():
        if not (path / CONFIG).is_file():
            raise FileNotFoundError(f"{path}: a folder without {CONFIG} is no exported PaddleDetection model")
        network = PaddleDetector
    elif not path.exists():
        near = get_close_matches(str(spec), ["hog", *NAMED_MODELS], n=1)
        hint = f"did you mean {near[0]}?" if near else f"by name there are hog, {', '.join(NAMED_MODELS)}"
        raise FileNotFoundError(f"{spec}: no such file or folder ({hint})")
    else:
        names = ", ".join(["hog", *NAMED_MODELS])
        raise ValueError(
            f"{spec}: expected a name ({names}), an .onnx file, a folder with {CONFIG} or a MOTChallenge file"
        )
    return network(
        path,
        confidence=confidence,
        classes=classes,
        class_confidence=class_confidence,
        device=device,
        threads=threads,
        precision=precision,
    )


# The name of earlier versions.
make_detector = open_detector
