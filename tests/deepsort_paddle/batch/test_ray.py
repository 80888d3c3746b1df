"""Many videos on Ray: the same job function, the same reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.batch.executors import RayEngine, run_jobs
from deepsort_paddle.batch.jobs import Job, Outcome
from deepsort_paddle.cli import track
from deepsort_paddle.media.source import VideoWriter, open_source


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray with two CPUs on this machine."""
    module = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    module.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield module
    module.shutdown()


def test_ray_that_is_not_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "a.mp4").touch()
    assert track(["a.mp4", "--engine", "ray"]) == 2
    wanted = "deepsort-track: error: --engine ray needs Ray: pip install ray\n"
    assert capsys.readouterr().err == wanted


def test_ray_writes_what_worker_processes_do(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        with VideoWriter(tmp_path / f"{name}.mp4", fps=10) as video:
            for number in range(10):
                video.write(np.full((48, 64, 3), 20 * number, np.uint8))
        rows = (f"{number},-1,{number + 5},6,12,30,0.9\n" for number in range(1, 11))
        (tmp_path / f"{name}.txt").write_text("".join(rows))
    words = ["a.mp4", "b.mp4", "--detections", "{stem}.txt", "--reid", "none"]
    assert track([*words, "--save-dir", "here", "--workers", "1", "--quiet"]) == 0
    assert track([*words, "--save-dir", "there", "--engine", "ray"]) == 0
    assert "2 videos: 2 done; 20 frames" in capsys.readouterr().out
    for name in "ab":  # videos carry no promise to the byte
        here, there = (tmp_path / folder / f"{name}.txt" for folder in ("here", "there"))
        assert here.read_bytes() == there.read_bytes() != b""
        assert open_source(there.with_suffix(".mp4")).frame_count == 10
    assert track([*words, "--save-dir", "there", "--engine", "ray"]) == 0
    assert "2 videos: 2 done before" in capsys.readouterr().out


def test_a_killed_task_of_ray_is_tried_again(ray: Any, tmp_path: Path) -> None:
    def once_killed(job: Job) -> Outcome:
        mark = Path(job.folder, f"killed_{job.name}")
        if job.name == "b" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        return Outcome(frames=7)

    jobs = [Job(name, {"source": name}, str(tmp_path)) for name in "abc"]
    engine = RayEngine(once_killed, 2, threads=1)
    started: list[tuple[str, int]] = []
    attempts = list(
        run_jobs(jobs, engine, retries=1, started=lambda job, number: started.append((job.name, number)))
    )
    engine.close()
    assert sorted(started) == [("a", 1), ("b", 1), ("b", 2), ("c", 1)]
    (failed,) = [attempt for attempt in attempts if attempt.outcome.error]
    assert (failed.job.name, failed.number, failed.again) == ("b", 1, True)
    assert failed.outcome.error.startswith("its worker was lost: ")
    assert sorted(attempt.job.name for attempt in attempts if attempt.outcome.frames == 7) == ["a", "b", "c"]
    assert ray.is_initialized()  # it was there before
