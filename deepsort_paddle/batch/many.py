"""``deepsort-track`` over many videos: several at once, each tracked as if it were the only one.

A status file in the results folder records which videos are done, with a digest of everything that determines
their results. The same command, run again, skips those and continues with the rest.
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
from deepsort_paddle.batch.jobs import Job, Outcome
from deepsort_paddle.batch.resume import Ledger, kept_names
from deepsort_paddle.batch.status_file import Record, StatusFile
from deepsort_paddle.batch.submission import check_submission, write_submission
from deepsort_paddle.batch.video_list import make_jobs, read_sources
from deepsort_paddle.batch.video_result import VideoResult, table, total
from deepsort_paddle.command.checks import check_models, check_plan
from deepsort_paddle.command.parser import parse
from deepsort_paddle.console.log_lines import log_lines
from deepsort_paddle.console.signals import Stop
from deepsort_paddle.people.videos import JoinedPeople, join_videos
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.option import check_names
from deepsort_paddle.plan.run_plan import RunPlan

if TYPE_CHECKING:
    from deepsort_paddle.counting.places import Line, Zone

__all__ = ["STATUS_FILE", "VideoResult", "run_many", "track_many", "track_videos"]

_LOGGER = logging.getLogger("deepsort_paddle")

STATUS_FILE = "deepsort-track.jsonl"
PEOPLE_FILE = "people.json"


def track_many(
    sources: Sequence[str | Path],
    arguments: Sequence[str] = (),
    *,
    save_dir: str | Path = "output",
    workers: int | None = None,
    retries: int = 1,
    engine: str = "processes",
) -> list[VideoResult]:
    """Track many videos like ``deepsort-track``, with results and status file in ``save_dir``.

    Args:
        sources: video files, image folders or MOTChallenge sequences.
        arguments: further options of the command, such as ``["--detector", "yolox_nano.onnx"]``.
        save_dir: folder for the results; created if missing.
        workers: videos tracked at once; None for one per core, or as many as Ray can place.
        retries: further attempts after a video failed.
        engine: ``processes`` on this machine, or ``ray``.

    Returns:
        A result for each source, in their order. Failed videos are included and do not raise.

    Raises:
        OSError: a file is missing, or another run uses ``save_dir``.
        ValueError: an option is invalid.
        ImportError: Ray is needed but not installed.
        KeyboardInterrupt: after Ctrl-C; the workers have ended, the status file records what is done.
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
    """Track many videos, several at once, each like `track_video`.

    A status file in ``save_dir`` records which videos are done: the same call skips those and continues with
    the rest. Worker processes track the videos, so detectors and models are names, not objects.

    Args:
        sources: video files, image folders or MOTChallenge sequences.
        detector: ``"hog"``, an ``.onnx`` file or a PaddleDetection folder.
        detections: a folder with ``NAME.txt`` for each video, or a file name with ``{name}`` in it.
        reid: a folder or an ``.onnx`` file; ``"none"`` tracks by motion only.
        preset: ``"strong"``, ``"motion"`` or ``"deepsort"`` (as published). None uses strong with an
            appearance model and motion without.
        lines: lines to count at, the same in all videos.
        zones: zones to count in, the same in all videos.
        save_dir: folder for the status file, and for a text file and an annotated video of each source;
            created if missing.
        workers: videos tracked at once; None for one per core, or as many as Ray can place.
        retries: further attempts after a video failed.
        engine: ``"processes"`` on this machine, or ``"ray"``.
        progress: show notes, and on a terminal a progress bar.
        **options: any other field of `RunPlan`; in file names ``{name}`` stands for the video's name, as in
            ``csv="tables/{name}.csv"``.

    Returns:
        A result for each source, in their order. Failed videos are included and do not raise.

    Raises:
        OSError: a file is missing, or another run uses ``save_dir``.
        ValueError: an argument is invalid; the message is one line.
        ImportError: Ray is needed but not installed.
        KeyboardInterrupt: after Ctrl-C; the workers have ended, the status file records what is done.

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
            raise ValueError(f"{name}: expected a name or a path, since workers are processes; got an object")
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
    """Return the results of a run, or raise if it was stopped."""
    results, _, code = _run(batch)
    if code:
        raise KeyboardInterrupt
    return results


def run_many(batch: BatchPlan) -> int:
    """Run ``deepsort-track`` on many videos and print a table.

    Returns:
        The exit code: 0 if all are done, 1 if some failed, 130 or 143 if a signal stopped the run.

    Raises:
        OSError: a file is missing, or another run writes the same results.
        ValueError: an option is invalid.
        ImportError: Ray is needed but not installed.
    """
    began = time.perf_counter()
    if batch.submission:
        check_submission(batch)
    with log_lines("deepsort_paddle", "deepsort-track", quiet=batch.run.quiet):
        results, people, code = _run(batch)
    if not batch.run.quiet:
        print(table(results))
        print(total(results, time.perf_counter() - began))
        if people is not None:
            print(f"{people}; who is who: {batch.folder / PEOPLE_FILE}")
        print(f"status: {batch.folder / STATUS_FILE}")
    if batch.submission and not code:
        for note in write_submission(batch.submission, results, overwrite=batch.run.overwrite):
            sys.stderr.write(f"deepsort-track: note: {note}\n")
        if not batch.run.quiet:
            print(f"written: {batch.submission}")
    return code or int(any(result.status == "failed" for result in results))


def _run(batch: BatchPlan) -> tuple[list[VideoResult], JoinedPeople | None, int]:
    """Track the videos not done yet, then find the people of all videos.

    Returns:
        A result for each video; the people, None without ``identities``; 0 or the exit code after a signal.
    """
    sources = read_sources(batch)
    make_jobs(batch, sources, {})  # finds errors before anything is written
    check_plan(batch.run)
    check_models(batch.run)
    batch.folder.mkdir(parents=True, exist_ok=True)
    with StatusFile(batch.folder / STATUS_FILE) as status:
        jobs = make_jobs(batch, sources, kept_names(status, sources))
        ledger = Ledger(status, jobs)
        if ledger.changed:
            _LOGGER.info(
                "tracking again, since options, inputs or results changed: %s", ", ".join(ledger.changed)
            )
        results = {job.name: VideoResult(job.name, job.source, "not tracked") for job in jobs}
        for name, record in ledger.done.items():
            results[name] = _done_before(results[name], record, status)
        pending = [job for job in jobs if job.name not in ledger.done]
        people: JoinedPeople | None = None
        stop, code = Stop(), 0
        try:
            with stop:
                if pending:
                    with closing(_engine(batch, len(pending))) as engine:
                        for attempt in _attempts(batch, pending, engine, ledger, stop):
                            results[attempt.job.name] = _result(attempt)
                if batch.run.identities:
                    people = _join(batch, jobs, results, ledger, stop)
        except KeyboardInterrupt:
            code = 128 + (stop.signal or signal.SIGINT)
            done = sum(result.status.startswith("done") for result in results.values())
            _LOGGER.warning(
                "stopped by %s; %d of %d videos are done, the same command continues with the rest",
                signal.Signals(code - 128).name,
                done,
                len(jobs),
            )
        return list(results.values()), people, code


def _join(
    batch: BatchPlan, jobs: Sequence[Job], results: dict[str, VideoResult], ledger: Ledger, stop: Stop
) -> JoinedPeople | None:
    """Find the people of all videos that are done, and write them into their results; None without any.

    A video whose outputs can't be written once more becomes one that failed.
    """
    done = [job for job in jobs if results[job.name].status.startswith("done")]
    if not done:
        return None
    people_file = batch.folder / PEOPLE_FILE
    people = join_videos({job.name: Path(str(job.plan.index)) for job in done})
    stale = []
    for job in done:
        video = people.videos[job.name]
        results[job.name] = replace(results[job.name], persons=video.of_track())
        if video.known and not video.names_file(people_file):
            video.save(people_file)
            ledger.rewritten(job, Outcome())
        elif not video.known:
            stale.append(replace(job, persons=video.of_track(), names=video.names))
    if stale:
        if batch.run.save_crops:
            _LOGGER.info("the folders of --save-crops keep the persons of their own video")
        with closing(_engine(batch, len(stale))) as engine:
            for attempt in run_jobs(stale, engine, retries=batch.retries, started=lambda *_: None):
                job, error = attempt.job, attempt.outcome.error
                if not error:
                    with stop.held():
                        people.videos[job.name].save(people_file)
                        ledger.rewritten(job, attempt.outcome)
                    results[job.name] = replace(results[job.name], counted=attempt.outcome.counted)
                elif not attempt.again:
                    _LOGGER.warning("%s: the people of all videos could not be written: %s", job.name, error)
                    results[job.name] = replace(results[job.name], status="failed", error=error)
    people.write(people_file)
    return people


def _attempts(
    batch: BatchPlan, jobs: Sequence[Job], engine: Engine, ledger: Ledger, stop: Stop
) -> Iterator[Attempt]:
    """Run the jobs, record their outcomes and show the progress."""
    shown: set[str] = set()
    hidden = True if batch.run.quiet else None
    with tqdm(total=len(jobs), unit="video", disable=hidden, file=sys.stderr) as bar:
        for attempt in run_jobs(jobs, engine, retries=batch.retries, started=ledger.started):
            job, outcome = attempt.job, attempt.outcome
            with stop.held():
                ledger.ended(job, outcome, attempt.number)
            for note in outcome.notes:
                if note not in shown:
                    shown.add(note)
                    _LOGGER.info("%s: %s", job.name, note)
            if outcome.error:
                again = ", trying again" if attempt.again else ""
                _LOGGER.warning("%s failed%s: %s", job.name, again, outcome.error)
            bar.update(not attempt.again)
            yield attempt


def _engine(batch: BatchPlan, videos: int) -> Engine:
    """Return the engine of the run."""
    threads = batch.run.threads or 1
    if batch.engine == "ray":
        from deepsort_paddle.batch.worker import run_job

        gpus = int(batch.run.device.startswith("gpu"))
        return RayEngine(run_job, batch.workers, threads=threads, gpus=gpus)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = batch.workers or max(1, cores // threads)
    return ProcessEngine(min(workers, videos), threads=threads)


def _result(attempt: Attempt) -> VideoResult:
    """Return the result of a video after this attempt."""
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
    """Return the result of a video that an earlier run tracked."""
    files = tuple(str(status.path.parent / name) for name in record["files"])
    known = {name: record[name] for name in ("frames", "ids", "seconds") if name in record}
    counted = tuple(record.get("counted", ()))
    return replace(result, status="done before", files=files, counted=counted, **known)
