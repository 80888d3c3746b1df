"""Change image headers at random: images that pass the check must not exhaust memory when decoded.

The malicious images of ``test_image_header.py`` and valid ones of each kind are damaged. OpenCV decodes those
that `worth_decoding` accepts, with a limit on the memory of this process. Findings exceed the limit, have
more than 20 megapixels, or take longer than three seconds; they are kept. Linux only.

    python tools/robustness/image_headers.py --seconds 150 --seed 2
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import resource
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from fuzz import mutated

from deepsort_paddle.media.image_header import worth_decoding

ROOT = Path(__file__).resolve().parents[2]
BYTES = (0, 1, 2, 3, 4, 8, 16, 0x7F, 0x80, 0xC0, 0xC2, 0xD8, 0xFF)


def seeds() -> dict[str, bytes]:
    """Return malicious files of three sizes, and valid ones."""
    place = ROOT / "tests" / "deepsort_paddle" / "media" / "test_image_header.py"
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {
        f"{side}_{name}": file for side in (40, 20_000, 30_000) for name, file in module.crafted(side).items()
    }
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3))
    found |= {
        f"fine{one}": module.encoded(one, noise) for one in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm")
    }
    found["progressive.jpg"] = module.encoded(".jpg", noise, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    return found


def changed(content: bytes, rng: random.Random) -> bytes:
    """Apply a damage of `fuzz.py`, or replace one to three bytes of the header."""
    if rng.random() < 0.5:
        return mutated(content, rng)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data[rng.randrange(min(len(data), 160))] = rng.choice((*BYTES, rng.randrange(256)))
    return bytes(data)


def fault(content: bytes) -> str | None:
    """The result of decoding an image."""
    began = time.process_time()
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except MemoryError:
        return "memory"
    except cv2.error as error:
        return "memory" if error.code == cv2.Error.StsNoMem else None
    if image is not None and image.shape[0] * image.shape[1] > 20e6:
        return "size"
    return "time" if time.process_time() - began > 3 else None


def main() -> int:
    """Try images; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="[%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--limit", type=int, default=400, help="megabytes more than at first [%(default)s]")
    parser.add_argument("--keep", type=Path, default=Path("output"), help="folder for findings [%(default)s]")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    files, rng = sorted(seeds().items()), random.Random(options.seed)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (options.limit << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    tried = decoded = 0
    found: set[tuple[str, str]] = set()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        name, content = rng.choice(files)
        content = changed(content, rng)
        tried += 1
        if not worth_decoding(content):
            continue
        decoded += 1
        what = fault(content)
        if what is not None and (name, what) not in found:
            found.add((name, what))
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{what}_{name}").write_bytes(content)
            print(f"{what}: {name}, {len(content)} bytes", flush=True)
    print(f"{tried} files, {decoded} of them decoded, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
