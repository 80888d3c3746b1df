"""Cut a few seconds out of a video as a small GIF: how ``docs/images/demo.gif`` was made.

Example:
    make demo
    python demo/make_gif.py output/demo/tracked.mp4 docs/images/demo.gif --start 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepsort_paddle.media.source import open_source

STILL = 14  # a pixel that changes less, in any channel, keeps its value: compression noise is not stored


def make_gif(
    video: Path, output: Path, *, start: float, seconds: float, width: int, fps: float, colors: int
) -> int:
    """Write the GIF; returns its number of frames.

    Raises:
        OSError: the video can't be opened or the GIF not be written.
        ValueError: the video ends before ``start``.
    """
    kept: list[NDArray[np.uint8]] = []
    with open_source(video) as source:
        rate = source.fps or 25.0
        for frame in source:
            now = (frame.number - 1) / rate - start
            if now >= seconds - 1e-6:
                break
            if frame.image is None or now < len(kept) / fps - 1e-6:
                continue
            height = round(frame.image.shape[0] * width / frame.image.shape[1])
            small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1]
            if kept:
                moved = cv2.absdiff(small, kept[-1]).max(axis=2, keepdims=True) >= STILL
                small = np.where(moved, small, kept[-1])
            kept.append(small.astype(np.uint8))
    if not kept:
        raise ValueError(f"{video}: no frame after {start:g} seconds")
    # One palette for all frames and no dithering: what stands still is then stored once.
    images = [Image.fromarray(frame) for frame in kept]
    palette = images[len(images) // 2].quantize(colors)
    first, *rest = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in images)
    output.parent.mkdir(parents=True, exist_ok=True)
    first.save(output, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, optimize=True)
    return len(kept)


def main() -> None:
    """Make the GIF from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("output", type=Path, help="the .gif file")
    parser.add_argument("--start", type=float, default=0.0, help="seconds into the video [%(default)g]")
    parser.add_argument("--seconds", type=float, default=3.5, help="length [%(default)g]")
    parser.add_argument("--width", type=int, default=432, help="pixels [%(default)s]")
    parser.add_argument("--fps", type=float, default=7.0, help="frames a second [%(default)g]")
    parser.add_argument("--colors", type=int, default=64, help="of the palette, 2 to 256 [%(default)s]")
    options = vars(parser.parse_args())
    print(f"{make_gif(**options)} frames, {options['output'].stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
