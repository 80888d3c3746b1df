"""CPU time of each stage of a run, and of the whole run, in one or several checkouts.

Each stage runs over all frames before the next one, in a process of its own for each checkout; the checkouts
take turns, and figures are medians over the rounds. The whole run is `deepsort-track` with annotated video.

    python benchmarks/pipeline/stages.py vtest.avi --detector yolox_nano.onnx --trees before=../old now=.

CPU time counts all threads, so it depends less on what else runs than wall-clock time does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

STAGES = ("decode", "detect", "camera motion", "embed", "track", "draw", "encode video")
_COMMAND = "import sys; from deepsort_paddle.cli import track; sys.exit(track(sys.argv[1:]))"


def measure(video: str, detector: str, count: int, threads: int) -> dict[str, float]:
    """Return the CPU milliseconds a frame of each stage, in the checkout that is imported."""
    from deepsort_paddle import AppearanceEncoder, DeepSort, VideoWriter, open_detector, open_source
    from deepsort_paddle.output.draw import Trails, draw_tracks
    from deepsort_paddle.pipeline.stages import prepare_detections
    from deepsort_paddle.tracking.camera.image_motion import ImageMotion

    clock = [time.process_time()]
    with open_source(video) as source:
        images = [frame.image for frame in islice(source, count) if frame.image is not None]
        rate = source.fps or 25.0
    clock.append(time.process_time())
    detect = open_detector(detector, confidence=0.1, threads=threads)
    try:
        from deepsort_paddle.detection.agreement import fastest
    except ImportError:  # an earlier checkout
        pass
    else:
        detect = fastest(detect, lambda: images[:64:4])
    encode = AppearanceEncoder(threads=threads, device="cpu")
    for image in images[:30]:  # networks are compiled on first use
        encode(image, detect(1, image).boxes)
    find, trails, tracker = (
        ImageMotion(),
        Trails(),
        DeepSort.from_preset("strong", encoder=encode, frame_rate=rate),
    )
    opened = time.process_time()
    found = [prepare_detections(detect(number, image)) for number, image in enumerate(images, start=1)]
    marks = [opened, time.process_time()]
    motions = [find(image, one.boxes) for image, one in zip(images, found, strict=True)]
    marks.append(time.process_time())
    found = [
        replace(one, embeddings=encode(image, one.boxes)) for image, one in zip(images, found, strict=True)
    ]
    marks.append(time.process_time())
    tracks = [tracker.update(one, camera_motion=move) for one, move in zip(found, motions, strict=True)]
    marks.append(time.process_time())
    drawn = [
        draw_tracks(image, one, trails=trails.update(one)) for image, one in zip(images, tracks, strict=True)
    ]
    marks.append(time.process_time())
    with tempfile.TemporaryDirectory() as folder, VideoWriter(Path(folder) / "out.mp4", fps=rate) as writer:
        for image in drawn:
            writer.write(image)
    marks.append(time.process_time())
    spent = [clock[1] - clock[0], *np.diff(marks)]
    return {name: 1e3 * float(one) / len(images) for name, one in zip(STAGES, spent, strict=True)}


def whole_run(video: str, detector: str, tree: Path) -> dict[str, float]:
    """Return CPU and wall-clock seconds of `deepsort-track` in a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        words = [video, "--detector", detector, "--preset", "strong", "--quiet"]
        words += ["--save-video", f"{folder}/out.mp4", "--output", f"{folder}/out.txt"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        subprocess.run([sys.executable, "-c", _COMMAND, *words], check=True, env=environment)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"whole run, CPU s": cpu, "whole run, wall s": wall}


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--detector", required=True, help="an .onnx file")
    parser.add_argument("--trees", nargs="+", default=["now=."], metavar="NAME=DIR", help="checkouts [now=.]")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=1, help="rounds with a whole run [1]")
    parser.add_argument("--threads", type=int, default=1, help="of each network, for the stages")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.video, options.detector, options.frames, options.threads)))
        return
    trees = {
        name: Path(folder).resolve() for name, _, folder in (tree.partition("=") for tree in options.trees)
    }
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for turn in range(options.rounds):
        for name, tree in trees.items():
            command = [sys.executable, __file__, options.video, "--detector", options.detector, "--measure"]
            command += ["--frames", str(options.frames), "--threads", str(options.threads)]
            environment = {**os.environ, "PYTHONPATH": str(tree)}
            out = subprocess.run(
                command, check=True, env=environment, stdout=subprocess.PIPE, text=True
            ).stdout
            row = json.loads(out.splitlines()[-1])
            row["all stages"] = sum(row.values())
            if turn < options.runs:
                row |= whole_run(options.video, options.detector, tree)
            figures[name].append(row)
    print("| CPU ms a frame | " + " | ".join(trees) + " |")
    print("|---|" + "---|" * len(trees))
    for key in figures[next(iter(trees))][0]:
        cells = [f"{np.median([row[key] for row in figures[name] if key in row]):.1f}" for name in trees]
        print(f"| {key} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
