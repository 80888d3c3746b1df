"""From frames to tracks: detect, encode, track.

The stages are callables, so any detector and any appearance model fits. The tracker is called on every frame,
including broken frames and frames without detections, since tracks age with time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.arguments import check_type
from deepsort_paddle.detection.candidates import NO_CLASSES, confident
from deepsort_paddle.frames import Frame
from deepsort_paddle.pipeline.prefetch import prefetch
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

__all__ = ["prepare_detections", "skip_broken", "track_frames"]

Detect = Callable[[int, "NDArray[np.uint8] | None"], Detections]
# select(detections), or select(detections, camera_motion=...) if there is a camera motion.
Select = Callable[..., "NDArray[np.int64]"]
# camera_motion(image, boxes): ``(2, 3)``, from the previous frame's pixels to this frame's.
CameraMotion = Callable[["NDArray[np.uint8] | None", "NDArray[np.float64]"], "NDArray[np.float64]"]


class Encode(Protocol):
    """An appearance model, such as `AppearanceEncoder`: boxes of a frame to ``(N, D)`` unit rows."""

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64], /) -> NDArray[np.float32]:
        """Embed the boxes of one frame."""

    def encode_batch(
        self, frames: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]], /
    ) -> list[NDArray[np.float32]]:
        """Embed the boxes of several frames; return one array per frame."""


class Tracker(Protocol):
    """A tracker, such as `DeepSort`."""

    def update(self, detections: Detections, /) -> Tracks:
        """Update the tracks with the detections of one frame."""


class _InformedTracker(Protocol):
    """A tracker that takes the camera's motion and the time that has passed, as `DeepSort`."""

    def update(self, detections: Detections, /, **known: Any) -> Tracks:
        """Take in one frame."""


def prepare_detections(
    detections: Detections,
    *,
    min_confidence: float = 0.0,
    min_height: float = 0.0,
    class_confidence: Mapping[int, float] = NO_CLASSES,
) -> Detections:
    """Filter the detections and sort them by descending confidence.

    The order determines the ids of new tracks. Descending confidence, with ties in the given order, is also
    the order of the published DeepSORT runs, a by-product of their non-maximum suppression. Boxes without
    area are dropped, as the filter's state includes width / height.

    Args:
        detections: of one frame; not modified.
        min_confidence: detections below it are dropped.
        min_height: boxes lower than this, in pixels, are dropped.
        class_confidence: thresholds by class id, in place of ``min_confidence``.

    Returns:
        The remaining detections, sorted.
    """
    with np.errstate(over="ignore"):  # the tracker ignores boxes of this size
        size = detections.boxes[:, 2:] - detections.boxes[:, :2]
    keep = confident(detections.confidence, detections.class_id, min_confidence, class_confidence)
    keep &= (size > 0).all(axis=1)
    rows = np.flatnonzero(keep & (size[:, 1] >= min_height))
    return detections[rows[np.argsort(-detections.confidence[rows], kind="stable")]]


def skip_broken(detect: Detect) -> Detect:
    """Wrap a detector that needs images, so that it returns no detections for a frame without image.

    Args:
        detect: ``detect(frame_number, image)``.

    Returns:
        The wrapped detector.
    """

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
    select: Select | None = None,
    camera_motion: CameraMotion | None = None,
    class_confidence: Mapping[int, float] = NO_CLASSES,
    clock_rate: float | None = None,
) -> Generator[TrackedFrame, None, None]:
    """Track objects through ``frames``, lazily.

    Args:
        frames: the frames in order. A frame whose image is None (broken, or from a sequence without images)
            is passed to ``detect`` and gets no embeddings.
        detect: ``detect(frame_number, image)``; see `skip_broken` for detectors that need images.
        encode: the appearance model; None keeps the embeddings of the detections, if any.
        tracker: its ``update`` is called once per frame, in the thread that iterates. With both ``select``
            and ``read_ahead`` another thread calls it, some frames ahead, until the iterator is closed.
        frames_per_batch: encode the crops of this many frames at once. The results are the same; a live
            source is delayed by as many frames.
        read_ahead: 0 runs the stages in sequence and holds ``frames_per_batch`` frames. With a larger value,
            reading, ``detect`` and ``encode`` each run in their own thread, with the same results and
            errors. Up to ``read_ahead`` batches wait after each stage: at most ``3 * (read_ahead + 1)``
            batches are held. Close the iterator if you do not read it to the end: until then it owns
            ``frames`` and the threads.
        min_confidence: see `prepare_detections`.
        min_height: see `prepare_detections`.
        select: returns the rows of a frame's detections to encode, such as ``SelectiveEncoding(tracker)``.
            The other rows are zero; a frame without selected rows has no embeddings. None encodes all. It is
            called between two updates of the tracker, so encoding and tracking alternate frame by frame;
            with ``read_ahead`` they share one thread.
        camera_motion: called in order on each frame's image and the boxes of its detections, right after
            ``detect``, and timed with it. The result is the ``camera_motion`` of ``select`` and of the
            tracker's ``update``. See `deepsort_paddle.tracking.camera.image_motion.ImageMotion`.
        class_confidence: see `prepare_detections`.
        clock_rate: frames a second by which the tracker counts time, for sources that skip frames:
            ``update`` and ``select`` get the time since the frame before as ``intervals``, in such frames.
            None: each frame is one interval.

    Yields:
        Each frame with its detections and tracks.

    Raises:
        ValueError: ``frames_per_batch`` is below 1, or above 1 with ``select``; ``read_ahead`` is below 0;
            ``detect`` is not callable or does not return `Detections`; ``frames`` yields something other
            than `Frame`.
    """
    if not callable(detect):
        raise ValueError(f"detect must be callable, as open_detector gives it, got {type(detect).__name__}")
    if frames_per_batch < 1:
        raise ValueError(f"frames_per_batch must be 1 or more, got {frames_per_batch}")
    if read_ahead < 0:
        raise ValueError(f"read_ahead must be 0 or more, got {read_ahead}")
    if select is not None and frames_per_batch > 1:
        raise ValueError(
            f"frames_per_batch must be 1 with select, got {frames_per_batch}: the selection for a frame "
            "depends on the tracks of the previous one"
        )

    def stage(batches: _Batches) -> _Batches:
        return prefetch(batches, read_ahead) if read_ahead else batches

    batches = stage(_read(iter(frames), frames_per_batch))
    prepare = partial(
        prepare_detections,
        min_confidence=min_confidence,
        min_height=min_height,
        class_confidence=class_confidence,
    )
    batches = stage(_detect(batches, detect, prepare, camera_motion, _Intervals(clock_rate)))
    if encode is None:
        return _track(batches, tracker)
    if select is None:
        return _track(stage(_encode(batches, encode)), tracker)
    tracked = _track(_encode_selected(batches, encode, select), tracker)
    return prefetch(tracked, read_ahead) if read_ahead else tracked


@dataclass(slots=True)
class _Batch:
    """Frames on their way through the stages, with the seconds of each stage so far."""

    frames: list[Frame]
    read: float
    detections: list[Detections] = field(default_factory=list)
    known: list[dict[str, Any]] = field(default_factory=list)  # for the tracker, by argument
    detect: list[float] = field(default_factory=list)
    encode: float = 0.0


_Batches = Generator[_Batch, None, None]


class _Intervals:
    """The time between frames in frames of a rate; says nothing without one."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._latest: float | None = None

    def since(self, timestamp: float | None) -> dict[str, Any]:
        """The argument of the tracker: whole intervals since the frame before, at least 1."""
        if self._rate is None or timestamp is None:
            return {}
        passed = 0.0 if self._latest is None else timestamp - self._latest
        self._latest = timestamp
        return {"intervals": max(1, round(passed * self._rate))}


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
    intervals: _Intervals,
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
                known = intervals.since(frame.timestamp)
                if camera_motion is not None:
                    known["camera_motion"] = camera_motion(frame.image, found.boxes)
                batch.known.append(known)
                batch.detect.append(time.perf_counter() - began)
            yield batch


def _encode(batches: _Batches, encode: Encode) -> _Batches:
    with closing(batches):
        for batch in batches:
            began = time.perf_counter()
            batch.detections = _with_embeddings(batch.frames, batch.detections, encode)
            batch.encode = (time.perf_counter() - began) / len(batch.frames)
            yield batch


def _encode_selected(batches: _Batches, encode: Encode, select: Select) -> _Batches:
    """Encode the selected detections of batches of one frame, after the tracker has seen the previous one."""
    with closing(batches):
        for batch in batches:
            began = time.perf_counter()
            image, detections = batch.frames[0].image, batch.detections[0]
            encodable = image is not None and len(detections) > 0
            rows = select(detections, **batch.known[0]) if encodable else np.zeros(0, np.int64)
            if image is not None and len(rows):
                selected = encode(image, detections.boxes[rows])  # (K, D)
                embeddings = np.zeros((len(detections), selected.shape[1]), np.float32)
                embeddings[rows] = selected
                batch.detections = [replace(detections, embeddings=embeddings)]
            batch.encode = time.perf_counter() - began
            yield batch


def _track(batches: _Batches, tracker: Tracker) -> Generator[TrackedFrame, None, None]:
    with closing(batches):
        for batch in batches:
            columns = zip(batch.frames, batch.detections, batch.known, batch.detect, strict=True)
            for frame, detections, known, seconds in columns:
                began = time.perf_counter()
                tracks = cast(_InformedTracker, tracker).update(detections, **known)
                track = time.perf_counter() - began
                spent = StageSeconds(batch.read, seconds, batch.encode, track)
                yield TrackedFrame(frame, detections, tracks, spent, known.get("camera_motion"))


def _with_embeddings(batch: list[Frame], detected: list[Detections], encode: Encode) -> list[Detections]:
    """Add embeddings to the detections of each frame that has an image and detections."""
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
