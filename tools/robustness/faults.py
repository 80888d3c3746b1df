"""Kill tracking and training at random moments: files must stay readable, and training must resume.

    python tools/robustness/faults.py --kills 50                 # the findings in README.md
    python tools/robustness/faults.py --kills 50 --only disk     # as root: disks that are too small

Tracking is killed (SIGKILL) at a random size of its text file; every part file must contain whole frames, the
video part must play, and no file may have its final name. Training is killed and resumed repeatedly in one
folder; each kill must leave readable checkpoints, and the last one must equal that of an uninterrupted run.
On a full disk both must end with one line that names the file.
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import read_tracks


def finish(command: list[str]) -> None:
    """Run a command and wait for it."""
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def kill_when(command: list[str], reached: Callable[[], bool], delay: float) -> bool:
    """Run a command and kill it some seconds after a condition holds; return whether it was still running."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not reached():
        time.sleep(0.002)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(command)}")
    return False


TRACK = "import sys; from deepsort_paddle.cli import track; sys.exit(track())"
OUTPUTS = {"output": "o.txt", "csv": "o.csv", "save-video": "o.mp4", "json": "o.json", "report": "o.html"}


def track_command(folder: Path, out: Path) -> list[str]:
    """Track a clip of 400 frames of noise, made in ``folder``, with every output in ``out``."""
    noise = np.random.default_rng(0)
    lines = []
    with VideoWriter(folder / "clip.mp4", fps=10) as writer:
        for number in range(1, 401):
            writer.write(noise.integers(0, 255, (96, 128, 3), np.uint8))
            lines.append(f"{number},-1,{1 + number / 5},5,12,30,1")
    (folder / "det.txt").write_text("\n".join(lines))
    command = [sys.executable, "-c", TRACK, str(folder / "clip.mp4"), "--detections", str(folder / "det.txt")]
    command += ["--reid", "none", "--quiet"]
    return command + [f"--{option}={out / name}" for option, name in OUTPUTS.items()]


def train_command(folder: Path) -> list[str]:
    """Train a small network on ten synthetic people, rendered into ``folder``."""
    people = folder / "people"
    people.mkdir()
    noise = np.random.default_rng(0)
    for pid in range(1, 11):
        colour = noise.integers(0, 255, 3)
        for number in range(6):
            image = np.clip(colour + noise.normal(0, 30, (64, 32, 3)), 0, 255).astype(np.uint8)
            name = f"{pid:04d}_c{number % 2 + 1}s1_{number:06d}_01.jpg"
            (people / name).write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    return [sys.executable, "-m", "reid_train", "elem", "--train", str(people)]


def train_settings(iterations: int) -> list[str]:
    """Return the options of a run with a checkpoint after every second iteration."""
    settings = "--model MobileNetV3_small_x0_35 --embedding_size 16 --image_shape 3,64,32 --lr 0.01 "
    settings += f"--train_batch_size 10 --total_iter_num {iterations} --save_iter_step 2 "
    return [*settings.split(), "--test_iter_step", str(iterations)]


def track_kills(kills: int, rng: random.Random, folder: Path) -> str:
    """Kill ``deepsort-track`` repeatedly; return the figures."""
    out = folder / "out"
    out.mkdir()
    command = track_command(folder, out)
    finish(command)
    finished = {name: (out / name).read_bytes() for name in OUTPUTS.values() if name != "o.html"}
    killed = rows = frames = 0
    for _ in range(kills):
        for path in out.iterdir():
            path.unlink()
        text, wanted = out / "o.txt.part", rng.randrange(len(finished["o.txt"]))
        if not kill_when(command, partial(has_bytes, text, wanted), rng.uniform(0, 0.1)):
            continue
        killed += 1
        if text.exists() and text.stat().st_size:
            table = read_tracks(text)
            assert table.frame.tolist() == list(range(3, 3 + len(table))), "rows are missing"
            rows += len(table)
        table_part = out / "o.csv.part"
        if table_part.exists():
            with table_part.open(newline="") as file:
                assert all(len(row) == 14 for row in csv.reader(file)), "a row of the CSV is cut"
        video = out / "o.mp4.part"
        if video.exists() and video.stat().st_size > 20_000:
            with open_source(video) as source:
                frames += sum(frame.image is not None for frame in source)
        for name, content in finished.items():
            path = out / name
            assert not path.exists() or path.read_bytes() == content, f"{name} is there and not complete"
    return f"tracking: {killed} kills of {kills} runs, {rows} rows and {frames} frames read back"


def train_kills(kills: int, rng: random.Random, folder: Path) -> str:
    """Kill and resume ``reid-train`` repeatedly; return the figures."""
    from reid_train.checkpoints.checkpoint import read_checkpoint
    from reid_train.checkpoints.run_files import newest_checkpoint, numbered_checkpoints

    total = 4 * kills
    command, settings = train_command(folder), train_settings(total)
    whole, run = folder / "whole", folder / "killed"
    finish([*command, *settings, "--model_save_dir", str(whole)])
    killed = resumed = 0
    for _ in range(kills):
        found = numbered_checkpoints(run) if run.is_dir() else []
        start = ["--checkpoint", str(run)] if found else settings
        resumed += bool(found)
        wanted = (found[-1][0] if found else 0) + 2 * rng.randrange(2)
        here = [*command, *start, "--model_save_dir", str(run)]
        if not kill_when(here, partial(has_checkpoint, run, wanted), rng.uniform(0, 0.3)):
            break
        killed += 1
        if run.is_dir() and numbered_checkpoints(run):
            for _, path in numbered_checkpoints(run):
                read_checkpoint(path)
    if numbered_checkpoints(run)[-1][0] < total:
        finish([*command, "--checkpoint", str(run), "--model_save_dir", str(run)])
    ours, theirs = (read_checkpoint(newest_checkpoint(one)).arrays for one in (run, whole))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours), "the weights differ"
    return f"training: {killed} kills, {resumed} resumed, the same {len(ours)} arrays as an undisturbed run"


def full_disks(count: int, rng: random.Random, folder: Path) -> str:
    """Track and train on disks of random, insufficient size; return the figures.

    It mounts them (tmpfs), so it needs Linux and root.
    """
    from reid_train.checkpoints.checkpoint import read_checkpoint
    from reid_train.checkpoints.run_files import numbered_checkpoints

    disk = folder / "disk"
    disk.mkdir()
    tracking, training = track_command(folder, disk), train_command(folder)
    training += [*train_settings(20), "--model_save_dir", str(disk / "run")]
    rows = checkpoints = 0
    for number in range(count):
        command, size = (training, 4_000) if number % 5 == 4 else (tracking, 1_000)
        kilobytes = rng.randrange(4, size)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(disk)], check=True)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = [line for line in done.stderr.splitlines() if "error:" in line]
            assert done.returncode == 2, f"{kilobytes} kB: exit code {done.returncode}: {done.stderr[-2000:]}"
            assert "Traceback" not in done.stderr, f"{kilobytes} kB: {done.stderr[-2000:]}"
            assert len(lines) == 1, f"{kilobytes} kB: {lines}"
            assert str(disk) in lines[0], f"{kilobytes} kB: {lines[0]}"
            if command is training:
                known = numbered_checkpoints(disk / "run") if (disk / "run").is_dir() else []
                checkpoints += sum(bool(read_checkpoint(path).arrays) for _, path in known)
                continue
            # A file with its final name is complete; the text of an interrupted run ends with a whole line.
            text = next((disk / name for name in ("o.txt", "o.txt.part") if (disk / name).exists()), None)
            table = read_tracks(text) if text is not None and text.stat().st_size else ()
            assert not len(table) or table.frame.tolist() == list(range(3, 3 + len(table)))
            rows += len(table)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return f"full disks: {count} runs, one line each; {rows} rows, {checkpoints} checkpoints read back"


def has_bytes(path: Path, count: int) -> bool:
    """Return whether a file has at least this many bytes."""
    return path.exists() and path.stat().st_size >= count


def has_checkpoint(folder: Path, iteration: int) -> bool:
    """Return whether a run is training and has a checkpoint of at least this iteration."""
    paths = folder.glob("checkpoint_*.safetensors")
    return (folder / "config.json").exists() and (
        iteration == 0 or any(int(path.stem.partition("_")[2]) >= iteration for path in paths)
    )


def main() -> None:
    """Interrupt tracking and training, and print the findings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="kills, or disks [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [%(default)s]")
    parser.add_argument("--only", choices=("track", "train", "disk"), help="one thing [track and train]")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    runs = {"track": track_kills, "train": train_kills, "disk": full_disks}
    for name in [options.only] if options.only else ["track", "train"]:
        with tempfile.TemporaryDirectory() as folder:
            print(runs[name](options.kills, rng, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
