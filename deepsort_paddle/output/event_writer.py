"""Write counts as tables: every event with its time, and the counts of each interval."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.counting.intervals import IntervalCounts
from deepsort_paddle.counting.places import CountEvent
from deepsort_paddle.output.writers import TextFile
from deepsort_paddle.part_files import temporary_path
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.wall_clock import WallClock

__all__ = ["COUNT_COLUMNS", "EVENT_COLUMNS", "CountWriter", "EventWriter"]

EVENT_COLUMNS = (
    *("time", "seconds", "frame", "kind", "name", "direction"),
    *("track", "person", "class_id", "stay", "inside"),
)
COUNT_COLUMNS = ("start_time", "end_time", "start", "end", "kind", "name", "measure", "value", "people")


class EventWriter(TextFile):
    """Write a row per event: CSV with a header for a file ``NAME.csv``, else JSON lines.

    Rows are written as the events happen. Persons are only known at the end, so their column is filled in
    when the file is closed.
    """

    def __init__(
        self,
        path: str | Path,
        history: CountHistory,
        *,
        clock: Callable[[], WallClock | None] = lambda: None,
        persons: Callable[[], Mapping[int, int] | None] = lambda: None,
    ) -> None:
        """Open the file.

        Args:
            path: the file.
            history: has the events of each frame before this writer receives it.
            clock: the wall clock; None if unknown.
            persons: returns the person of each track; called when the file is closed; None if unknown.

        Raises:
            OSError: the file cannot be written.
        """
        super().__init__(path)
        self._history, self._clock, self._persons = history, clock, persons
        self._as_csv = self.path.suffix.lower() == ".csv"
        if self._as_csv:
            self._file.write(_csv_row(EVENT_COLUMNS))

    def write(self, tracked: TrackedFrame) -> None:
        """Append the events of one frame."""
        for event in self._history.latest:
            self._file.write(self._row(self._record(tracked.frame.number, event)))
        self._file.flush()

    def _record(self, frame: int, event: CountEvent) -> dict[str, Any]:
        seconds, clock = self._history.counter.seconds, self._clock()
        inside = self._history.counter.occupancy() if event.kind == "zone" else {}
        return {
            "time": None if clock is None else clock.iso(seconds),
            "seconds": round(seconds, 3),
            "frame": frame,
            "kind": event.kind,
            "name": event.name,
            "direction": self._history.direction_name(event),
            "track": event.track_id,
            "person": None,
            "class_id": event.class_id,
            "stay": None if event.stay is None else round(event.stay, 3),
            "inside": inside.get(event.name),
        }

    def _row(self, record: Mapping[str, Any]) -> str:
        return _csv_row(record.values()) if self._as_csv else json.dumps(record, ensure_ascii=False) + "\n"

    def _finish(self) -> None:
        persons = self._persons()
        part = temporary_path(self.path)
        if persons is None or not part.is_file():
            return
        self._file.flush()
        with part.open(encoding="utf-8", newline="") as written:
            records: list[Any] = list(csv.DictReader(written) if self._as_csv else map(json.loads, written))
        self._file.seek(0)
        self._file.truncate()
        if self._as_csv:
            self._file.write(_csv_row(EVENT_COLUMNS))
        for record in records:
            track = int(record["track"])
            self._file.write(self._row({**record, "person": persons.get(track, track)}))


class CountWriter(TextFile):
    """Write the counts of each interval, or of the run, as CSV: a row per line or zone and direction."""

    def __init__(
        self,
        path: str | Path,
        intervals: Callable[[], Sequence[IntervalCounts]],
        *,
        clock: Callable[[], WallClock | None] = lambda: None,
    ) -> None:
        """Open the file; the callables are called when it is closed.

        Args:
            path: the file.
            intervals: returns the intervals of the run.
            clock: returns the wall clock; None if unknown.

        Raises:
            OSError: the file cannot be written.
        """
        super().__init__(path)
        self._intervals, self._clock = intervals, clock

    def write(self, tracked: TrackedFrame) -> None:
        """Do nothing: the counts are written at the end."""

    def _finish(self) -> None:
        clock = self._clock()
        self._file.write(_csv_row(COUNT_COLUMNS))
        for interval in self._intervals():
            times = [round(interval.start, 3), round(interval.end, 3)]
            days = ["", ""] if clock is None else [clock.iso(interval.start), clock.iso(interval.end)]
            for place in interval.places:
                people = place.people or {}
                values: list[tuple[Any, ...]] = [
                    (word, count, people.get(word)) for word, count in place.counts.items()
                ]
                if place.mean_inside is not None:
                    values.append(("mean inside", round(place.mean_inside, 3), None))
                    values.append(("peak inside", place.peak_inside, None))
                for value in values:
                    self._file.write(_csv_row([*days, *times, place.kind, place.name, *value]))


def _csv_row(values: Any) -> str:
    """Return a line of CSV; None is empty."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
