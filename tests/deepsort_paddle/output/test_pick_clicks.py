"""The page of ``--pick`` in a real browser: drawing gives the options that the command takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command.parser import parse
from deepsort_paddle.counting.places import Line, Zone
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.output.place_picker import write_pick_page
from deepsort_paddle.plan.run_plan import RunPlan

HEIGHT, WIDTH = 200, 400
CLICK = """
    const [x, y] = arguments, svg = document.getElementById("scene");
    const place = new DOMPoint(x * svg.viewBox.baseVal.width, y * svg.viewBox.baseVal.height);
    const point = place.matrixTransform(svg.getScreenCTM());
    for (const name of ["pointerdown", "pointerup"]) {
        const [clientX, clientY] = [point.x, point.y];
        document.elementFromPoint(clientX, clientY).dispatchEvent(
            new PointerEvent(name, {clientX, clientY, bubbles: true, pointerId: 1}));
    }
"""


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    """A page without lines and zones."""
    write_pick_page(tmp_path / "pick.html", np.full((HEIGHT, WIDTH, 3), 90, np.uint8), title="street <1>")
    browser.get((tmp_path / "pick.html").as_uri())
    return browser


def press(page: Any, name: str) -> None:
    page.find_element("id", name).click()


def click(page: Any, *points: tuple[float, float]) -> None:
    for point in points:
        page.execute_script(CLICK, *point)


def drawn(page: Any) -> RunPlan:
    """The plan that the page's options mean."""
    words = shlex.split(page.find_element("id", "options").get_attribute("value"))
    plan = parse(["a.mp4", *words])
    assert isinstance(plan, RunPlan)
    return plan


def near(points: Any) -> Any:
    return pytest.approx(np.array(points), abs=0.003)


def test_two_clicks_are_a_line_with_names(page: Any) -> None:
    press(page, "line")
    click(page, (0.2, 0.8), (0.7, 0.3))
    name, right, left = page.find_elements("css selector", "#places input")
    name.clear()
    name.send_keys('大门 "$x"')
    right.clear()
    right.send_keys("i/n")
    (line,) = drawn(page).lines
    assert (line.name, line.directions) == ("大门 x", ("in", "out"))
    assert np.array([line.start, line.end]) == near([(0.2, 0.8), (0.7, 0.3)])
    page.find_element("css selector", "#places li button").click()  # swap
    assert drawn(page).lines[0].directions == ("out", "in")
    left = page.find_elements("css selector", "#places input")[1]
    assert left.get_attribute("value") == "out"


def test_a_zone_is_closed_by_its_first_corner_by_enter_or_by_the_button(page: Any) -> None:
    corners = [(0.1, 0.2), (0.5, 0.2), (0.4, 0.9)]
    for close in (lambda: click(page, corners[0]), lambda: press(page, "done")):
        press(page, "zone")
        click(page, *corners)
        close()
    press(page, "zone")
    click(page, (0.6, 0.1), (0.9, 0.1), (0.9, 0.9))
    page.find_element("css selector", "body").send_keys("\ue007")
    zones = drawn(page).zones
    assert [zone.name for zone in zones] == ["zone", "zone 2", "zone 3"]
    assert np.array(zones[0].polygon) == near(corners)


def test_escape_and_a_double_click_leave_nothing_odd(page: Any) -> None:
    press(page, "line")
    click(page, (0.2, 0.2))
    page.find_element("css selector", "body").send_keys("\ue00c")
    press(page, "line")
    click(page, (0.3, 0.3), (0.3, 0.3), (0.6, 0.3))
    assert len(drawn(page).lines) == 1
    page.find_elements("css selector", "#places li button")[1].click()  # remove
    assert page.find_element("id", "options").get_attribute("value") == ""


def test_corners_can_be_dragged_and_pixels_copied(page: Any) -> None:
    press(page, "line")
    click(page, (0.25, 0.5), (0.75, 0.5))
    script = CLICK.replace('["pointerdown", "pointerup"]', '["pointerdown"]')
    page.execute_script(script, 0.25, 0.5)
    page.execute_script(
        CLICK.replace('["pointerdown", "pointerup"]', '["pointermove", "pointerup"]'), 0.1, 0.9
    )
    page.find_element("css selector", "input[value=pixels]").click()
    (line,) = drawn(page).lines
    assert np.array([line.start, line.end]) == pytest.approx(
        np.array([(0.1 * WIDTH, 0.9 * HEIGHT), (0.75 * WIDTH, 0.5 * HEIGHT)]), abs=1
    )
    press(page, "copy")
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait(page, 20)  # for the clipboard
    assert wait.until(lambda shown: shown.find_element("id", "copied").text) in ("copied", "press Ctrl+C")


def test_the_right_of_a_line_is_where_the_command_has_it(page: Any) -> None:
    press(page, "line")
    click(page, (0.5, 0.9), (0.5, 0.1))  # upwards: its right is the right of the screen
    places = page.execute_script(
        "return [...document.querySelectorAll('.label')].map((node) => [node.textContent, node.getBBox().x])"
    )
    where = dict(places)
    assert where["in"] > WIDTH / 2 > where["out"]


def test_the_command_writes_the_page_with_what_it_was_given(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter("clip.mp4", fps=10) as video:
        for _ in range(3):
            video.write(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    places = ["--line", "door:40,20,40,100:in/out", "--zone", "yard:0.5,0.5,1,0.5,1,1"]
    assert track(["clip.mp4", "--pick", "new/p.html", *places]) == 0
    assert capsys.readouterr().out == "written: new/p.html; open it in a browser\n"
    browser.get((tmp_path / "new" / "p.html").as_uri())
    plan = drawn(browser)
    assert plan.lines == (Line("door", (0.1, 0.1), (0.1, 0.5), ("in", "out")),)
    assert plan.zones == (Zone("yard", ((0.5, 0.5), (1, 0.5), (1, 1))),)
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clip.mp4", "--pick=p.txt"], "expected a name that ends in .html"),
        (["clip.mp4", "b.mp4", "--pick"], "--pick works with one video only"),
        (["none.mp4", "--pick"], "no such file or folder: none.mp4"),
    ],
)
def test_wrong_words_end_in_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("clip.mp4", "b.mp4"):
        (tmp_path / name).touch()
    assert track(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
