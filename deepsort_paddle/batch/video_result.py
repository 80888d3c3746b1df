"""The results of many videos, and the table of them that ``deepsort-track`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deepsort_paddle.console.one_line import columns, padded

__all__ = ["VideoResult", "table", "total"]

_STATUSES = ("done", "done before", "failed", "not tracked")


@dataclass(frozen=True, slots=True)
class VideoResult:
    """The result of one of many videos.

    Attributes:
        name: name of its result files.
        source: the video as given by the user.
        status: ``done``, ``failed``, ``done before`` (by an earlier run, and its results still exist) or
            ``not tracked`` (the run was stopped).
        frames: number of tracked frames.
        ids: number of reported ids.
        seconds: duration of the last attempt.
        attempts: number of attempts in this run.
        error: why it failed, one line; empty if it did not.
        files: files and folders written.
        counted: counts of lines and zones, one line each.
        persons: person of each track, the same number in all videos; None without ``identities``.

    Example:
        >>> VideoResult(name="street", source="cam1/street.mp4", status="done", frames=600, ids=14).ids
        14
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
    persons: Mapping[int, int] | None = None


def table(results: Sequence[VideoResult]) -> str:
    """Return a table with one row per video, followed by its counts."""
    joined = any(result.persons is not None for result in results)
    rows = [("video", "frames", "ids", *(["people"] if joined else []), "seconds", "status")]
    for result in results:
        tracked = result.status.startswith("done")
        people = [str(len(set((result.persons or {}).values())))] if joined else []
        known = (str(result.frames), str(result.ids), *people, f"{result.seconds:.1f}")
        figures = known if tracked else ("-",) * len(known)
        tries = f", attempt {result.attempts}" if result.attempts > 1 else ""
        rows.append(
            (result.name, *figures, result.status + tries + (f": {result.error}" if result.error else ""))
        )
    last = len(rows[0]) - 1
    wide = [max(columns(row[column]) for row in rows) for column in range(last)]
    below = [(), *(result.counted for result in results)]
    lines = []
    for row, counted in zip(rows, below, strict=True):
        cells = [cell.rjust(width) for cell, width in zip(row[1:last], wide[1:], strict=True)]
        lines.append("  ".join([padded(row[0], wide[0]), *cells, row[last]]))
        lines += [f"  {text}" for text in counted]
    return "\n".join(lines)


def total(results: Sequence[VideoResult], seconds: float) -> str:
    """Return the totals of all videos as one line."""
    counts = Counter(result.status for result in results)
    parts = ", ".join(f"{counts[status]} {status}" for status in _STATUSES if counts[status])
    frames = sum(result.frames for result in results if result.status == "done")
    speed = f"; {frames} frames in {seconds:.1f} s, {frames / seconds:.1f} fps" if frames else ""
    return f"{len(results)} video{'' if len(results) == 1 else 's'}: {parts}{speed}"
