"""Make the demo clip: a painted street with people who cross and hide each other.

Writes a MOTChallenge sequence folder (``seqinfo.ini``, ``gt/gt.txt``, ``det/det.txt``) and the video.
Nothing is downloaded, and the same seed gives the same clip. The ground truth is exact: each figure's
outline, and how much of it can be seen. The detections are made from it with the faults of a real
detector: shaken boxes, people missed while they are hidden, now and then a box where nobody is.

Example:
    python demo/make_clip.py output/demo
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from crowd import SAME_PERSON, make_walks, poses
from figures import Look, Painted, Pose, paint_figure, shadow_outlines
from numpy.typing import NDArray
from scene import SUPERSAMPLING, Camera, Image, Prop, fill, make_props, paint_background
from scipy.stats import norm
from tqdm import tqdm

from deepsort_paddle.boxes import clip
from deepsort_paddle.detection.candidates import suppress
from deepsort_paddle.media.video_writer import VideoWriter

FPS = 25


@dataclass(frozen=True)
class Truth:
    """Everybody in one frame.

    Attributes:
        ids: ``(N,)`` from 1.
        boxes: ``(N, 4)`` xyxy pixels of the whole outline, cut to the frame.
        visible: ``(N, 4)`` xyxy pixels of what can be seen of it; zeros where nothing can.
        visibility: ``(N,)`` part of the outline that can be seen, in [0, 1].
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    visible: NDArray[np.float64]
    visibility: NDArray[np.float64]


def render_clip(
    height: int = 480, width: int = 640, seconds: float = 20.0, people: int | None = None, seed: int = 7
) -> Iterator[tuple[Image, Truth]]:
    """Paint the clip frame by frame.

    Args:
        height: of the frames in pixels.
        width: of the frames in pixels.
        seconds: length of the clip.
        people: how many of the walks are used; None takes all.
        seed: of everything that is drawn by lot.

    Yields:
        ``(height, width, 3)`` uint8 BGR and who is where in it.
    """
    rng = np.random.default_rng(seed)
    camera = Camera(height * SUPERSAMPLING, width * SUPERSAMPLING)
    background = paint_background(camera, rng)
    props = make_props(camera, background)
    shaded = (0.58 * background).astype(np.uint8)
    times = np.arange(round(seconds * FPS)) / FPS
    walks = make_walks()[:people]
    paths = [poses(walk, times, rng) for walk in walks]
    for number in range(len(times)):
        present = [
            (SAME_PERSON.get(place, place) + 1, walk.look, pose)
            for place, (walk, path) in enumerate(zip(walks, paths, strict=True))
            if (pose := path[number]) is not None
        ]
        yield paint_frame(camera, background, shaded, props, present)


def paint_frame(
    camera: Camera, background: Image, shaded: Image, props: list[Prop], present: list[tuple[int, Look, Pose]]
) -> tuple[Image, Truth]:
    """Paint shadows, then people and parked things from back to front, and see who hides whom."""
    shadow = np.zeros(background.shape[:2], np.uint8)
    for _, look, pose in present:
        for outline in shadow_outlines(camera, look, pose):
            fill(shadow, outline, 1)
    canvas = background.copy()
    cv2.copyTo(shaded, shadow, canvas)
    owner = np.zeros(background.shape[:2], np.uint8)  # who is seen at each pixel; 0 nobody
    layers: list[tuple[float, int, Painted | Prop]] = [(prop.z, 0, prop) for prop in props]
    figures = [(pose.z, track_id, paint_figure(camera, look, pose)) for track_id, look, pose in present]
    for _, track_id, layer in sorted([*layers, *figures], key=lambda layer: -layer[0]):
        put(canvas, owner, layer, track_id)

    height, width = camera.height // SUPERSAMPLING, camera.width // SUPERSAMPLING
    image = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rows = []
    for _, track_id, figure in figures:
        box = extent(figure.mask) + np.tile([figure.left, figure.top], 2)
        seen = owner == track_id
        whole = box / SUPERSAMPLING
        inside = clip(whole[None], height, width)[0]
        # Somebody of whom less than a quarter is in the image is not annotated.
        share = np.prod(inside[2:] - inside[:2]) / np.prod(whole[2:] - whole[:2])
        if share >= 0.25:
            rows.append((track_id, inside, extent(seen) / SUPERSAMPLING, seen.sum() / figure.mask.sum()))
    rows.sort(key=lambda row: row[0])
    return image, Truth(
        ids=np.array([row[0] for row in rows], dtype=np.int64),
        boxes=np.array([row[1] for row in rows]).reshape(-1, 4),
        visible=np.array([row[2] for row in rows]).reshape(-1, 4),
        visibility=np.array([row[3] for row in rows], dtype=np.float64),
    )


def put(canvas: Image, owner: NDArray[np.uint8], layer: Painted | Prop, track_id: int) -> None:
    """Paint a layer over the image, cut to it; modifies ``canvas`` and ``owner``."""
    height, width = layer.mask.shape
    top, left = max(layer.top, 0), max(layer.left, 0)
    bottom = min(layer.top + height, canvas.shape[0])
    right = min(layer.left + width, canvas.shape[1])
    if bottom <= top or right <= left:
        return
    part = np.s_[top - layer.top : bottom - layer.top, left - layer.left : right - layer.left]
    cv2.copyTo(layer.image[part], layer.mask[part], canvas[top:bottom, left:right])
    np.copyto(owner[top:bottom, left:right], track_id, where=layer.mask[part].astype(bool))


def extent(mask: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Box ``x1, y1, x2, y2`` around the True pixels; zeros when there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


class FaultyDetector:
    """Detections made from the truth, with faults that last for several frames, as real ones do."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = height, width
        self.rng = np.random.default_rng([seed, 1])
        self.mood: dict[int, NDArray[np.float64]] = {}  # slowly changing noise of each person

    def __call__(self, truth: Truth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes ``(N, 4)`` xyxy pixels and confidences ``(N,)`` of one frame."""
        boxes, confidences = [], []
        for track_id, box, seen, visibility in zip(
            truth.ids, truth.boxes, truth.visible, truth.visibility, strict=True
        ):
            mood = self.drift(int(track_id))
            # Half hidden people are found four times in five, those of whom a tenth shows hardly ever.
            chance = 0.985 / (1 + np.exp(-14 * (visibility - 0.36)))
            if norm.cdf(mood[0]) > chance:
                continue
            # The less can be seen, the more a detector boxes only what it sees.
            blend = np.clip(1.6 * (visibility - 0.1), 0, 1)
            size = np.tile(box[2:] - box[:2], 2)
            boxes.append(blend * box + (1 - blend) * seen + 0.022 * size * mood[1:5])
            confidences.append(np.clip(0.42 + 0.5 * visibility + 0.07 * mood[5], 0.3, 0.99))
        if self.rng.random() < 0.12:  # nobody there
            box_height = self.height * self.rng.uniform(0.15, 0.4)
            x, y = self.rng.uniform(0, [0.9 * self.width, 0.9 * self.height - box_height])
            boxes.append(np.array([x, y, x + 0.4 * box_height, y + box_height]))
            confidences.append(self.rng.uniform(0.3, 0.55))
        if norm.cdf(self.drift(0)[0]) < 0.08:  # the advertising column, taken for somebody
            box = np.array([0.61, 0.31, 0.7, 0.71]) * np.tile([self.width, self.height], 2)
            boxes.append(box + 0.01 * self.height * self.drift(0)[1:5])
            confidences.append(self.rng.uniform(0.35, 0.6))
        kept = clip(np.array(boxes).reshape(-1, 4), self.height, self.width)
        scores = np.array(confidences, dtype=np.float64)
        rows = np.flatnonzero((kept[:, 2:] - kept[:, :2] >= 2).all(axis=1))
        rows = rows[suppress(kept[rows], scores[rows], np.zeros(len(rows), np.int64), max_iou=0.7)]
        return kept[rows], scores[rows]

    def drift(self, track_id: int) -> NDArray[np.float64]:
        """Six standard normal numbers that change slowly from call to call."""
        fresh = self.rng.normal(size=6)
        memory = np.array([0.75, 0.6, 0.6, 0.6, 0.6, 0.8])
        last = self.mood.get(track_id, fresh)
        self.mood[track_id] = memory * last + np.sqrt(1 - memory**2) * fresh
        return self.mood[track_id]


def text_rows(
    number: int, ids: NDArray[np.int64], boxes: NDArray[np.float64], tails: list[str]
) -> Iterator[str]:
    """MOTChallenge lines; pixels are counted from 1 there."""
    for track_id, (x1, y1, x2, y2), tail in zip(ids, boxes, tails, strict=True):
        yield f"{number},{track_id},{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{tail}\n"


def make_clip(
    folder: Path,
    *,
    height: int = 480,
    width: int = 640,
    seconds: float = 20.0,
    people: int | None = None,
    seed: int = 7,
) -> Path:
    """Write the sequence folder ``folder/street`` and the video ``folder/street.mp4``.

    Returns:
        The sequence folder.
    """
    sequence = folder / "street"
    for part in ("gt", "det"):
        (sequence / part).mkdir(parents=True, exist_ok=True)
    detector = FaultyDetector(height, width, seed)
    truth_lines: list[str] = []
    detection_lines: list[str] = []
    length = round(seconds * FPS)
    frames = tqdm(
        render_clip(height, width, seconds, people, seed), "painting", length, unit="frame", disable=None
    )
    with VideoWriter(folder / "street.mp4", fps=FPS, crf=18) as video:
        for number, (image, truth) in enumerate(frames, 1):
            video.write(image)
            tails = [f"1,1,{visibility:.3f}" for visibility in truth.visibility]
            truth_lines += text_rows(number, truth.ids, truth.boxes, tails)
            boxes, confidence = detector(truth)
            nobody = np.full(len(boxes), -1)
            tails = [f"{score:.3f},-1,-1,-1" for score in confidence]
            detection_lines += text_rows(number, nobody, boxes, tails)
    (sequence / "gt" / "gt.txt").write_text("".join(truth_lines))
    (sequence / "det" / "det.txt").write_text("".join(detection_lines))
    (sequence / "seqinfo.ini").write_text(
        f"[Sequence]\nname=street\nimDir=img1\nframeRate={FPS}\nseqLength={length}\n"
        f"imWidth={width}\nimHeight={height}\nimExt=.jpg\n"
    )
    return sequence


def main() -> None:
    """Make the clip from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the clip goes")
    parser.add_argument("--seconds", type=float, default=20.0, help="length (default: %(default)s)")
    parser.add_argument("--height", type=int, default=480, help="pixels (default: %(default)s)")
    parser.add_argument("--width", type=int, default=640, help="pixels (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=7, help="another number gives another clip (default: %(default)s)"
    )
    options = parser.parse_args()
    make_clip(
        options.folder, height=options.height, width=options.width, seconds=options.seconds, seed=options.seed
    )


if __name__ == "__main__":
    main()
