"""A report in a real browser: clicking a track moves the video to where it begins."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.media.source import VideoWriter

keys = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
Select = pytest.importorskip("selenium.webdriver.support.ui").Select
ActionChains = keys.ActionChains

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
    arguments += ["--line", "door:60,0,60,180:in/out", "--zone", "左边:0,0,160,0,160,180,0,180"]
    assert track([*arguments, "--loiter", "3s", "--count-every", "2s"]) == 0
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


def where(page: Any) -> float:
    """Time of the video, once it has got where it was sent."""
    script = """
        const done = arguments[0], video = document.querySelector("video");
        if (!video.seeking) done(video.currentTime);
        else video.addEventListener("seeked", () => done(video.currentTime), {once: true});
    """
    return float(page.execute_async_script(script))


def hit(page: Any, row: str, share: float) -> float:
    """Click in the timeline's row of a track, where the video is at this share; its time afterwards."""
    plot = page.find_element("css selector", f'#timeline button[data-track="{row}"] svg')
    actions = ActionChains(page)
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    actions.move_to_element_with_offset(plot, round((share - 0.5) * plot.rect["width"]), 0).click().perform()
    return where(page)


def test_a_click_on_a_bar_seeks_and_one_beside_it_does_not(page: Any) -> None:
    assert hit(page, "2", 0.5) == pytest.approx(4.05, abs=0.05)  # track 2 is there from 2.2 to 8 s
    assert hit(page, "2", 0.1) == pytest.approx(4.05, abs=0.05)
    assert hit(page, "3", 0.1) == pytest.approx(4.05, abs=0.05)
    label = page.find_element("css selector", '#timeline button[data-track="1"] .id')
    ActionChains(page).move_to_element(label).click().perform()
    assert where(page) == pytest.approx(4.05, abs=0.05)
    assert "Track 1 from" in page.find_element("id", "status").text  # chosen all the same


def events(page: Any) -> list[list[str]]:
    rows = page.find_elements("css selector", "#list button")
    return [[part.text for part in row.find_elements("tag name", "span")] for row in rows]


def choose(page: Any, name: str, value: str) -> None:
    Select(page.find_element("id", name)).select_by_visible_text(value)


def test_events_are_filtered_and_seek_the_video(page: Any) -> None:
    known = events(page)
    assert {(row[1], row[2]) for row in known} == {("door", "out"), ("左边", "loiter")}
    assert [row[0] for row in known] == sorted(row[0] for row in known)
    choose(page, "place", "左边")
    choose(page, "direction", "loiter")
    loiterers = events(page)
    assert loiterers
    assert {(row[1], row[2]) for row in loiterers} == {("左边", "loiter")}
    assert float(loiterers[0][4].removesuffix(" s")) == pytest.approx(3.0, abs=0.11)
    page.find_element("css selector", "#list button").click()
    assert where(page) == pytest.approx(float(loiterers[0][0].removesuffix(" s")) + 0.05, abs=0.06)
    assert "loiter" in page.find_element("id", "status").text
    choose(page, "direction", "everything")
    choose(page, "place", "door")
    assert {row[1] for row in events(page)} == {"door"}
    search = page.find_element("id", "search")
    search.send_keys("1")
    assert {row[3] for row in events(page)} <= {"Track 1"}
    assert [row.get_attribute("data-track") for row in visible(page, "#timeline > button")] == ["1"]
    search.clear()
    search.send_keys("nobody")
    assert events(page) == []
    assert visible(page, "#cards > button") == []


def visible(page: Any, selector: str) -> list[Any]:
    return [one for one in page.find_elements("css selector", selector) if one.is_displayed()]


def test_an_interval_of_a_chart_and_of_the_table_seeks(page: Any) -> None:
    titles = page.execute_script(
        "return [...document.querySelectorAll('.plot title')].map((one) => one.textContent)"
    )
    assert titles[:2] == ["0.0 to 2.0 s, tracks: 1", "2.0 to 4.0 s, tracks: 2"]
    bar = page.find_elements("css selector", ".plot g")[2]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", bar)
    ActionChains(page).move_to_element(bar).click().perform()
    assert where(page) == pytest.approx(4.05, abs=0.01)
    page.find_element("css selector", "#counts summary").click()
    page.find_elements("css selector", "#intervals button")[1].click()
    assert where(page) == pytest.approx(2.05, abs=0.01)


def test_the_heat_map_shows_where_people_stood_or_walked(page: Any) -> None:
    def shown() -> list[bool]:
        layers = page.find_elements("css selector", "#heat .layer")
        return [layer.value_of_css_property("visibility") == "visible" for layer in layers]

    assert shown() == [True, False]
    page.find_elements("css selector", "#heat input")[1].click()
    assert shown() == [False, True]
    assert "passed" in page.find_element("css selector", "#heat figcaption").text


def test_the_video_stays_in_view_beside_the_whole_page(page: Any) -> None:
    for part in ("times", "events", "counts", "heat", "people", "run"):
        page.execute_script("document.getElementById(arguments[0]).scrollIntoView()", part)
        video = page.execute_script(
            "const {top, bottom} = document.querySelector('video').getBoundingClientRect();"
            "return [top, bottom]"
        )
        assert video[0] >= 0
        assert video[1] <= page.execute_script("return innerHeight")


def test_nothing_scrolls_inside_the_page_but_wide_tables(page: Any) -> None:
    inner = page.execute_script(
        "return [...document.querySelectorAll('.parts *')]"
        ".filter((one) => one.scrollHeight > one.clientHeight + 1)"
        ".filter((one) => ['auto', 'scroll'].includes(getComputedStyle(one).overflowY))"
        ".map((one) => one.className)"
    )
    assert inner == []


def fits(page: Any, width: int) -> None:
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    labels = page.find_elements("css selector", "#timeline .axis span")
    places = [one.rect for one in labels if one.is_displayed()]
    for left, right in itertools.pairwise(places):
        assert left["x"] + left["width"] <= right["x"]


def test_the_page_fits_a_desk(page: Any) -> None:
    fits(page, 1100)


@pytest.mark.usefixtures("telephone")
def test_the_page_fits_a_telephone(page: Any) -> None:
    fits(page, 390)
