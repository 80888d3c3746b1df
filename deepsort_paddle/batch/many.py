"""``deepsort-track`` over many videos: each tracked as if it were alone, several at once.

A status file in the folder of the results says which videos are done, with a digest of everything that
decides their results. Given again, the same command skips those and goes on with the rest.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from deepsort_paddle.batch.executors import Attempt, Engine, ProcessEngine, RayEngine, run_jobs
from deepsort_paddle.batch.jobs import Job
from deepsort_paddle.batch.resume import Ledger, kept_names
from deepsort_paddle.batch.status_file import Record, StatusFile
from deepsort_paddle.batch.submission import check_submission, write_submission
from deepsort_paddle.batch.video_list import make_jobs, read_sources
from deepsort_paddle.batch.video_result import VideoResult, table, total
from deepsort_paddle.command.checks import check_models, check_plan
from deepsort_paddle.command.parser import parse
from deepsort_paddle.console.log_lines import log_lines
from deepsort_paddle.console.signals import Stop
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.option import check_names
from deepsort_paddle.plan.run_plan import RunPlan

if TYPE_CHECKING:
    from deepsort_paddle.counting.places import Line, Zone

__all__ = ["STATUS_FILE", "VideoResult", "run_many", "track_many", "track_videos"]

_LOGGER = logging.getLogger("deepsort_paddle")

STATUS_FILE = "deepsort-track.jsonl"


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
        _expect_list(name, given)
    words = ["--quiet", "--save-dir", str(save_dir), f"--retries={retries}", f"--engine={engine}"]
    words += [] if workers is None else [f"--workers={workers}"]
    plan = parse([*words, *arguments, "--", *map(str, sources)])
    assert isinstance(plan, BatchPlan)  # --retries is an option of many videos
    return _completed(plan)


def track_videos(
    sources: Sequence[str | Path],
    *,
    detector: str | Path | None = None,
    detections: str | Path | None = None,
    reid: str | Path | None = None,
    preset: str | None = None,
    lines: Sequence[Line | str] = (),
    zones: Sequence[Zone | str] = (),
    save_dir: str | Path = "output",
    workers: int | None = None,
    retries: int = 1,
    engine: str = "processes",
    progress: bool = False,
    **options: Any,
) -> list[VideoResult]:
    """Track many videos, several at once, each as `track_video` would by itself.

    A status file in ``save_dir`` says which videos are done: the same call skips those and goes on with the
    rest. Videos are tracked in processes of their own, so detectors and models are names, not objects.

    Args:
        sources: video files, folders of images or MOTChallenge sequences.
        detector: ``"hog"``, an ``.onnx`` file or a PaddleDetection folder.
        detections: a folder with ``NAME.txt`` for each video, or a file name with ``{name}`` in it.
        reid: a folder or an ``.onnx`` file; ``"none"`` tracks by motion alone.
        preset: ``"strong"``, ``"motion"`` or ``"deepsort"`` (as published). None takes the best: strong with
            appearance, motion without.
        lines: lines to count at, the same in all videos.
        zones: zones to count in, likewise.
        save_dir: for the status file, and a text file and an annotated video of each source; made when it is
            missing.
        workers: videos at once; None for one on each core, or as many as Ray has place for.
        retries: more attempts at a video that failed.
        engine: ``"processes"`` of this machine, or ``"ray"``.
        progress: show a progress bar on a terminal, and notes.
        **options: any other field of `RunPlan`; in file names ``{name}`` is the video's, as in
            ``csv="tables/{name}.csv"``.

    Returns:
        A result for each source, in their order. Videos that failed are among them and raise nothing.

    Raises:
        OSError: a file is missing, or another run is at work in ``save_dir``.
        ValueError: an argument is wrong; one line says what was expected.
        ImportError: Ray is asked for and not installed.
        KeyboardInterrupt: Ctrl-C; the workers are gone, the status file says what is done.

    Example:
        >>> from deepsort_paddle import track_videos
        >>> for result in track_videos(["a.mp4", "b.mp4"], detector="yolox_nano.onnx"):  # doctest: +SKIP
        ...     print(result.name, result.status, result.frames, result.ids)
    """
    _expect_list("sources", sources)
    check_names(RunPlan, options)
    names: dict[str, Any] = {"detector": detector, "detections": detections, "reid": reid, "preset": preset}
    for name in ("detector", "reid"):
        if callable(names[name]):
            raise ValueError(f"{name}: expected a name or a path, as workers are processes; got an object")
    places: dict[str, Any] = {"lines": lines, "zones": zones, "save_dir": save_dir}
    plan = RunPlan(source="{source}", **names, **places, **{"quiet": not progress, **options})
    batch = BatchPlan(
        run=plan, sources=tuple(map(str, sources)), workers=workers, retries=retries, engine=engine
    )
    return _completed(batch)


def _expect_list(name: str, given: object) -> None:
    if isinstance(given, str | Path):
        raise ValueError(f"{name} must be a list, got {given!r}")


def _completed(batch: BatchPlan) -> list[VideoResult]:
    """The results of a run that nobody stops."""
    results, code = _run(batch)
    if code:
        raise KeyboardInterrupt
    return results


def run_many(batch: BatchPlan) -> int:
    """The command: track, print a table; returns the exit code.

    0: all done; 1: some failed; 130 and 143: stopped.

    Raises:
        OSError: a file is missing, or another run is at work on the same results.
        ValueError: an option is wrong.
        ImportError: Ray is wanted but not installed.
    """
    began = time.perf_counter()
    if batch.submission:
        check_submission(batch)
    with log_lines("deepsort_paddle", "deepsort-track", quiet=batch.run.quiet):
        results, code = _run(batch)
    if not batch.run.quiet:
        print(table(results))
        print(total(results, time.perf_counter() - began))
        print(f"status: {batch.folder / STATUS_FILE}")
    if batch.submission and not code:
        for note in write_submission(batch.submission, results, overwrite=batch.run.overwrite):
            sys.stderr.write(f"deepsort-track: note: {note}\n")
        if not batch.run.quiet:
            print(f"written: {batch.submission}")
    return code or int(any(result.status == "failed" for result in results))


def _run(batch: BatchPlan) -> tuple[list[VideoResult], int]:
    """Track what is not done yet; returns a result for each video, and 0 or the exit code of a stop."""
    sources = read_sources(batch)
    make_jobs(batch, sources, {})  # what is wrong is found before anything is written
    check_plan(batch.run)
    check_models(batch.run)
    batch.folder.mkdir(parents=True, exist_ok=True)
    with StatusFile(batch.folder / STATUS_FILE) as status:
        jobs = make_jobs(batch, sources, kept_names(status, sources))
        ledger = Ledger(status, jobs)
        if ledger.changed:
            _LOGGER.info(
                "tracked again, as options, inputs or results changed: %s", ", ".join(ledger.changed)
            )
        results = {job.name: VideoResult(job.name, job.source, "not tracked") for job in jobs}
        for name, record in ledger.done.items():
            results[name] = _done_before(results[name], record, status)
        pending = [job for job in jobs if job.name not in ledger.done]
        stop, code = Stop(), 0
        if not pending:
            return list(results.values()), code
        try:
            with stop, closing(_engine(batch, len(pending))) as engine:
                for attempt in _attempts(batch, pending, engine, ledger, stop):
                    results[attempt.job.name] = _result(attempt)
        except KeyboardInterrupt:
            code = 128 + (stop.signal or signal.SIGINT)
            done = sum(result.status.startswith("done") for result in results.values())
            _LOGGER.warning(
                "stopped by %s; %d of %d videos are done, the same command goes on with the rest",
                signal.Signals(code - 128).name,
                done,
                len(jobs),
            )
        return list(results.values()), code


def _attempts(
    batch: BatchPlan, jobs: Sequence[Job], engine: Engine, ledger: Ledger, stop: Stop
) -> Iterator[Attempt]:
    """Run the jobs, write down what becomes of them, and show how it goes."""
    said: set[str] = set()
    hidden = True if batch.run.quiet else None
    with tqdm(total=len(jobs), unit="video", disable=hidden, file=sys.stderr) as bar:
        for attempt in run_jobs(jobs, engine, retries=batch.retries, started=ledger.started):
            job, outcome = attempt.job, attempt.outcome
            with stop.held():
                ledger.ended(job, outcome, attempt.number)
            for note in outcome.notes:
                if note not in said:
                    said.add(note)
                    _LOGGER.info("%s: %s", job.name, note)
            if outcome.error:
                again = ", trying again" if attempt.again else ""
                _LOGGER.warning("%s failed%s: %s", job.name, again, outcome.error)
            bar.update(not attempt.again)
            yield attempt


def _engine(batch: BatchPlan, videos: int) -> Engine:
    """Who does the work."""
    threads = batch.run.threads or 1
    if batch.engine == "ray":
        from deepsort_paddle.batch.worker import run_job

        gpus = int(batch.run.device.startswith("gpu"))
        return RayEngine(run_job, batch.workers, threads=threads, gpus=gpus)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = batch.workers or max(1, cores // threads)
    return ProcessEngine(min(workers, videos), threads=threads)


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
