"""The report of a run as one page: video, timeline of the tracks, thumbnails, counts, speed, settings.

The page needs no network and no other file: style, script, thumbnails and a small video are embedded. Names
come from users and models, so the template escapes everything, and the page's content security policy allows
only its own script (by hash) and no connections. No frame is held: the writer keeps the best thumbnail of
each track and its box every 0.2 seconds.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import boxes as box_ops
from deepsort_paddle.counting.places import Counts
from deepsort_paddle.output.draw import track_color
from deepsort_paddle.output.page import PageTemplate, data_uri
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.output.review import Review
from deepsort_paddle.part_files import CompletedOnExit, real_path, replacing
from deepsort_paddle.tracked_frame import TrackedFrame

__all__ = ["HtmlReport"]

_SAMPLE = 5  # numbers
_SAMPLE_SECONDS = 0.2  # between two boxes of a track in the page
_THUMBNAIL = (160, 120)  # largest height, width


@dataclass(slots=True)
class _Identity:
    """What the page shows of one id; each run is a flat list of samples: seconds, x, y, width, height."""

    first: int
    last: int
    class_id: int
    frames: int = 0
    last_index: int = 0
    end: float = 0.0
    runs: list[array[float]] = field(default_factory=list)
    run_ends: list[float] = field(default_factory=list)
    score: float = 0.0
    thumbnail: bytes = b""


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
        counts: Callable[[], Counts] = Counts,
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
            counts: returns the counts of lines and zones.
            persons: which person each track is; None if unknown.
            review: questions about the people, and thumbnails chosen by quality.

        Raises:
            ImportError: Jinja2 is not installed.
        """
        self.path, self._meta = Path(path), meta
        self._video = None if video is None else Path(video)
        self._limit = inline_limit
        self._persons, self._review = persons, review or Review()
        self._clock: list[tuple[int, float]] = []  # frame number and time about every second
        self._summarise, self._speed, self._counts = summarise, speed, counts
        self._template = PageTemplate(
            "deepsort_paddle.output", "report_page", sources=("img-src data:", "media-src data: 'self' file:")
        )
        self._step = 1 / (meta.get("fps") or 25.0)
        self._identities: dict[int, _Identity] = {}
        self._duration = 0.0
        self._start: float | None = None
        self._frames = 0
        self._latest: tuple[int, float] | None = None

    def write(self, tracked: TrackedFrame) -> None:
        """Add one frame."""
        frame, tracks = tracked.frame, tracked.tracks
        self._frames += 1  # numbers from file names may start anywhere and have gaps
        now = (self._frames - 1) * self._step if frame.timestamp is None else frame.timestamp
        self._start = now if self._start is None else self._start
        now -= self._start  # as the annotated video does
        if not self._clock or now - self._clock[-1][1] >= 1.0:
            self._clock.append((frame.number, round(now, 4)))
        self._latest = (frame.number, round(now, 4))
        self._duration = max(self._duration, now + self._step)
        for row, track_id in enumerate(tracks.ids.tolist()):
            known = self._identities.setdefault(
                track_id, _Identity(frame.number, frame.number, int(tracks.class_id[row]))
            )
            x1, y1, x2, y2 = np.rint(np.clip(tracks.boxes[row], -1e6, 1e6)).astype(int).tolist()
            sample = (round(now, 3), x1, y1, x2 - x1, y2 - y1)
            if known.frames == 0 or known.last_index != self._frames - 1:
                known.runs.append(array("d", sample))
                known.run_ends.append(now)
            elif now - known.runs[-1][-_SAMPLE] >= _SAMPLE_SECONDS - 1e-6:
                known.runs[-1].extend(sample)
            known.frames, known.last_index, known.end = known.frames + 1, self._frames, now
            known.run_ends[-1], known.last = now, frame.number
        if frame.image is not None and not self._review.thumbnails:
            self._keep_best(frame.image, tracked)

    def _keep_best(self, image: NDArray[np.uint8], tracked: TrackedFrame) -> None:
        """Replace thumbnails by clearly better ones: larger, more confident, not cut off."""
        matched = tracked.tracks[tracked.tracks.detection_index >= 0]
        found = tracked.detections.boxes[matched.detection_index]
        inside = box_ops.clip(found, *image.shape[:2])
        area = (inside[:, 2:] - inside[:, :2]).prod(axis=1)
        whole = area / np.maximum((found[:, 2:] - found[:, :2]).prod(axis=1), 1e-9)
        scores = area * tracked.detections.confidence[matched.detection_index] * whole**2
        for track_id, score, box in zip(matched.ids.tolist(), scores.tolist(), inside, strict=True):
            known = self._identities[track_id]
            if score <= 1.15 * known.score:
                continue
            left, top = np.floor(box[:2]).astype(int).tolist()
            right, bottom = np.ceil(box[2:]).astype(int).tolist()
            crop = image[top:bottom, left:right]
            if crop.size:
                scale = min(1.0, _THUMBNAIL[0] / crop.shape[0], _THUMBNAIL[1] / crop.shape[1])
                size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
                small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
                content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
                known.score, known.thumbnail = score, content.tobytes()

    def close(self) -> None:
        """Write the page.

        Raises:
            OSError: it cannot be written.
        """
        with replacing(self.path) as file:
            file.write(self._page().encode())

    def _page(self) -> str:
        video, hint = self._video_source()
        summary = self._summarise()
        counts = self._counts()
        return self._template.render(
            title=self._meta.get("name", ""),
            summary=_totals(summary),
            video=video,
            hint=hint,
            counts=_count_tables(counts),
            identities=[self._identity(*item, counts) for item in self._identities.items()],
            axis=self._axis(),
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
            tracks=self._tracks(),
            people=self._persons is not None,
            questions=[self._question(*one) for one in self._review.questions],
            corrections=self._review.corrections is not None,
        )

    def _question(self, first: int, second: int, probability: float, joined: bool) -> dict[str, Any]:
        """What the template shows of two tracks that may be one person."""
        thumbnails = self._review.thumbnails
        return {
            "tracks": [
                {
                    "id": track,
                    "images": [data_uri("image/jpeg", jpeg) for jpeg in thumbnails.get(track, ())],
                    "times": self._times(self._identities[track]),
                }
                for track in (first, second)
                if track in self._identities
            ],
            "probability": f"{100 * probability:.0f} %",
            "joined": joined,
        }

    def _times(self, known: _Identity) -> str:
        """When an identity is seen."""
        return f"{known.runs[0][0]:.1f} to {known.end:.1f} s"

    def _video_source(self) -> tuple[str, str]:
        """Return the address of the video, empty without one, and the hint below it."""
        if self._video is None or not self._video.is_file():
            return "", "This run has no video."
        hint = "Click a track to jump to its start."
        if self._video.stat().st_size <= self._limit * 1e6:
            return data_uri("video/mp4", self._video.read_bytes()), hint
        relative = Path(_relative(real_path(self._video), real_path(self.path).parent)).as_posix()
        hint += f" The video is not embedded: keep {relative} next to this page."
        return quote(relative), hint

    def _identity(self, track_id: int, known: _Identity, counts: Counts) -> dict[str, Any]:
        """Return the template's values for one id: a row of the timeline and a card."""
        total = max(self._duration, 1e-9)
        names = self._meta.get("class_names") or ()
        start = known.runs[0][0]
        persons = self._persons or Persons({})
        person = persons.of(track_id)
        thumbnail = next(iter(self._review.thumbnails.get(track_id, ())), known.thumbnail)
        return {
            "id": track_id,
            "person": person,
            "who": persons.names.get(person) or f"Person {person}",
            "start": f"{start:.2f}",
            "seconds": f"{known.frames * self._step:.2f}",
            "color": _color(person),
            "label": f"Track {track_id}, {start:.1f} to {known.end:.1f} seconds",
            "bars": [
                (f"{100 * run[0] / total:.3f}", f"{100 * (end + self._step - run[0]) / total:.3f}")
                for run, end in zip(known.runs, known.run_ends, strict=True)
            ],
            "name": names[known.class_id] if 0 <= known.class_id < len(names) else f"class {known.class_id}",
            "image": data_uri("image/jpeg", thumbnail) if thumbnail else "",
            "times": self._times(known),
            "frames": "1 frame" if known.frames == 1 else f"{known.frames} frames",
            "stays": [
                (zone.zone.name, f"{zone.dwell[track_id]:.1f}")
                for zone in counts.zones
                if track_id in zone.dwell
            ],
        }

    def _axis(self) -> list[str]:
        """Return the times below the timeline: its ends and the quarters between."""
        whole = self._duration >= 10  # otherwise neighbours could round to the same second
        return [_clock(self._duration * quarter / 4, whole=whole) for quarter in range(5)]

    def _tracks(self) -> dict[str, Any]:
        """Return the data for the page's script."""
        return {
            "step": self._step,
            "duration": self._duration,
            "width": self._meta.get("width") or 1,
            "clock": [*self._clock, *([self._latest] if self._latest else [])],
            "corrections": self._review.corrections,
            "tracks": {
                str(track_id): {
                    "start": known.runs[0][0],
                    "frame": known.first,
                    "last": known.last,
                    "runs": [_samples(run) for run in known.runs],
                }
                for track_id, known in self._identities.items()
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


def _count_tables(counts: Counts) -> list[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """Header and rows of a table of the lines, and of one of the zones; only those that there are."""
    lines = [(line.line.name, line.to_right, line.to_left) for line in counts.lines]
    zones = [
        (zone.zone.name, zone.entries, zone.exits, zone.occupancy, zone.peak, _mean(zone.dwell.values()))
        for zone in counts.zones
    ]
    tables: list[tuple[tuple[str, ...], list[tuple[Any, ...]]]] = [
        (("Line", "To the right", "To the left"), [*lines]),
        (("Zone", "Entries", "Exits", "Inside at the end", "Most at once", "Mean stay (s)"), [*zones]),
    ]
    return [(header, rows) for header, rows in tables if rows]


def _samples(run: array[float]) -> list[list[float]]:
    """A run as the page wants it: a list for each sample, pixels as whole numbers."""
    return [
        [run[at], *(int(side) for side in run[at + 1 : at + _SAMPLE])] for at in range(0, len(run), _SAMPLE)
    ]


def _color(track_id: int) -> str:
    blue, green, red = track_color(track_id)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _clock(seconds: float, *, whole: bool) -> str:
    """Format a time like a player: 0:06, 1:02:03; with tenths unless ``whole``."""
    if not whole:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _relative(path: Path, folder: Path) -> str:
    """Return ``path`` relative to ``folder``, or its full address on another drive."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return path.as_uri()


def _mean(values: Iterable[float]) -> str:
    known = list(values)
    return f"{sum(known) / len(known):.1f}" if known else ""
