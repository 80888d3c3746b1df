"""Read thousands of damaged and malicious files: each must give a result or a one-line error.

A valid file of each kind is damaged at random (bits flipped; bytes cut, repeated or replaced by boundary
values) and passed to its reader. Findings are errors other than OSError or ValueError, errors of several
lines, warnings of other packages, inputs that exceed the time limit, and growing memory; the input is kept.

    python tools/robustness/fuzz.py --count 2000                     # the findings in README.md
    python tools/robustness/fuzz.py --only checkpoint --seed 7       # one kind, other damages
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import resource
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
import numpy as np

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.appearance.spec import EncoderSpec
from deepsort_paddle.appearance.third_party import describe
from deepsort_paddle.cli import track
from deepsort_paddle.detection.onnx import OnnxDetector
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import read_detections
from deepsort_paddle.research.evaluate import main as evaluate
from reid_train.config import recipe
from reid_train.data.datasets import extract_archive, read_image, read_list_file

WIDTH, HEIGHT = 96, 64
# Inputs that broke parsers before: boundary values, nesting, encodings, names outside of the folder.
TELLING = (
    *(b"", b"\0", b"\n", b"\r", b",", b",,,,,,,,,,,", b"-", b"nan", b"inf", b"-inf", b"1e308", b"-1e308"),
    *(b"1e999", b"1e18", b"9223372036854775808", b"4294967296", b"2147483648", b"999999999", b"-1", b"0"),
    *(b"0.5", b"1_000", b"0x10", b"null", b"true", b"[]", b"{}", b'""', b"[" * 3000, b'{"a":' * 3000),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u0661\u0662".encode(), b"../../x", b"C:\\x", b"%s%n"),
    *(b"!!python/object/apply:os.system", b"&a [*a]", b"\x80", b"\xff" * 8, b"\x7f\xff\xff\xff", b"9" * 5000),
)


@dataclass(frozen=True)
class Kind:
    """A kind of file: a valid one, its name, and what opens it."""

    name: str
    content: bytes
    open: Callable[[Path], object]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return ``content`` with one to eight damages."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 4, 16, 200)))
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at:end] = rng.randbytes(end - at)
            case 2:
                del data[at : rng.choice((end, end, len(data)))]
            case 3:
                data[at:at] = data[at:end] * rng.choice((1, 3, 50))
            case _:
                data[at : rng.choice((at, end))] = rng.choice(TELLING)
    return bytes(data)


def kinds(folder: Path) -> Iterator[Kind]:
    """Yield every kind of file; ``folder`` receives the files that they need."""
    lines = [f"{n},-1,{2 + n},{5 + k},20,40,0.{9 - k}" for n in range(1, 15) for k in range(3)]
    detections = "\n".join(lines).encode()
    yield Kind("det.txt", detections, _track)
    looks = "\n".join(f"{line},-1,-1,-1,{k % 3},{k % 2},1" for k, line in enumerate(lines))
    yield Kind("embeddings.txt", looks.encode(), _track)
    truth = "\n".join(f"{n},{k},{2 + n},{50 * k},20,40,1,1,1" for n in range(1, 6) for k in (1, 2))
    yield Kind("gt.txt", truth.encode(), lambda path: _evaluate(folder, path))
    spec = (folder / "encoder.json").read_bytes() if (folder / "encoder.json").exists() else _spec()
    yield Kind("encoder.json", spec, EncoderSpec.read)
    yield Kind("infer_cfg.yml", _DETECTION_YAML, _describe)
    yield Kind("inference.yml", _CLAS_YAML, _describe)
    ini = b"[Sequence]\nname=x\nimDir=img1\nframeRate=10\nseqLength=5\nimWidth=96\nimHeight=64\nimExt=.jpg\n"
    yield Kind("seqinfo.ini", ini, _sequence)
    yield Kind("tracker.npz", _tracker_state(folder), _load_tracker)
    for suffix, image in _images().items():
        yield Kind(f"image{suffix}", cv2.imencode(suffix.rpartition("_")[2], image)[1].tobytes(), _image)
    yield Kind("video.mp4", _video(folder), _video_frames)
    yield Kind(
        "network.onnx", _network(), lambda path: OnnxDetector(path, confidence=0.1)(1, _images()[".jpg"])
    )
    (folder / "a.jpg").write_bytes(cv2.imencode(".jpg", _images()[".jpg"])[1].tobytes())
    rows = "\n".join(f"{n} {1 + n // 3} {1 + n // 3} ../a.jpg" for n in range(1, 9))
    yield Kind("list.txt", b"image_id class_id super_class_id path\n" + rows.encode(), read_list_file)
    yield Kind("recipe.yaml", b"elem:\n  lr: 0.1\n  lr_steps: [1, 2]\n  model: ResNet50\n", _recipe)
    yield Kind("data.tar", _tar(), _extract)
    yield Kind("data.zip", _zip(), _extract)
    yield Kind("folder", b"any bytes: they say what lies in the folder", _folder)
    yield from _paddle_kinds()


def _paddle_kinds() -> Iterator[Kind]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from reid_train.checkpoints.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
            from reid_train.checkpoints.pretrained import read_pdparams
            from reid_train.evaluation.features import read_npz
    except ImportError:
        sys.stderr.write("fuzz: no Paddle here: checkpoints, features and .pdparams left out\n")
        return
    arrays = {"network/w": np.ones((3, 4), np.float32), "optimizer/w|m": np.zeros(5, np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.safetensors")
        write_checkpoint(path, Checkpoint(7, arrays, {"lr": 0.1, "model": "ResNet50"}, {"mAP": 0.5}))
        content = path.read_bytes()
    yield Kind("checkpoint.safetensors", content, read_checkpoint)
    stored = io.BytesIO()
    columns = {"unreadable": np.array(["x"]), "reasons": np.array(["no"]), "names": np.array(list("abcd"))}
    np.savez(stored, embeddings=np.eye(4, dtype=np.float32), **columns)
    yield Kind("features.npz", stored.getvalue(), read_npz)
    yield Kind("weights.pdparams", pickle.dumps({"w": np.ones(3), "b": np.zeros((2, 2))}, 2), read_pdparams)


def _track(path: Path) -> None:
    tracker = DeepSort(iou_max_age=5)
    found = read_detections(path)
    for number in sorted(found)[:200]:
        tracks = tracker.update(found[number])
        if not np.isfinite(tracks.boxes).all():
            raise ArithmeticError("a box that is not finite came out of the tracker")


def _evaluate(folder: Path, path: Path) -> None:
    good = folder / "good.txt"
    if not good.exists():
        good.write_text("".join(f"{n},1,{2 + n},50,20,40,1,-1,-1,-1\n" for n in range(1, 6)))
    messages = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(messages):
        code = evaluate([str(path), str(good)])
    if code == 2:
        raise ValueError(messages.getvalue().strip().splitlines()[-1])


def _describe(path: Path) -> None:
    for name in ("model.pdmodel", "model.pdiparams"):
        (path.parent / name).touch()
    describe(path.parent)


def _sequence(path: Path) -> None:
    images = path.parent / "img1"
    images.mkdir(exist_ok=True)
    (images / "000001.jpg").write_bytes(cv2.imencode(".jpg", _images()[".jpg"])[1].tobytes())
    with open_source(path.parent) as source:
        for _ in zip(source, range(50), strict=False):
            pass


def _folder(path: Path) -> None:
    """Track a folder of unusual images, seeded by the file's bytes, with every output."""
    rng = random.Random(path.read_bytes())
    folder, out = path.parent / "in", path.parent / "out"
    source = folder / rng.choice((".", ".", "img1"))
    source.mkdir(parents=True)
    out.mkdir()
    for number in range(1, rng.randrange(2, 9)):
        name = rng.choice(
            (f"{number:06}", f"{number}", f"a{number}b", f"{number}\n", f"\u0661{number}", "1" * 200)
        )
        suffix = rng.choice((".jpg", ".jpg", ".JPG", ".png", ".bmp", ".tif", ".webp", ".txt"))
        place = source / (name + suffix)
        if not (place.exists() or place.is_symlink()):
            _odd_image(place, rng)
    if rng.randrange(4) == 0:
        (folder / "seqinfo.ini").write_bytes(mutated(b"[Sequence]\nname=x\nimDir=img1\nseqLength=5\n", rng))
    boxes = "".join(f"{n},-1,{9 * k},{k},20,40,0.9\n" for n in range(1, 9) for k in range(4))
    (path.parent / "det.txt").write_text(boxes)
    words = [str(folder), "--detections", str(path.parent / "det.txt"), "--reid", "none", "--quiet"]
    words += [
        "--save-crops",
        str(out / "crops"),
        "--json",
        str(out / "o.json"),
        "--report",
        str(out / "o.html"),
    ]
    if rng.randrange(8) == 0:
        (out / "o.json").symlink_to("o.json")
    messages = io.StringIO()
    with redirect_stderr(messages):
        code = track(words)
    if code == 2:
        raise ValueError(messages.getvalue().strip())
    if code:
        raise ArithmeticError(f"exit code {code}")
    frames = len(json.loads((out / "o.json").read_text())["frames"])
    with open_source(out / "o.mp4") as source:
        shown = sum(frame.image is not None for frame in source)
    if shown != frames:
        raise ArithmeticError(f"{frames} frames in the JSON, {shown} in the video")


def _odd_image(place: Path, rng: random.Random) -> None:
    """Write an image that is valid, damaged or another kind of file, or nothing."""
    size = (rng.choice((1, 7, 64, 300)), rng.choice((1, 8, 96, 300)))
    image = cv2.resize(rng.choice(list(_images().values())), size)
    fine = cv2.imencode(rng.choice((".jpg", ".png", ".bmp", ".webp", ".tiff")), image)[1].tobytes()
    match rng.randrange(14):
        case 0:
            place.mkdir()
        case 1:
            place.symlink_to(place.name)
        case 2:
            place.symlink_to(rng.choice(("/nowhere", "..", "/dev/zero", "/dev/null", "/dev/stdin")))
        case 3:
            os.mkfifo(place)
        case 4:
            place.touch()
        case 5:
            place.write_bytes(mutated(fine, rng))
        case 6:
            place.write_bytes(_huge(rng))
        case 7:
            place.write_bytes(fine[: rng.randrange(len(fine))])
        case 8 if place.name.isascii():
            place.with_name("9" * rng.choice((8, 18, 40)) + ".jpg").write_bytes(fine)
        case _:
            place.write_bytes(fine)


def _huge(rng: random.Random) -> bytes:
    """Return a small image whose header claims a large one."""
    image = next(iter(_images().values()))
    side = rng.choice((5_000, 20_000, 32_000, 65_000))
    suffix = rng.choice((".jpg", ".png", ".bmp", ".gif", ".webp"))
    if suffix == ".gif":
        sides = side.to_bytes(2, "little") * 2
        return b"GIF89a" + sides + b"\x80" + bytes(8) + b"," + bytes(4) + sides + b"\0\2\2\x4c\1\0;"
    if suffix == ".webp":  # a still image as the only frame of an animation on a large canvas
        still = cv2.imencode(".webp", image)[1].tobytes()[12:]
        sides = (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
        film = (
            b"ANIM" + (6).to_bytes(4, "little") + bytes(6) + b"ANMF" + (16 + len(still)).to_bytes(4, "little")
        )
        film += bytes(6) + sides + bytes(4) + still
        canvas = b"VP8X" + (10).to_bytes(4, "little") + b"\2\0\0\0" + 2 * (side - 1).to_bytes(3, "little")
        return b"RIFF" + (4 + len(canvas + film)).to_bytes(4, "little") + b"WEBP" + canvas + film
    data = bytearray(cv2.imencode(suffix, image)[1].tobytes())
    if suffix == ".jpg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = side.to_bytes(2, "big") * 2
    elif suffix == ".png":
        data[16:24] = side.to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    else:
        data[18:26] = side.to_bytes(4, "little") * 2
    return bytes(data)


def _load_tracker(path: Path) -> None:
    DeepSort.load(path).update(_some_detections())


def _image(path: Path) -> None:
    image = read_image(path)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ArithmeticError(f"an image came out as {image.dtype} {image.shape}")


def _video_frames(path: Path) -> None:
    with open_source(path) as source:
        numbers = [frame.number for frame in source]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ArithmeticError("frame numbers do not count from 1")


def _recipe(path: Path) -> None:
    recipe(str(path), "elem")


def _extract(path: Path) -> None:
    out = path.parent / "out"
    outside = {one for one in path.parent.iterdir() if one != out}
    for one in extract_archive(path, out):
        if not one.resolve().is_relative_to(out.resolve()):
            raise ArithmeticError(f"{one} was unpacked outside of the folder")
    if {one for one in path.parent.iterdir() if one != out} != outside:
        raise ArithmeticError("something was unpacked beside the folder")


def _some_detections() -> Detections:
    return Detections.of([[2, 3, 22, 43], [50, 3, 70, 43]], embeddings=np.eye(2, 8))


def _tracker_state(folder: Path) -> bytes:
    tracker = DeepSort()
    for _ in range(4):
        tracker.update(_some_detections())
    tracker.save(folder / "state.npz")
    return (folder / "state.npz").read_bytes()


def _images() -> dict[str, Any]:
    ramp = np.linspace(0, 255, WIDTH * HEIGHT * 4).reshape(HEIGHT, WIDTH, 4).astype(np.uint8)
    samples: dict[str, Any] = dict.fromkeys((".jpg", ".png", ".bmp", ".webp", ".tiff"), ramp[..., :3])
    samples |= {"_grey_.png": ramp[..., 0], "_alpha_.png": ramp, "_deep_.png": ramp.astype(np.uint16) * 257}
    return samples


def _video(folder: Path) -> bytes:
    with VideoWriter(folder / "seed.mp4", fps=10) as writer:
        for number in range(12):
            writer.write(np.roll(_images()[".jpg"], 3 * number, 1))
    return (folder / "seed.mp4").read_bytes()


def _tar() -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as tar:
        for name in ("a/b.jpg", "a/c.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(b"12345"))
    return stored.getvalue()


def _zip() -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in ("a/b.jpg", "a/c.jpg"):
            zipped.writestr(name, b"12345" * 20)
    return stored.getvalue()


def _network() -> bytes:
    """Return a YOLOX with constant output for images of 32 x 32 pixels."""
    from onnx import TensorProto, helper, numpy_helper

    rows = numpy_helper.from_array(np.linspace(0, 1, 21 * 7, dtype=np.float32).reshape(1, 21, 7))
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32]),
        helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, 21, 7]),
    ]
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["rows"], value=rows)], "g", ends[:1], ends[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def _spec() -> bytes:
    spec = {
        "format": 1,
        "name": "x",
        "input": {"height": 128, "width": 64, "layout": "NCHW", "dtype": "float32", "channels": "RGB"},
        "resize": {"mode": "stretch", "interpolation": "linear"},
        "normalize": {"scale": 0.004, "mean": [0, 0, 0], "std": [1, 1, 1]},
        "output": {"embedding_size": 128, "normalized": True},
        "files": {"model": "inference.json", "params": "inference.pdiparams"},
        "runtime": {"paddle": "3.3.1"},
        "max_cosine_distance": 0.25,
        "bfloat16": {"allowed": False},
    }
    return json.dumps(spec).encode()


_DETECTION_YAML = b"""arch: X
Preprocess:
- {interp: 2, keep_ratio: false, target_size: [128, 64], type: Resize}
- {is_scale: true, mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2], type: NormalizeImage}
- {type: Permute}
"""
_CLAS_YAML = b"""PreProcess:
  transform_ops:
  - ResizeImage: {size: [64, 128], return_numpy: false, interpolation: bilinear}
  - NormalizeImage: {scale: 1.0/255.0, mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2], order: ''}
  - ToCHWImage: null
"""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise in code that takes more CPU seconds, or twenty times as many wall-clock seconds."""

    def late(number: int, frame: FrameType | None) -> None:
        raise RuntimeError(f"took longer than {seconds} s")

    signal.signal(signal.SIGPROF, late)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(20 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def fault_of(kind: Kind, path: Path, seconds: int) -> str | None:
    """Return what is wrong with the reading of a file; None if nothing is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with limited(seconds):
                kind.open(path)
        except MemoryError:
            return None  # the command also prints one line
        except (OSError, ValueError) as error:
            if not str(error).strip() or "\n" in str(error).strip():
                return f"message of {len(str(error).splitlines())} lines: {error!r}"
        except BaseException:
            if sys.exc_info()[0] is KeyboardInterrupt:
                raise
            return traceback.format_exc(limit=-3)
    for warning in caught:
        if not issubclass(warning.category, UserWarning):
            where = f"{warning.filename}:{warning.lineno}"
            return f"warning: {warning.category.__name__}: {warning.message} at {where}"
    return None


def peak_memory() -> float:
    """Return the peak memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> int:
    """Fuzz every kind; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=500, help="inputs of each kind [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the damages [%(default)s]")
    parser.add_argument("--only", default="", help="kinds whose name contains this")
    parser.add_argument("--limit", type=int, default=10, help="CPU seconds for one input [%(default)s]")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    options = parser.parse_args()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    total = 0
    print(f"{'kind':24} {'inputs':>7} {'findings':>9} {'CPU s most':>10} {'MB grown':>9}")
    with tempfile.TemporaryDirectory() as name:
        for kind in kinds(Path(name)):
            if options.only not in kind.name:
                continue
            with tempfile.TemporaryDirectory(dir=name) as folder:
                path = Path(folder, kind.name)
                path.write_bytes(kind.content)
                kind.open(path)  # the undamaged file is valid; this imports lazy modules
            rng = random.Random(f"{kind.name} {options.seed}")
            faults: dict[str, bytes] = {}
            slowest = grown = 0.0
            for number in range(options.count):
                content = mutated(kind.content, rng)
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    path = Path(folder, kind.name)
                    path.write_bytes(content)
                    began = time.process_time()
                    fault = fault_of(kind, path, options.limit)
                    slowest = max(slowest, time.process_time() - began)
                if fault is not None:
                    faults.setdefault(fault.strip().splitlines()[-1][:200] + fault[-400:], content)
                if number == options.count // 3:  # caches are warm by then
                    grown = -peak_memory()
            grown += peak_memory()
            total += len(faults)
            print(
                f"{kind.name:24} {options.count:7} {len(faults):9} {slowest:10.2f} {grown:9.1f}", flush=True
            )
            for index, (fault, content) in enumerate(faults.items()):
                print("   ", fault.replace("\n", "\n    "))
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{index}_{kind.name}").write_bytes(content)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
