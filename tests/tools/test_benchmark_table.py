"""Tables of a README are replaced by those that the command above them prints."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "docs" / "benchmark_table.py"))
PAGE = """# Speed

    python {script} --rounds 3

Least of three.

| a |
|---|
| 1 |

## Memory

| b |
|---|
| 2 |
"""


def page_and_script(folder: Path, printed: str) -> Path:
    """A README with the command of a script that prints this text."""
    script = folder / "speed.py"
    script.write_text(f"print({printed!r})")
    page = folder / "README.md"
    page.write_text(PAGE.format(script=script))
    return page


def test_the_table_below_the_command_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = page_and_script(tmp_path, "warming up\n| a |\n|---|\n| 7 |\n")
    for _ in range(2):  # the second time there is a comment already
        TOOL["main"]([str(page), "speed.py"])
        text = page.read_text()
        assert "| 1 |" not in text
        assert text.count("| 7 |") == text.count("<!-- measured ") == 1
        assert text.startswith("# Speed\n")
        assert text.endswith("\n## Memory\n\n| b |\n|---|\n| 2 |\n")
        assert "\nLeast of three.\n\n<!-- measured " in text


def test_a_table_of_another_heading_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = page_and_script(tmp_path, "| a |\n|---|\n| 7 |\n\n| b |\n|---|\n| 8 |\n")
    before = page.read_text()
    with pytest.raises(SystemExit):
        TOOL["main"]([str(page), "speed.py"])
    assert "expected 2 tables under the command, got 1" in capsys.readouterr().err
    assert page.read_text() == before


def test_a_command_that_is_not_in_the_page_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = page_and_script(tmp_path, "")
    with pytest.raises(SystemExit):
        TOOL["main"]([str(page), "memory.py"])
    assert "expected one command with 'memory.py', got 0" in capsys.readouterr().err
