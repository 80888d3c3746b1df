"""Processes that are stopped from outside."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepsort_paddle.motchallenge.text import read_tracks


def endless(folder: Path) -> Path:
    """A sequence of a million frames without images, with a detection in each of the first 2000."""
    folder.mkdir()
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=1000000\n")
    (folder / "det").mkdir()
    text = "".join(f"{number},-1,100,50,20,60,1\n" for number in range(1, 2001))
    (folder / "det" / "det.txt").write_text(text)
    return folder


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_process_keeps_whole_frames(tmp_path: Path, number: int, code: int) -> None:
    folder = endless(tmp_path / "seq")
    arguments = [
        str(folder),
        "--detections",
        str(folder / "det" / "det.txt"),
        "--output",
        f"{tmp_path}/o.txt",
        "--preset",
        "deepsort",
    ]
    script = "import sys; from deepsort_paddle.cli import track; sys.exit(track())"
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stderr=subprocess.PIPE, text=True)
    part = tmp_path / "o.txt.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    try:
        message = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == code
    left = part if number == signal.SIGKILL else tmp_path / "o.txt"
    table = read_tracks(left)
    assert table.frame.tolist() == list(range(3, len(table) + 3))
    assert left.read_bytes().endswith(b"\n")
    if number != signal.SIGKILL:
        held = re.search(r"the outputs contain (\d+) frames", message)
        assert held is not None
        assert int(held[1]) >= table.frame.max()
