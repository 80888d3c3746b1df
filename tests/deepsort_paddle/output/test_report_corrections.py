"""Corrections made by clicks on a report, saved, and applied by ``--apply``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import track_video
from deepsort_paddle.cli import track
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.structures import Detections

FPS = 10
GAP = range(16, 24)


def detect(number: int, image: NDArray[np.uint8] | None) -> Detections:
    """Two people by place; one of them is hidden for a while."""
    boxes = [[20, 20, 50, 100], [130, 20, 160, 100]]
    return Detections.of(boxes[1:] if number in GAP else boxes)


class Alike:
    """An appearance model that tells nobody from anybody."""

    max_cosine_distance = 0.2

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.tile(np.array([1.0, 0.0], np.float32), (len(boxes), 1))

    def encode_batch(
        self, frames: Iterable[NDArray[np.uint8]], boxes: Iterable[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        return [self(frame, box) for frame, box in zip(frames, boxes, strict=True)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of three tracks with an index and a report."""
    folder = tmp_path_factory.mktemp("corrections")
    with VideoWriter(folder / "clip.mp4", fps=FPS) as writer:
        for number in range(1, 41):
            image = np.full((120, 200, 3), 128, np.uint8)
            image[20:100, 20:50] = (30, 60, 220) if number not in GAP else 128
            image[20:100, 130:160] = (200, 90, 20)
            writer.write(image)
    track_video(
        folder / "clip.mp4",
        detector=detect,
        reid=Alike(),
        identities=True,
        preset="deepsort",
        max_age=3,
        **{name: folder / f"run.{end}" for name, end in FILES.items()},
    )
    return folder


FILES = {"csv": "csv", "json": "json", "output": "txt", "report": "html", "index": "sqlite"}


def persons_of(folder: Path) -> dict[str, str]:
    rows = csv.DictReader((folder / "run.csv").read_text().splitlines())
    return {row["id"]: row["person"] for row in rows}


def test_the_same_outputs_are_written_without_the_detector(run: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"kind": "deepsort-paddle corrections", "format": 1}')
    before = {end: (run / f"run.{end}").read_bytes() for end in ("csv", "txt")}
    arguments = [str(run / "clip.mp4"), "--apply", str(tmp_path / "c.json")]
    assert track([*arguments, "--index", str(run / "run.sqlite"), "--quiet"]) == 0
    assert {end: (run / f"run.{end}").read_bytes() for end in before} == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--detector", "hog"], "--detector does not go with --apply"),
        (["--index", "missing.sqlite"], "missing.sqlite: no such file"),
        ([], "names no index"),
    ],
)
def test_bad_use_of_apply_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    (tmp_path / "c.json").write_text('{"kind": "deepsort-paddle corrections", "format": 1}')
    index = ["--index", str(run / "run.sqlite")] if words == ["--detector", "hog"] else []
    assert track([str(run / "clip.mp4"), "--apply", str(tmp_path / "c.json"), *words, *index]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


def test_clicks_become_corrections_that_apply(browser: Any, run: Path, tmp_path: Path) -> None:
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.get((run / "run.html").as_uri())
    ready = """
        const done = arguments[0], video = document.querySelector("video");
        if (video.readyState >= 2) done(true); else video.addEventListener("loadeddata", () => done(true));
    """
    assert browser.execute_async_script(ready) is True
    # Track 2 is there all the time: split it at frame 21, at 2 s.
    seek = """
        const done = arguments[0], video = document.querySelector("video");
        document.querySelector('#timeline button[data-track="2"]').click();
        video.addEventListener("seeked", () => {
          if (Math.abs(video.currentTime - 2.05) < 0.01) done(true); else video.currentTime = 2.05;
        });
    """
    assert browser.execute_async_script(seek) is True
    browser.find_element("id", "split").click()
    browser.execute_script("""
        const name = document.getElementById("name");
        name.value = "Anna";
        name.dispatchEvent(new Event("change"));
        document.querySelector('#timeline button[data-track="1"]').click();
        document.getElementById("other").value = "3";
        document.getElementById("same").click();
    """)
    said = [item.text for item in browser.find_elements("css selector", "#said li")]
    assert [line.removesuffix("undo").strip() for line in said] == [
        "Track 2 is 4 from frame 21 on",
        "1 and 3 are one person",
        "Track 2 is Anna",
    ]
    waiting = """
        const done = arguments[0], blob = URL.createObjectURL;
        URL.createObjectURL = (content) => { content.text().then(done); return blob(content); };
        document.getElementById("save").click();
    """
    text = browser.execute_async_script(waiting)
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    document = json.loads(text)
    assert document["splits"] == [{"track": 2, "frame": 21, "new": 4}]
    (tmp_path / "c.json").write_text(text)
    assert track([str(run / "clip.mp4"), "--apply", str(tmp_path / "c.json"), "--quiet"]) == 0
    persons = persons_of(run)
    assert sorted(persons) == ["1", "2", "3", "4"]
    assert persons["1"] == persons["3"]
    assert json.loads((run / "run.json").read_text())["summary"]["names"] == {"2": "Anna"}


def test_rows_are_filtered_and_sorted(browser: Any, run: Path) -> None:
    browser.get((run / "run.html").as_uri())
    script = """
        const [search, order] = arguments;
        document.getElementById("search").value = search;
        document.getElementById("order").value = order;
        document.getElementById("filter").dispatchEvent(new Event("input"));
        return [...document.querySelectorAll("#timeline > button")].filter((row) => !row.hidden)
          .map((row) => [row.dataset.track, Number(row.dataset.seconds)]);
    """
    every = browser.execute_script(script, "", "track")
    assert every == sorted(every, key=lambda row: int(row[0]))
    by_length = [seconds for _, seconds in browser.execute_script(script, "", "seconds")]
    assert by_length == sorted(by_length, reverse=True)
    assert browser.execute_script(script, "1", "track")[0][0] == "1"
    assert browser.execute_script(script, "nobody", "track") == []
