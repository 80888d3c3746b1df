"""The result of a run, and its totals while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepsort_paddle.counting.counter import Counts, TrackCounter
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.counting.intervals import IntervalCounts
from deepsort_paddle.frames import FrameSource
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.review import Review
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.tracking.decision_log import Journal
from deepsort_paddle.tracking.explain import explain
from deepsort_paddle.wall_clock import WallClock

__all__ = ["Progress", "RunResult"]

_STAGES = ("read", "detect", "encode", "track", "write")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of tracking one source.

    Attributes:
        name: name of the source.
        frames: number of tracked frames.
        frames_written: number of frames that the outputs contain; fewer than ``frames`` where a signal ended
            the second pass of ``identities``.
        ids: ids of the reported tracks, ascending.
        broken_frames: number of frames that could not be read or that the decoder reported as damaged.
        reconnects: how often a lost stream was reconnected.
        skipped_frames: frames of a live source that arrived while an earlier one was tracked.
        lag: mean seconds from the arrival of a live source's frame to the end of its outputs.
        max_lag: largest lag of a frame, in seconds.
        started: wall clock of timestamp 0 of a live source, seconds since 1970.
        start_time: date and time of timestamp 0, ISO 8601; None when unknown.
        elapsed: wall-clock seconds from the first frame to the last.
        seconds: wall-clock seconds of each stage: read, detect, encode, track, write. Stages overlap, so
            their sum may be larger than ``elapsed``.
        counts: counts of lines and zones; None if there are none.
        outputs: path of each file or folder written, by option.
        warnings: notes and warnings, one line each.
        stopped_by: number of the signal that ended the run early; 0 if none did.
        decisions: why tracks were started, matched and lost; None without ``explain`` and ``explain_csv``.
        linked: ids that ``offline`` linked to other tracks: from the tracker's id to the id in the results.
        persons: person of each track, named by the id of its first track; None without ``identities``.
        people_interval: fewest and most people, with a probability of 0.9; None if unknown.
        names: names of persons that corrections gave, by person.

    Example:
        >>> result = RunResult(
        ...     name="a", frames=2, frames_written=2, ids=(1, 3), elapsed=0.1, seconds={"read": 0.02}
        ... )
        >>> print(result.frames, "frames,", len(result.ids), "tracks")
        2 frames, 2 tracks
    """

    name: str
    frames: int
    frames_written: int
    ids: tuple[int, ...]
    broken_frames: int = 0
    reconnects: int = 0
    skipped_frames: int = 0
    lag: float | None = None
    max_lag: float | None = None
    started: float | None = None
    start_time: str | None = None
    elapsed: float
    seconds: Mapping[str, float]
    counts: Counts | None = None
    outputs: Mapping[str, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    stopped_by: int = 0
    decisions: Journal | None = field(default=None, repr=False)
    linked: Mapping[int, int] = field(default_factory=dict)
    persons: Mapping[int, int] | None = None
    people_interval: tuple[int, int] | None = None
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def people(self) -> int | None:
        """Number of different people; None without ``identities``."""
        return None if self.persons is None else len(set(self.persons.values()))

    @property
    def fps(self) -> float:
        """Frames per second of the whole run."""
        return self.frames / max(self.elapsed, 1e-9)

    def explain(self, track_id: int) -> str:
        """Describe the life of a track, one line per event.

        Raises:
            ValueError: there is no such id, or the plan had neither ``explain`` nor ``explain_csv``.
        """
        if self.decisions is None:
            raise ValueError("no decisions were recorded: pass explain=[...] to the run")
        lines = []
        for known in [track_id, *(old for old, new in sorted(self.linked.items()) if new == track_id)]:
            lines.append(explain(self.decisions, known))
            if known in self.linked:
                new = self.linked[known]
                lines.append(f"{'end':>11}  linked     --offline made it id {new}, by appearance")
        return "\n".join(lines)


class Progress:
    """The totals of a run up to the current frame.

    Attributes:
        frames: tracked so far.
        written_again: frames that outputs got a second time; those outputs contain no others.
        ids: reported so far.
        persons: person of each track; None until they are known, see ``identities`` of the plan.
        people_interval: fewest and most people; None until that is known.
        review: questions about the people, for the report page; None until they are known.
        names: of persons who were given one.
        counting: what lines and zones counted; None where there are none.
        broken: frames that could not be read.
    """

    def __init__(
        self,
        source: FrameSource,
        counter: TrackCounter | None,
        *,
        count_every: float | None = None,
        start_time: str | None = None,
        broken: int | None = None,
    ) -> None:
        """Start the clock.

        Args:
            source: what is tracked.
            counter: counts at lines and in zones.
            count_every: length in seconds of the intervals that are counted separately.
            start_time: date and time of timestamp 0; None: that of a live source.
            broken: frames that could not be read, where the source was read before.
        """
        self.frames = 0
        self.written_again = 0
        self.ids: set[int] = set()
        self.persons: dict[int, int] | None = None
        self.people_interval: tuple[int, int] | None = None
        self.review: Review | None = None
        self.names: dict[int, str] = {}
        self.source = source
        self._start = None if start_time is None else WallClock.parse(start_time)
        self._every, self._broken = count_every, broken
        self.counting: CountHistory | None = None
        self.start_counting(counter)
        self._lag = self._max_lag = self._sum_lag = 0.0
        self._seconds = dict.fromkeys(_STAGES, 0.0)
        self._began = time.perf_counter()

    def start_counting(self, counter: TrackCounter | None) -> None:
        """Count from the first frame on, in place of what was counted."""
        self.counting = None
        if counter is not None:
            self.counting = CountHistory(counter, every=self._every, phase=self._phase)

    def clock(self) -> WallClock | None:
        """The wall clock, as asked for or of a live source; None when unknown."""
        if self._start is None and self.source.started is not None:
            return WallClock.of_epoch(self.source.started)
        return self._start

    def counts(self) -> Counts | None:
        """What lines and zones counted; None where there are none."""
        return None if self.counting is None else self.counting.counts(self.persons)

    def intervals(self) -> tuple[IntervalCounts, ...]:
        """The same for each interval; the whole run is one where no other was asked for."""
        return () if self.counting is None else self.counting.intervals(self.persons)

    def _phase(self) -> float:
        """Seconds from the begin of an interval to timestamp 0: intervals begin at midnight."""
        clock = self.clock()
        return 0.0 if clock is None else clock.seconds_of_day()

    def add(self, tracked: TrackedFrame, write: float) -> None:
        """Add one frame and the seconds that its outputs took."""
        self.frames += 1
        self.ids.update(tracked.tracks.ids.tolist())
        for stage in _STAGES[:-1]:
            self._seconds[stage] += getattr(tracked.seconds, stage)
        self._seconds["write"] += write
        self._lag = self.source.lag(tracked.frame) or 0.0
        self._sum_lag += self._lag
        self._max_lag = max(self._max_lag, self._lag)

    def add_write(self, seconds: float) -> None:
        """Take in what the outputs of a frame took that was counted before."""
        self.written_again += 1
        self._seconds["write"] += seconds

    @property
    def broken(self) -> int:
        """Frames that could not be read."""
        return self.source.broken if self._broken is None else self._broken

    def who_is_who(self) -> Persons | None:
        """Which person each track is; None until that is known."""
        return None if self.persons is None else Persons(self.persons, self.names)

    def rates(self) -> dict[str, float]:
        """Return frames per second of each stage that took any time."""
        return rates(self.frames, self._seconds)

    def speed(self) -> dict[str, float]:
        """Return frames per second of each stage, and of the whole run."""
        return {**self.rates(), "all": self.frames / max(time.perf_counter() - self._began, 1e-9)}

    def line(self) -> str:
        """Return the number of ids, and the lag of a live source, short enough for a progress bar."""
        if self.source.live:
            return f"{len(self.ids)} ids, {self._lag:.1f} s late, {self.source.skipped} skipped"
        return f"{len(self.ids)} ids"

    def totals(self) -> dict[str, Any]:
        """Return frames, tracks, people if known, broken frames, and the lag of a live source."""
        people: dict[str, Any] = {}
        if self.persons is not None:
            people["people"] = len(set(self.persons.values()))
        if self.people_interval is not None:
            people["people_interval"] = list(self.people_interval)
        tracks = {"frames": self.frames, "tracks": len(self.ids)}
        return {**tracks, **people, "broken_frames": self.broken, **self._live()}

    def _live(self) -> dict[str, Any]:
        """Return skipped frames, lag in seconds and start of a live source."""
        if not self.source.live or self.source.started is None:
            return {}
        return {
            "skipped_frames": self.source.skipped,
            "lag": round(self._sum_lag / max(1, self.frames), 3),
            "max_lag": round(self._max_lag, 3),
            "started": self.source.started,
        }

    def summary(self) -> dict[str, Any]:
        """Return totals, identities and counts as plain values for JSON."""
        persons: dict[str, Any] = {} if self.persons is None else {"person_of_track": self.persons}
        if self.names:
            persons["names"] = self.names
        found = self.counts()
        counts = {} if found is None else {"counts": found.as_dict()}
        return {**self.totals(), **persons, **counts}

    def result(self, **known: Any) -> RunResult:
        """Return the result of the run, which ends now; ``known`` are further fields of `RunResult`."""
        clock = self.clock()
        return RunResult(
            name=self.source.name,
            frames=self.frames,
            frames_written=self.written_again or self.frames,
            ids=tuple(sorted(self.ids)),
            broken_frames=self.broken,
            reconnects=self.source.reconnects,
            elapsed=time.perf_counter() - self._began,
            seconds=dict(self._seconds),
            counts=self.counts(),
            persons=self.persons,
            people_interval=self.people_interval,
            start_time=None if clock is None else clock.iso(0.0),
            names=self.names,
            **self._live(),
            **known,
        )


def rates(frames: int, seconds: Mapping[str, float]) -> dict[str, float]:
    """Return frames per second of each stage that took any time."""
    return {stage: frames / spent for stage, spent in seconds.items() if spent > 1e-6 * frames}
