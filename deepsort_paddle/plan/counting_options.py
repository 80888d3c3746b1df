"""The options of a run about lines, zones and the time of day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepsort_paddle.plan.argument_types import duration, event_file, line, moment, page_file, zone
from deepsort_paddle.plan.option import option

if TYPE_CHECKING:
    from deepsort_paddle.counting.places import Line, Zone

__all__ = ["CountingOptions"]

_GROUP = "counting (bottom centre of boxes; pixels, or fractions from 0 to 1; repeatable)"


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class CountingOptions:
    """Where people are counted, and how counts are reported."""

    lines: tuple[Line, ...] = option(
        (),
        "count crossings of this line to its right and to its left; IN/OUT names the two directions",
        group=_GROUP,
        metavar="NAME:x1,y1,x2,y2[:IN/OUT]",
        flag="--line",
        kind=line,
        repeat=True,
    )
    zones: tuple[Zone, ...] = option(
        (),
        "count who enters and leaves this polygon, and for how long they stay",
        group=_GROUP,
        metavar="NAME:x1,y1,x2,y2,x3,y3,...",
        flag="--zone",
        kind=zone,
        repeat=True,
    )
    pick: str | None = option(
        None,
        "write a page with the first frame on which lines and zones are drawn with the mouse, and track "
        "nothing [pick.html]",
        group=_GROUP,
        metavar="FILE.html",
        role="file",
        kind=page_file,
        bare="pick.html",
    )
    loiter: float | None = option(
        None,
        "report who stays in a zone for this long: 30s, 5min",
        group=_GROUP,
        metavar="TIME",
        kind=duration,
    )
    events: str | None = option(
        None,
        "all crossings, entries and exits with time, track and person; FILE.jsonl for JSON lines",
        group=_GROUP,
        metavar="FILE.csv",
        role="file",
        kind=event_file,
    )
    count_every: float | None = option(
        None,
        "also count per interval: 15min, 1h",
        group=_GROUP,
        metavar="TIME",
        kind=duration,
    )
    counts: str | None = option(
        None,
        "table of the counts, per interval with --count-every",
        group=_GROUP,
        metavar="FILE.csv",
        role="file",
    )
    start_time: str | None = option(
        None,
        "date and time of the first frame, such as 2026-05-01T08:00; results then show the time of day "
        "[for a camera or stream: now]",
        group=_GROUP,
        metavar="TIME",
        kind=moment,
    )
