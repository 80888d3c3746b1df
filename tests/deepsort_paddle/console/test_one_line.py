"""What the commands have in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deepsort_paddle import __version__, cli
from deepsort_paddle.console.one_line import columns, in_one_line, padded
from deepsort_paddle.research import evaluate


@pytest.mark.parametrize("command", [cli.track, evaluate.main])
def test_every_command_tells_its_version(
    command: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        command(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"deepsort-paddle {__version__}\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\n  second"), "first second"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "a.txt: No such file or directory"),
        (OSError("a.txt: another run is writing it"), "a.txt: another run is writing it"),
        (MemoryError(), "not enough memory"),
        (ValueError(), "ValueError"),
    ],
)
def test_an_error_is_told_in_one_line(error: Exception, line: str) -> None:
    assert in_one_line(error) == line


def test_chinese_names_keep_tables_straight() -> None:
    assert columns("大门 ü") == 6
    assert columns("u\u0308") == 1
    assert padded("大门", 6) + "|" == "大门  |"
    assert padded("long", 2) == "long"
