"""The same input gives the same bytes: again, with other numbers of threads, in other batches."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.media.source import VideoWriter
from deepsort_paddle.motchallenge.text import read_tracks

SCRIPT = "import sys; from deepsort_paddle.cli import track; sys.exit(track())"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people of different colours who cross, with detections that shake and miss."""
    folder = tmp_path_factory.mktemp("clip")
    rng = np.random.default_rng(3)
    lines = []
    with VideoWriter(folder / "clip.mp4", fps=10) as writer:
        for number in range(1, 41):
            image = np.full((120, 240, 3), 120, np.uint8)
            for person in range(6):
                x = (20 + 30 * person + (-1) ** person * 3 * number) % 200
                y = 10 + 8 * person
                image[y : y + 50, x : x + 20] = (40 * person, 255 - 40 * person, 30 + 20 * person)
                if rng.random() < 0.9:
                    left, top = np.array([x, y]) + rng.normal(0, 1, 2)
                    lines.append(f"{number},-1,{left:.2f},{top:.2f},20,50,{rng.uniform(0.5, 1):.3f}")
            writer.write(image)
    (folder / "det.txt").write_text("\n".join(lines))
    return folder


def run(clip: Path, reid: Path, threads: int, batch: int) -> Path:
    """The results of a run in a process of its own."""
    out = clip / f"{threads}_{batch}_{len(list(clip.iterdir()))}.txt"
    options = [str(clip / "clip.mp4"), "--detections", str(clip / "det.txt"), "--reid", str(reid), "--quiet"]
    options += ["--output", str(out), "--threads", str(threads), "--frames-per-batch", str(batch)]
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    subprocess.run([sys.executable, "-c", SCRIPT, *options], check=True, env=environment, timeout=300)
    return out


@pytest.mark.usefixtures("paddle")
def test_runs_threads_and_batches_give_the_same_tracks(clip: Path, encoder_folder: Any) -> None:
    first = run(clip, encoder_folder, threads=1, batch=1)
    assert len(read_tracks(first)) > 100
    assert run(clip, encoder_folder, threads=1, batch=1).read_bytes() == first.read_bytes()
    wanted = read_tracks(first)
    for threads, batch in ((2, 1), (1, 7)):
        table = read_tracks(run(clip, encoder_folder, threads=threads, batch=batch))
        np.testing.assert_array_equal(table.frame, wanted.frame)
        np.testing.assert_array_equal(table.ids, wanted.ids)
        np.testing.assert_allclose(table.boxes, wanted.boxes, rtol=0, atol=1e-3)
