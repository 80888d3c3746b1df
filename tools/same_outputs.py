"""Check that two checkouts write the same bytes, for changes that must not change behaviour.

Runs deepsort-track (text, CSV, JSON, video, crops, report, explanation), deepsort-eval and reid-train eval
in both checkouts, on the demo clip and on given sequences, and compares every file and all printed text.
Paths of the checkouts, dates and durations are masked. The first checkout renders the demo clip.

    python tools/same_outputs.py ../before . --python ../before/.venv/bin/python .venv/bin/python
    python tools/same_outputs.py ../before . --sequence PETS09-S2L1 MOT17-05

A sequence is a folder with det/det.txt and optionally a video or img1/, gt/gt.txt and seqinfo.ini; without
frames it is tracked by motion only. Exit code 1: a file differs, or a command fails.
"""

from __future__ import annotations

import argparse
import configparser
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

VIDEOS = {".avi", ".mp4", ".mkv"}
# Dates, durations and speeds: in what a run prints, and in the report's table of stages.
MEASURED = re.compile(
    rb"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?"
    rb"|\d[\d.,]* (?:ms|s|seconds|fps)\b"
    rb"|\b(?:read|detect|encode|track|write) \d[\d.,]*"
    rb"|<td>(?:read|detect|encode|track|write|all[^<]*)</td>(?:<td[^>]*>[\d.]+</td>)+"
)
TEXT = {".txt", ".csv", ".json", ".html", ".log"}


@dataclass(frozen=True, slots=True)
class Checkout:
    """One of the two versions.

    Attributes:
        name: "before" or "after".
        folder: its root.
        python: the interpreter that has its dependencies.
    """

    name: str
    folder: Path
    python: str

    def environment(self) -> dict[str, str]:
        """Return an environment in which its packages have precedence."""
        return {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, program: str) -> list[str]:
        """Return the start of a command line, from the entry points in its setup.cfg."""
        config = configparser.ConfigParser()
        config.read(self.folder / "setup.cfg", encoding="utf-8")
        lines = config["options.entry_points"]["console_scripts"].strip().splitlines()
        entries = dict(re.split(r"\s*=\s*", line.strip()) for line in lines)
        module, _, function = entries[program].partition(":")
        script = f"import sys; from {module} import {function} as main; sys.exit(main())"
        return [self.python, "-c", script]


@dataclass(frozen=True, slots=True)
class Case:
    """One command to run in both checkouts.

    Attributes:
        name: name of the case and of the folder of its outputs.
        program: the console script.
        arguments: relative to that folder.
    """

    name: str
    program: str
    arguments: list[str]


def prepare_sequence(source: Path, target: Path, length: int) -> bool:
    """Copy at most ``length`` frames of a sequence and its text files; return whether it has frames."""
    import cv2

    for name in ("det", "gt"):
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
    images = sorted((source / "img1").iterdir())[:length] if (source / "img1").is_dir() else []
    videos = [path for path in sorted(source.iterdir()) if path.suffix.lower() in VIDEOS]
    (target / "img1").mkdir(parents=True)
    for path in images:
        shutil.copy(path, target / "img1")
    if not images and videos:
        capture = cv2.VideoCapture(str(videos[0]))
        for number in range(1, length + 1):
            read, image = capture.read()
            if not read:
                break
            cv2.imwrite(str(target / "img1" / f"{number:06d}.png"), image)
    frames = len(list((target / "img1").iterdir()))
    if not frames:
        (target / "img1").rmdir()
    info = source / "seqinfo.ini"
    if info.is_file():
        text = info.read_text(encoding="utf-8")
        if frames:
            text = re.sub(r"(?m)^seqLength\s*=.*$", f"seqLength={frames}", text)
            ending = next((target / "img1").iterdir()).suffix
            text = re.sub(r"(?m)^imExt\s*=.*$", f"imExt={ending}", text)
        (target / "seqinfo.ini").write_text(text, encoding="utf-8")
    if frames:
        detections = target / "det" / "det.txt"
        lines = detections.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if float(line.partition(",")[0]) <= frames]
        detections.write_text("".join(kept), encoding="utf-8")
    return bool(frames)


def prepare_people(clip: Path, truth: Path, folder: Path) -> None:
    """Crop the people of a clip into a folder named as in Market-1501; halves of the clip are its cameras."""
    import cv2

    folder.mkdir(parents=True)
    with truth.open(encoding="utf-8") as file:
        rows = [[float(value) for value in row[:6]] for row in csv.reader(file)]
    last = max(row[0] for row in rows)
    capture = cv2.VideoCapture(str(clip))
    number = 0
    while True:
        read, image = capture.read()
        number += 1
        if not read:
            return
        if number % 10:
            continue
        for _, pid, left, top, width, height in (row for row in rows if row[0] == number):
            x, y = max(int(left) - 1, 0), max(int(top) - 1, 0)
            crop = image[y : y + int(height), x : x + int(width)]
            if min(crop.shape[:2]) >= 16:
                camera = 1 if number <= last / 2 else 2
                cv2.imwrite(str(folder / f"{9000 + int(pid):04d}_c{camera}s1_{number:06d}_00.jpg"), crop)


def tracking(name: str, source: Path, detections: Path, *options: str) -> Case:
    """Return a run of deepsort-track with every output that needs no frames."""
    outputs = ["--output", "tracks.txt", "--csv", "tracks.csv", "--json", "tracks.json"]
    outputs += ["--explain", "1,2", "--explain-csv", "explained.csv"]
    return Case(name, "deepsort-track", [str(source), "--detections", str(detections), *outputs, *options])


def scoring(name: str, truth: Path, tracked: str, *options: str) -> Case:
    """Return a run of deepsort-eval on the results of another case."""
    return Case(
        name,
        "deepsort-eval",
        [str(truth), f"../{tracked}/tracks.txt", "--json", "scores.json", "--csv", "scores.csv", *options],
    )


IMAGES = ("--save-video", "tracks.mp4", "--save-crops", "crops", "--report", "report.html")


def cases(inputs: Path, sequences: Sequence[Path], length: int, model: Path) -> Iterator[Case]:
    """Yield all commands and prepare their inputs."""
    street = inputs / "street"
    people = inputs / "people"
    prepare_people(inputs / "street.mp4", street / "gt" / "gt.txt", people)
    clip = Path("../../inputs/street.mp4")
    found, truth = Path("../../inputs/street/det/det.txt"), Path("../../inputs/street/gt/gt.txt")
    yield tracking("demo", clip, found, *IMAGES)
    yield tracking("demo strong", clip, found, "--preset", "strong", *IMAGES)
    yield tracking("demo motion", clip, found, "--preset", "motion", "--reid", "none")
    yield tracking("demo offline", clip, found, "--offline")
    yield scoring("demo eval", truth, "demo")
    yield Case(
        "reid eval",
        "reid-train",
        [
            *("eval", "--pretrained_model", str(model), "--data", "../../inputs/people"),
            *("--report", "report.html", "--report_dir", "report", "--use_gpu", "false"),
        ],
    )
    for source in sequences:
        name = source.resolve().name
        target = inputs / name
        frames = prepare_sequence(source, target, length)
        place = Path("../../inputs") / name
        options = IMAGES if frames else ("--reid", "none")
        yield tracking(name, place, place / "det" / "det.txt", *options)
        yield tracking(f"{name} strong", place, place / "det" / "det.txt", "--preset", "strong", *options)
        if (target / "gt" / "gt.txt").is_file():
            for tracked in (name, f"{name} strong"):
                count = len(list((target / "img1").iterdir())) if frames else 0
                window = ("--frames", f"1-{count}") if count else ()
                yield scoring(f"{tracked} eval", place / "gt" / "gt.txt", tracked, *window)


def run(case: Case, checkout: Checkout, folder: Path) -> None:
    """Run a case in ``folder``; save its standard streams and exit code there."""
    folder.mkdir(parents=True)
    done = subprocess.run(
        [*checkout.command(case.program), *case.arguments],
        cwd=folder,
        env=checkout.environment(),
        capture_output=True,
        check=False,
    )
    (folder / "stdout.log").write_bytes(done.stdout)
    (folder / "stderr.log").write_bytes(re.sub(rb"[^\n]*\r(?!\n)", b"", done.stderr))
    (folder / "exit.log").write_text(str(done.returncode))


def masked(path: Path, checkout: Path) -> bytes:
    """Read an output without the checkout's path and, in text, without dates and durations."""
    content = path.read_bytes()
    if path.suffix not in TEXT:
        return content
    return MEASURED.sub(b"#", content.replace(os.fsencode(checkout), b"CHECKOUT"))


def differences(folders: Sequence[Path], checkouts: Sequence[Path]) -> tuple[int, list[str]]:
    """Return the number of files of a case, and the files that differ or exist only once."""
    names = [
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    ]
    different = sorted(names[0] ^ names[1])
    for name in sorted(names[0] & names[1]):
        before, after = (masked(folder / name, top) for folder, top in zip(folders, checkouts, strict=True))
        if before != after:
            different.append(name)
    return len(names[0] | names[1]), different


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if outputs differ or a command fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="reference checkout")
    parser.add_argument("after", type=Path, help="checkout to compare")
    parser.add_argument(
        "--python", nargs=2, default=[sys.executable] * 2, metavar="PROGRAM", help="Python of each [this one]"
    )
    parser.add_argument("--sequence", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument(
        "--frames", type=int, default=60, help="largest number of frames per sequence [%(default)s]"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the demo clip [%(default)s]")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="new folder to keep all outputs in")
    options = parser.parse_args(arguments)
    checkouts = [
        Checkout(name, folder.resolve(), str(Path(shutil.which(python) or python).absolute()))
        for name, folder, python in zip(
            ("before", "after"), (options.before, options.after), options.python, strict=True
        )
    ]
    for checkout in checkouts:
        if not (checkout.folder / "setup.cfg").is_file():
            parser.error(f"{checkout.folder} is not a checkout: it has no setup.cfg")
    if options.keep is not None:
        options.keep.mkdir(parents=True)
        return compare(checkouts, options, options.keep.resolve())
    with tempfile.TemporaryDirectory() as name:
        return compare(checkouts, options, Path(name).resolve())


def compare(checkouts: Sequence[Checkout], options: argparse.Namespace, folder: Path) -> int:
    """Run all cases in ``folder`` and print the table."""
    first = checkouts[0]
    script = first.folder / "demo" / "make_clip.py"
    words = [first.python, str(script), str(folder / "inputs"), "--seconds", str(options.seconds)]
    subprocess.run(words, env=first.environment(), check=True, stdout=subprocess.DEVNULL)
    print("| case | files | exit | different |\n|---|---|---|---|")
    bad = 0
    model = first.folder / "weights" / "osnet_ain_x0_5"
    for case in cases(folder / "inputs", options.sequence, options.frames, model):
        places = [folder / checkout.name / case.name for checkout in checkouts]
        for checkout, place in zip(checkouts, places, strict=True):
            run(case, checkout, place)
        count, different = differences(places, [checkout.folder for checkout in checkouts])
        code = (places[1] / "exit.log").read_text()
        bad += bool(different) or code != "0"
        print(f"| {case.name} | {count} | {code} | {', '.join(different) or 'none'} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
