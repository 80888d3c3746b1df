"""The report of a run as one page: video, timeline, events, counts over time, heat map, people, settings.

The page needs no network and no other file: style, script, thumbnails and a small video are embedded. Names
come from users and models, so the template escapes everything, and the page's content security policy allows
only its own script (by hash) and no connections. No frame is held: the writer keeps the best thumbnail of
each track, its box every 0.2 seconds, and a few small frames for the background of the heat map.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2

from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.counting.places import Counts
from deepsort_paddle.output.draw import track_color
from deepsort_paddle.output.page import PageTemplate, data_uri
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.report.best_crops import BestCrops
from deepsort_paddle.output.report.heat_map import heat_maps
from deepsort_paddle.output.report.over_time import PageEvent, count_section, direction_words, split_time
from deepsort_paddle.output.report.page_clock import PageClock
from deepsort_paddle.output.report.scene import Scene
from deepsort_paddle.output.report.track_path import SAMPLE, TrackPath
from deepsort_paddle.output.review import Review
from deepsort_paddle.part_files import CompletedOnExit, real_path, replacing
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.wall_clock import WallClock

__all__ = ["HtmlReport"]


class HtmlReport(CompletedOnExit):
    """Writes the report of a run when it is closed, even after Ctrl-C."""

    def __init__(
        self,
        path: str | Path,
        meta: Mapping[str, Any],
        *,
        video: str | Path | None = None,
        inline_limit: float = 20.0,
        summarise: Callable[[], Mapping[str, Any]] = dict,
        speed: Callable[[], Mapping[str, float]] = dict,
        history: CountHistory | None = None,
        clock: Callable[[], WallClock | None] = lambda: None,
        persons: Persons | None = None,
        review: Review | None = None,
    ) -> None:
        """Prepare a page; the callables are called when it is written.

        Args:
            path: path of the page.
            meta: ``name``, ``fps``, ``width``, ``height``, ``class_names``, ``settings``, ``versions``, as in
                the JSON output.
            video: the annotated video, complete when the page is closed; None for a page without video.
            inline_limit: largest video in megabytes to embed; a larger one is linked by its path relative
                to the page.
            summarise: returns frames, tracks, broken_frames.
            speed: returns frames per second by stage.
            history: has the events of each frame before this writer gets it; None without lines and zones.
            clock: the wall clock; None where nobody knows it.
            persons: which person each track is; None if unknown.
            review: questions about the people, and thumbnails chosen by quality.

        Raises:
            ImportError: Jinja2 is not installed.
        """
        self.path, self._meta = Path(path), meta
        self._video = None if video is None else Path(video)
        self._limit = inline_limit
        self._persons, self._review = persons, review or Review()
        self._summarise, self._speed, self._wall = summarise, speed, clock
        self._history = history
        self._template = PageTemplate(
            "deepsort_paddle.output", "report_page", sources=("img-src data:", "media-src data: 'self' file:")
        )
        self._step = 1 / (meta.get("fps") or 25.0)
        self._times: list[tuple[int, float]] = []  # frame number and time about every second
        self._latest: tuple[int, float] | None = None
        self._paths: dict[int, TrackPath] = {}
        self._events: list[PageEvent] = []
        self._visited: dict[int, dict[str, None]] = {}  # lines and zones of each track
        self._crops, self._scene = BestCrops(), Scene()
        self._duration = 0.0
        self._start: float | None = None
        self._frames = 0

    def write(self, tracked: TrackedFrame) -> None:
        """Add one frame."""
        frame, tracks = tracked.frame, tracked.tracks
        self._frames += 1  # numbers from file names may start anywhere and have gaps
        now = (self._frames - 1) * self._step if frame.timestamp is None else frame.timestamp
        self._start = now if self._start is None else self._start
        now -= self._start  # as the annotated video does
        if not self._times or now - self._times[-1][1] >= 1.0:
            self._times.append((frame.number, round(now, 4)))
        self._latest = (frame.number, round(now, 4))
        self._duration = max(self._duration, now + self._step)
        for row, track_id in enumerate(tracks.ids.tolist()):
            path = self._paths.setdefault(track_id, TrackPath(frame.number, int(tracks.class_id[row])))
            path.add(self._frames, frame.number, now, tracks.boxes[row])
        if self._history is not None:
            for event in self._history.latest:
                direction = self._history.direction_name(event)
                self._visited.setdefault(event.track_id, {})[event.name] = None
                self._events.append(
                    PageEvent(now, frame.number, event.name, direction, event.track_id, event.stay)
                )
        if frame.image is not None:
            self._scene.add(frame.image)
            if not self._review.thumbnails:
                self._crops.add(frame.image, tracked)

    def close(self) -> None:
        """Write the page.

        Raises:
            OSError: it cannot be written.
        """
        with replacing(self.path) as file:
            file.write(self._page().encode())

    def _page(self) -> str:
        video, hint = self._video_source()
        clock = PageClock(self._duration, self._start or 0.0, self._wall())
        counts, every = Counts(), None
        if self._history is not None:
            every = self._history.every
            counts = self._history.counts(None if self._persons is None else self._persons.of_track)
        intervals = split_time(self._duration, every, clock.day_seconds())
        summary = self._summarise()
        return self._template.render(
            title=self._meta.get("name", ""),
            summary=_totals(summary),
            when=clock.whole(),
            video=video,
            hint=hint,
            identities=[self._identity(*item, counts, clock) for item in self._paths.items()],
            axis=clock.axis(),
            counts=count_section(self._paths, self._persons, counts, self._events, intervals, clock),
            people_interval=summary.get("people_interval"),
            places=list(dict.fromkeys(event.name for event in self._events)),
            directions=list(dict.fromkeys(direction_words(event.direction) for event in self._events)),
            heat=self._heat(counts),
            speed=[
                (stage, f"{rate:.1f}", f"{1000 / rate:.2f}")
                for stage, rate in self._speed().items()
                if rate > 0
            ],
            settings=[
                *((name, self._meta.get(name)) for name in ("source", "width", "height", "fps")),
                *self._meta.get("settings", {}).items(),
                *((f"{name} (version)", value) for name, value in self._meta.get("versions", {}).items()),
            ],
            data=self._for_script(clock),
            people=self._persons is not None,
            questions=[self._question(*one, clock) for one in self._review.questions],
            corrections=self._review.corrections is not None,
        )

    def _question(
        self, first: int, second: int, probability: float, joined: bool, clock: PageClock
    ) -> dict[str, Any]:
        """What the template shows of two tracks that may be one person."""
        thumbnails = self._review.thumbnails
        return {
            "tracks": [
                {
                    "id": track,
                    "images": [data_uri("image/jpeg", jpeg) for jpeg in thumbnails.get(track, ())],
                    "times": clock.span(path.start, path.end),
                }
                for track in (first, second)
                if (path := self._paths.get(track)) is not None
            ],
            "probability": f"{100 * probability:.0f} %",
            "joined": joined,
        }

    def _video_source(self) -> tuple[str, str]:
        """Return the address of the video, empty without one, and the hint below it."""
        if self._video is None or not self._video.is_file():
            return "", "This run has no video."
        hint = "Click a bar of the timeline, an event or a track to see it."
        if self._video.stat().st_size <= self._limit * 1e6:
            return data_uri("video/mp4", self._video.read_bytes()), hint
        relative = Path(_relative(real_path(self._video), real_path(self.path).parent)).as_posix()
        hint += f" The video is not embedded: keep {relative} next to this page."
        return quote(relative), hint

    def _identity(self, track_id: int, path: TrackPath, counts: Counts, clock: PageClock) -> dict[str, Any]:
        """Return the template's values for one id: a row of the timeline and a card."""
        total = max(self._duration, 1e-9)
        names = self._meta.get("class_names") or ()
        persons = self._persons or Persons({})
        person = persons.of(track_id)
        thumbnail = next(iter(self._review.thumbnails.get(track_id, ())), None) or self._crops.of(track_id)
        return {
            "id": track_id,
            "person": person,
            "named": persons.names.get(person, ""),
            "who": persons.names.get(person) or f"Person {person}",
            "start": f"{path.start:.2f}",
            "seconds": f"{path.frames * self._step:.2f}",
            "color": _color(person),
            "bars": [
                (f"{100 * run[0] / total:.3f}", f"{100 * (end + self._step - run[0]) / total:.3f}")
                for run, end in zip(path.runs, path.run_ends, strict=True)
            ],
            "name": names[path.class_id] if 0 <= path.class_id < len(names) else f"class {path.class_id}",
            "image": data_uri("image/jpeg", thumbnail) if thumbnail else "",
            "times": clock.span(path.start, path.end),
            "frames": "1 frame" if path.frames == 1 else f"{path.frames} frames",
            "places": list(self._visited.get(track_id, ())),
            "stays": [
                (zone.zone.name, f"{zone.dwell[track_id]:.1f}")
                for zone in counts.zones
                if track_id in zone.dwell
            ],
        }

    def _label(self, track_id: int) -> str:
        """A track, and the person where that is known."""
        if self._persons is None:
            return f"Track {track_id}"
        person = self._persons.of(track_id)
        who = self._persons.names.get(person) or f"Person {person}"
        return who if who == f"Person {track_id}" else f"{who} (track {track_id})"

    def _heat(self, counts: Counts) -> dict[str, Any] | None:
        """Return the template's values for the heat map; None without tracks or the size of the frames."""
        width, height = self._meta.get("width"), self._meta.get("height")
        if not (width and height and self._paths):
            return None
        persons = None if self._persons is None else [self._persons.of(track) for track in self._paths]
        stood, passed = heat_maps(self._paths, width, height, persons)
        scene = self._scene.image()
        encoded = None if scene is None else cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        return {
            "width": width,
            "height": height,
            "scene": "" if encoded is None else data_uri("image/jpeg", encoded.tobytes()),
            "reach": round(stood.reach),
            "layers": [
                ("Stood", data_uri("image/png", stood.png()), f"{stood.most:.0f} s"),
                ("Walked", data_uri("image/png", passed.png()), f"{passed.most:.0f}"),
            ],
            "lines": [(line.line.name, *line.line.start, *line.line.end) for line in counts.lines],
            "zones": [(zone.zone.name, zone.zone.polygon) for zone in counts.zones],
        }

    def _for_script(self, clock: PageClock) -> dict[str, Any]:
        """Return the data for the page's script."""
        return {
            "step": self._step,
            "duration": self._duration,
            "width": self._meta.get("width") or 1,
            **clock.for_script(),
            "frames": [*self._times, *([self._latest] if self._latest else [])],
            "corrections": self._review.corrections,
            "events": [
                [
                    round(event.seconds, 3),
                    event.name,
                    direction_words(event.direction),
                    event.track,
                    None if event.stay is None else round(event.stay, 1),
                ]
                for event in self._events
            ],
            "tracks": {
                str(track_id): {
                    "label": self._label(track_id),
                    "start": path.start,
                    "frame": path.first,
                    "last": path.last,
                    "runs": [_numbers(run) for run in path.runs],
                    "ends": [round(end, 3) for end in path.run_ends],
                }
                for track_id, path in self._paths.items()
            },
        }


def _totals(summary: Mapping[str, Any]) -> str:
    """Return the totals of a run in one line."""
    interval = summary.get("people_interval")
    words = []
    for key, value in summary.items():
        if key == "people" and interval and list(interval) != [value, value]:
            words.append(f"{value} people ({interval[0]} to {interval[1]})")
        elif key != "people_interval":
            words.append(f"{value} {key.replace('_', ' ')}")
    return ", ".join(words)


def _numbers(run: array[float]) -> list[float]:
    """A run as the page wants it: seconds, x, y, width, height of each sample, pixels as whole numbers."""
    return [value if place % SAMPLE == 0 else int(value) for place, value in enumerate(run)]


def _color(track_id: int) -> str:
    blue, green, red = track_color(track_id)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _relative(path: Path, folder: Path) -> str:
    """Return ``path`` relative to ``folder``, or its full address on another drive."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return path.as_uri()
