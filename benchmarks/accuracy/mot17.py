"""Reproduce our row on MOT17 from a copy of the data set, with the time of each experiment.

    python benchmarks/accuracy/mot17.py MOT17/train --work WORK                     # its public FRCNN boxes
    python benchmarks/accuracy/mot17.py MOT17/train --work WORK --detections YOLOX  # YOLOX/MOT17-02.txt...
    python benchmarks/accuracy/mot17.py HALVES --work WORK --whole                  # halves already

The sequences are the second halves of the training sequences, as in papers: of N frames those from N // 2 + 2
on, counted from 1. ``--detections`` are detections of these halves. The first run saves its detections; each
further experiment tracks from the files with another option and compares all results. If the copy has images,
``strong`` uses the included appearance network; without images, or with ``--motion``, only motion is used.
"""

from __future__ import annotations

import argparse
import configparser
import os
import shutil
import time
from pathlib import Path

from deepsort_paddle.cli import track
from deepsort_paddle.research.evaluate import main as evaluate

SEQUENCES = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-13")
# Options of the experiments after the first; each is compared with the preset.
EXPERIMENTS = (
    *("n_init=3", "detection_weight=0.3", "velocity_noise=1.5", "high_confidence=0.5", "coast=0"),
    *("max_iou_distance=0.75", "new_track_confidence=0.65", "direction_weight=0.2", "height_weight=0.5"),
)


def cut(folder: Path, target: Path) -> None:
    """Write the second half of a sequence, its frames counted from 1."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.optionxform = str  # type: ignore[method-assign, assignment]
    ini.read(folder / "seqinfo.ini")
    length = int(ini["Sequence"]["seqLength"])
    skipped = length // 2 + 1
    for name in ("gt/gt.txt", "det/det.txt"):
        if not (folder / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        rows = [line.partition(",") for line in (folder / name).read_text().splitlines() if line.strip()]
        kept = [f"{int(frame) - skipped},{rest}\n" for frame, _, rest in rows if int(frame) > skipped]
        (target / name).write_text("".join(kept))
    images = sorted((folder / "img1").glob("*.jpg"))[skipped:]
    for number, image in enumerate(images, 1):
        (target / "img1").mkdir(exist_ok=True)
        (target / "img1" / f"{number:06d}.jpg").symlink_to(image.resolve())
    ini["Sequence"]["seqLength"] = str(length - skipped)
    ini["Sequence"]["name"] = target.name
    with (target / "seqinfo.ini").open("w") as file:
        ini.write(file, space_around_delimiters=False)


def halves(source: Path, work: Path) -> Path:
    """Write the second halves of the copy of MOT17; return their folder."""
    root = work / "half-val"
    if root.exists():
        shutil.rmtree(root)
    for name in SEQUENCES:
        folder = source / f"{name}-FRCNN"
        if not folder.is_dir():
            raise SystemExit(f"{source} has no {folder.name}: expected the folder train of MOT17")
        cut(folder, root / name)
    return root


def run(words: list[str]) -> float:
    """Track; return the duration in seconds."""
    print("deepsort-track", " ".join(words), flush=True)
    began = time.perf_counter()
    if track([*words, "--quiet"]):
        raise SystemExit(1)
    return time.perf_counter() - began


def main() -> None:
    """Track with every option and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the folder train of MOT17")
    parser.add_argument("--work", type=Path, required=True, help="folder for results; old ones are deleted")
    parser.add_argument("--detections", type=Path, help="folder with NAME.txt for each half [det/det.txt]")
    parser.add_argument("--whole", action="store_true", help="take the sequences as they are")
    parser.add_argument("--motion", action="store_true", help="no appearance, also where there are images")
    parser.add_argument("--experiments", type=int, default=10, choices=range(1, len(EXPERIMENTS) + 2))
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name in ("results", "saved", "output"):
        shutil.rmtree(work / name, ignore_errors=True)
    source = arguments.source.resolve()
    root = source if arguments.whole else halves(source, work)
    has_images = any((one / "img1").is_dir() for one in root.iterdir())
    preset = "strong" if has_images and not arguments.motion else "motion"
    found = str(
        arguments.detections.resolve() if arguments.detections else Path("{source}", "det", "det.txt")
    )

    os.chdir(work)  # where the status file of the runs goes

    def words(name: str, detections: str, *more: str) -> list[str]:
        output = str(work / "results" / name / "{name}.txt")
        return [str(root), "--detections", detections, "--output", output, *more]

    saved = str(work / "saved" / "{name}.npz")
    seconds = [run(words("first", found, "--preset", preset, "--save-detections", saved))]
    names = ["first"]
    for option in EXPERIMENTS[: arguments.experiments - 1]:
        seconds.append(run(words(option, str(work / "saved"), "--preset", preset, "--set", option)))
        names.append(option)
    run(words("deepsort", found, "--preset", "deepsort"))
    began = time.perf_counter()
    evaluate([str(root), *(str(work / "results" / name) for name in ("deepsort", *names))])
    print(f"first run {seconds[0]:.1f} s, experiment {len(seconds)} {seconds[-1]:.1f} s", end="")
    print(f", evaluation of {len(names) + 1} results {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
