"""Finds which of many videos are done, by comparing the status file with the plan.

A video is done if its last record says so, its results still have the recorded sizes, and nothing that
determines them has changed: settings, the video, its detections, the models. Files are compared by size and
modification time, like ``make``, since videos are large.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from deepsort_paddle._version import __version__
from deepsort_paddle.appearance.default_model import locate
from deepsort_paddle.batch.jobs import Job, Outcome
from deepsort_paddle.batch.status_file import Record, StatusFile
from deepsort_paddle.media.addresses import is_address
from deepsort_paddle.media.source import without_password
from deepsort_paddle.part_files import check_absent
from deepsort_paddle.people.index_file import IndexMeta
from deepsort_paddle.plan.option import options
from deepsort_paddle.plan.run_plan import INPUTS, OUTPUTS, RunPlan

__all__ = ["Ledger", "fingerprint", "kept_names"]

# These options change how fast results come or where they are written, not the results.
_UNDECISIVE = {"name"} | {name for name, known in options(RunPlan).items() if not known.decides}
_INPUTS = ("source", *INPUTS)


class Ledger:
    """The jobs of a run, and their records in the status file."""

    def __init__(self, status: StatusFile, jobs: Sequence[Job]) -> None:
        """Compare the jobs with the records.

        Raises:
            FileExistsError: a video's result exists, is not from an earlier run and may not be replaced.
            ValueError: crops would be written into a folder with other content, or corrections be discarded.
        """
        self._status = status
        self._files = cache(fingerprint)
        self._digests = {job.name: self._digest(job) for job in jobs}
        self.done = {job.name: record for job in jobs if (record := self._record_if_done(job)) is not None}
        self._outdated = [job.name for job in jobs if self._last(job).get("status") == "done"]
        for job in jobs:
            if job.name not in self.done:
                self._check_corrected(job)
                self._check_crops(job)
                self._check_files(job)

    @property
    def changed(self) -> list[str]:
        """Names of the videos that were done with other options, inputs or results."""
        return [name for name in self._outdated if name not in self.done]

    def started(self, job: Job, attempt: int) -> None:
        """Record that a job was submitted."""
        self._add(job, "started", attempt)

    def ended(self, job: Job, outcome: Outcome, attempt: int) -> None:
        """Record the outcome of a job."""
        facts = ("error", "trace", "frames", "ids", "broken", "seconds", "notes", "counts", "counted")
        known = {name: value for name in facts if (value := getattr(outcome, name))}
        if outcome.error:
            self._add(job, "failed", attempt, **known)
        else:
            paths = [Path(job.folder, file) for file in outcome.files]
            files = self._status.sizes(paths)
            self._add(job, "done", attempt, **known, digest=self._digests[job.name], files=files)

    def rewritten(self, job: Job, outcome: Outcome) -> None:
        """Write down that the results of a video that is done were written once more."""
        last = self._last(job)
        paths = [self._status.path.parent / file for file in last["files"]]
        known = {"counts": outcome.counts, "counted": list(outcome.counted)}
        changed = {name: value for name, value in known.items() if value}
        self._status.add({**last, **changed, "files": self._status.sizes(paths)})

    def _add(self, job: Job, what: str, attempt: int, **facts: Any) -> None:
        record = {"video": job.name, "source": _place(self._status, job.source), "status": what}
        if job.plan.save_crops:
            facts["crops"] = self._status.place(job.plan.save_crops)
        if what != "done":
            facts["outputs"] = [self._status.place(path) for path in _results(job)]
        self._status.add({**record, "attempt": attempt, **facts})

    def _last(self, job: Job) -> Record:
        return self._status.latest.get(_place(self._status, job.source), {})

    def _record_if_done(self, job: Job) -> Record | None:
        record = self._last(job)
        same = record.get("status") == "done" and record.get("digest") == self._digests[job.name]
        files = record.get("files")
        return record if same and isinstance(files, dict) and self._status.intact(files) else None

    def _digest(self, job: Job) -> str:
        """Return the SHA-256 of everything that determines the results of a job."""
        known = {name: value for name, value in job.plan.as_dict().items() if name not in _UNDECISIVE}
        for name in (*_INPUTS, *OUTPUTS):
            if known[name] is not None:
                known[name] = _place(self._status, known[name])
        inputs = [getattr(job.plan, name) for name in _INPUTS]
        if job.plan.reid != "none":
            inputs.append(str(locate(job.plan.reid)))
        files = [self._files(path) for path in inputs if path is not None and not is_address(path)]
        text = json.dumps([__version__, job.name, known, files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _check_files(self, job: Job) -> None:
        """Raise if a result exists that is not in the status file."""
        if job.plan.overwrite:
            return
        last = self._last(job)
        own = {*last.get("outputs", ()), *last.get("files", ())}
        for path in _results(job):
            if self._status.place(path) not in own:
                check_absent(path, f"{job.source}: result")

    def _check_corrected(self, job: Job) -> None:
        """Raise where tracking again would discard what a person has corrected."""
        index = job.plan.index
        if job.plan.overwrite or index is None or not Path(index).is_file():
            return
        if IndexMeta.read(index, unfinished=True).corrections is not None:
            raise ValueError(
                f"{job.name}: {index} has corrections, which tracking again would discard: choose another "
                "--save-dir, or add --overwrite"
            )

    def _check_crops(self, job: Job) -> None:
        crops = job.plan.save_crops
        if crops is None or self._last(job).get("crops") == self._status.place(crops):
            return
        if Path(crops).exists() and not (Path(crops).is_dir() and not any(Path(crops).iterdir())):
            raise ValueError(f"--save-crops: expected new or empty folders, {crops} has content")


def _results(job: Job) -> list[str]:
    """Return the files that a job may write, including the video even if the source has no images."""
    plan = job.plan.named(job.name, has_images=True)
    return [path for option, path in plan.files().items() if option != "save_crops"]


def kept_names(status: StatusFile, sources: Sequence[str]) -> Mapping[str, str]:
    """Return the names of sources in the records of earlier runs."""
    records = {source: status.latest.get(_place(status, source)) for source in sources}
    return {source: record["video"] for source, record in records.items() if record is not None}


def fingerprint(path: str) -> list[tuple[str, int, int]]:
    """Return name, size and modification time of a file, or of all files in a folder; empty if missing."""
    top = Path(path)
    files = sorted(file for file in top.rglob("*") if file.is_file()) if top.is_dir() else [top]
    known = [(file.relative_to(top).as_posix(), file.stat()) for file in files if file.exists()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in known]


def _place(status: StatusFile, path: str) -> str:
    """Return a path relative to the status file, or an address without its password."""
    return without_password(path) if is_address(path) else status.place(path)
