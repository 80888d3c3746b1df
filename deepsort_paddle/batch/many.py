"""``deepsort-track`` over many videos: each tracked as if it were alone, several at once.

A status file in the folder of the results says which videos are done, with a digest of everything that
decides their results. Given again, the same command skips those and goes on with the rest.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from deepsort_paddle.appearance.default_model import DEFAULT_MODEL
from deepsort_paddle.batch.executors import Attempt, Engine, ProcessEngine, RayEngine, run_jobs
from deepsort_paddle.batch.jobs import Job
from deepsort_paddle.batch.resume import Ledger, kept_names
from deepsort_paddle.batch.status_file import Record, StatusFile
from deepsort_paddle.batch.video_list import make_jobs, read_sources
from deepsort_paddle.command.one_line import columns, padded
from deepsort_paddle.command.parser import parse
from deepsort_paddle.command.signals import Stop
from deepsort_paddle.command.tracker_settings import settle_tracker_options
from deepsort_paddle.counting.counter import Line, TrackCounter, Zone

__all__ = ["STATUS_FILE", "VideoResult", "run_many", "track_many"]

STATUS_FILE = "deepsort-track.jsonl"
_STATUSES = ("done", "done before", "failed", "not tracked")


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What became of one of many videos.

    Attributes:
        name: of its result files.
        source: the video as it was given.
        status: ``done``, ``failed``, ``done before`` (by an earlier run, the results are still there) or
            ``not tracked`` (the run was stopped).
        frames: how many were tracked.
        ids: how many were reported.
        seconds: the last attempt took.
        attempts: in this run.
        error: why it failed, one line; empty where it did not.
        files: what was written.
        counted: what lines and zones counted, a line each.
    """

    name: str
    source: str
    status: str
    frames: int = 0
    ids: int = 0
    seconds: float = 0.0
    attempts: int = 0
    error: str = ""
    files: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()


def track_many(
    sources: Sequence[str | Path],
    arguments: Sequence[str] = (),
    *,
    save_dir: str | Path = "output",
    workers: int | None = None,
    retries: int = 1,
    engine: str = "processes",
) -> list[VideoResult]:
    """Track many videos as ``deepsort-track`` does, results and status file in ``save_dir``.

    Args:
        sources: video files, folders of pictures or MOTChallenge sequences.
        arguments: more options of the command, such as ``["--detector", "yolox_nano.onnx"]``.
        save_dir: for the results; made when it is missing.
        workers: videos at once; None for one on each core, or as many as Ray has place for.
        retries: more attempts at a video that failed.
        engine: ``processes`` of this machine, or ``ray``.

    Returns:
        A result for each source, in their order. Videos that failed are among them and raise nothing.

    Raises:
        OSError: a file is missing, or another run is at work in ``save_dir``.
        ValueError: an option is wrong.
        ImportError: Ray is wanted but not installed.
        KeyboardInterrupt: Ctrl-C; the workers are gone, the status file says what is done.
    """
    for name, given in (("sources", sources), ("arguments", arguments)):
        if isinstance(given, str | Path):
            raise ValueError(f"{name} must be a list, got {given!r}")
    words = ["--quiet", "--save-dir", str(save_dir), f"--retries={retries}", f"--engine={engine}"]
    words += [] if workers is None else [f"--workers={workers}"]
    results, code = _run(parse([*words, *arguments, "--", *map(str, sources)]))
    if code:
        raise KeyboardInterrupt
    return results


def run_many(options: argparse.Namespace) -> int:
    """The command: track, print a table; returns the exit code.

    0: all done; 1: some failed; 130 and 143: stopped.

    Raises:
        OSError: a file is missing, or another run is at work on the same results.
        ValueError: an option is wrong.
        ImportError: Ray is wanted but not installed.
    """
    began = time.perf_counter()
    results, code = _run(options)
    if not options.quiet:
        print(_table(results))
        print(_total(results, time.perf_counter() - began))
        print(f"status: {_status_path(options)}")
    return code or int(any(result.status == "failed" for result in results))


def _run(options: argparse.Namespace) -> tuple[list[VideoResult], int]:
    """Track what is not done yet; returns a result for each video, and 0 or the exit code of a stop."""
    sources = read_sources(options)
    _check_settings(options)
    make_jobs(options, sources, {})  # what is wrong is found before anything is written
    path = _status_path(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    with StatusFile(path) as status:
        jobs = make_jobs(options, sources, kept_names(status, sources))
        ledger = Ledger(status, jobs)
        results = {job.name: VideoResult(job.name, job.source, "not tracked") for job in jobs}
        for name, record in ledger.done.items():
            results[name] = _done_before(results[name], record, status)
        pending = [job for job in jobs if job.name not in ledger.done]
        stop, code = Stop(), 0
        if not pending:
            return list(results.values()), code
        try:
            with stop, closing(_engine(options, len(pending))) as engine:
                for attempt in _attempts(options, pending, engine, ledger, stop):
                    results[attempt.job.name] = _result(attempt)
        except KeyboardInterrupt:
            code = 128 + (stop.signal or signal.SIGINT)
            done = sum(result.status.startswith("done") for result in results.values())
            sys.stderr.write(
                f"deepsort-track: stopped by {signal.Signals(code - 128).name}; {done} of {len(jobs)} videos "
                "are done, the same command goes on with the rest\n"
            )
        return list(results.values()), code


def _attempts(
    options: argparse.Namespace, jobs: Sequence[Job], engine: Engine, ledger: Ledger, stop: Stop
) -> Iterator[Attempt]:
    """Run the jobs, write down what becomes of them, and show how it goes."""
    said: set[str] = set()

    def say(message: str) -> None:
        tqdm.write(f"deepsort-track: {message}", file=sys.stderr)

    retries = 1 if options.retries is None else options.retries
    hidden = True if options.quiet else None
    with tqdm(total=len(jobs), unit="video", disable=hidden, file=sys.stderr) as bar:
        for attempt in run_jobs(jobs, engine, retries=retries, started=ledger.started):
            job, outcome = attempt.job, attempt.outcome
            with stop.held():
                ledger.ended(job, outcome, attempt.number)
            for note in () if options.quiet else outcome.notes:
                if note not in said:
                    said.add(note)
                    say(f"note: {job.name}: {note}")
            if outcome.error:
                say(f"{job.name} failed{', trying again' if attempt.again else ''}: {outcome.error}")
            bar.update(not attempt.again)
            yield attempt


def _engine(options: argparse.Namespace, videos: int) -> Engine:
    """Who does the work."""
    threads = options.threads or 1
    if options.engine == "ray":
        from deepsort_paddle.batch.worker import run_job

        gpus = int(options.use_gpu or options.device.startswith("gpu"))
        return RayEngine(run_job, options.workers, threads=threads, gpus=gpus)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = options.workers or max(1, cores // threads)
    return ProcessEngine(min(workers, videos), threads=threads)


def _check_settings(options: argparse.Namespace) -> None:
    """Raise where no video could be tracked with these options."""
    settle_tracker_options(argparse.Namespace(**vars(options)))
    TrackCounter([Line.parse(text) for text in options.line], [Zone.parse(text) for text in options.zone])
    for flag, path in (("--reid", options.reid), ("--detector", options.detector)):
        if path not in (None, "none", "hog", DEFAULT_MODEL) and not Path(path).exists():
            raise FileNotFoundError(f"{flag} {path}: no such file or folder")


def _status_path(options: argparse.Namespace) -> Path:
    return Path(options.save_dir or "output") / STATUS_FILE


def _result(attempt: Attempt) -> VideoResult:
    """The result of a video as of this attempt."""
    job, outcome = attempt.job, attempt.outcome
    return VideoResult(
        job.name,
        job.source,
        "failed" if outcome.error else "done",
        outcome.frames,
        outcome.ids,
        outcome.seconds,
        attempt.number,
        outcome.error,
        outcome.files,
        outcome.counted,
    )


def _done_before(result: VideoResult, record: Record, status: StatusFile) -> VideoResult:
    """The result of a video that an earlier run has tracked."""
    files = tuple(str(status.path.parent / name) for name in record["files"])
    known = {name: record[name] for name in ("frames", "ids", "seconds") if name in record}
    counted = tuple(record.get("counted", ()))
    return replace(result, status="done before", files=files, counted=counted, **known)


def _table(results: Sequence[VideoResult]) -> str:
    """A row for each video, and below it what was counted."""
    rows = [("video", "frames", "ids", "seconds", "status")]
    for one in results:
        tracked = one.status.startswith("done")
        figures = (str(one.frames), str(one.ids), f"{one.seconds:.1f}") if tracked else ("-", "-", "-")
        tries = f", attempt {one.attempts}" if one.attempts > 1 else ""
        rows.append((one.name, *figures, one.status + tries + (f": {one.error}" if one.error else "")))
    wide = [max(columns(row[column]) for row in rows) for column in range(4)]
    below = [(), *(one.counted for one in results)]
    lines = []
    for row, counted in zip(rows, below, strict=True):
        cells = [cell.rjust(width) for cell, width in zip(row[1:4], wide[1:], strict=True)]
        lines.append("  ".join([padded(row[0], wide[0]), *cells, row[4]]))
        lines += [f"  {text}" for text in counted]
    return "\n".join(lines)


def _total(results: Sequence[VideoResult], seconds: float) -> str:
    """All videos in one line."""
    counts = Counter(result.status for result in results)
    parts = ", ".join(f"{counts[status]} {status}" for status in _STATUSES if counts[status])
    frames = sum(result.frames for result in results if result.status == "done")
    speed = f"; {frames} frames in {seconds:.1f} s, {frames / seconds:.1f} fps" if frames else ""
    return f"{len(results)} video{'' if len(results) == 1 else 's'}: {parts}{speed}"
