"""How quick the report page is with many tracks: an hour of synthetic tracks, opened in headless Chromium.

Each track is seen for 20 to 120 s, with a gap every 15 s; there are a line, a zone, persons, times of day and
a thumbnail of each track, but no video. Times are CPU time of the page's thread, so that a busy machine
changes little. "filter" is a word in the search field, "choose" a click on a track. Needs selenium, chromium
and chromedriver.

    python benchmarks/pipeline/report_page.py
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from deepsort_paddle import Detections, Line, TrackCounter, Tracks, Zone
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.frames import Frame
from deepsort_paddle.output.html_report import HtmlReport
from deepsort_paddle.output.persons import Persons
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame
from deepsort_paddle.wall_clock import WallClock

SECONDS, FPS, WIDTH, HEIGHT = 3600, 5, 1280, 720
ABOUT = {"name": "an hour", "fps": FPS, "width": WIDTH, "height": HEIGHT, "class_names": ["person"]}


def write_page(path: Path, count: int) -> None:
    """Write the report of so many tracks."""
    generator = np.random.default_rng(0)
    begin = np.sort(generator.uniform(0, SECONDS - 120, count))
    length = generator.uniform(20, 120, count)
    start, stop = (generator.uniform([60, 160], [WIDTH - 60, HEIGHT], (count, 2)) for _ in range(2))
    texture = generator.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    persons = {track: track if generator.random() < 0.7 else 1 + track // 2 for track in range(1, count + 1)}
    door = Line("door", (WIDTH / 2, 0), (WIDTH / 2, HEIGHT), ("in", "out"))
    yard = Zone("yard", ((200, 200), (900, 200), (900, 600), (200, 600)))
    history = CountHistory(TrackCounter([door], [yard], loiter=30.0), every=300.0)
    with HtmlReport(
        path,
        ABOUT,
        history=history,
        clock=lambda: WallClock.parse("2026-05-01T08:00"),
        persons=Persons(persons),
    ) as page:
        for number in range(SECONDS * FPS):
            now = number / FPS
            rows = np.flatnonzero((begin <= now) & (now < begin + length) & ((now - begin) % 15 < 14))
            share = ((now - begin[rows]) / length[rows])[:, None]
            feet = start[rows] * (1 - share) + stop[rows] * share
            boxes = np.hstack([feet - np.array([25, 120]), feet + np.array([25, 0])])
            scores, zeros = np.full(len(rows), 0.9, np.float32), np.zeros(len(rows), np.int64)
            tracks = Tracks(rows + 1, boxes, scores, zeros, np.arange(len(rows)), zeros)
            frame = Frame(number + 1, texture if number % (5 * FPS) == 0 else None, now)
            history.update(tracks, now)
            seconds = StageSeconds(0.0, 0.0, 0.0, 0.0)
            page.write(TrackedFrame(frame, Detections.of(boxes, scores), tracks, seconds))


def open_browser() -> Any:
    """A headless Chromium of a desk's size."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1400,1000"):
        options.add_argument(f"--{flag}")
    options.add_argument("--js-flags=--expose-gc")
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def measure(browser: Any, page: Path, rounds: int) -> dict[str, float]:
    """Median figures of a page: CPU milliseconds, JavaScript memory in megabytes, number of elements."""

    def known(name: str) -> float:
        found = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(one["value"] for one in found if one["name"] == name))

    def spent(action: str) -> float:
        """CPU milliseconds until what an action changes is drawn."""
        before = known("TaskDuration")
        drawn = "requestAnimationFrame(() => setTimeout(arguments[arguments.length - 1], 50))"
        browser.execute_async_script(f"{action}; {drawn}")
        return 1000 * (known("TaskDuration") - before)

    found: dict[str, list[float]] = {}
    search = "document.getElementById('search').value = '{}';"
    search += "document.getElementById('filter').dispatchEvent(new Event('input'))"
    for _ in range(rounds):
        browser.get("about:blank")
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        before = known("TaskDuration")
        browser.get(page.as_uri())
        spent("")
        browser.execute_script("gc()")
        figures = {
            "load ms": 1000 * (known("TaskDuration") - before),
            "filter ms": spent(search.format("12")),
            "choose ms": spent("document.querySelector('#cards button[data-track=\"9\"]').click()"),
            "script MB": known("JSHeapUsedSize") / 1e6,
            "elements": browser.execute_script("return document.getElementsByTagName('*').length"),
        }
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, nargs="+", default=[500])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--page", type=Path, help="a report to measure instead")
    options = parser.parse_args()
    browser = open_browser()
    names = ("load ms", "filter ms", "choose ms", "script MB", "elements")
    print("| tracks | page MB |", " | ".join(names), "|")
    print("|---|---|" + "---|" * len(names))
    with tempfile.TemporaryDirectory() as scratch:
        for count in options.tracks if options.page is None else ["?"]:
            page = options.page or Path(scratch) / f"{count}.html"
            if options.page is None:
                write_page(page, count)
            figures = measure(browser, page.resolve(), options.rounds)
            size = page.stat().st_size / 1e6
            print(
                f"| {count} | {size:.1f} |",
                " | ".join(f"{figures[name]:.0f}" for name in names),
                "|",
                flush=True,
            )
    browser.quit()


if __name__ == "__main__":
    main()
