"""From frames to tracks: detect, describe, associate.

The stages are callables, so that any detector and any appearance model can be put in. The tracker is
called on every frame, also on broken ones and ones without detections: tracks age with time, not
with detections.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.arguments import check_type
from deepsort_paddle.detection.candidates import NO_CLASSES, confident
from deepsort_paddle.frames import Frame
from deepsort_paddle.pipeline.prefetch import ahead
from deepsort_paddle.structures import Detections, Tracks

__all__ = ["StageSeconds", "TrackedFrame", "prepare_detections", "skip_broken", "track_frames"]

Detect = Callable[[int, "NDArray[np.uint8] | None"], Detections]
# Of detections, and of camera_motion where there is one.
Needed = Callable[..., "NDArray[np.int64]"]
# Of a frame's picture and boxes: ``(2, 3)``, from the pixels of the frame before to this one's.
CameraMotion = Callable[["NDArray[np.uint8] | None", "NDArray[np.float64]"], "NDArray[np.float64]"]


class Encode(Protocol):
    """An appearance model, as `AppearanceEncoder`: boxes of a frame to ``(N, D)`` unit rows."""

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64], /) -> NDArray[np.float32]:
        """Embeddings of one frame's boxes."""

    def encode_batch(
        self, frames: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]], /
    ) -> list[NDArray[np.float32]]:
        """Embeddings of several frames' boxes, one array a frame."""


class Tracker(Protocol):
    """A tracker, as `DeepSort`."""

    def update(self, detections: Detections, /) -> Tracks:
        """Take in one frame."""


class _MovedTracker(Protocol):
    """A tracker that takes the camera's motion, as `DeepSort`."""

    def update(self, detections: Detections, /, *, camera_motion: NDArray[np.float64] | None) -> Tracks:
        """Take in one frame."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Wall-clock seconds that one frame took in each stage; a batch's time is shared out evenly."""

    read: float
    detect: float
    encode: float
    track: float


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """What is known of one frame.

    Attributes:
        frame: as it came, not drawn on.
        detections: those handed to the tracker; `Tracks.detection_index` counts their rows.
        tracks: the tracker's answer.
        seconds: how long it took.
    """

    frame: Frame
    detections: Detections
    tracks: Tracks
    seconds: StageSeconds


def prepare_detections(
    detections: Detections,
    *,
    min_confidence: float = 0.0,
    min_height: float = 0.0,
    class_confidence: Mapping[int, float] = NO_CLASSES,
) -> Detections:
    """The detections worth tracking, by falling confidence; all columns move together.

    The order sets which id a new track gets. That of falling confidence, equal ones as they came, is what the
    published DeepSORT runs had as a by-product of their non-maximum suppression. Boxes without area
    are dropped: width over height is part of the filter's state.

    Args:
        detections: of one frame; not modified.
        min_confidence: lower ones are dropped.
        min_height: boxes less high than this, in pixels, are dropped.
        class_confidence: thresholds of single classes, instead of ``min_confidence``.
    """
    with np.errstate(over="ignore"):  # the tracker leaves out boxes of such size
        size = detections.boxes[:, 2:] - detections.boxes[:, :2]
    keep = confident(detections.confidence, detections.class_id, min_confidence, class_confidence)
    keep &= (size > 0).all(axis=1)
    rows = np.flatnonzero(keep & (size[:, 1] >= min_height))
    return detections[rows[np.argsort(-detections.confidence[rows], kind="stable")]]


def skip_broken(detect: Detect) -> Detect:
    """A detector that finds nothing in a frame without image, made from one that needs images."""

    def detect_or_skip(frame_number: int, image: NDArray[np.uint8] | None) -> Detections:
        return Detections.empty() if image is None else detect(frame_number, image)

    return detect_or_skip


def track_frames(
    frames: Iterable[Frame],
    detect: Detect,
    encode: Encode | None,
    tracker: Tracker,
    *,
    frames_per_batch: int = 1,
    read_ahead: int = 0,
    min_confidence: float = 0.0,
    min_height: float = 0.0,
    needed: Needed | None = None,
    camera_motion: CameraMotion | None = None,
    class_confidence: Mapping[int, float] = NO_CLASSES,
) -> Generator[TrackedFrame, None, None]:
    """Track through ``frames``, lazily.

    Args:
        frames: in order; an image of None (broken frame, sequence without pictures) is passed on to
            ``detect`` and gets no embeddings.
        detect: ``detect(frame_number, image)``; see `skip_broken` for detectors that look at images.
        encode: the appearance model; None keeps the embeddings that the detections bring, if any.
        tracker: its ``update`` is called once a frame, by the thread that iterates; with ``needed`` and
            ``read_ahead`` by another one, which is some frames ahead until the iterator is closed.
        frames_per_batch: crops of so many frames are encoded in one go, with the same results; a live source
            is seen that much later.
        read_ahead: 0 runs the stages one after the other and holds ``frames_per_batch`` frames. Above,
            reading, ``detect`` and ``encode`` each run in a thread of their own, with the same results and
            errors, and so many batches wait behind each: at most ``3 * (read_ahead + 1)`` batches are held.
            Close the iterator when it is not read to its end: it owns ``frames`` and the threads until then.
        min_confidence: see `prepare_detections`.
        min_height: likewise.
        needed: says which rows of a frame's detections to encode, as ``EncodeNeeded(tracker)``; the others
            get zero rows, and a frame of which none is wanted no embeddings. None encodes all. It is asked
            between two updates of the tracker, so that encoding and tracking go on frame by frame, and with
            ``read_ahead`` together in one thread.
        camera_motion: called on each frame's picture and the boxes of its detections, in order, right after
            ``detect``, and timed with it; the tracker's ``update`` and ``needed`` get the answer as their
            ``camera_motion``. See `deepsort_paddle.tracking.picture_motion.PictureMotion`.
        class_confidence: see `prepare_detections`.

    Raises:
        ValueError: ``frames_per_batch`` is below 1, or above it together with ``needed``; ``read_ahead`` is
            below 0; ``detect`` is no callable, or returns something else than `Detections`; ``frames`` gives
            something else than `Frame`.
    """
    if not callable(detect):
        raise ValueError(f"detect must be callable, as open_detector gives it, got {type(detect).__name__}")
    if frames_per_batch < 1:
        raise ValueError(f"frames_per_batch must be 1 or more, got {frames_per_batch}")
    if read_ahead < 0:
        raise ValueError(f"read_ahead must be 0 or more, got {read_ahead}")
    if needed is not None and frames_per_batch > 1:
        raise ValueError(
            f"frames_per_batch must be 1 with needed, got {frames_per_batch}: what a frame needs shows when "
            "the one before it is tracked"
        )

    def stage(batches: _Batches) -> _Batches:
        return ahead(batches, read_ahead) if read_ahead else batches

    batches = stage(_read(iter(frames), frames_per_batch))
    prepare = partial(
        prepare_detections,
        min_confidence=min_confidence,
        min_height=min_height,
        class_confidence=class_confidence,
    )
    batches = stage(_detect(batches, detect, prepare, camera_motion))
    if encode is None:
        return _track(batches, tracker)
    if needed is None:
        return _track(stage(_encode(batches, encode)), tracker)
    tracked = _track(_encode_needed(batches, encode, needed), tracker)
    return ahead(tracked, read_ahead) if read_ahead else tracked


@dataclass(slots=True)
class _Batch:
    """Frames on their way through the stages, with the seconds that each of them took so far."""

    frames: list[Frame]
    read: float
    detections: list[Detections] = field(default_factory=list)
    motions: list[NDArray[np.float64] | None] = field(default_factory=list)
    detect: list[float] = field(default_factory=list)
    encode: float = 0.0


_Batches = Generator[_Batch, None, None]


def _read(frames: Iterator[Frame], frames_per_batch: int) -> _Batches:
    while True:
        began = time.perf_counter()
        batch = list(islice(frames, frames_per_batch))
        if not batch:
            return
        yield _Batch(batch, (time.perf_counter() - began) / len(batch))


def _detect(
    batches: _Batches,
    detect: Detect,
    prepare: Callable[[Detections], Detections],
    camera_motion: CameraMotion | None,
) -> _Batches:
    with closing(batches):
        for batch in batches:
            for frame in batch.frames:
                began = time.perf_counter()
                check_type("each of frames", frame, Frame, "as open_source gives them")
                found = detect(frame.number, frame.image)
                check_type("what detect returns", found, Detections, "as Detections.of makes them")
                found = prepare(found)
                batch.detections.append(found)
                batch.motions.append(
                    None if camera_motion is None else camera_motion(frame.image, found.boxes)
                )
                batch.detect.append(time.perf_counter() - began)
            yield batch


def _encode(batches: _Batches, encode: Encode) -> _Batches:
    with closing(batches):
        for batch in batches:
            began = time.perf_counter()
            batch.detections = _with_embeddings(batch.frames, batch.detections, encode)
            batch.encode = (time.perf_counter() - began) / len(batch.frames)
            yield batch


def _encode_needed(batches: _Batches, encode: Encode, needed: Needed) -> _Batches:
    """As `_encode`, for batches of one frame: runs on when the tracker has taken in the frame before."""
    with closing(batches):
        for batch in batches:
            began = time.perf_counter()
            image, detections = batch.frames[0].image, batch.detections[0]
            moved = {} if batch.motions[0] is None else {"camera_motion": batch.motions[0]}
            wanted = image is not None and len(detections) > 0
            rows = needed(detections, **moved) if wanted else np.zeros(0, np.int64)
            if image is not None and len(rows):
                some = encode(image, detections.boxes[rows])
                embeddings = np.zeros((len(detections), some.shape[1]), np.float32)
                embeddings[rows] = some
                batch.detections = [replace(detections, embeddings=embeddings)]
            batch.encode = time.perf_counter() - began
            yield batch


def _track(batches: _Batches, tracker: Tracker) -> Generator[TrackedFrame, None, None]:
    with closing(batches):
        for batch in batches:
            columns = zip(batch.frames, batch.detections, batch.motions, batch.detect, strict=True)
            for frame, detections, motion, seconds in columns:
                began = time.perf_counter()
                if motion is None:
                    tracks = tracker.update(detections)
                else:
                    tracks = cast(_MovedTracker, tracker).update(detections, camera_motion=motion)
                track = time.perf_counter() - began
                spent = StageSeconds(batch.read, seconds, batch.encode, track)
                yield TrackedFrame(frame, detections, tracks, spent)


def _with_embeddings(batch: list[Frame], detected: list[Detections], encode: Encode) -> list[Detections]:
    """The detections of each frame with embeddings; frames without image or detections stay as they are."""
    result = list(detected)
    images, rows = [], []
    for row, (frame, detections) in enumerate(zip(batch, detected, strict=True)):
        if frame.image is not None and len(detections):
            images.append(frame.image)
            rows.append(row)
    if len(images) == 1:
        embeddings = [encode(images[0], detected[rows[0]].boxes)]
    else:
        embeddings = encode.encode_batch(images, [detected[row].boxes for row in rows]) if rows else []
    for row, array in zip(rows, embeddings, strict=True):
        result[row] = replace(detected[row], embeddings=array)
    return result
