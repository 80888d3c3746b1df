"""The rows of a MOTChallenge text file as one array of numbers.

Files are small (tens of thousands of lines), so a whole one is parsed at once; the slow search for the line
at fault runs only after a fault was met. Blanks, tabs or semicolons between the columns, separators at the
end of a line, comments (``#``) and UTF-16 with its mark are read as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_table", "shorten"]

_SEPARATORS = ",; \t\r"
# Four days at 30 frames a second; every frame up to the last one takes time, also without boxes.
_LAST_FRAME = 10_000_000
_LARGEST = 1e9  # a coordinate in pixels, an id or a class beyond it is damage


def read_table(path: str | Path) -> tuple[NDArray[np.float64], list[int]]:
    """All rows of a file as ``(N, C)`` float64, C at least 6, and the line number of each row."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a MOTChallenge text file")
    numbered = _content_lines(path)
    lines = [number for number, _ in numbered]
    if not numbered:
        return np.zeros((0, 7)), lines
    separator = _separator(numbered[0][1])
    rows = [line.rstrip(_SEPARATORS) for _, line in numbered]
    try:
        table = np.loadtxt(rows, delimiter=separator, comments=None, ndmin=2)
    except ValueError:
        fault = _find_fault(list(zip(lines, rows, strict=True)), separator)
        raise ValueError(f"{path}, {fault}") from None
    columns = table.shape[1]
    if columns < 6:
        raise ValueError(
            f"{path}, line {lines[0]}: at least 6 columns separated by commas expected "
            f"(frame,id,left,top,width,height), got {columns}"
        )
    frame = table[:, 0]
    with np.errstate(invalid="ignore"):  # the remainder of infinity
        fraction = frame % 1 != 0
    faults = (
        (~np.isfinite(table).all(axis=1), "NaN or infinity"),
        (
            (frame < 1) | (frame > _LAST_FRAME) | fraction,
            f"frame numbers must be whole numbers from 1 to {_LAST_FRAME}"
            + (" (this file counts from 0: add 1 to its first column)" if (frame == 0).any() else ""),
        ),
        ((table[:, 4:6] < 0).any(axis=1), "negative width or height"),
        ((np.abs(table) > _LARGEST).any(axis=1), f"a value beyond {_LARGEST:g}"),
    )
    for wrong, message in faults:
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(f"{path}, line {lines[row]}: {message}: {shorten(numbered[row][1])}")
    return table, lines


def _content_lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of each line that is neither blank nor a comment (``#``)."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"no such file: {path}") from None
    # Windows PowerShell writes what `>` redirects in UTF-16.
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file") from None
    numbered = enumerate(text.splitlines(), 1)
    return [(number, line) for number, line in numbered if line.strip() and line.lstrip()[0] != "#"]


def _separator(line: str) -> str | None:
    """What separates the columns of a file, by one of its lines; None: blanks and tabs."""
    return next((separator for separator in ",;" if separator in line), None)


def _find_fault(numbered: list[tuple[int, str]], separator: str | None) -> str:
    """Say which line can't be parsed and why."""
    columns = len(numbered[0][1].split(separator))
    for number, line in numbered:
        fields = line.split(separator)
        for column, field in enumerate(fields, 1):
            if not field.strip():
                return f"line {number}: column {column} is empty"
            if not _is_number(field):
                hint = " (the format has no header)" if number == 1 else ""
                if len(fields) == 1:
                    hint = " (expected columns separated by commas)"
                elif column == 3:
                    hint = " (is this a KITTI file? expected MOTChallenge text)"
                return f"line {number}: column {column} is not a number: {shorten(field)!r}{hint}"
        if len(fields) != columns:
            return f"line {number}: {len(fields)} columns, but {columns} in line {numbered[0][0]}"
    return "not a table of numbers"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shorten(text: str) -> str:
    """The text without blanks around it, cut to 60 characters."""
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."
