"""The sequences of `accuracy.py`: detections, embeddings where there are some, and ground truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import Detections
from deepsort_paddle.boxes import xyxy_from_tlwh
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import TrackRecords, read_detections, read_ground_truth

Columns = dict[str, NDArray[Any]]
# Detectors: files in the data's folder of models, or built in.
DETECTORS = {"yolox": "yolox_nano.onnx", "nanodet": "nanodet_m_320.onnx", "hog": "hog"}


@dataclass(frozen=True, slots=True)
class Video:
    """Frames with annotations, height and width in pixels, and frames a second."""

    length: int
    size: tuple[int, int]
    frame_rate: float


MOT17 = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-13")
REAL = {
    "PETS09-S2L1": Video(400, (576, 768), 10.0),
    "ADL-Rundle-6": Video(525, (1080, 1920), 30.0),
    "TUD-Stadtmitte": Video(179, (480, 640), 25.0),
}
# Detections below are given to no tracker: ByteTrack's own lowest threshold.
LOWEST = 0.1


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence, ready to be tracked and counted.

    Attributes:
        name: as in MOTChallenge; the evaluation goes by it.
        frames: detections of every frame, by falling confidence.
        truth: ground truth.
        last_frame: frames from 1 to here are counted.
        size: height and width of the image.
        frame_rate: frames a second.
        max_cosine_distance: the threshold that belongs to the embeddings.
        camera_motion: ``(2, 3)`` map from the frame before, for each frame; None where there are no images.
    """

    name: str
    frames: tuple[Detections, ...]
    truth: TrackRecords
    last_frame: int
    size: tuple[int, int]
    frame_rate: float
    max_cosine_distance: float = 0.2
    camera_motion: tuple[NDArray[np.float64], ...] | None = None

    def without_looks(self) -> Sequence:
        """The same sequence, its detections without embeddings."""
        return replace(self, frames=tuple(replace(frame, embeddings=None) for frame in self.frames))


def by_confidence(detections: Detections) -> Detections:
    """Detections of at least the lowest confidence, the best first."""
    detections = detections[detections.confidence >= np.float32(LOWEST)]
    return detections[np.argsort(-detections.confidence, kind="stable")]


def mot17(data: Path, name: str) -> Sequence:
    """A half of a MOT17 sequence with YOLOX-x detections."""
    folder = data / "mot" / "MOT17-half-val" / name
    info = SequenceInfo.read(folder)
    found = read_detections(folder / "det" / "det.txt")
    frames = tuple(by_confidence(found.get(n, Detections.empty())) for n in range(1, info.length + 1))
    truth = read_ground_truth(folder / "gt" / "gt.txt")
    return Sequence(name, frames, truth, info.length, (info.height, info.width), info.frame_rate)


def mot17_with_looks(data: Path) -> Sequence:
    """MOT17-05 with public FRCNN detections and the embeddings that DeepSORT's authors' network gives."""
    plain = mot17(data, "MOT17-05")
    with np.load(data / "mot" / "MOT17-half-val" / "MOT17-05" / "det" / "frcnn_deepsort128.npz") as columns:
        number, boxes_tlwh = columns["frame"], columns["tlwh"].astype(float)
        confidence, embeddings = np.clip(columns["confidence"], 0, 1), columns["embedding"]
    boxes = xyxy_from_tlwh(boxes_tlwh - [1.0, 1.0, 0.0, 0.0])
    frames = tuple(
        by_confidence(Detections.of(boxes[here], confidence[here], embeddings=embeddings[here]))
        for here in (number == n for n in range(1, plain.last_frame + 1))
    )
    # DeepSORT's own threshold for its own network.
    return replace(plain, frames=frames, max_cosine_distance=0.2)


def real(
    data: Path,
    name: str,
    reid: Path,
    cache: Path | None,
    *,
    source: str = "public",
    moving: bool = False,
) -> Sequence:
    """A sequence of MOT15 with frames: detections, embeddings, and the camera's motion from the images.

    Args:
        data: folder of the research data.
        name: a key of `REAL`.
        reid: folder of the encoder.
        cache: keeps what is computed from the frames, the embeddings for each encoder; None computes it anew.
        source: ``public``, the detections of 2015, or a key of `DETECTORS`.
        moving: only a window is seen that wanders and shakes over the frames, as from a camera in the hand;
            needs a detector.

    Raises:
        OSError: a file is missing or ends early.
    """
    folder, scene = data / "mot" / name, REAL[name]
    stem = f"{name}_{source}{'_moving' * moving}"
    found = _kept(cache, stem, lambda: _detected(data, name, source, moving))
    # Named by the checksums, so that new weights of the same name are encoded anew.
    digest = hashlib.sha256((reid / "SHA256SUMS").read_bytes()).hexdigest()[:12]
    encoded = _kept(cache, f"{stem}_{reid.name}_{digest}", lambda: _encoded(data, name, found, reid, moving))
    ends = np.cumsum(found["count"])[:-1]
    columns = (found["boxes"], found["confidence"], encoded["embeddings"])
    frames = tuple(
        Detections(boxes, confidence, np.zeros(len(boxes), np.int64), embeddings)
        for boxes, confidence, embeddings in zip(*(np.split(one, ends) for one in columns), strict=True)
    )
    truth = read_ground_truth(folder / "gt" / "gt.txt")
    truth, size = truth[truth.frame <= scene.length], scene.size
    if moving:
        corners, size = _window(scene)
        truth = replace(truth, boxes=truth.boxes - np.tile(corners, 2)[truth.frame - 1])
        centre = 0.5 * (truth.boxes[:, :2] + truth.boxes[:, 2:])
        truth = truth[((centre >= 0) & (centre <= size[::-1])).all(axis=1)]
    limit = json.loads((reid / "encoder.json").read_text("utf-8")).get("max_cosine_distance", 0.2)
    motion = tuple(found["motion"])
    return Sequence(name, frames, truth, scene.length, size, scene.frame_rate, limit, motion)


def _kept(cache: Path | None, stem: str, compute: Callable[[], Columns]) -> Columns:
    """What the cache holds under a name, or what is computed and kept there."""
    kept = None if cache is None else cache / f"{stem}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept) as archive:
            return dict(archive)
    columns = compute()
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **columns)  # type: ignore[arg-type]
    return columns


def _window(scene: Video) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Upper left corners ``(F, 2)`` of a window that moves along a figure of eight, and its size."""
    height, width = (round(0.65 * side) for side in scene.size)
    room = np.array([scene.size[1] - width, scene.size[0] - height])
    angle = 2 * np.pi * np.arange(scene.length) / (16 * scene.frame_rate)
    corners = 0.5 * room * (1 + 0.95 * np.column_stack([np.sin(angle), np.sin(2 * angle)]))
    corners += np.random.default_rng(1).normal(0, scene.size[0] / 150, corners.shape)
    return np.clip(np.rint(corners), 0, room).astype(np.int64), (height, width)


def _detected(data: Path, name: str, source: str, moving: bool) -> Columns:
    """What detector and image motion see in a sequence: all detections in a row."""
    from deepsort_paddle import make_detector
    from deepsort_paddle.tracking.camera.image_motion import ImageMotion

    public = read_detections(data / "mot" / name / "det" / "det.txt")
    detector = None
    if source != "public":
        spec = DETECTORS[source]
        path = data / "models" / spec if spec.endswith(".onnx") else spec
        detector = make_detector(path, confidence=LOWEST, device="cpu")
    estimate, motion = ImageMotion(), []
    found: list[Detections] = []
    for number, image in enumerate(_seen(data, name, moving), 1):
        detections = public.get(number, Detections.empty()) if detector is None else detector(number, image)
        found.append(by_confidence(detections))
        motion.append(estimate(image, found[-1].boxes))
    return {
        "count": np.array([len(one) for one in found]),
        "boxes": np.concatenate([one.boxes for one in found]),
        "confidence": np.concatenate([one.confidence for one in found]),
        "motion": np.array(motion),
    }


def _encoded(data: Path, name: str, found: Columns, reid: Path, moving: bool) -> Columns:
    """The embeddings of all detections in a row."""
    from deepsort_paddle.appearance.encoder import AppearanceEncoder

    encoder = AppearanceEncoder(reid)
    boxes = np.split(found["boxes"], np.cumsum(found["count"])[:-1])
    images = _seen(data, name, moving)
    return {"embeddings": np.concatenate([encoder(*one) for one in zip(images, boxes, strict=True)])}


def _seen(data: Path, name: str, moving: bool) -> Iterator[NDArray[np.uint8]]:
    """The frames of a sequence, or what the moving window shows of them."""
    corners, size = _window(REAL[name])
    for image, (x, y) in zip(_images(data / "mot" / name, REAL[name].length), corners, strict=True):
        yield np.ascontiguousarray(image[y : y + size[0], x : x + size[1]]) if moving else image


def _images(folder: Path, length: int) -> Iterator[NDArray[np.uint8]]:
    """The first frames of a sequence, from its folder of images or its video."""
    import cv2

    files = sorted((folder / "img1").glob("*.jpg"))
    capture = None if files else cv2.VideoCapture(str(next(folder.glob("*.[am][vp][i4]"), folder)))
    for number in range(length):
        image = cv2.imread(str(files[number])) if capture is None else capture.read()[1]
        if image is None:
            raise OSError(f"{folder.name} ends before frame {number + 1} of {length}")
        yield np.asarray(image, np.uint8)


def variants(sequence: Sequence, count: int) -> list[Sequence]:
    """A sequence itself, or with ``count`` above 0 so many copies of it that differ a little.

    Every other one runs from the last frame to the first; from the third on 5 % of the detections are
    missing, others in each.
    """
    if count < 1:
        return [sequence]
    copies = []
    for number in range(count):
        copy = replace(sequence, name=f"{sequence.name} {number + 1}")
        if number > 1:
            rng = np.random.default_rng(number)
            copy = replace(copy, frames=tuple(one[rng.random(len(one)) >= 0.05] for one in copy.frames))
        copies.append(backwards(copy) if number % 2 else copy)
    return copies


def backwards(sequence: Sequence) -> Sequence:
    """The sequence from its last frame to its first."""
    length, truth = len(sequence.frames), sequence.truth
    truth = truth[truth.frame <= length]
    truth = replace(truth, frame=length + 1 - truth.frame)
    truth = truth[np.argsort(truth.frame, kind="stable")]
    motion = None
    if sequence.camera_motion is not None:
        motion = (np.eye(2, 3), *(_inverse(one) for one in sequence.camera_motion[:0:-1]))
    return replace(sequence, frames=sequence.frames[::-1], truth=truth, camera_motion=motion)


def _inverse(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a ``(2, 3)`` affine map."""
    linear = np.linalg.inv(motion[:, :2])
    return np.column_stack([linear, -linear @ motion[:, 2]])


def crowd(people: int = 30, length: int = 400, seed: int = 0) -> Sequence:
    """A made-up scene: people who turn, hide one another and look partly alike, before a camera that shakes.

    The nearer (lower) of two overlapping people is in front. What is more than 60 % covered is not
    detected, what is covered in part is detected with less confidence, and its embedding takes on the
    look of the one in front.
    """
    rng = np.random.default_rng(seed)
    size = (720, 1280)
    centre = rng.uniform([100, 200], [1180, 650], (people, 2))
    velocity = rng.normal(0, 3, (people, 2)) * [1.0, 0.3]
    look = (
        rng.standard_normal((people, 64)) + rng.standard_normal((people // 3 + 1, 64))[np.arange(people) // 3]
    )
    look /= np.linalg.norm(look, axis=1, keepdims=True)
    frames, rows = [], []
    for number in range(1, length + 1):
        velocity += rng.normal(0, 0.25, (people, 2)) * [1.0, 0.3]
        velocity *= np.where(
            (centre < [60, 180]) & (velocity < 0) | (centre > [1220, 660]) & (velocity > 0), -1, 1
        )
        centre = centre + np.clip(velocity, -7, 7)
        height = 0.30 * centre[:, 1:]  # nearer people are lower and larger
        shake = rng.normal(0, 4.0, 2)
        foot = centre + shake
        boxes = np.hstack([foot - height * [0.2, 1.0], foot + height * [0.2, 0.0]])
        rows.append(np.column_stack([np.full(people, number), np.arange(1, people + 1), boxes]))
        front = centre[None, :, 1] > centre[:, None, 1]  # (N, N): the second hides the first
        shared = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(
            boxes[:, None, :2], boxes[None, :, :2]
        )
        own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        part = np.where(front, np.maximum(shared, 0).prod(axis=2) / own[:, None], 0.0)
        covered, by = part.max(axis=1), part.argmax(axis=1)
        seen = np.flatnonzero((covered < 0.6) & (rng.random(people) < 0.95))
        mixed = (1 - covered[seen, None]) * look[seen] + covered[seen, None] * look[by[seen]]
        mixed += rng.normal(0, 0.05, mixed.shape)
        noisy = boxes[seen] + rng.normal(0, 0.02, (len(seen), 4)) * height[seen]
        false = rng.poisson(1.0)
        corner = rng.uniform([0, 100], [1200, 500], (false, 2))
        found = Detections.of(
            np.vstack([noisy, np.hstack([corner, corner + np.array([50.0, 125.0])])]),
            np.concatenate(
                [
                    np.clip(0.95 - covered[seen] + rng.normal(0, 0.05, len(seen)), 0, 1),
                    rng.uniform(0.1, 0.8, false),
                ]
            ),
            embeddings=np.vstack([mixed, rng.standard_normal((false, 64))]),
        )
        frames.append(by_confidence(found))
    table = np.concatenate(rows)
    count = np.ones(len(table))
    truth = TrackRecords(
        table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:], count, count.astype(int), count
    )
    return Sequence("crowd", tuple(frames), truth, length, size, 25.0, 0.3)
