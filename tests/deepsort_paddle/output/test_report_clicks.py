"""A report in a real browser: clicking a track moves the video to where it begins."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.media.source import VideoWriter

FPS = 10
# Id, first and last frame, x and y of the boxes in the first frame.
PEOPLE = ((1, 1, 60, 20, 40), (2, 21, 80, 200, 60), (3, 41, 70, 100, 100))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a clip in which three people appear one after the other."""
    folder = tmp_path_factory.mktemp("report")
    lines = []
    with VideoWriter(folder / "clip.mp4", fps=FPS) as writer:
        for number in range(1, 81):
            image = np.full((180, 320, 3), 120, np.uint8)
            for person, first, last, x, y in PEOPLE:
                if first <= number <= last:
                    left = x + number - first
                    image[y : y + 60, left : left + 24] = (60 * person, 200 - 50 * person, 90)
                    lines.append(f"{number},-1,{left + 1},{y + 1},24,60,1")
            writer.write(image)
    (folder / "det.txt").write_text("\n".join(lines))
    arguments = [str(folder / "clip.mp4"), "--detections", str(folder / "det.txt"), "--reid", "none"]
    arguments += ["--preset", "deepsort"]
    arguments += ["--report", str(folder / "report.html"), "--quiet"]
    assert track([*arguments, "--line", "door:160,0,160,180", "--zone", "left:0,0,160,0,160,180,0,180"]) == 0
    return folder / "report.html"


@pytest.fixture
def page(browser: Any, report: Path) -> Any:
    """The report, its video ready."""
    browser.get(report.as_uri())
    ready = """
        const done = arguments[0], video = document.querySelector("video");
        if (video.readyState >= 2) done(true);
        video.addEventListener("loadeddata", () => done(true));
        video.addEventListener("error", () => done(video.error.message));
    """
    assert browser.execute_async_script(ready) is True
    return browser


def after_seeking(page: Any, selector: str) -> float:
    """Click what the selector names; the video's time in seconds when it has got there."""
    script = """
        const [selector, done] = arguments, video = document.querySelector("video");
        video.addEventListener("seeked", () => done(video.currentTime), {once: true});
        document.querySelector(selector).click();
    """
    return float(page.execute_async_script(script, selector))


@pytest.mark.parametrize("place", ["#timeline", "#cards"])
def test_clicking_a_track_jumps_to_where_it_begins(page: Any, place: str) -> None:
    starts = page.execute_script("return JSON.parse(document.getElementById('tracks').textContent).tracks")
    assert len(starts) == len(PEOPLE)
    for track_id in ("3", "1", "2"):
        seconds = after_seeking(page, f'{place} button[data-track="{track_id}"]')
        assert int(seconds * FPS) + 1 == starts[track_id]["frame"]
        # A track is confirmed, and so reported, at its third detection.
        assert starts[track_id]["frame"] == PEOPLE[int(track_id) - 1][1] + 2
        pressed = page.find_elements("css selector", 'button[aria-pressed="true"]')
        assert [button.get_attribute("data-track") for button in pressed] == [track_id, track_id]
        assert f"Track {track_id} from" in page.find_element("id", "status").text


def test_the_frame_around_the_chosen_person_is_where_the_person_is(page: Any) -> None:
    after_seeking(page, '#timeline button[data-track="3"]')
    video, spot = page.find_element("tag name", "video").rect, page.find_element("id", "spot").rect
    scale = video["width"] / 320
    _, _, _, x, y = PEOPLE[2]
    assert (spot["x"] - video["x"]) / scale == pytest.approx(x + 2, abs=3)
    assert (spot["y"] - video["y"]) / scale == pytest.approx(y, abs=3)
    assert spot["width"] / scale == pytest.approx(24, abs=4)


def test_images_are_of_one_height(page: Any) -> None:
    heights = {round(image.rect["height"]) for image in page.find_elements("css selector", "#cards img")}
    assert len(heights) == 1


def test_arrow_keys_walk_through_the_timeline(page: Any) -> None:
    down = "\ue015"
    rows = page.find_elements("css selector", "#timeline button")
    rows[0].send_keys(down)
    assert page.switch_to.active_element == rows[1]


def test_the_timeline_says_what_time_it_shows(page: Any) -> None:
    labels = page.find_elements("css selector", "#timeline .axis span")
    assert [label.text for label in labels] == ["0.0 s", "2.0 s", "4.0 s", "6.0 s", "8.0 s"]
    bar = page.find_element("css selector", "#timeline svg").rect
    assert labels[0].rect["x"] == pytest.approx(bar["x"], abs=2)
    last = labels[-1].rect
    assert last["x"] + last["width"] == pytest.approx(bar["x"] + bar["width"], abs=2)


def test_the_playhead_stops_above_the_times(page: Any) -> None:
    after_seeking(page, '#timeline button[data-track="2"]')
    line = page.find_element("css selector", "#playhead i").rect
    bars = [bar.rect for bar in page.find_elements("css selector", "#timeline svg")]
    axis = page.find_element("css selector", "#timeline .axis").rect
    assert line["y"] <= bars[0]["y"]
    assert bars[-1]["y"] + bars[-1]["height"] <= line["y"] + line["height"] <= axis["y"]
    shown = page.execute_script("return document.querySelector('video').currentTime / 8")
    assert line["x"] + 1 == pytest.approx(bars[0]["x"] + shown * bars[0]["width"], abs=1.5)


def test_images_in_a_row_of_cards_stand_side_by_side(page: Any) -> None:
    """A card with more lines than its neighbour (time in a zone) must not move the neighbour's image."""
    cards = page.find_elements("css selector", "#cards button")
    lines = {card.text.count("\n") for card in cards}
    assert len(lines) > 1
    tops = {card.find_element("css selector", ".thumbnail").rect["y"] for card in cards}
    assert len({card.rect["y"] for card in cards}) == len(tops) == 1


def test_the_page_breaks_none_of_its_own_rules(page: Any) -> None:
    after_seeking(page, '#cards button[data-track="1"]')
    assert [entry["message"] for entry in page.get_log("browser")] == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def fits(page: Any, width: int) -> None:
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    zone = page.find_element("xpath", "//th[text()='Zone']")
    assert zone.rect["height"] < 120  # headings break between words, not between letters


def test_the_page_fits_a_desk(page: Any) -> None:
    fits(page, 1100)


@pytest.mark.usefixtures("telephone")
def test_the_page_fits_a_telephone(page: Any) -> None:
    fits(page, 390)
