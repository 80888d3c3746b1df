"""What a worker does: it tracks one video after the other, each as ``deepsort-track`` would by itself.

A worker process reads jobs from stdin and writes outcomes to stdout, a line of JSON each. When its stdin
ends it ends too, at once and whatever it does, so that no worker outlives the run that started it, however
that ended. Files that it was writing stay behind as ``NAME.part``. On Ray `run_job` is the task itself.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path

import cv2

from deepsort_paddle.batch.jobs import Job, Outcome
from deepsort_paddle.command.one_line import in_one_line
from deepsort_paddle.command.outputs import FILES, WRITTEN
from deepsort_paddle.command.run import track_source
from deepsort_paddle.command.summary import counted

__all__ = ["main", "run_job"]


def run_job(job: Job) -> Outcome:
    """Track one video; errors become part of the outcome. Changes the working directory."""
    began = time.perf_counter()
    notes: list[str] = []
    try:
        done = _track(job, notes)
    except (OSError, ValueError, ImportError, MemoryError) as error:
        done = Outcome(error=in_one_line(error))
    except Exception as error:
        done = Outcome(error=f"{type(error).__name__}: {in_one_line(error)}", trace=traceback.format_exc())
    return replace(done, seconds=round(time.perf_counter() - began, 3), notes=tuple(notes))


def _track(job: Job, notes: list[str]) -> Outcome:
    if not Path(job.folder).is_dir():
        raise FileNotFoundError(f"this machine has no folder {job.folder}: all must see the same files")
    os.chdir(job.folder)
    options = argparse.Namespace(**job.options)
    cv2.setNumThreads(options.threads)
    for name in FILES:
        if getattr(options, name):
            Path(getattr(options, name)).parent.mkdir(parents=True, exist_ok=True)
    crops = options.save_crops
    if crops:  # a folder gets its name when it is complete, like a file
        options.save_crops = f"{crops}.part"
        shutil.rmtree(options.save_crops, ignore_errors=True)
    finished = track_source(options, notes.append, signals=())
    if crops:
        shutil.rmtree(crops, ignore_errors=True)
        Path(options.save_crops).mkdir(parents=True, exist_ok=True)
        Path(options.save_crops).rename(crops)
        options.save_crops = crops
    paths = (getattr(options, name) for name in dict.fromkeys((*WRITTEN, *FILES)))
    counts = finished.counts
    return Outcome(
        frames=finished.frames,
        ids=finished.ids,
        broken=finished.broken,
        files=tuple(path for path in paths if path and Path(path).exists()),
        counts=None if counts is None else counts.as_dict(),
        counted=() if counts is None else tuple(counted(counts).splitlines()),
    )


def main() -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    outcomes = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get among them
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        job = Job(**json.loads(jobs.get()))
        outcomes.write(json.dumps(asdict(run_job(job))) + "\n")
        outcomes.flush()


def _listen(jobs: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        jobs.put(line)
    os._exit(0)
