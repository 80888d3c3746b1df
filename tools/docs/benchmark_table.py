"""Run the command of a benchmark as a README gives it, and put the table that it prints into that README.

    python tools/docs/benchmark_table.py benchmarks/pipeline/README.md startup.py
    python tools/docs/benchmark_table.py benchmarks/accuracy/README.md "accuracy.py --ablation"

A README shows a command, indented by four spaces, then its table. The first table printed replaces the first
one after the command; further tables replace those that follow under the same heading. A comment before each
says when and on what it was measured. Tables under other headings and all text stay unchanged.
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.compile(r"(?:<!-- measured .*-->\n)?(?:^\|.*\n)+", re.MULTILINE)


def find_command(page: str, words: str) -> tuple[str, int]:
    """Return the command of a page that contains these words, and where its text ends.

    Raises:
        ValueError: no command of the page contains them, or several do.
    """
    found = [line for line in re.finditer(r"^    python (.*)$", page, re.MULTILINE) if words in line[1]]
    if len(found) != 1:
        commands = "".join(f"\n    {line[1]}" for line in found)
        raise ValueError(f"expected one command with {words!r}, got {len(found)}{commands}")
    return found[0][1], found[0].end()


def printed_tables(text: str) -> list[str]:
    """Return the Markdown tables that a command printed."""
    return [match[0] for match in re.finditer(r"(?:^\|.*(?:\n|\Z))+", text, re.MULTILINE)]


def with_tables(page: str, start: int, tables: Sequence[str], note: str) -> str:
    """Return the page with its tables after a position replaced, up to the next heading.

    Args:
        page: Markdown.
        start: the end of the command.
        tables: as printed, at least one.
        note: when and on what they were measured.

    Raises:
        ValueError: the page has no table there, or fewer than were printed.
    """
    heading = re.compile(r"^#+ ", re.MULTILINE).search(page, start)
    end = len(page) if heading is None else heading.start()
    old = list(TABLE.finditer(page, start, end))
    if not tables or len(old) < len(tables):
        raise ValueError(f"expected {len(tables) or 'at least 1'} tables under the command, got {len(old)}")
    for place, table in reversed(list(zip(old, tables, strict=False))):
        page = f"{page[: place.start()]}<!-- measured {note} -->\n{table.rstrip()}\n{page[place.end() :]}"
    return page


def processor() -> str:
    """Return the name of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and rewrite the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path, help="README with the command")
    parser.add_argument("words", help="part of the command that no other command of the page contains")
    options = parser.parse_args(arguments)
    page = options.page.read_text("utf-8")
    try:
        command, end = find_command(page, options.words)
        words = [sys.executable, *shlex.split(command)]
        printed = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        note = f"{date.today()} on {processor()}, Python {platform.python_version()}"
        page = with_tables(page, end, printed_tables(printed), note)
    except ValueError as error:
        parser.error(str(error))
    options.page.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
