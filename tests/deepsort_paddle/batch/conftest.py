"""Runs over many videos in this process."""

from __future__ import annotations

import json

import pytest

from deepsort_paddle.batch import many
from deepsort_paddle.batch.jobs import Job, Outcome
from deepsort_paddle.batch.worker import run_job


class InlineEngine:
    """An engine that runs jobs in this process, after a round trip through JSON as to a worker."""

    def __init__(self, workers: int, *, threads: int) -> None:
        self.capacity = workers
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(Job.from_dict(json.loads(json.dumps(job.as_dict()))))

    def result(self) -> tuple[Job, Outcome]:
        job = self.jobs.pop()
        return job, run_job(job)

    def close(self) -> None:
        assert not self.jobs


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs over many videos use no processes."""
    monkeypatch.setattr(many, "ProcessEngine", InlineEngine)
