"""Text in any script on a frame; fonts of this machine, or an empty folder for none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.command.checks import option_warnings
from deepsort_paddle.counting.places import Line
from deepsort_paddle.frames import FrameSource, Tally
from deepsort_paddle.output import lettering
from deepsort_paddle.output.draw_counts import shown_name
from deepsort_paddle.output.lettering import can_draw, draw_text, text_size
from deepsort_paddle.plan.run_plan import RunPlan

INK = (10, 20, 30)


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without fonts."""
    monkeypatch.setattr(lettering, "_fonts", tuple)
    lettering._font_with.cache_clear()


@pytest.fixture
def a_font() -> None:
    """Skips where no font has umlauts and Cyrillic letters."""
    lettering._font_with.cache_clear()
    if not can_draw("Süd дверь"):
        pytest.skip("no font with Cyrillic letters here")


def drawn(text: str, corner: tuple[int, int] = (20, 10)) -> np.ndarray:
    """Which pixels of a white frame of 60 x 200 a text changes."""
    canvas = np.full((60, 200, 3), 255, np.uint8)
    draw_text(canvas, text, corner, scale=0.5, weight=1, color=INK)
    return (canvas != 255).any(axis=2)


@pytest.mark.parametrize("text", ["Süd", "дверь"])
@pytest.mark.usefixtures("a_font")
def test_a_text_fills_the_size_that_it_claims(text: str) -> None:
    width, height = text_size(text, 0.5, 1)
    rows, columns = np.nonzero(drawn(text))
    assert 10 <= rows.min() <= 12
    assert 10 + height - 3 <= rows.max() < 10 + height
    assert 20 <= columns.min() <= 22
    assert 20 + width - 3 <= columns.max() < 20 + width
    assert height >= 10


@pytest.mark.parametrize("corner", [(-15, 10), (190, 10), (20, -8), (20, 55), (500, 500), (-500, -500)])
@pytest.mark.parametrize("text", ["door", "дверь"])
def test_text_beyond_the_frame_is_cut(text: str, corner: tuple[int, int]) -> None:
    assert drawn(text, corner).shape == (60, 200)


def test_ascii_needs_no_font(no_fonts: None) -> None:
    assert can_draw("door 1")
    assert drawn("door 1").any()


def test_what_no_font_has_becomes_a_number_or_question_marks(no_fonts: None) -> None:
    assert not can_draw("大门")
    assert shown_name("line", "大门", 2) == "line 2"
    np.testing.assert_array_equal(drawn("a大b"), drawn("a?b"))


@pytest.mark.usefixtures("a_font")
def test_a_font_must_have_every_character() -> None:
    assert shown_name("zone", "дверь", 1) == "дверь"
    assert not can_draw("дверь\ue123\U0010fffe")
    assert not can_draw("two\nlines")


def test_one_note_names_the_package(no_fonts: None) -> None:
    source = FrameSource(iter([]), Tally(), name="a", size=(100, 100), has_images=False)
    lines = [Line("大门", (0, 0), (9, 9)), Line("door", (0, 0), (9, 9)), Line("门", (0, 9), (9, 9))]
    plan = RunPlan(source="a.mp4", lines=tuple(lines), save_video="v.mp4")
    (note,) = option_warnings(plan, source)
    assert note.startswith(
        "line '大门' shows as line 1, line '门' shows as line 3 on the video: no font here"
    )
    assert "fonts-noto-cjk" in note
    assert option_warnings(RunPlan(source="a.mp4", lines=tuple(lines)), source) == []


def test_fonts_that_are_no_fonts_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(lettering, "_fonts", lambda: (str(tmp_path / "broken.ttf"),))
    lettering._font_with.cache_clear()
    assert not can_draw("Süd")
    lettering._font_with.cache_clear()
