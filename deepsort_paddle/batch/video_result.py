"""What became of each of many videos, and the table of it that ``deepsort-track`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from deepsort_paddle.console.one_line import columns, padded

__all__ = ["VideoResult", "table", "total"]

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


def table(results: Sequence[VideoResult]) -> str:
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


def total(results: Sequence[VideoResult], seconds: float) -> str:
    """All videos in one line."""
    counts = Counter(result.status for result in results)
    parts = ", ".join(f"{counts[status]} {status}" for status in _STATUSES if counts[status])
    frames = sum(result.frames for result in results if result.status == "done")
    speed = f"; {frames} frames in {seconds:.1f} s, {frames / seconds:.1f} fps" if frames else ""
    return f"{len(results)} video{'' if len(results) == 1 else 's'}: {parts}{speed}"
