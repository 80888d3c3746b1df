"""A worker: tracks one video after another, each like ``deepsort-track``.

A worker process reads jobs from stdin and writes outcomes to stdout, one line of JSON each. It exits as soon
as its stdin is closed, so no worker outlives the run that started it. Files that it was writing stay as
``NAME.part``. On Ray, `run_job` is the task.
"""

from __future__ import annotations

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
from deepsort_paddle.command.result import RunResult
from deepsort_paddle.command.run import run_plan
from deepsort_paddle.command.summary import counted
from deepsort_paddle.command.write_frames import rewrite_outputs
from deepsort_paddle.console.one_line import in_one_line
from deepsort_paddle.output.persons import Persons

__all__ = ["main", "run_job"]


def run_job(job: Job) -> Outcome:
    """Track one video; errors become part of the outcome. Changes the working directory."""
    began = time.perf_counter()
    notes: list[str] = []
    try:
        done = _track(job, notes) if job.persons is None else _rewrite(job, notes)
    except (OSError, ValueError, ImportError, MemoryError) as error:
        done = Outcome(error=in_one_line(error))
    except Exception as error:
        done = Outcome(error=f"{type(error).__name__}: {in_one_line(error)}", trace=traceback.format_exc())
    return replace(done, seconds=round(time.perf_counter() - began, 3), notes=tuple(notes))


def _enter_folder(job: Job) -> None:
    if not Path(job.folder).is_dir():
        raise FileNotFoundError(f"this machine has no folder {job.folder}: all machines must share the files")
    os.chdir(job.folder)


def _rewrite(job: Job, notes: list[str]) -> Outcome:
    """Write the outputs of a video once more, with the persons of all videos."""
    _enter_folder(job)
    cv2.setNumThreads(job.plan.threads or 1)
    persons = Persons(job.persons or {}, job.names)
    return _outcome(rewrite_outputs(str(job.plan.index), persons, notes.append))


def _track(job: Job, notes: list[str]) -> Outcome:
    _enter_folder(job)
    plan = replace(job.plan, overwrite=True)  # checked before the first job; a retry may find its own files
    cv2.setNumThreads(plan.threads or 1)
    crops = plan.save_crops
    for option, path in plan.files().items():
        if option != "save_crops":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
    if crops:  # a folder gets its name once it is complete, like a file
        plan = replace(plan, save_crops=f"{crops}.part")
        shutil.rmtree(f"{crops}.part", ignore_errors=True)
    result = run_plan(plan, notes.append)
    outputs = dict(result.outputs)
    if crops:
        shutil.rmtree(crops, ignore_errors=True)
        outputs["save_crops"].mkdir(parents=True, exist_ok=True)
        outputs["save_crops"] = outputs["save_crops"].rename(crops)
    return _outcome(replace(result, outputs=outputs))


def _outcome(result: RunResult) -> Outcome:
    counts = result.counts
    return Outcome(
        frames=result.frames,
        ids=len(result.ids),
        broken=result.broken_frames,
        files=tuple(str(path) for path in result.outputs.values() if path.exists()),
        counts=None if counts is None else counts.as_dict(),
        counted=() if counts is None else tuple(counted(counts, result.start_time).splitlines()),
    )


def main() -> None:
    """Run a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    outcomes = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries must not mix with the outcomes
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        job = Job.from_dict(json.loads(jobs.get()))
        outcomes.write(json.dumps(asdict(run_job(job))) + "\n")
        outcomes.flush()


def _listen(jobs: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        jobs.put(line)
    os._exit(0)
