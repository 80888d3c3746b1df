"""Frames a second from a video file to an annotated video and text, and where the time goes.

Each way is a whole run: decode, detect, encode, track, draw, write. The ways take turns, so that a busy
machine slows all; the figures are medians over the rounds, those under "first = 1" medians of the rounds'
ratios. The parts are wall-clock time; their sum over the whole is 1 where they run one after the other, and
above it where they overlap.

    python benchmarks/pipeline/pipeline.py --weights weights/resnet50vd
    python benchmarks/pipeline/pipeline.py --weights weights/resnet50vd --video street.mp4 --detector x.onnx
    python benchmarks/pipeline/pipeline.py --compare --video vtest.avi --detections det.txt --people 10 50 100

Without --video the scene is made up: coloured people on a noisy 1920 x 1080 frame, with known boxes; with
--people it comes after the video.

--compare: as deepsort-track runs by default; with --encode needed; one after the other; each stage over all
frames before the next, whose parts are CPU time, to be held against that of the whole; a plain loop that
encodes the crops of each frame by Paddle in float32, as the scripts of the predecessor did; and, with --peers
PYTHON, deep-sort-realtime with its own embedder. Boxes (made before the clock starts), reader, drawing and
writer are the same for all. The plain loop has our tracker, which is faster than the predecessor's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pipeline_loop import PARTS, Run, run_loop

from deepsort_paddle import (
    AppearanceEncoder,
    DeepSort,
    Detections,
    Tracks,
    TrackWriter,
    VideoWriter,
    make_detector,
    open_source,
)
from deepsort_paddle.detection.detector import detection_file
from deepsort_paddle.frames import Frame
from deepsort_paddle.output.writers import TrackPainter
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding
from deepsort_paddle.pipeline.stages import Detect, prepare_detections, skip_broken, track_frames
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

sys.path.append(str(Path(__file__).parents[1] / "tracker"))
from tracker_core import crowd

HEIGHT, WIDTH = 1080, 1920
MAX_AGE = 30


@dataclass(frozen=True)
class Scene:
    """What is tracked."""

    name: str
    video: Path
    frames: int
    detect: Detect
    min_confidence: float = 0.0


@dataclass
class Way:
    """One way to run, and what its runs took."""

    name: str
    run: Callable[[Scene, Path], Run]
    runs: list[Run] = field(default_factory=list)


def make_scene(people: int, frames: int, path: Path) -> Detect:
    """Write a video of a crowd; returns a detector that knows it."""
    rng = np.random.default_rng(0)
    ground = rng.integers(90, 140, (HEIGHT, WIDTH, 3), np.uint8)
    coats = rng.integers(0, 256, (people, 6, 3, 3), np.uint8)
    looks = np.zeros((0, 128), np.float32)  # by which each person is known again, and keeps a coat
    given: list[Detections] = []
    with VideoWriter(path, fps=25) as writer:
        for found in islice(crowd(people, 128), frames):
            boxes = np.clip(found.boxes, 0, [WIDTH, HEIGHT] * 2)
            large = (boxes[:, 2:] - boxes[:, :2] >= 8).all(axis=1)
            assert found.embeddings is not None
            new = (found.embeddings @ looks.T > 0.7).sum(axis=1) == 0
            looks = np.concatenate([looks, found.embeddings[new]])
            persons = (found.embeddings @ looks.T).argmax(axis=1)[large]
            given.append(Detections.of(boxes[large]))
            image = ground.copy()
            for person, (left, top, right, bottom) in zip(persons, boxes[large].astype(int), strict=True):
                coat = coats[person].repeat(-(-(bottom - top) // 6), 0)[: bottom - top]
                image[top:bottom, left:right] = coat.repeat(-(-(right - left) // 3), 1)[:, : right - left]
            writer.write(image)
    return lambda number, _: given[number - 1]


def known(scene: Scene) -> Scene:
    """The scene with boxes found beforehand."""
    with open_source(scene.video) as source:
        found = [
            prepare_detections(scene.detect(frame.number, frame.image), min_confidence=scene.min_confidence)
            for frame in islice(source, scene.frames)
        ]
    return replace(scene, frames=len(found), detect=lambda number, _: found[number - 1])


def stages(
    encoder: AppearanceEncoder | None, read_ahead: int, *, needed: bool = False
) -> Callable[[Scene, Path], Run]:
    """Runs as deepsort-track does."""

    def run_once(scene: Scene, folder: Path) -> Run:
        run = Run()
        tracker = DeepSort(max_age=MAX_AGE, iou_max_age=1 if encoder else 15)
        start, cpu = time.perf_counter(), time.process_time()
        with (
            open_source(scene.video) as source,
            TrackWriter(folder / "tracks.txt") as text,
            VideoWriter(folder / "tracked.mp4", fps=25) as out,
        ):
            run.parts["read"] += time.perf_counter() - start
            painter = TrackPainter(source.height or 1, source.width or 1)
            first: Iterator[Frame] = islice(source, scene.frames)
            results = track_frames(
                first,
                skip_broken(scene.detect),
                encoder,
                tracker,
                read_ahead=read_ahead,
                min_confidence=scene.min_confidence,
                select=SelectiveEncoding(tracker) if needed else None,
            )
            with closing(results):
                for tracked in results:
                    for part in PARTS[:4]:
                        run.parts[part] += getattr(tracked.seconds, part)
                    began = time.perf_counter()
                    image: NDArray[np.uint8] = painter.paint(tracked)
                    drawn = time.perf_counter()
                    text.write(tracked.frame.number, tracked.tracks)
                    out.write(image, tracked.frame.timestamp)
                    run.parts["draw"] += drawn - began
                    run.parts["write"] += time.perf_counter() - drawn
                    run.crops += len(tracked.detections)
                    looks = tracked.detections.embeddings
                    run.encoded += 0 if looks is None else int(looks.any(axis=1).sum())
            ended = time.perf_counter()
        run.parts["write"] += time.perf_counter() - ended
        run.wall, run.cpu = time.perf_counter() - start, time.process_time() - cpu
        return run

    return run_once


def plain_loop(encoder: AppearanceEncoder) -> Callable[[Scene, Path], Run]:
    """Runs everything in one loop."""

    def run_once(scene: Scene, folder: Path) -> Run:
        tracker = DeepSort(max_age=MAX_AGE)

        def follow(image: NDArray[np.uint8], found: Detections) -> tuple[Tracks, float]:
            began = time.perf_counter()
            embeddings = encoder(image, found.boxes) if len(found) else None
            encode = time.perf_counter() - began
            return tracker.update(replace(found, embeddings=embeddings)), encode

        return run_loop(scene.video, scene.frames, scene.detect, follow, scene.min_confidence, folder)

    return run_once


def each_by_itself(encoder: AppearanceEncoder) -> Callable[[Scene, Path], Run]:
    """Runs each stage over all frames before the next one; its parts are seconds of the CPU."""

    def run_once(scene: Scene, folder: Path) -> Run:
        tracker, clock = DeepSort(max_age=MAX_AGE), [time.process_time()]
        with open_source(scene.video) as source:
            size = (source.height or 1, source.width or 1)
            frames = list(islice(source, scene.frames))
        clock.append(time.process_time())
        found = [
            prepare_detections(scene.detect(frame.number, frame.image), min_confidence=scene.min_confidence)
            for frame in frames
        ]
        clock.append(time.process_time())
        for at, frame in enumerate(frames):
            assert frame.image is not None
            if len(found[at]):
                found[at] = replace(found[at], embeddings=encoder(frame.image, found[at].boxes))
        clock.append(time.process_time())
        tracks = [tracker.update(one) for one in found]
        clock.append(time.process_time())
        painter, none = TrackPainter(*size), StageSeconds(0, 0, 0, 0)
        images = [
            painter.paint(TrackedFrame(*columns, none)) for columns in zip(frames, found, tracks, strict=True)
        ]
        clock.append(time.process_time())
        with TrackWriter(folder / "t.txt") as text, VideoWriter(folder / "t.mp4", fps=25) as out:
            for frame, image, one in zip(frames, images, tracks, strict=True):
                text.write(frame.number, one)
                out.write(image, frame.timestamp)
        clock.append(time.process_time())
        parts = dict(zip(PARTS, np.diff(clock).tolist(), strict=True))
        return Run(wall=np.nan, cpu=sum(parts.values()), parts=parts)

    return run_once


class Peer:
    """deep-sort-realtime in a process of its own environment."""

    def __init__(self, python: Path, threads: int) -> None:
        script = Path(__file__).with_name("pipeline_peers.py")
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        environment["PYTHONPATH"] = str(script.parents[2])
        self._process = subprocess.Popen(
            [python, script, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __call__(self, scene: Scene, folder: Path) -> Run:
        """One run; wants a scene whose boxes are known."""
        boxes = folder / "boxes.npz"
        found = [scene.detect(number, None) for number in range(1, scene.frames + 1)]
        np.savez(
            boxes,
            frame=np.repeat(np.arange(1, len(found) + 1), [len(one) for one in found]),
            boxes=np.concatenate([one.boxes for one in found]),
            confidence=np.concatenate([one.confidence for one in found]),
        )
        request = {"video": str(scene.video), "boxes": str(boxes), "frames": scene.frames, "max_age": MAX_AGE}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise OSError("pipeline_peers.py failed, see above")
        return Run(**json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compare(scene: Scene, ways: list[Way], rounds: int) -> None:
    """Print a row for each way."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for way in ways:
                way.runs.append(way.run(scene, Path(folder)))
    first = ways[0].runs
    for way in ways:
        wall, cpu = median(run.wall for run in way.runs), median(run.cpu for run in way.runs)
        speed = median(one.wall / run.wall for one, run in zip(first, way.runs, strict=True))
        load = median(run.cpu / one.cpu for one, run in zip(first, way.runs, strict=True))
        each = [median(run.parts[part] for run in way.runs) for part in PARTS]
        whole = median(sum(run.parts.values()) / run.wall for run in way.runs)
        ms = 1e3 / scene.frames
        cells = [f"{scene.frames / wall:.3g}", f"{speed:.2f}", f"{ms * cpu:.0f}", f"{load:.2f}"]
        cells = [*cells, *(f"{ms * seconds:.1f}" for seconds in each), f"{whole:.2f}"]
        row = " | ".join("" if cell == "nan" else cell for cell in cells)
        some, crops = way.runs[0].encoded, way.runs[0].crops
        share = f", {100 * some / crops:.0f} % encoded" if 0 < some < crops else ""
        print(f"| {scene.name} | {way.name}{share} | {row} |", flush=True)


def median(values: Iterator[float]) -> float:
    """Of a few figures."""
    return float(np.median(list(values)))


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", help="an encoder's folder [motion only; with --compare osnet_ain_x0_5]")
    parser.add_argument("--backends", nargs="+", default=["auto"], help="libraries that run it")
    parser.add_argument("--compare", action="store_true", help="beside a plain loop and other ways")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="interpreter with deep-sort-realtime")
    parser.add_argument("--video", type=Path, help="instead of the crowd")
    parser.add_argument("--detector", default="hog", help="for --video, as deepsort-track --detector")
    parser.add_argument("--detections", type=Path, help="for --video, as deepsort-track --detections")
    parser.add_argument("--people", type=int, nargs="+", help="[10 50 100; none with --video]")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()

    def opened(backend: str = "auto", precision: str = "auto") -> AppearanceEncoder:
        return AppearanceEncoder(
            options.weights, device="cpu", threads=options.threads, backend=backend, precision=precision
        )

    peer = None
    kinds: dict[str, Callable[[Scene, Path], Run]] = {}
    if options.compare:
        ours = opened()
        kinds["side by side"] = stages(ours, 2)
        kinds["needed"] = stages(ours, 2, needed=True)
        kinds["one after the other"] = stages(ours, 0)
        kinds["each stage by itself, CPU ms"] = each_by_itself(ours)
        kinds["plain loop, Paddle float32"] = plain_loop(opened("paddle", "float32"))
        if options.peers is not None:
            kinds["deep-sort-realtime, own embedder"] = peer = Peer(options.peers, options.threads)
    else:
        encoders = {f"{backend}, ": opened(backend) for backend in options.backends if options.weights}
        for library, encoder in encoders.items() or {"": None}.items():
            kinds[f"{library}one after the other"] = stages(encoder, 0)
            kinds[f"{library}side by side"] = stages(encoder, 2)

    def ways() -> list[Way]:
        return [Way(name, run) for name, run in kinds.items()]

    print(f"{platform.machine()}, Python {platform.python_version()}, {options.threads} threads a network")
    columns = ["scene", "way", "fps", "first = 1", "CPU ms a frame", "first = 1"]
    columns += [f"{part} ms" for part in PARTS]
    print(f"| {' | '.join(columns)} | parts / whole |")
    print("|---" * (len(columns) + 1) + "|", flush=True)
    if options.video is not None:
        if options.detections is not None:
            found = detection_file(options.detections)
            scene = Scene(options.video.name, options.video, options.frames, found, found.confidence)
        else:
            detector = make_detector(options.detector, device="cpu", threads=options.threads)
            scene = Scene(options.video.name, options.video, options.frames, detector)
        compare(known(scene) if options.compare else scene, ways(), options.rounds)
    for people in options.people or (() if options.video else (10, 50, 100)):
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "crowd.mp4"
            boxes = make_scene(people, options.frames, video)
            scene = Scene(f"{people} people, 1080p", video, options.frames, boxes)
            compare(scene, ways(), options.rounds)
    if peer is not None:
        peer.close()


if __name__ == "__main__":
    main()
