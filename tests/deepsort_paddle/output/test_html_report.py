import json
import re
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.counting.counter import Line, TrackCounter, Zone
from deepsort_paddle.counting.history import CountHistory
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.output.html_report import HtmlReport
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

EVIL = "</script><img src=x onerror=alert(1)>\"'&{{tracks}}"
VOID = {"meta", "img", "br", "link", "input"}
META: dict[str, Any] = {
    "name": EVIL,
    "source": EVIL,
    "fps": 10.0,
    "width": 160,
    "height": 120,
    "class_names": [EVIL],
    "settings": {"detector": EVIL},
    "versions": {"python": EVIL},
}


class Page(HTMLParser):
    """All elements with their attributes, and the text; fails where tags don't match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [own for name, own in self.elements if name == tag and wanted.items() <= own.items()]


def frame_of(number: int, boxes: dict[int, list[float]], *, confidence: float = 0.9) -> TrackedFrame:
    """A frame whose tracks were all matched; the image's grey rises with its number."""
    count = len(boxes)
    array = np.array(list(boxes.values()), float).reshape(-1, 4)
    scores = np.full(count, confidence, np.float32)
    tracks = Tracks(
        np.array(list(boxes), np.int64),
        array,
        scores,
        np.zeros(count, np.int64),
        np.arange(count),
        np.zeros(count, np.int64),
    )
    image = np.full((120, 160, 3), min(8 * number, 255), np.uint8)
    seconds = StageSeconds(0.0, 0.0, 0.0, 0.0)
    return TrackedFrame(Frame(number, image, None), Detections.of(array, scores), tracks, seconds)


def write_report(folder: Path, **options: Any) -> Page:
    """A run of 20 frames: id 1 in all, id 7 in 6 to 9 and 15 to 20."""
    line = Line(EVIL, (80, 0), (80, 120), (EVIL + "in", EVIL + "out"))
    history = CountHistory(TrackCounter([line], [Zone("hall", ((0, 0), (160, 0), (80, 240)))]))
    with (
        HtmlReport(
            folder / "out.html",
            META,
            summarise=lambda: {"frames": 20, "tracks": 2},
            speed=lambda: {"track": 200.0},
            **{"video": folder / "out.mp4", "history": history, **options},
        ) as report,
        VideoWriter(folder / "out.mp4", fps=10) as video,
    ):
        for number in range(1, 21):
            boxes = {1: [6.0 * number, 20.0, 6.0 * number + 20, 90.0]}
            if 6 <= number <= 9 or number >= 15:
                boxes[7] = [100.0, 40.0, 110.0 + number, 100.0]
            tracked = frame_of(number, boxes)
            history.update(tracked.tracks, tracked.frame.timestamp)
            report.write(tracked)
            image = tracked.frame.image
            assert image is not None
            video.write(image)
    assert not list(folder.glob("*.part*"))
    return Page((folder / "out.html").read_text(encoding="utf-8"))


def test_a_report_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    page = write_report(tmp_path)
    (video,) = page.all("video")
    assert str(video["src"]).startswith("data:video/mp4;base64,")
    assert len(page.all("img")) == 2
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert page.all("link") == []
    assert all("src" not in script for script in page.all("script"))
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert not re.search(r"(?i)(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert str(policy["content"]).startswith("default-src 'none'; script-src 'sha256-")


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    page = write_report(tmp_path)
    assert "".join(page.text).count(EVIL) >= 6  # title, heading, line, class names, settings
    assert not [own for _, own in page.elements if any(name.startswith("on") for name in own)]
    assert len(page.all("script")) == 2
    assert page.all("img", src="x") == []


def test_a_row_an_identity_shows_its_gaps(tmp_path: Path) -> None:
    page = write_report(tmp_path)
    rows = [own["data-track"] for own in page.all("button") if "data-track" in own]
    assert rows == ["1", "7", "1", "7"]  # rows, then cards
    bars = page.all("rect", y="2", height="10")
    places = [(own["x"], own["width"]) for own in bars]
    assert places == [("0.000%", "100.000%"), ("25.000%", "20.000%"), ("70.000%", "30.000%")]
    document = json.loads(next(text for text in page.text if text.startswith('{"step"')))
    assert document["tracks"]["7"]["frame"] == 6
    assert document["tracks"]["7"]["start"] == 0.5
    assert [len(run) // 5 for run in document["tracks"]["7"]["runs"]] == [2, 3]  # 5 samples a second
    assert document["tracks"]["7"]["ends"] == [0.8, 1.9]


def test_a_long_run_holds_little_for_each_sample(tmp_path: Path) -> None:
    """As a tuple of numbers a sample took 177 bytes."""
    boxes = {1: [300.0, 300.0, 340.0, 400.0], 2: [600.5, 300.0, 640.0, 400.0]}
    report = HtmlReport(tmp_path / "out.html", META)
    report.write(frame_of(1, boxes))
    other = frame_of(2, boxes)
    tracemalloc.start()
    for number in range(2, 8002):  # ten frames a second: a sample in every second frame
        report.write(replace(other, frame=Frame(number, None, None)))
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 8000 * 40 <= grown < 8000 * 60
    run = json.loads(re.findall(r'>({"step".*?)</script>', report._page())[0])["tracks"]["1"]["runs"][0]
    assert len(run) == 5 * 4001
    assert run[-5:] == [800.0, 300, 300, 40, 100]


def test_counts_and_speed_are_on_the_page(tmp_path: Path) -> None:
    text = "|".join(write_report(tmp_path).text)
    assert f"|0 {EVIL}in|" in text
    assert f"|1 {EVIL}out|" in text
    assert "|hall|" in text
    assert "|track|200.0|5.00|" in text
    assert "20 frames, 2 tracks" in text


def test_a_large_video_stays_beside_the_page(tmp_path: Path) -> None:
    page = write_report(tmp_path, inline_limit=0.0)
    assert page.all("video")[0]["src"] == "out.mp4"
    assert "keep out.mp4 next to this page" in "".join(page.text)


def test_a_run_without_video_images_or_tracks_has_a_page(tmp_path: Path) -> None:
    page = write_report(tmp_path, video=None)
    assert page.all("video") == []
    with HtmlReport(tmp_path / "none.html", {}):
        pass
    assert "No tracks." in "".join(Page((tmp_path / "none.html").read_text(encoding="utf-8")).text)


def test_an_error_leaves_an_older_report_alone(tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text("older")
    with pytest.raises(RuntimeError), HtmlReport(tmp_path / "out.html", META):
        raise RuntimeError
    assert (tmp_path / "out.html").read_text() == "older"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder with a clip in which one person walks to the right, and its detections."""
    lines = []
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for number in range(1, 21):
            image = np.full((120, 160, 3), 128, np.uint8)
            image[30:90, 6 * number : 6 * number + 20] = (200, 60, 20)
            lines.append(f"{number},-1,{6 * number + 1},31,20,60,0.9")
            writer.write(image)
    (tmp_path / "det.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run_track(folder: Path, *more: str) -> int:
    files = [str(folder / "clip.mp4"), "--detections", str(folder / "det.txt")]
    return track([*files, "--report", str(folder / "out.html"), *more])


def test_the_command_counts_and_reports(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ("--line", "door:80,120,80,0", "--zone", "right half:80,0,160,0,160,120,80,120")
    assert run_track(clip, *places, "--json", str(clip / "out.json")) == 0
    summary = capsys.readouterr().out
    assert "door: 1 to the right, 0 to the left" in summary
    assert "right half: 1 in, 0 out, 1 inside, at most 1" in summary
    counts = json.loads((clip / "out.json").read_text())["summary"]["counts"]
    assert counts["lines"][0]["by_class"] == {"0": {"to_right": 1, "to_left": 0}}
    assert (clip / "out.mp4").is_file()
    page = Page((clip / "out.html").read_text(encoding="utf-8"))
    text = "|".join(page.text)
    assert "|1 to the right|" in text
    assert "|0 to the left|" in text


def test_a_report_named_as_the_source_leaves_it_alone(clip: Path) -> None:
    before = (clip / "clip.mp4").read_bytes()
    assert run_track(clip, "--report", str(clip / "clip.html"), "--quiet") == 0
    assert (clip / "clip.mp4").read_bytes() == before
    assert (clip / "clip_tracks.mp4").is_file()


@pytest.mark.parametrize(
    "options", [("--line", "a:1,2"), ("--zone", "a:1,2,3,4"), ("--line", "a:0,0,9,9") * 2]
)
def test_a_place_written_wrongly_is_one_line(
    clip: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_track(clip, *options) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (clip / "out.html").exists()
