"""Turns the sources and options of a command into one job per video.

Videos share their settings but not their files. In options that name a file, ``{name}`` stands for the name
in the results, ``{stem}`` for the video's file name without suffix, ``{folder}`` for its folder and
``{source}`` for the video itself. Videos with the same name get the name of their folder as a prefix.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepsort_paddle.batch.jobs import Job
from deepsort_paddle.command.checks import expect_video
from deepsort_paddle.detection.saved_detections import SUFFIX
from deepsort_paddle.media.addresses import is_address, is_film
from deepsort_paddle.media.source import stream_name
from deepsort_paddle.motchallenge.sequence import sequence_folders
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.run_plan import PLACEHOLDERS

__all__ = ["make_jobs", "read_sources", "unique_names"]


def read_sources(batch: BatchPlan) -> list[str]:
    """Return all sources to track, checked: those of the command line, then those of the list file.

    Raises:
        OSError: the list cannot be read, or a video does not exist.
        ValueError: a video is given twice, or is live.
    """
    sources = [expanded for source in batch.sources for expanded in _sequences(source)]
    if batch.list_file:
        text = sys.stdin.read() if batch.list_file == "-" else _read(batch.list_file)
        lines = (line.strip() for line in text.splitlines())
        named = [line for line in lines if line and not line.startswith("#")]
        sources += [expanded for source in named for expanded in _sequences(source)]
    if not sources:
        where = f"--sources {batch.list_file}" if batch.list_file else "the list of sources"
        raise ValueError(f"{where} is empty: expected at least one video")
    for source in sources:
        if is_address(source):
            if not is_film(source):
                raise ValueError(f"{stream_name(source)} is live: track it in a run of its own")
        elif Path(source).is_char_device() or (source.isdecimal() and not Path(source).exists()):
            raise ValueError(f"camera {source} is live: track it in a run of its own")
        elif not Path(source).exists():
            raise FileNotFoundError(f"no such file or folder: {source}")
        expect_video(source)
    twice = [source for source, count in Counter(map(_full, sources)).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice")
    return sources


def make_jobs(batch: BatchPlan, sources: Sequence[str], kept: Mapping[str, str]) -> list[Job]:
    """Return one job per source.

    Args:
        batch: the plan of the run.
        sources: the result of `read_sources`.
        kept: names of sources in earlier runs; they are kept, and no other source gets one of them.

    Raises:
        OSError: a detection file does not exist.
        ValueError: two videos would write the same file.
    """
    plan = batch.run
    if plan.show:
        raise ValueError("--show works with one video only")
    if plan.pick:
        raise ValueError("--pick works with one video only")
    if plan.explain:
        raise ValueError("--explain works with one video only; use --explain-csv with {name}")
    plan = replace(plan, quiet=True, threads=plan.threads or 1, read_ahead=plan.read_ahead or 0)
    if plan.identities and plan.index is None:  # people are joined across the videos by their indexes
        plan = replace(plan, index=str(batch.folder / "{name}.sqlite"))
    jobs = []
    for source, name in zip(sources, unique_names(sources, kept), strict=True):
        files: dict[str, Any] = {option: _filled(path, source, name) for option, path in plan.files().items()}
        if plan.same_camera is not None:
            files["same_camera"] = _filled(plan.same_camera, source, name)
        if plan.detections is not None:
            files["detections"] = _detections(plan.detections, source, name, len(sources))
        jobs.append(Job(name, replace(plan, source=source, name=name, **files), str(Path.cwd())))
    _check_apart(jobs)
    return jobs


def unique_names(sources: Sequence[str], kept: Mapping[str, str] | None = None) -> list[str]:
    """Return a unique name for each source, ignoring case.

    ``a/x.mp4, b/x.mp4`` become ``a_x, b_x``; ``x.mp4, x.avi`` become ``x_mp4, x_avi``. ``kept`` names stay.
    """
    kept = kept or {}
    stems = Counter((_folder(source), _stem(source).lower()) for source in sources)
    parts = []
    for source in sources:
        alone = stems[_folder(source), _stem(source).lower()] == 1
        base = _stem(source) if alone else _file_name(source).replace(".", "_")
        parts.append([*(part.strip("/\\:") or "root" for part in Path(_folder(source)).parts), base])
    depths = [1] * len(sources)
    taken = Counter(name.lower() for name in kept.values())
    while True:
        names = [
            kept.get(source) or "_".join(part[-depth:])
            for source, part, depth in zip(sources, parts, depths, strict=True)
        ]
        fresh = [source not in kept for source in sources]
        seen = taken + Counter(name.lower() for name, new in zip(names, fresh, strict=True) if new)
        clash = [row for row, name in enumerate(names) if fresh[row] and seen[name.lower()] > 1]
        deeper = [row for row in clash if depths[row] < len(parts[row])]
        if not deeper:
            break
        for row in deeper:
            depths[row] += 1
    used = {name.lower() for row, name in enumerate(names) if row not in clash} | set(taken)
    for row in clash:  # a_b/c and a/b_c
        number, name = 2, names[row]
        while name.lower() in used:
            name, number = f"{names[row]}-{number}", number + 1
        names[row] = name
        used.add(name.lower())
    return names


def _sequences(source: str) -> list[str]:
    """Return the sequences of a benchmark folder, or the source itself."""
    return [str(folder) for folder in sequence_folders(source)] or [source]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"--sources {path} is not a text file in UTF-8") from None


def _full(path: str) -> str:
    """Return an absolute path without ``..``, without resolving links; addresses are returned unchanged."""
    return path if is_address(path) else os.path.normpath(Path(path).absolute())


def _folder(source: str) -> str:
    return "" if is_address(source) else str(Path(_full(source)).parent)


def _file_name(source: str) -> str:
    return stream_name(source) if is_address(source) else Path(_full(source)).name


def _stem(source: str) -> str:
    """Return the file name without suffix, the folder's name, or a file name for an address."""
    name = _file_name(source)
    return name if is_address(source) or Path(source).is_dir() else Path(name).stem


def _filled(template: str, source: str, name: str) -> str:
    """Return a file name with its placeholders filled in."""
    folder = str(Path(source).parent)
    values = {"{name}": name, "{stem}": _stem(source), "{folder}": folder, "{source}": source}
    for placeholder in PLACEHOLDERS:
        template = template.replace(placeholder, values[placeholder])
    return template


def _detections(template: str, source: str, name: str, videos: int) -> str:
    """Return the detection file of one video."""
    path = _filled(template, source, name)
    if Path(path).is_dir():
        saved = Path(path) / f"{name}{SUFFIX}"
        path = str(saved if saved.is_file() else Path(path) / f"{name}.txt")
    elif path == template and videos > 1:
        raise ValueError(
            f"--detections {template} is one file for {videos} videos: give the folder with NAME.txt or "
            "NAME.npz for each, or put {name}, {stem}, {folder} or {source} into it"
        )
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}, the detections of {source}")
    return path


def _check_apart(jobs: Sequence[Job]) -> None:
    """Raise if outputs would replace an input or another output, or two videos share detections."""
    readers: dict[str, str] = {}
    writers: dict[str, str] = {}
    inputs = {_full(job.source) for job in jobs}
    for job in jobs:
        detections = job.plan.detections
        if detections and (other := readers.setdefault(_full(detections), job.source)) != job.source:
            raise ValueError(f"{other} and {job.source} would both use the detections {detections}")
    for job in jobs:
        for option, path in job.plan.files().items():
            full, flag = _full(path), "--" + option.replace("_", "-")
            if full in inputs or full in readers:
                raise ValueError(f"{flag} {path} would replace an input")
            if (other := writers.setdefault(full, job.source)) != job.source:
                raise ValueError(
                    f"{flag} {path} is one file for {other} and {job.source}: put {{name}} into it"
                )
        if job.plan.save_dir:
            results = Path(_full(job.plan.save_dir)) / job.name
            if {f"{results}.txt", f"{results}.mp4"} & (inputs | set(readers)):
                raise ValueError(f"--save-dir {job.plan.save_dir} would replace an input")
