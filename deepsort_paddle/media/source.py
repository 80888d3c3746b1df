"""Opens sources of frames: video file, image folder, MOTChallenge sequence, camera, network stream.

Frame numbers start at 1 and count the frames of the source, like MOTChallenge annotations. See
`deepsort_paddle.media.readers` for why PyAV reads files and OpenCV reads cameras.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2

from deepsort_paddle.frames import MOST_FRAMES, Frame, FrameSource, Tally
from deepsort_paddle.media.addresses import ffmpeg_address, is_address, is_film
from deepsort_paddle.media.clock import frame_rate, is_raw
from deepsort_paddle.media.entry import find_entry
from deepsort_paddle.media.frame_numbers import first_frame, number_images
from deepsort_paddle.media.image_header import IMAGE_SUFFIXES
from deepsort_paddle.media.newest import NewestFrames
from deepsort_paddle.media.readers import (
    open_container,
    pixel_aspect,
    read_camera,
    read_file,
    read_images,
    read_stream,
)
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.media.watchdog import WatchedCapture
from deepsort_paddle.motchallenge.sequence import SequenceInfo, is_sequence
from deepsort_paddle.motchallenge.text import read_detections

__all__ = ["Frame", "FrameSource", "VideoWriter", "open_source"]

_VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm", ".wmv"})


def open_source(
    source: str | int | Path,
    *,
    fps: float | None = None,
    retries: int = 5,
    backoff: float = 1.0,
    patience: float = 10.0,
    every_frame: bool = True,
    start: float = 0.0,
) -> FrameSource:
    """Open a source of frames.

    Args:
        source: a video file, an image folder (in natural order: 2.jpg before 10.jpg), a MOTChallenge sequence
            folder, with or without images, a camera (index or device file) or the address of a stream
            (``rtsp://``, ``http://``...).
        fps: frame rate of an image folder, instead of that in ``seqinfo.ini``, or of a raw stream
            (``.h264``).
        retries: attempts to reconnect a lost stream or camera before the iterator ends.
        backoff: seconds before the first attempt; doubles with each, up to 30.
        patience: seconds without a frame after which a stream or camera counts as lost, and largest time to
            open it.
        every_frame: False to get the newest frame of a camera or stream each time and skip older ones.
        start: seconds before which a video file need not be decoded: frames start at the last keyframe before
            it if the file has an exact index, else at the first frame.

    Returns:
        An iterator of frames, also a context manager.

    Raises:
        FileNotFoundError: the file or folder does not exist.
        OSError: the camera or stream cannot be opened.
        ValueError: the source is not a video, or has no readable frame.
    """
    text = str(source)
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"fps must be positive, got {fps}")
    if is_address(text):
        return _open_stream(text, retries, backoff, patience, every_frame)
    path = Path(text)
    if path.is_dir():
        return _open_sequence(path, fps) if is_sequence(path) else _open_folder(path, fps)
    if text.isdecimal() and not path.exists():
        return _open_camera(int(text), f"camera {text}", retries, backoff, patience, every_frame)
    if path.is_char_device():
        return _open_camera(text, path.name, retries, backoff, patience, every_frame)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {text}")
    return _open_file(path, fps, start)


def without_password(address: str) -> str:
    """Return a stream's address without ``user:password@``, to show and store."""
    return re.sub(r"(?<=://)[^/@]*@", "", address)


def stream_name(address: str) -> str:
    """Return a file name for a stream's address."""
    return re.sub(r"[^\w.-]+", "_", without_password(address).partition("://")[2]).strip("_")


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key of a file name that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _open_file(path: Path, fps: float | None, start: float) -> FrameSource:
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    container, stream = open_container(ffmpeg_address(path), str(path))
    tally = Tally()
    rate = frame_rate(ffmpeg_address(path), container, stream)
    if is_raw(container):
        if fps is None:
            stated = "unknown" if rate is None else f"taken as {rate:g}"
            tally.add_note(f"a raw stream has no timestamps: its frame rate is {stated} (--fps N sets it)")
        rate = fps or rate
    aspect = pixel_aspect(stream)
    if aspect != 1:
        tally.add_note(f"pixels are {aspect} times as wide as high: boxes are in stored pixels")
    count = stream.frames or None
    entry = find_entry(ffmpeg_address(path), stream.index, start) if start and not is_raw(container) else None
    numbers = None if entry is None else range(entry.number, 1 + (count or MOST_FRAMES))
    return FrameSource(
        read_file(container, stream, tally, rate, count, entry),
        tally,
        name=path.stem,
        fps=rate,
        frame_count=count if count is None or numbers is None else len(numbers),
        frame_numbers=numbers,
        pixel_aspect=aspect,
    )


def _open_stream(
    address: str, retries: int, backoff: float, patience: float, every_frame: bool
) -> FrameSource:
    def connect() -> tuple[Any, Any]:
        options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
        return open_container(address, without_password(address), options=options, timeout=patience)

    container, stream = connect()
    tally = Tally()
    rate = stream.average_rate or stream.guessed_rate
    fps = float(rate) if rate else None
    name, aspect = stream_name(address), pixel_aspect(stream)
    if container.duration and is_film(address):  # it has an end and cannot be entered in the middle
        frames = read_file(container, stream, tally, fps, stream.frames or None)
        return FrameSource(
            frames, tally, name=name, fps=fps, frame_count=stream.frames or None, pixel_aspect=aspect
        )
    frames = read_stream(connect, (container, stream), tally, retries, backoff, patience)
    chosen = frames if every_frame else NewestFrames(frames, tally)
    return FrameSource(chosen, tally, name=name, fps=fps, live=True, pixel_aspect=aspect)


def _open_camera(
    device: int | str, name: str, retries: int, backoff: float, patience: float, every_frame: bool
) -> FrameSource:
    def opened() -> cv2.VideoCapture:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error below says it
        try:
            capture = cv2.VideoCapture(device)
        finally:
            cv2.utils.logging.setLogLevel(level)
        if not capture.isOpened():
            raise OSError(f"{name} can't be opened: there is none, or another program has it")
        return capture

    def connect() -> WatchedCapture:
        return WatchedCapture(opened, name, patience)

    capture = connect()
    tally = Tally()
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = read_camera(connect, capture, tally, retries, backoff)
    return FrameSource(
        frames if every_frame else NewestFrames(frames, tally),
        tally,
        name=name.replace(" ", ""),
        fps=fps if fps > 0 else None,
        live=True,
    )


def _open_folder(folder: Path, fps: float | None) -> FrameSource:
    paths = _images(folder)
    if not paths:
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]  # macOS: ._x.mp4
        videos = sum(Path(name).suffix.lower() in _VIDEOS for name in names)
        hint = f"; it contains {videos} videos: name each of them" if videos > 1 else ""
        hint = "; it contains a video: name the file" if videos == 1 else hint
        raise ValueError(f"{folder} contains no images ({' '.join(sorted(IMAGE_SUFFIXES))}){hint}")
    numbered, tally = number_images(paths), Tally()
    frames = read_images(numbered.images.items(), tally, fps)
    tally.add_note(numbered.note)
    return FrameSource(
        frames,
        tally,
        name=folder.resolve().name,
        fps=fps,
        frame_count=len(paths),
        frame_numbers=tuple(numbered.images),
    )


def _open_sequence(folder: Path, fps: float | None) -> FrameSource:
    info = SequenceInfo.read(folder)
    fps = fps or info.frame_rate
    tally = Tally()
    paths = [] if info.images is None else _images(info.images)
    if not paths:
        span = _frames_without_images(info)
        return FrameSource(
            read_images(((number, None) for number in span), Tally(), fps),
            tally,
            name=info.name,
            fps=fps,
            frame_count=len(span),
            size=(info.height, info.width),
            has_images=False,
            frame_numbers=span,
        )
    numbered = number_images(paths, drop_strays=True)
    images, last = numbered.images, max(numbered.images)
    span = range(first_frame(images, info.length), last + 1)
    tally.add_note(numbered.note)
    if span[0] > 1:
        tally.add_note(f"the images begin at frame {span[0]}")
    if info.length is not None and len(span) < info.length:
        tally.add_note(f"seqinfo.ini promises {info.length} frames, the images end at {last}")
    frames = read_images([(number, images.get(number)) for number in span], tally, fps)
    return FrameSource(frames, tally, name=info.name, fps=fps, frame_count=len(span), frame_numbers=span)


def _frames_without_images(info: SequenceInfo) -> range:
    """Return the frame numbers of a sequence without images, by ``seqLength`` and the detection file.

    Raises:
        ValueError: there is neither.
    """
    detected = [] if info.detections is None else sorted(read_detections(info.detections))
    if info.length is None:
        if not detected:
            raise ValueError(f"{info.folder} has no images, and no seqinfo.ini with the number of frames")
        return range(1, detected[-1] + 1)
    if detected and info.length < detected[-1] <= detected[0] + info.length - 1:
        return range(detected[0], detected[0] + info.length)  # cut from a longer sequence
    return range(1, info.length + 1)


def _images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order, without hidden ones but with broken links.

    Folders, pipes and devices are not images, whatever their name: reading a pipe could block forever.
    """
    names = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted((p for p in names if p.is_file() or not p.exists()), key=natural_key)
