"""Engines that track the videos: worker processes on this machine, or a Ray cluster.

An engine takes jobs by `submit` and returns outcomes by `result`, in the order in which they finish. If a
worker dies, by ``kill -9``, by the out-of-memory killer or by a crash in native code, its job fails and the
run continues.

Worker processes are started by ``subprocess``: a broken process does not break a pool, the caller's script
needs no ``__main__`` guard, and nothing is forked, which some libraries do not survive.
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
        capacity: largest number of jobs submitted at once; None for any number.
    """

    capacity: int | None

    def submit(self, job: Job) -> None:
        """Submit a job; it starts when a worker is free."""

    def result(self) -> tuple[Job, Outcome]:
        """Wait for the next job to finish; return it and its outcome."""

    def close(self) -> None:
        """Stop running jobs and end all processes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A finished attempt at a job.

    Attributes:
        job: the job.
        number: number of the attempt, from 1.
        outcome: its outcome.
        again: whether another attempt follows.
    """

    job: Job
    number: int
    outcome: Outcome
    again: bool


def run_jobs(
    jobs: Iterable[Job], engine: Engine, *, retries: int, started: Callable[[Job, int], None]
) -> Iterator[Attempt]:
    """Run all jobs and yield the attempts as they finish; failed jobs are tried again after the others.

    Args:
        jobs: the jobs, started in this order.
        engine: runs them.
        retries: further attempts after a job failed.
        started: called with each job and the number of the attempt when it is submitted.
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
    """Worker processes on this machine; each tracks one video after another.

    After a failed video, the next one gets a new process.
    """

    def __init__(self, workers: int, *, threads: int, command: Sequence[str] | None = None) -> None:
        """Create it; processes are started when there are jobs.

        Args:
            workers: largest number of processes.
            threads: threads of each process, for libraries that read the environment.
            command: starts a worker; by default that of `worker`.
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
        """Submit a job."""
        self._jobs.put(job)

    def result(self) -> tuple[Job, Outcome]:
        """Wait for the next job to finish; return it and its outcome."""
        while True:
            with suppress(queue.Empty):
                return self._outcomes.get(timeout=1)  # Windows sees Ctrl-C only between two waits

    def close(self) -> None:
        """Kill the workers; files that they were writing stay as ``NAME.part``."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """Send jobs to one worker process, and start another process when it ends."""
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
    """Send a job to a worker and wait until it answers or dies."""
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
    """Return an outcome from JSON, with lists as tuples."""
    lists: dict[str, Any] = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Outcome(**{**known, **lists})


class RayEngine:
    """Ray tasks: on the cluster of ``RAY_ADDRESS`` or a running local one, else on this machine."""

    def __init__(
        self, function: Callable[[Job], Outcome], workers: int | None, *, threads: int, gpus: int = 0
    ) -> None:
        """Connect to Ray.

        Args:
            function: tracks one video.
            workers: largest number of tasks at once; None for as many as Ray can place.
            threads: CPUs per task.
            gpus: GPUs per task.

        Raises:
            ImportError: Ray is not installed.
            OSError: the cluster cannot be reached.
        """
        try:
            import ray
        except ImportError:
            raise ImportError("--engine ray needs Ray: pip install ray") from None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry of a cluster started here
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                ray.init(log_to_driver=False, logging_level="ERROR")
            except (OSError, RuntimeError, ValueError) as error:
                raise OSError(f"Ray can't be reached: {in_one_line(error)}") from None
        # The caller counts and reports retries.
        options = {"num_cpus": threads, "num_gpus": gpus, "max_retries": 0}
        self._task = ray.remote(**options)(function)
        self.capacity = workers
        self._running: dict[Any, Job] = {}

    def submit(self, job: Job) -> None:
        """Submit a job."""
        self._running[self._task.remote(job)] = job

    def result(self) -> tuple[Job, Outcome]:
        """Wait for the next job to finish; return it and its outcome."""
        (ended,), _ = self._ray.wait(list(self._running), num_returns=1)
        job = self._running.pop(ended)
        try:
            return job, self._ray.get(ended)
        except self._ray.exceptions.RayError as error:
            return job, Outcome(error=f"its worker was lost: {type(error).__name__}", trace=str(error))

    def close(self) -> None:
        """Cancel running tasks; shut down the cluster only if it was started here."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        if self._ours:
            self._ray.shutdown()
