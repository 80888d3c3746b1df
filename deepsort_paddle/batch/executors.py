"""Who tracks the videos: worker processes of this machine, or a Ray cluster.

An engine takes jobs by `submit` and hands back outcomes by `result`, in the order in which they end. A
worker that dies, by ``kill -9``, by the system's want of memory or by a crash in native code, is an outcome
with an error and not the end of the run.

Worker processes are started by ``subprocess``: a broken process does not take a whole pool with it, the
caller's script needs no ``__main__`` guard, and libraries that dislike ``fork`` never see one.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from deepsort_paddle.batch.jobs import Job, Outcome
from deepsort_paddle.console.one_line import in_one_line

__all__ = ["Attempt", "Engine", "ProcessEngine", "RayEngine", "run_jobs"]

_WORKER = "import sys; sys.path[:] = {path!r}; from deepsort_paddle.batch.worker import main; main()"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Engine(Protocol):
    """Runs jobs.

    Attributes:
        capacity: jobs that it can use at once; None: any number.
    """

    capacity: int | None

    def submit(self, job: Job) -> None:
        """Take a job; it begins when a worker is free."""

    def result(self) -> tuple[Job, Outcome]:
        """The next job that ended, and how."""

    def close(self) -> None:
        """Stop whatever still runs and let go of all processes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job that has ended.

    Attributes:
        job: which.
        number: from 1.
        outcome: what came of it.
        again: whether there will be another one.
    """

    job: Job
    number: int
    outcome: Outcome
    again: bool


def run_jobs(
    jobs: Iterable[Job], engine: Engine, *, retries: int, started: Callable[[Job, int], None]
) -> Iterator[Attempt]:
    """Run all jobs, those that fail again after the others; yields the attempts as they end.

    Args:
        jobs: to run, in this order as far as workers are free.
        engine: runs them.
        retries: more attempts at a job that failed.
        started: called with each job and the number of the attempt when the engine gets it.
    """
    waiting = deque((job, 1) for job in jobs)
    running: dict[str, int] = {}
    while waiting or running:
        while waiting and (engine.capacity is None or len(running) < engine.capacity):
            job, number = waiting.popleft()
            started(job, number)
            engine.submit(job)
            running[job.name] = number
        job, outcome = engine.result()
        number = running.pop(job.name)
        again = bool(outcome.error) and number <= retries
        if again:
            waiting.append((job, number + 1))
        yield Attempt(job, number, outcome, again)


class ProcessEngine:
    """Worker processes on this machine, each used for one video after the other.

    After a video that failed the next one gets a fresh process.
    """

    def __init__(self, workers: int, *, threads: int, command: Sequence[str] | None = None) -> None:
        """Get ready; processes are started when there is work.

        Args:
            workers: processes at once.
            threads: of each process, for libraries that ask the environment.
            command: starts a worker; ours when left out.
        """
        self.capacity: int | None = workers
        self._command = list(command or [sys.executable, "-c", _WORKER.format(path=sys.path)])
        self._environment = {**dict.fromkeys(_THREADS, str(threads)), **os.environ}
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Job, Outcome]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._jobs.put(job)

    def result(self) -> tuple[Job, Outcome]:
        """The next job that ended, and how."""
        while True:
            with suppress(queue.Empty):
                return self._outcomes.get(timeout=1)  # Windows sees Ctrl-C only between two waits

    def close(self) -> None:
        """Kill the workers; what they were writing stays as ``NAME.part``."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """One worker's place: hands jobs to its process, and starts another one when that is gone."""
        process: subprocess.Popen[bytes] | None = None
        while not self._closed and (job := self._jobs.get()) is not None:
            try:
                process = process or self._start()
                outcome = _ask(process, job)
            except OSError as error:
                outcome = Outcome(error=f"no worker could be started: {in_one_line(error)}")
            if outcome.error and process is not None:
                self._end(process)
                process = None
            self._outcomes.put((job, outcome))
        if process is not None:
            self._end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise OSError("the run was stopped")
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
            )
            self._processes.add(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            process.kill()
            self._processes.discard(process)
        with suppress(BrokenPipeError), process:  # closes its pipes
            pass


def _ask(process: subprocess.Popen[bytes], job: Job) -> Outcome:
    """Hand a job to a worker and wait for the outcome, or for its death."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(job.as_dict()).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    if line.endswith(b"\n"):
        return _outcome(json.loads(line))
    code = process.wait()
    return Outcome(
        error=f"its worker was killed by {signal.Signals(-code).name}"
        if code < 0
        else f"its worker ended with exit code {code}"
    )


def _outcome(known: dict[str, Any]) -> Outcome:
    """An outcome that was JSON on its way: its lists are tuples again."""
    lists: dict[str, Any] = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Outcome(**{**known, **lists})


class RayEngine:
    """Tasks of Ray: on the cluster that ``RAY_ADDRESS`` names or that runs here, else on this machine."""

    def __init__(
        self, function: Callable[[Job], Outcome], workers: int | None, *, threads: int, gpus: int = 0
    ) -> None:
        """Connect.

        Args:
            function: tracks one video.
            workers: tasks at once; None for as many as Ray has place for.
            threads: CPUs that a task takes.
            gpus: GPUs that a task takes.

        Raises:
            ImportError: Ray is not installed.
            OSError: the cluster can't be reached.
        """
        try:
            import ray
        except ImportError:
            raise ImportError("--engine ray wants Ray: pip install ray") from None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster started here tells nobody
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                ray.init(log_to_driver=False, logging_level="ERROR")
            except (OSError, RuntimeError, ValueError) as error:
                raise OSError(f"Ray can't be reached: {in_one_line(error)}") from None
        # Retries are counted and reported by the caller.
        options = {"num_cpus": threads, "num_gpus": gpus, "max_retries": 0}
        self._task = ray.remote(**options)(function)
        self.capacity = workers
        self._running: dict[Any, Job] = {}

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._running[self._task.remote(job)] = job

    def result(self) -> tuple[Job, Outcome]:
        """The next job that ended, and how."""
        (ended,), _ = self._ray.wait(list(self._running), num_returns=1)
        job = self._running.pop(ended)
        try:
            return job, self._ray.get(ended)
        except self._ray.exceptions.RayError as error:
            return job, Outcome(error=f"its worker was lost: {type(error).__name__}", trace=str(error))

    def close(self) -> None:
        """Cancel what still runs; a cluster that was there before stays."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        if self._ours:
            self._ray.shutdown()
