"""The sequences of `accuracy.py`: detections, embeddings where there are some, and ground truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import Detections
from deepsort_paddle.boxes import xyxy_from_tlwh
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import TrackRecords, read_detections, read_ground_truth

# Detectors of PETS09, by the name of the set: files in the data's folder of models, or built in.
DETECTORS = {"pets-yolox": "yolox_nano.onnx", "pets-nanodet": "nanodet_m_320.onnx", "pets-hog": "hog"}
MOT17 = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-13")
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
        size: height and width of the picture.
        frame_rate: frames a second.
        max_cosine_distance: the threshold that belongs to the embeddings.
    """

    name: str
    frames: tuple[Detections, ...]
    truth: TrackRecords
    last_frame: int
    size: tuple[int, int]
    frame_rate: float
    max_cosine_distance: float = 0.2

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


def pets(data: Path, reid: Path, cache: Path | None, *, source: str = "pets") -> Sequence:
    """PETS09-S2L1, frames 1 to 400, embeddings of the encoder in ``reid``.

    ``cache`` is a folder that keeps the embeddings of each encoder; encoding is what takes the time. The
    detections are the public ones of 2015, or those of a detector of `DETECTORS`.
    """
    from deepsort_paddle.appearance.encoder import AppearanceEncoder

    folder = data / "mot" / "PETS09-S2L1"
    found = (
        _detected(data, source, cache) if source in DETECTORS else read_detections(folder / "det" / "det.txt")
    )
    frames = [by_confidence(found.get(n, Detections.empty())) for n in range(1, 401)]
    encoder = AppearanceEncoder(reid)
    # Named by the checksums, so that new weights of the same name are encoded anew.
    digest = hashlib.sha256((reid / "SHA256SUMS").read_bytes()).hexdigest()[:12]
    kept = None if cache is None else cache / f"{source}_{reid.name}_{digest}.npy"
    if kept is not None and kept.is_file():
        embeddings = np.load(kept)
    else:
        embeddings = np.concatenate(list(encoded(folder / "vtest.avi", frames, encoder)))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, embeddings)
    parts = np.split(embeddings, np.cumsum([len(frame) for frame in frames])[:-1])
    frames = [replace(frame, embeddings=part) for frame, part in zip(frames, parts, strict=True)]
    truth = read_ground_truth(folder / "gt" / "gt.txt")
    limit = 0.2 if encoder.max_cosine_distance is None else encoder.max_cosine_distance
    return Sequence("PETS09-S2L1", tuple(frames), truth, 400, (576, 768), 10.0, limit)


def _detected(data: Path, source: str, cache: Path | None) -> dict[int, Detections]:
    """What a detector finds in PETS09-S2L1 down to the lowest score."""
    import cv2

    from deepsort_paddle import make_detector

    kept = None if cache is None else cache / f"{source}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept) as columns:
            number, boxes, confidence = columns["frame"], columns["boxes"], columns["confidence"]
        return {n: Detections.of(boxes[number == n], confidence[number == n]) for n in range(1, 401)}
    name = DETECTORS[source]
    spec = data / "models" / name if name.endswith(".onnx") else name
    detector = make_detector(spec, confidence=LOWEST, device="cpu")
    capture = cv2.VideoCapture(str(data / "mot" / "PETS09-S2L1" / "vtest.avi"))
    found: dict[int, Detections] = {}
    for number in range(1, 401):
        read, image = capture.read()
        if not read:
            raise OSError(f"vtest.avi ends before frame {number}")
        found[number] = detector(number, np.asarray(image, np.uint8))
    capture.release()
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            kept,
            frame=np.repeat(list(found), [len(one) for one in found.values()]),
            boxes=np.concatenate([one.boxes for one in found.values()]),
            confidence=np.concatenate([one.confidence for one in found.values()]),
        )
    return found


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
    return replace(sequence, frames=sequence.frames[::-1], truth=truth)


def encoded(
    video: Path,
    frames: list[Detections],
    encode: Callable[[NDArray[np.uint8], NDArray[np.float64]], NDArray[np.float32]],
) -> Iterator[NDArray[np.float32]]:
    """Embeddings of each frame's detections."""
    import cv2

    capture = cv2.VideoCapture(str(video))
    for detections in frames:
        read, image = capture.read()
        if not read:
            raise OSError(f"{video} ends before frame {len(frames)}")
        yield encode(image, detections.boxes)
    capture.release()


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
